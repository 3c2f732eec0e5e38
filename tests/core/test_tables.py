import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core import samples, tables
from looptool.core.errors import TableError

ROOT = Path(__file__).parents[2]
ALL = [
    tables.Samples,
    tables.Truth,
    tables.Seen,
    tables.Probe,
    tables.Verdicts,
    tables.Rejected,
    tables.Lineage,
    tables.Eval,
]


def seen(numbers):
    return tables.frame(
        tables.Seen, [{"sample_id": f"{number:032x}", "iteration": 1} for number in numbers]
    )


def rejected(stages):
    row = {"sample_id": "0" * 32, "check": "c", "reason": "r", "parent_id": None}
    texts = {"tools": "[]", "messages": "[]", "label": "{}"}
    return tables.frame(tables.Rejected, [{**row, **texts, "stage": stage} for stage in stages])


def written(folder, data, table):
    tables.write(data, table, folder / "t.parquet")
    return (folder / "t.parquet").read_bytes()


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.__name__)
def test_an_empty_table_keeps_its_columns_and_types(table, tmp_path):
    empty = tables.frame(table, [])
    tables.write(empty, table, tmp_path / "t.parquet")
    read = tables.read(tmp_path / "t.parquet", table)
    assert read.schema == empty.schema == pl.Schema(tables.polars_schema(table))
    assert len(read) == 0


@given(st.lists(st.integers(0, 50), unique=True, min_size=1), st.randoms(use_true_random=False))
def test_the_same_rows_give_the_same_bytes_in_any_order(tmp_path_factory, numbers, rng):
    folder = tmp_path_factory.mktemp("t")
    shuffled = rng.sample(numbers, len(numbers))
    assert written(folder, seen(numbers), tables.Seen) == written(
        folder, seen(shuffled), tables.Seen
    )
    assert tables.read(folder / "t.parquet", tables.Seen).equals(seen(sorted(numbers)))


def test_rows_with_the_same_key_are_ordered_by_their_other_columns(tmp_path):
    there = written(tmp_path, rejected("abcde"), tables.Rejected)
    assert written(tmp_path, rejected("dbaec"), tables.Rejected) == there


def test_neither_chunks_nor_the_order_of_columns_change_the_bytes(tmp_path):
    data = seen(range(300))
    pieces = pl.concat([data[:7], data[7:100], data[100:]], rechunk=False)
    there = written(tmp_path, data, tables.Seen)
    assert written(tmp_path, pieces.select("iteration", "sample_id"), tables.Seen) == there


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"sample_id": pl.lit("short")}, "sample_id"),
        ({"sample_id": pl.lit("0" * 32)}, "sample_id"),
        ({"sample_id": pl.lit(None, pl.String)}, "sample_id"),
        ({"iteration": pl.lit(-1)}, "iteration"),
        ({"iteration": pl.lit("1")}, "iteration"),
        ({"more": pl.lit(1)}, "more"),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused_with_its_column(change, column, tmp_path):
    data = seen([1, 2]).with_columns(**change)
    with pytest.raises(TableError) as error:
        tables.write(data, tables.Seen, tmp_path / "seen.parquet")
    message = str(error.value)
    assert "seen.parquet" in message and "Seen" in message and column in message
    assert len(message.splitlines()) < 20
    assert list(tmp_path.iterdir()) == []
    data.write_parquet(tmp_path / "seen.parquet")
    with pytest.raises(TableError, match=column):
        tables.read(tmp_path / "seen.parquet", tables.Seen)


def test_a_missing_column_is_named():
    with pytest.raises(TableError, match="iteration"):
        tables.check(seen([1]).drop("iteration"), tables.Seen)


@pytest.mark.parametrize("ppl", [float("nan"), float("inf"), 0.5])
def test_a_perplexity_that_is_no_number_from_one_up_is_refused(ppl):
    row = {"sample_id": "0" * 32, "prediction": "", "calls": "[]", "text": ""}
    rest = {
        "thinking": "",
        "parse_error": None,
        "matched": True,
        "ppl": ppl,
        "high_ppl": False,
        "tokens": 1,
        "error_type": None,
    }
    with pytest.raises(TableError, match="ppl"):
        tables.check(tables.frame(tables.Probe, [{**row, **rest}]), tables.Probe)


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_a_corrupt_file_is_told_on_one_line(content, tmp_path):
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(TableError, match=r"t\.parquet: not a Parquet file") as error:
        tables.read(tmp_path / "t.parquet", tables.Seen)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_told_with_what_makes_it(tmp_path):
    with pytest.raises(TableError, match="dvc repro"):
        tables.read(tmp_path / "t.parquet", tables.Seen)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    before = written(tmp_path, seen([1]), tables.Seen)
    code = (
        "import resource, signal, sys\n"
        "from looptool.core import tables\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "rows = [{'sample_id': f'{n:032x}', 'iteration': n} for n in range(5000)]\n"
        "data = tables.frame(tables.Seen, rows)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    tables.write(data, tables.Seen, sys.argv[1])\n"
        "except tables.TableError as error:\n"
        "    print(error)\n"
    )
    path = str(tmp_path / "t.parquet")
    # -B: Python would keep the bytecode of what is imported under the limit, cut off
    told = subprocess.run(
        [sys.executable, "-B", "-c", code, path],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert f"{path}: could not be written" in told.stdout
    assert (tmp_path / "t.parquet").read_bytes() == before
    assert os.listdir(tmp_path) == ["t.parquet"]


def test_a_read_only_link_is_replaced_and_not_written_through(tmp_path):
    before = written(tmp_path, seen([1]), tables.Seen)
    (tmp_path / "cache").hardlink_to(tmp_path / "t.parquet")
    assert written(tmp_path, seen([2]), tables.Seen) != before
    assert (tmp_path / "cache").read_bytes() == before


def test_the_tables_know_the_same_origins_as_the_samples():
    row = {"sample_id": "0" * 32, "tools": "[]", "messages": "[]", "label": "{}"}
    rest = {"label_id": "0" * 32, "alternatives": "[]", "category": "single", "parent_id": None}
    numbers = {"born_iteration": 1, "label_iteration": 1, "label_source": "author"}
    for origin in samples.ORIGINS:
        data = [{**row, **rest, **numbers, "origin": origin}]
        assert len(tables.check(tables.frame(tables.Samples, data), tables.Samples)) == 1


def test_rows_are_sorted_by_the_key_unless_their_order_is_kept(tmp_path):
    rows = seen([1, 2, 3]).sort("sample_id", descending=True)
    ids = rows["sample_id"].to_list()
    for sort, order in ((True, ids[::-1]), (False, ids)):
        tables.write(rows, tables.Seen, tmp_path / "seen.parquet", sort=sort)
        found = tables.read(tmp_path / "seen.parquet", tables.Seen)
        assert found["sample_id"].to_list() == order
