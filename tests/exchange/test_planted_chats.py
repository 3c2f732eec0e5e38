"""Sound chats in every format: the calls that were planted come back, argument by argument."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from looptool.core import canonical
from looptool.exchange.records import Raw
from looptool.exchange.sample_sets import convert
from tests.exchange.chats import WRITERS, Chat, chats


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=60)
@given(chat=chats())
def test_planted_calls_come_back(writer: str, chat: Chat) -> None:
    form, write = WRITERS[writer]
    good, bad, _ = convert([Raw(1, json.dumps(write(chat)))], form)
    assert not bad["reason"]
    turns = [chat.calls]
    if form not in ("xlam", "looptool"):  # the others hold more than one answer
        turns += [chat.later] if chat.later else []
        turns.append(chat.last)  # type: ignore[arg-type]
    labels = [canonical.loads(label) for label in good["label"]]
    found = [label.get("calls", label.get("text")) for label in labels]
    assert canonical.dumps(found) == canonical.dumps(turns)  # True is no 1 there
    if form == "openai":
        said = canonical.loads(good["messages"][-1])
        results = [json.loads(each["content"]) for each in said if each["role"] == "tool"]
        assert results[: len(chat.results)] == chat.results  # in the order of their calls
