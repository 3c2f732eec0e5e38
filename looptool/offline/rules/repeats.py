"""How often a request asks for the same call: "twice", "roll it 3x", "two rolls", "and again"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from looptool.core.tools import Tool
from looptool.offline.rules import weights
from looptool.offline.rules.answers import Answer, Leaf, all_leaves, bound
from looptool.offline.rules.conversation import Conversation, Span, Token
from looptool.offline.rules.numbers import Number, is_measure
from looptool.offline.rules.relevance import properties
from looptool.offline.rules.words import STOPWORDS, keyed, split_words, stem, word_set


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that give a number of times, or a number of things that may take one call each.

    Attributes:
        wanted: the number, or None if it is open ("a few times").
        times: whether it counts times.
        again: whether it is "again" or the like, which asks for one more call, equal or not.
        nouns: what it may count: (plural, singular) of the plurals after it.
        goes_on: whether it may count the same things as an earlier number.
    """

    start: int
    end: int
    wanted: int | None
    times: bool
    again: bool = False
    nouns: tuple[tuple[str, str], ...] = ()
    goes_on: bool = False


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


_TIMES = re.compile(r"(?:\s+of)?(?:\s+(?:(more)|separate|different))?\s+times?\b")
_CROSS = re.compile(
    r"(?<![\w.])(?:(\d{1,4})\s?x(?!\w)|(?:×\s?|x)(\d{1,4})(?!\w)|(\d{1,4})\s?×)(?!\s*[=\d])"
)
_BOTH = re.compile(r"\bboth times\b")
_AGAIN = re.compile(
    r"\b(?:again|repeat|another (?:one|time)|(?:once|one) (?:more|again)|a second time)\b"
)
_JOINED = re.compile(r"(?:\b(?:and|then)\b|,)(?:\s+[\w'’-]+){0,6}?\s+$")
# "three times a day", "twice as long", "2 times 7"
_NO_COUNT = re.compile(
    r"\s*(?:a|an|per|for (?:each|every)|you|we|all|every|each (?=second|minute|hour|day|week|month)"
    r"|daily|weekly|monthly|yearly|as|the|its|\d|\w+er than|more than|bigger|faster|speed|zoom)\b"
)
_PAST = re.compile(
    r"(?:\b(?:have|has|had)|['’]ve)\s+(?:(?:already|now|just|also)\s+)?"
    r"(?:\w+ed|been|done|seen|gone|made|told|sent)\b"
    r"|\b(?:i|we|they|he|she)\s+(?:(?!need)\w+ed|went|was|were|did|rang|sent)\b"
    r"|\b(?:already|ago|yesterday)\b"
)
_CLAUSE = re.compile(r"[.;:!?\n](?!\d)|,(?!\d)|\b(?:and|then|but)\b")
_OPEN = word_set("open_counts")
_LETS_THROUGH = word_set("before_counted")
_GOES_ON = word_set("after_count")
_COUNTERS = word_set("count_parameters")
_SEARCHES = word_set("searches")
_SINGULARS = {word: one for one, words in keyed("plurals") for word in words}
_ORDINALS = word_set("ordinals")
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
        conversation.memo[memo] = _count(answer)
    return conversation.memo[memo]


def _count(answer: Answer) -> list[Count]:
    groups: dict[str, list[int]] = {}
    for index, key in enumerate(answer.keys):
        groups.setdefault(key, []).append(index)
    repeated = len(groups) < len(answer.keys)
    cues = [cue for cue in _cues(answer.conversation) if not cue.again or len(groups) == 1]
    if not cues and not repeated:
        return []
    result = [*_times(answer, groups, cues), *_things(answer, groups, cues)]
    if repeated:
        result += list(_left_open(answer, groups, result))
    return result


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


# Times


