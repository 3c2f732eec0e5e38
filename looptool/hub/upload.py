"""Uploading a folder to the hub: what would change and who could see it, then the upload."""

from __future__ import annotations

import fnmatch
import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looptool.core.errors import ConfigError
from looptool.core.hub_name import HubName, hub_name
from looptool.hub.models import checksum, known_checksum
from looptool.hub.problems import Kind, told

_REPLACED = {  # top-level files of an earlier upload that would mix with those of this one
    "model": "*.safetensors*",
    "dataset": "data/*.parquet",
}


@dataclass(frozen=True, slots=True)
class Upload:
    """What an upload would do.

    Attributes:
        account: the user whose token is used.
        endpoint: the address of the hub.
        exists: whether there is such a repository.
        private: whether it is private, or will be.
        files: (path, bytes, `new`, `changed`, `same` or `removed`), by path.
    """

    folder: Path
    name: HubName
    kind: Kind
    account: str
    endpoint: str
    exists: bool
    private: bool
    files: list[tuple[str, int, str]]

    @property
    def changes(self) -> bool:
        """Whether anything would be uploaded or removed."""
        return any(what != "same" for _, _, what in self.files)


def repository_of(text: str) -> HubName:
    """Parse `owner/name`.

    Raises:
        ConfigError: if it is none.
    """
    try:
        name = hub_name(f"hf:{text.removeprefix('hf:')}")
    except ValueError:
        name = None
    if name is None or name.revision:
        raise ConfigError(f"{text}: must be owner/name")
    return name


def prepare(folder: Path, name: HubName, kind: Kind, public: bool) -> Upload:
    """Compare a folder with a repository of the hub, which need not exist.

    Args:
        public: whether a new repository is to be public.

    Raises:
        LooptoolError: if the user is not logged in, or the hub cannot be asked.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    with told(name, kind):
        api = HfApi()
        account = api.whoami()["name"]
        info: Any = None
        try:
            info = api.repo_info(name.repository, repo_type=kind, files_metadata=True)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            pass
    held = {file.rfilename: file for file in (info.siblings or () if info else ())}
    files = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        at = path.relative_to(folder).as_posix()
        known = held.pop(at, None)
        what = "new" if known is None else "changed"
        if known is not None and checksum(path, known) == known_checksum(known):
            what = "same"
        files.append((at, path.stat().st_size, what))
    pattern = _REPLACED[kind]
    removed = [at for at in held
               if fnmatch.fnmatch(at, pattern) and at.count("/") == pattern.count("/")]  # fmt: skip
    files += [(at, held[at].size or 0, "removed") for at in removed]
    private = bool(info.private) if info else not public
    return Upload(
        folder, name, kind, account, constants.ENDPOINT, info is not None, private, sorted(files)
    )


def upload(planned: Upload, message: str) -> str:
    """Create the repository if need be, upload what changed, and return its address.

    Raises:
        LooptoolError: if the hub does not allow it, or the connection fails.
    """
    from huggingface_hub import HfApi

    name = planned.name
    with told(name, planned.kind):
        api = HfApi()
        if not planned.exists:
            api.create_repo(name.repository, repo_type=planned.kind, private=planned.private)
        done = api.upload_folder(
            repo_id=name.repository, repo_type=planned.kind, folder_path=planned.folder,
            commit_message=message,
            delete_patterns=[glob.escape(at) for at, _, what in planned.files if what == "removed"],
        )  # fmt: skip
    return str(done.repo_url)
