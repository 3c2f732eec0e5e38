"""Files that queries can read and nothing can change."""

from __future__ import annotations

import io
import os
import threading
from typing import Any

from fsspec.implementations.local import LocalFileSystem


class _File(io.RawIOBase):
    """A file whose place each thread has for itself: DuckDB's threads share one, and seek in it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_RDONLY)
        self._places = threading.local()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return getattr(self._places, "at", 0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell()}.get(whence)
        self._places.at = offset + (os.fstat(self._descriptor).st_size if start is None else start)
        return self._places.at

    def read(self, size: int = -1) -> bytes:
        left = os.fstat(self._descriptor).st_size - self.tell()
        data = os.pread(self._descriptor, left if size < 0 else size, self.tell())
        self._places.at = self.tell() + len(data)
        return data

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class ReadOnly(LocalFileSystem):
    """The local files under `readonly://`, refused to whatever would write them.

    DuckDB's own switches allow a path for reading and writing alike, and a SELECT can hold a COPY
    in its WITH.
    """

    protocol = ("readonly",)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(str(path).removeprefix("readonly://"))

    def _open(self, path: str, mode: str = "rb", *args: Any, **options: Any) -> Any:
        if mode != "rb":
            raise PermissionError(f"{path}: can only be read")
        return _File(path)

    def _refuse(self, *args: Any, **options: Any) -> None:
        raise PermissionError("files can only be read")

    rm = rm_file = mv = mv_file = cp_file = mkdir = makedirs = touch = rmdir = _refuse
