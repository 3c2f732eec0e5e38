"""Files of samples: read whole or not at all, every line accounted for, written and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.core import canonical, tables
from looptool.core.errors import ConfigError
from looptool.core.samples import label_id, sample_id
from looptool.exchange import exports, records, sample_sets
from looptool.exchange.formats import Changes, Refused, cutting, formats
from looptool.exchange.formats.cutting import cut
from looptool.exchange.sample_sets import import_samples
from tests.strategies import JSON

TOOL = {
    "name": "roam",
    "description": "Walks",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
}


def xlam(number: int, **more: Any) -> dict[str, Any]:
    call = {"name": "roam", "arguments": {"place": f"Oslo {number}"}}
    return {"query": f"Walk {number}", "tools": json.dumps([TOOL]), "answers": json.dumps([call]),
            **more}  # fmt: skip


def imported(folder: Path, content: bytes | str, form: str | None = None) -> sample_sets.Outcome:
    file = folder / "mine.jsonl"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_samples(file, folder / "set", form)


def rejected(folder: Path) -> list[tuple[int, str]]:
    data = tables.read(folder / "set/rejected.parquet", tables.Refusals)
    return data.select("line", "reason").rows()


def lines(count: int) -> list[str]:
    return [json.dumps(xlam(number)) for number in range(count)]


def test_every_line_becomes_a_sample_or_a_rejection_with_its_number(tmp_path):
    some = lines(5)
    some[1] = '{"query": "broken'
    some[3] = json.dumps({"query": "no tools"})
    found = imported(tmp_path, "\n".join(some))
    assert found.to_json() == {
        "format": "xlam",
        "records": 5,
        "samples": 3,
        "categories": {"single": 3},
        "changes": {},
        "rejected": {"json": 1, "record": 1},
    }
    data = tables.read(tmp_path / "set/samples.parquet", tables.Imported)
    assert data["line"].to_list() == [1, 3, 5]
    assert [line for line, _ in rejected(tmp_path)] == [2, 4]
    assert "Unterminated string" in rejected(tmp_path)[0][1]


@pytest.mark.parametrize(
    "content",
    [
        "\r\n".join(lines(3)).encode(),
        b"\xef\xbb\xbf" + "\n".join(lines(3)).encode(),
        ("\n\n".join(lines(3)) + "\n\n").encode(),
        f"[{', '.join(lines(3))}]".encode(),
        b"\xef\xbb\xbf " + json.dumps([xlam(n) for n in range(3)], indent=2).encode(),
    ],
    ids=["windows", "bom", "empty lines", "array", "indented array"],
)
def test_files_as_other_systems_write_them(tmp_path, content):
    found = imported(tmp_path, content)
    assert (found.samples, found.records) == (3, 3)


def test_an_arrays_records_have_the_lines_where_they_begin(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps([{"a": 1}, {"b": [2]}], indent=1))
    assert [raw.line for raw in records.read_records(file)] == [2, 5]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"query": "\xff"}', "not valid UTF-8"),
        (b"\x00\x00\x00", "not valid JSON"),
        (b'{"query": "a\x00b"}', "not valid JSON"),
        (b"[1]", "must be an object"),
        (b'{"query": NaN}', "NaN is not valid JSON"),
        (b'{"query": "a", "query": "b"}', "a key occurs twice"),
        (b'{"query": "\\ud800", "tools": "[]", "answers": "[]"}', "surrogate"),
        (b'{"query": ' + b"[" * 5000, "nested"),
    ],
)
def test_a_bad_line_in_the_middle_stops_nothing(tmp_path, line, reason):
    first, last = lines(2)
    found = imported(tmp_path, first.encode() + b"\n" + line + b"\n" + last.encode())
    assert found.samples == 2
    ((number, why),) = rejected(tmp_path)
    assert number == 2
    assert reason in why


def test_a_line_beyond_all_measure_is_refused_and_the_next_one_read(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "LARGEST", 1000)
    first, last = lines(2)
    huge = json.dumps(xlam(9, more="x" * 5000))
    assert imported(tmp_path, "\n".join([first, huge, last])).samples == 2
    ((number, why),) = rejected(tmp_path)
    assert number == 2
    assert "at most" in why


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n \n", "is empty"),
        (b'{"a": 1}\n{"b": 2}', "the format of its first records is unknown"),
        (b'[{"query": "a"', "line 1: not valid JSON"),
        (b'[{"query": "a"}]\n[{"query": "b"}]', "line 1: something follows the array"),
        (b'[{"query": "\xff"}]', "not valid UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path, content, reason):
    with pytest.raises(ConfigError, match=r"mine\.jsonl") as error:
        imported(tmp_path, content)
    assert reason in str(error.value)
    assert not (tmp_path / "set/samples.parquet").exists()


def test_what_stands_in_a_file_twice_is_taken_once(tmp_path):
    other = json.dumps(xlam(0, answers="[]"))
    found = imported(tmp_path, "\n".join([*lines(2), lines(1)[0], other]))
    assert found.samples == 2
    assert rejected(tmp_path) == [
        (3, "line 1 has the same tools and messages, with the same label"),
        (4, "line 1 has the same tools and messages, with another label"),
    ]


def test_many_records_give_the_same_rows_in_several_processes(tmp_path, monkeypatch):
    content = "\n".join(lines(50))
    imported(tmp_path, content)
    alone = pl.read_parquet(tmp_path / "set/samples.parquet")
    monkeypatch.setattr(sample_sets, "_BATCH", 10)
    found = imported(tmp_path, content)
    assert found.records == found.samples == 50
    assert pl.read_parquet(tmp_path / "set/samples.parquet").equals(alone)


def test_a_file_without_any_sample_leaves_an_earlier_set_alone(tmp_path):
    imported(tmp_path, "\n".join(lines(3)))
    assert imported(tmp_path, json.dumps(xlam(0, answers="[{")), "xlam").samples == 0
    assert len(pl.read_parquet(tmp_path / "set/samples.parquet")) == 3
    assert len(rejected(tmp_path)) == 1


def test_a_target_that_is_a_file_is_named(tmp_path):
    (tmp_path / "set").write_text("mine")
    with pytest.raises(ConfigError, match="is not a writable folder"):
        imported(tmp_path, "\n".join(lines(3)))


def test_a_dialogue_whose_samples_would_fill_the_memory_is_cut_short(tmp_path, monkeypatch):
    monkeypatch.setattr(cutting, "LARGEST", 5000)
    messages = [{"role": role, "content": "x" * 50} for role in ("user", "assistant")] * 40
    found = imported(tmp_path, json.dumps({"messages": messages, "tools": [TOOL]}))
    assert 5 < found.samples < 40 and found.samples + found.rejected["turn"] == 40
    assert "take more than 5,000 characters" in rejected(tmp_path)[0][1]


def test_schemas_of_different_shape_are_not_padded(tmp_path):
    other = {**TOOL, "parameters": {"type": "object", "properties": {"n": {"enum": [1, "a"]}}}}
    call = {"name": "roam", "arguments": {"n": "a"}}
    second = xlam(1, tools=json.dumps([other]), answers=json.dumps([call]))
    imported(tmp_path, "\n".join([lines(1)[0], json.dumps(second)]))
    data = pl.read_parquet(tmp_path / "set/samples.parquet")
    tools = [canonical.loads(text)[0]["parameters"]["properties"] for text in data["tools"]]
    assert tools == [{"place": {"type": "string"}}, {"n": {"enum": [1, "a"]}}]
    assert canonical.loads(data["label"][1]) == {"calls": [call]}


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
) | st.sampled_from(["<tool_call>", "a</tool_response>b", "a </think> b", "roam(a)", "[roam(a=1)]"])
OPEN = {**TOOL, "parameters": {"type": "object", "properties": {}, "additionalProperties": True}}
CALLS = st.lists(
    st.builds(
        lambda arguments: {"name": "roam", "arguments": arguments},
        st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), JSON, max_size=3),
    ),
    min_size=1,
    max_size=3,
)
LABELS = CALLS.map(lambda calls: {"calls": calls}) | TEXT.map(lambda text: {"text": text})


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    messages = [{"role": "user", "content": draw(TEXT)}]
    if draw(st.booleans()):
        messages.insert(0, {"role": "system", "content": "The current date is 2024-05-01."})
    for _ in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            calls = draw(CALLS)
            functions = [{"type": "function", "function": call} for call in calls]
            messages.append({"role": "assistant", "content": "", "tool_calls": functions})
            for _ in calls:
                messages.append({"role": "tool", "name": "roam", "content": draw(TEXT)})
        else:
            messages.append({"role": "assistant", "content": draw(TEXT)})
            messages.append({"role": "user", "content": draw(TEXT)})
    return messages


@settings(deadline=None)
@given(
    conversations(),
    LABELS,
    st.sampled_from(["openai", "sharegpt", "looptool", "toolace", "xlam", "sft", "hf"]),
)
def test_a_sample_is_read_as_it_was_written(messages, label, form):
    chosen = formats()[form]
    try:
        record = exports.record_of(form, [OPEN], messages, label)
    except Refused:
        tags = any(tag in json.dumps([messages, label]) for tag in ("tool_", "think>", "roam"))
        assert tags or form not in ("openai", "sharegpt", "sft")
        return
    assert chosen.fits(record)
    changes = Changes()
    found = list(cut(chosen.read(json.loads(json.dumps(record)), changes), changes))
    assert not any(each.reason for each in found)
    if form != "toolace":  # it cannot say that earlier turns are no labels
        assert len(found) == 1
    assert canonical.loads(found[-1].tools) == [OPEN]
    assert canonical.loads(found[-1].messages) == messages
    expected = {"text": "None of the tools can do that."} if form == "xlam" else label
    assert canonical.loads(found[-1].label) == (label if "calls" in label else expected)


def data_set(folder: Path, count: int = 3) -> Path:
    rows = []
    for number in range(count):
        messages = [{"role": "user", "content": f"Walk {number}"}]
        if number == 2:
            messages[:0] = [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Yes"},
            ]
        label = {"calls": [{"name": "roam", "arguments": {"place": str(number)}}]}
        rows.append(
            {
                "sample_id": sample_id([TOOL], messages),
                "tools": canonical.dumps([TOOL]),
                "messages": canonical.dumps(messages),
                "label": canonical.dumps(label),
                "label_id": label_id(label),
                "alternatives": "[]",
                "category": "single",
                "origin": "seed",
                "parent_id": None,
                "born_iteration": 1,
                "label_iteration": 1,
                "label_source": "grammar",
            }
        )
    path = folder / "train.parquet"
    tables.write(tables.frame(tables.Samples, rows), tables.Samples, path)
    return path


def test_an_export_says_what_it_cannot_hold(tmp_path):
    target = tmp_path / "out.jsonl"
    assert exports.export_samples(data_set(tmp_path), target, "xlam") == (2, 1)
    assert len(target.read_text().splitlines()) == 2
    (left_out,) = (tmp_path / "out.jsonl.rejected.jsonl").read_text().splitlines()
    assert json.loads(left_out)["reason"] == "xlam allows one request, not a conversation"
    assert exports.export_samples(tmp_path / "train.parquet", target, "openai") == (3, 0)
    assert not (tmp_path / "out.jsonl.rejected.jsonl").exists()


def test_an_exported_data_set_comes_back_as_it_was(tmp_path):
    path = data_set(tmp_path, 30)
    target = tmp_path / "out.jsonl"
    exports.export_samples(path, target, "sharegpt")
    found = import_samples(target, tmp_path / "set")
    assert (found.format, found.samples, found.records) == ("sharegpt", 30, 30)
    before = tables.read(path, tables.Samples).sort("sample_id")
    after = pl.read_parquet(tmp_path / "set/samples.parquet").sort("sample_id")
    for column in ("sample_id", "tools", "messages", "label"):
        assert after[column].to_list() == before[column].to_list()
