"""The adapter that the package ships: small enough, and with a card that says where it is from."""

from __future__ import annotations

import json
import re

from looptool.warm_start import merging, recipe
from looptool.warm_start.card import LICENCE

CARD = json.loads((merging.ADAPTER / merging.CARD).read_text("utf-8"))


def test_the_card_names_a_commit_a_command_and_a_recipe_that_make_it_again() -> None:
    assert re.fullmatch("[0-9a-f]{40}", CARD["commit"])  # "+" would be uncommitted code
    assert CARD["command"].startswith("looptool warm-start")
    made = recipe.WarmStart.model_validate(CARD["recipe"])
    assert made.model_dump(mode="json") == CARD["recipe"]
    assert CARD["samples"] == made.samples and CARD["data"] and CARD["steps"] > 0


def test_it_was_trained_with_the_template_that_prompts_are_written_with() -> None:
    assert CARD["template"] == merging.template_hash()


def test_it_has_scores_and_a_licence_and_is_small() -> None:
    assert CARD["licence"] == LICENCE and CARD["scores"]["all"]["bfcl_development"]
    assert sum(file.stat().st_size for file in merging.ADAPTER.iterdir()) < 10e6
