import pytest

from looptool.offline.rules.foreign import compare
from tests.offline.rules.reading import both, sides
from tests.offline.rules.table import LAMP, PARCEL, WIND, call, calls, said, tool

TABLE = tool(
    "reserve",
    "Reserve a table",
    "place",
    place="string: Restaurant",
    people="integer: How many",
    day="string: Day",
    inside="boolean: Inside",
)


def table(**arguments: object) -> dict:
    return calls(call("reserve", **arguments))


def wind(*places: str) -> dict:
    return calls(*(call("wind_forecast", place=place) for place in places))


@pytest.mark.parametrize(
    ("tools", "request_text", "good", "bad"),
    [
        ([WIND], "Quel vent à Anvers ?", wind("Anvers"), wind("Brest")),
        ([WIND], "Quel vent à Anvers et à Brest ?", wind("Anvers", "Brest"), wind("Anvers")),
        (
            [TABLE],
            "Einen Tisch im Löwen für 6 Leute bitte",
            table(place="Löwen", people=6),
            table(place="Löwen"),
        ),
        (
            [PARCEL],
            "Wo ist das Paket ZX-9081?",
            calls(call("trackParcel", parcel_id="ZX-9081")),
            calls(call("trackParcel", parcel_id="ZX-9018")),
        ),
    ],
    ids=["value", "call", "argument", "code"],
)
def test_a_value_that_stands_there_is_evidence_against_the_answer_without_it(
    tools, request_text, good, bad
) -> None:
    assert sides(compare(*both(tools, said(request_text), good, bad))) == ["prediction"]
    assert sides(compare(*both(tools, said(request_text), bad, good))) == ["label"]


@pytest.mark.parametrize(
    ("tools", "request_text", "one", "other"),
    [
        ([WIND], "Quel vent à Anvers ?", wind("Anvers"), wind("Antwerp")),
        ([WIND], "Какой ветер в Самаре?", wind("Самаре"), wind("Samara")),
        ([WIND], "Quel vent à Anvers ?", wind("Brest"), wind("Lorient")),
        (
            [TABLE],
            "Tisch für 2 Dutzend im Löwen bitte",
            table(place="Löwen", people=2),
            table(place="Löwen", people=24),
        ),
        (
            [TABLE],
            "Ein Tisch um 7 im Löwen, für sechs bitte",
            table(place="Löwen", people=7),
            table(place="Löwen", people=6),
        ),
        (
            [TABLE],
            "Un tavolo da Mono il 5 maggio",
            table(place="Mono", people=5, day="2025-05-05"),
            table(place="Mono", people=9, day="2025-05-05"),
        ),
        (
            [TABLE],
            "Ein Tisch um 7 im Löwen bitte",
            table(place="Löwen", people=7),
            table(place="Löwen", people=19),
        ),
        (
            [TABLE],
            "Ein Tisch um 7 im Löwen bitte",
            table(place="Löwen", people=7, day="19:30"),
            table(place="Löwen", people=5, day="19:30"),
        ),
        (
            [TABLE],
            "海底捞 8 点，三位",
            table(place="海底捞", people=8),
            table(place="海底捞", people=3),
        ),
        ([TABLE], "Tisch im Löwen", table(place="Löwen", inside=True), table(place="Löwen")),
        ([WIND, LAMP], "Quel vent à Anvers ?", wind("Anvers"), calls(call("lamp_set"))),
    ],
    ids=[
        "form",
        "script",
        "both unsaid",
        "factor",
        "word",
        "in a date",
        "hour",
        "in an hour",
        "character",
        "boolean",
        "tool",
    ],
)
def test_what_only_a_reader_can_tell_is_no_evidence(tools, request_text, one, other) -> None:
    assert list(compare(*both(tools, said(request_text), one, other))) == []
    assert list(compare(*both(tools, said(request_text), other, one))) == []
