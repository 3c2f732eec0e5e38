"""Audits: which labels of a set are wrong, without training anything (docs/audit.md).

`sets` opens a set, `predictions` gets a second opinion on each label from models or a file, `audit`
lets judges compare or inspect, and `apply` writes a set with the labels that people accepted.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path("data/audits")
AUDIT, SAMPLES, DESCRIPTION = "audit.parquet", "samples.parquet", "audit.json"
SOURCE = "audit:"  # before the name of an audit, in decisions on it


def name_in_review(place: Path) -> str:
    """Return what `looptool review` takes for an audit: its name, or its folder.

    Numbers name iterations.
    """
    named = place.parent == FOLDER and not place.name.isdecimal()
    return place.name if named else place.as_posix()
