"""The loop of a watch: standard input, files or a folder in; lines, a webhook and gauges out."""

import hashlib
import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from time import sleep
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from audit.errors import ConfigError, DataError
from audit.files import cannot_write, write_text
from audit.watch import Watch, prometheus

STDIN = "-"
_LONGEST = 1 << 20
"""Bytes of the longest line that is read; of a longer one nothing is."""
_HEAD = 1024
_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinks:
    """Where alerts go."""

    say: Callable[[str], object]
    """Called with each alert as one line of JSON."""
    alerts: Path | None = None
    """File that the same lines are appended to."""
    webhook: str | None = None
    """URL that each alert is posted to as JSON; tried again after every batch until it answers."""
    gauges: Path | None = None
    """File for Prometheus, written whole after every batch."""

    def __post_init__(self) -> None:
        if self.webhook is not None and urlsplit(self.webhook).scheme not in ("http", "https"):
            raise ConfigError(
                f"{self.webhook} is no address for a webhook.", hint="Use http:// or https://."
            )


def run(
    watch: Watch,
    sources: Sequence[Path],
    sinks: Sinks,
    *,
    stdin: BinaryIO | None = None,
    follow: bool = False,
    every: float = 5.0,
    replay: bool = False,
    stop: bool = False,
) -> int:
    """Read what there is, behind what was read before, and raise alerts.

    Args:
        watch: The gates and their state.
        sources: Files of JSON lines, or folders whose ``*.jsonl`` are read in the order of their
            names; none: `stdin`.
        sinks: Where alerts go.
        stdin: Standard input.
        follow: Go on with files when they grow, until stopped.
        every: Seconds between two looks at them.
        replay: Standard input begins with what was counted before: that is skipped.
        stop: End with the first alert.

    Returns:
        Alerts raised in this call.
    """
    before = watch.raised
    _deliver(watch, sinks)
    while True:
        for name, lines, place in _batches(watch, sources, stdin, follow=follow, replay=replay):
            watch.feed(lines)
            watch.places[name] = place
            # On the disk before it is said: nothing is counted twice.
            watch.save()
            _deliver(watch, sinks)
            if stop and watch.raised > before:
                break
        else:
            if follow and sources:
                sleep(every)
                continue
        break
    watch.save()
    _gauges(watch, sinks)
    return watch.raised - before


def _batches(
    watch: Watch,
    sources: Sequence[Path],
    stdin: BinaryIO | None,
    *,
    follow: bool,
    replay: bool,
) -> Iterator[tuple[str, list[bytes], dict[str, Any]]]:
    size = watch.config.watch.batch
    if not sources:
        if stdin is None:
            raise ConfigError("There is nothing to read.", hint="Name files, or pipe records in.")
        done = int(watch.places.get(STDIN, {}).get("lines", 0))
        for _ in range(done if replay else 0):
            if not _line(stdin)[1]:
                break
        for lines, _ in _chunks(stdin, size, whole=False):
            done += len(lines)
            yield STDIN, lines, {"lines": done}
        return
    for path in _files(sources):
        name = str(path)
        try:
            with path.open("rb") as file:
                offset = _offset(file, watch.places.get(name, {}))
                file.seek(offset)
                for lines, read in _chunks(file, size, whole=follow):
                    offset += read
                    yield name, lines, {"offset": offset, "head": _head(file, offset)}
        except OSError as problem:
            raise DataError(f"{path} cannot be read: {problem.strerror}.") from problem


def _files(sources: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in sources:
        found += sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    return found


def _chunks(stream: BinaryIO, size: int, *, whole: bool) -> Iterator[tuple[list[bytes], int]]:
    """Return lines and the bytes they took, `size` at a time.

    A last line without an end may still be written: it is left for later, unless nobody comes back
    for it (not `whole`) and it is JSON already.
    """
    some, taken = [], 0
    while True:
        line, read = _line(stream)
        if not read:
            break
        if not line.endswith(b"\n") and (whole or not _is_json(line)):
            break
        some.append(line)
        taken += read
        if len(some) == size:
            yield some, taken
            some, taken = [], 0
    if some:
        yield some, taken


def _line(stream: BinaryIO) -> tuple[bytes, int]:
    """Return a line and its bytes; of one that is too long only its end."""
    line = stream.readline(_LONGEST)
    read = len(line)
    while len(line) == _LONGEST and not line.endswith(b"\n"):
        more = stream.readline(_LONGEST)
        read += len(more)
        line = b"too long\n" if not more or more.endswith(b"\n") else more
    return line, read


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _offset(file: BinaryIO, place: Mapping[str, Any]) -> int:
    """Return where to go on; 0 where another file stands under the name by now."""
    offset = int(place.get("offset", 0))
    return offset if offset and place.get("head") == _head(file, offset) else 0


def _head(file: BinaryIO, offset: int) -> str:
    at = file.tell()
    file.seek(0)
    wanted = min(offset, _HEAD)
    start = file.read(wanted)
    file.seek(0, 2)
    short = file.tell() < offset
    file.seek(at)
    return "" if short else hashlib.sha256(start).hexdigest()


def _deliver(watch: Watch, sinks: Sinks) -> None:
    for one in watch.alerts:
        line = json.dumps(one["alert"], sort_keys=True, allow_nan=False)
        if not one["said"]:
            if sinks.alerts is not None:
                _append(sinks.alerts, line)
            sinks.say(line)
            one["said"] = True
        if sinks.webhook is not None and not one["sent"]:
            one["sent"] = _posted(sinks.webhook, line)
            if not one["sent"]:
                break
    _gauges(watch, sinks)


def _gauges(watch: Watch, sinks: Sinks) -> None:
    if sinks.gauges is not None:
        write_text(sinks.gauges, prometheus(watch))


def _append(path: Path, line: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as problem:
        raise cannot_write(path, problem) from problem


def _posted(url: str, line: str) -> bool:
    request = urllib.request.Request(
        url, data=line.encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return bool(200 <= answer.status < 300)
    except (OSError, HTTPException, ValueError):
        # Whoever is down now may be up after the next batch; the watch goes on.
        return False


def summary(watch: Watch) -> str:
    """Return what was read and what is broken, for a person."""
    lines = [f"{watch.records:,} records, {watch.raised} alerts so far."]
    lines += [f"{n:,} lines left out: {why}." for why, n in sorted(watch.skipped.items())]
    lines += watch.left
    for one in watch.gates:
        now = one.windows.now()
        said = "no record yet" if now is None else f"{now[0]:+.3f} over {now[1]:,} records"
        lines.append(f"{'BROKEN' if one.windows.broken else 'ok':8} {one.id}: {said}")
    for drift in watch.drifts:
        if drift.shift is None:
            lines.append(f"{'-':8} {drift.id}: the reference is not complete")
        else:
            state = "BROKEN" if drift.shift.broken else "ok"
            lines.append(f"{state:8} {drift.id}: p = {drift.shift.p:.3g} in the last window")
    return "\n".join(lines)
