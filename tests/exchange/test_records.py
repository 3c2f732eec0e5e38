"""Files as they lie about: compressed, broken off, Parquet, saved by `datasets`, in folders."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core.errors import ConfigError
from looptool.exchange import sample_sets
from looptool.exchange.records import read_records

ROWS = [{"a": number, "b": f"ä{number}" * 40} for number in range(300)]


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def json_lines(rows: list[Any] = ROWS) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def read(path: Path, content: bytes | None = None) -> tuple[list[Any], list[str]]:
    """The records of a file, and what is wrong with it."""
    if content is not None:
        path.write_bytes(content)
    found = list(read_records(path))
    return [json.loads(raw.text) for raw in found if not raw.reason], [
        raw.reason for raw in found if raw.reason
    ]


@pytest.mark.parametrize("pack", [gzip.compress, zstd, lambda data: data])
@pytest.mark.parametrize("text", [json_lines(), b"\xef\xbb\xbf" + json.dumps(ROWS).encode()])
def test_compressed_texts_are_read_whatever_their_name_says(tmp_path, pack, text):
    assert read(tmp_path / "a.json", pack(text)) == (ROWS, [])


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_several_compressed_pieces_in_one_file_are_one(tmp_path, pack):
    content = pack(json_lines(ROWS[:100]) + b"\n") + pack(json_lines(ROWS[100:]))
    assert read(tmp_path / "a.gz", content) == (ROWS, [])


@pytest.mark.parametrize("text", [json_lines(), json.dumps(ROWS, indent=1).encode()])
def test_a_compressed_file_that_breaks_off_gives_what_was_whole(tmp_path, text):
    rows, problems = read(tmp_path / "a.gz", gzip.compress(text)[:-300])
    assert rows == ROWS[: len(rows)]
    assert len(rows) > 100
    assert len(problems) == 1


@given(st.data())
def test_an_array_that_breaks_off_anywhere_keeps_its_whole_records(tmp_path_factory, data):
    text = json.dumps(ROWS[:4], ensure_ascii=False).encode()
    cut = data.draw(st.integers(1, len(text) - 1))
    rows, problems = read(tmp_path_factory.mktemp("a") / "a.json", text[:cut])
    assert rows == ROWS[: len(rows)]
    assert len(json.dumps(ROWS[: len(rows)], ensure_ascii=False).encode()) <= cut + 1
    assert len(problems) == 1


def test_where_an_array_breaks_is_told_by_its_line(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('[\n{"a": 1},\n{"a": 2},\n{"a": ')
    *_, last = read_records(file)
    assert last.line == 4
    assert "the array is cut off" in last.reason


def test_parquet_is_read_row_by_row_with_its_nested_columns(tmp_path):
    pl.DataFrame({"a": [1, 2], "b": [[{"c": "x"}], None]}).write_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == (
        [{"a": 1, "b": [{"c": "x"}]}, {"a": 2, "b": None}],
        [],
    )


def test_a_row_that_json_cannot_hold_is_refused_with_its_number(tmp_path):
    pl.DataFrame({"a": [b"x"]}).write_parquet(tmp_path / "a.parquet")
    (raw,) = read_records(tmp_path / "a.parquet")
    assert raw.line == 1
    assert "bytes is not JSON" in raw.reason


def test_damaged_parquet_is_named(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ConfigError, match=r"a\.parquet: not a Parquet file"):
        list(read_records(tmp_path / "a.parquet"))


def test_what_datasets_has_saved_is_read(tmp_path):
    datasets.Dataset.from_list(ROWS).select(range(200)).save_to_disk(tmp_path / "one")
    assert read(tmp_path / "one") == (ROWS[:200], [])
    splits = {name: datasets.Dataset.from_list(ROWS[:3]) for name in ("train", "test")}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "two")
    with pytest.raises(ConfigError, match=r"several splits \(train, test\); name one"):
        list(read_records(tmp_path / "two"))
    assert read(tmp_path / "two/train") == (ROWS[:3], [])


def test_the_files_of_a_folder_are_one_set(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(2):
        part = pl.DataFrame(ROWS[number * 150 : number * 150 + 150])
        part.write_parquet(folder / f"train-{number:05}-of-00002.parquet")
    (tmp_path / "README.md").write_text("A card")
    assert read(tmp_path) == (ROWS, [])
    assert [raw.line for raw in read_records(tmp_path)] == list(range(1, 301))
    (folder / "test.jsonl").write_text("{}")
    with pytest.raises(ConfigError, match=r"several sets \(test, train\); name a file"):
        list(read_records(tmp_path))


def test_a_folder_without_samples_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(ConfigError, match="contains no "):
        list(read_records(tmp_path))
    with pytest.raises(ConfigError, match="nothing: No such file"):
        list(read_records(tmp_path / "nothing"))


def test_two_files_of_one_name_get_places_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = {"query": "Go", "tools": [{"name": "go"}], "answers": [{"name": "go"}]}
    for folder in ("a", "b", "c/b"):
        file = Path(folder, "train.jsonl.gz")
        file.parent.mkdir(parents=True)
        file.write_bytes(gzip.compress(json.dumps(record).encode()))
    for folder, place in [("a", "train"), ("b", "b-train"), ("a", "train"), ("b", "b-train")]:
        file = Path(folder, "train.jsonl.gz")
        assert sample_sets.place_of(file) == Path("data/samples", place)
        sample_sets.import_samples(file, sample_sets.place_of(file))
    with pytest.raises(ConfigError, match="name a folder with --output"):
        sample_sets.place_of(Path("c/b/train.jsonl.gz"))
