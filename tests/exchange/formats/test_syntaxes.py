"""Texts that make calls as other models write them, and texts that only speak of tools."""

import json

import pytest

from looptool.core.samples import label_calls
from looptool.exchange.formats import Changes, Refused
from looptool.exchange.formats.syntaxes import read_beside, read_text
from looptool.exchange.records import Raw
from looptool.exchange.sample_sets import convert

TOOLS = [
    {
        "name": name,
        "description": "",
        "parameters": {"type": "object", "properties": {key: {} for key in parameters}},
    }
    for name, parameters in [
        ("read_item", ["item", "page"]),
        ("search", ["query"]),
        ("pause", []),
    ]
]
READ = ("read_item", {"item": "a"})
JSON = '{"name": "read_item", "arguments": {"item": "a"}}'


def read(text):
    message = read_text(text, TOOLS, Changes())
    if message is None:
        return None
    calls = [each["function"] for each in message["tool_calls"]]
    return [(call.name, call.arguments) for call in label_calls({"calls": calls})]


@pytest.mark.parametrize(
    "text",
    [
        f"<TOOLCALL>[{JSON}]</TOOLCALL>",
        f"I will. <TOOLCALL>{JSON}</TOOLCALL>",
        f"[TOOL_CALLS] [{JSON}]</s>",
        '[TOOL_CALLS]read_item{"item": "a"}',
        '[TOOL_CALLS]read_item[ARGS]{"item": "a"}',
        f"<|tool_call|>[{JSON}]<|/tool_call|>",
        f"<|python_tag|>{JSON.replace('arguments', 'parameters')}<|eom_id|>",
        '<|tool_call_start|>[read_item(item="a")]<|tool_call_end|>',
        """<functioncall> {"name": "read_item", "arguments": '{"item": "a"}'} <|endoftext|>""",
        '<function=read_item>{"item": "a"}</function>',
        'Let me see.\n<function=read_item>{"item": "a"}',
        JSON,
        f"[{JSON}]",
        JSON.replace("arguments", "parameters"),
        "{'name': 'read_item', 'arguments': {'item': 'a'}}",
        f'{{"type": "function", "function": {JSON}}}',
        f'{{"tool_calls": [{{"id": "1", "type": "function", "function": {JSON}}}]}}',
        '{"action": "read_item", "action_input": {"item": "a"}}',
        f"```json\n{JSON}\n```",
        f"```\n[{JSON}]\n```",
        '```tool_code\nread_item(item="a")\n```',
        "[read_item(item='a')]",
        'read_item(item="a")',
        'Action: read_item\nAction Input: {"item": "a"}',
        'Thought: I look.\nAction: read_item\nAction Input: {"item": "a"}\nObservation:',
    ],
)
def test_the_syntaxes_of_other_models_are_read(text):
    assert read(text) == [READ]


def test_several_calls_keep_their_order():
    other = '{"name": "search", "arguments": {"query": "b"}}'
    expected = [READ, ("search", {"query": "b"})]
    assert read(f"<TOOLCALL>[{JSON}, {other}]</TOOLCALL>") == expected
    assert read(f"[TOOL_CALLS][{JSON}][TOOL_CALLS][{other}]") == expected
    assert read('[read_item(item="a"), search(query="b")]') == expected
    assert read(f"<|python_tag|>{JSON}; {other}") == read(f"{JSON}\n{other}") == expected
    assert read('<function=read_item>{"item": "a"}</function>\n'
                '<function=search>{"query": "b"}</function>') == expected  # fmt: skip


def test_calls_of_no_arguments_are_read():
    for text in ("[pause()]", "pause()", '{"name": "pause", "arguments": {}}',
                 "<function=pause></function>", "Action: pause\nAction Input: {}"):  # fmt: skip
        assert read(text) == [("pause", {})]


def test_what_is_said_beside_the_calls_stays():
    message = read_text(f"I look. <TOOLCALL>[{JSON}]</TOOLCALL>", TOOLS, Changes())
    assert message["content"] == "I look."


