"""The tables of a revision: in the workspace, or in DVC's cache without checking anything out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from looptool.errors import ConfigError, LooptoolError

_DATA = re.compile(r"data/iterations/(\d+)/(.+)")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files that the stages wrote, as they were in one revision.

    Attributes:
        name: how the revision was called; empty for the workspace.
        commit: its git commit; None for the workspace.
        files: where each file under data/ and metrics/ lies on disk, by its path in the project.
        hashes: DVC's md5 of each output that was committed to the cache, folders among them.
    """

    name: str
    commit: str | None
    files: Mapping[str, Path]
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The revision as messages name it."""
        return f"revision {self.name}" if self.name else "the workspace"

    @property
    def iterations(self) -> list[int]:
        """The iterations that have a data set D_j, ascending."""
        return sorted(j for j, name in self._tables() if name == "train.parquet")

    def tables(self, name: str) -> dict[int, Path]:
        """Return the files called `name` by their iteration, e.g. of "train.parquet".

        Raises:
            LooptoolError: if one of them is no longer in DVC's cache.
        """
        found = sorted(j for j, own in self._tables() if own == name)
        return {j: self.path(f"data/iterations/{j}/{name}") for j in found}

    def path(self, name: str) -> Path:
        """Return where a file of the project lies on disk.

        Raises:
            LooptoolError: if the revision has no such file, or DVC's cache no longer holds it.
        """
        if name not in self.files:
            raise LooptoolError(f"{name}: {self.where} has no such file; `dvc repro` makes it")
        if not self.files[name].exists():
            raise LooptoolError(
                f"{name}: {self.where} has it, but DVC's cache does not ({self.files[name]}); "
                f"`dvc fetch -A` gets it from a remote, `dvc repro` in that revision makes it again"
            )
        return self.files[name]

    def _tables(self) -> list[tuple[int, str]]:
        found = (_DATA.fullmatch(name) for name in self.files)
        return [(int(match[1]), match[2]) for match in found if match]


def open_workspace(root: Path | str = ".") -> Snapshot:
    """Return the snapshot of what lies in the workspace now.

    Raises:
        ConfigError: if `root` is no project's root.
    """
    root = Path(root)
    if not (root / "dvc.yaml").exists():
        raise ConfigError(f"{root / 'dvc.yaml'}: does not exist; run from the project's root")
    files = {
        path.relative_to(root).as_posix(): path
        for folder in ("data", "metrics")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    return Snapshot("", None, files, _lock_hashes(root / "dvc.lock"))


def open_revision(name: str, root: Path | str = ".") -> Snapshot:
    """Return the snapshot of a git revision or a DVC experiment, read out of DVC's cache.

    Raises:
        LooptoolError: if there is no such revision, or nothing had run in it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import RevError

    try:
        with Repo(str(root), rev=name) as repo:
            commit = str(repo.get_rev())
            outs = [out for out in repo.index.outs if out.hash_info]
            files = {
                out.fs_path.lstrip("/"): Path(out.cache_path)
                for out in outs
                if not out.hash_info.isdir
            }
            hashes = {out.fs_path.lstrip("/"): str(out.hash_info.value) for out in outs}
    except RevError:
        raise LooptoolError(_unknown(name, root)) from None
    except DvcException as error:
        raise LooptoolError(f"{name}: DVC cannot read it: {error}") from None
    if not any(_DATA.fullmatch(path) for path in files):
        raise LooptoolError(
            f"{name}: nothing had run in that revision, or its dvc.lock was not committed "
            "(`git add dvc.lock` after `dvc repro`)"
        )
    return Snapshot(name, commit, files, hashes)


def _lock_hashes(lock: Path) -> dict[str, str]:
    from ruamel.yaml import YAML

    if not lock.exists():
        return {}
    stages = (YAML(typ="safe", pure=False).load(lock.read_text("utf-8")) or {}).get("stages") or {}
    return {
        out["path"]: out["md5"]
        for stage in stages.values()
        for out in stage.get("outs") or ()
        if "md5" in out
    }


def _unknown(name: str, root: Path | str) -> str:
    """Say that there is no such revision, and which are called alike."""
    from dvc.repo import Repo
    from rapidfuzz import process

    known: set[str] = set()
    with Repo(str(root)) as repo:
        scm = repo.scm
        known |= {*scm.list_branches(), *scm.list_tags()}
        for names in repo.experiments.ls(all_commits=True).values():
            known |= {experiment for experiment, _ in names if experiment}
    near = [match for match, _, _ in process.extract(name, sorted(known), limit=3, score_cutoff=60)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "; see `git log` and `dvc exp list`"
    return f"{name}: no such revision or experiment{hint}"
