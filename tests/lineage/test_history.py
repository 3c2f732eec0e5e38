from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from ruamel.yaml import YAML

from looptool.core import tables
from looptool.core.errors import ConfigError, LooptoolError
from looptool.lineage.checks import verify_lineage
from looptool.lineage.history import trace
from looptool.lineage.revisions import open_workspace
from looptool.lineage.views import connect, query
from looptool.reporting import tracing
from tests.lineage.conftest import make_project


def first(project: Path, sql: str) -> str:
    return str(query(connect(open_workspace(project)), sql).item(0, 0))


def test_a_corrected_sample_tells_both_labels_and_who_replaced_the_first(history: Path) -> None:
    identity = first(history, "select min(sample_id) from samples where origin = 'corrected'")
    (life,) = trace(open_workspace(history), identity).lives[-1:]
    step = next(step for step in life.steps if step.verdict and
                step.verdict["verdict"] == "LABEL_WRONG")  # fmt: skip
    event = next(event for event in step.events if event.event == "corrected")
    assert event.judge == "rules" and event.model and event.inputs == step.dataset_id
    assert step.probe and not step.probe["matched"]
    old, new = (next(v for v in life.labels if v.label_id == i)
                for i in (event.old_label_id, event.new_label_id))  # fmt: skip
    assert new.source == "judge:rules" and new.iteration == step.iteration
    assert old.label != new.label
    later = next(s for s in life.steps if s.iteration == step.iteration + 1)
    assert later.sample and later.sample["label_id"] == new.label_id
    unknown = {"md5": None, "prompt": None, "base": None}
    assert later.model == {"name": f"models/{later.iteration}", **unknown}


def test_a_sample_tells_in_how_many_answers_it_passed_while_training(own: Path) -> None:
    path = own / "data/iterations/1/rollouts.parquet"
    drawn = tables.read(path, tables.Rollouts)
    identity = drawn["sample_id"][0]
    mine = pl.col("sample_id") == identity
    rewards = pl.when(mine).then(pl.when(pl.col("number") < 1).then(1.0).otherwise(0.5))
    drawn = drawn.with_columns(rewards.otherwise("reward").alias("reward"),
                               anchored=mine & (pl.col("number") == 3))  # fmt: skip
    tables.write(drawn, tables.Rollouts, path)
    (life,) = trace(open_workspace(own), identity).lives[-1:]
    assert life.steps[0].rollouts == {"answers": 3, "pass_rate": pytest.approx(1 / 3)}
    other = first(own, "select sample_id from samples where iteration = 1 and sample_id not in "
                  "(select sample_id from rollouts)")  # fmt: skip
    assert trace(open_workspace(own), other).lives[-1].steps[0].rollouts is None


def test_a_model_that_was_trained_on_other_data_is_not_told_as_trained(own: Path) -> None:
    def locked(read: str) -> dict:
        data = "data/iterations/1/train.parquet"
        return {
            "generate@1": {"outs": [{"path": data, "md5": "a"}]},
            "train@1": {"deps": [{"path": data, "md5": read}],
                        "outs": [{"path": "models/1", "md5": "m"}]},
        }  # fmt: skip

    identity = first(own, "select min(sample_id) from samples where iteration = 1")
    told = {"name": "models/1", "md5": "m", "prompt": None, "base": None}
    for read, model in (("a", told), ("b", None)):
        YAML().dump({"stages": locked(read)}, own / "dvc.lock")
        assert trace(open_workspace(own), identity).lives[-1].steps[0].model == model


def test_an_expansion_is_told_from_the_seed_that_it_goes_back_to(history: Path) -> None:
    identity = first(
        history,
        "select a.sample_id from samples a join samples b on a.parent_id = b.sample_id "
        "where b.parent_id is not null order by 1",
    )
    found = trace(open_workspace(history), identity)
    assert len(found.lives) >= 3 and found.lives[0].parent_id is None
    for parent, child in zip(found.lives, found.lives[1:], strict=False):
        assert child.parent_id == parent.sample_id
    above = trace(open_workspace(history), found.lives[0].sample_id)
    assert found.lives[1].sample_id in {child["sample_id"] for child in above.children}


@pytest.mark.parametrize("length", [6, 12, 32])
def test_a_prefix_is_enough_in_either_case_of_letters(history: Path, length: int) -> None:
    identity = first(history, "select min(sample_id) from samples")
    snapshot = open_workspace(history)
    assert trace(snapshot, identity[:length].upper()).sample_id == identity


def test_a_label_id_names_its_sample_where_only_one_has_it(own: Path) -> None:
    path = own / "data/iterations/1/train.parquet"
    data = pl.read_parquet(path)
    identity = data["sample_id"][5]
    label = pl.when(pl.col("sample_id") == identity).then(pl.lit("f" * 32))
    data.with_columns(label_id=label.otherwise("label_id")).write_parquet(path)
    assert trace(open_workspace(own), "ffffff").sample_id == identity


def test_an_id_that_fits_several_or_none_is_told_with_what_there_is(history: Path) -> None:
    snapshot = open_workspace(history)
    shared = first(history, "select label_id from samples group by all having count(*) > 9")
    with pytest.raises(LooptoolError, match=r"matches \d+ samples: [0-9a-f]{32}, "):
        trace(snapshot, shared)
    with pytest.raises(LooptoolError, match=r"no such sample or label; the nearest are "):
        trace(snapshot, "0123456789")
    for bad in ("abc", "not-hex", "", "a" * 33):
        with pytest.raises(ConfigError, match="an id has 6 to 32 of the characters"):
            trace(snapshot, bad)


def test_an_expansion_without_room_is_told_as_refused(history: Path) -> None:
    identity = first(history, "select min(sample_id) from rejected")
    life = trace(open_workspace(history), identity).lives[-1]
    assert life.kind == "rejected" and life.rejected[0]["check"] == "cap"
    assert [event.event for event in life.steps[0].events] == ["expanded", "capped"]
    (label,) = life.labels
    assert label.label_id == life.steps[0].events[0].new_label_id


def test_the_tree_the_chart_and_the_json_tell_the_same_history(history: Path) -> None:
    identity = first(history, "select min(sample_id) from samples where origin = 'expanded'")
    found = trace(open_workspace(history), identity)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(tracing.tree(found))
    told = console.export_text()
    chart = tracing.mermaid(found)
    copy = json.loads(json.dumps(dataclasses.asdict(found)))
    assert copy["sample_id"] == identity
    for life in found.lives:
        assert life.sample_id in told and life.sample_id[:8] in chart
        for step in life.steps:
            assert f"iteration {step.iteration}" in told
            for event in step.events:
                assert event.event in told and event.event in chart


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10**6), samples=st.integers(1, 25), iterations=st.integers(1, 4))
def test_every_walk_back_ends_at_a_seed_and_every_relabelled_row_at_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, seed: int, samples: int, iterations: int
) -> None:
    project = make_project(tmp_path_factory.mktemp("lot"), samples, iterations, seed)
    snapshot = open_workspace(project)
    assert list(verify_lineage(snapshot)) == []
    for path in snapshot.tables("train.parquet").values():
        for row in pl.read_parquet(path).iter_rows(named=True):
            found = trace(snapshot, row["sample_id"])
            seed_life = found.lives[0]
            assert seed_life.parent_id is None
            assert seed_life.steps[0].events[0].event == "born"
            if row["label_source"].startswith("judge:"):
                steps = [s for s in found.lives[-1].steps if s.iteration == row["label_iteration"]]
                assert steps[0].verdict and steps[0].verdict["new_label_id"] == row["label_id"]
