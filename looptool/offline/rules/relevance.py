"""How well a tool matches the request, and which parameter a value is meant for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from looptool.core.tools import Tool
from looptool.offline.rules.conversation import Conversation, Span
from looptool.offline.rules.words import (
    CUE_WORDS,
    STOPWORDS,
    content_stems,
    keyed,
    likeness,
    lines,
    role_cues,
    split_words,
    stem,
    word_set,
)

_PALE = frozenset(map(stem, word_set("pale")))


def properties(tool: Tool | None) -> Mapping[str, Any]:
    """Return the schemas of a tool's parameters by name."""
    found = ((tool or {}).get("parameters") or {}).get("properties")
    return found if isinstance(found, Mapping) else {}


def required(tool: Tool | None) -> Sequence[str]:
    """Return the names of the required parameters of a tool."""
    return ((tool or {}).get("parameters") or {}).get("required") or ()


def about(tool: Tool | None, name: str) -> str:
    """Return a parameter's name and description as one text; the name has no spaces."""
    schema = properties(tool).get(name)
    description = schema.get("description", "") if isinstance(schema, Mapping) else ""
    return f"{name} {description}"


@lru_cache(maxsize=16384)
def _weights(name: str, description: str) -> dict[str, float]:
    weights = dict.fromkeys(content_stems(description), 0.6)
    for word in content_stems(name) or tuple(stem(w) for w in split_words(name)):
        weights[word] = 0.5 if word in _PALE else 1.5
    return weights


def request_stems(conversation: Conversation) -> dict[str, float]:
    """Return the stems of the user's words with their weights, from 0 to 1.

    The last message counts most. Words of quoted texts and names count less, because they say
    little about which tool is meant.
    """
    if "request" in conversation.memo:
        return conversation.memo["request"]
    names = [(m.start, m.end) for m in conversation.mentions if m.kind in ("quoted", "name")]
    found: dict[str, float] = {}
    earlier = 0.9 if is_brief(conversation) else 0.5
    for start, end, role in conversation.parts:
        if role != "user":
            continue
        weight = 1.0 if start == conversation.request[0] else earlier
        for token in conversation.tokens_between(start, end):
            if token.word in STOPWORDS:
                continue
            inside = any(a <= token.start < b for a, b in names)
            found[token.stem] = max(found.get(token.stem, 0.0), weight * (0.6 if inside else 1.0))
    conversation.memo["request"] = found
    return found


def is_brief(conversation: Conversation) -> bool:
    """Whether the last message has few words besides values, as a follow-up has."""
    start, end = conversation.request
    first = conversation.token_index(start)
    tokens = conversation.tokens_between(start, end)
    plain = {
        token.stem
        for index, token in enumerate(tokens, first)
        if token.word not in STOPWORDS and index not in conversation.mentioned
    }
    return len(plain) <= 2


def tool_match(tool: Tool, conversation: Conversation) -> float:
    """Return the share of a tool's name and description that the user's words support (0–1)."""
    key = ("match", tool["name"], tool.get("description", ""))
    if key not in conversation.memo:
        weights = _weights(tool["name"], tool.get("description", ""))
        asked = request_stems(conversation)
        total = sum(weights.values())
        hit = sum(weight * _best(word, asked) for word, weight in weights.items())
        conversation.memo[key] = hit / total if total else 0.0
    return conversation.memo[key]


def name_match(tool: Tool, conversation: Conversation) -> float:
    """Return the share of the words of a tool's name that the user's words support (0–1)."""
    asked = request_stems(conversation)
    words = {w: 0.4 if w in _PALE else 1.0 for w in content_stems(tool["name"])}
    total = sum(words.values())
    return sum(k * _best(word, asked) for word, k in words.items()) / total if total else 0.5