def _times(answer: Answer, groups: Mapping[str, list[int]], told: Sequence[Cue]) -> Iterator[Count]:
    """Yield a count for each group of equal calls that a number of times refers to."""
    meant: dict[str, list[Cue]] = {}
    for cue in told:
        if cue.times:
            for key in _owners(answer, groups, cue):
                if not _is_taken(answer, groups[key][0], cue, "time"):
                    meant.setdefault(key, []).append(cue)
    for key, cues in meant.items():
        numbers = {cue.wanted for cue in cues}
        wanted = numbers.pop() if len(numbers) == 1 and not answer.waiting else None
        calls = tuple(groups[key])
        done = _done(answer, calls[0], equal=True)
        sure = wanted is not None and not cues[0].again
        yield Count(calls, done, wanted, sure, (cues[0].start, cues[0].end))


def _owners(answer: Answer, groups: Mapping[str, list[int]], cue: Cue) -> list[str]:
    """Return the groups of equal calls that a number of times refers to, by its clause."""
    if len(groups) == 1:
        return list(groups)
    text = answer.conversation.lower
    start = max((m.end() for m in _CLAUSE.finditer(text, 0, cue.start)), default=0)
    after = _CLAUSE.search(text, cue.end)
    end = after.start() if after else len(text)
    if re.search(r"\b(?:each|apiece|both)\b", text[start:end]):
        return list(groups)
    places = {key: _places(answer, groups, key) for key in groups}
    near = {k: [p for p in v if start <= p < end] for k, v in places.items()}
    before = {
        k: max(p for p in v if p < cue.start)
        for k, v in near.items()
        if min(v, default=end) < cue.start
    }
    if before:
        return [max(before, key=lambda key: before[key])]
    behind = {k: min(v) for k, v in near.items() if v}
    return [min(behind, key=lambda key: behind[key])] if behind else []


def _places(answer: Answer, groups: Mapping[str, list[int]], key: str) -> list[int]:
    """Return the positions of the values and tool name that only one group of equal calls has."""
    index = groups[key][0]
    others = [answer.leaves[places[0]] for other, places in groups.items() if other != key]
    theirs = {(leaf.path, leaf.text) for leaves in others for leaf in leaves}
    found = [
        span[0]
        for leaf in answer.leaves[index]
        if (leaf.path, leaf.text) not in theirs
        for span in leaf.ground.spans
    ]
    name = answer.calls[index].name
    if all(answer.calls[p[0]].name != name for other, p in groups.items() if other != key):
        words = {stem(word) for word in split_words(name) if word not in STOPWORDS}
        found += [token.start for token in answer.conversation.tokens if token.stem in words]
    return [place for place in found if answer.conversation.is_pending(place)]


# Things


def _things(
    answer: Answer, groups: Mapping[str, list[int]], told: Sequence[Cue]
) -> Iterator[Count]:
    """Yield a count for each number of things of which a tool handles one per call."""
    for name in dict.fromkeys(call.name for call in answer.calls):
        own = {k: v for k, v in groups.items() if answer.calls[v[0]].name == name}
        index = next(iter(own.values()))[0]
        tool = answer.tools[index]
        if tool is None or _is_numbered(tool) or _searches(tool):
            continue
        cues = list(_counted(answer, index, tool, told))
        done = _done(answer, index, equal=False)
        for keys, cue in _shared(answer, own, cues):
            calls = tuple(i for key in keys for i in own[key])
            yield Count(calls, done, cue.wanted, False, (cue.start, cue.end))


def _shared(
    answer: Answer, own: Mapping[str, list[int]], cues: Sequence[Cue]
) -> Iterator[tuple[Sequence[str], Cue]]:
    """Yield each number of things with the groups it refers to: all of them, or one per number."""
    ahead = [_ahead(answer, own, cue) for cue in cues]
    numbers = [cue.wanted or 0 for cue in cues]
    # One per number as in "two from … and two from …", perhaps after their sum ("four numbers, …").
    for first in (0, 1):
        nearest = [key for key in ahead[first:] if key]
        apart = len(own) > 1 and len(cues) - first == len(own) == len(set(nearest)) == len(nearest)
        if apart and (not first or numbers[0] == sum(numbers[1:])):
            yield from ((list(own), cue) for cue in cues[:first])
            yield from (([key], cue) for key, cue in zip(nearest, cues[first:], strict=True))
            return
    if len(set(numbers)) == 1:
        yield from ((list(own), cue) for cue in cues)


