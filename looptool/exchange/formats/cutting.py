"""Cutting a dialogue into samples, one for each assistant turn that is a label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from looptool.core import canonical
from looptool.core.answers import call_message
from looptool.core.calls import ToolCall
from looptool.core.samples import Label, Message, category_of, check_label, sample_id_of_json
from looptool.core.tools import Tool, check_call, without_nulls
from looptool.exchange.formats import Changes, Dialogue, Refused
from looptool.exchange.formats.control_tokens import without_control_tokens
from looptool.exchange.formats.documents import Tools, read_documents
from looptool.exchange.formats.results import in_order
from looptool.exchange.formats.syntaxes import read_beside, read_text

LARGEST = 20_000_000  # characters of the conversations of all samples of a dialogue


@dataclass(frozen=True, slots=True)
class Cut:
    """A sample in canonical JSON, or a refused turn.

    Attributes:
        turn: number of the assistant's message in the record, from 1.
        reason: why the turn is refused; the other fields are then empty.
    """

    turn: int
    sample_id: str = ""
    tools: str = ""
    messages: str = ""
    label: str = ""
    category: str = ""
    reason: str = ""


def cut(dialogue: Dialogue, changes: Changes) -> Iterator[Cut]:
    """Yield a sample or a refusal for each assistant turn that is a label.

    All turns after a refused one are refused too, since it would be part of their conversation.

    Args:
        changes: is updated with counts of what is left out, moved or read in another way.

    Raises:
        Refused: if the whole dialogue is unusable: its tools are, or it has no label.
    """
    tools = read_documents(dialogue.tools)
    if not tools.documents:
        raise Refused("tools: there are none, so nothing could be called")
    changes.update(tools.changes)
    messages, problems = _read_messages(dialogue.messages, tools, changes)
    turns = [place for place, each in enumerate(messages) if each["role"] == "assistant"]
    turns = [place for place in turns if place not in dialogue.given]
    if not turns:
        raise Refused("messages: the assistant never answers")
    # serialise each message once: the conversation of a turn is a prefix of these texts
    texts = [_dumps(message) for message in messages]
    refused = written = 0
    for place in turns:
        turn = dialogue.turns[place] if dialogue.turns else place + 1
        if refused:
            yield Cut(turn, reason=f"message {refused} of the same dialogue was refused")
            continue
        try:
            for before, problem in problems.items():
                if before <= place:
                    raise Refused(problem)
            label = _label(messages[place], tools.documents)
            _check_conversation(messages[:place])
            said = f"[{','.join(texts[:place])}]"
            written += len(said)
            if written > LARGEST:  # each sample repeats all earlier messages, which adds up
                raise Refused(f"the dialogue's samples take more than {LARGEST:,} characters")
            text = _dumps(label)
        except Refused as error:
            refused = turn
            yield Cut(turn, reason=str(error))
            continue
        yield Cut(
            turn,
            sample_id_of_json(tools.text, said),
            tools.text,
            said,
            text,
            category_of(tools.documents, messages[:place], label),
        )


def _read_messages(
    messages: Sequence[Message], tools: Tools, changes: Changes
) -> tuple[list[Message], dict[int, str]]:
    """Return messages with parsed calls and ordered results, and reasons for refusal by index."""
    problems: dict[int, str] = {}
    made = list(messages)
    for place, message in enumerate(messages):
        try:
            made[place] = _read_message(message, tools, changes)
        except Refused as error:
            problems[place] = str(error)
    for place, message in enumerate(made):
        if message.get("tool_calls"):
            end = place + 1
            while end < len(made) and made[end]["role"] == "tool":
                end += 1
            try:
                if results := made[place + 1 : end]:
                    made[place + 1 : end] = in_order(message["tool_calls"], results, changes)
            except Refused as error:
                problems.setdefault(place + 1, str(error))
        elif message["role"] == "tool" and message.get("tool_call_id"):
            problems.setdefault(place, f"tool_call_id: {message['tool_call_id']!r} answers no call")
    return [_as_sample(each, tools, changes) for each in made], problems


def _read_message(message: Message, tools: Tools, changes: Changes) -> Message:
    """Return a message with all its calls in `tool_calls` and none in its text."""
    text, role = message["content"], message["role"]
    said = without_control_tokens(text, role == "assistant", changes)
    if said is not text:
        message = {**message, "content": said}
    if role != "assistant":
        return message
    if "tool_calls" not in message:
        message = read_text(said, tools.as_named, changes) or message
    if "tool_calls" in message and message["content"]:
        message = read_beside(message, tools.as_named, changes)
    return message


def _as_sample(message: Message, tools: Tools, changes: Changes) -> Message:
    """Return a message in the form of samples: legal names, no nulls for absent arguments."""
    if "name" in message:
        message = {**message, "name": tools.names.get(message["name"], message["name"])}
    if "tool_calls" not in message:
        return message
    calls = []
    for each in message["tool_calls"]:
        name, arguments = each["function"]["name"], each["function"]["arguments"]
        name = tools.names.get(name, name)
        if name in tools.parameters:
            unnamed = tools.unnamed.get(name, ())
            arguments, left_out = without_nulls(arguments, tools.parameters[name], unnamed)
            if left_out:
                changes["arguments that are null left out"] += left_out
        calls.append(ToolCall(name, arguments))
    return call_message(calls, message["content"])


def _label(message: Message, tools: Sequence[Tool]) -> Label:
    if "tool_calls" not in message:
        if not message["content"].strip():
            raise Refused("the assistant says nothing and calls nothing")
        return {"text": message["content"].strip()}
    calls = [each["function"] for each in message["tool_calls"]]
    if reason := check_label({"calls": calls}):
        raise Refused(reason)
    for call in calls:
        if reason := check_call(ToolCall(call["name"], call["arguments"]), tools):
            raise Refused(f"{call['name']}: {reason}")
    return {"calls": calls}


def _check_conversation(messages: Sequence[Message]) -> None:
    if not any(message["role"] == "user" for message in messages):
        raise Refused("no user speaks before the assistant")
    if messages[-1]["role"] not in ("user", "tool"):
        raise Refused(f"follows a message of the {messages[-1]['role']}, not of user or tool")


def _dumps(value: Any) -> str:
    try:
        return canonical.dumps(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise Refused(f"contains a value that is not valid JSON: {error}") from None
