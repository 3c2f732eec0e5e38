"""The request cache: answers keyed by a hash of everything that they depend on.

It is one SQLite file in WAL mode, so several stages and experiments can read and write at once, and
a kill loses nothing written. It holds hashes of prompts and the answers, never prompts, URLs or API
keys. (diskcache, which is such a file too, unpickles whatever it finds in it.)
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from looptool.core.answers import from_json, to_json
from looptool.core.errors import LooptoolError
from looptool.engines import Completion

_WAIT = 60.0  # seconds to wait for another writer
_AT_ONCE = 1000  # keys per statement
_DAY = 86_400
_FIELDS = ("text", "tokens", "logprob", "finish_reason", "error")
_TABLES = """
create table if not exists engines (
    id integer primary key, identity text unique not null, hits integer not null default 0,
    misses integer not null default 0);
create table if not exists answers (
    key blob primary key, engine integer not null, used integer not null, answer text not null);
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """The answers of one engine in the cache (number, bytes), and its hits and misses."""

    identity: str
    answers: int
    bytes: int
    hits: int
    misses: int


class RequestCache:
    """A store of answers by key (32 hex digits). A context manager.

    Raises:
        LooptoolError: if the file is not a cache or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._named_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
            self._use_wal()
            self._db.execute("pragma synchronous=normal")
            self._db.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise LooptoolError(
                f"{self._path}: cannot be used as request cache: {error}; wait for runs that are "
                "writing to it, delete it, or set LOOPTOOL_SCRATCH to a folder on a local disk"
            ) from None

    def _use_wal(self) -> None:
        """Switch to WAL. SQLite does not wait for other writers here, whatever the timeout is."""
        until = time.monotonic() + _WAIT
        while True:
            try:
                self._db.execute("pragma journal_mode=wal")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > until:
                    raise
            time.sleep(0.01)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run the block in one write transaction."""
        with self._named_errors(), self._db:
            self._db.execute("begin immediate")
            yield

    def look_up(self, keys: Sequence[str]) -> Iterator[tuple[str, Completion]]:
        """Yield (key, answer) for each key that has an answer."""
        today = int(time.time()) // _DAY
        for start in range(0, len(keys), _AT_ONCE):
            part = [bytes.fromhex(key) for key in keys[start : start + _AT_ONCE]]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(
                f"select key, answer, used from answers where key in ({marks})", part
            ).fetchall()
            if any(used < today for _, _, used in rows):
                self._db.execute(f"update answers set used = {today} where key in ({marks})", part)
            for key, answer, _ in rows:
                yield key.hex(), _completion(answer)

    def store(self, identity: str, answers: Iterable[tuple[str, Completion]]) -> None:
        """Store a group of answers of the engine `identity` atomically."""
        today = int(time.time()) // _DAY
        with self._writing():
            engine = self._engine(identity)
            self._db.executemany(
                "insert or replace into answers values (?, ?, ?, ?)",
                [
                    (bytes.fromhex(key), engine, today, _stored(completion))
                    for key, completion in answers
                ],
            )

    def count(self, identity: str, hits: int, misses: int) -> None:
        """Add to the numbers of hits and misses of an engine."""
        with self._writing():
            self._db.execute(
                "update engines set hits = hits + ?, misses = misses + ? where id = ?",
                (hits, misses, self._engine(identity)),
            )

    def usage(self) -> list[Usage]:
        """Return the usage of each engine, sorted by identity."""
        rows = self._db.execute(
            "select identity, count(answer), coalesce(sum(length(answer) + 32), 0), hits, misses "
            "from engines left join answers on engine = id group by id order by identity"
        )
        return [Usage(*row) for row in rows]

    def prune(self, unused_days: int, engine: str | None = None) -> int:
        """Delete unused answers, and return their number.

        Args:
            unused_days: delete answers unused for this many days; 0 deletes all.
            engine: delete only from engines whose identity contains this text; None for all.
        """
        until = int(time.time()) // _DAY - unused_days
        with self._writing():
            deleted = self._db.execute(
                "delete from answers where used <= ? and engine in "
                "(select id from engines where instr(identity, ?))",
                (until, engine or ""),
            ).rowcount
            self._db.execute("delete from engines where id not in (select engine from answers)")
        with self._named_errors():
            self._db.execute("vacuum")
        return deleted

    def _engine(self, identity: str) -> int:
        self._db.execute("insert or ignore into engines (identity) values (?)", (identity,))
        row = self._db.execute("select id from engines where identity = ?", (identity,)).fetchone()
        return int(row[0])


def _stored(completion: Completion) -> str:
    """Return an answer as JSON, with what the engine read of it, if it did."""
    fields = [getattr(completion, name) for name in _FIELDS]
    read = [to_json(completion.read)] if completion.read else []
    return json.dumps(fields + read)


def _completion(stored: str) -> Completion:
    values = json.loads(stored)
    fields = dict(zip(_FIELDS, values[: len(_FIELDS)], strict=True))
    read = [from_json(value) for value in values[len(_FIELDS) :]]
    return Completion(**fields, read=read[0] if read else None)