def _ahead(answer: Answer, own: Mapping[str, list[int]], cue: Cue) -> str | None:
    """Return the group whose distinguishing values come next after a number, or None."""
    ahead = {key: [p for p in _places(answer, own, key) if p > cue.end] for key in own}
    return min((key for key in own if ahead[key]), key=lambda key: min(ahead[key]), default=None)


def _counted(answer: Answer, index: int, tool: Tool, told: Sequence[Cue]) -> Iterator[Cue]:
    """Yield the numbers of things that a tool handles one per call, and those continuing them."""
    words = set(split_words(f"{tool['name']} {tool.get('description', '')}"))
    went_before = False
    for cue in told:
        if cue.times:
            continue
        noun = _noun(cue, words)
        if noun is None and not (went_before and cue.goes_on):
            continue
        if _is_taken(answer, index, cue, noun or ""):
            continue
        went_before = True
        yield cue


def _noun(cue: Cue, words: set[str]) -> str | None:
    """Return the singular of what a number counts, if the tool's document uses only that form."""
    return next((one for many, one in cue.nouns if one in words and many not in words), None)


def _thing(start: int, end: int, wanted: int, conversation: Conversation) -> Cue | None:
    """Return the cue for a number of things, or None if it can count nothing."""
    first = conversation.token_index(end)
    behind = conversation.tokens[first : first + 5]
    nouns, at = [], end
    for token in behind:
        between = conversation.text[at : token.start]
        if re.search(r"[.,;:!?\n]", between) or (
            token.word in STOPWORDS and token.word not in _LETS_THROUGH
        ):
            break
        at = token.end
        if token.word not in _LETS_THROUGH and (one := singular(token.word)):
            nouns.append((token.word, one))
    goes_on = bool(behind) and behind[0].word in _GOES_ON
    if not nouns and not goes_on and not conversation.text[start].isalpha():
        return None
    return Cue(start, end, wanted, False, nouns=tuple(nouns), goes_on=goes_on)


