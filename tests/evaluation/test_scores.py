"""Accuracies, standard errors and the paired bootstrap."""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core import tables
from looptool.evaluation.scores import by_category, overall, paired_difference, summary


def results(**valid: list[bool]) -> pl.DataFrame:
    return tables.frame(
        tables.Eval,
        [
            {
                "benchmark": "bfcl",
                "category": category,
                "id": f"{category}_{number}",
                "split": "test",
                "prediction": "",
                "answer": None,
                "valid": value,
                "strict": value,
            }
            for category, values in valid.items()
            for number, value in enumerate(values)
        ],
    )


def test_accuracy_and_standard_error_per_category() -> None:
    table = by_category(results(simple=[True] * 3 + [False], parallel=[False, False]))
    assert table.rows() == [
        ("bfcl", "parallel", 2, 0.0, 0.0),
        ("bfcl", "simple", 4, 0.75, pytest.approx((0.75 * 0.25 / 4) ** 0.5)),
    ]


def test_macro_weighs_categories_alike_and_micro_rows() -> None:
    data = results(simple=[True] * 8, parallel=[True, False])
    assert overall(data, macro=True).accuracy == pytest.approx(0.75)
    assert overall(data, macro=False).accuracy == pytest.approx(0.9)
    assert overall(data, macro=False).standard_error == pytest.approx((0.9 * 0.1 / 10) ** 0.5)
    assert overall(data, macro=True).standard_error == pytest.approx((0.25 / 2) ** 0.5 / 2)


def test_a_broken_call_does_not_count_as_declining() -> None:
    broken = results(irrelevance=[True, True], simple=[True]).with_columns(
        strict=pl.Series([True, False, False])
    )
    categories = summary(broken)["bfcl"]["categories"]
    assert categories["irrelevance"]["accuracy"] == 0.5
    assert categories["simple"]["accuracy"] == 1.0
    assert summary(broken)["bfcl_all_rows"]["irrelevance"]["accuracy"] == 1.0


def test_no_rows_have_no_score() -> None:
    assert overall(results(), macro=True).accuracy is None


def test_a_model_compared_with_itself_differs_by_nothing() -> None:
    data = results(simple=[True, False] * 10)
    found = paired_difference(data, data, macro=False, seed=1)
    assert (found.difference, found.standard_error, found.low, found.high) == (0, 0, 0, 0)
    assert found.rows == 20


def test_the_interval_holds_the_difference_and_its_error_is_that_of_the_mean() -> None:
    generator = random.Random("scores")
    before = [generator.random() < 0.4 for _ in range(400)]
    after = [b if generator.random() < 0.7 else not b for b in before]
    gains = [a - b for a, b in zip(after, before, strict=True)]
    mean = sum(gains) / 400
    error = (sum((gain - mean) ** 2 for gain in gains) / 400 / 400) ** 0.5
    found = paired_difference(results(simple=before), results(simple=after), macro=False, seed=3)
    assert found.difference == pytest.approx(mean)
    assert found.standard_error == pytest.approx(error, rel=0.05)
    assert found.low == pytest.approx(mean - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(mean + 1.96 * error, abs=0.2 * error)


def test_macro_difference_weighs_categories_alike() -> None:
    before = results(simple=[False] * 8, parallel=[False, False])
    after = results(simple=[True] * 8, parallel=[False, False])
    assert paired_difference(before, after, macro=True, seed=0).difference == pytest.approx(0.5)
    assert paired_difference(before, after, macro=False, seed=0).difference == pytest.approx(0.8)


def test_the_order_of_rows_changes_nothing_and_the_seed_decides() -> None:
    before, after = (
        results(simple=[True, False, False] * 9),
        results(simple=[True, True, False] * 9),
    )
    found = paired_difference(before, after, macro=False, seed=5, resamples=500)
    assert paired_difference(before.reverse(), after, macro=False, seed=5, resamples=500) == found
    assert paired_difference(before, after, macro=False, seed=6, resamples=500) != found


def test_several_seeds_of_an_arm_count_by_their_mean() -> None:
    both = pl.concat([results(simple=[True, True]), results(simple=[False, True])])
    found = paired_difference(results(simple=[False, False]), both, macro=False, seed=0)
    assert (found.difference, found.rows) == (0.75, 2)


def test_different_rows_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same rows"):
        paired_difference(results(simple=[True]), results(multiple=[True]), macro=True, seed=0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_swapping_sides_flips_the_sign(pairs: list[tuple[bool, bool]]) -> None:
    left, right = results(simple=[a for a, _ in pairs]), results(simple=[b for _, b in pairs])
    there = paired_difference(left, right, macro=True, seed=0, resamples=50)
    back = paired_difference(right, left, macro=True, seed=0, resamples=50)
    assert there.difference == pytest.approx(-back.difference)
    assert there.low <= there.high
