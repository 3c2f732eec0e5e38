"""Hypothesis strategies for the nouns."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from looptool.core.calls import ToolCall

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TAGS = st.sampled_from(["<tool_call>", "</tool_call>", "<think>", "</think>", '"', "\\", "{", "\n"])
TAGGED_TEXT = st.lists(TAGS | TEXT, max_size=4).map("".join)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TAGGED_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TAGGED_TEXT, inner, max_size=3),
    max_leaves=6,
)
CALL = st.builds(
    ToolCall,
    st.sampled_from(["f", "g"]) | TAGGED_TEXT.filter(bool),
    st.dictionaries(st.sampled_from(["a", "b"]) | TAGGED_TEXT, JSON, max_size=3),
)
CALLS = st.lists(CALL, max_size=4)

SHARES = {
    "single": 0.22, "multiple": 0.20, "parallel": 0.16, "parallel_multiple": 0.14,
    "multi_step": 0.06, "multi_turn": 0.06, "clarify": 0.06, "irrelevant": 0.10,
}  # fmt: skip
