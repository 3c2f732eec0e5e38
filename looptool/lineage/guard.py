"""A read-only file system for SQL queries of users."""

from __future__ import annotations

import io
import os
import threading
from typing import Any

from fsspec.implementations.local import LocalFileSystem


class _File(io.RawIOBase):
    """A file with a position per thread, because DuckDB's threads share one file object."""

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
    """Local files under `readonly://`. Every attempt to write raises PermissionError.

    DuckDB's own settings allow a path for both reading and writing, and a SELECT can contain a COPY
    in its WITH clause.
    """

    protocol = ("readonly",)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(str(path).removeprefix("readonly://"))

    def _open(self, path: str, mode: str = "rb", *args: Any, **options: Any) -> Any:
        if mode != "rb":
            raise PermissionError(f"{path}: is read-only")
        return _File(path)

    def _refuse(self, *args: Any, **options: Any) -> None:
        raise PermissionError("files are read-only")

    rm = rm_file = mv = mv_file = cp_file = mkdir = makedirs = touch = rmdir = _refuse
