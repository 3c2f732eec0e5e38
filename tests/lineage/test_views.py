from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from looptool.errors import ConfigError
from looptool.lineage.revisions import open_workspace
from looptool.lineage.views import VIEWS, connect, query


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
    connection = connect(open_workspace(tmp_path))
    for view in (*VIEWS, "metrics"):
        found = query(connection, f"from {view}")
        assert len(found) == 0 and "iteration" in found.columns


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
        "",
    ],
)
def test_a_statement_that_could_change_something_is_refused(
    history: Path, tmp_path: Path, statement: str
) -> None:
    table = history / "data/iterations/1/train.parquet"
    before = table.read_bytes()
    connection = connect(open_workspace(history))
    with pytest.raises(ConfigError, match="sql: "):
        query(connection, statement.format(tmp_path / "out", table))
    assert list(tmp_path.iterdir()) == [] and table.read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    ["select * from read_text('/etc/hostname')", "from '/etc/hostname'", "from glob('/etc/*')"],
)
def test_no_other_file_can_be_read(history: Path, statement: str) -> None:
    with pytest.raises(ConfigError, match="sql: "):
        query(connect(open_workspace(history)), statement)


def test_a_mistake_is_told_on_one_line_with_what_was_meant(history: Path) -> None:
    connection = connect(open_workspace(history))
    with pytest.raises(ConfigError) as caught:
        query(connection, "select categry from samples")
    assert "\n" not in str(caught.value) and "category" in str(caught.value)
    assert isinstance(query(connection, "summarize samples"), pl.DataFrame)
