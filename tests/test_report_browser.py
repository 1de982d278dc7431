"""The page as a browser shows it: nothing runs, nothing is fetched, everything can be reached."""

import gc
import shutil
import warnings
from dataclasses import replace

import pytest
import report_fixture as fixture

from audit.report import render
from audit.report._passages import visible

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = [shutil.which(n) for n in ("chromium", "chromium-browser", "google-chrome")]
    if not any(found):
        pytest.skip("no chromium on this machine")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=next(filter(None, found)), args=FLAGS)
        yield chromium
        chromium.close()
    # Playwright leaves the pipes of its driver to the collector, which would blame a later test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, make in fixture.ALL.items():
        (folder / f"{name}.html").write_text(render(make()), "utf-8")
    return folder


@pytest.fixture
def visit(browser, files):
    """Open a page by name; returns it with the requests and errors it made."""
    opened = []

    def _visit(name, *, width=1280, anchor="", **context):
        made = browser.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", **context
        )
        opened.append(made)
        page = made.new_page()
        page.requests, page.errors = [], []
        page.on("request", lambda r: page.requests.append(r.url))
        page.on("pageerror", lambda e: page.errors.append(str(e)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.on("dialog", lambda d: d.dismiss())
        source = files / name if "." in name else files / f"{name}.html"
        page.goto(source.as_uri() + anchor)
        return page

    yield _visit
    for made in opened:
        made.close()


NAIVE = "<!doctype html><meta charset=utf-8><body>{}"


def provoke(page):
    """Do what a reader does: open everything, move, focus, click what is not a link away."""
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.mouse.move(300, 300)
    page.wait_for_timeout(200)


@pytest.mark.parametrize("bypass", [False, True], ids=["with policy", "without policy"])
def test_no_hostile_text_runs_and_nothing_is_fetched(visit, bypass):
    page = visit("hostile", bypass_csp=bypass)
    provoke(page)
    assert page.evaluate("window.__pwned") is None
    assert [u for u in page.requests if not u.endswith("/hostile.html")] == []
    assert page.errors == []


def test_the_same_texts_run_where_they_are_pasted(visit, files):
    """The positive control: else the test above would prove nothing about the page."""
    ran = 0
    texts = [t for t in fixture.HOSTILE if "__pwned" in t]
    for text in texts:
        source = NAIVE.format(text).encode("utf-8", "replace")
        (files / "naive.html").write_bytes(source)
        page = visit("naive.html")
        page.wait_for_timeout(30)
        ran += page.evaluate("window.__pwned") is not None
        page.context.close()
    assert len(texts) >= 40 and ran >= 10


def test_hostile_texts_are_read_as_they_are(visit):
    page = visit("hostile")
    shown = page.evaluate(
        "[...document.querySelectorAll('#data .corpus > h3')].map(h => h.textContent)"
    )
    for got, text in zip(shown, fixture.HOSTILE, strict=True):
        assert got == visible(text)


def test_every_fixture_opens_without_errors_or_requests(visit):
    for name in fixture.ALL:
        page = visit(name)
        assert page.errors == [] and len(page.requests) == 1, name


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_no_page_scrolls_sideways(visit, width):
    for name in ("normal", "compared", "absent", "hostile"):
        page = visit(name, width=width)
        provoke(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} wide at {width}"


def said(page, beginning):
    page.locator("#shown", has_text=beginning).wait_for(timeout=5_000)


def test_the_search_narrows_the_measurements_and_says_so(visit):
    page = visit("normal")
    shown = page.locator("#shown")
    every = shown.text_content()
    assert every == f"{page.locator('tr[data-s]').count()} of {every.split()[2]} measurements shown"
    page.fill("#q", "swaps female")
    said(page, "2 of")
    assert page.locator("tr[data-s]:visible").count() == 2
    assert page.locator("section.probe:visible").count() == 1
    page.fill("#q", "")
    page.select_option("#only", "fail")
    said(page, "4 of")
    assert shown.get_attribute("aria-live") == "polite"


def test_a_permalink_opens_what_it_points_into(visit):
    page = visit("normal")
    (anchor,) = page.evaluate(
        "[...document.querySelectorAll('.finding details.cases')].map(d => d.id)"
    )[:1]
    assert not page.evaluate("id => document.getElementById(id).open", anchor)
    page = visit("normal", anchor=f"#{anchor}")
    assert page.evaluate("id => document.getElementById(id).open", anchor)


def test_a_link_to_a_filtered_row_shows_it_again(visit):
    page = visit("normal")
    row = page.locator("tr[data-s=pass]").first.get_attribute("id")
    page.select_option("#only", "fail")
    assert page.locator(f"[id='{row}']").is_hidden()
    page.evaluate("id => { location.hash = id; }", row)
    page.locator(f"[id='{row}']").wait_for(state="visible", timeout=5_000)


def test_the_theme_follows_the_system_and_can_be_turned(visit):
    page = visit("normal", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme")
    light = page.evaluate(ground)
    page.click("#theme")
    assert dark == page.evaluate(ground) != light
    assert page.locator("#theme").text_content() == "Theme: dark"


def test_paper_shows_what_is_folded_on_the_screen(visit):
    page = visit("normal")
    hidden = page.locator("details.cases .case").first
    assert not hidden.is_visible()
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert hidden.is_visible()
    assert page.locator(".toc").is_hidden()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_the_first_tab_skips_to_the_verdict_and_every_finding_can_be_reached(visit):
    page = visit("normal")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        href = page.evaluate("document.activeElement.getAttribute('href')")
        if href and href.startswith("#F-"):
            reached.add(href[1:])
        if page.evaluate("document.activeElement === document.body"):
            break
    assert reached == {f.id for f in fixture.normal().findings}


def test_without_its_script_the_page_still_holds_everything(visit):
    page = visit("normal", java_script_enabled=False)
    assert page.locator("#theme").is_hidden() and page.locator("#tools").is_hidden()
    assert page.locator("tr[data-s]:visible").count() == len(
        {m.id for run in fixture.normal().runs for m in run.measurements}
    )


def test_small_targets_are_large_enough(visit):
    page = visit("normal", width=360)
    small = page.evaluate(
        """[...document.querySelectorAll('.squares a, #theme, summary, .tools select, .tools input')]
        .map(e => e.getBoundingClientRect()).filter(r => r.width && Math.min(r.width, r.height) < 24)
        .length"""
    )
    assert small == 0


def test_a_page_of_two_thousand_cases_is_usable_at_once(visit, files):
    (files / "large.html").write_text(render(fixture.large()), "utf-8")
    page = visit("large")
    took = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    assert took < 10_000, "two seconds on a free machine; five times that on a shared one"


def test_a_hostile_model_name_stays_in_the_title(visit, files):
    result = fixture.normal()
    evil = replace(result.provenance, model_name="</title><script>window.__pwned=1</script>")
    (files / "evil.html").write_text(render(replace(result, provenance=evil)), "utf-8")
    page = visit("evil", bypass_csp=True)
    assert page.evaluate("window.__pwned") is None
    assert page.title() == "Audit of </title><script>window.__pwned=1</script>"
