import pytest

from looptool.offline.rules import weights
from looptool.offline.rules.faults import compare, doubts, own_faults, states_default
from tests.offline.rules.reading import answer, both, sides
from tests.offline.rules.table import (
    FERRY,
    LAMP,
    PARCEL,
    PLANT,
    TIDE,
    WIND,
    call,
    calls,
    done,
    enum,
    said,
    text,
    tool,
)

ROOM = tool(
    "book_room",
    "Book a hotel room",
    "guest",
    guest="string: Name of the guest",
    nights="integer: Number of nights. Defaults to 1",
    view=enum("View", "sea", "garden"),
    breakfast="boolean: Whether breakfast is included",
)


def room(**arguments: object) -> dict:
    return calls(call("book_room", guest="Ada Byron", **arguments))


def tide(port: str) -> dict:
    return call("tide_table", port=port, day="2024-06-01")


def test_a_sound_answer_has_no_faults() -> None:
    messages = said("Tides for Brest on 2024-06-01")
    assert list(own_faults(answer([TIDE], messages, calls(tide("Brest"))))) == []
    assert list(own_faults(answer([TIDE], messages, text("Which port?")))) == []


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (calls(call("tide_table", port="Brest")), "schema"),
        (calls(call("unknown")), "schema"),
        (calls(tide("Brest"), tide("Brest")), "twice"),
        (calls(*[tide("Brest")] * 3), "3 times"),
        (calls(tide("Lorient")), "already made"),
    ],
    ids=["argument", "tool", "twice", "three times", "made before"],
)
def test_faults_of_an_answer_alone_are_hard(label: dict, reason: str) -> None:
    before = {"port": "Lorient", "day": "2024-06-01"}
    messages = [*said("Tides for Lorient and Brest on 2024-06-01"), *done("tide_table", before, "")]
    (fault,) = own_faults(answer([TIDE], messages, label, "prediction"))
    assert (fault.side, fault.hard) == ("prediction", True)
    assert reason in fault.reason


def test_a_long_schema_error_is_cut() -> None:
    label = calls(call("tide_table", port="Brest", day="x" * 500, extra="y" * 500))
    schema = {**TIDE["parameters"], "additionalProperties": False}
    faults = own_faults(answer([{**TIDE, "parameters": schema}], said("Tides"), label))
    assert all(len(fault.reason) < 160 for fault in faults)


@pytest.mark.parametrize(
    ("tools", "request_text", "good", "bad"),
    [
        ([ROOM], "A room for Ada Byron, 3 nights", room(nights=3), room()),
        ([ROOM], "A room for Ada Byron", room(), room(nights=3)),
        ([ROOM], "A room for Ada Byron, with a sea view", room(view="sea"), room()),
        ([ROOM], "A room for Ada Byron", room(), room(view="sea")),
        ([ROOM], "A room for Ada Byron, breakfast please", room(breakfast=True), room()),
        ([ROOM], "A room for Ada Byron", room(), room(breakfast=True)),
        (
            [TIDE],
            "Tides for Brest and Lorient on 2024-06-01",
            calls(tide("Brest"), tide("Lorient")),
            calls(tide("Brest")),
        ),
        (
            [TIDE],
            "Tides for Brest on 2024-06-01",
            calls(tide("Brest")),
            calls(tide("Brest"), tide("Vannes")),
        ),
        (
            [TIDE, WIND],
            "Tide table for Brest on 2024-06-01 and the wind forecast for Tarifa",
            calls(tide("Brest"), call("wind_forecast", place="Tarifa")),
            calls(tide("Brest")),
        ),
        (
            [TIDE, WIND],
            "Tide table for Brest on 2024-06-01",
            calls(tide("Brest")),
            calls(tide("Brest"), call("wind_forecast", place="Brest")),
        ),
        (
            [LAMP, WIND],
            "Wind forecast for Tarifa",
            calls(call("wind_forecast", place="Tarifa")),
            calls(call("lamp_set", room="Tarifa", brightness=5)),
        ),
    ],
    ids=[
        "number left out",
        "number unsaid",
        "choice left out",
        "choice unsaid",
        "boolean left out",
        "boolean unsaid",
        "call left out",
        "call unsaid",
        "tool left out",
        "tool unasked",
        "other tool",
    ],
)
def test_the_evidence_is_against_the_worse_answer_on_either_side(
    tools, request_text, good, bad
) -> None:
    straight = compare(*both(tools, said(request_text), good, bad))
    crossed = compare(*both(tools, said(request_text), bad, good))
    assert set(sides(straight)) == {"prediction"}
    assert set(sides(crossed)) == {"label"}
    assert sorted((f.weight, f.reason) for f in straight) == sorted(
        (f.weight, f.reason) for f in crossed
    )


