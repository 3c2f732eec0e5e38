"""The server of `looptool review`: tokens, decisions that survive a kill, checked labels."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from looptool.core import canonical, tables
from looptool.review.verdicts import draw, open_reviewed
from tests.lineage.conftest import history, own

__all__ = ["history", "own"]  # fixtures


class Server:
    """A running `looptool review`."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.root, _, self.token = address.partition("?token=")

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        given = {"X-Review-Token": self.token, "Content-Type": "application/json", **headers}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, given)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            return error.code, json.loads(text) if text.startswith("{") else text


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def serving(folder: Path, *arguments: str, reviewer: str = "ada") -> Iterator[Server]:
    command = [sys.executable, "-m", "looptool", "review", *arguments, "--reviewer", reviewer]
    process = subprocess.Popen(
        [*command, "--port", str(free_port())], cwd=folder, text=True,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        yield Server(process, lines[1].strip())
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(20)


def reviews(folder: Path, name: str = "ada") -> Any:
    return tables.read(folder / f"data/reviews/{name}.parquet", tables.Reviews)


def test_nothing_is_served_without_the_token_or_under_another_name(own: Path) -> None:
    with serving(own, "1") as server:
        assert server.ask("api/state")[0] == 200
        for token in ("", "wrong", server.token[:-1], "ü".encode().decode("latin-1")):
            assert server.ask("api/state", **{"X-Review-Token": token})[0] == 403
        assert server.ask(f"api/state?token={server.token}", **{"X-Review-Token": ""})[0] == 403
        assert server.ask("api/state", Host="evil.example:80")[0] == 400
        request = urllib.request.Request(f"{server.root}?token={server.token}")
        with urllib.request.urlopen(request) as page:
            policy = page.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert "{{nonce}}" not in page.read().decode()


def test_a_killed_server_loses_no_decision(own: Path) -> None:
    with serving(own, "1") as server:
        for row in range(5):
            status, answer = server.ask("api/decide", {"row": row, "decision": "keep"})
            assert status == 200 and answer["decided"] == row + 1
        server.process.kill()
    assert reviews(own)["decision"].to_list() == ["keep"] * 5
    with serving(own, "1") as server:
        assert server.ask("api/state")[1]["decided"] == 5
        order = server.ask("api/order?undecided=1")[1]["order"]
        assert not set(range(5)) & set(order)
        server.ask("api/decide", {"row": 0, "decision": "drop", "note": " a\nnote ", "seconds": 2})
        assert server.ask("api/item/0")[1]["mine"] == {
            "decision": "drop", "note": "a note", "label": None
        }  # fmt: skip
        assert server.ask("api/state")[1]["decided"] == 5
    assert reviews(own)["number"].to_list() == list(range(6))


def test_two_people_decide_at_once_into_files_of_their_own(own: Path) -> None:
    with serving(own, "1") as one, serving(own, "1", reviewer="bo") as other:
        for row in range(8):
            assert one.ask("api/decide", {"row": row, "decision": "keep"})[0] == 200
            assert other.ask("api/decide", {"row": row, "decision": "unsure"})[0] == 200
        seen = one.ask("api/item/3")[1]["decisions"]
        assert seen == [{"reviewer": "bo", "decision": "unsure", "note": "", "label": None}]
        done = subprocess.run(
            [sys.executable, "-m", "looptool", "review", "1", "--reviewer", "bo"], cwd=own,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.stderr.startswith("--reviewer: bo: another `looptool review` runs")
    assert len(reviews(own)) == len(reviews(own, "bo")) == 8


def test_a_label_is_checked_against_the_tools_before_it_is_stored(own: Path) -> None:
    with serving(own, "1") as server:
        row = next(
            row for row in server.ask("api/order")[1]["order"]
            if '"calls"' in server.ask(f"api/item/{row}")[1]["label"]["text"]
        )  # fmt: skip
        item = server.ask(f"api/item/{row}")[1]
        label = json.loads(item["label"]["text"])
        broken = json.loads(json.dumps(label))
        broken["calls"][0]["name"] = "no_such_tool"
        for text, rule in (
            ("{", "not valid JSON"),
            ("[]", "a label is"),
            (json.dumps(broken), "calls[0]: "),
        ):
            problem = server.ask("api/check", {"row": row, "text": text})[1]["problem"]
            assert problem.startswith(rule) and "\n" not in problem
            status, answer = server.ask(
                "api/decide", {"row": row, "decision": "edit", "label": text}
            )
            assert (status, answer["problem"]) == (422, problem)
        same = {"row": row, "decision": "edit", "label": item["label"]["text"]}
        assert server.ask("api/decide", same)[1]["mine"]["decision"] == "keep"
        written = {"row": row, "decision": "edit", "label": '{"text": "I cannot."}'}
        assert server.ask("api/decide", written)[1]["mine"]["label"] == '{"text":"I cannot."}'
        assert server.ask("api/decide", {"row": row, "decision": "guess"})[0] == 422
        assert server.ask("api/item/99999")[0] == 404
        for row in (-1, 99999):
            assert server.ask("api/decide", {"row": row, "decision": "keep"})[0] == 422
        endless = {"row": row, "decision": "unsure", "seconds": float("inf")}
        assert server.ask("api/decide", endless | {"row": 0})[0] == 200
    assert reviews(own)["decision"].to_list() == ["keep", "edit", "unsure"]
    assert reviews(own)["seconds"][-1] == 0


def test_filters_choose_rows_and_the_worst_comes_first(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own)
    reviewed = open_reviewed("1")
    for name, counts in reviewed.facets().items():
        for value, count in counts.items():
            if value:
                assert len(reviewed.order({name: value}, set())) == count
    assert reviewed.table["suspicion"].is_sorted(descending=True)
    sure = reviewed.order({"confidence": "0.95"}, set())
    assert all(reviewed.item(row)["confidence"] >= 0.95 for row in sure)
    assert reviewed.order({"disagree": "1"}, set()) == []


def test_a_sample_has_every_verdict_with_the_number_of_rows_that_each_row_stands_for(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own)
    table = open_reviewed("1").table
    drawn = open_reviewed("1", sample=20).table
    assert len(drawn) == 20 and set(drawn["verdict"]) == set(table["verdict"])
    totals = dict(drawn.group_by("verdict").agg(weight=drawn["weight"].sum() * 0).iter_rows())
    for verdict in totals:
        stands_for = drawn.filter(verdict=verdict)["weight"].sum()
        assert stands_for == pytest.approx(len(table.filter(verdict=verdict)))
    assert drawn.equals(open_reviewed("1", sample=20).table)
    assert draw(table, 10_000, "1")["weight"].to_list() == [1.0] * len(table)
    smaller = {*draw(table, 10, "1")["sample_id"]}
    assert smaller <= {*draw(table, 30, "1")["sample_id"]}


def test_what_cannot_be_reviewed_is_told_in_one_line(own: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments, line in (
            (["1", "--port", port], f"--port: {port} is in use; name another, such as"),
            (["9"], "9: no verdicts; iterations with verdicts: 1, 2"),
            (["nothing"], "nothing: neither an iteration nor an audit; there are 1, 2"),
            (["1", "--reviewer", "../ada"], "--reviewer: ../ada: must have 1 to 40 letters"),
            (["1", "--sample", "2"], "--sample: 2: must be at least 5, one row per verdict"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "looptool", "review", *arguments], cwd=own,
                capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 1 and done.stderr.startswith(line)
            assert done.stderr.count("\n") == 1


def test_decisions_are_of_the_label_that_was_shown(own: Path) -> None:
    with serving(own, "1") as server:
        item = server.ask("api/item/0")[1]
        server.ask("api/decide", {"row": 0, "decision": "accept"})
    row = reviews(own).row(0, named=True)
    assert row["sample_id"] == item["sample_id"] and row["verdict"] == item["verdict"]
    assert row["label_id"] == canonical.digest(canonical.dumps(json.loads(item["label"]["text"])))
