"""Whether an answer makes a call as often as the request asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from looptool.core.tools import Tool
from looptool.offline.rules.answers import Answer, Leaf, all_leaves, bound
from looptool.offline.rules.conversation import Token
from looptool.offline.rules.cues import QUALIFIERS, Cue, find_cues, many_times, singular
from looptool.offline.rules.relevance import properties
from looptool.offline.rules.spans import Span, overlap
from looptool.offline.rules.words import STOPWORDS, split_words, stem, word_set

Groups = Mapping[str, list[int]]
"""The indices of an answer's calls, by the calls as canonical JSON: equal calls are a group."""


@dataclass(frozen=True, slots=True)
class Count:
    """The number of calls that a cue asks for.

    Attributes:
        calls: the indices of the calls that it refers to.
        done: how many such calls were made since the last request.
        wanted: the number, or None if it is open.
        sure: whether the request gives a number of times; a number of things may mean something
            else.
        span: where the cue is in the text.
    """

    calls: tuple[int, ...]
    done: int
    wanted: int | None
    sure: bool
    span: Span

    @property
    def fits(self) -> bool:
        """Whether the answer makes as many calls as are asked for."""
        return self.wanted is None or len(self.calls) + self.done == self.wanted


_EACH = re.compile(r"\b(?:each|apiece|both)\b")
_CLAUSE = re.compile(r"[.;:!?\n](?!\d)|,(?!\d)|\b(?:and|then|but)\b")
_OPEN = word_set("open_counts")
_COUNTERS = word_set("count_parameters")
_SEARCHES = word_set("searches")
_NUMBERED = re.compile(
    r"_?(?:\d+|(?<=_)[a-dxy]|first|second|one|two)$|^(?:first|second)_?|^[a-dxy]$"
)


def counts(answer: Answer) -> list[Count]:
    """Return what the request says about the number of calls in an answer."""
    conversation = answer.conversation
    if not answer.calls or conversation.foreign:
        return []
    memo = ("counts", *answer.keys)
    if memo not in conversation.memo:
        conversation.memo[memo] = _counts(answer)
    return conversation.memo[memo]


def left_open(left: Answer, right: Answer) -> str | None:
    """Return a tool that two answers call with the same arguments, but not equally often.

    None if there is no such tool, or if the request says which number is right.
    """
    for answer, other in ((left, right), (right, left)):
        for count in counts(answer):
            index = count.calls[0]
            key = answer.keys[index]
            often = answer.keys.count(key), other.keys.count(key)
            if count.wanted is None and often[0] != often[1] and min(often):
                return answer.calls[index].name
    return None


def _counts(answer: Answer) -> list[Count]:
    """Return the counts of `counts` without the cache."""
    groups: dict[str, list[int]] = {}
    for index, key in enumerate(answer.keys):
        groups.setdefault(key, []).append(index)
    repeated = len(groups) < len(answer.keys)
    cues = [cue for cue in find_cues(answer.conversation) if not cue.again or len(groups) == 1]
    if not cues and not repeated:
        return []
    result = [*_counts_of_times(answer, groups, cues), *_counts_of_things(answer, groups, cues)]
    if repeated:
        result += list(_open_counts(answer, groups, result))
    return result


# Numbers of times: "twice"


def _counts_of_times(answer: Answer, groups: Groups, cues: Sequence[Cue]) -> Iterator[Count]:
    """Yield a count for each group of equal calls that a number of times refers to."""
    by_group: dict[str, list[Cue]] = {}
    for cue in cues:
        if cue.times:
            for key in _groups_meant(answer, groups, cue):
                if not _is_taken(answer, groups[key][0], cue, "time"):
                    by_group.setdefault(key, []).append(cue)
    for key, meant in by_group.items():
        numbers = {cue.wanted for cue in meant}
        wanted = numbers.pop() if len(numbers) == 1 and not answer.waiting else None
        calls = tuple(groups[key])
        done = _made_before(answer, calls[0], equal=True)
        sure = wanted is not None and not meant[0].again
        yield Count(calls, done, wanted, sure, (meant[0].start, meant[0].end))


def _groups_meant(answer: Answer, groups: Groups, cue: Cue) -> list[str]:
    """Return the groups of equal calls that a number of times refers to, by its clause."""
    if len(groups) == 1:
        return list(groups)
    text = answer.conversation.lower
    start = max((m.end() for m in _CLAUSE.finditer(text, 0, cue.start)), default=0)
    after = _CLAUSE.search(text, cue.end)
    end = after.start() if after else len(text)
    if _EACH.search(text[start:end]):
        return list(groups)
    places = {
        key: [place for place in _places(answer, groups, key) if start <= place < end]
        for key in groups
    }
    before = {
        key: max(place for place in inside if place < cue.start)
        for key, inside in places.items()
        if min(inside, default=end) < cue.start
    }
    if before:
        return [max(before, key=lambda key: before[key])]
    behind = {key: min(inside) for key, inside in places.items() if inside}
    return [min(behind, key=lambda key: behind[key])] if behind else []


