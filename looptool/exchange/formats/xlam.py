"""The format of xLAM and APIGen: `{"query": text, "tools": JSON text, "answers": JSON text}`.

A record is one request and its calls. Empty answers mean that no tool fits. The format has no text
for that, so all such samples get the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looptool.core import canonical
from looptool.core.answers import call_message
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.exchange.formats import Changes, Dialogue, Format, Record, Refused, text_of
from looptool.exchange.formats.turns import calls_of_json

NO_TOOL = "None of the tools can do that."


def read(record: Record, changes: Changes) -> Dialogue:
    """Convert a record to a dialogue; see the module docstring."""
    query = text_of(record, "query")
    if not query.strip():
        raise Refused("query: is empty")
    for key in ("tools", "answers"):
        if key not in record:
            raise Refused(f"{key}: is missing")
    answers: Any = record["answers"]
    if answers is None:
        raise Refused("answers: is null, which does not say whether there are no calls")
    if isinstance(answers, str) and not answers.strip():
        answers = []
    try:
        calls = calls_of_json(answers, changes)
    except Refused as error:
        raise Refused(f"answers: {error}") from None
    said: Message = call_message(calls) if calls else {"role": "assistant", "content": NO_TOOL}
    return Dialogue(record["tools"], [{"role": "user", "content": query}, said])


def write(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> Record:
    """Convert a sample to a record.

    Raises:
        Refused: if it is not a single user message, or its label is a question.
    """
    if [message["role"] for message in messages] != ["user"]:
        raise Refused("xlam allows one request, not a conversation")
    if label.get("text", "").rstrip().endswith("?"):
        raise Refused("xlam has no form for a question to the user")
    return {
        "query": messages[0]["content"],
        "tools": canonical.dumps(tools),
        "answers": canonical.dumps(label.get("calls", [])),
    }


FORMAT = Format("xlam", lambda record: {"query", "answers"} <= set(record), read, write)
