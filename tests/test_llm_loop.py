"""A loop whose author, judge and expander are one scripted model behind a real HTTP server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pytest_httpserver import HTTPServer

from looptool.core import canonical, samples, tables
from looptool.lineage.checks import verify_lineage
from looptool.lineage.revisions import open_workspace
from tests import scripted
from tests.test_loop import dvc, environment, project, ran, set_params, table
from tests.test_replay_loop import write_script

LLM = {
    "name": "llm", "engine": "openai", "server": "local", "model": scripted.MODEL,
    "batch_size": 1, "temperature": 0.0, "max_new_tokens": 500, "template_options": {},
}  # fmt: skip


def settings(server: HTTPServer) -> dict[str, Any]:
    return {
        "servers.local": {
            "base_urls": [server.url_for("/v1")], "key": None, "concurrency": 16,
            "timeout": 20.0, "retries": 5, "structured_output": True, "api": "chat",
        },
        "heldout.samples": 6,
        "generate.samples": 60,
        "generate.label_noise": 0.0,
        "warmup.label_noise": 0.0,
        "warmup.steps": 0,
        "generate.author": LLM,
        "verify.judges": [LLM],
        "expand.expander": LLM,
        "probe.engine": "replay",
        "eval.engine": "replay",
    }  # fmt: skip


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with HTTPServer(threaded=True) as server:
        model = scripted.ScriptedModel(server, faults=20)
        folder = project(tmp_path_factory.mktemp("llm"), **settings(server))
        dvc(folder, "repro", "generate@1")
        first = table(folder, "iterations/1/train.parquet", tables.Samples)
        write_script(folder, first, first)
        output = dvc(folder, "repro")
        yield folder, model, output


def requests_of(folder: Path, name: str) -> pl.DataFrame:
    return table(folder, f"iterations/{name}.parquet", tables.Requests)


@pytest.mark.slow
def test_every_request_and_its_answer_is_on_record(llm: Any) -> None:
    folder, model, _ = llm
    recorded: Counter[str] = Counter()
    for file in sorted((folder / "data/iterations").glob("*/requests/*.parquet")):
        for row in tables.read(file, tables.Requests).iter_rows(named=True):
            name, text = scripted.answer(canonical.loads(row["messages"]))
            assert row["answer"] == text
            recorded[name] += 1
    assert set(recorded) == set(scripted._PLAYS)
    # what was answered before, word for word, came out of the cache
    assert all(0 < model.asked[name] <= recorded[name] for name in recorded)
    assert sum(model.faulty.values()) > 20 and len(model.faulty) == 3


@pytest.mark.slow
def test_the_author_writes_checked_dialogues_and_every_refusal_has_its_reason(llm: Any) -> None:
    folder, _, _ = llm
    written = table(folder, "iterations/1/train.parquet", tables.Samples)
    sources = Counter(written["label_source"])
    assert set(sources) <= {"llm:scripted", "grammar"} and sources["llm:scripted"] >= 30
    own = written.filter(label_source="llm:scripted")
    assert set(own["category"]) == set(samples.CATEGORIES)
    rejected = table(folder, "iterations/1/rejected/generate.parquet", tables.Rejected)
    checks = Counter(rejected["check"])
    assert checks["agent:plan"] > 0 and checks["agent:assistant"] > 0 and checks["admission"] > 0
    assert rejected.filter(check="admission")["reason"].str.starts_with("llm:scripted: hm").all()
    truth = table(folder, "iterations/1/truth.parquet", tables.Truth)
    assert len(truth) == sources["grammar"]  # nobody knows whether a model's labels are right


@pytest.mark.slow
def test_verdicts_are_those_that_both_orders_agree_on(llm: Any) -> None:
    folder, _, _ = llm
    data = table(folder, "iterations/1/train.parquet", tables.Samples)
    probe = table(folder, "iterations/1/probe.parquet", tables.Probe)
    verdicts = table(folder, "iterations/1/verdicts.parquet", tables.Verdicts)
    expected = {}
    for row in data.join(probe.filter(~pl.col("matched")), on="sample_id").iter_rows(named=True):
        messages, label = canonical.loads(row["messages"]), canonical.loads(row["label"])
        told = samples.prediction_label(row["text"], row["calls"], row["parse_error"])
        valid = "no_such_tool" not in row["prediction"]
        if told is None:
            right = scripted.is_admitted(messages, label)
            expected[row["sample_id"]] = "PRED_WRONG" if right else "BOTH_WRONG"
        elif scripted.is_garbled(messages) or scripted.is_biased(messages):
            expected[row["sample_id"]] = "NO_CONSENSUS"
        else:
            marks = (
                scripted.is_right(messages, label),
                scripted.is_right(messages, told) and valid,
            )
            expected[row["sample_id"]] = {
                (True, True): "BOTH_CORRECT", (True, False): "PRED_WRONG",
                (False, True): "LABEL_WRONG", (False, False): "BOTH_WRONG",
            }[marks]  # fmt: skip
    assert dict(verdicts.select("sample_id", "verdict").iter_rows()) == expected
    assert {"PRED_WRONG", "BOTH_WRONG", "NO_CONSENSUS"} <= set(expected.values())
    events = table(folder, "iterations/1/lineage/expand.parquet", tables.Lineage)
    undecided = events.filter(event="undecided")
    assert set(undecided["sample_id"]) == {
        identity for identity, verdict in expected.items() if verdict == "NO_CONSENSUS"
    }
    assert not set(undecided["sample_id"]) & set(events.filter(event="expanded")["parent_id"])


@pytest.mark.slow
def test_expansions_are_accepted_refused_and_counted(llm: Any) -> None:
    folder, _, _ = llm
    found = json.loads((folder / "metrics/iterations/1/expand.json").read_text("utf-8"))
    verdicts = Counter(table(folder, "iterations/1/verdicts.parquet", tables.Verdicts)["verdict"])
    seeds = verdicts["PRED_WRONG"] + verdicts["LABEL_WRONG"]
    assert found["candidates"] + found["failed"] == 2 * seeds
    assert found["failed"] > 0 and found["accepted"] > 0
    assert found["accepted"] + sum(found["rejected"].values()) == found["candidates"]
    assert found["rejected"]["judge:llm:scripted"] > 0
    rejected = table(folder, "iterations/1/rejected/expand.parquet", tables.Rejected)
    assert len(rejected.filter(check="expander:llm:scripted")) == found["failed"]
    carried = table(folder, "iterations/1/carried.parquet", tables.Samples)
    grown = carried.filter(origin="expanded")
    assert set(grown["label_source"]) == {"expander:llm:scripted"}


@pytest.mark.slow
def test_the_loop_goes_on_and_its_history_adds_up(llm: Any) -> None:
    folder, _, output = llm
    assert ran(output)[-1] == "summarize"
    assert list(verify_lineage(open_workspace(folder))) == []
    assert len(table(folder, "iterations/2/train.parquet", tables.Samples)) == 60


@pytest.mark.slow
def test_running_it_again_asks_nothing(llm: Any) -> None:
    folder, model, _ = llm
    before = sum(model.asked.values())
    dvc(folder, "repro", "-f", "-s", "verify@1")
    assert sum(model.asked.values()) == before


@pytest.mark.slow
def test_a_stage_killed_at_half_asks_for_the_other_half_only(llm: Any, tmp_path: Path) -> None:
    whole = len(requests_of(llm[0], "1/requests/generate"))
    with HTTPServer(threaded=True) as server:
        model = scripted.ScriptedModel(server)
        folder = project(tmp_path / "killed", **settings(server))
        set_params(folder, **{"servers.local.concurrency": 2})
        dvc(folder, "repro", "warmup", "heldout")
        before = model.times.total()
        command = [sys.executable, "-m", "dvc", "repro", "generate@1"]
        process = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE
        )
        deadline = time.monotonic() + 120
        while model.times.total() - before < whole / 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        process.kill()  # and its stage ends with it
        process.communicate()
        assert not (folder / "data/iterations/1/train.parquet").exists()
        dvc(folder, "repro", "generate@1")
        again = model.times.total() - len(model.times)
        assert again <= 2 and again < 0.02 * whole  # no more than were under way
    for name in ("train", "requests/generate"):
        one, other = (each / f"data/iterations/1/{name}.parquet" for each in (llm[0], folder))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_what_a_judge_saw_can_be_read(llm: Any) -> None:
    folder, _, _ = llm
    verdicts = table(folder, "iterations/1/verdicts.parquet", tables.Verdicts)
    identity = verdicts.filter(pl.col("verdict") == "NO_CONSENSUS")["sample_id"][0]

    def looptool(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "looptool", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment(folder), text=True, capture_output=True
        )

    told = looptool("prompts", "show", "judge", identity[:10])
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("You check answers of an assistant") >= 2
    assert "judging/compare 2." in told.stdout
    written = table(folder, "iterations/1/train.parquet", tables.Samples)
    own = written.filter(label_source="llm:scripted")["sample_id"][0]
    told = looptool("prompts", "show", "author", own)
    assert "You plan dialogues" in told.stdout and "You play an assistant" in told.stdout
    missing = looptool("prompts", "show", "expander", "0" * 32)
    assert missing.returncode == 1
    assert "no expander model was asked about such a sample" in missing.stderr