def test_a_number_that_one_tool_uses_speaks_against_a_call_of_another_with_it() -> None:
    lamp = call("lamp_set", room="attic", brightness=40)
    water = call("garden.water", bed="attic", minutes=40)
    other = call("garden.water", bed="attic", minutes=30)
    messages = said("Set the lamp in the attic to 40, and 30 is for later")
    same_number, own_number = (
        compare(*both([LAMP, PLANT], messages, calls(lamp), calls(lamp, extra)))[0].weight
        for extra in (water, other)
    )
    assert same_number > own_number > 0


def test_equal_answers_and_stated_defaults_are_no_evidence() -> None:
    messages = said("A room for Ada Byron")
    assert compare(*both([ROOM], messages, room(), room())) == []
    assert compare(*both([ROOM], messages, room(), room(nights=1))) == []


def test_a_required_argument_is_left_to_the_schema() -> None:
    one, other = calls(call("tide_table", port="Brest")), calls(tide("Brest"))
    assert compare(*both([TIDE], said("Tides for Brest"), one, other)) == []


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"default": 1}, 1, True),
        ({"default": 1}, True, False),
        ({"default": 2, "description": "Default is 1"}, 1, False),
        ({"description": "How many. Default is 7."}, 7, True),
        ({"description": 'The mode (default: "fast")'}, "fast", True),
        ({"description": "Defaults to true"}, True, True),
        ({"description": "Defaults to true"}, False, False),
        ({"description": "By default nothing"}, 7, False),
        ({}, None, False),
    ],
)
def test_a_default_is_read_from_the_schema_or_its_description(schema, value, expected) -> None:
    assert states_default(schema, value) is expected


def test_doubts_grow_with_what_is_unsaid_and_unused() -> None:
    messages = said("Ferry from Calais to Dover on 2024-06-01, reference BX-1")
    full = call("ferry.book", origin="Calais", destination="Dover", date="2024-06-01")
    sure = answer([FERRY], messages, calls(full))
    unsaid = answer(
        [FERRY], messages, calls({**full, "arguments": {**full["arguments"], "passengers": 9}})
    )
    unused = answer([FERRY], messages, calls(call("ferry.book", origin="Calais")))
    swapped = answer(
        [FERRY],
        messages,
        calls(call("ferry.book", origin="Dover", destination="Calais", date="2024-06-01")),
    )
    assert doubts(sure) == weights.DOUBT_UNUSED
    assert min(doubts(unsaid), doubts(unused), doubts(swapped)) > doubts(sure)
    assert doubts(answer([FERRY], messages, text("When?"))) == 0


def test_words_of_the_tools_document_are_no_unused_detail() -> None:
    label = calls(tide("Brest"))
    chart = {**TIDE, "description": "High and low water of an Admiralty port"}
    request = "Tides by Admiralty for Brest on 2024-06-01"
    plain, named = (doubts(answer([tool], said(request), label)) for tool in (TIDE, chart))
    assert named == 0 < plain


def test_a_detail_that_another_tool_may_take_up_is_less_doubtful() -> None:
    messages = said("Track parcel ZX-9081 and show the wind forecast for Tarifa")
    label = calls(call("trackParcel", parcel_id="ZX-9081"))
    alone, waiting = (
        doubts(answer(tools, messages, label)) for tools in ([PARCEL], [PARCEL, WIND])
    )
    assert 0 < waiting < alone
