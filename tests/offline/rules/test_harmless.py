import pytest

from looptool.offline.rules.harmless import both_fine
from tests.offline.rules.reading import both
from tests.offline.rules.table import call, calls, enum, said, text, tool

NOTE = tool(
    "note",
    "Write a note",
    "title",
    title="string: Title",
    day="string: Which day",
    until="string: Day, format YYYY-MM-DD",
    code={"type": "string", "description": "Code", "pattern": "."},
    colour=enum("Colour", "red", "Red"),
    copies="integer: Number of copies. Default is 1.",
    sheets="integer: Number of sheets",
)


def note(title: str = "Low tide", **more: object) -> dict:
    return calls(call("note", title=title, **more))


@pytest.mark.parametrize(
    ("one", "other", "fine"),
    [
        (note(), note(), True),
        (note(), note("low tide."), True),
        (note(), note("high tide"), False),
        (note("Pier 7"), note("pier 7"), False),
        (note(), note(copies=1), True),
        (note(), note(copies=2), False),
        (note(), note(sheets=1), False),
        (note(day="2024-06-05"), note(day="June 5, 2024"), True),
        (note(day="2024-06-05"), note(day="June 6, 2024"), False),
        (note(until="2024-06-05"), note(until="June 5, 2024"), False),
        (note(code="Red"), note(code="red"), False),
        (note(colour="Red"), note(colour="red"), False),
        (note(), calls(call("other", title="Low tide")), False),
        (note(), {"calls": note()["calls"] * 2}, False),
        (text("Yes"), text("yes"), False),
        (note("Unsaid"), note("unsaid"), False),
    ],
)
def test_only_differences_of_form_are_harmless(one: dict, other: dict, fine: bool) -> None:
    request = "Note: Low tide, high tide, Pier 7, red, 2 copies, 2024-06-05, June 6, 2024"
    for left, right in ((one, other), (other, one)):
        assert both_fine(*both([NOTE], said(request), left, right)) is fine
