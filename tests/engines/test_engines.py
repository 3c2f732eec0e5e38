"""The transformers engine on a tiny model: same tokens as `generate`, honest log-probs, resume."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from looptool.core.errors import ConfigError
from looptool.core.samples import sample_id
from looptool.engines import Prompt, Sampling, answering
from looptool.engines.replay import ReplayEngine
from looptool.engines.templates import render
from looptool.engines.transformers import TransformersEngine, _draw, decode
from tests.tiny import make_tiny_model

PROMPTS = [Prompt([{"role": "user", "content": text}]) for text in ("bcd", "x" * 40, "a", "été ✓")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TransformersEngine:
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    # bf16 sums differ with the padding; the mechanics should not
    return TransformersEngine.load(folder, 2, "float32")


def ids(engine: TransformersEngine, prompts: Sequence[Prompt]) -> list[list[int]]:
    texts = [render(engine.tokenizer, prompt) for prompt in prompts]
    return engine.tokenizer(texts, add_special_tokens=False).input_ids


@pytest.fixture(params=[1, 2, 16])
def read_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Prompts are read in parts of so many, and the cache has to grow on the way."""
    monkeypatch.setattr("looptool.engines.sizes.CPU_READ_ROWS", request.param)
    monkeypatch.setattr("looptool.engines.kv_cache.ROOM", 3)
    return request.param


def assert_answers_are_those_of_generate(engine: TransformersEngine) -> None:
    ours = engine.generate(PROMPTS, Sampling(12))
    for prompt, completion in zip(PROMPTS, ours, strict=True):
        row = torch.tensor(ids(engine, [prompt]))
        theirs = engine.model.generate(row, max_new_tokens=12, do_sample=False)[0, row.shape[1] :]
        assert completion.text == engine.tokenizer.decode(theirs, skip_special_tokens=True)
        assert completion.tokens == len(theirs)


@pytest.mark.usefixtures("read_rows")
def test_greedy_answers_are_those_of_transformers_generate(engine: TransformersEngine) -> None:
    assert_answers_are_those_of_generate(engine)


def test_so_are_those_of_a_model_with_sliding_windows(engine: TransformersEngine) -> None:
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=len(engine.tokenizer), hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, sliding_window=16,
        bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    windowed = TransformersEngine(MistralForCausalLM(config).eval(), engine.tokenizer, 2)
    assert_answers_are_those_of_generate(windowed)


@pytest.mark.usefixtures("read_rows")
def test_logprob_is_that_of_a_forward_pass_over_the_answer(engine: TransformersEngine) -> None:
    prompts = ids(engine, PROMPTS)
    rollouts = decode(engine.model, engine.tokenizer, prompts, Sampling(8, 1.0, seed=3), copies=2)
    for number, rollout in enumerate(rollouts):
        prompt = prompts[number // 2]
        whole = torch.tensor([prompt + rollout.ids])
        logprobs = engine.model(whole).logits[0].log_softmax(-1)
        places = range(len(prompt) - 1, whole.shape[1] - 1)
        expected = [logprobs[p, t].item() for p, t in zip(places, rollout.ids, strict=True)]
        assert rollout.logprobs == pytest.approx(expected, abs=1e-3)


def test_copies_of_one_prompt_stand_together_and_differ(engine: TransformersEngine) -> None:
    prompts = ids(engine, PROMPTS[:2])
    rollouts = decode(engine.model, engine.tokenizer, prompts, Sampling(8, 1.0, seed=1), copies=3)
    assert len(rollouts) == 6
    assert len({tuple(rollout.ids) for rollout in rollouts[:3]}) > 1
    again = decode(engine.model, engine.tokenizer, prompts, Sampling(8, 1.0, seed=1), copies=3)
    assert again == rollouts


def test_an_answer_ends_with_its_closing_token_or_says_that_it_was_cut(
    engine: TransformersEngine,
) -> None:
    prompts = ids(engine, PROMPTS) * 16
    rollouts = decode(engine.model, engine.tokenizer, prompts, Sampling(200, 1.5, seed=5))
    end = engine.tokenizer.eos_token_id
    assert any(rollout.stopped for rollout in rollouts)
    for rollout in rollouts:
        assert (rollout.ids[-1] == end) == rollout.stopped
        assert end not in rollout.ids[:-1]
        assert rollout.stopped or len(rollout.ids) == 200


def test_top_p_near_zero_is_greedy(engine: TransformersEngine) -> None:
    greedy = engine.generate(PROMPTS, Sampling(6))
    narrow = engine.generate(PROMPTS, Sampling(6, temperature=1.0, top_p=1e-9))
    assert [row.text for row in narrow] == [row.text for row in greedy]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(1, 1.0, seed=1), [0.0, 0.5, 0.0, 0.3, 0.2, 0.0]),
        (Sampling(1, 0.5, seed=2), [0.0, 25 / 38, 0.0, 9 / 38, 4 / 38, 0.0]),
        (Sampling(1, 1.0, top_p=0.7, seed=3), [0.0, 0.625, 0.0, 0.375, 0.0, 0.0]),
    ],
)
def test_tokens_are_drawn_as_often_as_they_are_likely(
    sampling: Sampling, expected: list[float]
) -> None:
    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0])
    generator = torch.Generator().manual_seed(sampling.seed)
    token, logprob = _draw(probabilities.log().expand(20_000, -1), sampling, generator)
    assert torch.allclose(logprob, probabilities[token].log())
    shares = torch.bincount(token, minlength=6) / len(token)
    assert shares.tolist() == pytest.approx(expected, abs=0.02)
    assert (shares > 0).tolist() == [share > 0 for share in expected]


