"""The grammar author: right labels, every category, nothing held out in training."""

import datetime as dt
import random
import re
from collections import Counter

import pytest

from looptool.core.samples import CATEGORIES, label_calls
from looptool.core.tool_match import match
from looptool.offline.grammar import trees
from looptool.offline.grammar.author import GrammarAuthor, spread
from looptool.offline.grammar.toolbox import action_of, name_index
from looptool.offline.grammar.wording import today_of
from looptool.synthesis.seeds import fault
from tests.strategies import SHARES

AUTHOR = GrammarAuthor()
EVEN = dict.fromkeys(CATEGORIES, 1.0)
COPIED = ("code", "email", "file", "city", "person", "title", "team", "company", "formula", "url")


@pytest.fixture(scope="module")
def train():
    return AUTHOR.write(1600, seed="t", split="train", shares=EVEN)


@pytest.fixture(scope="module")
def heldout():
    return AUTHOR.write(1000, seed="t", split="heldout", shares=EVEN)


def said(draft):
    return "\n".join(turn["content"] for turn in draft.messages if turn["role"] == "user")


def leaf_keys(drafts):
    return {name_index()[tool["name"]] for draft in drafts for tool in draft.tools}


def pattern_of(text):
    parts = re.split(r"(\{v\}|\{word\})", text)
    return "".join(
        r"[^\n]{1,60}?" if part in ("{v}", "{word}") else re.escape(part) for part in parts
    )


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_every_draft_keeps_the_rules_of_its_category(split, request):
    drafts = request.getfixturevalue(split)
    assert [fault(draft) for draft in drafts if fault(draft)] == []
    assert {draft.category for draft in drafts} == set(CATEGORIES)


def test_the_same_arguments_give_the_same_drafts():
    again = AUTHOR.write(300, seed="s", split="train", shares=SHARES)
    assert again == AUTHOR.write(300, seed="s", split="train", shares=SHARES)
    assert again != AUTHOR.write(300, seed="r", split="train", shares=SHARES)


def test_the_splits_share_no_leaf_and_no_tool(train, heldout):
    held = {leaf.key for leaf in trees.split_leaves("heldout")}
    assert leaf_keys(heldout) <= held
    assert not leaf_keys(train) & held
    assert leaf_keys(heldout) == held, "each held-out leaf is used"
    names = {tool["name"] for draft in train for tool in draft.tools}
    assert not names & {tool["name"] for draft in heldout for tool in draft.tools}


def test_no_held_out_wording_of_a_parameter_stands_in_training(train, heldout):
    texts = "\n".join(map(said, train))
    found_in_heldout = "\n".join(map(said, heldout))
    seen = 0
    for kind in trees.kinds().values():
        for text in (*kind.heldout, *kind.deny_heldout):
            pattern = re.compile(pattern_of(text))
            assert not pattern.search(texts), (kind.name, text)
            seen += bool(pattern.search(found_in_heldout))
    assert seen >= 60, "the patterns do find held-out wordings where they may stand"


def test_no_held_out_frame_stands_in_training(train):
    texts = "\n".join(map(said, train))
    frames = trees.frames()
    held = [
        text
        for group in frames.values()
        if isinstance(group, dict)
        for name, texts_of in group.items()
        if name.startswith("heldout")
        for each in texts_of
        for text in ([each] if isinstance(each, str) else each)
    ] + frames["heldout_idle"]
    heads = {re.split(r"\{", text)[0].strip() for text in held}
    heads.discard("")
    assert len(heads) >= 10
    assert [head for head in heads if head in texts] == []


def test_values_to_copy_stand_in_the_conversation(train):
    for draft in train:
        told = "\n".join(turn["content"] for turn in draft.messages)
        tools = {tool["name"]: action_of(tool) for tool in draft.tools}
        for call in label_calls(draft.label):
            for name, value in call.arguments.items():
                slot = tools[call.name].slots[name]
                if slot.kind.draw in COPIED and "enum" not in slot.schema:
                    assert value in told, (name, value, told)


def test_optional_parameters_are_often_left_out_and_required_ones_never(train):
    given = Counter()
    for draft in train:
        if draft.category in ("single", "multiple"):
            (call,) = label_calls(draft.label)
            tool = next(tool for tool in draft.tools if tool["name"] == call.name)
            required = set(tool["parameters"]["required"])
            assert required <= set(call.arguments)
            optional = set(tool["parameters"]["properties"]) - required
            given.update(name in call.arguments for name in optional)
    assert 0.25 < given[True] / given.total() < 0.5  # BFCL development rows: 0.32


def test_relative_dates_follow_from_the_day_in_the_system_message():
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    checked = 0
    for draft in AUTHOR.write(1500, seed="d", split="train", shares={"single": 1.0}):
        today, text = today_of(draft.messages), said(draft)
        found = re.findall(rf"\b(this|next) ({'|'.join(days)})\b", text)
        if today is None:
            assert not re.search(r"\btomorrow\b|days from now", text)
            continue
        if len(found) != 1:
            continue
        ahead = (days.index(found[0][1]) - today.weekday() - 1) % 7 + 1
        day = today + dt.timedelta(days=ahead)
        forms = {day.strftime(form) for form in ("%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y")}
        values = [v for call in label_calls(draft.label) for v in call.arguments.values()]
        assert forms & {value for value in values if isinstance(value, str)}, text
        checked += 1
    assert checked >= 10


def test_parallel_calls_differ_and_are_often_asked_for_distributively(train):
    drafts = [draft for draft in train if draft.category == "parallel"]
    for draft in drafts:
        calls = label_calls(draft.label)
        assert not any(match([a], [b], draft.tools) for i, a in enumerate(calls) for b in calls[:i])
    one_sentence = sum(len(re.findall(r"[.?!](?:\s|$)", said(draft))) <= 1 for draft in drafts)
    assert one_sentence / len(drafts) > 0.3


def test_multi_step_uses_a_value_of_the_response(train):
    seen = Counter()
    for draft in train:
        if draft.category == "multi_step":
            last = draft.messages[-1]
            seen[last["role"]] += 1
            if last["role"] == "tool":
                values = [v for call in label_calls(draft.label) for v in call.arguments.values()]
                assert any(str(value) in last["content"] for value in values)
    assert seen["tool"] > 30
    assert seen["user"] > 30


def test_a_clarifying_label_names_a_required_parameter_that_was_not_given(train):
    for draft in train:
        if draft.category == "clarify":
            words = {
                slot.word
                for tool in draft.tools
                for slot in action_of(tool).slots.values()
                if slot.required
            }
            assert any(word in draft.label["text"] for word in words), draft.label


def test_requests_do_not_repeat(train):
    keys = {(said(draft), str(draft.messages), str(draft.tools)) for draft in train}
    assert len(keys) == len(train)


def test_requests_are_clean_text(train, heldout):
    for draft in (*train, *heldout):
        text = said(draft)
        assert not re.search(r"[{}]|  |\.\.|\b(None|True|False)\b| ,|\?\.", text), text


def test_shares_are_kept_and_unknown_categories_refused():
    counts = Counter(spread(1000, SHARES, random.Random(1)))
    assert all(abs(counts[name] - 1000 * share) <= 1 for name, share in SHARES.items())
    with pytest.raises(ValueError, match="nonsense"):
        spread(10, {"nonsense": 1.0}, random.Random(1))
