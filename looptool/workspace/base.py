"""The base model: models/base is made from what `model.base` in params.yaml names.

It is the embedded model, a model of the hub at a pinned commit, or a copy of a folder. DVC tracks
it in models/base.dvc, whose `meta` says which one it is.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from looptool.core import params
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.files import replacing
from looptool.core.hub_name import HubName
from looptool.core.params import BASE, EMBEDDED, LLM, Params, Simulator
from looptool.engines.folders import (
    RECORD,
    base_problem,
    field_of_record,
    named_of_hub,
    recorded_base,
)
from looptool.engines.templates import PROJECT_TEMPLATE
from looptool.hub import models as hub
from looptool.warm_start import embedded, merging
from looptool.workspace import unroll


def fetch_models(base: str | None = None) -> tuple[Params, Path | None]:
    """Download the models of the hub that params.yaml names, and write their commits there.

    The newest commit of each name without a whole commit is looked up, and printed. params.yaml is
    written once the base is known to be usable.

    Args:
        base: the new `model.base`; None to keep it.

    Returns:
        The params, and the folder that models/base is to be made from: None for the embedded
        model, or if models/base is that model already.

    Raises:
        ConfigError: if there is no such model, or params.yaml is invalid.
        LooptoolError: if the hub does not allow it.
    """
    before = params.load().model.base
    content = params.read(params.FILE)
    content["model"] = {**content["model"], "base": base or before}
    pins = {text: str(hub.pin(name)) for text, name in _unpinned(content)}
    chosen = pins.get(base or before, base or before)
    source = _source(chosen)

    def change(document: Any) -> None:
        document["model"]["base"] = chosen
        _replace(document, pins)

    if pins or chosen != before:
        unroll.edit(params.FILE, change)
    for text, pinned in pins.items():
        print(f"{params.FILE}: {text} → {pinned}", file=sys.stderr)
    loaded = params.load()
    for iteration in range(loaded.loop.last + 1):  # each may have overrides
        for _, section in params.load(iteration=iteration).asking():
            if not isinstance(section, LLM | Simulator):
                continue
            rendered = section.engine == "openai" and loaded.servers[section.server].api == "chat"
            name = named_of_hub(section.model)
            if name and not rendered:  # a server that renders the prompts needs only the name
                hub.fetch(name)
    return loaded, source


def _source(base: str) -> Path | None:
    """Return the folder that models/base is to be made from; see `fetch_models`."""
    if base == EMBEDDED or Path(base) == BASE or _is_made(base):
        return None
    if name := named_of_hub(base):
        return hub.find(name) or hub.download(name)
    if problem := base_problem(Path(base)):
        pull = field_of_record("meta", "base") == base
        hint = f"; `dvc pull {BASE}` brings the model if it was pushed" if pull else ""
        raise ConfigError(f"{params.FILE}: model.base: {base}: {problem}{hint}")
    return Path(base)


def make_base(base: str, source: Path | None) -> None:
    """Make models/base, unless it is there, and track it with DVC.

    Queued and `--temp` experiments then find it.

    Args:
        base: `model.base`.
        source: see `fetch_models`.

    Raises:
        LooptoolError: if a part is missing, the disk is full, DVC fails, or the files are not those
            that models/base.dvc records for the same commit.
    """
    of_base = field_of_record("meta", "base") == base
    expected = field_of_record("meta", "md5") if of_base else None
    embed = base == EMBEDDED and not _is_made(base)
    if embed:
        embedded.package_folder()  # raises if it is missing, before anything is changed
    if embed or source:
        _keep_other()
        if expected is None:
            _record(None)  # so that a killed run leaves no model under another one's name
        with replacing(BASE) as partial:
            if source:
                _copy(source, partial, base)
            else:
                embedded.write(partial, merging.ADAPTER)
    if problem := base_problem(BASE):
        raise ConfigError(f"{params.FILE}: model.base: {BASE}: {problem}")
    quiet = [] if source else ["--quiet"]  # hashing a large model takes minutes
    _add(*quiet)
    if named_of_hub(base) and expected not in (None, field_of_record("outs", "md5")):
        raise LooptoolError(
            f"{base}: its files differ from those that {RECORD} records for this commit (md5 "
            f"{expected}); if that record is wrong, delete it and run `looptool setup` again"
        )
    _record(base)


def check_adapter(base: str) -> None:
    """Check that models/base has the adapter that the package ships, if it is the embedded model.

    Raises:
        ConfigError: if the two differ; names the command that makes models/base again.
    """
    if base == EMBEDDED and field_of_record("meta", "adapter") != embedded.adapter_hash():
        raise ConfigError(
            f"{params.FILE}: model.base: {base}: {BASE} does not have the adapter that this "
            "version of looptool ships; `looptool setup` replaces it"
        )


def _add(*options: str) -> None:
    command = [sys.executable, "-m", "dvc", "add", *options, str(BASE)]
    if subprocess.run(command).returncode:
        raise LooptoolError(f"setup: `dvc add {BASE}` failed; see DVC's message above")


def _is_recorded() -> bool:
    """Whether models/base has the files that models/base.dvc records."""
    command = [sys.executable, "-m", "dvc", "status", "--quiet", str(RECORD)]
    return RECORD.exists() and subprocess.run(command).returncode == 0


def _keep_other() -> None:
    """Put a model in models/base that DVC does not know into DVC's cache before it is replaced."""
    if not base_problem(BASE) and not _is_recorded():
        before = RECORD.read_text("utf-8") if RECORD.exists() else None
        _add("--quiet")
        kept = field_of_record("outs", "md5")
        print(f"{BASE}: another model was there; DVC's cache keeps it, md5 {kept}", file=sys.stderr)
        if before is not None:
            RECORD.write_text(before, "utf-8")


