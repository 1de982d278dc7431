"""Writing files so that a crash, a full disk or a second process never leaves half of one."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from audit.errors import AuditError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file under another name, then move it to `path` in one step.

    Args:
        path: Where the file shall stand; an earlier file there stays whole until the last moment.
        write: Called with the temporary path.

    Raises:
        AuditError: If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as problem:
        raise cannot_write(path, problem) from problem
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode("utf-8")))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, problem: OSError) -> AuditError:
    """Return the error to raise when `path` cannot be written."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return AuditError(
            f"The disk is full: {path} was not written.",
            hint="Free some space and run the same command again; finished work is kept.",
        )
    return AuditError(f"{path} cannot be written: {problem.strerror or problem}.")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for one process.

    Raises:
        AuditError: If another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as problem:
        raise cannot_write(folder, problem) from problem
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise AuditError(
                f"Another audit is writing into {folder}.",
                hint="Wait for it, or choose another folder with --out.",
            ) from problem
        yield
