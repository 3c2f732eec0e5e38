"""Texts that overlap a benchmark or the held-out split are refused, others are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import looptool.synthesis
from looptool.core.errors import ConfigError
from looptool.evaluation.bfcl import rows as bfcl
from looptool.synthesis.contamination import (
    NGRAM,
    Index,
    normalised_words,
    refused_in_data_files,
    user_text,
)

WORDS = [f"word{number}" for number in range(40)]
LONG = " ".join(WORDS[:20])
INDEX = Index.build({"bfcl": [LONG, "What is the weather in Rome?"], "heldout": ["Book it."]})


def test_thirteen_shared_words_are_refused_and_twelve_are_not() -> None:
    shared = "so " + " ".join(WORDS[3 : 3 + NGRAM]) + " then"
    fewer = "so " + " ".join(WORDS[3 : 2 + NGRAM]) + " then"
    reasons = INDEX.refuse([shared, fewer])
    assert reasons[0] is not None and "13 words with bfcl: word3 word4" in reasons[0]
    assert reasons[1] is None


def test_a_short_question_is_refused_as_a_whole_only() -> None:
    reasons = INDEX.refuse(
        ["what is the weather  in ROME", "What is the weather in Rome today?", "book it"]
    )
    assert reasons == ["is a whole text of bfcl", None, "is a whole text of heldout"]


def test_each_turn_of_a_dialogue_counts() -> None:
    messages = [
        {"role": "system", "content": "What is the weather in Rome?"},
        {"role": "user", "content": "Good\nmorning."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "What is the weather in Rome?"},
    ]
    assert user_text(messages) == "Good morning.\nWhat is the weather in Rome?"
    assert INDEX.refuse([user_text(messages), user_text(messages[:3])]) == [
        "is a whole text of bfcl",
        None,
    ]


def test_compatible_unicode_forms_are_the_same_words() -> None:
    assert normalised_words("\uff32ome, caf\u00e9!") == normalised_words("rome Cafe\u0301")


def test_a_text_without_words_is_never_refused() -> None:
    assert Index.build({"bfcl": ["?", ""]}).refuse(["!", "", "\n"]) == [None, None, None]


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=30),
    st.lists(st.sampled_from(WORDS), max_size=30),
)
def test_refused_exactly_if_thirteen_words_or_the_whole_are_shared(
    known: list[str], text: list[str]
) -> None:
    def runs(words: list[str]) -> set[tuple[str, ...]]:
        return {tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)}

    overlap = text == known or bool(runs(known) & runs(text))
    reason = Index.build({"bfcl": [" ".join(known)]}).refuse([", ".join(text).upper()])[0]
    assert (reason is not None) == overlap


def test_every_benchmark_question_is_refused() -> None:
    questions = [text for text in bfcl.questions() if normalised_words(text)]
    assert len(questions) > 6000
    assert None not in Index.build({"bfcl": questions}).refuse(questions)


def test_the_projects_own_data_files_hold_no_benchmark_text() -> None:
    folder = Path(looptool.__file__).parent
    assert refused_in_data_files(Index.build({"bfcl": bfcl.questions()}), folder) == {}


def test_a_benchmark_text_in_a_data_file_is_found_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "asks.yaml").write_text(
        "rain:\n  - Will it rain?\n  - What is the weather in Rome?\n", encoding="utf-8"
    )
    assert refused_in_data_files(INDEX, tmp_path) == {
        "deep/asks.yaml: rain.1": "is a whole text of bfcl"
    }


def test_single_words_in_data_files_are_values_not_questions(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- Rome\n", encoding="utf-8")
    assert refused_in_data_files(Index.build({"bfcl": ["rome"]}), tmp_path) == {}


@pytest.mark.parametrize("content", [None, "a: [1,"])
def test_data_files_missing_or_broken_are_an_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "broken.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=str(tmp_path)):
        refused_in_data_files(INDEX, tmp_path)
