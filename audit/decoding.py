"""Bytes to text: unpacked within limits, decoded or refused at the byte that does not fit."""

import gzip
import io
import zlib

from audit.errors import ConfigError, DataError

MAX_BYTES = 4 << 30
"""Most bytes of a file, packed or unpacked."""
MAX_EXPANSION = 100
"""Bytes out of a compressed file per byte in it; more is not text but a bomb."""
ALWAYS_ALLOWED = 64 << 20
"""Bytes that may come out of a file however small it is."""
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def unzipped(data: bytes, name: str) -> bytes:
    """Return what a gzip file holds; `name` is its name in messages.

    Raises:
        DataError: If it is damaged, or unpacks to far more than text does.
    """
    most = min(MAX_BYTES, max(ALWAYS_ALLOWED, MAX_EXPANSION * len(data)))
    try:
        with gzip.open(io.BytesIO(data)) as file:
            out = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{name} is a damaged gzip file: {problem}.") from problem
    if len(out) > most:
        raise DataError(
            f"{name} unpacks to more than {most >> 20} MiB.", hint="Unpack it, or audit a sample."
        )
    return out


def decoded(data: bytes, encoding: str, name: str) -> str:
    """Return the text of a file called `name`, without a byte order mark.

    Raises:
        DataError: If a byte is not of `encoding`; it names the byte and a likelier encoding.
        ConfigError: If `encoding` is none of text.
    """
    try:
        "".encode(encoding)
        if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
            encoding = "utf-8-sig"
        return data.decode(encoding)
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise DataError(
            f"{name} is not {problem.encoding.upper()}: byte {data[problem.start]:#04x} at "
            f"position {problem.start} (line {line}) cannot be read.",
            hint=_encoding_hint(data),
        ) from problem
    except (LookupError, UnicodeError, ValueError) as problem:
        raise ConfigError(
            f"{encoding!r} is not an encoding of text.", hint='Try "utf-8", "latin-1" or "utf-16".'
        ) from problem


def _encoding_hint(data: bytes) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return f'It starts with the mark of {name}: set encoding = "{name}" beside its path.'
    sample = data[: 1 << 16]
    nuls = sample.count(0)
    if nuls > len(sample) // 4:
        return 'It may be UTF-16 without its mark: set encoding = "utf-16-le" beside its path.'
    try:
        data.decode("utf-8")
        return "It is UTF-8: leave out encoding."
    except UnicodeDecodeError:
        pass
    try:
        data.decode("gb18030")
        if sum(byte > 0x7F for byte in sample) > len(sample) // 4:
            return 'It may be Chinese: set encoding = "gb18030" beside its path, and look at it.'
    except UnicodeDecodeError:
        pass
    if nuls:
        return "It looks like a binary file; name a table of texts."
    return 'If it comes from an older Windows program, set encoding = "cp1252" beside its path.'
