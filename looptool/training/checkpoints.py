"""What both trainers share: loading a model for training, its saving, and the latest checkpoint."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from looptool.core.calls import render as render_calls
from looptool.core.errors import ConfigError
from looptool.core.samples import Label, label_calls
from looptool.engines.transformers import load_tokenizer


def add_lora(model: Any, rank: int, seed: int) -> Any:
    """Return the model with low-rank adapters on all its linear layers, which alone are trained.

    Their scale is 2 (`lora_alpha` twice the rank), and they are fp32.
    """
    import peft
    import torch

    torch.manual_seed(seed)
    return peft.get_peft_model(
        model, peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    )


def save_model(model: Any, tokenizer: Any, target: Path) -> None:
    """Write weights (safetensors), config and tokenizer to `target`, whole or not at all.

    Adapters are merged into the weights, so that every models/j can be read like any other, and
    weights are bf16 there whatever they were trained in.
    """
    import torch

    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.config.name_or_path = ""  # it would hold the path that the model was loaded from
    try:
        model.to(torch.bfloat16).save_pretrained(partial, safe_serialization=True)
        tokenizer.save_pretrained(partial)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def copy_base(base: Path | str, target: Path) -> None:
    """Copy a base model's weights, config and tokenizer to `target`, whole or not at all.

    Raises:
        ConfigError: if the folder holds no safetensors weights, or no tokenizer with a template.
    """
    base = Path(base)
    if not list(base.glob("*.safetensors")):
        raise ConfigError(f"{base}: holds no .safetensors weights; see model.base in params.yaml")
    load_tokenizer(base)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        for path in base.iterdir():
            if path.suffix in (".safetensors", ".json", ".jinja", ".txt", ".model"):
                shutil.copyfile(path, partial / path.name)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def last_checkpoint(folder: Path) -> str | None:
    """Return the newest whole checkpoint in a trainer's output folder, or None.

    A checkpoint that a kill or a full disk cut off lacks the file that the trainer writes last, or
    its end.
    """
    numbered = [
        (int(found[1]), path)
        for path in folder.glob("checkpoint-*")
        if (found := re.fullmatch(r"checkpoint-(\d+)", path.name))
        and _is_json(path / "trainer_state.json")
    ]
    return str(max(numbered)[1]) if numbered else None


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return True


def label_ids(label: Label, tokenizer: Any) -> list[int]:
    """Return the tokens that the assistant would write for a label, the closing one included."""
    text = label["text"] if "text" in label else render_calls(label_calls(label))
    ids = tokenizer(text, add_special_tokens=False).input_ids
    return [*ids, tokenizer.eos_token_id]
