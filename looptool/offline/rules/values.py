"""Evidence from values that differ between two answers: swapped, changed, or in lists."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from looptool.core import canonical
from looptool.offline.rules import weights
from looptool.offline.rules.answers import Answer, Leaf, bound, claim, fresh
from looptool.offline.rules.conversation import Conversation
from looptool.offline.rules.evidence import Fault, balance, limited
from looptool.offline.rules.grounding import Ground, ground
from looptool.offline.rules.relevance import about, order_of, rank_said
from looptool.offline.rules.spans import overlap
from looptool.offline.rules.words import content_stems


def changes(left: Answer, right: Answer, changed: list[tuple[Leaf, Leaf]]) -> Iterator[Fault]:
    """Yield the faults of values that differ.

    Args:
        changed: (left leaf, right leaf) pairs with the same path in paired calls and different
            values.
    """
    rest = list(changed)
    while rest:
        one, two = rest.pop(0)
        twin = next((pair for pair in rest if _is_swap((one, two), pair)), None)
        if twin is None:
            yield from _changed_value(left, one, right, two)
            continue
        rest.remove(twin)
        if one.call == twin[0].call:
            yield from _swapped_within(left, one, right, twin[0])
        else:
            yield from _swapped_between(left, (one, twin[0]), right, (two, twin[1]))


def _is_swap(first: tuple[Leaf, Leaf], second: tuple[Leaf, Leaf]) -> bool:
    """Whether two pairs of values exchange places within one call or between two calls."""
    (one, two), (three, four) = first, second
    crossed = one.text == four.text and two.text == three.text
    return crossed and (one.call == three.call) != (one.path == three.path)


# Swapped values


def _swapped_within(left: Answer, one: Leaf, right: Answer, two: Leaf) -> Iterator[Fault]:
    """Yield the fault if two parameters of one call have exchanged their values."""
    if min(one.ground.strength, two.ground.strength) < weights.SAID:
        return
    advantage = placed(one, two, left.conversation)
    names = f"{one.path[-1]} and {two.path[-1]}"
    yield from balance(
        left,
        right,
        limited(advantage, weights.SWAP_MOST),
        (
            f"gives {one} and {two}, but the words around them speak for the values of {names} "
            "the other way round",
            f"gives the values of {names} the other way round than the words around them say",
        ),
    )


def placed(one: Leaf, two: Leaf, conversation: Conversation) -> float:
    """Return how much better two values fit where they are than in each other's place."""
    ones, twos = one.ground.spans, two.ground.spans
    straight = bound(one, ones, conversation) + bound(two, twos, conversation)
    crossed = bound(one, twos, conversation) + bound(two, ones, conversation)
    return weights.SWAP_BINDING * (straight - crossed) + _order_said(one, two, conversation)


def _order_said(one: Leaf, two: Leaf, conversation: Conversation) -> float:
    """Return how well the order of mention fits the places of two values (< 0: swapped)."""
    order = order_of(one.path[-1], two.path[-1])
    ranks = rank_said(one.ground.spans, conversation), rank_said(two.ground.spans, conversation)
    if order and None not in ranks and ranks[0] != ranks[1]:
        straight = ranks[0] < ranks[1]  # type: ignore[operator]
        return weights.SWAP_RANK * math.copysign(1, order) * (1 if straight else -1)
    here, there = _place(one, conversation), _place(two, conversation)
    if not order or here is None or there is None or here == there:
        return 0.0
    return order if here < there else -order


def _swapped_between(
    left: Answer, ones: tuple[Leaf, Leaf], right: Answer, twos: tuple[Leaf, Leaf]
) -> Iterator[Fault]:
    """Yield the fault if two calls have exchanged the values of one parameter."""
    advantage = weights.SWAP_CALLS * (_in_step(left, ones) - _in_step(right, twos))
    name = ones[0].path[-1]
    yield from balance(
        left,
        right,
        advantage,
        (f"pairs the values of {name} with the wrong calls",) * 2,
    )


def _in_step(answer: Answer, leaves: tuple[Leaf, Leaf]) -> float:
    """Return 1 if two calls take values in the request's order, -1 if crosswise, 0 if unclear."""
    conversation = answer.conversation
    here = [_place(leaf, conversation) for leaf in leaves]
    votes = 0
    for other in answer.leaves[leaves[0].call]:
        twin = next((x for x in answer.leaves[leaves[1].call] if x.path == other.path), None)
        if twin is None or other.path == leaves[0].path or twin.text == other.text:
            continue
        there = [_place(other, conversation), _place(twin, conversation)]
        if None in (*here, *there) or here[0] == here[1] or there[0] == there[1]:
            continue
        votes += 1 if (here[0] < here[1]) == (there[0] < there[1]) else -1  # type: ignore[operator]
    return (votes > 0) - (votes < 0)


