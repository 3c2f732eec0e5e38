"""Model folders: those that params and commands name, and the base model's."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from looptool.core.errors import ConfigError
from looptool.core.hub_name import HubName, hub_name
from looptool.core.params import BASE, EMBEDDED, FILE, Model
from looptool.hub import models as hub

# beside DVC's hash it has `meta: {base: …, md5: …}`: a `model.base`, and the hash of its files
RECORD = BASE.with_suffix(".dvc")


def base_problem(folder: Path) -> str | None:
    """Return why `folder` is not a usable base model, or None if it is."""
    if not folder.is_dir():
        return "no such folder"
    if not (folder / "config.json").is_file():
        return "it has no config.json"
    if not any(folder.glob("*.safetensors")):
        return "it has no weights (*.safetensors)"
    if not hub.weights_are_whole(folder):
        return "it lacks some of the weights that its index names"
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        return "it has no tokenizer (tokenizer.json)"
    return None


def field_of_record(part: str, name: str) -> str | None:
    """Return a field of `meta`, or of DVC's `outs`, in models/base.dvc; None if it is not there."""
    try:
        found = YAML(typ="safe", pure=True).load(RECORD.read_text("utf-8"))[part]
        return (found[0] if part == "outs" else found)[name]
    except (OSError, YAMLError, KeyError, IndexError, TypeError):
        return None


def recorded_base() -> str | None:
    """Return the `model.base` that models/base was made from, by its .dvc file.

    None if that is unknown, also because DVC has found other files in models/base since then.
    """
    same = field_of_record("outs", "md5") == field_of_record("meta", "md5")
    return field_of_record("meta", "base") if same else None


def check_base(model: Model) -> None:
    """Check that models/base is there, and is the model that `model.base` names.

    Raises:
        ConfigError: if it is not; names the command that makes it.
    """
    problem = base_problem(BASE)
    if Path(model.base) == BASE:  # a model that the user put there
        if problem:
            raise ConfigError(f"{FILE}: model.base: {BASE}: {problem}")
        return
    name = named_of_hub(model.base)
    pin = f" --base {name}" if name is not None and not name.pinned else ""
    made = f"`looptool setup{pin}` " + ("downloads it" if name else "makes it")
    if model.base != EMBEDDED and field_of_record("meta", "base") == model.base:
        made += f", or `dvc pull {BASE}` if it was pushed"
    if problem:
        raise ConfigError(f"{FILE}: model.base: {model.base}: {BASE}: {problem}; {made}")
    if (found := recorded_base()) != model.base:
        held = f"is {found}" if found else "is another model, or was changed"
        raise ConfigError(f"{FILE}: model.base: {model.base}: {BASE} {held}; {made}")


def model_folder(text: str) -> tuple[str, Path]:
    """Return the name and the folder of a model that a command names.

    Args:
        text: an iteration number, a folder, or `hf:owner/name[@revision]`, which is downloaded into
            the hub's cache unless it is there.

    Raises:
        ConfigError: if there is no such model.
        LooptoolError: if it cannot be downloaded.
    """
    if name := named_of_hub(text):
        pinned, folder = hub.fetch(name)
        if problem := base_problem(folder):
            raise ConfigError(f"{pinned}: {problem}")
        return str(pinned), folder
    folder = Path("models", text) if text.isdecimal() else Path(text)
    if problem := base_problem(folder):
        hint = f"; run `dvc repro train@{text}`" if text.isdecimal() and text != "0" else ""
        raise ConfigError(f"{folder}: {problem}{hint}")
    return folder.as_posix(), folder


def role_folder(model: str, field: str = "") -> str:
    """Return the folder of a model in a role if it is of the hub; else `model` unchanged.

    Args:
        field: the field of params.yaml, for the message.

    Raises:
        ConfigError: if it is not in the hub's cache.
    """
    name = named_of_hub(model)
    return str(hub.at_hand(name, f"{FILE}: {field}" if field else FILE.name)) if name else model


def named_of_hub(text: str) -> HubName | None:
    """Parse a name of the hub, or return None for any other text.

    Raises:
        ConfigError: if it begins as one and is none.
    """
    try:
        return hub_name(text)
    except ValueError as error:
        raise ConfigError(f"{text}: {error}") from None
