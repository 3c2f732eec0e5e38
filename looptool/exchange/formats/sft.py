"""TRL's format for `SFTTrainer`: `{"prompt": [messages], "completion": [messages], "tools": […]}`.

Messages are those of OpenAI's chat format, but arguments of calls are objects, as chat templates
want them. TRL trains on the completion only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looptool.core.answers import label_message
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.engines.templates import conversation, wrapped
from looptool.exchange.formats import Changes, Dialogue, Format, Record, list_of, openai
from looptool.exchange.formats.turns import plain


def read(record: Record, changes: Changes) -> Dialogue:
    """Convert a record to a dialogue; assistant messages of the prompt are context."""
    prompt = [_context(message) for message in list_of(record, "prompt")]
    messages = [*prompt, *list_of(record, "completion")]
    return openai.read({"messages": messages, "tools": record.get("tools")}, changes)


def write(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> Record:
    """Convert a sample to a record; the label is the completion.

    Raises:
        Refused: if an assistant's text contains a tag that would be read as a call.
    """
    *prompt, completion = conversation([*messages, label_message(label)])
    for message in (*prompt, completion):
        if message["role"] == "assistant":
            plain(message["content"])
    return {"prompt": prompt, "completion": [completion], "tools": wrapped(tools)}


def _context(message: Any) -> Any:
    of_assistant = isinstance(message, dict) and message.get("role") == "assistant"
    return {**message, "weight": 0} if of_assistant else message


FORMAT = Format("sft", lambda record: {"prompt", "completion"} <= set(record), read, write)
