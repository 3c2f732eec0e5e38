"""Data sets of the hub: which files a split consists of, and their download one by one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from looptool.core.errors import ConfigError
from looptool.core.hub_name import HubName, hub_name
from looptool.hub.models import check_sums, missing_bytes, remove_stale
from looptool.hub.problems import causes, check_space, told

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

FORM = "hf:owner/name[@revision][:config][:split]"


@dataclass(frozen=True, slots=True)
class DataFiles:
    """The files of one split of one configuration, at one commit.

    Attributes:
        name: with the commit.
        files: in order, with sizes and checksums.
    """

    name: HubName
    config: str
    split: str
    files: tuple[RepoSibling, ...]

    def __str__(self) -> str:
        return f"{self.name}:{self.config}:{self.split}"


def find_data(text: str) -> DataFiles:
    """Look up what `hf:owner/name[@revision][:config][:split]` names. Needs the network.

    One word after the name is a configuration if there is one of that name, else a split. Without
    a split, the only one or `train` is meant.

    Raises:
        ConfigError: if there is no such configuration or split, or several and none is named.
        LooptoolError: if the hub cannot be asked.
    """
    head, *parts = text.removeprefix("hf:").split(":")
    try:
        name = hub_name(f"hf:{head}")
    except ValueError:
        name = None
    if name is None or len(parts) > 2 or not all(parts):
        raise ConfigError(f"{text}: must be {FORM}")
    import datasets
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # a missing card is none of the user's business
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with told(name, "dataset"):
        api = HfApi()
        info = api.dataset_info(name.repository, revision=name.revision, files_metadata=True)
        api.auth_check(name.repository, repo_type="dataset")  # a gated set has public metadata
        pinned = HubName(name.repository, info.sha)
        # with the prefix, since a folder of that name here would be read in place of it
        asked = {"path": f"hf://datasets/{pinned.repository}", "revision": pinned.revision}
        try:
            configs = datasets.get_dataset_config_names(**asked)
            named = parts.pop(0) if parts and (parts[0] in configs or len(parts) == 2) else None
            config = _one_of(pinned, "configuration", configs, named, "default")
            builder = datasets.load_dataset_builder(**asked, name=config)
        except (
            datasets.exceptions.DatasetsError, FileNotFoundError, RuntimeError, ValueError,
        ) as error:  # fmt: skip
            if any(isinstance(each, HfHubHTTPError) for each in causes(error)):
                raise
            why = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"{pinned}: `datasets` finds no data in it ({why.rstrip('.')}); choose a "
                "repository with JSON or Parquet files"
            ) from None
    splits = builder.config.data_files or {}
    asked_split = parts[0] if parts else None
    split = _one_of(pinned, "split", list(map(str, splits)), asked_split, "train")
    prefix = f"hf://datasets/{pinned.repository}@{pinned.revision}/"
    known = {file.rfilename: file for file in info.siblings or ()}
    paths = [str(path).removeprefix(prefix) for path in splits[split]]
    if lost := [path for path in paths if path not in known]:
        raise ConfigError(f"{pinned}: split {split}: {lost[0]} is not in this repository")
    return DataFiles(pinned, config, split, tuple(known[path] for path in paths))


def download(data: DataFiles) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of each file of a split in order, downloading it when its turn comes.

    A file in the hub's cache is not downloaded again.

    Raises:
        LooptoolError: if the network or the disk does not allow it, or a checksum differs.
    """
    from huggingface_hub import constants, hf_hub_download

    logging.getLogger("huggingface_hub").setLevel(logging.WARNING)  # says what is tried again
    name = data.name
    with told(name, "dataset"):
        needed = missing_bytes(name, data.files, "dataset")
        check_space(name, needed, Path(constants.HF_HUB_CACHE))
    for file in data.files:
        with told(name, "dataset"):
            path = Path(
                hf_hub_download(
                    name.repository, file.rfilename, repo_type="dataset", revision=name.revision
                )
            )
            folder = path.parents[file.rfilename.count("/")]
            remove_stale(folder)
            check_sums(name, folder, [file])
        yield file.rfilename, path


def _one_of(name: HubName, what: str, known: list[str], asked: str | None, usual: str) -> str:
    """Return the configuration or split that was asked for, else the only or the usual one.

    Raises:
        ConfigError: if there is no such one, or several and none was named.
    """
    if asked in known:
        return str(asked)
    if asked is not None:
        raise ConfigError(f"{name}: has no {what} {asked}; it has {', '.join(known)}")
    if len(known) == 1 or usual in known:
        return known[0] if len(known) == 1 else usual
    raise ConfigError(
        f"{name}: has several {what}s ({', '.join(known)}); name one: "
        f"hf:{name.repository}:{known[0]}"
    )
