"""Tiny models of families: their chat templates, special tokens and, for two, their architectures.

No checkpoint of these families is at hand, so the templates are those that TRL ships, and the
weights are random.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import trl

from looptool.engines.transformers import load_tokenizer
from tests.tiny import make_tiny_model

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
# By template: the special tokens that it writes; the last one ends a turn.
FAMILIES = {
    "qwen3": ["<tool_call>", "</tool_call>", "<think>", "</think>", "<|im_end|>"],
    "qwen3_5_nothink": ["<tool_call>", "</tool_call>", "<think>", "</think>", "<|im_end|>"],
    "gemma4_v2": ["<|tool_call>", "<tool_call|>", '<|"|>', "<|turn>", "<turn|>"],
    "llama3_2": ["<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>", "<|eot_id|>"],
    "lfm2_2_5": ["<|tool_call_start|>", "<|tool_call_end|>", "<|im_end|>"],
    "glm4moe": ["<|user|>", "<|assistant|>", "<|observation|>", "<tool_call>", "<|endoftext|>"],
    "gptoss": ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|call|>", "<|return|>"],
    "gemma3": ["<start_of_turn>", "<end_of_turn>", "<eos>"],
}
SECOND_END = "<|second_end|>"  # another token that ends an answer, as Llama 3's `<|eom_id|>`
LANGUAGE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 4096,
}  # fmt: skip


def make_family(family: str, target: Path) -> Path:
    """Write a Llama of a few thousand weights with a family's template and special tokens."""
    return give_family(family, make_tiny_model(target), target)


def give_family(family: str, base: Path, target: Path) -> Path:
    """Write a base with a family's template and special tokens to `target`."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    tokenizer = _tokenizer(base, family)
    model.resize_token_embeddings(len(tokenizer))
    _save(model, tokenizer, target)
    return target


def make_composite(family: str, target: Path) -> Path:
    """Write a Qwen3.5 or Gemma 4 of a few thousand weights, with a part for images."""
    import transformers

    tokenizer = _tokenizer(make_tiny_model(target), family)
    language = {**LANGUAGE, "vocab_size": len(tokenizer), "tie_word_embeddings": True}
    if family.startswith("qwen3_5"):
        state = ("linear_num_key_heads", "linear_num_value_heads")
        language |= dict.fromkeys(state, 2)
        language |= dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 8)
        sizes = ("hidden_size", "intermediate_size", "out_hidden_size", "num_position_embeddings")
        vision = dict.fromkeys(sizes, 36) | {"depth": 1, "num_heads": 2, "patch_size": 4}
        config: Any = transformers.Qwen3_5Config(
            text_config=language, vision_config=vision, tie_word_embeddings=True
        )
        model: Any = transformers.Qwen3_5ForConditionalGeneration(config)
    else:
        language |= {"global_head_dim": 16, "hidden_size_per_layer_input": 8, "sliding_window": 64,
                     "vocab_size_per_layer_input": len(tokenizer), "num_kv_shared_layers": 0,
                     "layer_types": ["sliding_attention", "full_attention"] * 2}  # fmt: skip
        vision = LANGUAGE | {"num_hidden_layers": 1}
        config = transformers.Gemma4Config(
            text_config=language, vision_config=vision, audio_config=None
        )
        model = transformers.Gemma4ForConditionalGeneration(config)
    _save(model, tokenizer, target)
    (target / "preprocessor_config.json").write_text(json.dumps({"size": 4}), "utf-8")
    return target


def _tokenizer(base: Path, family: str) -> Any:
    from transformers import AddedToken

    tokenizer = load_tokenizer(base)
    special = FAMILIES[family]
    # as published: special, but most of them not among the named ones
    tokenizer.add_tokens([AddedToken(token, special=True) for token in [*special, SECOND_END]])
    tokenizer.add_special_tokens({"eos_token": special[-1]})
    tokenizer.chat_template = (TEMPLATES / f"{family}.jinja").read_text("utf-8")
    return tokenizer


def _save(model: Any, tokenizer: Any, target: Path) -> None:
    ends = tokenizer.convert_tokens_to_ids([tokenizer.eos_token, SECOND_END])
    model.config.eos_token_id, model.generation_config.eos_token_id = ends[0], ends
    shutil.rmtree(target, ignore_errors=True)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
