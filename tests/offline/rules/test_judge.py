"""The rules judge on requests written by hand, none of them from any author of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.judging import Case, Opinion
from looptool.offline.rules.judge import RulesJudge
from tests.offline.rules.table import (
    FERRY,
    INVOICE,
    LAMP,
    MEETING,
    PARCEL,
    ROWS,
    STOCK,
    TIDE,
    WIND,
    Row,
    call,
    calls,
    done,
    said,
    text,
    tool,
)

JUDGE = RulesJudge()


def opinion(
    tools: list[Tool], messages: list[Message], label: Label, prediction: Label | None
) -> Opinion:
    return JUDGE.compare([Case(tools, messages, label, prediction)])[0]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_right_label_stands_against_a_wrong_prediction(row: Row) -> None:
    found = opinion(row.tools, row.messages, row.right, row.wrong)
    assert found.verdict == "PRED_WRONG" or (not row.sure and found.verdict == "NO_CONSENSUS")


@pytest.mark.parametrize("row", [r for r in ROWS if r.sure], ids=[r.name for r in ROWS if r.sure])
def test_a_wrong_label_gives_way_to_a_right_prediction(row: Row) -> None:
    found = opinion(row.tools, row.messages, row.wrong, row.right)
    assert found.verdict == "LABEL_WRONG"
    assert "The label" in found.rationale


@pytest.mark.parametrize(
    "row", [r for r in ROWS if not r.sure], ids=[r.name for r in ROWS if not r.sure]
)
def test_what_is_hard_to_tell_is_never_called_right_on_both_sides_or_dropped(row: Row) -> None:
    found = opinion(row.tools, row.messages, row.wrong, row.right)
    assert found.verdict in ("LABEL_WRONG", "PRED_WRONG", "NO_CONSENSUS")


def test_where_nothing_tells_which_answer_is_right_there_is_no_verdict() -> None:
    notes = tool("add_note", "Add a note", "title", title="string: Title")
    one, other = (calls(call("add_note", title=title)) for title in ("Aunt May", "Uncle Ben"))
    request = said("Add a note to Aunt May or to Uncle Ben, as you like.")
    found = opinion([notes], request, one, other)
    assert found.verdict == "NO_CONSENSUS" and found.confidence == 0.5


def test_the_table_has_no_sample_whose_right_label_is_refused() -> None:
    reasons = JUDGE.admit([(row.tools, row.messages, row.right) for row in ROWS])
    assert {row.name: r for row, r in zip(ROWS, reasons, strict=True) if r is not None} == {}


@pytest.mark.parametrize(
    ("tools", "messages", "one", "other"),
    [
        (
            [WIND],
            said("Wind in Tarifa?"),
            calls(call("wind_forecast", place="Tarifa")),
            calls(call("wind_forecast", place="tarifa")),
        ),
        (
            [
                tool(
                    "poll",
                    "Start a poll",
                    "question",
                    question="string: What to ask",
                    days="integer: How long it runs. Default is 7.",
                )
            ],
            said('Start a poll "Who brings the tent?"'),
            calls(call("poll", question="Who brings the tent?")),
            calls(call("poll", question="Who brings the tent?", days=7)),
        ),
        (
            [
                tool(
                    "remind",
                    "Set a reminder",
                    "what day",
                    what="string: What about",
                    day="string: Which day",
                )
            ],
            said("Remind me of the boiler check on 5 June 2024"),
            calls(call("remind", what="boiler check", day="2024-06-05")),
            calls(call("remind", what="boiler check", day="June 5, 2024")),
        ),
    ],
    ids=["letter case", "stated default", "form of a date"],
)
def test_differences_that_do_not_matter_leave_both_right(
    tools: list[Tool], messages: list[Message], one: Label, other: Label
) -> None:
    assert opinion(tools, messages, one, other).verdict == "BOTH_CORRECT"
    assert opinion(tools, messages, other, one).verdict == "BOTH_CORRECT"


@pytest.mark.parametrize(
    ("tools", "messages", "one", "other"),
    [
        (
            [TIDE],
            said("Tides of Brest and Calais, June 5, 2024"),
            calls(call("tide_table", port="Brest", day="2024-06-05")),
            calls(call("tide_table", port="Calais", day="2024-06-05")),
        ),
        (
            [PARCEL],
            said("Where are parcels AB-1 and ab-1?"),
            calls(call("trackParcel", parcel_id="AB-1")),
            calls(call("trackParcel", parcel_id="ab-1")),
        ),
        (
            [TIDE],
            said("Tides of Brest on June 5, 2024"),
            calls(call("tide_table", port="Brest", day="2024-06-05")),
            calls(call("tide_table", port="Brest", day="June 5, 2024")),
        ),
    ],
    ids=["both values said", "letter case of an id", "form of a date that the tool states"],
)
def test_grounded_is_not_enough_for_both_right(
    tools: list[Tool], messages: list[Message], one: Label, other: Label
) -> None:
    for label, prediction in ((one, other), (other, one)):
        assert opinion(tools, messages, label, prediction).verdict != "BOTH_CORRECT"


def test_two_answers_that_are_plainly_wrong_drop_the_sample() -> None:
    messages = said("Track parcel ZX-9081")
    broken = calls(call("trackParcel"))
    unknown = calls(call("track", parcel_id="ZX-9081"))
    assert opinion([PARCEL], messages, broken, unknown).verdict == "BOTH_WRONG"
    assert opinion([PARCEL], messages, unknown, broken).verdict == "BOTH_WRONG"


@pytest.mark.parametrize(
    "label",
    [
        calls(call("trackParcel", parcel_id=["ZX-9081"])),
        calls(*[call("trackParcel", parcel_id="ZX-9081")] * 2),
    ],
    ids=["schema", "twice"],
)
def test_a_label_with_a_grave_fault_goes_even_if_the_prediction_is_doubtful(label: Label) -> None:
    messages = said("Track parcel ZX-9081")
    doubtful = calls(call("trackParcel", parcel_id="QK-31"))
    assert opinion([PARCEL], messages, label, doubtful).verdict == "BOTH_WRONG"
    right = calls(call("trackParcel", parcel_id="ZX-9081"))
    assert opinion([PARCEL], messages, label, right).verdict == "LABEL_WRONG"


def test_a_wrong_label_goes_but_is_not_replaced_by_a_prediction_that_is_wrong_too() -> None:
    messages = said("Invoice Brandt & Co for 1,450 euros, due 2024-07-01.")
    label = calls(call("create_invoice", customer="Brandt & Co", amount=9999, currency="EUR"))
    prediction = calls(
        call("create_invoice", customer="Brand", amount=1450, currency="EUR", due_date="2024-07-11")
    )
    assert opinion([INVOICE], messages, label, prediction).verdict == "BOTH_WRONG"
    right = calls(call("create_invoice", customer="Brandt & Co", amount=1450, currency="EUR"))
    assert opinion([INVOICE], messages, right, prediction).verdict == "PRED_WRONG"


def test_an_unparsable_prediction_leaves_a_sound_label() -> None:
    messages = said("Price of HALI?")
    sound = calls(call("share_price", symbol="HALI"))
    assert opinion([STOCK], messages, sound, None).verdict == "PRED_WRONG"
    assert opinion([STOCK], messages, text("Which share?"), None).verdict == "PRED_WRONG"


@pytest.mark.parametrize(
    "label",
    [calls(call("share_price")), calls(call("lamp_set", room="attic", brightness=40))],
    ids=["schema", "invented"],
)
def test_an_unparsable_prediction_drops_a_label_that_is_plainly_wrong(label: Label) -> None:
    found = opinion([STOCK, LAMP], said("Price of HALI?"), label, None)
    assert found.verdict == "BOTH_WRONG"
    assert "cannot be read" in found.rationale


@pytest.mark.parametrize(
    "garbage",
    [
        text("the the the the"),
        text("?"),
        calls(call("", **{})),
        calls(call("share_price", symbol="")),
    ],
)
def test_garbage_never_becomes_the_label(garbage: Label) -> None:
    for label in (
        calls(call("share_price", symbol="HALI")),
        calls(call("share_price", symbol="X")),
    ):
        found = opinion([STOCK], said("Price of HALI?"), label, garbage)
        assert found.verdict not in ("LABEL_WRONG", "BOTH_CORRECT")


@pytest.mark.parametrize(
    ("label", "word"),
    [
        (calls(call("ferry.book", origin="Calais", destination="Dover")), "schema"),
        (
            calls(call("ferry.book", origin="Calais", destination="Dover", date="2024-06-12")),
            "nobody",
        ),
        (
            calls(
                *[call("ferry.book", origin="Calais", destination="Dover", date="2024-06-11")] * 2
            ),
            "twice",
        ),
        ({"calls": []}, "label.calls"),
    ],
)
def test_admit_refuses_a_broken_label_and_says_why(label: Label, word: str) -> None:
    messages = said("Ferry from Calais to Dover on 11 June 2024, please.")
    reason = JUDGE.admit([([FERRY], messages, label)])[0]
    assert reason is not None
    assert word in reason


def test_admit_refuses_a_label_that_leaves_most_of_the_request_unused() -> None:
    messages = said('Add "Kiln safety" on 2024-10-09 at 14:00 and "Glazing" on 2024-11-20 at 09:30')
    label = calls(call("calendar_add", title="Kiln safety", date="2024-10-09"))
    short = JUDGE.admit([([MEETING], messages, label)])[0]
    assert short is not None
    assert "makes no use" in short


def test_what_a_tool_answered_counts_as_said() -> None:
    messages = [
        *said("Track the parcel of order 5."),
        *done("order", {"id": 5}, '{"parcel_id": "Q-7781"}'),
    ]
    right = calls(call("trackParcel", parcel_id="Q-7781"))
    assert JUDGE.admit([([PARCEL], messages, right)]) == [None]


def test_opinions_do_not_depend_on_the_other_cases() -> None:
    cases = [Case(r.tools, r.messages, r.wrong, r.right) for r in ROWS]
    together = JUDGE.compare(cases)
    assert together[::-1] == [JUDGE.compare([case])[0] for case in cases[::-1]]


def test_a_request_with_hundreds_of_digits_is_judged() -> None:
    right, wrong = (calls(call("trackParcel", parcel_id=digits * 400)) for digits in "98")
    messages = said(f"Track parcel {'9' * 400} times")
    assert opinion([PARCEL], messages, wrong, right).verdict == "LABEL_WRONG"
    assert JUDGE.admit([([PARCEL], messages, right)]) == [None]


VOCABULARY = (
    "today is 2024-02-29 0000-01-01 9999-12-31 tomorrow two days after before the 31st next Friday "
    "half a million 12,5 -3 $ 7% 25:99 5pm at noon Tarifa Brest knots \"quoted “ ' don't by wind "
    "forecast in 99999999999999999999 years ago . , ? \n A-1 x@y.z µ 日本 {} [1,2] twice"
)
WORDS = st.sampled_from(VOCABULARY.split(" "))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(WORDS, max_size=4).map(" ".join),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
LABELS = st.one_of(
    st.lists(WORDS, max_size=6).map(lambda words: text(" ".join(words))),
    st.lists(
        st.builds(
            lambda name, arguments: {"name": name, "arguments": arguments},
            st.sampled_from(["wind_forecast", "odd", "nothing"]),
            st.dictionaries(st.sampled_from(["place", "unit", "days", "a", "b"]), VALUES),
        ),
        max_size=3,
    ).map(lambda made: {"calls": made}),
)
ODD = {
    "name": "odd",
    "description": "",
    "parameters": {
        "type": "object",
        "$defs": {"x": {"type": "string"}},
        "properties": {
            "a": True,
            "b": {"anyOf": [{"$ref": "#/$defs/x"}, {"type": ["object", "null"]}]},
        },
    },
}


@given(st.lists(WORDS, max_size=25).map(" ".join), LABELS, LABELS)
def test_any_case_gets_an_opinion_that_holds_for_both_sides(
    request: str, one: Label, other: Label
) -> None:
    straight = opinion([WIND, ODD], said(request), one, other)
    swapped = opinion([WIND, ODD], said(request), other, one)
    assert straight.rationale
    assert 0 <= straight.confidence <= 1
    assert (straight.verdict, swapped.verdict) != ("LABEL_WRONG", "LABEL_WRONG")
    JUDGE.admit([([WIND, ODD], said(request), one)])


def test_a_long_conversation_is_judged_as_a_short_one() -> None:
    asked = "Wind at Tarifa on 5 June 2024 at half past six, 12 knots, please?"
    label, prediction = calls(call("wind_forecast", place="Tarifa")), text("Which place?")
    short, long = (opinion([WIND], said(*[asked] * count), label, prediction) for count in (1, 201))
    assert long.verdict == short.verdict
