from __future__ import annotations

import random

import pytest

from looptool.core import canonical, samples, tables
from looptool.expansion import Candidate
from looptool.expansion.accept import accept, near_duplicates
from looptool.synthesis.contamination import Index

TOOL = {
    "name": "get_time",
    "description": "Local time",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
PARENT = "0" * 32
NOTHING = tables.frame(tables.Samples, [])
EMPTY = Index.build({})


class Refusing:
    name = "refusing"

    def __init__(self, word):
        self.word = word

    def compare(self, cases):
        raise NotImplementedError

    def admit(self, samples):
        return [
            f"says {self.word}" if self.word in messages[-1]["content"] else None
            for _, messages, _ in samples
        ]


def asking(text, city="Oslo", tools=(TOOL,), label=None):
    label = label or {"calls": [{"name": "get_time", "arguments": {"city": city}}]}
    return Candidate(
        PARENT, list(tools), [{"role": "user", "content": text}], label, "single", "test"
    )


def accepted(candidates, judges=(), seen=(), data=NOTHING, index=EMPTY, max_similarity=0.9):
    good, bad = accept(candidates, judges, seen, data, index, max_similarity)
    tables.check(bad, tables.Rejected)
    return good, bad.select("check", "reason").rows()


def existing(text):
    messages = [{"role": "user", "content": text}]
    label = {"text": "x"}
    return tables.frame(
        tables.Samples,
        [
            {
                "sample_id": samples.sample_id([TOOL], messages),
                "tools": canonical.dumps([TOOL]),
                "messages": canonical.dumps(messages),
                "label": canonical.dumps(label),
                "label_id": samples.label_id(label),
                "alternatives": "[]",
                "category": "single",
                "origin": "seed",
                "parent_id": None,
                "born_iteration": 1,
                "label_iteration": 1,
                "label_source": "author:grammar",
            }
        ],
    )


def test_a_sound_new_candidate_is_accepted():
    candidate = asking("What time is it in Oslo?")
    assert accepted([candidate], [Refusing("Rome")]) == ([candidate], [])


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (asking("x", tools=[{**TOOL, "parameters": {"type": "text"}}]), "parameters.type"),
        (asking("x", tools=[TOOL, TOOL]), "same name"),
        (asking("x", label={"calls": []}), "label.calls"),
        (asking("x", label={"calls": [{"name": "f", "arguments": {}}]}), "no tool is called"),
        (asking("x", city=3), "city"),
        (asking(" "), "the user says nothing"),
    ],
)
def test_what_breaks_a_rule_is_rejected_with_the_reason(candidate, reason):
    good, [(check, why)] = accepted([candidate])
    assert (good, check) == ([], "schema")
    assert reason in why


def test_duplicates_of_the_batch_the_data_and_all_that_was_seen_are_rejected():
    first = asking("What time is it in Oslo?")
    second = asking("Tell me the hour over in Lima, please.", "Lima")
    third = asking("How late is it for people in Rome?", "Rome")
    seen = {samples.sample_id(third.tools, third.messages)}
    good, bad = accepted(
        [first, first, second, third], seen=seen, data=existing(second.messages[0]["content"])
    )
    assert good == [first]
    assert [check for check, _ in bad] == ["duplicate"] * 3


def test_near_duplicates_are_rejected_unless_repetition_is_meant():
    data = existing("Could you please tell me what time it is right now in Oslo")
    near = asking("Could you please tell me what time it is right now in Oslo?")
    good, [(check, reason)] = accepted([near], data=data, max_similarity=0.8)
    assert (good, check) == ([], "near_duplicate")
    assert "existing" in reason
    assert accepted([near], data=data, max_similarity=None) == ([near], [])


def test_other_values_in_the_same_words_are_no_near_duplicates():
    data = existing("Book 3 seats to Oslo on 2024-05-03")
    good, _ = accepted([asking("Book 4 seats to Lima on 2024-06-14")], data=data)
    assert len(good) == 1


def test_only_accepted_candidates_make_others_near_duplicates():
    text = "Could you please tell me what time it is right now over in Oslo"
    bad = asking(f"{text} Rome")
    good = asking(f"{text} now")
    assert accepted([bad, good], [Refusing("Rome")], max_similarity=0.7)[0] == [good]


def test_benchmark_questions_are_rejected_in_any_turn():
    index = Index.build({"bfcl": ["What is the time in Oslo?"]})
    messages = [
        {"role": "user", "content": "what is the time in oslo"},
        {"role": "assistant", "content": "Noon."},
        {"role": "user", "content": "And in Lima?"},
    ]
    candidate = asking("x", "Lima")
    candidate = Candidate(PARENT, candidate.tools, messages, candidate.label, "multi_turn", "test")
    _, [(check, reason)] = accepted([candidate], index=index)
    assert check == "contamination"
    assert "bfcl" in reason


def test_every_judge_must_admit_and_is_named():
    candidates = [asking("Time in Oslo"), asking("The hour of Rome"), asking("Clock at Lima")]
    good, bad = accepted(candidates, [Refusing("Rome"), Refusing("Lima")])
    assert good == candidates[:1]
    assert bad == [("judge:refusing", "says Rome"), ("judge:refusing", "says Lima")]


def test_similarity_is_measured_not_estimated():
    words = [f"w{number}" for number in range(40)]
    one_changed = [*words[:20], "other", *words[21:]]  # 41 + 41 pairs, 39 shared: 0.907
    text, like = " ".join(words), " ".join(one_changed)
    assert near_duplicates([like], [text], 0.92) == [None]
    assert near_duplicates([like], [text], 0.90) != [None]


def test_candidates_that_are_there_already_are_all_found_among_many():
    rng = random.Random(1)
    texts = [" ".join(f"w{rng.randrange(2000)}" for _ in range(12)) for _ in range(2000)]
    assert near_duplicates(texts, texts[:500], 0.9)[:500].count(None) == 0