def _place(leaf: Leaf, conversation: Conversation) -> int | None:
    """Return where the last request has a value if there is one such place, or None."""
    spans = [span for span in leaf.ground.spans if conversation.is_fresh(span)]
    return spans[0][0] if len(spans) == 1 and leaf.ground.strength >= weights.SAID else None


# One value instead of another


def _changed_value(left: Answer, one: Leaf, right: Answer, two: Leaf) -> Iterator[Fault]:
    """Yield the fault of two different values of one parameter."""
    if _same_sort_of_list(one, two):
        yield from _changed_list(left, one, right, two)
        return
    name = one.path[-1]
    conversation = left.conversation
    gap = claim(one, conversation) - claim(two, conversation)
    advantage = _gap_factor(one, two, gap, len(left.calls) == 1) * gap
    why = "which the conversation supports less clearly"
    if min(one.ground.strength, two.ground.strength) >= weights.SAID:
        why = "which is not what the words around it speak of"
        if not _same_place(one, two):
            advantage += weights.VALUE_FRESH * (
                fresh(one.ground.spans, conversation) - fresh(two.ground.spans, conversation)
            )
            advantage += _bound_advantage(one, two, conversation)
            advantage += _coverage_advantage(left, one, right, two)
    elif gap and _taken_twice(left, one, right, two, gap):
        # The value does occur in the conversation, but as the value of another parameter.
        advantage *= weights.VALUE_TAKEN
    advantage += _wholeness(one, two, conversation)
    yield from balance(
        left,
        right,
        limited(advantage, weights.VALUE_MOST),
        (
            f"gives {one}, {why}; {name}={two.text} fits better",
            f"gives {two}, {why}; {name}={one.text} fits better",
        ),
    )


def _gap_factor(one: Leaf, two: Leaf, gap: float, single_call: bool) -> float:
    """Return how much a difference between the claims of two values counts."""
    factor = weights.VALUE_GAP
    if {"boolean", "enum"} & {one.kind, two.kind}:
        factor = weights.VALUE_GAP_CHOICE if single_call else weights.VALUE_GAP_CHOICE_OF_MANY
    if one.is_listed != two.is_listed and (gap > 0) == two.is_listed:
        # The weaker value is a choice that the description lists; it may stand for other words.
        factor *= weights.VALUE_LISTED
    return factor


def _taken_twice(left: Answer, one: Leaf, right: Answer, two: Leaf, gap: float) -> bool:
    """Whether the value that is said more surely is the value of another parameter."""
    answer, leaf = (left, one) if gap > 0 else (right, two)
    return answer.used_besides(leaf, leaf.ground.spans)


def _same_place(one: Leaf, two: Leaf) -> bool:
    """Whether two values are readings of the same words."""
    return overlap(one.ground.spans, two.ground.spans)


def _same_sort_of_list(one: Leaf, two: Leaf) -> bool:
    """Whether both values are lists and share an item."""
    if not isinstance(one.value, list) or not isinstance(two.value, list):
        return False
    return any(item in two.value for item in one.value)


def _bound_advantage(one: Leaf, two: Leaf, conversation: Conversation) -> float:
    """Return how much better the words around the left value suggest the parameter."""
    gap = bound(one, one.ground.spans, conversation) - bound(two, two.ground.spans, conversation)
    gap += weights.VALUE_REPEATS_NAME * (_repeats_name(two) - _repeats_name(one))
    gap += weights.VALUE_IS_MENTION * (
        _is_mention(one, conversation) - _is_mention(two, conversation)
    )
    return limited(gap, weights.VALUE_BINDING_MOST)


def _repeats_name(leaf: Leaf) -> bool:
    """Whether a value only repeats words of the parameter's name."""
    values = leaf.value if isinstance(leaf.value, list) else [leaf.value]
    name = set(content_stems(leaf.path[-1]))
    return all(isinstance(v, str) and set(content_stems(v)) <= name for v in values)


def _is_mention(leaf: Leaf, conversation: Conversation) -> bool:
    """Whether a value is exactly a mention of the request."""
    return any(m.span in leaf.ground.spans for m in conversation.mentions)