def prefer(left: Tool, right: Tool, conversation: Conversation) -> float:
    """Return how much more `left` is asked for than `right`, by the words that only one has."""
    one = _weights(left["name"], left.get("description", ""))
    two = _weights(right["name"], right.get("description", ""))
    asked = request_stems(conversation)
    return _own(one, two, asked) - _own(two, one, asked)


def _own(one: Mapping[str, float], two: Mapping[str, float], asked: Mapping[str, float]) -> float:
    score = 0.0
    for word, weight in one.items():
        if word in two:
            continue
        hit = _best(word, asked)
        score += weight * (hit if hit else -0.25 if weight > 1 else 0.0)
    return score


def _best(word: str, asked: Mapping[str, float]) -> float:
    if word in asked:
        return asked[word]
    return max((likeness(word, other) * weight for other, weight in asked.items()), default=0.0)


def parameter_words(tool: Tool | None, name: str) -> dict[str, float]:
    """Return the stems that refer to a parameter; those shared with siblings weigh less."""
    known = properties(tool)
    own = dict.fromkeys(content_stems(_description(known.get(name))), 0.6)
    own.update(dict.fromkeys((stem(w) for w in split_words(name)), 1.2))
    for sibling, schema in known.items():
        if sibling == name:
            continue
        others = {*content_stems(_description(schema)), *(stem(w) for w in split_words(sibling))}
        for word in own:
            if word in others:
                own[word] *= 0.4
    return own


def _description(schema: Any) -> str:
    return str(schema.get("description", "")) if isinstance(schema, Mapping) else ""


def order_of(one: str, two: str) -> float:
    """Return how strongly two parameters' names say which value is mentioned first.

    Above 0 it is the value of `one`, below 0 that of `two`.
    """
    ones, twos = _ORDINAL.sub(r" \1", one), _ORDINAL.sub(r" \1", two)
    words = ones.lower().replace("_", " ").split(), twos.lower().replace("_", " ").split()
    left, right = (set(w) - set(v) for w, v in (words, words[::-1]))
    for ranks, weight in ((_NUMBERED, 2.5), (_FIRST_AND_LAST, 0.8)):
        a = [ranks[w] for w in left if w in ranks]
        b = [ranks[w] for w in right if w in ranks]
        if a and b and min(a) != min(b):
            return weight if min(a) < min(b) else -weight
    return 0.0


_ORDINAL = re.compile(r"_?(\d+|(?<=[a-z])[A-D]|(?<=_)[a-dxy])$")
_NUMBERED = {word: rank for rank, words in enumerate(lines("numbered")) for word in words}
_FIRST_AND_LAST = {word: rank for rank, words in enumerate(lines("directed")) for word in words}


def rank_said(spans: Sequence[Span], conversation: Conversation) -> int | None:
    """Return the rank that is said just before a value ("the second team …"), or None."""
    for span in spans:
        first = conversation.token_index(span[0])
        for token in reversed(conversation.tokens[max(0, first - 3) : first]):
            if token.word in ("first", "second", "third", "fourth"):
                return _NUMBERED[token.word]
    return None


def binding(
    tool: Tool | None, name: str, spans: Sequence[Span], conversation: Conversation
) -> float:
    """Return how strongly the words around a value suggest one parameter.

    About 1 is some evidence, and more than 2 is clear evidence. A value of the wrong type for the
    parameter can make it negative.
    """
    key = ("words", (tool or {}).get("name"), name)
    if key not in conversation.memo:
        words = parameter_words(tool, name)
        speaks = {
            token_stem: max((likeness(token_stem, w) * k for w, k in words.items()), default=0.0)
            for token_stem in {token.stem for token in conversation.tokens}
        }
        cues = role_cues(name, _description(properties(tool).get(name)))
        conversation.memo[key] = words, speaks, cues
    words, speaks, cues = conversation.memo[key]
    spans = [span for span in spans if conversation.is_fresh(span)] or spans
    named = [_key_fits(name, span, conversation) for span in spans]
    return _type_fits(name, words, spans, conversation) + max(
        (
            _binding(span, speaks, cues, conversation) + bonus
            for span, bonus in zip(spans, named, strict=True)
        ),
        default=0.0,
    )


