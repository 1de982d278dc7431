"""Texts that run where they are pasted: on the page they are read, and nothing else."""

import html

import hostile_lists
import pytest
import report_fixture as fixture
from browsing import FLAGS, launched

from audit.report import render
from audit.report._passages import visible

TEXTS = [*fixture.HOSTILE, *hostile_lists.texts()]
NAIVE = "<!doctype html><meta charset=utf-8><body>"


@pytest.fixture(scope="module")
def browser():
    with launched(FLAGS) as chromium:
        yield chromium


def opened(browser, path, *, bypass=False):
    context = browser.new_context(bypass_csp=bypass)
    page = context.new_page()
    page.set_default_timeout(180_000)
    page.requests, page.errors = [], []
    page.on("request", lambda r: page.requests.append(r.url))
    page.on("pageerror", lambda e: page.errors.append(str(e)))
    page.on("dialog", lambda d: d.dismiss())
    page.goto(path.as_uri())
    return page


def test_the_list_is_long_enough():
    more = hostile_lists.texts()
    assert len(more) >= 500 and len(set(more)) == len(more)


@pytest.mark.timeout(900)
def test_naively_pasted_many_of_them_run(browser, tmp_path):
    """The positive control: else the tests below would prove nothing about the page."""
    source = NAIVE + "".join(
        f'<iframe srcdoc="{html.escape(NAIVE + text)}"></iframe>' for text in TEXTS
    )
    (tmp_path / "naive.html").write_bytes(source.encode("utf-8", "replace"))
    page = opened(browser, tmp_path / "naive.html")
    page.wait_for_timeout(1_500)
    ran = page.evaluate(
        """Array.from({length: frames.length}, (_, i) => frames[i]).filter(f => {
            try { return f.__pwned !== undefined; } catch { return false; }
        }).length"""
    )
    page.context.close()
    assert ran >= 100


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(8))
def test_on_the_page_none_of_them_runs_and_each_is_read_whole(browser, tmp_path, part):
    texts = TEXTS[part::8]
    (tmp_path / "page.html").write_text(render(fixture.hostile(texts, long="x" * 3_000)), "utf-8")
    for bypass in (False, True):
        page = opened(browser, tmp_path / "page.html", bypass=bypass)
        # Whatever waits to be drawn is drawn; whatever can be opened is opened.
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        page.click("#language")
        page.evaluate("document.querySelectorAll('button.more-rows').forEach(b => b.click())")
        page.wait_for_timeout(300)
        assert page.evaluate("window.__pwned") is None
        assert [u for u in page.requests if not u.endswith("page.html")] == []
        assert page.errors == []
        shown = page.evaluate("document.querySelector('main').textContent")
        assert [t for t in texts if visible(t) not in shown] == []
        page.context.close()


def test_drawn_cases_hold_the_texts_unchanged(browser, tmp_path):
    """Cases beyond the first come out of JSON; each side reads as the text does, escapes in place."""
    result = fixture.large(cases=len(TEXTS) + 300, measurements=60, texts=TEXTS)
    (tmp_path / "page.html").write_text(render(result), "utf-8")
    page = opened(browser, tmp_path / "page.html", bypass=True)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.wait_for_timeout(300)
    shown = set(
        page.evaluate(
            "[...document.querySelectorAll('.pair dd:first-of-type')].map(e => e.textContent)"
        )
    )
    drawn = page.evaluate("document.querySelectorAll('li.case').length")
    assert page.evaluate("window.__pwned") is None and page.errors == []
    page.context.close()
    assert drawn == len(TEXTS) + 300
    assert [t for t in TEXTS if visible(t) not in shown] == []
