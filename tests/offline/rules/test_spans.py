from hypothesis import given
from hypothesis import strategies as st

from looptool.offline.rules.spans import overlap

SPANS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 4)).map(lambda pair: (pair[0], sum(pair))),
    max_size=3,
)


@given(SPANS, SPANS)
def test_spans_overlap_if_they_share_a_character(ones: list, others: list) -> None:
    left, right = ({i for span in spans for i in range(*span)} for spans in (ones, others))
    assert overlap(ones, others) is bool(left & right)
