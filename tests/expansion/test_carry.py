from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.core import canonical, samples, tables
from looptool.core.errors import TableError
from looptool.core.events import stamped
from looptool.expansion import Candidate
from looptool.expansion.carry import compose, expanded_rows
from looptool.expansion.error_seeds import error_seeds
from looptool.judging.label_correction import outcomes

TOOL = {
    "name": "get_time",
    "description": "Local time",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
OSLO = {"calls": [{"name": "get_time", "arguments": {"city": "Oslo"}}]}
ROME = {"calls": [{"name": "get_time", "arguments": {"city": "Rome"}}]}
SAID = "<tool_call>" + canonical.dumps(ROME["calls"][0]) + "</tool_call>"
FATES = ("mastered", "high_ppl", *samples.VERDICTS)
MISMATCHES = FATES[2:]


def messages(text):
    return [{"role": "user", "content": text}]


def data_of(fates, prediction=SAID, calls=ROME["calls"]):
    """D_j, its probe and verdicts, such that row n meets fates[n]."""
    rows, probes, verdicts = [], [], []
    for number, fate in enumerate(fates):
        identity = samples.sample_id([TOOL], messages(f"Request {number}"))
        rows.append(
            {
                "sample_id": identity,
                "tools": canonical.dumps([TOOL]),
                "messages": canonical.dumps(messages(f"Request {number}")),
                "label": canonical.dumps(OSLO),
                "label_id": samples.label_id(OSLO),
                "alternatives": "[]",
                "category": "single",
                "origin": "seed",
                "parent_id": None,
                "born_iteration": 1,
                "label_iteration": 1,
                "label_source": "author:grammar",
            }
        )
        missed = fate in MISMATCHES
        probes.append(
            {
                "sample_id": identity,
                "prediction": prediction,
                "calls": canonical.dumps(calls),
                "text": "" if calls else prediction,
                "thinking": "",
                "parse_error": None,
                "matched": not missed,
                "ppl": 1.5,
                "high_ppl": fate == "high_ppl",
                "tokens": 9,
                "error_type": "wrong_argument" if missed else None,
            }
        )
        if missed:
            changes = fate in ("LABEL_WRONG", "BOTH_CORRECT")
            said = {"calls": calls} if calls else {"text": prediction}
            verdicts.append(
                {
                    "sample_id": identity,
                    "verdict": fate,
                    "rationale": "the user says otherwise",
                    "judge": "rules",
                    "votes": "{}",
                    "consensus": 1.0,
                    "old_label_id": samples.label_id(OSLO),
                    "new_label_id": samples.label_id(said) if changes else None,
                }
            )
    return (
        tables.frame(tables.Samples, rows),
        tables.frame(tables.Probe, probes),
        tables.frame(tables.Verdicts, verdicts),
    )


def candidate(parent, text, label=OSLO):
    return Candidate(parent, [TOOL], messages(text), label, "single", "t")


def expansions(seeds, k):
    return [
        candidate(seed.sample_id, f"{seed.sample_id} {n}", seed.label)
        for seed in seeds
        for n in range(k)
    ]


def outcomes_of(data, iteration=1, keep_high_ppl=True):
    return outcomes(*data, iteration=iteration, keep_high_ppl=keep_high_ppl)


def seeds_of(data):
    return error_seeds(outcomes_of(data))


def composed(data, accepted=(), *, iteration=1, keep_high_ppl=True, **options):
    rows = outcomes_of(data, iteration, keep_high_ppl)
    expanded = expanded_rows(accepted, iteration, "rewriter")
    carry = compose(rows, expanded, **({"total": 1000, "seed": "7"} | options))
    return replace(carry, lineage=stamped(carry.lineage, "expand", iteration, 7, "model", "D"))


def test_each_fate_leads_to_its_origin_and_event():
    data = data_of(FATES)
    result = composed(data)
    ids = dict(zip(FATES, data[0]["sample_id"], strict=True))
    origins = dict(result.carried.select("sample_id", "origin").iter_rows())
    assert origins == {
        ids["high_ppl"]: "high_ppl",
        ids["PRED_WRONG"]: "error_seed",
        ids["LABEL_WRONG"]: "corrected",
        ids["BOTH_CORRECT"]: "alternative",
        ids["NO_CONSENSUS"]: "undecided",
    }
    events = dict(result.lineage.select("sample_id", "event").iter_rows())
    assert events == dict(
        zip(
            data[0]["sample_id"],
            [
                "mastered",
                "high_ppl",
                "error_seed",
                "corrected",
                "alternative",
                "dropped",
                "undecided",
            ],
            strict=True,
        )
    )
    assert result.metrics["events"]["dropped"] == 1
    assert result.metrics["size"] == 5


def test_a_corrected_row_takes_the_prediction_as_its_label_and_keeps_its_id():
    data = data_of(["LABEL_WRONG"])
    result = composed(data, iteration=3)
    row = result.carried.row(0, named=True)
    assert canonical.loads(row["label"]) == ROME
    assert row["label_id"] == samples.label_id(ROME)
    assert (row["label_iteration"], row["label_source"]) == (3, "judge:rules")
    assert (row["born_iteration"], row["sample_id"]) == (1, data[0]["sample_id"][0])
    event = result.lineage.row(0, named=True)
    assert event["old_label_id"] == samples.label_id(OSLO)
    assert event["new_label_id"] == samples.label_id(ROME)
    assert event["judge"] == "rules"


def test_a_label_corrected_to_a_text_is_of_a_category_that_asks_for_text():
    data = data_of(["LABEL_WRONG"], prediction="Sorry, I have no such tool.", calls=[])
    row = composed(data).carried.row(0, named=True)
    assert canonical.loads(row["label"]) == {"text": "Sorry, I have no such tool."}
    assert row["category"] == "irrelevant"


def test_a_row_with_an_alternative_keeps_its_label_and_gains_the_prediction():
    row = composed(data_of(["BOTH_CORRECT"]), iteration=3).carried.row(0, named=True)
    assert canonical.loads(row["label"]) == OSLO
    assert canonical.loads(row["alternatives"]) == [ROME]
    assert (row["label_iteration"], row["label_source"]) == (1, "author:grammar")


def test_without_verdicts_every_mismatch_is_an_error_seed():
    data = data_of(FATES)
    data = (data[0], data[1], data[2].clear())
    result = composed(data)
    assert result.metrics["carried"]["error_seed"] == 5
    assert [seed.label for seed in seeds_of(data)] == [OSLO] * 5


def test_high_ppl_rows_count_as_mastered_where_they_are_not_kept():
    result = composed(data_of(["high_ppl"]), keep_high_ppl=False)
    assert result.carried.is_empty()
    assert result.lineage["event"].to_list() == ["mastered"]


def test_what_the_model_refused_is_undecided_and_no_error_seed():
    rows, probed, verdicts = data_of(["PRED_WRONG", "mastered", "PRED_WRONG"])
    refused = pl.col("sample_id") == rows["sample_id"][0]
    kind = pl.when(refused).then(pl.lit("refused")).otherwise("error_type")
    probed = probed.with_columns(error_type=kind)
    data = (rows, probed, verdicts.filter(~refused))
    events = dict(outcomes_of(data).select("sample_id", "event").rows())
    assert [events[each] for each in rows["sample_id"]] == ["undecided", "mastered", "error_seed"]
    unverified = (rows, probed, verdicts.clear())
    assert outcomes_of(unverified).filter(refused)["event"].to_list() == ["undecided"]
    with pytest.raises(TableError, match="sample_ids are not the probe's mismatches"):
        outcomes_of((rows, probed, verdicts))


def test_error_seeds_are_the_failed_and_the_corrected_with_their_new_label():
    seeds = {seed.sample_id: seed for seed in seeds_of(data_of(FATES))}
    ids = dict(zip(FATES, data_of(FATES)[0]["sample_id"], strict=True))
    assert set(seeds) == {ids["PRED_WRONG"], ids["LABEL_WRONG"]}
    assert seeds[ids["PRED_WRONG"]].label == OSLO
    assert seeds[ids["LABEL_WRONG"]].label == ROME
    assert seeds[ids["PRED_WRONG"]].rationale == "the user says otherwise"
    assert canonical.loads(seeds[ids["PRED_WRONG"]].wrong) == ROME
    assert canonical.loads(seeds[ids["LABEL_WRONG"]].wrong) == OSLO


def test_expansions_point_to_their_error_seed_and_name_the_expander():
    data = data_of(["PRED_WRONG"])
    result = composed(data, expansions(seeds_of(data), 2), iteration=2)
    made = result.carried.filter(pl.col("origin") == "expanded")
    assert made["parent_id"].to_list() == [data[0]["sample_id"][0]] * 2
    assert set(made["label_source"]) == {"expander:rewriter"}
    assert set(made["born_iteration"]) == set(made["label_iteration"]) == {2}


def test_caps_bind_by_origin_and_overall_and_capped_rows_are_logged():
    data = data_of(["PRED_WRONG"] * 6 + ["high_ppl"] * 6)
    result = composed(
        data, expansions(seeds_of(data), 2), total=10, share=0.9, caps={"high_ppl": 0.2}
    )
    assert result.metrics["carried"] == {
        "corrected": 0,
        "error_seed": 6,
        "alternative": 0,
        "undecided": 0,
        "high_ppl": 2,
        "expanded": 1,
    }
    assert result.metrics["events"]["capped"] == 4 + 11
    assert len(result.rejected) == 11
    tables.check(result.rejected, tables.Rejected)


def test_which_rows_stay_depends_on_the_seed_but_not_on_the_order_of_rows():
    data = data_of(["PRED_WRONG"] * 40)
    caps = {"error_seed": 0.5}
    first = composed(data, total=20, caps=caps)
    turned = composed([part.reverse() for part in data], total=20, caps=caps)
    other = composed(data, total=20, caps=caps, seed="8")
    assert first.carried.equals(turned.carried)
    assert first.lineage.equals(turned.lineage)
    assert not first.carried.equals(other.carried)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(FATES), max_size=25),
    st.integers(0, 3),
    st.integers(0, 30),
    st.floats(0, 1.5),
    st.dictionaries(st.sampled_from(samples.CARRIED_ORIGINS), st.floats(0, 1.5), max_size=6),
    st.booleans(),
)
def test_no_sample_is_lost_or_doubled(fates, k, total, share, caps, keep):
    data = data_of(fates)
    accepted = expansions(seeds_of(data), k)
    result = composed(data, accepted, total=total, share=share, caps=caps, keep_high_ppl=keep)
    carried = tables.check(result.carried, tables.Samples)
    lineage = tables.check(result.lineage, tables.Lineage)
    everyone = {*data[0]["sample_id"], *(samples.sample_id(c.tools, c.messages) for c in accepted)}
    own = lineage.filter(pl.col("event") != "capped")
    assert sorted(own["sample_id"]) == sorted(everyone)
    gone = own.filter(pl.col("event").is_in(["mastered", "dropped"]))["sample_id"]
    capped = lineage.filter(pl.col("event") == "capped")["sample_id"]
    assert sorted([*carried["sample_id"], *gone, *capped]) == sorted(everyone)
    parents = carried["parent_id"].drop_nulls()
    assert set(parents) <= set(data[0]["sample_id"])
    assert len(carried) <= total * share + 1e-6
    for origin, share in caps.items():
        assert len(carried.filter(pl.col("origin") == origin)) <= share * total + 1e-6


def test_tables_that_do_not_belong_together_are_refused():
    data = data_of(FATES)
    with pytest.raises(TableError, match="probe"):
        composed((data[0], data[1].head(2), data[2]))
    with pytest.raises(TableError, match="verdicts"):
        composed((data[0], data[1], data[2].head(2)))
    stale = data[2].with_columns(old_label_id=pl.lit("0" * 32))
    with pytest.raises(TableError, match="another label"):
        composed((data[0], data[1], stale))


def test_an_expansion_without_parent_or_with_the_id_of_another_is_refused():
    data = data_of(["PRED_WRONG", "high_ppl"])
    seeds = seeds_of(data)
    with pytest.raises(ValueError, match="already exists"):
        composed(data, [candidate(seeds[0].sample_id, "Request 1")])
    orphan = candidate(data[0]["sample_id"][1], "New")
    with pytest.raises(ValueError, match="error seed"):
        composed(data, [orphan])
