"""The data files of both trees are consistent."""

import random

import pytest

from looptool.core import canonical
from looptool.offline.grammar import responder, toolbox, trees
from looptool.offline.grammar.generators import DRAW

LEAVES = list(trees.leaves().values())


def test_the_context_tree_is_as_large_as_promised():
    assert len({leaf.domain for leaf in LEAVES}) >= 12
    assert len(LEAVES) >= 80


def test_every_kind_has_six_wordings_to_train_on_and_two_held_out():
    for kind in trees.kinds().values():
        assert len(set(kind.say)) >= 6, kind.name
        assert len(set(kind.heldout)) >= 2, kind.name
        assert not set(kind.say) & set(kind.heldout), kind.name
        if kind.draw == "flag":
            assert len(set(kind.deny)) >= 6
            assert len(set(kind.deny_heldout)) >= 2


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.key)
def test_a_leaf_fits_together(leaf):
    assert len(leaf.asks) >= 3
    assert leaf.bare
    assert len(leaf.does) >= 2
    for ask in leaf.asks:
        assert set(leaf.required) <= set(ask.keys) <= set(leaf.params), ask
        assert 0 <= ask.start < ask.end
    assert set(leaf.order) <= set(leaf.params)
    response = responder.respond(toolbox.variant(leaf.key, 0), random.Random(1))
    assert canonical.loads(canonical.dumps(response)).keys() == leaf.gives.keys()
    names = [name for param in leaf.params.values() for name in {param.key, *param.names}]
    assert len(names) == len(set(names)), "two parameters share a name"
    for param in leaf.params.values():
        options = param.kind.options
        assert param.kind.draw == "date" or param.kind.draw in DRAW
        if param.kind.draw == "choice":
            assert options.get("enum") or options["synonyms"] in trees.pools()
        if pool := options.get("pool"):
            assert pool in ("person", "first") or pool in trees.pools()


def test_no_two_leaves_can_make_the_same_tool_name():
    assert set(toolbox.name_index().values()) == {leaf.key for leaf in LEAVES}


def test_a_fifth_of_the_leaves_spread_over_all_domains_is_held_out():
    held = trees.split_leaves("heldout")
    assert 0.15 <= len(held) / len(LEAVES) <= 0.25
    assert {leaf.domain for leaf in held} == {leaf.domain for leaf in LEAVES}


def test_chains_link_leaves_of_one_split_and_say_all_that_is_required():
    leaves = trees.leaves()
    assert {leaves[chain.first].heldout for chain in trees.chains()} == {True, False}
    for chain in trees.chains():
        first, second = leaves[chain.first], leaves[chain.second]
        assert first.heldout == second.heldout
        linked = {param for _, param in chain.links}
        for field, param in chain.links:
            assert field in first.gives
            assert param in second.params
        for ask in chain.asks:
            assert set(ask.keys) <= set(first.params) | (set(second.params) - linked)
            assert set(first.required) <= set(ask.keys)
            assert set(second.required) - linked <= set(ask.keys)


def test_rivals_are_leaves_and_symmetric():
    for key, others in trees.rivals().items():
        assert others <= set(trees.leaves())
        assert all(key in trees.rivals()[other] for other in others)


def test_a_template_with_an_open_bracket_is_refused():
    with pytest.raises(ValueError, match="brackets"):
        trees.compile_ask("find [the {thing}")
