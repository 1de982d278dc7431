"""Scores kept between runs, without the texts they belong to."""

import hmac
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from audit.errors import AuditError
from audit.types import Floats

_AT_ONCE = 500


class Memory(Protocol):
    """Where the scorer keeps rows: the scores of one input, as float64."""

    def key(self, *parts: bytes) -> bytes:
        """Return the key of an input given in `parts`; different parts, different keys."""
        ...

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Floats]:
        """Return the rows that are known."""
        ...

    def put(self, rows: Mapping[bytes, Floats]) -> None:
        """Keep `rows`, all or none of them."""
        ...


def _framed(parts: Iterable[bytes]) -> bytes:
    # Each part is preceded by its length: ("ab", "c") and ("a", "bc") must not share a key.
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


class RAM:
    """Rows in a dict, for one process."""

    def __init__(self) -> None:
        self._rows: dict[bytes, Floats] = {}

    def key(self, *parts: bytes) -> bytes:
        return _framed(parts)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Floats]:
        return {key: self._rows[key] for key in keys if key in self._rows}

    def put(self, rows: Mapping[bytes, Floats]) -> None:
        self._rows.update(rows)


class DiskCache:
    """Rows in an SQLite file in WAL mode; one transaction per `put`.

    Keys are HMACs under a secret made beside the file, so neither a text nor a guess at one can be
    read from a stolen cache.

    Args:
        path: The file, made if missing. Several models and processes may share it.

    Raises:
        AuditError: If the file cannot be opened, is not a cache, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._secret = _secret(path.with_suffix(".key"))
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        except (sqlite3.Error, OSError) as problem:
            raise self._broken(problem) from problem
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            # WAL with NORMAL loses no consistency on power loss, only the newest commits.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS score (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
            )
        except sqlite3.Error as problem:
            self._db.close()
            raise self._broken(problem) from problem
        self._near: dict[bytes, Floats] = {}

    def key(self, *parts: bytes) -> bytes:
        return hmac.digest(self._secret, _framed(parts), "sha256")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Floats]:
        found = {key: self._near[key] for key in keys if key in self._near}
        far = [key for key in dict.fromkeys(keys) if key not in found]
        try:
            for start in range(0, len(far), _AT_ONCE):
                some = far[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, value FROM score WHERE key IN ({marks})"
                for key, value in self._db.execute(query, some):
                    found[key] = self._near[key] = np.frombuffer(value, dtype="<f8")
        except sqlite3.Error as problem:
            raise self._broken(problem) from problem
        return found

    def put(self, rows: Mapping[bytes, Floats]) -> None:
        values = [(key, row.astype("<f8").tobytes()) for key, row in rows.items()]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR REPLACE INTO score VALUES (?, ?)", values)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as problem:
            raise self._broken(problem) from problem
        self._near.update(rows)

    def close(self) -> None:
        """Close the file; the cache cannot be used afterwards."""
        self._db.close()

    def _broken(self, problem: Exception) -> AuditError:
        if self.path.is_dir():
            return AuditError(
                f"The score cache {self.path} is a folder.",
                hint=f"Name a file with cache under [audit], e.g. {self.path / 'scores.db'}.",
            )
        return AuditError(
            f"The score cache {self.path} cannot be used: {problem}.",
            hint="Free some disk space, or name another place with cache under [audit]; "
            "a cache may be deleted at any time, it only saves model calls.",
        )


def _secret(path: Path) -> bytes:
    """Return the secret beside a cache; the first process to ask makes it."""
    # Written whole under another name first: a reader must never see half a secret.
    fresh = path.with_suffix(f".{os.getpid()}.key")
    if not path.exists():
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(32))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_bytes()
