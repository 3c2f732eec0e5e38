from hypothesis import given
from hypothesis import strategies as st

from looptool.offline.rules import weights
from looptool.offline.rules.evidence import balance, limited
from tests.offline.rules.reading import both
from tests.offline.rules.table import STOCK, call, calls, said

LEFT, RIGHT = both(
    [STOCK],
    said("Price of HALI?"),
    calls(call("share_price", symbol="HALI")),
    calls(call("share_price", symbol="X")),
)
NUMBERS = st.floats(-100, 100)


@given(NUMBERS)
def test_the_weaker_answer_gets_one_fault_with_its_reason(advantage: float) -> None:
    faults = list(balance(LEFT, RIGHT, advantage, ("left is bad", "right is bad")))
    if abs(advantage) <= weights.ABOUT_EQUAL:
        assert faults == []
    else:
        (fault,) = faults
        assert fault.weight == abs(advantage)
        weaker = ("prediction", "right is bad") if advantage > 0 else ("label", "left is bad")
        assert (fault.side, fault.reason) == weaker


@given(NUMBERS, st.floats(0, 10))
def test_a_limited_weight_keeps_its_sign_and_stays_within_the_limit(weight, most) -> None:
    result = limited(weight, most)
    assert abs(result) <= most
    assert result == weight or abs(result) == most
    assert result * weight >= 0
