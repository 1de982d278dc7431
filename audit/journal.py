"""What has been finished, so that an interrupted audit goes on where it stopped."""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from audit.files import cannot_write, write_atomically


class Journal:
    """An append-only file of checksummed records, each with a key, a kind and plain data.

    A record is on the disk before `add` returns. A torn last line, left by a kill or a power cut,
    is cut off when the journal is opened; a record whose checksum is wrong counts as not there. The
    latest record of a key stands.

    Args:
        folder: Folder of the audit; the file in it is made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journal.jsonl"
        self.damaged = 0
        """Records that were there but could not be trusted."""
        self._records: dict[tuple[str, str], Mapping[str, object]] = {}
        if self.path.exists():
            self._open()

    def get(self, kind: str, key: str) -> Mapping[str, object] | None:
        """Return the data kept under `key`, or None."""
        return self._records.get((kind, key))

    def add(self, kind: str, key: str, data: Mapping[str, object]) -> None:
        """Keep `data` under `key`.

        Raises:
            AuditError: If the disk is full; the records before are untouched.
        """
        record = {"kind": kind, "key": key, "data": data}
        body = json.dumps(record, sort_keys=True, allow_nan=False).encode()
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                size = file.tell()
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    # Half a line would hide the next record from the reader.
                    os.truncate(self.path, size)
                    raise
        except OSError as problem:
            raise cannot_write(self.path, problem) from problem
        self._records[kind, key] = data

    def remember(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return the bytes kept under `key`, or make and keep them.

        For work that does not pass the scorer: gradients, generated texts. Each value is a file of
        its own with a checksum in front; a damaged one is made again.
        """
        path = self.folder / "memory" / f"{hashlib.sha256(key.encode()).hexdigest()}.bin"
        if path.exists():
            kept = path.read_bytes()
            if len(kept) >= 4 and kept[:4] == zlib.crc32(kept[4:]).to_bytes(4, "little"):
                return kept[4:]
        value = make()
        whole = zlib.crc32(value).to_bytes(4, "little") + value
        write_atomically(path, lambda temporary: temporary.write_bytes(whole))
        return value

    def _open(self) -> None:
        kept = self.path.read_bytes()
        end = kept.rfind(b"\n") + 1
        if end < len(kept):
            os.truncate(self.path, end)
        for line in kept[:end].splitlines():
            checksum, _, body = line.partition(b" ")
            try:
                if int(checksum, 16) != zlib.crc32(body):
                    raise ValueError("wrong checksum")
                record = json.loads(body)
                self._records[record["kind"], record["key"]] = record["data"]
            except (ValueError, KeyError, TypeError):
                self.damaged += 1
