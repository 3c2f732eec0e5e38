"""The format of the paper's published data: `{"instruction", "input", "output"}`.

`instruction` is the system message with the tools between `<tools>` tags, `input` the conversation
in ChatML without its first and last tag, and `output` the answer in Hermes form. A record is one
sample. (The paper's `grpotool/dataset/utils/conversation_transform_grpo_qwen.py` writes it.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from looptool.core import canonical
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.exchange.formats import Changes, Dialogue, Format, Record, Refused, text_of
from looptool.exchange.formats.turns import (
    answer,
    plain,
    responses,
    text_of_label,
    text_of_turn,
    tools_in,
)

_NEXT = re.compile(r"<\|im_end\|>\s*<\|im_start\|>(system|user|assistant|tool)\n")
_FIRST = re.compile(r"<\|im_start\|>(system|user|assistant|tool)\n")
_INTRODUCTION = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
)
_ENDING = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>.'
)


def read(record: Record, changes: Changes) -> Dialogue:
    """Convert a record to a dialogue; see the module docstring."""
    instruction, said, output = (text_of(record, key) for key in ("instruction", "input", "output"))
    tools, rest = tools_in(instruction, changes)
    if tools is None:
        raise Refused("instruction: lists no tools between <tools> tags")
    messages: list[Message] = [{"role": "system", "content": rest}] if rest.strip() else []
    given = set()
    said = said.rstrip().removesuffix("<|im_start|>assistant").rstrip().removesuffix("<|im_end|>")
    opening = _FIRST.match(said)
    role, start = (opening[1], opening.end()) if opening else ("user", 0)
    parts = []
    for match in _NEXT.finditer(said):
        parts.append((role, said[start : match.start()]))
        role, start = match[1], match.end()
    for speaker, text in [*parts, (role, said[start:])]:
        if speaker == "assistant":
            given.add(len(messages))
            messages.append(answer(text, changes))
        elif speaker == "tool" or text.lstrip().startswith("<tool_response>"):
            messages += responses(text)
        else:
            messages.append({"role": speaker, "content": text})
    return Dialogue(tools, [*messages, answer(output, changes)], frozenset(given))


def write(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> Record:
    """Convert a sample to a record.

    Raises:
        Refused: if a message contains ChatML tags.
    """
    if any("<|im_" in message["content"] for message in messages):
        raise Refused("a message contains a ChatML tag")
    opening = f"{messages[0]['content']}\n\n" if messages[0]["role"] == "system" else ""
    turns: list[tuple[str, str]] = []
    for message in messages[1:] if opening else messages:
        if message["role"] == "assistant":
            turns.append(("assistant", text_of_turn(message)))
        elif message["role"] == "tool":
            text = f"<tool_response>\n{plain(message['content'])}\n</tool_response>"
            if turns and turns[-1][0] == "tool":
                text = f"{turns.pop()[1]}\n{text}"
            turns.append(("tool", text))
        else:
            turns.append((message["role"], message["content"]))
    chat = "".join(
        f"<|im_start|>{'user' if role == 'tool' else role}\n{text}<|im_end|>\n"
        for role, text in turns
    )
    listed = "\n".join(canonical.dumps({"type": "function", "function": tool}) for tool in tools)
    return {
        "instruction": f"{opening}{_INTRODUCTION}{listed}{_ENDING}",
        "input": chat.removeprefix("<|im_start|>user\n").removesuffix("<|im_end|>\n"),
        "output": text_of_label(label),
    }


FORMAT = Format(
    "looptool", lambda record: {"instruction", "input", "output"} <= set(record), read, write
)
