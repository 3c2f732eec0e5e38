"""Models of the hub: downloading one, and finding it again without a network."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from looptool.core import canonical
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.files import replacing
from looptool.core.hub_name import HubName
from looptool.core.machine import scratch_root
from looptool.hub.problems import check_space, told

if TYPE_CHECKING:  # importing it takes half a second
    from huggingface_hub.hf_api import RepoSibling

# A repository may also hold other forms of the same weights, and code. Only these are taken.
_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model")
_OTHER_WEIGHTS = ("consolidated", "adapter_")  # of other programs; of adapters without a model
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_STALE = 3600  # seconds after which a partial file belongs to a process that was killed


def fetch(name: HubName) -> tuple[HubName, Path]:
    """Return a model's name with the commit and its folder. Downloads it unless it is there.

    Raises: see `pin` and `download`.
    """
    pinned = pin(name)
    return pinned, find(pinned) or download(pinned)


def pin(name: HubName) -> HubName:
    """Return the name with the commit that it means now, which is looked up unless it has one.

    Raises:
        LooptoolError: if the hub cannot be asked, or has no such repository or revision.
    """
    if name.pinned:
        return name
    from huggingface_hub import HfApi

    with told(name):
        info = HfApi().model_info(name.repository, revision=name.revision)
        return HubName(name.repository, info.sha)


def download(name: HubName) -> Path:
    """Download a pinned model into the hub's cache, without the files that are there.

    Shows progress. Only the tokenizer, the configuration and `*.safetensors` are taken, and their
    checksums are compared. No code of the repository is ever run. Without a network, a model is
    taken that another program downloaded whole; its checksums are not compared.

    Returns:
        The folder.

    Raises:
        LooptoolError: if the repository, the network or the disk does not allow it.
        ConfigError: if it holds no model that can be used.
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    if constants.is_offline_mode() and (folder := _of_another_program(name)):
        return folder
    with told(name):
        info = HfApi().model_info(name.repository, revision=name.revision, files_metadata=True)
    small, weights = _parts(name, info.siblings or [])

    def take(files: Sequence[RepoSibling]) -> Path:
        patterns = [glob.escape(file.rfilename) for file in files]
        with told(name):
            return Path(
                snapshot_download(name.repository, revision=name.revision, allow_patterns=patterns)
            )

    size = missing_bytes(name, [*small, *weights])
    check_space(name, size, Path(constants.HF_HUB_CACHE))
    if size:
        print(f"{name}: downloading {size / 1e6:,.1f} MB", file=sys.stderr, flush=True)
    folder = take(small)
    remove_stale(folder)
    _check_architecture(name, folder)
    take(weights)
    check_sums(name, folder, [*small, *weights])
    _mark(folder, [file.rfilename for file in (*small, *weights)])
    return folder


def find(name: HubName) -> Path | None:
    """Return the folder of a pinned model in the hub's cache, or None if it is not there whole.

    Uses no network.
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name.repository, "config.json", revision=name.revision)
    if not isinstance(found, str):
        return None
    folder = Path(found).parent
    try:
        sizes = json.loads(_marked(folder).read_text("utf-8"))
        whole = all((folder / each).stat().st_size == size for each, size in sizes.items())
    except (OSError, ValueError):
        return None
    return folder if whole else None


def at_hand(name: HubName, field: str) -> Path:
    """Return the folder of a model that a field of params.yaml names. Uses no network.

    Raises:
        ConfigError: if it is not there; names the command that downloads it.
    """
    if not name.pinned:
        raise ConfigError(
            f"{field}: {name}: names no commit; `looptool setup` looks it up and writes it there"
        )
    folder = find(name)
    if folder is None:
        raise ConfigError(
            f"{field}: {name}: is not in the hub's cache as a whole; `looptool setup` downloads it"
        )
    return folder


def is_taken(path: str) -> bool:
    """Whether a file of a repository, or of a model folder, belongs to a base model."""
    return "/" not in path and path.endswith(_SUFFIXES) and not path.startswith(_OTHER_WEIGHTS)


def weights_are_whole(folder: Path) -> bool:
    """Whether a folder has weights, and all the files that their index names."""
    index = folder / "model.safetensors.index.json"
    try:
        named = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except FileNotFoundError:
        return any(folder.glob("*.safetensors"))
    except (ValueError, KeyError, AttributeError):
        return False
    return all((folder / name).is_file() for name in named)


def _marked(folder: Path) -> Path:
    """Return the file with the sizes of a model's files in the hub's cache, once they are whole.

    It is not in that cache, which other programs own and which may be read-only.
    """
    return scratch_root() / "hub" / f"{canonical.digest(str(folder))[:24]}.json"


def _mark(folder: Path, names: Iterable[str]) -> None:
    sizes = {name: (folder / name).stat().st_size for name in names}
    with replacing(_marked(folder)) as partial:
        partial.write_text(json.dumps(sizes), "utf-8")


def _of_another_program(name: HubName) -> Path | None:
    """Return the folder of a pinned model of which the hub's cache has every file, and mark it."""
    from huggingface_hub import get_cached_repo_tree, try_to_load_from_cache
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        files = get_cached_repo_tree(name.repository, revision=name.revision)
    except CachedRepoTreeNotFoundError:
        return None
    taken = [file.path for file in files if is_taken(file.path)]
    found = [try_to_load_from_cache(name.repository, each, revision=name.revision)
             for each in taken]  # fmt: skip
    if not found or not all(isinstance(each, str) for each in found):
        return None
    folder = Path(str(found[0])).parent
    _mark(folder, taken)
    return folder