def singular(word: str) -> str | None:
    """Return the singular of a word that looks like a plural, or None."""
    if word in _SINGULARS:
        return _SINGULARS[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return None
    for ending, instead in (
        ("ies", "y"),
        ("shes", "sh"),
        ("ches", "ch"),
        ("sses", "ss"),
        ("xes", "x"),
    ):
        if word.endswith(ending):
            return word[: -len(ending)] + instead
    return word[:-1]


def _searches(tool: Tool) -> bool:
    """Whether a tool's name says that one call finds many things."""
    return not _SEARCHES.isdisjoint(split_words(tool["name"]))


def _is_numbered(tool: Tool) -> bool:
    """Whether parameters are numbered, so that two things go into one call."""
    bare = [_NUMBERED.sub("", name) for name in properties(tool)]
    return len(set(bare)) < len(bare)


# Numbers that arguments use, and open counts


def _is_taken(answer: Answer, index: int, cue: Cue, noun: str) -> bool:
    """Whether a number is an argument's value, or may be meant for an unused counting parameter."""
    for leaf in all_leaves(answer):
        if any(a <= cue.start < b for a, b in _meant(leaf, answer)):
            return True
        if leaf.call == index and isinstance(leaf.value, list) and len(leaf.value) == cue.wanted:
            return True
    if cue.times:  # "x2" if there are x1 and x2; "repeat" if the tool has a parameter for it
        named = {
            word for name in properties(answer.tools[index]) for word in [name, *split_words(name)]
        }
        if named & {*answer.conversation.lower[cue.start : cue.end].split()}:
            return True
    if not cue.times and len(_named(answer, index)) == cue.wanted:
        return True  # "the two cities Oslo and Bergen"
    given = answer.calls[index].arguments
    return any(
        name not in given and _is_counter(name, schema, noun)
        for name, schema in properties(answer.tools[index]).items()
    )


def _named(answer: Answer, index: int) -> list[Leaf]:
    """Return the arguments of a call that the request names or quotes."""
    named = [m for m in answer.conversation.mentions if m.kind in ("name", "quoted", "code")]
    return [
        leaf
        for leaf in answer.leaves[index]
        if any(m.start < b and a < m.end for m in named for a, b in leaf.ground.spans)
    ]


def _meant(leaf: Leaf, answer: Answer) -> Sequence[Span]:
    """Return the spans that a value comes from; for a number only the best bound, one per call."""
    spans = leaf.ground.spans
    if leaf.kind != "number" or len(spans) < 2:
        return spans
    shared = [leaves for leaves in answer.leaves if any(_same(leaf, other) for other in leaves)]
    calls = len({answer.keys[leaves[0].call] for leaves in shared})
    ranked = sorted(spans, key=lambda span: -bound(leaf, [span], answer.conversation))
    return ranked[:calls]


def _same(one: Leaf, two: Leaf) -> bool:
    return one.path == two.path and one.text == two.text


def _is_counter(name: str, schema: Any, noun: str) -> bool:
    kind = schema.get("type", "integer") if isinstance(schema, dict) else "integer"
    if kind not in ("integer", "number"):
        return False
    words = split_words(name)
    counted = {word for word in words if word == noun or singular(word) == noun}
    return bool(counted or _COUNTERS & set(words) or "number of" in " ".join(words))


def _left_open(
    answer: Answer, groups: Mapping[str, list[int]], found: Sequence[Count]
) -> Iterator[Count]:
    """Yield an open count for repeated calls if the request may ask for several of them."""
    counted = {i for count in found for i in count.calls}
    several = {count.calls[0] for count in found if count.wanted != 1}
    names = {answer.calls[i].name for i in several}
    for calls in map(tuple, groups.values()):
        if len(calls) == 1 or counted.issuperset(calls):
            continue
        call, tool = answer.calls[calls[0]], answer.tools[calls[0]]
        if call.name in names or _says_several(answer, calls, tool):
            yield Count(calls, 0, None, False, (0, 0))


def _says_several(answer: Answer, calls: tuple[int, ...], tool: Tool | None) -> bool:
    """Whether a request may ask for several calls: by plurals, repeated words or a number."""
    if tool is None or _searches(tool) or _is_numbered(tool):
        return False
    conversation = answer.conversation
    asked = [token for token in conversation.tokens if conversation.is_pending(token.start)]
    said = {token.word for token in asked}
    numbered = any(_TIMES.match(conversation.lower, n.end) for n in conversation.numbers)
    times = "times" in said and not numbered  # "many times", but not "3 times"
    words = set(split_words(f"{tool['name']} {tool.get('description', '')}"))
    alone = len(set(answer.keys)) == 1  # else the request may ask for several of the other calls
    if alone and (times or (said & _OPEN) - words or _in_plural(tool, words, asked)):
        return True
    stems = {stem(word) for word in split_words(tool["name"])} - STOPWORDS
    verbs = max((sum(t.stem == wanted for t in asked) for wanted in stems), default=0)
    leaves = answer.leaves[calls[0]]
    if verbs >= len(calls) and all(
        len(x.ground.spans) >= len(calls) and x.kind != "list" for x in leaves
    ):
        return True
    return alone and any(
        cue.wanted == len(calls)
        and not cue.times
        and conversation.text[cue.start].isalpha()
        and not _is_taken(answer, calls[0], cue, "")
        for cue in _cues(conversation)
    )


def _in_plural(tool: Tool, words: set[str], asked: Sequence[Token]) -> bool:
    """Whether a request has the plural of what a call handles: "flip coins", "some dice"."""
    first = next((stem(word) for word in split_words(tool["name"])), "")
    named = {word for name in properties(tool) for word in split_words(name)}
    return any(
        (one := singular(token.word)) in words - named
        and one is not None
        and token.word not in words
        and (before.word == "some" or before.word in _LETS_THROUGH or before.stem == first)
        for before, token in pairwise(asked)
    )


def _done(answer: Answer, index: int, equal: bool) -> int:
    """Return how many equal calls, or calls of the same tool, were made since the last request."""
    conversation, call = answer.conversation, answer.calls[index]
    recent = conversation.executed[len(conversation.executed) - conversation.since :]
    return sum(done == call if equal else done.name == call.name for done in recent)


# Cues


def _cues(conversation: Conversation) -> list[Cue]:
    if "cues" not in conversation.memo:
        conversation.memo["cues"] = sorted(_find(conversation), key=lambda cue: cue.start)
    return conversation.memo["cues"]


def _find(conversation: Conversation) -> Iterator[Cue]:
    text = conversation.lower
    start = conversation.pending
    times: list[Span] = []
    for number in conversation.numbers:
        if not conversation.is_pending(number.start) or (wanted := _whole(number)) is None:
            continue
        said = text[number.start : number.end]
        behind = _TIMES.match(text, number.end)
        if said in ("once", "twice", "thrice") or behind:
            end = behind.end() if behind else number.end
            if _AGAIN.match(text, number.start) or _is_told(text, number.start):
                continue
            goes_on = behind and behind[1] and not _earlier(conversation)
            vague = goes_on or _NO_COUNT.match(text, end)
            if vague and said == "once":
                continue
            times.append((number.start, end))
            yield Cue(number.start, end, None if vague else wanted, True)
        elif (
            wanted > 1
            and (thing := _thing(number.start, number.end, wanted, conversation))
            and not _is_no_count(number, conversation)
        ):
            yield thing
    for match in _CROSS.finditer(text, start):
        unit = re.match(r"\s*([a-z]+)", text[match.end() : match.end() + 12])
        if conversation.is_pending(match.start()) and not (unit and is_measure(unit[1])):
            vague = _NO_COUNT.match(text, match.end())
            wanted = int(match[1] or match[2] or match[3])
            times.append(match.span())
            yield Cue(*match.span(), None if vague else wanted, True)
    if times:
        return
    for match in _BOTH.finditer(text, start):
        yield Cue(*match.span(), 2, True)
    more = [m for m in _AGAIN.finditer(text, start) if conversation.is_pending(m.start())]
    for match in more:
        joined = _JOINED.search(text, max(start, match.start() - 80), match.start())
        asked = 1 if _earlier(conversation) else 1 + len(more) if joined else None
        yield Cue(*match.span(), asked, True, again=True)


def _earlier(conversation: Conversation) -> bool:
    """Whether something was answered or called before the pending request."""
    return conversation.pending > 0 and any(
        role == "assistant" for start, _, role in conversation.parts if start < conversation.pending
    )


def _whole(number: Number) -> int | None:
    """Return the value of a number that is surely a whole number above 0, or None."""
    value, strength = max(number.values, key=lambda pair: pair[1], default=(0.0, 0.0))
    whole = strength >= weights.SAID and value == int(value) and value > 0
    return int(value) if whole else None


def _is_told(text: str, start: int) -> bool:
    """Whether the sentence is about the past, up to `start`."""
    begins = max((m.end() for m in re.finditer(r"[.;!?\n]", text[:start])), default=0)
    return _PAST.search(text, begins, start) is not None


def _is_no_count(number: Number, conversation: Conversation) -> bool:
    """Whether a number is a date, time, rank, share or measure, and therefore counts nothing."""
    said = conversation.lower[number.start : number.end]
    moments = [*conversation.days, *(m for m in conversation.times if not m.weak)]
    return (
        len(number.values) > 1
        or is_measure(number.unit)
        or said in _ORDINALS
        or re.search(r"\d(?:st|nd|rd|th)$|[$€£¥%]", said) is not None
        or any(m.start < number.end and number.start < m.end for m in moments)
    )
