"""Files that queries can read and nothing can change."""

from __future__ import annotations

from typing import Any

from fsspec.implementations.local import LocalFileSystem


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
        return super()._open(path, mode, *args, **options)

    def _refuse(self, *args: Any, **options: Any) -> None:
        raise PermissionError("files can only be read")

    rm = rm_file = mv = mv_file = cp_file = mkdir = makedirs = touch = rmdir = _refuse