def test_engines_of_other_weights_dtype_or_batches_are_told_apart(tmp_path: Path) -> None:
    one, two = (make_tiny_model(tmp_path / str(seed), seed) for seed in (1, 2))
    loaded = [
        TransformersEngine.load(folder, size, dtype)
        for folder, size, dtype in (
            (one, 2, "float32"), (two, 2, "float32"), (one, 4, "float32"), (one, 2, "bfloat16")
        )
    ]  # fmt: skip
    assert len({engine.identity for engine in loaded}) == 4
    assert TransformersEngine.load(one, 2, "float32").identity == loaded[0].identity


def test_no_prompts_give_no_completions(engine: TransformersEngine) -> None:
    assert engine.generate([], Sampling(4)) == []


def test_batches_are_made_up_by_length_and_a_killed_run_makes_the_missing_ones(
    engine: TransformersEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []

    def count(model: object, tokenizer: object, ids: list[list[int]], *rest: object) -> object:
        asked.append([len(prompt) for prompt in ids])
        return decode(model, tokenizer, ids, *rest)

    monkeypatch.setattr("looptool.engines.transformers.decode", count)
    texts = ["ccc", "a", "bb", "dddd", "e"]
    prompts = [Prompt([{"role": "user", "content": text}]) for text in texts]
    whole = answering.answer(engine, prompts, Sampling(6, 1.0), tmp_path / "whole")
    lengths = asked.copy()
    assert [len(batch) for batch in lengths] == [2, 2, 1]
    assert [*chain(*lengths)] == sorted(chain(*lengths))

    def stop_after_one_batch(done: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    asked.clear()
    with pytest.raises(KeyboardInterrupt):
        answering.answer(engine, prompts, Sampling(6, 1.0), tmp_path / "cut", stop_after_one_batch)
    assert asked == lengths[:1]
    assert answering.answer(engine, prompts, Sampling(6, 1.0), tmp_path / "cut") == whole
    assert asked == lengths


def test_the_template_renders_tools_calls_and_responses(engine: TransformersEngine) -> None:
    tool = {
        "name": "weather.at",
        "description": "Weather in a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "City name"},
                "days": {"type": "integer", "default": 3, "minimum": 1},
                "units": {"type": "array", "items": {"enum": ["C", "F"]}},
                "box": {
                    "type": "object",
                    "properties": {"n": {"type": "number"}, "tag": {"type": ["string", "null"]}},
                    "required": ["n"],
                },
            },
            "required": ["city"],
        },
    }
    call = {"type": "function", "function": {"name": "weather.at", "arguments": {"city": "Köln"}}}
    messages = [
        {"role": "system", "content": "Today is Friday."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": "weather.at", "content": '{"t":1}'},
    ]
    text = render(engine.tokenizer, Prompt(messages, [tool]))
    document = (
        'Weather in a city:\n{"name": "weather.at", "arguments": {"city": string (City name), '
        'optional "days": integer = 3 minimum 1, optional "units": ("C"|"F")[], '
        'optional "box": {"n": number, optional "tag": string|null}}}\n'
    )
    assert document in text
    assert (
        '<tool_call>\n{"name": "weather.at", "arguments": {"city": "Köln"}}\n</tool_call>' in text
    )
    assert "<tool_response>\n" in text and text.endswith("<|im_start|>assistant\n")
    unwrapped = engine.tokenizer.apply_chat_template(
        messages, tools=[tool], tokenize=False, add_generation_prompt=True
    )
    assert unwrapped == text  # a server may be given tools in either form


def test_replay_answers_by_sample_and_names_a_bad_line(tmp_path: Path) -> None:
    file = tmp_path / "replay.jsonl"
    row = {"sample_id": sample_id([], PROMPTS[0].messages), "text": "x", "tokens": 1, "logprob": 0}
    file.write_text(json.dumps(row) + "\n", "utf-8")
    engine = ReplayEngine.load(file, "models/none")
    assert [c.text for c in engine.generate(PROMPTS[:2], Sampling(1))] == ["x", ""]
    file.write_text(json.dumps(row) + "\n{}\n", "utf-8")
    with pytest.raises(ConfigError, match="line 2: the field 'text' is missing"):
        ReplayEngine.load(file, "models/none")


def test_a_folder_without_tokenizer_or_template_is_named(
    engine: TransformersEngine, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no tokenizer"):
        TransformersEngine.load(tmp_path, 1, "float32")
    bare = make_tiny_model(tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="chat template"):
        TransformersEngine.load(bare, 1, "float32")
