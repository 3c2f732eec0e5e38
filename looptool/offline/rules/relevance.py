"""How well a tool matches the request, and which parameter a value is meant for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from looptool.core.tools import Tool
from looptool.offline.rules import weights
from looptool.offline.rules.conversation import Conversation
from looptool.offline.rules.spans import Span, overlap
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
    schemas = ((tool or {}).get("parameters") or {}).get("properties")
    return schemas if isinstance(schemas, Mapping) else {}


def required(tool: Tool | None) -> Sequence[str]:
    """Return the names of the required parameters of a tool."""
    return ((tool or {}).get("parameters") or {}).get("required") or ()


def about(tool: Tool | None, name: str) -> str:
    """Return a parameter's name and description as one text; the name has no spaces."""
    schema = properties(tool).get(name)
    description = schema.get("description", "") if isinstance(schema, Mapping) else ""
    return f"{name} {description}"


@lru_cache(maxsize=16384)
def _tool_words(name: str, description: str) -> dict[str, float]:
    """Return the stems of a tool's name and description with their weights."""
    words = dict.fromkeys(content_stems(description), weights.WORD_OF_DESCRIPTION)
    for word in content_stems(name) or tuple(stem(w) for w in split_words(name)):
        words[word] = weights.WORD_OF_NAME_PALE if word in _PALE else weights.WORD_OF_NAME
    return words


def request_stems(conversation: Conversation) -> dict[str, float]:
    """Return the stems of the user's words with their weights, from 0 to 1.

    The last message counts most. Words of quoted texts and names count less, because they say
    little about which tool is meant.
    """
    if "request" in conversation.memo:
        return conversation.memo["request"]
    names = [m.span for m in conversation.mentions if m.kind in ("quoted", "name")]
    stems: dict[str, float] = {}
    earlier = weights.SAID_BEFORE_FOLLOW_UP if is_brief(conversation) else weights.SAID_EARLIER
    for start, end, role in conversation.parts:
        if role != "user":
            continue
        weight = weights.SAID_IN_REQUEST if start == conversation.request[0] else earlier
        for token in conversation.tokens_between(start, end):
            if token.word in STOPWORDS:
                continue
            inside = any(a <= token.start < b for a, b in names)
            factor = weights.SAID_IN_NAME if inside else 1.0
            stems[token.stem] = max(stems.get(token.stem, 0.0), weight * factor)
    conversation.memo["request"] = stems
    return stems


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
    return len(plain) <= weights.FOLLOW_UP_WORDS


def relevance(tool: Tool, conversation: Conversation) -> float:
    """Return how well a tool's document as a whole and its name match the request (0–1)."""
    return 0.5 * (_tool_match(tool, conversation) + _name_match(tool, conversation))


def _tool_match(tool: Tool, conversation: Conversation) -> float:
    """Return the share of a tool's name and description that the user's words support (0–1)."""
    key = ("match", tool["name"], tool.get("description", ""))
    if key not in conversation.memo:
        words = _tool_words(tool["name"], tool.get("description", ""))
        asked = request_stems(conversation)
        total = sum(words.values())
        hit = sum(weight * _best(word, asked) for word, weight in words.items())
        conversation.memo[key] = hit / total if total else 0.0
    return conversation.memo[key]


def _name_match(tool: Tool, conversation: Conversation) -> float:
    """Return the share of the words of a tool's name that the user's words support (0–1)."""
    asked = request_stems(conversation)
    words = {
        word: weights.NAME_WORD_PALE if word in _PALE else weights.NAME_WORD
        for word in content_stems(tool["name"])
    }
    if not words:
        return weights.NAME_WITHOUT_WORDS
    hit = sum(weight * _best(word, asked) for word, weight in words.items())
    return hit / sum(words.values())


def prefer(left: Tool, right: Tool, conversation: Conversation) -> float:
    """Return how much more `left` is asked for than `right`, by the words that only one has."""
    one = _tool_words(left["name"], left.get("description", ""))
    two = _tool_words(right["name"], right.get("description", ""))
    asked = request_stems(conversation)
    return _asked_for(one, two, asked) - _asked_for(two, one, asked)


def _asked_for(
    words: Mapping[str, float], others: Mapping[str, float], asked: Mapping[str, float]
) -> float:
    """Return how much the request asks for the words of one tool that another tool lacks."""
    score = 0.0
    for word, weight in words.items():
        if word in others:
            continue
        if hit := _best(word, asked):
            score += weight * hit
        elif weight == weights.WORD_OF_NAME:
            score += weight * weights.NAME_WORD_UNASKED
    return score


def _best(word: str, asked: Mapping[str, float]) -> float:
    """Return how much the request's words support a stem: likeness times weight, the highest."""
    if word in asked:
        return asked[word]
    return max((likeness(word, other) * weight for other, weight in asked.items()), default=0.0)


def parameter_words(tool: Tool | None, name: str) -> dict[str, float]:
    """Return the stems that refer to a parameter; those shared with siblings weigh less."""
    known = properties(tool)
    words = dict.fromkeys(
        content_stems(_description(known.get(name))), weights.PARAMETER_DESCRIPTION
    )
    words.update(dict.fromkeys((stem(w) for w in split_words(name)), weights.PARAMETER_NAME))
    for sibling, schema in known.items():
        if sibling == name:
            continue
        others = {*content_stems(_description(schema)), *(stem(w) for w in split_words(sibling))}
        for word in words:
            if word in others:
                words[word] *= weights.PARAMETER_SHARED
    return words


