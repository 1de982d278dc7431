"""The command line. It reads, calls one function, writes; it computes nothing."""

import signal
import sys
import traceback
from pathlib import Path

import typer

from audit.cli import (
    _auditing,
    _explaining,
    _inspecting,
    _judging,
    _rating,
    _reviewing,
    _showing,
    _signing,
    _watching,
)
from audit.errors import AuditError

COULD_NOT_RUN = 2
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Audit a text classifier: every number with its interval, every verdict three-way.",
)
keep = typer.Typer(no_args_is_help=True, help="Keep and show an audit to compare with.")
# In the order in which --help lists them.
for command in (
    _auditing.demo,
    _auditing.init,
    _auditing.plan,
    _auditing.run,
    _judging.gate,
    _judging.history,
    _watching.watch,
    _showing.report,
    _explaining.explain,
    _inspecting.inspect,
    _auditing.train,
    _auditing.retrain,
    _auditing.parity,
    _auditing.epochs,
    _showing.compare,
    _rating.rate,
    _reviewing.review,
    _signing.sign,
    _signing.verify,
    _showing.probes,
    _showing.recipes,
    _showing.doctor,
):
    app.command()(command)
app.add_typer(keep, name="baseline")
keep.command("save")(_judging.baseline_save)
keep.command("show")(_judging.baseline_show)


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    1 comes from gates alone; 2 is bad input, an interrupt or a bug; 3 an undecided gate.
    """
    handlers = {name: signal.signal(name, _stop) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = app(argv, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except AuditError as problem:
        _complain(problem, problem.hint)
    except Stopped:
        _complain("Interrupted.", "Finished work is kept: the same command goes on from here.")
    except OSError as problem:
        from audit.files import cannot_write

        error = cannot_write(Path(problem.filename or "the output"), problem)
        _complain(error, error.hint)
    except Exception as problem:
        return _unexpected(problem)
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)
    return COULD_NOT_RUN


class Stopped(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt, which the parser below would end with code 130."""


def _stop(*_: object) -> None:
    raise Stopped


def _complain(problem: object, hint: str) -> None:
    from audit.console import plain

    print(f"error: {plain(problem)}", file=sys.stderr)
    if hint:
        print(f"hint: {plain(hint)}", file=sys.stderr)


def _unexpected(problem: Exception) -> int:
    show = getattr(problem, "show", None)
    if show is not None:
        # A usage error of the command line itself.
        show(file=sys.stderr)
        return COULD_NOT_RUN
    if type(problem).__name__ == "Exit":
        return int(getattr(problem, "exit_code", COULD_NOT_RUN))
    if type(problem).__name__ == "Abort":
        return COULD_NOT_RUN
    traceback.print_exc()
    print("error: This is a bug in evenhand; the lines above say where.", file=sys.stderr)
    return COULD_NOT_RUN


def entry() -> None:
    """Start from a shell."""
    sys.exit(main())
