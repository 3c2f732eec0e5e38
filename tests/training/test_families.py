"""Training and answering with the chat templates of model families, on tiny random weights.

The tokenizers have the families' special tokens. A label must be written by token ids, and read
back from them, so that it earns the full reward.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import trl

from looptool.core import params
from looptool.core.answers import read_answer
from looptool.core.calls import ToolCall
from looptool.core.samples import call_label, is_correct, text_label
from looptool.engines import Prompt, Sampling
from looptool.engines.syntax import decode_answer, known_style
from looptool.engines.transformers import TransformersEngine, load_tokenizer
from looptool.training.checkpoints import label_ids
from looptool.training.grpo import train_grpo
from looptool.training.rewards import Example
from looptool.training.warmup import train_sft
from tests.tiny import make_tiny_model

ROOT = Path(__file__).parents[2]
SHIPPED = params.load(ROOT / "params.yaml")
TEMPLATES = Path(trl.__file__).parent / "chat_templates"
# By template: the special tokens that it writes, among them the one that ends a turn.
FAMILIES = {
    "qwen3": ["<tool_call>", "</tool_call>", "<think>", "</think>", "<|im_end|>"],
    "qwen3_5_nothink": ["<tool_call>", "</tool_call>", "<think>", "</think>", "<|im_end|>"],
    "gemma4_v2": ["<|tool_call>", "<tool_call|>", '<|"|>', "<|turn>", "<turn|>"],
    "llama3_2": ["<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>", "<|eot_id|>"],
    "lfm2_v2": ["<|tool_call_start|>", "<|tool_call_end|>", "<|im_end|>"],
    "glm4moe": ["<|user|>", "<|assistant|>", "<|observation|>", "<tool_call>", "<|endoftext|>"],
}
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
PROMPTS = [Prompt([{"role": "user", "content": f"Request {n}"}], [TOOL]) for n in range(4)]
EXAMPLES = [Example(prompt, label) for prompt, label in zip(PROMPTS, LABELS, strict=True)]


def base_of(family: str, target: Path) -> Path:
    """Write a tiny model with a family's template and special tokens."""
    from transformers import AutoModelForCausalLM

    base = make_tiny_model(target)
    tokenizer: Any = load_tokenizer(base)
    special = FAMILIES[family]
    tokenizer.add_special_tokens({"additional_special_tokens": special, "eos_token": special[-1]})
    tokenizer.chat_template = (TEMPLATES / f"{family}.jinja").read_text("utf-8")
    model = AutoModelForCausalLM.from_pretrained(base)
    model.resize_token_embeddings(len(tokenizer))
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    shutil.rmtree(base)
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    return base


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_trained_and_answers_in_its_own_syntax(
    family: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = base_of(family, tmp_path / "base")
    tokenizer = load_tokenizer(base)
    takes_one_call = family == "llama3_2"
    for prompt, label in zip(PROMPTS, LABELS, strict=True):
        if takes_one_call and len(label.get("calls", ())) > 1:
            continue
        ids = label_ids(tokenizer, prompt, label)
        # glm4moe ends no turn, so the token that begins the next one ends the answer
        expected = {"calls": "<|observation|>", "text": "<|user|>"} if family == "glm4moe" else {}
        end = expected.get(next(iter(label)), tokenizer.eos_token)
        assert tokenizer.decode(ids[-1:]) == end
        answer = read_answer(decode_answer(tokenizer, ids, prompt.tools))
        assert is_correct(answer, label, (), prompt.tools)
        other = text_label("Which city?") if "calls" in label else LABELS[0]
        assert not is_correct(answer, other, (), prompt.tools)
        if "calls" in label:  # cut off within the call
            cut = read_answer(decode_answer(tokenizer, ids[: len(ids) // 2], prompt.tools))
            assert not is_correct(cut, text_label("?")) and not is_correct(cut, label)

    history = train_sft(
        base, list(zip(PROMPTS, LABELS, strict=True)), tmp_path / "0", steps=2, batch_size=2,
        learning_rate=1e-3, schedule="constant", save_steps=5, dtype="float32", seed=1,
        scratch=tmp_path / "scratch",
    )  # fmt: skip
    assert len(history) == 2
    changes = {"steps": 1, "prompts_per_step": 2, "group_size": 2, "max_new_tokens": 12}
    steps = train_grpo(
        tmp_path / "0", EXAMPLES[:3], tmp_path / "1", SHIPPED.train.model_copy(update=changes),
        vllm=SHIPPED.vllm, match="schema", dtype="float32", seed=1, scratch=tmp_path / "grpo",
    )  # fmt: skip
    # random weights never succeed, so the label replaces one completion of each group
    assert steps[0]["groups_anchored"] == 2 and steps[0]["reward"] == pytest.approx(0.5)
    reported = capfd.readouterr().err
    for count in (4, 3):  # of the SFT and of GRPO
        assert (f"1 of {count} samples are left out of training" in reported) == takes_one_call

    engine = TransformersEngine.load(tmp_path / "1", 4, "float32")
    assert known_style(engine.tokenizer) == known_style(tokenizer)
    for completion in engine.generate(PROMPTS, Sampling(8)):
        assert completion.error is None and completion.tokens <= 8