def _is_made(base: str) -> bool:
    """Whether models/base was made from `base`, by its record and by its files."""
    if base_problem(BASE) or recorded_base() != base or not _is_recorded():
        return False
    if base == EMBEDDED:
        same_adapter = field_of_record("meta", "adapter") == embedded.adapter_hash()
        return same_adapter and _is_same(PROJECT_TEMPLATE, BASE / "chat_template.jinja")
    if named_of_hub(base) or not Path(base).is_dir():  # a folder of another machine
        return True
    mine, made = _taken(Path(base)), _taken(BASE)
    return [path.name for path in mine] == [path.name for path in made] and all(
        map(_is_same, mine, made)
    )


def _is_same(source: Path, copy: Path) -> bool:
    return copy.is_file() and filecmp.cmp(source, copy)


def _taken(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and hub.is_taken(path.name))


def _record(base: str | None) -> None:
    """Write `meta: {base: …, md5: …}` to models/base.dvc, where DVC keeps it; None removes it.

    The embedded model with an adapter has the adapter's hash there too.
    """
    if not RECORD.exists():
        return
    yaml = YAML()
    document = yaml.load(RECORD.read_text("utf-8"))
    document.pop("meta", None)
    if base is not None:
        document["meta"] = {"base": base, "md5": document["outs"][0]["md5"]}
        if base == EMBEDDED:
            document["meta"]["adapter"] = embedded.adapter_hash()
    with replacing(RECORD) as partial, open(partial, "w", encoding="utf-8") as file:
        yaml.dump(document, file)


def _copy(source: Path, target: Path, base: str) -> None:
    """Copy the files that a model needs; from the hub's cache as hard links where it allows them.

    Raises:
        LooptoolError: if the disk is full.
    """
    target.mkdir()
    try:
        for path in _taken(source):
            if named_of_hub(base):  # nothing in the hub's cache is ever changed in place
                with contextlib.suppress(OSError):
                    os.link(path.resolve(), target / path.name)
                    continue
            shutil.copy2(path, target / path.name)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        size = sum(path.stat().st_size for path in _taken(source))
        raise LooptoolError(
            f"{base}: the disk of {BASE} is full: {size / 1e9:.2f} GB are needed; make room and "
            "run `looptool setup` again"
        ) from None


def _unpinned(value: Any) -> Iterator[tuple[str, HubName]]:
    """Yield each name of a model of the hub, anywhere in params, that has no whole commit."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _unpinned(each)
    elif isinstance(value, str) and (name := named_of_hub(value)) and not name.pinned:
        yield value, name


def _replace(document: Any, pins: dict[str, str]) -> None:
    """Replace each text in a loaded params.yaml that `pins` has."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(items):
        if isinstance(value, str) and value in pins:
            document[key] = pins[value]
        elif isinstance(value, dict | list):
            _replace(value, pins)
