"""Removal of end-of-turn tokens and thinking, which templates and models put into texts."""

from __future__ import annotations

import re

from looptool.exchange.formats import Changes, Refused

END_OF_TURN = re.compile(
    r"(?:\s*(?:<\|eot_id\|>|<\|eom_id\|>|<\|endoftext\|>|<\|im_end\|>|<\|end\|>|<end_of_turn>|</s>))+"
    r"\s*\Z"
)
# other tags than <think>, which `turns.answer` removes
_THINKING = re.compile(
    r"\s*(?:\[THINK\].*?\[/THINK\]|<(thinking|scratch_pad|reasoning)>.*?</\1>)", re.DOTALL
)
_CONTROL = re.compile(r"<\|(?:channel|im_start|start|start_header_id|message|assistant|user)\|>")


def without_control_tokens(text: str, is_assistants: bool, changes: Changes) -> str:
    """Remove end-of-turn tokens and thinking from a message's text.

    Args:
        is_assistants: whether it is the assistant's message: only these may begin with thinking.

    Raises:
        Refused: if it contains tokens that begin a turn or a channel, so it is not a single text.
    """
    if ">" not in text and "[THINK]" not in text:
        return text
    said = END_OF_TURN.sub("", text)
    if said != text:
        changes["tokens that end a turn left out"] += 1
    if token := _CONTROL.search(said):
        raise Refused(f"content: contains the control token {token[0]}")
    if is_assistants and (thinking := _THINKING.match(said)):
        changes["thinking left out"] += 1
        said = said[thinking.end() :].lstrip()
    return said
