"""The rules judge on a label alone: what speaks against it, and what it cannot read."""

from __future__ import annotations

from typing import Any

import pytest

from looptool.judging import Impression
from looptool.offline.rules.judge import RulesJudge
from tests.offline.rules.table import ROWS, WIND, Row, call, calls, said, text, tool

RENT = tool(
    "car.rent",
    "Rent a car",
    "city days",
    city="string: City",
    days="integer: Number of days",
    insurance="boolean: Whether to add insurance",
)


def view(tools: list[Any], messages: list[Any], label: Any) -> Impression:
    return RulesJudge().inspect([(tools, messages, label)])[0]


REQUEST = said("Rent a car in Turin for 4 days.")


@pytest.mark.parametrize(
    ("label", "why"),
    [
        (calls(call("car.rent", city="Turin")), "breaks the tool's schema"),
        (calls(call("car.buy", city="Turin", days=4)), "breaks the tool's schema"),
        (calls(*[call("car.rent", city="Turin", days=4)] * 2), "makes the same call twice"),
        (calls(call("car.rent", city="Turin", days=9)), "days=9"),
        (text("None of my tools can do that."), "says words where a call is due"),
    ],
)  # fmt: skip
def test_a_wrong_label_is_suspect_and_the_reason_names_what_is_wrong(
    label: dict[str, Any], why: str
) -> None:
    found = view([RENT, WIND], REQUEST, label)
    assert found.wrong > 0.5 and why in found.rationale, found


def test_a_right_label_is_not() -> None:
    found = view([RENT, WIND], REQUEST, calls(call("car.rent", city="Turin", days=4)))
    assert found.wrong < 0.2 and found.unread is None and found.instead is None


def test_the_answer_that_fits_better_is_given_where_the_request_has_it() -> None:
    found = view([RENT], REQUEST, calls(call("car.rent", city="Turin", days=9)))
    assert found.instead == calls(call("car.rent", city="Turin", days=4))
    found = view([RENT], REQUEST, calls(*[call("car.rent", city="Turin", days=4)] * 2))
    assert found.instead == calls(call("car.rent", city="Turin", days=4))


@pytest.mark.parametrize(
    ("request_", "label", "reason"),
    [
        ("Bitte miete mir ein Auto in der Stadt, in der ich geboren bin, für 4 Tage.",
         calls(call("car.rent", city="Genua", days=4)), "language"),
        ("I want to rent a car in the city of the Colosseum for 4 days.",
         calls(call("car.rent", city="Rome", days=4)), "knowledge"),
    ],
)  # fmt: skip
def test_what_only_a_reader_or_knowledge_could_tell_is_said(
    request_: str, label: dict[str, Any], reason: str
) -> None:
    found = view([RENT], said(request_), label)
    assert found.unread == reason and found.wrong < 0.5


def test_a_broken_schema_is_found_in_any_language() -> None:
    label = calls(call("car.rent", city="Genua"))
    assert view([RENT], said("Miete mir bitte ein Auto in Genua für vier Tage."), label).wrong > 0.9


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_right_label_of_the_table_is_less_suspect_than_a_wrong_one(row: Row) -> None:
    right, wrong = (view(row.tools, row.messages, label) for label in (row.right, row.wrong))
    assert right.wrong <= wrong.wrong or right.wrong < 0.5
