import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core.samples import Label
from looptool.offline.rules import weights
from looptool.offline.rules.answers import all_leaves, bound, claim, fresh, pairs, rival
from tests.offline.rules.reading import answer, both, leaf
from tests.offline.rules.table import (
    FERRY,
    MAIL,
    PARCEL,
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
    guest={
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "Full name"},
            "age": {"type": "integer"},
        },
        "required": ["name"],
    },
    view=enum("View", "sea", "garden"),
    wing="string: Wing of the house, for example north",
    quiet="boolean: Whether it is quiet",
)


def test_an_answer_is_read_into_its_leaves() -> None:
    made = answer(
        [ROOM],
        said("A room for Ada Byron, 36, sea view"),
        calls(
            call("book_room", guest={"name": "Ada Byron", "age": 36}, view="sea", quiet=True, x=[])
        ),
    )
    read = {str(x): (x.kind, x.required) for x in all_leaves(made)}
    assert read == {
        'guest.name="Ada Byron"': ("text", True),
        "guest.age=36": ("number", False),
        'view="sea"': ("enum", False),
        "quiet=true": ("boolean", False),
        "x=[]": ("list", False),
    }


def test_an_example_in_the_description_is_a_choice() -> None:
    made = answer([ROOM], said("A room"), calls(call("book_room", wing="north")))
    assert leaf(made, "wing").is_listed
    assert leaf(made, "wing").kind == "enum"


def test_schema_violations_are_errors() -> None:
    made = answer([TIDE], said("Tides"), calls(call("tide_table", port=3), call("unknown")))
    assert len(made.errors) == 2
    assert made.tools == [TIDE, None]


def test_a_text_has_no_calls() -> None:
    made = answer([TIDE], said("Tides"), text("Which port?"))
    assert (made.calls, made.text, made.used) == ([], "Which port?", [])


def test_an_answer_takes_up_what_its_values_come_from() -> None:
    messages = said("Ferry from Calais to Dover on 2024-06-01")
    made = answer([FERRY], messages, calls(call("ferry.book", origin="Calais", date="2024-06-01")))
    taken = {m.text: made.takes_up(m) for m in made.conversation.mentions}
    assert taken == {"Calais": True, "Dover": False, "2024-06-01": True}
    assert made.uses(leaf(made, "origin").ground.spans)


def test_values_of_calls_made_since_the_request_are_taken_up_too() -> None:
    messages = [
        *said("Tides for Brest and Lorient"),
        *done("tide_table", {"port": "Brest"}, "low"),
    ]
    made = answer([TIDE], messages, calls(call("tide_table", port="Lorient")))
    assert all(made.takes_up(m) for m in made.conversation.mentions)
    again = answer([TIDE], messages, calls(call("tide_table", port="Brest")))
    assert again.used_before(leaf(again, "port"))
    assert not made.used_before(leaf(made, "port"))


def test_a_value_may_take_words_that_another_parameter_uses() -> None:
    messages = said("Ferry from Calais to Dover")
    double = answer(
        [FERRY], messages, calls(call("ferry.book", origin="Calais", destination="Calais"))
    )
    clean = answer(
        [FERRY], messages, calls(call("ferry.book", origin="Calais", destination="Dover"))
    )
    for made, expected in ((double, True), (clean, False)):
        origin = leaf(made, "origin")
        assert made.used_besides(origin, origin.ground.spans) is expected


def test_an_answer_waits_for_a_relevant_tool_that_is_not_called_yet() -> None:
    messages = said("Show the tide table and the wind forecast for Brest")
    assert answer([TIDE, WIND], messages, calls(call("tide_table", port="Brest"))).waiting
    two = calls(call("tide_table", port="Brest"), call("wind_forecast", place="Brest"))
    assert not answer([TIDE, WIND], messages, two).waiting


@pytest.mark.parametrize(
    ("tools", "request_text", "arguments", "most"),
    [
        ([WIND], "What is the wind forecast?", {"place": "wind forecast"}, weights.CLAIM_TOOL_WORD),
        ([PARCEL], "Track my blue parcel", {"parcel_id": "blue"}, weights.CLAIM_FORMLESS),
        ([MAIL], "Mail to ada@example.org", {"recipient": "ada"}, weights.CLAIM_PIECE),
        ([MAIL], "Mail to Ada", {"recipient": "ada@example.org"}, weights.SAID),
        ([WIND], "Wind in Tarifa", {"place": "Tarifa"}, 1.0),
    ],
)
def test_words_that_cannot_be_the_value_weaken_its_claim(
    tools, request_text, arguments, most
) -> None:
    made = answer(tools, said(request_text), calls(call(tools[0]["name"], **arguments)))
    (value,) = all_leaves(made)
    assert claim(value, made.conversation) <= most
    if most == 1.0:
        assert claim(value, made.conversation) == 1.0


def test_what_only_the_system_message_says_has_a_weak_claim() -> None:
    messages = [{"role": "system", "content": "The office is in Brest."}, *said("Wind?")]
    made = answer([WIND], messages, calls(call("wind_forecast", place="Brest")))
    assert claim(leaf(made, "place"), made.conversation) == weights.CLAIM_SYSTEM
    assert not fresh(leaf(made, "place").ground.spans, made.conversation)


def test_a_sibling_that_the_words_clearly_suggest_is_a_rival() -> None:
    messages = said("Ferry with Dover as the destination harbour of arrival")
    wrong = answer([FERRY], messages, calls(call("ferry.book", origin="Dover")))
    right = answer([FERRY], messages, calls(call("ferry.book", destination="Dover")))
    assert rival(leaf(wrong, "origin"), wrong.conversation)
    assert not rival(leaf(right, "destination"), right.conversation)
    spans = leaf(right, "destination").ground.spans
    assert bound(leaf(right, "destination"), spans, right.conversation) > bound(
        leaf(wrong, "origin"), spans, right.conversation
    )


def port(name: str, day: str = "") -> dict:
    return call("tide_table", port=name, **({"day": day} if day else {}))


def test_equal_calls_are_paired_first_then_similar_ones() -> None:
    left = calls(port("Brest", "2024-06-01"), port("Lorient", "2024-06-02"))
    right = calls(port("Lorient", "2024-06-01"), port("Vannes", "2024-06-02"), port("Brest"))
    assert pairs(*both([TIDE], said("Tides"), left, left)) == [(0, 0), (1, 1)]
    matched = set(pairs(*both([TIDE], said("Tides"), left, right)))
    assert len(matched) == 3
    assert {j for _, j in matched} == {0, 1, 2}


PORTS = st.lists(st.sampled_from("ABC").map(port) | st.just(call("unknown")), max_size=4)


@given(PORTS, PORTS)
def test_every_call_is_in_one_pair_and_equal_calls_find_each_other(one: list, two: list) -> None:
    label: Label = {"calls": one}
    left, right = both([TIDE], said("Tides"), label, {"calls": two})
    matched = pairs(left, right)
    assert sorted(i for i, _ in matched if i is not None) == list(range(len(one)))
    assert sorted(j for _, j in matched if j is not None) == list(range(len(two)))
    equal = sum(
        i is not None and j is not None and left.keys[i] == right.keys[j] for i, j in matched
    )
    assert equal == sum(min(left.keys.count(k), right.keys.count(k)) for k in set(left.keys))
    assert sum(None not in pair for pair in matched) == min(len(one), len(two))
