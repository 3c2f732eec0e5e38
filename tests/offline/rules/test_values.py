import pytest

from looptool.offline.rules import weights
from looptool.offline.rules.answers import Leaf, pairs
from looptool.offline.rules.values import changes, placed
from tests.offline.rules.reading import answer, both, leaf
from tests.offline.rules.table import FERRY, TIDE, WIND, call, calls, said, strings, tool

TEAM = tool(
    "team", "Make a team", "members", members=strings("Who is in it"), lead="string: Leader"
)


def evidence(tools, request_text, good, bad) -> tuple[float, float]:
    """The weights against the two answers, which are asserted to be the same when swapped."""
    straight = _weights(*both(tools, said(request_text), good, bad))
    crossed = _weights(*both(tools, said(request_text), bad, good))
    assert straight == crossed[::-1]
    return straight


def _weights(left, right) -> tuple[float, float]:
    changed: list[tuple[Leaf, Leaf]] = []
    for i, j in pairs(left, right):
        ones = {x.path: x for x in left.leaves[i]}
        twos = {x.path: x for x in right.leaves[j]}
        changed += [
            (ones[p], twos[p]) for p in sorted(ones) if p in twos and ones[p].text != twos[p].text
        ]
    faults = list(changes(left, right, changed))
    return tuple(
        sum(f.weight for f in faults if f.side == side) for side in ("label", "prediction")
    )


def tide(port: str, day: str) -> dict:
    return call("tide_table", port=port, day=day)


def ferry(origin: str, destination: str, date: str = "2024-06-01") -> dict:
    return calls(call("ferry.book", origin=origin, destination=destination, date=date))


@pytest.mark.parametrize(
    ("tools", "request_text", "good", "bad"),
    [
        (
            [WIND],
            "Wind in Tarifa",
            calls(call("wind_forecast", place="Tarifa")),
            calls(call("wind_forecast", place="Brest")),
        ),
        (
            [WIND],
            "Wind in Port Ellen",
            calls(call("wind_forecast", place="Port Ellen")),
            calls(call("wind_forecast", place="Ellen")),
        ),
        (
            [FERRY],
            "Ferry from Calais to Dover on 2024-06-01",
            ferry("Calais", "Dover"),
            ferry("Dover", "Calais"),
        ),
        (
            [FERRY],
            "Ferry from Calais to Dover on 2024-06-01",
            ferry("Calais", "Dover"),
            ferry("Calais", "Calais"),
        ),
        (
            [FERRY],
            "Ferry for 3 passengers and 2 dogs",
            calls(call("ferry.book", passengers=3)),
            calls(call("ferry.book", passengers=2)),
        ),
        (
            [TIDE],
            "Tides for Brest on 2024-06-01 and for Lorient on 2024-06-02",
            calls(tide("Brest", "2024-06-01"), tide("Lorient", "2024-06-02")),
            calls(tide("Brest", "2024-06-02"), tide("Lorient", "2024-06-01")),
        ),
        (
            [TEAM],
            "A team of Ada, Bo and Cy. Dan is ill.",
            calls(call("team", members=["Ada", "Bo", "Cy"])),
            calls(call("team", members=["Ada", "Bo"])),
        ),
        (
            [TEAM],
            "A team of Ada, Bo and Cy",
            calls(call("team", members=["Ada", "Bo", "Cy"])),
            calls(call("team", members=["Ada", "Bo", "Zoe"])),
        ),
        (
            [TEAM],
            "A team of Ada, Bo and Cy",
            calls(call("team", members=["Ada", "Bo", "Cy"])),
            calls(call("team", members=["Cy", "Bo", "Ada"])),
        ),
        (
            [TEAM],
            "A team of Ada, Bo and Cy",
            calls(call("team", members=["Ada", "Bo", "Cy"])),
            calls(call("team", members=["Ada", "Ada", "Bo", "Cy"])),
        ),
    ],
    ids=[
        "unsaid",
        "part of a name",
        "swapped",
        "used twice",
        "number of something else",
        "swapped between calls",
        "item left out",
        "item unsaid",
        "order",
        "item too often",
    ],
)
def test_the_value_that_fits_worse_is_the_fault(tools, request_text, good, bad) -> None:
    against_good, against_bad = evidence(tools, request_text, good, bad)
    assert against_good == 0 < against_bad


def test_two_values_that_nobody_said_are_equal() -> None:
    one, other = (calls(call("wind_forecast", place=place)) for place in ("Brest", "Lorient"))
    assert evidence([WIND], "Wind?", one, other) == (0, 0)


def test_two_values_in_two_calls_the_other_way_round_are_equal_if_the_order_is_unclear() -> None:
    one = calls(tide("Brest", "x"), tide("Lorient", "y"))
    other = calls(tide("Brest", "y"), tide("Lorient", "x"))
    assert evidence([TIDE], "Tides for Brest and Lorient", one, other) == (0, 0)


def test_the_evidence_of_one_value_is_limited() -> None:
    good = calls(call("wind_forecast", place="Tarifa"))
    bad = calls(call("wind_forecast", place="wind"))
    _, against = evidence([WIND], "wind in the place Tarifa", good, bad)
    assert 0 < against <= weights.VALUE_MOST


def test_a_whole_name_is_stronger_evidence_than_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, part = (calls(call("wind_forecast", place=name)) for name in ("Port Ellen", "Ellen"))
    monkeypatch.setattr(weights, "VALUE_MOST", 100.0)
    _, against = evidence([WIND], "Wind in Port Ellen", whole, part)
    monkeypatch.setattr(weights, "VALUE_WHOLE", 0.0)
    _, without = evidence([WIND], "Wind in Port Ellen", whole, part)
    assert against > without > 0


def test_placed_changes_its_sign_if_the_values_are_swapped() -> None:
    messages = said("Ferry from Calais to Dover on 2024-06-01")
    straight = answer([FERRY], messages, ferry("Calais", "Dover"))
    crossed = answer([FERRY], messages, ferry("Dover", "Calais"))
    good, bad = (
        placed(leaf(made, "origin"), leaf(made, "destination"), made.conversation)
        for made in (straight, crossed)
    )
    assert good == -bad > 0
