"""Would a test notice if a line of the statistics were wrong?

Single changes (a comparison, an operator, a constant, a condition, what is returned) are drawn with
seed 0 from all that can be made in the modules below, and the tests that enter the changed function
are run against each. A mutant that no test notices survives; survivors are listed with their line.

    python benchmarks/mutants.py                 300 mutants, two at a time
    python benchmarks/mutants.py --work DIR      keep what was found, and go on from there
    python benchmarks/mutants.py --quick         8 mutants; at most 50 s
    python benchmarks/mutants.py --sabotage      with --quick: the tests are collected, not run; must
                                                 fail

Each test runs once first, to learn which functions it enters and how long it takes; a test that is
slower than `SLOWEST` on its own is left out. A mutant is a fork of a process that has collected the tests
already; its changed code is put in the place of the loaded one. A mutant that needs three times the
processor time that its tests may take never ends, and who runs the tests sees that: it counts as
noticed, and the share is printed without these too. The time is the process's own, so that a busy
machine makes nothing noticed.

Bar: the lower end of the exact 95 % interval of the share noticed is at least 0.85 (with --quick,
the upper end). The last line is JSON; the exit status is 1 where the bar is not met.
"""

import argparse
import ast
import copy
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODULES = (
    *("stats", "intervals", "contrasts", "scales", "resampling", "power", "multiplicity"),
    *("proportions", "manygroups", "omnibus", "paired", "ranking", "calibrating", "sequential"),
    *("metrics", "decision", "gates"),
)
"""`stats`, `metrics`, `decision` and `gates`, with what was split from them."""
TESTS = (
    *("test_anchors", "test_edges", "test_stats", "test_gates", "test_vectors", "test_traps"),
    *("test_proportions", "test_ranking", "test_calibrating", "test_sequential"),
    *("test_group_rates", "test_labels", "test_exploratory", "test_printed_effects"),
    *("test_gate_table", "test_resampling", "test_power_of_claims", "test_impact_ratio"),
    *("test_small_print", "test_looks", "test_metrics"),
    "test_by_formula",
)
QUICK = ("test_anchors", "test_edges")
SEED, DRAWN, BAR = 0, 300, 0.85
SLOWEST, PATIENCE, AT_ONCE = 3.0, 20, 2
"""Seconds of processor of a single test; of all tests against one mutant; mutants at once."""
HANGS = 600.0
"""Seconds by the clock after which a mutant that waits for something is ended."""
COMPARED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
REVERSED = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt}
OPERATED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.MatMult: ast.Mult,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sum": "len"}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    module: str
    line: int
    function: int
    """First line of the function it stands in; 0 for what runs at import."""
    kind: str
    what: str
    """The changed expression, before and after."""
    source: str


