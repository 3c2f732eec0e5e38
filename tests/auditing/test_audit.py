"""`looptool data audit`: suspects, what could not be judged, answers from elsewhere, bad input."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.audit import make_set
from looptool.cli import main
from looptool.core import canonical, tables
from looptool.lineage.diff import compare, open_data_set
from looptool.review.decisions import Decisions
from looptool.review.verdicts import open_reviewed

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city on a day",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def chat(request: str, **arguments: Any) -> dict[str, Any]:
    call = {"name": "get_weather", "arguments": json.dumps(arguments)}
    calls = [{"id": "1", "type": "function", "function": call}]
    return {
        "tools": [WEATHER],
        "messages": [
            {"role": "user", "content": request},
            {"role": "assistant", "content": None, "tool_calls": calls},
        ],
    }


LOG = [
    chat("What is the weather in Oslo?", city="Oslo"),
    chat("And the weather in Bergen for 3 days, please?", city="Bergen", days=7),
    chat("Wie wird das Wetter morgen in der Stadt, wo wir letztes Jahr waren?", city="Wien"),
    chat("The weather in the capital of France, please.", city="Paris"),
    chat("Tell me the weather in Tromso.", city="Tromso", days=5),
    chat("Tell me the weather in Hamar.", town="Hamar"),
]


def run(folder: Path, *arguments: object, fails: bool = False) -> str:
    """Run the command in a folder, in this process, which spares each one its imports."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["looptool", *map(str, arguments)])
        try:
            main()
        except SystemExit as error:
            code = int(error.code or 0)
    assert bool(code) == fails, out.getvalue() + err.getvalue()
    return err.getvalue() if fails else out.getvalue()


def audited(folder: Path, name: str) -> pl.DataFrame:
    return tables.read(folder / f"data/audits/{name}/audit.parquet", tables.Audit)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in LOG), "utf-8")
    return tmp_path


def test_a_log_is_audited_without_a_project_or_a_model(log: Path) -> None:
    before = (log / "log.jsonl").read_bytes()
    described = json.loads(run(log, "data", "audit", "log.jsonl", "--json"))
    by_line = {row["line"]: row for row in audited(log, "log").iter_rows(named=True)}
    assert by_line[1]["verdict"] is None
    assert by_line[2]["verdict"] == "LABEL_WRONG" and '"days":3' in by_line[2]["prediction"]
    assert by_line[2]["arguments"] == '["get_weather.days"]'
    assert by_line[3]["unread"] == "language" and by_line[3]["verdict"] is None
    assert by_line[4]["unread"] == "knowledge" and by_line[4]["verdict"] is None
    assert by_line[5]["verdict"] in ("LABEL_WRONG", "BOTH_WRONG")
    assert described["unread"] == {"knowledge": 1, "language": 1}
    assert described["could_judge"] == pytest.approx(0.6) and described["suspects"] == 2
    assert described["refused"] == 1
    assert {row["line"] for row in described["first"]} == {2, 5}
    assert (log / "log.jsonl").read_bytes() == before
    shown = run(log, "data", "audit", "log.jsonl")
    assert "rules could judge 60.0 % of 5 labels (not: knowledge 1, language 1)" in shown
    assert "looptool review log" in shown and "line 2" in shown
    assert "the import refused 1 more (turn 1), in data/audits/log/imported/rejected" in shown


def test_planted_errors_are_among_the_suspects_and_right_labels_hardly_ever(tmp_path: Path) -> None:
    samples, kinds = make_set(300, 0.2, seed=3)
    tables.write(samples, tables.Samples, tmp_path / "planted.parquet")
    run(tmp_path, "data", "audit", "planted.parquet")
    suspects = audited(tmp_path, "planted").drop_nulls("verdict")["sample_id"].to_list()
    hits = sum(each in kinds for each in suspects)
    assert hits > 0.45 * len(kinds) and hits > 0.8 * len(suspects)


def test_answers_from_a_file_are_compared_and_judged(log: Path) -> None:
    answers = [
        {"line": 1, "text": '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}'
         "</tool_call>", "tokens": 4, "logprob": -1.0},
        {"line": 2, "calls": [{"name": "get_weather", "arguments": {"city": "Bergen", "days": 3}}]},
        {"line": 4, "turn": 2, "text": '<tool_call>{"name": "get_we'},
    ]  # fmt: skip
    (log / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)), "utf-8")
    described = json.loads(
        run(log, "data", "audit", "log.jsonl", "--answers", "answers.jsonl", "--json")
    )
    assert described["answered"] == 3 and described["answers_of"] == ["file"]
    assert described["judged"] == 2 and described["could_judge"] == 1.0
    by_line = {row["line"]: row for row in audited(log, "log").iter_rows(named=True)}
    assert by_line[1]["verdict"] is None and by_line[1]["ppl"] == pytest.approx(1.284, abs=1e-3)
    assert by_line[2]["verdict"] == "LABEL_WRONG" and by_line[2]["agreement"] == 1.0
    assert by_line[4]["prediction"] is None and "problem" in by_line[4]["answers"]
    assert by_line[3]["verdict"] is None and by_line[3]["answers"] == "{}"


