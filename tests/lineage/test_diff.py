from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from looptool.core import canonical, tables
from looptool.core.errors import ConfigError, LooptoolError, TableError
from looptool.core.samples import ORIGINS
from looptool.lineage.diff import CLASSES, DataSet, compare, open_data_set
from looptool.reporting import differences

LABELS = [canonical.dumps({"text": text}) for text in ("Yes.", "No.")]


def row(number: int, label: int = 0, origin: str = "seed", alternatives: str = "[]") -> dict:
    return {
        "sample_id": canonical.digest(str(number)),
        "tools": "[]",
        "messages": canonical.dumps([{"role": "user", "content": f"Request {number}"}]),
        "label": LABELS[label],
        "label_id": canonical.digest(LABELS[label]),
        "alternatives": alternatives,
        "category": ("single", "clarify")[number % 2],
        "origin": origin,
        "parent_id": None,
        "born_iteration": 1,
        "label_iteration": 1,
        "label_source": "grammar",
    }


def data_set(path: Path, rows: list[dict]) -> DataSet:
    tables.write(tables.frame(tables.Samples, rows), tables.Samples, path)
    return DataSet(path.stem, path, None)


ROWS = st.dictionaries(
    st.integers(0, 12),
    st.tuples(st.integers(0, 1), st.sampled_from(ORIGINS), st.sampled_from(["[]", "[{}]"])),
    max_size=10,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=ROWS, after=ROWS)
def test_each_row_is_in_exactly_one_class(
    tmp_path: Path, before: dict[int, tuple], after: dict[int, tuple]
) -> None:
    a, b = (
        data_set(tmp_path / name, [row(number, *rest) for number, rest in rows.items()])
        for name, rows in (("a.parquet", before), ("b.parquet", after))
    )
    expected: Counter[str] = Counter()
    for number in before.keys() | after.keys():
        if number not in before:
            expected["added"] += 1
        elif number not in after:
            expected["removed"] += 1
        elif before[number][0] != after[number][0]:
            expected["relabelled"] += 1
        elif before[number][1] != after[number][1]:
            expected["moved"] += 1
        elif before[number][2] != after[number][2]:
            expected["relabelled"] += 1
        else:
            expected["unchanged"] += 1
    told = compare(a, b).to_json()
    assert {name: told[name]["total"] for name in CLASSES} == {n: expected[n] for n in CLASSES}
    for name in CLASSES:
        for counts in told[name]["by"].values():
            assert sum(counts.values()) == told[name]["total"]


def test_two_iterations_differ_by_what_the_loop_did(history: Path) -> None:
    found = compare(open_data_set("1", history), open_data_set("2", history), examples=2)
    told = found.to_json()
    carried = pl.read_parquet(history / "data/iterations/1/carried.parquet")
    origins = Counter(carried["origin"])
    assert told["relabelled"]["by"]["origin"] == {"corrected": origins["corrected"]}
    assert told["added"]["by"]["origin"]["expanded"] == origins["expanded"]
    assert told["moved"]["total"] == sum(
        origins[name] for name in ("error_seed", "alternative", "undecided", "high_ppl")
    )
    assert told["unchanged"]["total"] == 0  # a carried row has left its origin `seed`
    assert 0 < told["before"]["label_error"] < 1 and 0 < told["after"]["label_error"] < 1
    assert Counter(example["change"] for example in told["rows"]) == {
        "added": 2, "removed": 2, "relabelled": 2, "moved": 2,
    }  # fmt: skip


def test_an_example_shows_the_label_before_and_after_without_colours(history: Path) -> None:
    console = Console(width=300, record=True, no_color=True, file=io.StringIO())
    differences.show(
        compare(open_data_set("1", history), open_data_set("2", history), examples=1), console
    )
    told = console.export_text()
    assert '[-"' in told and '{+"' in told and "wrong labels: " in told and "relabelled" in told


def test_what_would_be_markup_or_a_control_code_is_shown_as_it_is(tmp_path: Path) -> None:
    odd = [{**row(1), "category": "[/i] [red]"}, {**row(2), "category": "\x1b[2J"}]
    diff = compare(data_set(tmp_path / "a.parquet", odd), data_set(tmp_path / "b.parquet", []), 2)
    console = Console(width=200, record=True, file=io.StringIO())
    differences.show(diff, console)
    told = console.export_text()
    assert "[/i] [red]" in told and "\x1b" not in told and "\ufffd[2J" in told


def test_a_sample_id_that_stands_twice_is_told(tmp_path: Path) -> None:
    twice = tmp_path / "twice.parquet"
    pl.concat([tables.frame(tables.Samples, [row(1)])] * 2).write_parquet(twice)
    with pytest.raises(TableError, match="2 rows have only 1 different sample_ids"):
        compare(DataSet("a", twice, None), DataSet("b", twice, None))


def test_a_data_set_is_the_same_as_itself(history: Path) -> None:
    told = compare(open_data_set("2", history), open_data_set("2", history)).to_json()
    assert told["unchanged"]["total"] == 200
    assert not any(told[name]["total"] for name in CLASSES if name != "unchanged")


def test_a_reference_that_names_nothing_is_told(history: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give an iteration"):
        open_data_set("two", history)
    with pytest.raises(LooptoolError, match="the workspace has no data set 7; it has 1, 2, 3"):
        open_data_set("7", history)
    with pytest.raises(TableError, match="does not exist"):
        open_data_set("nothing.parquet", history)
    with pytest.raises(TableError, match="not a Samples table: column tools is missing"):
        open_data_set("data/iterations/1/probe.parquet", history)
    with pytest.raises(ConfigError, match=r"dvc\.yaml: does not exist"):
        open_data_set("1", tmp_path)
