"""Is the page of a large audit small, made quickly, usable at once, and inert?

Renders an audit of 10,000 measurements and 2,000 cases with attributions, opens it from its file in
headless Chromium and asks for its bytes, the processor seconds of rendering, the processor seconds
of the browser's main thread until the page is usable (loaded and scripted: the search answers), and
the requests that it made. Usable is measured on the thread's own clock, so that other work on the
machine does not count; wall seconds stand beside it.

    python benchmarks/report.py             three pages: findings few, findings many, every text Chinese
    python benchmarks/report.py --quick     the first of them
    python benchmarks/report.py --sabotage  all rows and cases in the HTML: must miss the bar

The last line is JSON; the exit status is 1 where a bar is not met.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import report_fixture

from audit.report import _casebooks, _view, render
from audit.types import AuditResult

BYTES, USABLE = 5_000_000, 2.0
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def few() -> AuditResult:
    """Return an audit with 20 findings."""
    return report_fixture.large(cases=2_000, measurements=10_000)


def many() -> AuditResult:
    """Return an audit with 150 findings."""
    result = few()
    measured = result.runs[0].measurements[:150]
    verdicts = tuple(
        report_fixture.verdict(m, "at_most", 0.05, status="fail", m_claims=150) for m in measured
    )
    return report_fixture.result_of(result.runs, verdicts)


def chinese() -> AuditResult:
    """Return the first with Chinese texts, which take more bytes a character."""
    result = few()
    run = result.runs[0]
    text = "在采购部门工作了八年，带领二十人的团队，把运输成本降低了十分之一，两次在公司年度总结中被点名。"
    cases = tuple(
        replace(
            c,
            before=f"{text}{i}",
            after=f"{text.replace('年度', '年终')}{i}",
            words=tuple(text),
            weights=tuple(((i + j) % 11 - 5) / 50 for j in range(len(text))),
        )
        for i, c in enumerate(run.cases)
    )
    return replace(result, runs=(replace(run, cases=cases),))


def look(page: Path) -> Mapping[str, float]:
    """Return what the browser says of a page: thread seconds until usable, wall, requests, hits."""
    from playwright.sync_api import sync_playwright

    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if found is None:
        sys.exit("There is no Chromium on this machine.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        tab = browser.new_page()
        tab.set_default_timeout(300_000)
        requests: list[str] = []
        errors: list[str] = []
        tab.on("request", lambda r: requests.append(r.url))
        tab.on("pageerror", lambda e: errors.append(str(e)))
        tools = tab.context.new_cdp_session(tab)
        tools.send("Performance.enable", {"timeDomain": "threadTicks"})
        clock = time.perf_counter()
        tab.goto(page.as_uri())
        tab.locator("#tools").wait_for(state="visible")
        wall = time.perf_counter() - clock
        metrics = {m["name"]: m["value"] for m in tools.send("Performance.getMetrics")["metrics"]}
        tab.fill("#q", "s4242")
        tab.locator("#shown", has_text="1 ").wait_for()
        tab.wait_for_timeout(400)
        hits = tab.locator("tr[data-s]:visible").count()
        browser.close()
    return {
        "usable": float(metrics["TaskDuration"]),
        "wall": wall,
        "requests": float(len(requests) - 1),
        "errors": float(len(errors)),
        "found": float(hits),
    }


def measure(make: Callable[[], AuditResult], folder: Path) -> dict[str, float]:
    """Return the figures of one page."""
    result = make()
    render(report_fixture.clear())  # Templates are compiled once, whatever comes first.
    clock = time.process_time()
    source = render(result)
    seconds = time.process_time() - clock
    page = folder / f"{make.__name__}.html"
    page.write_text(source, "utf-8")
    same = render(result) == source
    return {
        "bytes": float(len(source.encode())),
        "render": seconds,
        "same": float(same),
        **look(page),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sabotage", action="store_true")
    options = parser.parse_args()
    if options.sabotage:
        _view.AT_ONCE = _casebooks.AT_ONCE = _casebooks.MOST_CASES = 10**9
    pages = (few,) if options.quick or options.sabotage else (few, many, chinese)
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for make in pages:
            figures[make.__name__] = got = measure(make, Path(folder))
            print(
                f"{make.__name__:8} {got['bytes'] / 1e6:.2f} MB; rendered in {got['render']:.1f} s "
                f"of processor time; usable after {got['usable']:.2f} s of the page's thread "
                f"({got['wall']:.1f} s by the clock); {got['requests']:.0f} requests, "
                f"{got['errors']:.0f} errors; byte for byte again: {'yes' if got['same'] else 'no'}"
            )
    holds = all(
        got["bytes"] <= BYTES
        and got["usable"] <= USABLE
        and got["requests"] == got["errors"] == 0
        and got["same"] == 1
        and got["found"] == 1
        for got in figures.values()
    )
    worst = {k: max(got[k] for got in figures.values()) for k in ("bytes", "usable", "render")}
    print(
        json.dumps(
            {
                "benchmark": "report",
                "figure": {k: round(v, 3) for k, v in worst.items()},
                "bar": {"bytes": BYTES, "usable": USABLE, "requests": 0},
                "pages": figures,
                "holds": holds,
            }
        )
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
