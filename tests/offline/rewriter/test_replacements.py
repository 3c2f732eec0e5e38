"""Values that take the place of others."""

from __future__ import annotations

import random
from itertools import islice

from hypothesis import example, given
from hypothesis import strategies as st

from looptool.offline.grammar.inference import slot_of
from looptool.offline.rewriter.blueprint import Parameter
from looptool.offline.rewriter.replacements import replacements

NUMBERS = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6).map(
    lambda value: float(f"{value:.4g}")
)


@given(NUMBERS, st.integers(0, 99))
@example(0, 1)
@example(0.0, 1)
@example(5.4e-06, 1)
@example(-3e-09, 1)
def test_a_number_has_replacements_of_its_type_and_sign(value: int | float, seed: int) -> None:
    schema = {"type": "number" if isinstance(value, float) else "integer"}
    parameter = Parameter("x", schema, slot_of("x", schema, True), ())
    found = list(islice(replacements(value, parameter, random.Random(seed)), 60))
    assert any(other != value for other in found)
    assert all(isinstance(other, int | float) for other in found)
    if value and "e" in str(value):
        assert any(other != value and (other < 0) == (value < 0) for other in found)
