"""Data sets of the hub: the samples are those of the files, with the commit in the description."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl

from tests.hub.conftest import Run, Runs, half_written, only_line
from tests.hub_server import TOKEN, Fault, Hub

CARD = b"""---
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train-*}
  - {split: test, path: data/test-*}
- config_name: small
  data_files: small.jsonl
---
"""


def record(number: int) -> dict[str, Any]:
    # the second argument is in some records only: a reader that guesses columns would add nulls
    arguments = {"city": f"Town {number}"} | ({"days": number} if number % 3 == 0 else {})
    tool = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {
        "city": {"type": "string"}, "days": {"type": "integer"}}}}  # fmt: skip
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    return {
        "messages": [
            {"role": "user", "content": f"The weather in Town {number}?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ],
        "tools": [{"type": "function", "function": tool}],
    }


def lines(start: int, end: int) -> bytes:
    return b"".join(json.dumps(record(number)).encode() + b"\n" for number in range(start, end))


def parquet(start: int, end: int) -> bytes:
    file = io.BytesIO()
    rows = [record(number) for number in range(start, end)]
    for row in rows:  # as texts, since their fields differ from row to row
        row["tools"] = json.dumps(row["tools"])
        function = row["messages"][1]["tool_calls"][0]["function"]
        function["arguments"] = json.dumps(function["arguments"])
    pl.DataFrame(rows).write_parquet(file)
    return file.getvalue()


FILES = {
    "README.md": CARD,
    "data/train-00000-of-00002.jsonl": lines(0, 40),
    "data/train-00001-of-00002.jsonl": lines(40, 60) + b"{broken\n" + lines(5, 6),
    "data/test-00000-of-00001.jsonl": lines(60, 70),
    "small.jsonl": lines(0, 5),
}


def samples(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "samples.parquet")


def test_the_samples_and_the_rejects_are_those_of_the_files(
    hub: Hub, looptool: Run, tmp_path: Path
) -> None:
    commit = hub.data("acme/calls", FILES)
    here = tmp_path / "project/acme/calls"  # a folder of the same name is not read in its place
    here.mkdir(parents=True)
    (here / "train.jsonl").write_bytes(lines(0, 3))
    done = looptool("data", "import", "hf:acme/calls")
    assert not done.returncode, done.stderr
    sets = tmp_path / "project/data/samples"
    described = json.loads((sets / "calls/description.json").read_text("utf-8"))
    assert described["source"] == f"hf:acme/calls@{commit}:default:train"
    assert (described["samples"], described["rejected"]) == (60, {"duplicate": 1, "json": 1})
    local = tmp_path / "files"
    local.mkdir()
    for name in ("train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl"):
        (local / name).write_bytes(FILES[f"data/{name}"])
    looptool("data", "import", str(local), "--output", "data/samples/local")
    for name in ("samples.parquet", "rejected.parquet"):
        assert (sets / "calls" / name).read_bytes() == (sets / "local" / name).read_bytes()


def test_a_split_a_configuration_and_parquet(hub: Hub, looptools: Runs, tmp_path: Path) -> None:
    hub.data("acme/calls", FILES)
    hub.data("acme/tables", {"data/train-00000-of-00001.parquet": parquet(0, 30)})
    wanted = [
        ("hf:acme/calls:test", "calls-test", 10),
        ("hf:acme/calls:small", "calls-small", 5),
        ("hf:acme/calls@main:small:train", "calls-small", 5),
        ("hf:acme/tables", "tables", 30),
    ]
    for done in looptools(*(["data", "import", named] for named, *_ in wanted)):
        assert not done.returncode, done.stderr
    for _, place, count in wanted:
        assert len(samples(tmp_path / "project/data/samples" / place)) == count


def test_a_newer_commit_takes_the_place_and_another_set_does_not(
    hub: Hub, looptool: Run, tmp_path: Path
) -> None:
    hub.data("acme/calls", {"train.jsonl": lines(0, 5)})
    hub.data("other/calls", {"train.jsonl": lines(0, 6)})
    assert not looptool("data", "import", "hf:acme/calls").returncode
    newer = hub.data("acme/calls", {"train.jsonl": lines(0, 9)})
    for name in ("hf:acme/calls", "hf:other/calls"):
        assert not looptool("data", "import", name).returncode
    sets = tmp_path / "project/data/samples"
    assert len(samples(sets / "calls")) == 9 and len(samples(sets / "other-calls")) == 6
    described = json.loads((sets / "calls/description.json").read_text("utf-8"))
    assert newer in described["source"]


MISSING: dict[str, tuple[str, list[str]]] = {
    "no split": ("hf:acme/calls:validation", ["has no split validation; it has train, test"]),
    "no configuration": (
        "hf:acme/calls:big:train",
        ["no configuration big; it has default, small"],
    ),
    "several": ("hf:acme/two", ["several configurations (a, b)", "name one: hf:acme/two:a"]),
    "no revision": ("hf:acme/calls@v9", ["hf:acme/calls@v9: has no revision v9"]),
    "no data": ("hf:acme/none", ["`datasets` finds no data in it"]),
    "code": ("hf:acme/code", ["`datasets` finds no data in it", "scripts are no longer supported"]),
    "not a name": ("hf:acme", ["hf:acme: must be hf:owner/name[@revision][:config][:split]"]),
    "gated": ("hf:acme/gated", ["is gated, and you are not logged in", "/datasets/acme/gated"]),
    "private": ("hf:acme/private", ["does not exist, or is private", "`hf auth login`"]),
}


def test_what_is_not_there_is_one_line(hub: Hub, looptools: Runs, tmp_path: Path) -> None:
    hub.data("acme/calls", FILES)
    hub.data("acme/two", {
        "README.md": b"---\nconfigs:\n- {config_name: a, data_files: a.jsonl}\n"
        b"- {config_name: b, data_files: b.jsonl}\n---\n", "a.jsonl": lines(0, 1),
        "b.jsonl": lines(1, 2),
    })  # fmt: skip
    hub.data("acme/none", {"README.md": b"# Nothing\n"})
    hub.data("acme/code", {"code.py": b"1 / 0"})
    hub.data("acme/gated", FILES, gated=True)
    hub.data("acme/private", FILES, private=True)
    results = looptools(*(["data", "import", named] for named, _ in MISSING.values()))
    for done, (_, told) in zip(results, MISSING.values(), strict=True):
        line = only_line(done)
        assert all(part in line for part in told), line
    assert not (tmp_path / "project/data").exists()


def test_a_file_that_cannot_be_read_is_named_by_its_repository(hub: Hub, looptool: Run) -> None:
    commit = hub.data("acme/empty", {"train.jsonl": b"  "})
    line = only_line(looptool("data", "import", "hf:acme/empty"))
    assert line == f"hf:acme/empty@{commit}:default:train: train.jsonl: is empty"
    line = only_line(looptool("data", "import", f"hf:acme/empty@{commit}", HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE is set, so the hub cannot be asked; unset it" in line


def test_a_private_set_is_read_with_a_token_which_is_written_nowhere(
    hub: Hub, looptool: Run, tmp_path: Path
) -> None:
    hub.data("acme/private", {"train.jsonl": lines(0, 5)}, private=True)
    done = looptool("data", "import", "hf:acme/private", HF_TOKEN=TOKEN)
    assert not done.returncode and hub.tokens == {TOKEN}
    assert TOKEN not in done.stdout + done.stderr
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert written and not any(TOKEN.encode() in file.read_bytes() for file in written)


def test_a_file_that_fails_leaves_the_earlier_set_and_a_rerun_goes_on(
    hub: Hub, looptool: Run, tmp_path: Path
) -> None:
    hub.data("acme/calls", {"train.jsonl": lines(0, 5)})
    assert not looptool("data", "import", "hf:acme/calls").returncode
    place = tmp_path / "project/data/samples/calls"
    before = {file.name: file.read_bytes() for file in place.iterdir()}
    hub.data("acme/calls", {
        "data/train-00000-of-00002.jsonl": lines(0, 9),
        "data/train-00001-of-00002.jsonl": lines(9, 300),
    })  # fmt: skip
    hub.faults.append(Fault("/cdn/", "corrupt", 1))  # the second is in large file storage
    line = only_line(looptool("data", "import", "hf:acme/calls"))
    assert "data/train-00001-of-00002.jsonl: what arrived does not have the hub's checksum" in line
    assert {file.name: file.read_bytes() for file in place.iterdir()} == before
    assert not half_written(tmp_path)
    hub.log.clear()
    assert not looptool("data", "import", "hf:acme/calls").returncode
    assert len(samples(place)) == 300
    assert not hub.bytes_sent("train-00000") and len(hub.bytes_sent("/cdn/")) == 1
