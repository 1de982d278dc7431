"""Gates as tests: ``pytest --evenhand audit.toml`` shows each claim as a test item.

An audit file is run (and taken from its journal where nothing has changed) when the first of its
items is; a result is judged again. Under pytest-xdist use ``--dist loadfile``, so that one worker
runs the audit.

| claim | item | exit code of pytest |
|---|---|---|
| pass, empty slice | passed | |
| fail, undecided under ``undecided = "fail"`` | failed | 1 |
| its probe crashed, a waiver is stale | error | 1 |
| undecided under ``"exit3"`` | undecided, a category of its own | 3 where it would be 0 |
| undecided under ``"warn"`` | undecided | |
| waived, or not blocking | noted | |

Nothing but pytest is imported until the option is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from audit.exports import Export
    from audit.types import AuditResult

_UNDECIDED = 3
_STATUS = {
    "undecided": ("undecided", "u", ("UNDECIDED", {"yellow": True})),
    "noted": ("noted", "n", ("NOTED", {"yellow": True})),
}


class Broken(Exception):
    """A gate is broken, or could not be judged."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--evenhand``."""
    parser.getgroup("evenhand", "gates of an audit").addoption(
        "--evenhand",
        action="append",
        default=[],
        metavar="FILE",
        help="an audit.toml to run, or a result.json (or its folder) to judge: each gate is a test",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the files named, and count what is undecided; nothing where none is named."""
    wanted = _wanted(config)
    for path in wanted:
        if str(path) not in config.args:
            config.args.append(str(path))
    if wanted:
        config.pluginmanager.register(Tally(), "evenhand-tally")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take the files that the option names."""
    if not parent.config.getoption("evenhand") or file_path not in _wanted(parent.config):
        return None
    made: pytest.Collector = AuditFile.from_parent(parent, path=file_path)
    return made


class AuditFile(pytest.File):
    """An audit file or a result."""

    _export: Export | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Return one item for each claim, in their order, and one for the waivers if there are."""
        from audit.errors import AuditError
        from audit.exports import claim_name

        try:
            claims, waivers = self._declared()
        except AuditError as problem:
            raise self.CollectError(f"{problem} {problem.hint}".strip()) from None
        for i, claim in enumerate(claims):
            yield ClaimItem.from_parent(self, name=claim_name(claim), index=i)
        if waivers:
            yield WaiversItem.from_parent(self, name="waivers")

    def export(self) -> Export:
        """Return the judged result, made once."""
        if self._export is None:
            from audit.exports import export_of

            self._export = export_of(self._judged(), audit_path=self.nodeid)
        return self._export

    def _declared(self) -> tuple[tuple[Any, ...], bool]:
        if self.path.suffix != ".toml":
            result = self._judged()
            return result.plan.claims, bool(result.waivers)
        from audit import config, planning

        read = config.read(self.path)
        plan = planning.prepare(read, base=self.path.parent).plan
        return plan.claims, bool(read.waivers.file)

    def _judged(self) -> AuditResult:
        from audit import config, judging, store

        if self.path.suffix != ".toml":
            return judging.judged(store.read(self.path))
        import warnings

        from audit import runner

        read = config.read(self.path)
        with warnings.catch_warnings():
            # A project that turns warnings into errors means its own code, not torch's.
            warnings.simplefilter("ignore")
            return runner.run(
                read,
                self.path.parent / read.audit.out,
                base=self.path.parent,
                audit_file=self.path.read_text("utf-8"),
            )


class _Item(pytest.Item):
    parent: AuditFile
    evenhand = ""
    stops = False

    def export(self) -> Export:
        from audit.errors import AuditError

        try:
            return self.parent.export()
        except AuditError as problem:
            raise Broken(f"{problem} {problem.hint}".strip()) from None

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return one sentence where a claim speaks, and the traceback where a bug does."""
        if isinstance(excinfo.value, Broken):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class ClaimItem(_Item):
    """One claim."""

    def __init__(self, *, index: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._index = index

    def setup(self) -> None:
        """Run or read the audit; a crashed probe, or an audit that cannot be run, is an error."""
        row = self._row()
        if row.outcome == "error":
            raise Broken(row.message)

    def runtest(self) -> None:
        """Fail, skip or pass as the verdict does."""
        row = self._row()
        if row.outcome == "failed":
            raise Broken(row.message)
        if row.outcome in _STATUS:
            self.evenhand = row.outcome
            policy = row.verdict.claim.undecided or self.export().result.plan.undecided
            self.stops = policy == "exit3"
            pytest.skip(row.message)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the file and the claim, in words that pytest takes for no dotted name."""
        return self.path, None, f"gate {self.name}"

    def _row(self) -> Any:
        export = self.export()
        verdict = export.result.verdicts[self._index]
        return next(row for row in export.rows if row.verdict is verdict)


class WaiversItem(_Item):
    """The waivers: an error where one has expired or speaks of no claim."""

    def setup(self) -> None:
        """Raise where a waiver no longer holds."""
        problems = self.export().problems
        if problems:
            raise Broken("\n".join(problems))

    def runtest(self) -> None:
        """Pass: `setup` has said what there was to say."""

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the file."""
        return self.path, None, self.name


class Tally:
    """Counts the undecided claims, wherever their items ran."""

    def __init__(self) -> None:
        self._said: dict[str, list[str]] = {}
        self._open = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        """Mark the report of a claim that is neither passed nor failed."""
        report = yield
        if isinstance(item, ClaimItem) and item.evenhand and report.when == "call":
            # Plain values: a worker sends them to its controller as JSON.
            report.evenhand, report.evenhand_stops = item.evenhand, item.stops
        return report

    def pytest_report_teststatus(self, report: Any) -> Any:
        """Give undecided and noted claims a letter and a word of their own."""
        return _STATUS.get(getattr(report, "evenhand", ""))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Remember what the end shall say."""
        said = getattr(report, "evenhand", "")
        if said:
            self._said.setdefault(said, []).append(str(report.longrepr[2]))
            self._open |= said == "undecided" and report.evenhand_stops

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say why a claim is undecided or noted, with its interval."""
        for said, messages in self._said.items():
            terminalreporter.section(f"{said} gates")
            for message in messages:
                terminalreporter.write_line(message.removeprefix("Skipped: "))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End with 3 where pytest would say that all is well and a gate is undecided."""
        if self._open and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = _UNDECIDED


def _wanted(config: pytest.Config) -> list[Path]:
    at = config.invocation_params.dir
    found = []
    for name in config.getoption("evenhand") or ():
        path = Path(at, name).resolve()
        found.append(path / "result.json" if path.is_dir() else path)
    return found