def _description(schema: Any) -> str:
    """Return the description of a schema, or ""."""
    return str(schema.get("description", "")) if isinstance(schema, Mapping) else ""


def order_of(one: str, two: str) -> float:
    """Return how strongly two parameters' names say which value is mentioned first.

    Above 0 it is the value of `one`, below 0 that of `two`.
    """
    ones, twos = _ORDINAL.sub(r" \1", one), _ORDINAL.sub(r" \1", two)
    words = ones.lower().replace("_", " ").split(), twos.lower().replace("_", " ").split()
    left, right = (set(w) - set(v) for w, v in (words, words[::-1]))
    for ranks, weight in (
        (_NUMBERED, weights.ORDER_NUMBERED),
        (_FIRST_AND_LAST, weights.ORDER_DIRECTED),
    ):
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
        for token in reversed(conversation.tokens[max(0, first - weights.RANK_WINDOW) : first]):
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
            _words_around(span, speaks, cues, conversation) + bonus
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
    return weights.KEY_OF_RESULT * len(ours & theirs) / len(ours | theirs) if ours else 0.0


_SENTENCE_END = re.compile(r"\n|[.?] ")
_CONNECTIVES = frozenset({"and", "to", "with", "from"})
_YEAR = re.compile(r"(?:1\d|20|21)\d\d|.*\D.*")
_CALENDAR = word_set("calendar")
_TYPES = {kind: frozenset(map(stem, words)) for kind, words in keyed("types")}


def _type_fits(
    name: str, words: Mapping[str, float], spans: Sequence[Span], conversation: Conversation
) -> float:
    """Return how well a date, time, code or amount suits a parameter; 0 for other values."""
    kinds = {m.kind for m in conversation.mentions if overlap(spans, [m.span])}
    said = {conversation.lower[a:b] for a, b in spans}
    if said & _CALENDAR:
        kinds.add("date")
    if any(text[:1] in "$€£¥" for text in said):
        kinds.add("money")
    if "year" in split_words(name) and not any(_YEAR.fullmatch(text) for text in said):
        return weights.TYPE_ODD
    for kind in ("date", "time", "code", "money"):
        if kind in kinds:
            suits = any(words.get(word, 0) >= weights.TYPE_WORD for word in _TYPES[kind])
            return weights.TYPE_FITS if suits else weights.TYPE_ODD
    return 0.0


def _words_around(
    span: Span, speaks: Mapping[str, float], cues: frozenset[str], conversation: Conversation
) -> float:
    """Return how strongly the words on both sides of a value suggest a parameter.

    Args:
        speaks: how strongly each stem of the conversation suggests the parameter.
        cues: the function words that announce its value.
    """
    score = 0.0
    for part in _words_before(span, speaks, cues, conversation):
        score += part
    for part in _words_after(span, speaks, conversation):
        score += part
    return score


def _words_before(
    span: Span, speaks: Mapping[str, float], cues: frozenset[str], conversation: Conversation
) -> Iterator[float]:
    """Yield what the words before a value add, from the nearest one to the sentence's beginning."""
    tokens, end = conversation.tokens, span[0]
    first = conversation.token_index(span[0])
    factor, cued = 1.0, False
    for distance, index in enumerate(reversed(range(max(0, first - weights.BEFORE_WINDOW), first))):
        token = tokens[index]
        between = conversation.text[token.end : end]
        if _SENTENCE_END.search(between):
            return
        end = token.start
        if index in conversation.mentioned:
            factor *= weights.ACROSS_MENTION
        elif "," in between:
            factor *= weights.ACROSS_COMMA
        fade = factor / (1 + weights.FADE * distance)
        if not cued and token.word in CUE_WORDS:
            cued = True  # only the nearest cue word announces the value
            if token.word in cues:
                yield weights.CUE * fade
        yield speaks[token.stem] * fade


def _words_after(
    span: Span, speaks: Mapping[str, float], conversation: Conversation
) -> Iterator[float]:
    """Yield what the words after a value add, up to a comma, the sentence's end or a mention."""
    first = conversation.token_index(span[1])
    end = conversation.tokens[first - 1].end if first else span[1]
    factor = 1.0
    following = conversation.tokens[first : first + weights.AFTER_WINDOW]
    for distance, token in enumerate(following):
        between = conversation.text[end : token.start]
        if "," in between or _SENTENCE_END.search(between):
            return
        end = token.end
        if token.word in CUE_WORDS and distance:
            factor *= weights.ACROSS_CUE
        if first + distance in conversation.mentioned:
            return
        yield weights.WORD_AFTER * speaks[token.stem] * factor / (1 + weights.FADE * distance)
        if token.word in _CONNECTIVES:
            factor *= weights.ACROSS_CUE


def tool_words_asked(tool: Tool, others: Sequence[Tool], conversation: Conversation) -> float:
    """Return how much of the request refers to `tool` and to none of `others`."""
    words = _tool_words(tool["name"], tool.get("description", ""))
    known: set[str] = set()
    for other in others:
        known |= _tool_words(other["name"], other.get("description", "")).keys()
    asked = request_stems(conversation)
    hits = [
        weight * _best(word, asked)
        for word, weight in words.items()
        if not any(likeness(word, other) for other in known)
    ]
    return sum(hits)
