"""The tables of a revision, read from the workspace or from DVC's cache without a checkout."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from looptool.core.errors import ConfigError, LooptoolError

_DATA = re.compile(r"data/iterations/(\d+)/(.+)")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files that the stages wrote, in one revision.

    Attributes:
        name: the name of the revision as the user gave it; empty for the workspace.
        files: the location on disk of each file under data/ and metrics/, by path in the project.
        hashes: DVC's md5 of each output in the cache, including folders.
        trained: the iterations whose model was trained on the current D_j; 0 for the warm-up.
    """

    name: str
    files: Mapping[str, Path]
    hashes: Mapping[str, str] = field(default_factory=dict)
    trained: Collection[int] = ()

    @property
    def where(self) -> str:
        """The name of the revision for messages."""
        return f"revision {self.name}" if self.name else "the workspace"

    @property
    def iterations(self) -> list[int]:
        """The iterations that have a data set D_j, ascending."""
        return sorted(j for j, name in self._tables() if name == "train.parquet")

    def tables(self, name: str) -> dict[int, Path]:
        """Return the paths of a table, such as "train.parquet", by iteration.

        Raises:
            LooptoolError: if one of the files is no longer in DVC's cache.
        """
        iterations = sorted(j for j, table in self._tables() if table == name)
        return {j: self.path(f"data/iterations/{j}/{name}") for j in iterations}

    def path(self, name: str) -> Path:
        """Return the location on disk of a file of the project.

        Raises:
            LooptoolError: if the revision has no such file, or the file is not in DVC's cache.
        """
        if name not in self.files:
            raise LooptoolError(f"{name}: {self.where} has no such file; run `dvc repro`")
        if not self.files[name].exists():
            raise LooptoolError(
                f"{name}: {self.where} has it, but DVC's cache does not ({self.files[name]}); "
                f"get it from a remote with `dvc fetch -A`, or run `dvc repro` in that revision"
            )
        return self.files[name]

    def _tables(self) -> list[tuple[int, str]]:
        matches = (_DATA.fullmatch(name) for name in self.files)
        return [(int(match[1]), match[2]) for match in matches if match]


def open_workspace(root: Path | str = ".") -> Snapshot:
    """Return a snapshot of the current workspace.

    Raises:
        ConfigError: if `root` is not the root of a project and has no audits.
    """
    root = Path(root)
    if not (root / "dvc.yaml").exists() and not (root / "data/audits").is_dir():
        raise ConfigError(f"{root / 'dvc.yaml'}: does not exist; run from the project's root")
    files = {
        path.relative_to(root).as_posix(): path
        for folder in ("data", "metrics")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    stages = _locked_stages(root / "dvc.lock")
    hashes = {path: md5 for stage in stages.values() for path, md5 in stage["outs"].items()}
    return Snapshot("", files, hashes, _trained(stages, hashes))


def open_revision(name: str, root: Path | str = ".") -> Snapshot:
    """Return a snapshot of a git revision or DVC experiment, read from DVC's cache.

    Raises:
        LooptoolError: if there is no such revision, or it has no data.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.brancher import switch
    from dvc.scm import RevError

    # DVCFileSystem takes as long, and does not find a project in a subfolder of its git repository.
    # dvc.lock alone is not a list of files: DVC keeps stages in it that dvc.yaml no longer has.
    try:
        with Repo(str(root)) as repo, switch(repo, name):
            files: dict[str, Path] = {}
            hashes: dict[str, str] = {}
            stages: dict[str, dict[str, dict[str, str]]] = {}
            for stage in repo.index.stages:
                known = {
                    kind: {
                        repo.fs.relpath(one.fs_path, repo.root_dir): str(one.hash_info.value)
                        for one in ones
                        if one.hash_info
                    }
                    for kind, ones in (("deps", stage.deps), ("outs", stage.outs))
                }
                stages[stage.addressing] = known
                hashes |= known["outs"]
                for out in stage.outs:
                    if out.hash_info and not out.hash_info.isdir:
                        path = repo.fs.relpath(out.fs_path, repo.root_dir)
                        files[path] = Path(out.cache_path)
    except RevError:
        raise LooptoolError(_unknown(name, root)) from None
    except DvcException as error:
        raise LooptoolError(f"{name}: DVC cannot read it: {error}") from None
    if not any(_DATA.fullmatch(path) for path in files):
        raise LooptoolError(
            f"{name}: nothing was run in that revision, or its dvc.lock was not committed "
            "(`git add dvc.lock` after `dvc repro`)"
        )
    return Snapshot(name, files, hashes, _trained(stages, hashes))


def _locked_stages(lock: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Return DVC's md5 of the deps and outs of each stage, by path."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not lock.exists():
        return {}
    try:
        stages = (YAML(typ="safe").load(lock.read_text("utf-8")) or {}).get("stages") or {}
    except (YAMLError, AttributeError):
        raise LooptoolError(f"{lock}: not a lock file; delete it and run `dvc repro`") from None
    return {
        name: {
            kind: {one["path"]: one["md5"] for one in stage.get(kind) or () if "md5" in one}
            for kind in ("deps", "outs")
        }
        for name, stage in stages.items()
    }


def _trained(
    stages: Mapping[str, Mapping[str, Mapping[str, str]]], hashes: Mapping[str, str]
) -> set[int]:
    """Return the iterations whose train stage last read the current D_j."""
    trained = {0} if "models/0" in hashes else set()
    for name, stage in stages.items():
        if match := re.fullmatch(r"train@(\d+)", name):
            data = f"data/iterations/{match[1]}/train.parquet"
            if data in hashes and stage["deps"].get(data) == hashes[data]:
                trained.add(int(match[1]))
    return trained


def _unknown(name: str, root: Path | str) -> str:
    """Return the message for an unknown revision, with similar names."""
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