@dataclass(frozen=True, kw_only=True)
class Found:
    number: int
    module: str
    line: int
    kind: str
    what: str
    tests: int
    seconds: float
    outcome: str
    """``noticed``, ``survived``, ``too slow`` or ``no test``."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 mutants, at most 50 s")
    parser.add_argument("--sabotage", action="store_true", help="run no test; must fail")
    parser.add_argument("--work", type=Path, help="keep what was found here, and go on from it")
    parser.add_argument("--first", type=int, help="only the first so many of the 300")
    parser.add_argument("--seed", type=int, default=SEED, help="another draw than the declared one")
    said = parser.parse_args()
    wanted = 8 if said.quick else said.first or DRAWN
    with tempfile.TemporaryDirectory() as scratch:
        work = said.work or Path(scratch)
        tree = work / "tree"
        if not tree.exists():
            copied(tree)
        os.chdir(tree)
        sys.path[:0] = [str(tree), str(tree / "tests")]
        return benchmark(work, tree, wanted, said)


def benchmark(work: Path, tree: Path, wanted: int, said: argparse.Namespace) -> int:
    import pytest

    clock = time.perf_counter()
    loop = Loop(lambda session: in_session(session, work, tree, wanted, said, clock))
    tests = QUICK if said.quick else TESTS
    files = [f"tests/{name}.py" for name in tests if Path(f"tests/{name}.py").exists()]
    options = ["-s", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:terminal"]
    options += ["-m", "not slow", "--import-mode=importlib"]
    pytest.main([*options, *files], plugins=[loop])
    return loop.code


def in_session(
    session: Any,
    work: Path,
    tree: Path,
    wanted: int,
    said: argparse.Namespace,
    clock: float,
) -> int:
    quick, sabotage = said.quick, said.sabotage
    lines = work / "lines.json"
    if not lines.exists():
        traced(session, tree, lines)
    known = json.loads(lines.read_text("utf-8"))["tests"]
    times = [one["seconds"] for one in known.values()]
    slow, total = [t for t in times if t > SLOWEST], sum(times)
    print(
        f"{len(times)} tests in {total:.0f} s, {len(slow)} of them too slow to be asked; "
        f"{time.perf_counter() - clock:.0f} s",
        flush=True,
    )
    modules = ("multiplicity",) if quick else MODULES
    every = [site for module in modules for site in sites(tree, module)]
    mine = [mutant(tree, *site) for site in drawn(every, wanted, said.seed)]
    print(f"{wanted} of {len(every):,} mutants of {len(modules)} modules", flush=True)
    kept = work / ("found-sabotage.jsonl" if sabotage else "found.jsonl")
    done: dict[int, Found] = {}
    if kept.exists():
        for row in kept.read_text("utf-8").splitlines():
            one = Found(**json.loads(row))
            done[one.number] = one
    left = [n for n in range(len(mine)) if n not in done]
    for one in running(session, mine, left, known, sabotage=sabotage):
        done[one.number] = one
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one)) + "\n")
        if len(done) % 20 == 0:
            alive = sum(f.outcome in ("survived", "no test") for f in done.values())
            spent = time.perf_counter() - clock
            print(f"{len(done)} run, {alive} survive, {spent:.0f} s", flush=True)
    return conclude([done[n] for n in sorted(done)], clock, quick=quick)


def conclude(found: Sequence[Found], clock: float, *, quick: bool) -> int:
    from scipy.stats import binomtest

    for module in MODULES:
        own = [f for f in found if f.module == module]
        if own:
            noticed = sum(f.outcome in ("noticed", "too slow") for f in own)
            print(f"    {module:14} {noticed:3} of {len(own):3}")
    for f in found:
        if f.outcome in ("survived", "no test"):
            print(f"    {f.outcome}: audit/{f.module}.py:{f.line} {f.kind}: {f.what}")
    noticed = sum(f.outcome in ("noticed", "too slow") for f in found)
    slow = sum(f.outcome == "too slow" for f in found)
    # The product's own interval is under test here.
    span = binomtest(noticed, len(found)).proportion_ci(0.95, "exact")
    holds = (span.high if quick else span.low) >= BAR
    print(
        f"noticed {noticed} of {len(found)}: "
        f"{noticed / len(found):.4f} ({span.low:.4f} to {span.high:.4f}); "
        f"{time.perf_counter() - clock:.0f} s"
    )
    strict = binomtest(noticed - slow, len(found)).proportion_ci(0.95, "exact")
    print(
        f"{slow} of them by never ending; without these {noticed - slow} of {len(found)}: "
        f"{(noticed - slow) / len(found):.4f} ({strict.low:.4f} to {strict.high:.4f})"
    )
    line = {
        "benchmark": "mutants",
        "figure": round(float(span.low), 4),
        "bar": BAR,
        "holds": bool(holds),
        "noticed": [noticed, len(found)],
        "never_ended": slow,
    }
    print(json.dumps(line))
    return 0 if holds else 1


def copied(tree: Path) -> None:
    """Copy what the tests need, so that the tree can be worked on meanwhile."""
    for name in ("audit", "probes", "tests", "datasets", "reports", "benchmarks", "docs"):
        skip = shutil.ignore_patterns("__pycache__", "peers", "heads")
        shutil.copytree(ROOT / name, tree / name, ignore=skip)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tree / name)


# --- changes ---------------------------------------------------------------------------------


def sites(tree: Path, module: str) -> list[tuple[str, "Path_", int]]:
    """Return every single change of a module that the operators make, in order."""
    root = ast.parse((tree / "audit" / f"{module}.py").read_text("utf-8"))
    return [
        (module, path, number)
        for path in places(root)
        for number in range(len(changes(at(root, path))))
    ]


def mutant(tree: Path, module: str, path: "Path_", number: int) -> Mutant:
    """Make one of the changes."""
    root = ast.parse((tree / "audit" / f"{module}.py").read_text("utf-8"))
    node = at(root, path)
    line, function, before = getattr(node, "lineno", 0), function_of(root, path), ast.unparse(node)
    kind, new = changes(node)[number]
    after = put(root, path, new)
    return Mutant(
        module=module,
        line=line,
        function=function,
        kind=kind,
        what=f"{_short(before)} -> {_short(after)}",
        source=ast.unparse(ast.fix_missing_locations(root)),
    )


Path_ = tuple[tuple[str, int | None], ...]


def places(root: ast.Module) -> Iterator[Path_]:
    """Yield the way to each node that computes: no docstring, annotation or import."""

    def walk(node: ast.AST, path: Path_) -> Iterator[Path_]:
        if path:
            yield path
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
                continue
            for index, child in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(child, ast.AST) or isinstance(child, ast.Import | ast.ImportFrom):
                    continue
                if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                    continue
                # Names of types, and what an error says.
                if isinstance(child, ast.JoinedStr | ast.Raise | ast.Subscript) and _no_number(
                    child
                ):
                    continue
                yield from walk(child, (*path, (name, index if isinstance(value, list) else None)))

    yield from walk(root, ())


def _no_number(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr | ast.Raise) or _is_type(node)


def _is_type(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("Mapping", "Sequence", "Literal", "Callable", "NDArray", "Iterable")
    )


def changes(node: ast.AST) -> list[tuple[str, ast.AST]]:
    """Return what can be put in the place of a node."""
    found: list[tuple[str, ast.AST]] = []
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for kind, table in (("comparison", COMPARED), ("reversal", REVERSED)):
            other = table.get(type(node.ops[0]))
            if other:
                found.append(
                    (kind, ast.Compare(left=node.left, ops=[other()], comparators=node.comparators))
                )
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            other = COMPARED.get(type(op))
            if other:
                ops = [*node.ops[:i], other(), *node.ops[i + 1 :]]
                new = ast.Compare(left=node.left, ops=ops, comparators=node.comparators)
                found.append(("comparison", new))
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATED:
        if not _text(node.left) and not _types(node):
            new_op = OPERATED[type(node.op)]()
            found.append(("operator", ast.BinOp(left=node.left, op=new_op, right=node.right)))
    elif isinstance(node, ast.BoolOp):
        other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        found.append(("boolean", ast.BoolOp(op=other_op, values=node.values)))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        found.append(("sign", node.operand))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        found.append(("constant", ast.Constant(value=not node.value)))
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for step in (1, -1):
            found.append(("constant", ast.Constant(value=node.value + step)))
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            found.append(("return", ast.Return(value=ast.Constant(value=None))))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
        name = ast.Name(id=NAMES[node.func.id], ctx=ast.Load())
        found.append(("function", ast.Call(func=name, args=node.args, keywords=node.keywords)))
    elif isinstance(node, ast.If | ast.IfExp):
        new = copy.copy(node)
        new.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
        found.append(("condition", new))
    return found


def _text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _types(node: ast.BinOp) -> bool:
    """Whether ``A | B`` is a union of types."""
    sides = (node.left, node.right)
    return isinstance(node.op, ast.BitOr) and any(
        (isinstance(s, ast.Name) and (s.id[0].isupper() or s.id in ("str", "int", "float")))
        or (isinstance(s, ast.Constant) and s.value is None)
        for s in sides
    )


def at(root: ast.AST, path: Path_) -> Any:
    node: Any = root
    for name, index in path:
        node = getattr(node, name) if index is None else getattr(node, name)[index]
    return node


def function_of(root: ast.AST, path: Path_) -> int:
    """Return the first line, decorators included, of the innermost function around a node."""
    first, node = 0, root
    for i, (name, _) in enumerate(path):
        if isinstance(node, ast.FunctionDef) and name == "body":
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        node = at(root, path[: i + 1])
    return first


def put(root: ast.AST, path: Path_, new: ast.AST) -> str:
    """Put `new` in its place; give its text."""
    (name, index), parent = path[-1], at(root, path[:-1])
    if index is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[index] = new
    return ast.unparse(ast.fix_missing_locations(new))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 70 else line[:67] + "..."


def drawn(every: Sequence[Any], wanted: int, seed: int) -> list[Any]:
    import numpy as np

    order = np.random.default_rng(seed).permutation(len(every))
    return [every[int(i)] for i in order[:wanted]]


# --- runs ------------------------------------------------------------------------------------


def patch(mutant: Mutant) -> None:
    """Put a module's changed code in the place of what is loaded, wherever it was imported to."""
    module = sys.modules[f"audit.{mutant.module}"]
    fresh: dict[str, Any] = {k: v for k, v in vars(module).items() if k.startswith("__")}
    exec(compile(mutant.source, str(module.__file__), "exec"), fresh)
    for name, new in fresh.items():
        old = vars(module).get(name)
        if name.startswith("__") or getattr(new, "__module__", module.__name__) != module.__name__:
            continue
        if isinstance(old, FunctionType) and isinstance(new, FunctionType):
            take(old, new)
        elif isinstance(old, type) and isinstance(new, type):
            for inner, own in vars(new).items():
                take_any(vars(old).get(inner), own)
        elif not isinstance(new, ModuleType):
            for other in list(sys.modules.values()):
                if name in getattr(other, "__dict__", {}) and vars(other)[name] is old:
                    setattr(other, name, new)