def _coverage_advantage(left: Answer, one: Leaf, right: Answer, two: Leaf) -> float:
    """Return left's advantage from words that right leaves unused or uses twice."""
    unused_by_right = not right.uses(one.ground.spans) and fresh(
        one.ground.spans, left.conversation
    )
    unused_by_left = not left.uses(two.ground.spans) and fresh(two.ground.spans, left.conversation)
    twice_left = left.used_besides(one, one.ground.spans) or left.used_before(one)
    twice_right = right.used_besides(two, two.ground.spans) or right.used_before(two)
    unused = weights.VALUE_UNUSED * (unused_by_right - unused_by_left)
    return unused + weights.VALUE_TWICE * (twice_right - twice_left)


def _wholeness(one: Leaf, two: Leaf, conversation: Conversation) -> float:
    """Return the advantage of `one` if one text contains the other and only one is a mention."""
    if not isinstance(one.value, str) or not isinstance(two.value, str):
        return 0.0
    a, b = one.value.lower().strip(), two.value.lower().strip()
    if a == b or not (a in b or b in a):
        return 0.0
    if min(one.ground.strength, two.ground.strength) < weights.VALUE_WHOLE_STRENGTH:
        return 0.0
    return weights.VALUE_WHOLE * (_is_mention(one, conversation) - _is_mention(two, conversation))


def _changed_list(left: Answer, one: Leaf, right: Answer, two: Leaf) -> Iterator[Fault]:
    """Yield the fault of two lists with different items or in a different order."""
    ones, twos = [canonical.dumps(v) for v in one.value], [canonical.dumps(v) for v in two.value]
    if Counter(ones) == Counter(twos):
        advantage = weights.LIST_ORDER * (
            _ordered(one, left.conversation) - _ordered(two, left.conversation)
        )
        yield from balance(
            left,
            right,
            advantage,
            (f"gives {one}, not in the order said", f"gives {two}, not in the order said"),
        )
        return
    advantage = 0.0
    for leaf, other, sign in ((one, two, 1), (two, one, -1)):
        for item in _only_in(leaf.value, other.value):
            advantage += sign * _item_weight(leaf, other, item, left.conversation)
    yield from balance(
        left,
        right,
        limited(advantage, weights.LIST_MOST),
        (
            f"gives {one}, which does not list what is said",
            f"gives {two}, which does not list what is said",
        ),
    )


def _item_weight(leaf: Leaf, other: Leaf, item: Any, conversation: Conversation) -> float:
    """Return the evidence for an item that only the list of `leaf` has; below 0 is against it."""
    said = _item_ground(leaf, item, conversation)
    if said.strength < weights.SAID:
        return weights.LIST_ITEM_UNSAID * (1 - said.strength)
    shared = [x for x in leaf.value if x in other.value and x is not item]
    around = [s for x in shared for s in _item_ground(leaf, x, conversation).spans]
    keys = [canonical.dumps(value) for value in leaf.value]
    spans = [span for span in said.spans if conversation.is_fresh(span)] or list(said.spans)
    if len(spans) < keys.count(canonical.dumps(item)):
        return weights.LIST_ITEM_TOO_OFTEN
    if not around:
        return min(weights.LIST_ITEM_BINDING_MOST, bound(leaf, spans, conversation))
    near = min(abs(a[0] - b[1]) if a > b else abs(b[0] - a[1]) for a in spans for b in around)
    return weights.LIST_ITEM_NEAR if near <= weights.LIST_NEAR else weights.LIST_ITEM_FAR


def _only_in(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Return the items that a list has more often than another."""
    left = Counter(canonical.dumps(v) for v in values) - Counter(canonical.dumps(v) for v in others)
    return [v for v in values if left[canonical.dumps(v)] > 0]


def _item_ground(leaf: Leaf, item: Any, conversation: Conversation) -> Ground:
    """Return the ground of an item of a list."""
    items = leaf.schema.get("items")
    return ground(
        item,
        items if isinstance(items, dict) else {},
        about(leaf.holder, leaf.path[-1]),
        conversation,
    )


def _ordered(leaf: Leaf, conversation: Conversation) -> float:
    """Return 1 if the items are said close together in the list's order, 0 if not, else 0.5."""
    places: list[list[int]] = []
    for item in leaf.value:
        said = _item_ground(leaf, item, conversation)
        spans = [s for s in said.spans if conversation.is_fresh(s)] or list(said.spans)
        if said.strength < weights.SAID or not spans:
            return weights.LIST_UNCLEAR
        places.append(sorted(start for start, _ in spans))
    best = 0.0
    for start in places[0]:
        at = start
        for options in places[1:]:
            later = [place for place in options if place > at]
            if not later:
                break
            at = later[0]
        else:
            close = at - start <= weights.LIST_SPREAD * len(places)
            best = max(best, 1.0 if close else weights.LIST_UNCLEAR)
    return best
