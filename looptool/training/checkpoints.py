"""Functions that both trainers share: adapters, saving models, checkpoints, label tokens."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from looptool.core.errors import ConfigError
from looptool.core.files import replacing
from looptool.core.params import Model
from looptool.core.samples import Label
from looptool.engines import Prompt
from looptool.engines.syntax import label_text
from looptool.engines.transformers import is_composite, load_tokenizer

# What transformers and vLLM need to read images and sound.
PROCESSORS = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json")


def lora_config(model: Any, rank: int) -> Any:
    """Return the settings of low-rank adapters on all linear layers of the language model.

    The adapters are fp32 and have scale 2 (`lora_alpha` is twice the rank).
    """
    import peft
    import torch

    places: str | list[str] = "all-linear"
    if is_composite(model.config):
        layers = {id(each) for each in model.get_decoder().modules()}
        places = [
            name
            for name, layer in model.named_modules()
            if isinstance(layer, torch.nn.Linear) and id(layer) in layers
        ]
    return peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=places)


def add_lora(model: Any, rank: int, seed: int) -> Any:
    """Add low-rank adapters to a model; only these are trained. See `lora_config`."""
    import peft
    import torch

    torch.manual_seed(seed)
    return peft.get_peft_model(model, lora_config(model, rank))


def with_adapters(base: Any, rank: int, trained: Mapping[str, Any]) -> Any:
    """Return a base model with trained adapters merged into its weights.

    The base is a fresh one: vLLM's weight sync merges and removes adapters in bf16, which does not
    restore the weights of the trained model exactly.

    Args:
        trained: the state of the model with adapters.
    """
    model = add_lora(base, rank, seed=0)
    adapters = {name: value for name, value in trained.items() if "lora_" in name}
    model.load_state_dict(adapters, strict=False)
    return model.merge_and_unload()


def save_model(model: Any, tokenizer: Any, base: Path | str, target: Path) -> None:
    """Write weights (safetensors), config and tokenizer to `target`, atomically.

    The saved weights are bf16, whatever type they were trained in.

    Args:
        base: the folder of the model that was trained, for the files of its processors.
    """
    import torch

    model.config.name_or_path = ""  # else it is the path of the loaded model
    with replacing(target) as partial:
        model.to(torch.bfloat16).save_pretrained(partial, safe_serialization=True)
        tokenizer.save_pretrained(partial)
        for name in PROCESSORS:
            if (Path(base) / name).is_file():
                shutil.copyfile(Path(base) / name, partial / name)


def copy_base(base: Path | str, target: Path, chosen: Model | None = None) -> None:
    """Copy a base model's weights, config and tokenizer to `target`, atomically.

    Args:
        chosen: the section `model` of params, for the chat template and its options to save with
            the tokenizer.

    Raises:
        ConfigError: if the folder has no safetensors weights, or no tokenizer with a template.
    """
    base = Path(base)
    if not list(base.glob("*.safetensors")):
        raise ConfigError(f"{base}: has no .safetensors weights; see model.base in params.yaml")
    tokenizer = load_tokenizer(base, chosen)
    with replacing(target) as partial:
        partial.mkdir()
        for path in base.iterdir():
            if path.suffix in (".safetensors", ".json", ".jinja", ".txt", ".model"):
                shutil.copyfile(path, partial / path.name)
        if chosen and (chosen.template_options or chosen.chat_template != "own"):
            tokenizer.save_pretrained(partial)


def last_checkpoint(folder: Path) -> str | None:
    """Return the newest complete checkpoint in a trainer's output folder, or None.

    If a kill or a full disk interrupted a checkpoint, the file that the trainer writes last is
    missing or truncated.
    """
    numbered = [
        (int(match[1]), path)
        for path in folder.glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name))
        and _is_json(path / "trainer_state.json")
    ]
    return str(max(numbered)[1]) if numbered else None


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return True


def label_ids(tokenizer: Any, prompt: Prompt, label: Label) -> list[int]:
    """Return the token ids that the model has to write for a label, with the end of its turn.

    Raises:
        ConfigError: if the model's template cannot write the label.
    """
    ids: list[int] = tokenizer(
        label_text(tokenizer, prompt, label), add_special_tokens=False
    ).input_ids
    return ids
