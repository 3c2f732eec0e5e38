"""Files and folders that appear only once they are complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; what the block writes there, a file or a folder, replaces `path`.

    The new content is on the disk before it takes the name, so that no crash leaves half of it. If
    the block raises, or leaves nothing there, `path` stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    _remove(partial)  # of a process that was killed
    try:
        yield partial
        if partial.is_dir():
            for file in partial.rglob("*"):
                if file.is_file():
                    _sync(file)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(partial, path)
        elif partial.exists():
            _sync(partial)
            os.replace(partial, path)
    finally:
        _remove(partial)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