@pytest.mark.parametrize(
    "text",
    [
        '[read_item("a")]',
        "read_item(item=a)",
        f"Here is the call: {JSON}",
        f"```json\n{JSON}\n```\nShall I?",
        "<function=read_item><parameter=item>a</parameter></function>",
        '<invoke name="read_item"><parameter name="item">a</parameter></invoke>',
        "<read_item>\n<item>a</item>\n</read_item>",
        "read_item\n<arg_key>item</arg_key>\n<arg_value>a</arg_value>",
        'Action: read_item\nAction Input: item a, page 2',
        'Action: read_item\nAction Input: {"item": "a"}\nObservation: b\nAction: pause\n'
        "Action Input: {}",
        "<TOOLCALL>[read_item, a]</TOOLCALL>",
        'to=functions.read_item <|message|>{"item": "a"}',
        "Tool: read_item, item: a",
        "I call `read_item` with `item` a.",
        "read_item {item: a}",
        '{"name": "read_item", "item": "a"}',
        'I will call search with {"query": "x"}.',
        'Calling search with query = "x".',
        '<search query="x"/>',
        'Action: search["cheap flights"]',
        "search[cheap flights]",
        "await search(query='x')",
        "[]",
        '{"tool_calls": []}',
    ],
)  # fmt: skip
def test_a_tool_named_with_arguments_that_cannot_be_read_is_refused(text):
    with pytest.raises(Refused):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "Which item shall I read?",
        "I found nothing in my search (see above). What is your query?",
        "Your search: nothing. Query again?",
        "The tool read_item is not made for that.",
        "I cannot pause it.",
        "To use `read_item` I need the `item`. Which one?",
        "I search. The query: a long one.",
        '{"title": "a", "query": "b"}',
        "Here is some code:\n```python\nprint(1)\n```",
        "[1] is a source, and [search] another.",
        "",
    ],
)
def test_a_text_that_only_speaks_of_things_stays_a_text(text):
    assert read(text) is None


@pytest.mark.parametrize(
    ("arguments", "item"),
    [
        (r'{"item": "C:\\temp\\new"}', r"C:\temp\new"),
        (r'{"item": "\\bfoo\\b"}', r"\bfoo\b"),
        ('{"item": "world\'s best"}', "world's best"),
        (r'{"item": "world\'s best"}', "world's best"),
        (r'{"item": "a \"b\"\n"}', 'a "b"\n'),
        ('{\n  "item": "a"\n}', "a"),
    ],
)
def test_the_json_between_glaives_quotes_is_read_as_it_stands(arguments, item):
    text = f"""<functioncall> {{"name": "read_item", "arguments": '{arguments}'}}"""
    assert read(text) == [("read_item", {"item": item})]


def beside(text, calls):
    message = {"role": "assistant", "content": text, "tool_calls": calls}
    return read_beside(message, TOOLS, Changes())["content"]


CALLS = [{"type": "function", "function": {"name": "read_item", "arguments": {"item": "a"}}}]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "search", "arguments": {"query": "b"}}',
        JSON.replace('"a"', '"b"'),
        '[search(query="b")]',
        '<function=search>{"query": "b"}</function>',
        'I look. <functioncall> {"name": "search"}',
        'And then search with {"query": "b"}.',
        '<invoke name="read_item"><parameter name="item">b</parameter></invoke>',
    ],
)
def test_other_calls_beside_those_that_are_made_are_refused(text):
    with pytest.raises(Refused):
        beside(text, CALLS)


def test_the_same_calls_beside_those_that_are_made_go_and_words_stay():
    assert beside(JSON, CALLS) == beside(f"[TOOL_CALLS][{JSON}]", CALLS) == ""
    words = 'I call read_item with item = "a".'
    assert beside(words, CALLS) == words


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"name": "fly", "arguments": {"to": "Oslo"}}),
        '[fly(to="Oslo")]',
        'Thought: far\nAction: fly\nAction Input: {"to": "Oslo"}',
    ],
)
def test_a_call_of_a_tool_that_there_is_not_is_a_call_all_the_same(text):
    assert read(text) == [("fly", {"to": "Oslo"})]


def test_a_long_text_full_of_a_tools_name_takes_no_time_to_speak_of():
    assert read("read_item " * 50_000) is None


@pytest.mark.parametrize("mark", ["", "[TOOL_CALLS]", f"{JSON}; ", f"{JSON}\n"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_text_that_is_nested_too_deep_never_ends_the_import(mark, opening, closing):
    text = f"{mark}{opening * 50_000}1{closing * 50_000}"
    message = {"role": "assistant", "content": text}
    record = {"messages": [{"role": "user", "content": "x"}, message], "tools": TOOLS}
    good, bad, _ = convert([Raw(1, json.dumps(record))], "openai")
    assert len(good["label"]) + len(bad["reason"]) == 1
