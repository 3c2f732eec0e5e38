"""dvc.yaml against the code: every stage lists what it imports, and only metrics read the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from looptool.core.fingerprints import code_files

ROOT = Path(__file__).resolve().parent.parent
STAGES = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]


def body(name: str) -> dict[str, object]:
    return STAGES[name].get("do", STAGES[name])


def listed(name: str) -> set[str]:
    return {str(dep) for dep in body(name)["deps"]}  # type: ignore[union-attr]


def imported(name: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in code_files(f"stages.{name}", ROOT)}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_all_code_that_it_imports(name: str) -> None:
    assert f"-m stages.{name}" in str(body(name)["cmd"])
    missing = {
        file
        for file in imported(name)
        if not any(file == dep or file.startswith(f"{dep}/") for dep in listed(name))
    }
    assert not missing, f"dvc.yaml: {name} imports {sorted(missing)} and does not list them"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_no_code_that_it_does_not_import(name: str) -> None:
    code = {dep for dep in listed(name) if re.match(r"(looptool|stages)/", dep)}
    idle = {
        dep
        for dep in code
        if not any(file == dep or file.startswith(f"{dep}/") for file in imported(name))
    }
    assert not idle, f"dvc.yaml: {name} lists {sorted(idle)} and imports none of it"


def test_heldout_comes_first_to_check_the_base_and_eval_right_after_each_training() -> None:
    assert list(STAGES)[:2] == ["heldout", "eval"]


def test_no_output_switches_the_run_cache_off() -> None:
    text = (ROOT / "dvc.yaml").read_text("utf-8")
    assert "persist" not in text and "always_changed" not in text
    for name in STAGES:
        assert all(isinstance(out, str) for out in body(name).get("outs", []))  # type: ignore[attr-defined]


def test_only_the_summary_reads_the_truth() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for folder in ("looptool", "stages")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"read\([^)]*\btruth\b", path.read_text("utf-8"))
    }
    assert readers == {"looptool/reporting/labels.py"}
    importers = {name for name in STAGES if "looptool/reporting/labels.py" in imported(name)}
    assert importers == {"summarize"}
    for name in set(STAGES) - {"summarize"}:
        assert not any("truth" in dep or dep == "data/iterations" for dep in listed(name))