def _places(answer: Answer, groups: Groups, key: str) -> list[int]:
    """Return the positions of the values and tool name that only one group of equal calls has."""
    index = groups[key][0]
    others = [indices[0] for other, indices in groups.items() if other != key]
    shared = {(leaf.path, leaf.text) for other in others for leaf in answer.leaves[other]}
    places = [
        span[0]
        for leaf in answer.leaves[index]
        if (leaf.path, leaf.text) not in shared
        for span in leaf.ground.spans
    ]
    name = answer.calls[index].name
    if all(answer.calls[other].name != name for other in others):
        words = {stem(word) for word in split_words(name) if word not in STOPWORDS}
        places += [token.start for token in answer.conversation.tokens if token.stem in words]
    return [place for place in places if answer.conversation.is_pending(place)]


# Numbers of things: "two rolls"


def _counts_of_things(answer: Answer, groups: Groups, cues: Sequence[Cue]) -> Iterator[Count]:
    """Yield a count for each number of things of which a tool handles one per call."""
    for name in dict.fromkeys(call.name for call in answer.calls):
        of_tool = {
            key: indices for key, indices in groups.items() if answer.calls[indices[0]].name == name
        }
        index = next(iter(of_tool.values()))[0]
        tool = answer.tools[index]
        if tool is None or _takes_several(tool):
            continue
        counting = list(_counting(answer, index, tool, cues))
        done = _made_before(answer, index, equal=False)
        for keys, cue in _assigned(answer, of_tool, counting):
            calls = tuple(i for key in keys for i in of_tool[key])
            yield Count(calls, done, cue.wanted, False, (cue.start, cue.end))


def _counting(answer: Answer, index: int, tool: Tool, cues: Sequence[Cue]) -> Iterator[Cue]:
    """Yield the numbers of things that a tool handles one per call, and those continuing them."""
    words = _document_words(tool)
    went_before = False
    for cue in cues:
        if cue.times:
            continue
        noun = next((one for many, one in cue.nouns if one in words and many not in words), None)
        if noun is None and not (went_before and cue.goes_on):
            continue
        if not _is_taken(answer, index, cue, noun or ""):
            went_before = True
            yield cue


def _assigned(
    answer: Answer, groups: Groups, cues: Sequence[Cue]
) -> Iterator[tuple[Sequence[str], Cue]]:
    """Yield each number of things with the groups it refers to: all of them, or one per number."""
    next_groups = [_next_group(answer, groups, cue) for cue in cues]
    numbers = [cue.wanted or 0 for cue in cues]
    # One per number as in "two from … and two from …", perhaps after their sum ("four numbers, …").
    for first in (0, 1):
        nearest = [key for key in next_groups[first:] if key]
        apart = len(groups) > 1 and len(cues) - first == len(groups) == len(set(nearest)) == len(
            nearest
        )
        if apart and (not first or numbers[0] == sum(numbers[1:])):
            yield from ((list(groups), cue) for cue in cues[:first])
            yield from (([key], cue) for key, cue in zip(nearest, cues[first:], strict=True))
            return
    if len(set(numbers)) == 1:
        yield from ((list(groups), cue) for cue in cues)


def _next_group(answer: Answer, groups: Groups, cue: Cue) -> str | None:
    """Return the group whose distinguishing values come next after a number, or None."""
    first = {
        key: min((p for p in _places(answer, groups, key) if p > cue.end), default=None)
        for key in groups
    }
    ahead = {key: place for key, place in first.items() if place is not None}
    return min(ahead, key=lambda key: ahead[key], default=None)


def _takes_several(tool: Tool) -> bool:
    """Whether one call handles several things: it searches, or its parameters are numbered."""
    if not _SEARCHES.isdisjoint(split_words(tool["name"])):
        return True
    bare = [_NUMBERED.sub("", name) for name in properties(tool)]
    return len(set(bare)) < len(bare)


def _document_words(tool: Tool) -> set[str]:
    """Return the words of a tool's name and description."""
    return set(split_words(f"{tool['name']} {tool.get('description', '')}"))


# Numbers that belong to arguments


def _is_taken(answer: Answer, index: int, cue: Cue, noun: str) -> bool:
    """Whether a number is an argument's value, or may be meant for an unused counting parameter."""
    for leaf in all_leaves(answer):
        if any(a <= cue.start < b for a, b in _spans_meant(leaf, answer)):
            return True
        if leaf.call == index and isinstance(leaf.value, list) and len(leaf.value) == cue.wanted:
            return True
    parameters = properties(answer.tools[index])
    if cue.times:  # "x2" if there are x1 and x2; "repeat" if the tool has a parameter for it
        names = {word for name in parameters for word in [name, *split_words(name)]}
        if names & {*answer.conversation.lower[cue.start : cue.end].split()}:
            return True
    elif len(_named_arguments(answer, index)) == cue.wanted:
        return True  # "the two cities Oslo and Bergen"
    given = answer.calls[index].arguments
    return any(
        name not in given and _is_counter(name, schema, noun) for name, schema in parameters.items()
    )


