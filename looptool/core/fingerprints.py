"""Hashes of what a result depends on: files, folders, and the code behind a module."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
from functools import lru_cache
from pathlib import Path

from looptool.core import canonical
from looptool.core.canonical import DIGEST_BYTES
from looptool.core.errors import ConfigError
from looptool.core.hub_name import PREFIX
from looptool.core.registry import ADDRESS

# where the hub's library keeps a model; no name has two hyphens in a row
_CACHED = re.compile(r"/models--([^/]+?)--([^/]+)/snapshots/([0-9a-f]{40})$")


def hash_path(path: Path | str) -> str:
    """Return the BLAKE2b-128 of a file, or of a folder's relative names and contents.

    Bytecode is ignored.

    Raises:
        ConfigError: if there is no such path.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"{path}: does not exist; run `dvc repro` or `dvc checkout`")
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    files = (
        [path]
        if path.is_file()
        else sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    )
    for file in files:
        with open(file, "rb") as content:
            digest = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES))
        name = "" if file == path else file.relative_to(path).as_posix()
        hasher.update(f"{digest.hexdigest()} {name}\n".encode())
    return hasher.hexdigest()


def served_name(model: Path | str) -> str:
    """Return the name under which a server knows a model.

    For a folder, the name has the hash of its content, so that two trainings never share a name.
    For a pinned model of the hub, also in the hub's cache, it has the hash of repository and
    commit. Any other name is returned unchanged.
    """
    if pinned := _pinned(str(model)):
        return f"looptool-{canonical.digest(pinned)[:12]}"
    if not Path(model).is_dir():
        return str(model)
    files = sorted(path for path in Path(model).rglob("*") if path.is_file())
    stamps = [(path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return f"looptool-{_hash_unless_touched(Path(model), tuple(stamps))[:12]}"


def _pinned(model: str) -> str | None:
    """Return `hf:owner/name@commit` for such a name, or for a folder of the hub's cache."""
    if model.startswith(PREFIX):
        return model
    cached = _CACHED.search(Path(model).as_posix())
    return f"{PREFIX}{cached[1]}/{cached[2]}@{cached[3]}" if cached else None


@lru_cache(maxsize=16)
def _hash_unless_touched(folder: Path, stamps: tuple[tuple[int, int], ...]) -> str:
    return hash_path(folder)  # a stage asks for each role, and 32B weights take minutes to read


def code_files(module: str, root: Path | None = None) -> list[Path]:
    """Return the project's files that `module` imports, directly or not, and its own, sorted.

    Imports inside functions count; empty `__init__.py` files do not.

    Args:
        root: where the packages lie; by default the working directory, which has a project's own
            stages and plugins, and where this package was imported from.
    """
    roots = [root] if root else [Path.cwd(), Path(__file__).resolve().parents[2]]
    files: set[Path] = set()
    todo = [module]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        file = next(filter(Path.is_file, (_source(each, name) for each in roots)), None)
        if file:
            todo += [name.rpartition(".")[0], *imported_names(file, name), *addressed_names(file)]
            files |= {file} if file.read_text("utf-8").strip() else set()
    return sorted(files)


def _source(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported_names(file: Path, module: str) -> list[str]:
    """Return the dotted names that a source file imports, with `from a import b` as a and a.b."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names = []
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(relative, package) if node.level else relative
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return names


def addressed_names(file: Path) -> list[str]:
    """Return the modules in the addresses, `package.module:name`, of a source file."""
    texts = (
        node.value
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return [address[1] for text in texts if (address := ADDRESS.fullmatch(text))]
