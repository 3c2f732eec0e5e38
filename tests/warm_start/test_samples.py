"""The samples of the warm start: groups that share their tools, masked names, what is left out."""

from __future__ import annotations

from collections import Counter

import pytest

from looptool.core import canonical
from looptool.core.samples import label_calls
from looptool.offline.grammar import toolbox, trees
from looptool.synthesis import Draft
from looptool.synthesis.seeds import fault
from looptool.warm_start.samples import GroupAuthor

SHARES = {"single": 3, "multiple": 3, "parallel": 2, "parallel_multiple": 2, "irrelevant": 2,
          "clarify": 1, "multi_turn": 1, "multi_step": 1}  # fmt: skip


def written(masked: float, count: int = 300) -> list[Draft]:
    author = GroupAuthor(4, masked)
    return author.write(count, seed="test", split="warm_start", shares=SHARES)


@pytest.fixture(scope="module", params=[0.0, 1.0], ids=["named", "masked"])
def drafts(request: pytest.FixtureRequest) -> list[Draft]:
    return written(request.param)


def test_every_sample_passes_the_checks_of_generate(drafts: list[Draft]) -> None:
    assert [reason for draft in drafts if (reason := fault(draft))] == []


def test_categories_have_their_shares(drafts: list[Draft]) -> None:
    found = Counter(draft.category for draft in drafts)
    for category, share in SHARES.items():
        assert abs(found[category] / len(drafts) - share / sum(SHARES.values())) < 0.03


def test_most_requests_share_their_tools_with_three_others(drafts: list[Draft]) -> None:
    groups = Counter(canonical.dumps(draft.tools) for draft in drafts)
    assert len(groups) < len(drafts) / 3
    assert max(groups.values()) <= 8


def test_masked_names_are_nowhere_else() -> None:
    known = set(toolbox.name_index())
    for draft in written(1.0, 100):
        names = {tool["name"] for tool in draft.tools}
        assert not names & known
        texts = " ".join(turn.get("content") or "" for turn in draft.messages)
        assert not [name for name in known if "_" in name and name in texts.split()]
        assert {call.name for call in label_calls(draft.label)} <= names
        for turn in draft.messages:
            for call in turn.get("tool_calls") or ():
                assert call["function"]["name"] in names


def test_masked_parameters_are_described() -> None:
    for draft in written(1.0, 60):
        for tool in draft.tools:
            for schema in tool["parameters"]["properties"].values():
                assert schema["description"]


def test_a_quarter_of_the_leaf_actions_is_left_to_the_loop() -> None:
    train, warm = trees.split_leaves("train"), trees.split_leaves("warm_start")
    assert set(warm) < set(train)
    assert 0.2 < 1 - len(warm) / len(train) < 0.32
    left = {leaf.key for leaf in train} - {leaf.key for leaf in warm}
    index = toolbox.name_index()
    assert not left & {index[tool["name"]] for draft in written(0.0) for tool in draft.tools}


def test_every_kind_keeps_wordings_that_the_warm_start_does_not_use() -> None:
    left = [
        len(kind.say) - len(trees.for_split(kind.say, "warm_start"))
        for kind in trees.kinds().values()
    ]
    assert sum(left) > 0.15 * sum(len(kind.say) for kind in trees.kinds().values())


@pytest.mark.parametrize("count", [1, 2, 3, 5, 30])
def test_any_number_of_samples_can_be_asked_for(count: int) -> None:
    for seed in range(4):
        drafts = GroupAuthor(4, 0.3).write(count, seed=str(seed), split="warm_start", shares=SHARES)
        assert 0 < len(drafts) <= count
