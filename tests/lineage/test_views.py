from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from looptool.core import tables
from looptool.core.errors import ConfigError, LooptoolError, TableError
from looptool.lineage.revisions import open_workspace
from looptool.lineage.views import VIEWS, close, connect, query


@pytest.fixture
def guarded(history: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = connect(open_workspace(history), guarded=True)
    yield connection
    close(connection)


def test_a_view_holds_a_table_of_all_iterations(history: Path) -> None:
    connection = connect(open_workspace(history))
    assert query(connection, "select count(*) from samples").item() == 600
    assert query(connection, "select count(distinct iteration) from evals").item() == 4
    events = query(connection, "select stage, count(*) from lineage group by all").rows()
    assert dict(events)["generate"] == 600
    accuracy = "select value from metrics where name = 'heldout.accuracy' and iteration = 2"
    assert 0 < query(connection, accuracy).item() < 1


def test_views_of_tables_that_are_not_there_yet_are_empty(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    connection = connect(open_workspace(tmp_path), guarded=True)
    for view in (*VIEWS, "metrics"):
        found = query(connection, f"from {view}")
        assert len(found) == 0 and "iteration" in found.columns
    found = query(connection, "from bench")
    assert len(found) == 0 and found.schema == tables.polars_schema(tables.Bench)
    close(connection)


@pytest.mark.parametrize(
    "statement",
    [
        "copy (select 1) to '{0}'",
        "explain analyze copy (select 1) to '{0}'",
        "copy (select 1) to '{1}'",
        "create table mine as select 1",
        "drop view samples",
        "attach '{0}' as other",
        "export database '{0}'",
        "set enable_external_access = true",
        "install httpfs",
        "select 1; copy (select 1) to '{0}'",
        "insert into metrics values (1, 'a', 'b', 2)",
        "with x as (copy (select 1 a) to '{0}') from x",
        "with x as (copy (select 1 a) to '{1}' (format parquet, use_tmp_file false)) from x",
        "with x as (copy (select 1 a) to 'readonly://{1}' (format parquet, use_tmp_file false)) "
        "from x",
        "with x as (delete from metrics returning *) from x",
        "",
    ],
)
def test_a_statement_that_could_change_something_is_refused(
    history: Path, tmp_path: Path, statement: str, guarded: duckdb.DuckDBPyConnection
) -> None:
    table = history / "data/iterations/1/train.parquet"
    before = table.read_bytes()
    rows = query(guarded, "select count(*) from metrics").item()
    with pytest.raises(ConfigError, match="sql: "):
        query(guarded, statement.format(tmp_path / "out", table))
    assert query(guarded, "select count(*) from metrics").item() == rows > 0
    assert list(tmp_path.iterdir()) == [] and table.read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    ["select * from read_text('/etc/hostname')", "from '/etc/hostname'", "from glob('/etc/*')"],
)
def test_no_other_file_can_be_read(statement: str, guarded: duckdb.DuckDBPyConnection) -> None:
    assert query(guarded, "select count(*) from samples").item() == 600
    with pytest.raises(ConfigError, match="sql: "):
        query(guarded, statement)


def test_a_guarded_file_is_read_by_several_threads_at_once(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    data = pl.select(number=pl.int_range(600_000)).select(
        sample_id=pl.col("number").cast(pl.String),
        label=(pl.col("number") * 7919).cast(pl.String),
        label_id=(pl.col("number") * 104_729 % 999_983).cast(pl.String),
        noise=pl.lit(None, pl.String),
    )
    for iteration in (1, 2):
        path = tmp_path / f"data/iterations/{iteration}/truth.parquet"
        path.parent.mkdir(parents=True)
        data.write_parquet(path, row_group_size=20_000)
    connection = connect(open_workspace(tmp_path), guarded=True)
    asked = "select sum(label::bigint), sum(label_id::bigint), sum(sample_id::bigint) from truth"
    expected = tuple(2 * int(data[name].cast(pl.Int64).sum())
                     for name in ("label", "label_id", "sample_id"))  # fmt: skip
    for _ in range(5):
        assert tuple(map(int, query(connection, asked).row(0))) == expected
    close(connection)


def test_an_answer_that_has_no_form_here_is_told(guarded: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ConfigError, match="sql: "):
        query(guarded, "select interval 1 day")
    assert len(query(guarded, "from samples", limit=3)) == 3


def test_a_table_that_is_no_parquet_is_told(own: Path) -> None:
    (own / "data/iterations/2/probe.parquet").write_bytes(b"no parquet")
    with pytest.raises(TableError, match=r"iterations/2/probe\.parquet: cannot be read"):
        connect(open_workspace(own))
    (own / "data/iterations/2/probe.parquet").unlink()
    (own / "metrics/labels.json").write_text("[1]")
    with pytest.raises(LooptoolError, match=r"labels\.json: not a JSON object of objects"):
        connect(open_workspace(own))


def test_a_mistake_is_told_on_one_line_with_what_was_meant(history: Path) -> None:
    connection = connect(open_workspace(history))
    with pytest.raises(ConfigError) as caught:
        query(connection, "select categry from samples")
    assert "\n" not in str(caught.value) and "category" in str(caught.value)
    assert isinstance(query(connection, "summarize samples"), pl.DataFrame)
