"""Whole chat records, valid, odd and broken: each line ends in a sample or a rejection."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.core import canonical
from looptool.core.samples import CATEGORIES, category_of, check_label
from looptool.core.tools import check_tool
from looptool.exchange.formats import formats
from looptool.exchange.records import Raw
from looptool.exchange.sample_sets import convert
from tests.exchange.chats import WRITERS, chats
from tests.strategies import JSON

NAMES = st.sampled_from(["go", "get_item", "größe", "a.b", "", "x" * 80])
KEYS = st.sampled_from(["place", "items", "type", "default", "required", "n"])
KINDS = st.sampled_from(
    ["string", "integer", "number", "array", "object", "null", "dict", "str, optional", "List[int]",
     "Union[int, str]", ["string", "null"], None, 5]
)  # fmt: skip
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.fixed_dictionaries(
        {}, optional={"type": KINDS, "enum": st.lists(JSON, max_size=2) | st.none(),
                      "default": JSON, "description": st.text(max_size=5) | st.none(),
                      "$ref": st.sampled_from(["#/$defs/a", "#", "x"])},
    ) | st.none(),
    lambda inner: st.fixed_dictionaries(
        {"type": KINDS},
        optional={"properties": st.dictionaries(KEYS, inner, max_size=3), "items": inner,
                  "anyOf": st.lists(inner, max_size=2), "additionalProperties": inner,
                  "required": st.lists(KEYS, max_size=2) | st.none()},
    ),
    max_leaves=6,
)  # fmt: skip
TOOLS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "parameters": SCHEMAS},
        optional={"description": st.text(max_size=9) | st.none(), "strict": st.booleans()},
    ).flatmap(lambda tool: st.sampled_from([tool, {"type": "function", "function": tool}])),
    max_size=3,
)
ARGUMENTS = st.dictionaries(KEYS, JSON, max_size=3)
IDS = st.sampled_from(["c0", "c1", "", None])


def text_or_object(value: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([value, json.dumps(value), repr(value), json.dumps(json.dumps(value))])


CALL = st.builds(lambda name, arguments: {"name": name, "arguments": arguments}, NAMES, ARGUMENTS)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["<think>a</think>b", "<think>", "go(place='a')", "Action: go\nAction Input: {",
                     "<tool_call>", "[TOOL_CALLS]", "<tools>[]</tools>", "```json\n{}\n```"]),
    CALL.map(json.dumps), CALL.map(repr),
    CALL.map(lambda call: f"<tool_call>\n{json.dumps(call)}\n</tool_call>"),
    CALL.map(lambda call: f"<tool_call>{call!r}</tool_call>"),
    CALL.map(lambda call: f"[TOOL_CALLS][{json.dumps(call)}]"),
    CALL.map(lambda call: f"<function={call['name']}>{json.dumps(call['arguments'])}</function>"),
)  # fmt: skip
TOOL_CALLS = st.lists(
    st.builds(
        lambda call, identity: {"id": identity, "type": "function", "function": call},
        st.builds(lambda name, text: {"name": name, "arguments": text}, NAMES,
                  ARGUMENTS.flatmap(text_or_object)), IDS,
    ), max_size=2,
)  # fmt: skip
PARTS = st.lists(st.fixed_dictionaries({"type": st.sampled_from(["text", "thinking", "image"])},
                 optional={"text": TEXTS, "value": TEXTS}), max_size=2)  # fmt: skip
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "assistant", "system", "user"])},
        optional={"content": TEXTS | PARTS | st.none(), "tool_calls": TOOL_CALLS | st.none(),
                  "tool_call_id": IDS, "name": NAMES | st.none(),
                  "weight": st.sampled_from([0, 1])},
    ), max_size=6,
)  # fmt: skip
TURNS = st.lists(
    st.fixed_dictionaries({
        "from": st.sampled_from(["human", "gpt", "tool", "function_call", "system", "assistant"]),
        "value": TEXTS}), max_size=6)  # fmt: skip
LISTED = TOOLS.flatmap(text_or_object)
RECORDS = {
    "openai": st.builds(lambda m, t: {"messages": m, "tools": t}, MESSAGES, LISTED),
    "sharegpt": st.builds(lambda c, t: {"conversations": c, "tools": t}, TURNS, LISTED),
    "xlam": st.builds(
        lambda q, t, a: {"query": q, "tools": t, "answers": a}, TEXTS, LISTED,
        st.lists(CALL, max_size=2).flatmap(text_or_object)),
    "toolace": st.builds(
        lambda t, c: {"system": f"functions in JSON format that you can invoke: {t}",
                      "conversations": c}, LISTED, TURNS),
    "looptool": st.builds(
        lambda t, i, o: {"instruction": f"<tools>{t}</tools>", "input": i, "output": o},
        LISTED, TEXTS, TEXTS),
}  # fmt: skip


@st.composite
def broken(draw: st.DrawFn, record: Any) -> Any:
    """A record of which something is gone or another thing, at most places a few levels down."""
    for _ in range(draw(st.integers(0, 2))):
        part = record
        while isinstance(part, dict | list) and part:
            key = draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
            if draw(st.booleans()):
                part[key] = draw(JSON)
                break
            part = part[key]
    return record


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    form = draw(st.sampled_from(list(RECORDS)))
    sound = [chats().map(write) for of, write in WRITERS.values() if of == form]
    made = st.one_of(RECORDS[form], *sound)
    records = [draw(broken(draw(made))) for _ in range(draw(st.integers(1, 3)))]
    return form, [json.dumps(record) for record in records]


@settings(max_examples=400)
@given(lines())
def test_every_record_ends_as_a_sample_or_a_rejection(given: tuple[str, list[str]]) -> None:
    form, texts = given
    good, bad, changes = convert([Raw(n, text) for n, text in enumerate(texts)], form)
    assert set(good["line"]) | set(bad["line"]) == set(range(len(texts)))
    assert all(bad["reason"]) and all(count > 0 for count in changes.values())
    for row in zip(good["tools"], good["messages"], good["label"], good["category"], strict=True):
        *values, category = row
        tools, messages, label = map(canonical.loads, values)
        assert not any(map(check_tool, tools))
        assert check_label(label) is None
        assert category == category_of(tools, messages, label)
        assert category in CATEGORIES
        assert all(set(m) <= {"role", "content", "name", "tool_calls"} for m in messages)


@settings(max_examples=100)
@given(JSON, st.sampled_from(list(formats())))
def test_any_json_is_read_or_refused(value: Any, form: str) -> None:
    good, bad, _ = convert([Raw(1, json.dumps(value))], form)
    assert good["line"] or bad["line"]
