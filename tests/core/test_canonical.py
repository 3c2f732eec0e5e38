import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core import canonical
from tests.strategies import JSON, TEXT


@given(JSON)
def test_what_is_written_is_read_back_and_written_the_same(value):
    text = canonical.dumps(value)
    assert canonical.dumps(canonical.loads(text)) == text


@given(st.dictionaries(TEXT, JSON, min_size=2, max_size=4))
def test_the_order_of_keys_does_not_count(value):
    assert canonical.dumps(dict(reversed(value.items()))) == canonical.dumps(value)


def test_text_stays_as_it_is_and_there_are_no_spaces():
    assert canonical.dumps({"b": "Zürich 東京", "a": [1, 2]}) == '{"a":[1,2],"b":"Zürich 東京"}'


def test_integers_are_exact_and_apart_from_floats_and_booleans():
    big = 2**70 + 1
    assert canonical.loads(canonical.dumps(big)) == big
    assert len({canonical.dumps(value) for value in (1, 1.0, True, "1")}) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"\udfff": 1}])
def test_what_json_cannot_hold_is_not_written(value):
    with pytest.raises(ValueError):
        canonical.dumps(value)


@pytest.mark.parametrize(
    "text",
    ["NaN", "-Infinity", "1e999", '{"a":1,"a":1}', '"\\ud800"', "{", "[" * 100_000, '"\ud800"'],
)
def test_what_is_no_strict_json_is_not_read(text):
    with pytest.raises(ValueError):
        canonical.loads(text)


def test_a_pair_of_surrogate_escapes_is_one_character():
    assert canonical.loads('"\\ud83d\\ude00 \\\\ud800"') == "😀 \\ud800"


@given(st.lists(TEXT, max_size=3), st.lists(TEXT, max_size=3))
def test_digests_differ_exactly_where_the_parts_do(left, right):
    assert (canonical.digest(*left) == canonical.digest(*right)) == (left == right)


@given(st.binary(max_size=40))
def test_reading_json_source_raises_nothing_but_value_error(data):
    text = data.decode("utf-8", "surrogateescape")
    try:
        canonical.loads(text)
    except ValueError:
        return
    json.loads(text)