def _spans_meant(leaf: Leaf, answer: Answer) -> Sequence[Span]:
    """Return the spans that a value comes from; for a number only the best bound, one per call."""
    spans = leaf.ground.spans
    if leaf.kind != "number" or len(spans) < 2:
        return spans
    same_value = [
        leaves[0].call
        for leaves in answer.leaves
        if any(other.path == leaf.path and other.text == leaf.text for other in leaves)
    ]
    different = len({answer.keys[call] for call in same_value})
    return sorted(spans, key=lambda span: -bound(leaf, [span], answer.conversation))[:different]


def _named_arguments(answer: Answer, index: int) -> list[Leaf]:
    """Return the arguments of a call that the request names or quotes."""
    named = [m.span for m in answer.conversation.mentions if m.kind in ("name", "quoted", "code")]
    return [leaf for leaf in answer.leaves[index] if overlap(leaf.ground.spans, named)]


def _is_counter(name: str, schema: Any, noun: str) -> bool:
    """Whether a parameter takes a number of times, or of the things that `noun` names."""
    kind = schema.get("type", "integer") if isinstance(schema, dict) else "integer"
    if kind not in ("integer", "number"):
        return False
    words = split_words(name)
    counted = any(word == noun or singular(word) == noun for word in words)
    return counted or bool(_COUNTERS & set(words)) or "number of" in " ".join(words)


# Numbers that the request leaves open


def _open_counts(answer: Answer, groups: Groups, counts: Sequence[Count]) -> Iterator[Count]:
    """Yield an open count for repeated calls if the request may ask for several of them."""
    counted = {index for count in counts for index in count.calls}
    several = {answer.calls[count.calls[0]].name for count in counts if count.wanted != 1}
    for calls in map(tuple, groups.values()):
        if len(calls) == 1 or counted.issuperset(calls):
            continue
        if answer.calls[calls[0]].name in several or _may_ask_for_several(answer, calls):
            yield Count(calls, 0, None, False, (0, 0))


def _may_ask_for_several(answer: Answer, calls: Sequence[int]) -> bool:
    """Whether a request may ask for several calls: by plurals, repeated words or a number."""
    tool, conversation = answer.tools[calls[0]], answer.conversation
    if tool is None or _takes_several(tool):
        return False
    asked = [token for token in conversation.tokens if conversation.is_pending(token.start)]
    if _says_values_again(answer, calls, tool, asked):
        return True
    if len(set(answer.keys)) > 1:
        return False  # it may ask for several of the other calls
    open_words = {token.word for token in asked} & _OPEN
    return (
        many_times(conversation)
        or bool(open_words - _document_words(tool))
        or _in_plural(tool, asked)
        or _says_number(answer, calls)
    )


def _says_values_again(
    answer: Answer, calls: Sequence[int], tool: Tool, asked: Sequence[Token]
) -> bool:
    """Whether a request has a word of the tool's name and each value once for every call."""
    stems = {stem(word) for word in split_words(tool["name"])} - STOPWORDS
    often = max((sum(token.stem == word for token in asked) for word in stems), default=0)
    return often >= len(calls) and all(
        len(leaf.ground.spans) >= len(calls) and leaf.kind != "list"
        for leaf in answer.leaves[calls[0]]
    )


def _says_number(answer: Answer, calls: Sequence[int]) -> bool:
    """Whether a request has the number of calls as a word that belongs to no argument."""
    return any(
        cue.wanted == len(calls)
        and not cue.times
        and answer.conversation.text[cue.start].isalpha()
        and not _is_taken(answer, calls[0], cue, "")
        for cue in find_cues(answer.conversation)
    )


def _in_plural(tool: Tool, asked: Sequence[Token]) -> bool:
    """Whether a request has the plural of what a call handles: "flip coins", "some dice"."""
    words = _document_words(tool)
    verb = next((stem(word) for word in split_words(tool["name"])), "")
    of_parameters = {word for name in properties(tool) for word in split_words(name)}
    return any(
        singular(token.word) in words - of_parameters
        and token.word not in words
        and (before.word == "some" or before.word in QUALIFIERS or before.stem == verb)
        for before, token in pairwise(asked)
    )


def _made_before(answer: Answer, index: int, equal: bool) -> int:
    """Return how many equal calls, or calls of the same tool, were made since the last request."""
    call = answer.calls[index]
    return sum(
        done == call if equal else done.name == call.name for done in answer.conversation.recent
    )
