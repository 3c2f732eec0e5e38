"""A conversation as the rules judge reads it: one text, and the specific things it mentions."""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from looptool.core.calls import ToolCall
from looptool.core.samples import Message
from looptool.offline.rules import dates, numbers, weights
from looptool.offline.rules.languages import is_foreign, plain
from looptool.offline.rules.spans import Span, overlap
from looptool.offline.rules.words import stem

_TOKEN = re.compile(r"[A-Za-z]+(?:['’][a-z]+)?|\d+|[$€£¥°%]|[^\x00-\x7f\W]+")
_LIST_MARKER = re.compile(r"^[ \t]*(\d{1,2})[.)][ \t]", re.MULTILINE)  # "2. " before an item
_QUOTED = re.compile(
    r"\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|(?<![\w])['‘`]([^'’`\n]{1,120})['’`](?!\w)"
)
_CODE = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]*\w|https?://\S+[\w/]|(?<!\w)#\w+|(?<![\w/])/?(?:[\w.-]+/)+[\w.-]*\w"
    r"|\b[A-Za-z]+[-_]?\d[\w-]*|\b\d+[A-Za-z]+[-_\d][\w-]*|\b\d+-\d[\d-]*|\b\w+\.[a-z]{2,4}\b"
    r"|\b\w+_\w+\b"
)
_CAPITAL = r"[A-Z][\w&-]*(?:[’'][A-Za-rt-z]\w+)?"
_PROPER = re.compile(
    rf"\b{_CAPITAL}(?:(?:(?:(?<=\b[A-Z])\.|(?<=\b[MDS][rst])\.|(?<=\bMrs)\.)? "
    r"(?:(?:of|de|the|la|du|van|von) (?=[A-Z]))?|, (?=[A-Z]{2}\b))"
    rf"(?:{_CAPITAL}|\d{{1,3}}\b))*"
)
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n]\s*|[\"“‘(]\s*)$")
_NO_NAMES = frozenset({"mr", "mrs", "ms", "dr", "i", "i'm", "i'd", "i've", "i'll"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or sign of the text, with its stem."""

    start: int
    end: int
    word: str
    stem: str


@dataclass(frozen=True, slots=True)
class Mention:
    """Something specific that the last request says and that an answer should use."""

    start: int
    end: int
    kind: str  # number, date, time, quoted, code, name
    text: str

    @property
    def span(self) -> Span:
        """Return where the mention is in the text of the conversation."""
        return self.start, self.end


@dataclass
class Conversation:
    """A conversation and everything found in it.

    Attributes:
        text: all messages, each followed by a line break.
        parts: (start, end, role) of each message in `text`.
        request: the span of the user's last message.
        executed: the calls that the assistant has made, in order.
        since: how many of them, at the end, came after the user's last message.
        today: today's date, if the conversation gives it.
        replies: the texts that the assistant wrote.
        pending: where the user's unanswered messages begin.
        foreign: whether the user does not write English.
        mentioned: the indices of the tokens that are part of mentions.
        memo: a cache for what other modules compute from this conversation.
    """

    text: str
    parts: list[tuple[int, int, str]]
    request: Span
    executed: list[ToolCall]
    since: int
    today: dt.date | None
    replies: list[str] = field(default_factory=list)
    lower: str = ""
    pending: int = 0
    foreign: bool = False
    tokens: list[Token] = field(default_factory=list)
    numbers: list[numbers.Number] = field(default_factory=list)
    days: list[dates.Moment] = field(default_factory=list)
    times: list[dates.Moment] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    mentioned: frozenset[int] = frozenset()
    memo: dict[Any, Any] = field(default_factory=dict)

    @property
    def recent(self) -> Sequence[ToolCall]:
        """Return the calls made since the user's last message."""
        return self.executed[len(self.executed) - self.since :]

    def role_at(self, position: int) -> str:
        """Return the role of the message at `position`."""
        return next((role for start, end, role in self.parts if start <= position <= end), "")

    def in_request(self, span: Span) -> bool:
        """Whether a span begins in the user's last message."""
        return self.request[0] <= span[0] < self.request[1]

    def is_fresh(self, span: Span) -> bool:
        """Whether a span begins in the user's last message or after it."""
        return self.request[0] <= span[0]

    def is_pending(self, position: int) -> bool:
        """Whether `position` is in a message of the user that is not answered yet."""
        return position >= self.pending and self.role_at(position) == "user"

    def user_text(self) -> str:
        """Return the text of the user's messages."""
        return "\n".join(self.text[start:end] for start, end, role in self.parts if role == "user")

    def tokens_between(self, start: int, end: int) -> list[Token]:
        """Return the tokens that begin from `start` to before `end`."""
        keys = self._starts()
        return self.tokens[bisect_left(keys, start) : bisect_left(keys, end)]

    def token_index(self, position: int) -> int:
        """Return the index of the first token that begins at or after `position`."""
        return bisect_left(self._starts(), position)

    def _starts(self) -> list[int]:
        """Return the positions of the tokens."""
        if "starts" not in self.memo:
            self.memo["starts"] = [token.start for token in self.tokens]
        return self.memo["starts"]


def read(messages: Sequence[Message]) -> Conversation:
    """Read a conversation and find everything that it mentions."""
    text, parts, executed, replies = "", [], [], []
    request, since, pending, answered = (0, 0), 0, 0, True
    for message in messages:
        content = plain(message.get("content") or "")
        start = len(text)
        text += content + "\n"
        parts.append((start, start + len(content), message["role"]))
        if message["role"] == "assistant" and content:
            replies.append(message["content"])
        if message["role"] == "user":
            request, since = (start, start + len(content)), 0
            pending, answered = start if answered else pending, False
        elif message["role"] == "assistant":
            answered = "?" not in content
        for item in message.get("tool_calls") or ():
            function = item.get("function", item)
            executed.append(ToolCall(function["name"], function["arguments"]))
            since += 1
    today = dates.find_today(text)
    conversation = Conversation(
        text, parts, request, executed, since, today, replies, text.lower(), pending
    )
    conversation.tokens = [
        Token(m.start(), m.end(), m[0].lower(), stem(m[0])) for m in _TOKEN.finditer(text)
    ]
    conversation.days = dates.find_days(text, today)
    conversation.times = dates.find_times(text)
    conversation.numbers = numbers.find_numbers(text)
    conversation.foreign = is_foreign(conversation.user_text()[-weights.LANGUAGE_WINDOW :])
    if conversation.foreign:
        conversation.numbers = numbers.with_commas(conversation.numbers, text)
    conversation.mentions = list(_mentions(conversation))
    conversation.mentioned = frozenset(
        index
        for mention in conversation.mentions
        for index in range(
            conversation.token_index(mention.start), conversation.token_index(mention.end)
        )
    )
    return conversation


def _mentions(conversation: Conversation) -> Iterator[Mention]:
    """Yield the mentions of the last request; of overlapping candidates the first one counts."""
    taken: list[Span] = []
    for kind, start, end in _candidates(conversation):
        span = start, end
        if conversation.in_request(span) and not overlap([span], taken):
            taken.append(span)
            yield Mention(start, end, kind, conversation.text[start:end])


def _candidates(conversation: Conversation) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) of what may be a mention; the first of overlapping ones counts."""
    start, end = conversation.request
    text = conversation.text
    for match in _QUOTED.finditer(text, start, end):
        group = next(index for index in (1, 2, 3) if match[index] is not None)
        if match.end(group) - match.start(group) < weights.MENTION_QUOTED_MOST * (end - start):
            yield "quoted", match.start(group), match.end(group)
    yield from (("date", m.start, m.end) for m in conversation.days)
    yield from (("time", m.start, m.end) for m in conversation.times if not m.weak)
    yield from (("code", m.start(), m.end()) for m in _CODE.finditer(text, start, end))
    for match in _PROPER.finditer(text, start, end):
        yield from _name(text, match.start(), match.end())
    markers = {match.start(1) for match in _LIST_MARKER.finditer(text, start, end)}
    for number in conversation.numbers:
        if number.start in markers:
            continue
        strength = max((s for _, s in number.values), default=0.0)
        sure = (
            strength > weights.MENTION_NUMBER_UNIT
            if number.unit
            else strength >= weights.MENTION_NUMBER
        )
        if sure and text[number.start : number.end].lower() != "one":
            yield "number", number.start, number.end


def _name(text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield the name in a run of capitalised words, without the first word of a sentence."""
    words = text[start:end].split()
    if _SENTENCE_START.search(text, max(0, start - 4), start) or start == 0:
        # The capital of the first word of a sentence is not evidence of a name.
        start, words = _without_first(text, start, end), words[1:]
    while words and words[0].lower().rstrip(".,'") in _NO_NAMES:
        start, words = _without_first(text, start, end), words[1:]
    while words and words[-1].lower() in _NO_NAMES:
        end -= len(words.pop())
        end -= len(text[start:end]) - len(text[start:end].rstrip(" ,."))
    if words and start < end and not words[0][0].isdigit():
        yield "name", start, end


def _without_first(text: str, start: int, end: int) -> int:
    """Return where a text begins without its first word."""
    cut = re.match(r"\S+[\s,.]*", text[start:end])
    return start + (cut.end() if cut else 0)
