"""Loops through the real DVC, up to the second training.

The bases are tiny random Qwen3.5 and Gemma 4, with parts for images.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from looptool.core import tables
from looptool.engines.syntax import known_style
from looptool.engines.templates import TemplateOf
from looptool.lineage.checks import verify_lineage
from looptool.lineage.revisions import open_workspace
from tests.families import make_composite
from tests.test_loop import dvc, project, table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "syntax"), [("qwen3_5_nothink", "functions"), ("gemma4_v2", "gemma")]
)
def test_a_loop_runs_in_a_family_s_own_syntax(family: str, syntax: str, tmp_path: Path) -> None:
    folder = project(tmp_path / family, **{"generate.samples": 24})
    make_composite(family, folder / "models/base")
    dvc(folder, "repro", "train@2")
    for j in range(3):
        model = folder / f"models/{j}"
        assert known_style(TemplateOf.folder(model)).syntax.name == syntax
        assert (model / "preprocessor_config.json").is_file()
        assert "ForConditionalGeneration" in (model / "config.json").read_text("utf-8")
    probe = table(folder, "iterations/1/probe.parquet", tables.Probe)
    # a text with a control token is an error, which can never become a label
    assert not any("<|" in text for text in probe.filter(pl.col("parse_error").is_null())["text"])
    assert table(folder, "iterations/1/left_out.parquet", tables.LeftOut).is_empty()
    trained = json.loads((folder / "metrics/iterations/1/train.json").read_text("utf-8"))
    assert trained["prompt"]["syntax"] == syntax and trained["groups_anchored"] > 0
    assert list(verify_lineage(open_workspace(folder))) == []
