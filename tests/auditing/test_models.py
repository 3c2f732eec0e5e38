"""An audit with models: their answers, perplexities of labels, votes, and a resumed run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from looptool.auditing.predictions import Answer, voted
from looptool.core import canonical, tables
from looptool.core.calls import Parsed
from looptool.engines import Prompt
from looptool.engines.syntax import label_text
from looptool.engines.templates import render
from looptool.engines.transformers import TransformersEngine, score
from tests.auditing.test_audit import LOG, audited, run
from tests.test_loop import project
from tests.tiny import make_tiny_model

CALL = {"calls": [{"name": "f", "arguments": {"a": 1}}]}
TEXT = {"text": "No."}
NOTHING = Parsed((), "", "", None)


def answer(label: Any) -> Answer:
    return Answer(label, NOTHING, None if label else "cut off")


@pytest.mark.parametrize(
    ("given", "model", "share"),
    [
        ({"one": CALL}, "one", 1.0),
        ({"one": TEXT, "two": CALL, "three": CALL}, "two", 2 / 3),
        ({"one": TEXT, "two": {"text": "Sorry."}, "three": CALL}, "one", 2 / 3),
        ({"one": CALL, "two": TEXT}, "one", 0.5),
        ({"one": None, "two": CALL}, "two", 0.5),
        ({"one": None}, "one", 1.0),
        ({}, None, 0.0),
    ],
)
def test_the_most_frequent_answer_counts(given: dict[str, Any], model: Any, share: float) -> None:
    found = voted({name: answer(label) for name, label in given.items()})
    assert found == (model, pytest.approx(share))


def test_a_label_s_log_probability_is_that_of_its_tokens(tmp_path: Path) -> None:
    engine = TransformersEngine.load(make_tiny_model(tmp_path / "tiny"), None, "float32")
    prompts = [
        Prompt([{"role": "user", "content": text}]) for text in ("Hi", "How is it going today?")
    ]
    labels = [TEXT, {"text": "A much longer answer than the other one."}]
    found = {place: (logprob, count) for place, logprob, count in score(engine, prompts, labels)}
    for place, (prompt, label) in enumerate(zip(prompts, labels, strict=True)):
        texts = [render(engine.tokenizer, prompt), label_text(engine.tokenizer, prompt, label)]
        one, two = engine.tokenizer(texts, add_special_tokens=False).input_ids
        with torch.inference_mode():
            logits = engine.model(input_ids=torch.tensor([one + two])).logits[0].float()
        logprobs = logits.log_softmax(-1)
        alone = sum(float(logprobs[len(one) - 1 + step, token]) for step, token in enumerate(two))
        assert found[place] == (pytest.approx(alone, abs=1e-3), len(two))


@pytest.mark.slow
def test_models_answer_every_sample_and_say_how_likely_its_label_is(tmp_path: Path) -> None:
    import json

    folder = project(tmp_path / "audited", **{"probe.max_new_tokens": 6})
    make_tiny_model(folder / "models/other", seed=1)
    (folder / "log.jsonl").write_text("".join(json.dumps(each) + "\n" for each in LOG), "utf-8")
    described = json.loads(
        run(folder, "data", "audit", "log.jsonl", "--model", "models/base", "--model",
            "models/other", "--judge", "rules", "--json")
    )  # fmt: skip
    assert described["answers_of"] == ["models/base", "models/other"]
    table = audited(folder, "log")
    assert set(table["agreement"]) <= {0.5, 1.0} and len(table) == 5
    assert all(len(canonical.loads(text)) == 2 for text in table["answers"])
    assert all(value > 1 and math.isfinite(value) for value in table["label_ppl"])
    assert set(table.drop_nulls("verdict")["judge"]) == {"rules"}
    told = run(folder, "data", "audit", "log.jsonl", "--model", "models/none", fails=True)
    assert told == "models/none: no such folder\n"
    told = run(folder, "data", "audit", "log.jsonl", "--judge", "llm", fails=True)
    assert told == "params.yaml: verify.judges: has no large model; add {name: llm, …}\n"
    told = run(folder, "data", "audit", "log.jsonl", "--judge", "no.such:Judge", fails=True)
    assert told == "--judge: no.such:Judge: No module named 'no'\n"
    assert tables.read(folder / "data/audits/log/samples.parquet", tables.Samples).height == 5