def take_any(old: Any, new: Any) -> None:
    """Take over the code of a function, property or class method."""
    for part in ("fget", "__func__"):
        if hasattr(old, part) and hasattr(new, part) and not isinstance(old, FunctionType):
            old, new = getattr(old, part), getattr(new, part)
    if isinstance(old, FunctionType) and isinstance(new, FunctionType):
        take(old, new)


def take(old: FunctionType, new: FunctionType) -> None:
    old.__code__ = new.__code__
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


class Loop:
    """Takes the place of pytest's loop over the collected tests, with libraries loaded once."""

    def __init__(self, act: Callable[[Any], int]) -> None:
        self.act, self.code = act, 1

    def pytest_runtestloop(self, session: Any) -> bool:
        self.code = self.act(session)
        return True


def run_all(session: Any, items: Sequence[Any], watch: "Watch | None" = None) -> int:
    """Run tests until one fails; give 0 where none does. Ends in a process of its own."""
    for i, item in enumerate(items):
        following = items[i + 1] if i + 1 < len(items) else None
        if watch:
            watch.start()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if watch:
            watch.stop(item.nodeid)
        if session.testsfailed:
            if watch:
                watch.failed = item.nodeid
            return 1
    return 0


def running(
    session: Any,
    mine: Sequence[Mutant],
    left: Sequence[int],
    known: Mapping[str, Any],
    *,
    sabotage: bool,
) -> Iterator[Found]:
    """Run the tests of each mutant, so many at once, each in a fork of this process."""
    started: dict[int, tuple[int, int, float]] = {}
    queue = list(left)
    while queue or started:
        while queue and len(started) < AT_ONCE:
            number = queue.pop(0)
            tests = asked(mine[number], known)
            if not tests:
                yield _found(number, mine[number], 0, 0.0, "no test")
                continue
            sys.stdout.flush()
            child = os.fork()
            if not child:
                os._exit(against(session, mine[number], tests, sabotage=sabotage))
            started[child] = (number, len(tests), time.perf_counter())
        time.sleep(0.02)
        for child, (number, count, since) in list(started.items()):
            gone, status = os.waitpid(child, os.WNOHANG)
            spent = time.perf_counter() - since
            if gone:
                code = os.waitstatus_to_exitcode(status)
                outcome = "survived" if code == 0 else "noticed"
                if code in (-signal.SIGXCPU, -signal.SIGKILL):
                    outcome = "too slow"
            elif spent > HANGS:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                outcome = "too slow"
            else:
                continue
            del started[child]
            yield _found(number, mine[number], count, spent, outcome)


