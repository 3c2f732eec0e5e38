"""The commands that ask the history, as a shell runs them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from looptool import cli
from looptool.core.answers import write_label
from looptool.engines import Prompt
from looptool.engines.templates import TemplateOf, render
from tests.tiny import make_tiny_model

COMMANDS = ("trace", "diff", "sql", "status", "report", "verify-lineage")


@pytest.fixture(autouse=True)
def in_project(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(history)


def ask(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def fail(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *given: str) -> str:
    """Run a command that is to fail; returns what it says on stderr."""
    monkeypatch.setattr(sys, "argv", ["looptool", *given])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    return capsys.readouterr().err


def test_trace_prints_a_tree_json_or_a_chart() -> None:
    identity = ask("sql", "select min(sample_id) from samples where origin = 'expanded'",
                   "--format", "csv").split()[1]  # fmt: skip
    assert identity in ask("trace", identity[:10])
    assert json.loads(ask("trace", identity, "--json"))["sample_id"] == identity
    assert ask("trace", identity, "--mermaid").startswith("flowchart TD\n")


def test_diff_prints_tables_or_json() -> None:
    told = json.loads(ask("diff", "1", "2", "--json"))
    assert {"added", "removed", "relabelled", "moved", "unchanged"} <= told.keys()
    assert "rows" not in told
    assert "relabelled" in ask("diff", "1", "2", "--rows", "1")


def test_sql_prints_each_format_and_tables_say_what_they_leave_out() -> None:
    query = "select sample_id, iteration from samples order by all"
    assert ask("sql", query, "--format", "csv").count("\n") == 601
    assert len(json.loads(ask("sql", query, "--format", "json"))) == 600
    result = CliRunner().invoke(cli.app, ["sql", query, "--format", "parquet"])
    assert len(pl.read_parquet(io.BytesIO(result.stdout_bytes))) == 600
    assert "the first 50 rows" in ask("sql", query)
    assert "[/] [red]hi[/red] :x:" in ask("sql", "select '[/] [red]hi[/red] :x:' as \"[/b]\"")


def test_the_prompt_answers_until_the_input_ends() -> None:
    typed = "select count(*)\nfrom samples;\nselect nothing;\n"
    result = CliRunner().invoke(cli.app, ["sql"], input=typed)
    assert result.exit_code == 0
    assert "600" in result.stdout and "nothing" in result.stdout


def test_verify_lineage_says_that_all_adds_up_or_what_does_not(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "iterations 1, 2, 3 are consistent" in ask("verify-lineage")
    monkeypatch.chdir(own)
    (own / "data/iterations/1/carried.parquet").unlink()
    assert "inconsistencies in the lineage" in fail(capsys, monkeypatch, "verify-lineage")


@pytest.mark.parametrize(
    "arguments",
    [
        ("trace", "zzz"),
        ("trace", "0123456789ab"),
        ("diff", "1", "8"),
        ("sql", "drop view samples"),
        ("trace", "012345", "--rev", "nothing"),
    ],
)
def test_an_error_is_told_on_one_line(
    arguments: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = fail(capsys, monkeypatch, *arguments)
    assert told.count("\n") == 1 and "Traceback" not in told


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    assert f"Example: looptool {command}" in ask(command, "--help")


def test_a_shell_can_complete_the_commands() -> None:
    result = CliRunner().invoke(cli.app, ["--help"])
    assert "--install-completion" in result.output


def test_a_sample_s_prompt_and_label_are_shown_as_a_model_reads_and_writes_them(
    tmp_path: Path,
) -> None:
    model = make_tiny_model(tmp_path / "model")
    query = "select sample_id, messages, label from samples where iteration = 1 limit 1"
    (row,) = json.loads(ask("sql", query, "--format", "json"))
    shown = ask("prompts", "sample", row["sample_id"][:10], "--model", str(model))
    prompt = render(TemplateOf.folder(model), Prompt(json.loads(row["messages"]), []))
    assert prompt in shown
    assert f"{write_label(json.loads(row['label']))}<|im_end|>" in shown
    ids = ask("prompts", "sample", row["sample_id"], "--model", str(model), "--tokens")
    assert f"prompt, {len(prompt.encode())} tokens" not in ids  # special tokens are one each
    assert "1:'<|im_start|>'" in ids and "2:'<|im_end|>'" in ids


def test_a_model_that_is_not_there_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = fail(capsys, monkeypatch, "prompts", "sample", "0" * 32, "--model", "models/none")
    assert "models/none: no such folder" in told
