"""BFCL's averages, its result files, and parity with the official runner."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import polars as pl
import pytest

from benchmarks import bfcl_parity
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.params import BfclCategory
from looptool.engines import Prompt
from looptool.evaluation.bfcl import exports, overall, prompts
from looptool.evaluation.bfcl.rows import CATEGORIES, GROUPS, MULTI_TURN, ROWS, data_folder, entries
from looptool.evaluation.bfcl.rows import rows as rows_of
from tests.answers import said


def test_always_refusing_scores_what_it_scores_on_the_leaderboard() -> None:
    texts = {
        row_id: "[[]]" if category in MULTI_TURN else "I cannot."
        for category in CATEGORIES
        for row_id in entries(category)
    }
    found = overall.overall(bfcl_parity.verdicts(texts))
    assert round(100 * (found.overall or 0), 2) == 19.73
    assert found.missing == ()


def test_without_all_rows_of_all_categories_there_is_no_overall() -> None:
    texts = dict.fromkeys([*entries("irrelevance")][:10], "No.")
    found = overall.overall(bfcl_parity.verdicts(texts))
    assert (found.non_live, found.live, found.multi_turn, found.overall) == (1.0, None, None, None)
    assert set(found.missing) == set(CATEGORIES)


def test_params_know_the_categories_of_the_benchmark() -> None:
    assert set(BfclCategory.__args__) == {*GROUPS, *CATEGORIES}
    assert {category: len(entries(category)) for category in CATEGORIES} == ROWS


@pytest.mark.parametrize("damage", ["first argument left out", "broken JSON beside"])
def test_verdicts_are_those_of_the_official_runner(damage: str) -> None:
    predictions = bfcl_parity.damaged(bfcl_parity.DAMAGES[damage])
    some = {row_id: text for row_id, text in predictions.items() if row_id.endswith("7")}
    ours = bfcl_parity.verdicts(some)
    assert bfcl_parity.official(some) == dict(ours.select("id", "valid").rows())


def test_result_files_hold_calls_as_the_official_runner_reads_them(tmp_path: Path) -> None:
    predictions = bfcl_parity.perfect(["simple"])
    results = bfcl_parity.verdicts(predictions).with_columns(
        target=pl.lit("models/2"), model=pl.lit("m"), prompt=pl.lit("native")
    )
    (path,) = exports.write_results(results, tmp_path, "looptool-2")
    assert path == tmp_path / "result" / "looptool-2" / "BFCL_v3_simple_result.json"
    lines = [json.loads(line) for line in path.read_text("utf-8").split("\n")]
    assert [line["id"] for line in lines[:3]] == ["simple_0", "simple_1", "simple_2"]
    assert json.loads(lines[0]["result"][0]["calculate_triangle_area"])["base"] == 10


def test_a_model_s_name_with_an_underscore_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="accepts no '_'"):
        exports.write_results(pl.DataFrame(), tmp_path, "looptool_2")


def test_bfcl_s_own_prompt_tells_the_tools_and_its_answers_are_read() -> None:
    row = rows_of(["simple"], limit=1)[0]
    styled = prompts.in_bfcl_style(Prompt(row.messages, row.tools))
    assert styled.tools == () and styled.messages[0]["role"] == "system"
    assert row.tools[0]["name"] in styled.messages[0]["content"]
    calls = (ToolCall("f", {"a": 1, "b": "x"}), ToolCall("pkg.g", {}))
    for text, exact in [
        ("[f(a=1, b='x'), pkg.g()]", True),
        ("f(a=1, b='x'), pkg.g()", False),
        ("```\n[f(a=1, b='x'), pkg.g()]\n```", False),
    ]:
        assert prompts.read(said(text)).calls == calls and prompts.is_exact(said(text)) == exact
    for text, exact in [("I cannot.", True), ("Sure: [f(a=1", False), ("", True)]:
        assert prompts.read(said(text)).calls == () and prompts.is_exact(said(text)) == exact


def test_truncated_data_are_named_with_the_command_that_mends_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = importlib.import_module("looptool.evaluation.bfcl.rows")
    whole = (data_folder() / "BFCL_v3_java.json").read_text("utf-8")
    (tmp_path / "BFCL_v3_java.json").write_text(whole[: len(whole) // 2])
    monkeypatch.setattr(rows, "data_folder", lambda: tmp_path)
    with pytest.raises(ConfigError, match=r"BFCL_v3_java.json: .*pip install --no-deps --force"):
        entries.__wrapped__("java")