_KEY = re.compile(r"\"([\w.-]+)\":\s*\"?$")


def _key_fits(name: str, span: Span, conversation: Conversation) -> float:
    """Return how well the key of a value in a tool's response matches the parameter's name."""
    key = _KEY.search(conversation.text, max(0, span[0] - 60), span[0])
    if not key:
        return 0.0
    ours, theirs = ({stem(word) for word in split_words(text)} for text in (name, key[1]))
    return 2.0 * len(ours & theirs) / len(ours | theirs) if ours else 0.0


_YEAR = re.compile(r"(?:1\d|20|21)\d\d|.*\D.*")
_CALENDAR = word_set("calendar")
_TYPES = {kind: frozenset(map(stem, words)) for kind, words in keyed("types")}


def _type_fits(
    name: str, words: Mapping[str, float], spans: Sequence[Span], conversation: Conversation
) -> float:
    """Return 1 if a date, time, code or amount suits the parameter, -0.5 if not, else 0."""
    kinds = {m.kind for m in conversation.mentions for a, b in spans if m.start < b and a < m.end}
    said = {conversation.lower[a:b] for a, b in spans}
    if said & _CALENDAR:
        kinds.add("date")
    if any(text[:1] in "$€£¥" for text in said):
        kinds.add("money")
    if "year" in split_words(name) and not any(_YEAR.fullmatch(text) for text in said):
        return -0.5
    for kind in ("date", "time", "code", "money"):
        if kind in kinds:
            return 1.0 if any(words.get(word, 0) >= 0.2 for word in _TYPES[kind]) else -0.5
    return 0.0


def _binding(
    span: Span, speaks: Mapping[str, float], cues: frozenset[str], conversation: Conversation
) -> float:
    mentioned = conversation.mentioned
    first = conversation.token_index(span[0])
    last = conversation.token_index(span[1])
    tokens = conversation.tokens
    score, crossed, cued = 0.0, 1.0, False
    for distance, index in enumerate(range(first - 1, max(-1, first - 8), -1)):
        token = tokens[index]
        after = tokens[index + 1].start if distance else span[0]
        between = conversation.text[token.end : after]
        if "\n" in between or ". " in between or "? " in between:
            break
        if index in mentioned or "," in between:
            crossed *= 0.3 if index in mentioned else 0.5
        fade = crossed / (1 + 0.3 * distance)
        if not cued and token.word in CUE_WORDS:
            # Only the nearest cue word announces the value.
            cued = True
            if token.word in cues:
                score += 1.2 * fade
        score += speaks[token.stem] * fade
    crossed = 1.0
    for distance, index in enumerate(range(last, min(len(tokens), last + 4))):
        token = tokens[index]
        between = conversation.text[tokens[index - 1].end : token.start] if index else ""
        if "\n" in between or ". " in between or "," in between or "? " in between:
            break
        if token.word in CUE_WORDS and distance:
            crossed *= 0.3
        if index in mentioned:
            break
        score += 1.2 * speaks[token.stem] * crossed / (1 + 0.3 * distance)
        if token.word in ("and", "to", "with", "from"):
            crossed *= 0.3
    return score


def tool_words_asked(tool: Tool, others: Sequence[Tool], conversation: Conversation) -> float:
    """Return how much of the request refers to `tool` and to none of `others`."""
    own = _weights(tool["name"], tool.get("description", ""))
    known: set[str] = set()
    for other in others:
        known |= _weights(other["name"], other.get("description", "")).keys()
    asked = request_stems(conversation)
    hits = [
        weight * _best(word, asked)
        for word, weight in own.items()
        if not any(likeness(word, other) for other in known)
    ]
    return sum(hits)