def _found(number: int, mutant: Mutant, tests: int, seconds: float, outcome: str) -> Found:
    return Found(
        number=number,
        module=mutant.module,
        line=mutant.line,
        kind=mutant.kind,
        what=mutant.what,
        tests=tests,
        seconds=round(seconds, 2),
        outcome=outcome,
    )


def asked(mutant: Mutant, known: Mapping[str, Any]) -> list[str]:
    """Return the tests that enter the function, the quickest first, as many as there is time for.

    What runs at import is every test's.
    """
    own = [
        (one["seconds"], name)
        for name, one in known.items()
        if one["seconds"] <= SLOWEST
        and (mutant.function == 0 or mutant.function in one["lines"].get(mutant.module, ()))
    ]
    chosen, spent = [], 0.0
    for seconds, name in sorted(own):
        spent += seconds
        if spent > PATIENCE / 3:
            break
        chosen.append(name)
    return chosen


def against(session: Any, mutant: Mutant, tests: Sequence[str], *, sabotage: bool) -> int:
    """Run tests with one module changed; give 0 where none fails."""
    silent()
    resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE + 5))
    try:
        patch(mutant)
    except Exception:
        # A module that cannot be loaded is noticed by whoever imports it.
        return 1
    by_name = {item.nodeid: item for item in session.items}
    return run_all(session, [] if sabotage else [by_name[name] for name in tests])


def silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def traced(session: Any, tree: Path, out: Path) -> None:
    """Run the tests once, unchanged, and write which functions each enters and how long it takes.

    A test that fails on the unchanged tree ends the benchmark.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        found = json.loads(out.read_text("utf-8")) if out.exists() else {"failed": "no test ran"}
        if found["failed"]:
            out.unlink(missing_ok=True)
            raise SystemExit(f"fails on the unchanged tree: {found['failed']}")
        return
    silent()
    where = {str(tree / "audit" / f"{module}.py"): module for module in MODULES}
    watch = Watch(where)
    run_all(session, session.items, watch)
    out.write_text(json.dumps({"failed": watch.failed, "tests": watch.found}), "utf-8")
    os._exit(0)


class Watch:
    """Notes the functions that each test enters, by first line."""

    def __init__(self, where: Mapping[str, str]) -> None:
        self.where = where
        self.found: dict[str, Any] = {}
        self.failed = ""

    def start(self) -> None:
        self.now: dict[str, set[int]] = {}
        self.since = time.process_time()
        sys.settrace(self.trace)

    def stop(self, name: str) -> None:
        sys.settrace(None)
        self.found[name] = {
            "seconds": round(time.process_time() - self.since, 3),
            "lines": {module: sorted(lines) for module, lines in self.now.items()},
        }

    def trace(self, frame: Any, event: str, arg: Any) -> None:
        module = self.where.get(frame.f_code.co_filename)
        if module is not None:
            # Functions entered are enough, and cost little: no line of theirs is followed.
            self.now.setdefault(module, set()).add(frame.f_code.co_firstlineno)


if __name__ == "__main__":
    sys.exit(main())