def test_decisions_make_a_corrected_set_with_its_history(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(log, "data", "audit", "log.jsonl")
    monkeypatch.chdir(log)
    assert "nobody has decided" in run(
        log, "data", "audit", "log.jsonl", "--apply", "new.parquet", fails=True
    )
    reviewed = open_reviewed("log")
    places = dict(reviewed.table.with_row_index("row").select("sample_id", "row").iter_rows())
    lines = dict(audited(log, "log").select("line", "sample_id").iter_rows())
    wrong, broken = places[lines[2]], places[lines[5]]
    with Decisions("ada") as decisions:
        decisions.add(reviewed, wrong, "accept", None, "", 2.0)
        decisions.add(reviewed, broken, "drop", None, "no such argument", 2.0)
    shown = run(log, "data", "audit", "log.jsonl", "--apply", "new.parquet")
    assert "4 samples → new.parquet, 1 dropped, in new.rejected.parquet" in shown
    corrected = tables.read(log / "new.parquet", tables.Samples)
    row = corrected.filter(sample_id=lines[2]).row(0, named=True)
    assert canonical.loads(row["label"])["calls"][0]["arguments"]["days"] == 3
    assert row["label_source"] == "judge:human:ada" and row["origin"] == "corrected"
    rejected = tables.read(log / "new.rejected.parquet", tables.Rejected)
    assert rejected["reason"].to_list() == ["human:ada dropped it: no such argument"]
    differing = compare(*map(open_data_set, ("data/audits/log/samples.parquet", "new.parquet")))
    totals = {name: part["total"] for name, part in differing.to_json().items() if "total" in part}
    assert totals["relabelled"] == 1 and totals["removed"] == 1 and totals["unchanged"] == 3
    assert json.loads(run(log, "data", "audit", "new.parquet", "--json"))["samples"] == 4
    (log / "log.jsonl").write_text(json.dumps(LOG[0]) + "\n", "utf-8")
    told = run(log, "data", "audit", "log.jsonl", "--apply", "new.parquet", fails=True)
    assert "log.jsonl: changed since its audit" in told


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none.jsonl"], "none.jsonl: No such file or directory\n"),
        (["log.jsonl", "--judge", "rulez"], "params.yaml: does not exist; models, and judges other "
         "than rules, are set up there (`looptool init` creates one)\n"),
        (["log.jsonl", "--answers", "none.jsonl"], "--answers: none.jsonl: does not exist\n"),
        (["log.jsonl", "--apply", "new.jsonl"], "--apply: new.jsonl: must end in .parquet\n"),
        (["log.jsonl", "--apply", "new.parquet"], "data/audits/log: no audit of log.jsonl; run "
         "`looptool data audit` first\n"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_line(log: Path, arguments: list[str], line: str) -> None:
    assert run(log, "data", "audit", *arguments, fails=True) == line


def test_a_set_without_tools_and_answers_of_others_are_refused(log: Path) -> None:
    plain = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "?"}]}
    (log / "plain.jsonl").write_text(json.dumps(plain), "utf-8")
    told = run(log, "data", "audit", "plain.jsonl", fails=True)
    assert told.startswith("plain.jsonl: no samples: line 1: ") and told.count("\n") == 1
    for answer, rule in (
        ({"sample_id": "0" * 32, "text": "x"}, f"sample_id: {'0' * 32} is no sample of the set"),
        ({"line": 77, "text": "x"}, "line: 77 is not one sample of the set"),
        ({"line": 1}, "text: missing"),
        ({"line": 1, "text": 5}, "text: must be a text"),
        ({"line": 1, "text": "x", "tokens": -1}, "tokens: must be a number of at least 0"),
        ({"line": 1, "text": "x", "logprob": 2}, "logprob: must be a number of at most 0"),
        ({"line": 1, "calls": [{"name": 5, "arguments": {}}]}, "calls[0]: must be"),
        ([], "must be an object"),
    ):
        (log / "answers.jsonl").write_text(json.dumps(answer), "utf-8")
        told = run(log, "data", "audit", "log.jsonl", "--answers", "answers.jsonl", fails=True)
        assert told.startswith("answers.jsonl: line 1: ") and rule in told
        assert told.count("\n") == 1


def test_arguments_as_openai_writes_them_are_read_and_no_sample_is_answered_twice(
    log: Path,
) -> None:
    call = {"name": "get_weather", "arguments": '{"city": "Bergen", "days": 3}'}
    line = json.dumps({"line": 2, "calls": [call]})
    (log / "answers.jsonl").write_text(line, "utf-8")
    run(log, "data", "audit", "log.jsonl", "--answers", "answers.jsonl")
    assert audited(log, "log").filter(line=2)["verdict"].to_list() == ["LABEL_WRONG"]
    (log / "answers.jsonl").write_text(f"{line}\n{line}", "utf-8")
    told = run(log, "data", "audit", "log.jsonl", "--answers", "answers.jsonl", fails=True)
    assert told.startswith("answers.jsonl: line 2: answers a sample that was answered before")


def test_neither_the_set_nor_its_audit_can_be_overwritten(log: Path) -> None:
    run(log, "data", "audit", "log.jsonl")
    (log / "sub").mkdir()
    (log / "sub/log.jsonl").write_bytes((log / "log.jsonl").read_bytes())
    before = (log / "data/audits/log/imported/description.json").read_bytes()
    told = run(log, "data", "audit", "sub/log.jsonl", fails=True)
    assert told == "data/audits/log: holds the audit of log.jsonl; name a folder with --output\n"
    assert (log / "data/audits/log/imported/description.json").read_bytes() == before
    told = run(
        log, "data", "audit", "log.jsonl", "--apply", "data/audits/log/audit.parquet", fails=True
    )
    assert told.endswith("is in data/audits/log; name another file\n")
    told = run(log, "data", "audit", "log.jsonl", "--apply", "data/reviews/x.parquet", fails=True)
    assert told == "--apply: data/reviews/x.parquet: is in data/reviews; name another file\n"
    samples, _ = make_set(5, 0.5, seed=1)
    tables.write(samples, tables.Samples, log / "set.parquet")
    told = run(log, "data", "audit", "set.parquet", "--apply", "set.parquet", fails=True)
    assert told == "--apply: set.parquet: is the audited set; name another file\n"