def _parts(
    name: HubName, files: Sequence[RepoSibling]
) -> tuple[list[RepoSibling], list[RepoSibling]]:
    """Return the files to take: the small ones, and those of the weights.

    Raises:
        ConfigError: if there are no weights, or no configuration.
    """
    taken = [file for file in files if is_taken(file.rfilename)]
    weights = [file for file in taken if file.rfilename.endswith(".safetensors")]
    small = [file for file in taken if file not in weights]
    if not weights:
        pickled = [file.rfilename for file in files if file.rfilename.endswith(_PICKLED)]
        why = "has no weights (*.safetensors); choose a repository with a whole model"
        if pickled:
            why = (
                f"has only pickled weights ({pickled[0]}), which can run code when they are "
                "loaded; choose a revision or a repository with *.safetensors"
            )
        raise ConfigError(f"{name}: {why}")
    if not any(file.rfilename == "config.json" for file in small):
        raise ConfigError(f"{name}: has no config.json; choose a repository of transformers' form")
    return small, weights


def _check_architecture(name: HubName, folder: Path) -> None:
    """Raise ConfigError if the model's architecture is not one of the installed transformers."""
    from transformers import CONFIG_MAPPING, __version__

    config = json.loads((folder / "config.json").read_text("utf-8"))
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        code = ", and the repository's own code is never run" if "auto_map" in config else ""
        raise ConfigError(
            f"{name}: its architecture, {kind}, is not in transformers {__version__}{code}; choose "
            "another model"
        )


def missing_bytes(name: HubName, files: Iterable[RepoSibling], kind: str = "model") -> int:
    """Return the bytes of the files that are not in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    return sum(
        file.size or 0
        for file in files
        if not isinstance(
            try_to_load_from_cache(
                name.repository, file.rfilename, revision=name.revision, repo_type=kind
            ),
            str,
        )
    )


def remove_stale(folder: Path) -> None:
    """Remove the partial files of downloads that were killed, which no download continues."""
    for partial in (folder.parents[1] / "blobs").glob("*.incomplete"):
        with contextlib.suppress(OSError):  # it may be another user's
            if time.time() - partial.stat().st_mtime > _STALE:
                partial.unlink()


def check_sums(name: HubName, folder: Path, files: Iterable[RepoSibling]) -> None:
    """Compare downloaded files with the hub's checksums, and delete those that differ.

    Raises:
        LooptoolError: naming the file.
    """
    for file in files:
        path = folder / file.rfilename
        if checksum(path, file) != known_checksum(file):
            path.resolve().unlink()  # the cache has links to it
            path.unlink(missing_ok=True)
            raise LooptoolError(
                f"{name}: {file.rfilename}: what arrived does not have the hub's checksum and was "
                "deleted; run the same command again, through another network if that repeats"
            )


def known_checksum(file: RepoSibling) -> str | None:
    """Return the checksum that the hub gives for a file."""
    return file.lfs.sha256 if file.lfs else file.blob_id


def checksum(path: Path, file: RepoSibling) -> str:
    """Return the checksum that the hub would give for the content of `path` in place of `file`.

    It is SHA-256 in large file storage, and git's hash elsewhere.
    """
    with open(path, "rb") as content:
        if file.lfs:
            return hashlib.file_digest(content, "sha256").hexdigest()
        data = content.read()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
