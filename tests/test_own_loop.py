"""Loops about a user's own tools and samples, through the real DVC."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from looptool.core import tables
from looptool.lineage.revisions import open_revision
from tests.test_loop import dvc, project, ran, table


@pytest.mark.slow
def test_the_loop_is_about_the_users_own_tools_where_params_name_them(tmp_path: Path) -> None:
    folder = project(tmp_path / "own", **{"generate.tools": "data/tools/mine.json"})
    output = dvc(folder, "repro", "heldout", fails=True)
    assert "data/tools/mine.json: No such file or directory; `looptool tools import`" in output
    own = [
        {
            "name": f"{verb}_show",
            "description": f"{verb.capitalize()} a show",
            "parameters": {
                "type": "object",
                "properties": {"show_id": {"type": "integer"}},
                "required": ["show_id"],
            },
        }
        for verb in ("follow", "delete", "rename", "share")
    ]
    (folder / "functions.json").write_text(json.dumps(own))
    command = [sys.executable, "-m", "looptool", "tools", "import", "functions.json"]
    command += ["--output", "data/tools/mine.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not done.returncode and "4 tools, 0 skipped" in done.stdout, done.stderr
    assert ran(dvc(folder, "repro", "generate@1")) == ["heldout", "warmup_samples", "generate@1"]
    names = {tool["name"] for tool in own}
    for name in ("heldout", "warmup", "iterations/1/train"):
        data = table(folder, f"{name}.parquet", tables.Samples)
        tools = [tool["name"] for text in data["tools"] for tool in json.loads(text)]
        assert len(data) > 0 and set(tools) <= names


@pytest.mark.slow
def test_a_share_of_the_new_samples_is_the_users_own(tmp_path: Path) -> None:
    changes = {"generate.own": "data/samples/mine", "generate.mix": {"own": 0.25, "grammar": 0.75}}
    folder = project(tmp_path / "mixed", **changes)
    tool = {"name": "roam", "description": "Walks", "parameters": {"place": {"type": "str"}}}
    lines = [
        {
            "query": f"Please walk to place number {number}",
            "tools": json.dumps([tool]),
            "answers": json.dumps([{"name": "roam", "arguments": {"place": str(number)}}]),
        }
        for number in range(20)
    ]
    (folder / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\nbroken")
    output = dvc(folder, "repro", "generate@1", fails=True)
    assert "generate.own: data/samples/mine/samples.parquet does not exist" in output
    command = [sys.executable, "-m", "looptool", "data", "import", "mine.jsonl"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert not done.returncode and "20 samples, 1 refused" in done.stdout, done.stderr
    dvc(folder, "add", "models/base")  # as `looptool setup` does
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-qm", "mine"], cwd=folder, check=True)
    tracked = ["git", "ls-files", "data/samples"]
    assert "mine/samples.parquet" not in subprocess.check_output(tracked, cwd=folder, text=True)
    assert ran(dvc(folder, "repro", "generate@1")) == ["generate@1"]
    data = table(folder, "iterations/1/train.parquet", tables.Samples)
    assert tables.counts(data, "label_source") == {"grammar": 36, "own:mine": 12}
    truth = table(folder, "iterations/1/truth.parquet", tables.Truth)
    assert len(truth) == 36  # nobody knows whether one's own labels are right
    # an experiment in a folder of its own finds them, and what is missing the grammar writes
    more = ["--temp", "-S", "generate.mix={own: 0.5, grammar: 0.5}", "-n", "more", "generate@1"]
    dvc(folder, "exp", "run", *more)
    found = pl.read_parquet(open_revision("more", folder).path("data/iterations/1/train.parquet"))
    assert tables.counts(found, "label_source") == {"grammar": 28, "own:mine": 20}
