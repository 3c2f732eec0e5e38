"""Training and answering with the chat templates of model families, on tiny random weights.

The tokenizers have the families' special tokens. A label must be written by token ids, and read
back from them, so that it earns the full reward.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.core import params
from looptool.core.calls import ToolCall
from looptool.core.samples import call_label, is_correct, sample_id, text_label
from looptool.engines import Prompt, Sampling, prompts_of
from looptool.engines.roles import Cast
from looptool.engines.syntax import answer_to, known_style
from looptool.engines.transformers import TransformersEngine, load_tokenizer
from looptool.expansion.error_seeds import error_seeds
from looptool.judging import make_judges
from looptool.judging.label_correction import outcomes
from looptool.judging.verify import verify
from looptool.probing import probe
from looptool.training.checkpoints import label_ids
from looptool.training.grpo import train_grpo
from looptool.training.left_out import left_out
from looptool.training.rewards import Example
from looptool.training.warmup import train_sft
from tests.answers import samples_of
from tests.families import FAMILIES, SECOND_END, make_composite, make_family

ROOT = Path(__file__).parents[2]
SHIPPED = params.load(ROOT / "params.yaml")
TOOL = {
    "name": "find_rooms",
    "description": "Finds rooms",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "nights": {"type": "integer"}},
        "required": ["city"],
    },
}
LABELS = [
    call_label([ToolCall("find_rooms", {"city": "Oslo", "nights": 2})]),
    call_label([ToolCall("find_rooms", {"city": "75001"})]),
    call_label([ToolCall("find_rooms", {"city": f"Rom {n}"}) for n in range(2)]),
    text_label("Which city?"),
]
REQUESTS = [
    "Find rooms in Oslo for 2 nights", "Find rooms in 75001", "Find rooms in Rom 0 and in Rom 1",
    "Find me a room",
]  # fmt: skip
PROMPTS = [Prompt([{"role": "user", "content": text}], [TOOL]) for text in REQUESTS]
EXAMPLES = [
    Example(prompt, label, sample_id=f"{number:032x}", origin="seed")
    for number, (prompt, label) in enumerate(zip(PROMPTS, LABELS, strict=True))
]


def id_of(example: Example) -> str:
    return sample_id(example.prompt.tools, example.prompt.messages)


# How labels end, where that is not the tokenizer's eos. GLM 4.5 ends no turn, so the token that
# begins the next one ends the answer.
ENDS = {
    "glm4moe": {"calls": "<|observation|>", "text": "<|user|>"},
    "gptoss": {"calls": "<|call|>"},
}
SAMPLES = samples_of((example.prompt, example.label) for example in EXAMPLES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_trained_and_answers_in_its_own_syntax(family: str, tmp_path: Path) -> None:
    base = make_family(family, tmp_path / "base")
    own = "looptool" if family == "gemma3" else "own"  # its own template drops the tools
    date = {"today": "2026-01-01"} if family in ("llama3_2", "gptoss") else {}
    chosen = SHIPPED.model.model_copy(update={"chat_template": own, "template_options": date})
    tokenizer = load_tokenizer(base, chosen)
    unfit = left_out(base, SAMPLES, chosen=chosen)
    takes_one_call = family in ("llama3_2", "gptoss")
    assert unfit["check"].to_list() == ["template"] * takes_one_call
    fit = [example for example in EXAMPLES if id_of(example) not in set(unfit["sample_id"])]
    assert len(fit) == len(EXAMPLES) - takes_one_call
    for example in fit:
        prompt, label = example.prompt, example.label
        ids = label_ids(tokenizer, prompt, label)
        end = ENDS.get(family, {}).get(next(iter(label)), tokenizer.eos_token)
        assert tokenizer.decode(ids[-1:]) == end
        answer = answer_to(tokenizer, ids, prompt.tools)
        assert is_correct(answer, label, (), prompt.tools)
        other = text_label("Which city?") if "calls" in label else LABELS[0]
        assert not is_correct(answer, other, (), prompt.tools)
        other_end = tokenizer.convert_tokens_to_ids(SECOND_END)
        assert answer_to(tokenizer, [*ids[:-1], other_end], prompt.tools) == answer
        if "text" in label:  # a control token is no part of a text
            assert answer_to(tokenizer, [other_end, *ids], prompt.tools) == answer
        if "calls" in label:  # cut off within the call
            cut = answer_to(tokenizer, ids[: len(ids) // 2], prompt.tools)
            assert not is_correct(cut, text_label("?")) and not is_correct(cut, label)

    history = train_sft(
        base, [(each.prompt, each.label) for each in fit], tmp_path / "0", chosen=chosen, steps=2,
        batch_size=2, learning_rate=1e-3, schedule="constant", save_steps=5, dtype="float32",
        seed=1, scratch=tmp_path / "scratch",
    )  # fmt: skip
    assert len(history) == 2
    calling = [example for example in fit if "calls" in example.label]
    changes = {"steps": 1, "prompts_per_step": 2, "group_size": 2, "max_new_tokens": 12,
               "anchor": "label"}  # fmt: skip
    steps = train_grpo(
        tmp_path / "0", calling, tmp_path / "1", SHIPPED.train.model_copy(update=changes),
        vllm=SHIPPED.vllm, match="schema", dtype="float32", seed=1, scratch=tmp_path / "grpo",
    )  # fmt: skip
    # random weights never succeed, so the label replaces one completion of each group
    assert steps[0]["groups_anchored"] == 2 and steps[0]["reward"] == pytest.approx(0.5)

    engine = TransformersEngine.load(tmp_path / "1", 4, "float32")
    assert known_style(engine.tokenizer) == known_style(tokenizer)
    answers = engine.generate(prompts_of(SAMPLES), Sampling(8, logprobs=True))
    assert all(answer.error is None and answer.tokens <= 8 for answer in answers)
    probed = probe(SAMPLES, answers, 0.2, left_out=set(unfit["sample_id"]))
    cast = Cast(SHIPPED, lambda: tmp_path, 1)
    verdicts = verify(SAMPLES, probed, make_judges(SHIPPED.verify, cast))
    assert not set(verdicts["sample_id"]) & set(unfit["sample_id"])
    judged = outcomes(SAMPLES, probed, verdicts, iteration=1, keep_high_ppl=True)
    seeds = error_seeds(judged)
    assert seeds
    second = [
        Example(
            Prompt(seed.messages, seed.tools),
            seed.label,
            sample_id=sample_id(seed.tools, seed.messages),
            origin="seed",
        )
        for seed in seeds
        if "calls" in seed.label
    ]
    (step,) = train_grpo(
        tmp_path / "1", second, tmp_path / "2", SHIPPED.train.model_copy(update=changes),
        vllm=SHIPPED.vllm, match="schema", dtype="float32", seed=2, scratch=tmp_path / "second",
    )  # fmt: skip
    assert step["groups_anchored"] == 2


@pytest.mark.parametrize("family", ["qwen3_5_nothink", "gemma4_v2"])
@pytest.mark.parametrize("rank", [None, 2])
def test_of_a_checkpoint_with_images_only_the_language_model_is_trained(
    family: str, rank: int | None, tmp_path: Path
) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForImageTextToText

    base = make_composite(family, tmp_path / "base")
    calling = [example for example in EXAMPLES if "calls" in example.label]
    changes = {"steps": 1, "prompts_per_step": 2, "group_size": 2, "max_new_tokens": 12,
               "anchor": "label", "lora_rank": rank, "learning_rate": 0.01}  # fmt: skip
    train_grpo(
        base, calling, tmp_path / "1", SHIPPED.train.model_copy(update=changes),
        vllm=SHIPPED.vllm, match="schema", dtype="float32", seed=1, scratch=tmp_path / "grpo",
    )  # fmt: skip
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("base", "1"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].bfloat16().equal(after[name])}
    assert changed and all("language_model" in name for name in changed)
    if rank:
        assert not any("embed" in name for name in changed)
    assert (tmp_path / "1/preprocessor_config.json").is_file()
    assert str(tmp_path) not in (tmp_path / "1/config.json").read_text("utf-8")
    whole = AutoModelForImageTextToText.from_pretrained(tmp_path / "1")
    assert type(whole).__name__.endswith("ForConditionalGeneration")
    engine = TransformersEngine.load(tmp_path / "1", 4, "float32")
    assert all(completion.error is None for completion in engine.generate(PROMPTS, Sampling(8)))
