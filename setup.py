"""Puts what `looptool init` copies into the package that is built; pyproject.toml has the rest."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PARTS = (
    ".dvcignore",
    ".gitattributes",
    ".gitignore",
    ".dvc/.gitignore",
    ".dvc/config",
    "configs",
    "constraints-vllm.txt",
    "constraints.txt",
    "data/reviews/README.md",
    "data/samples/README.md",
    "data/tools/README.md",
    "dvc.yaml",
    "models/base.dvc",
    "params.yaml",
    "plugins",
    "stages",
)


class BuildWithProject(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:  # a clone has them where they are
            return
        for part in PARTS:
            target = Path(self.build_lib, "looptool/project", part)
            target.parent.mkdir(parents=True, exist_ok=True)
            if Path(part).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(part, target, ignore=ignored, dirs_exist_ok=True)
            else:
                shutil.copyfile(part, target)


setup(cmdclass={"build_py": BuildWithProject})
