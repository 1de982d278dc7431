"""Whether everybody can read the page: axe-core finds no violation, and no word is left in English."""

from pathlib import Path

import pytest
import report_fixture as fixture
from browsing import launched

from audit.report import render


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def axe():
    found = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    return (Path(found.__file__).parent / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name in ("compared", "absent"):
        (folder / f"{name}.html").write_text(render(fixture.ALL[name]()), "utf-8")
    return folder


@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_no_violation(browser, axe, files, language, theme, width):
    # The script of axe is let in past the page's policy; nothing of the page's own changes.
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=theme,
        bypass_csp=True,
        reduced_motion="reduce",
    )
    # All that can be opened, and the page on which all is missing, are asked about twice, once in
    # each theme, language and width: axe takes its time over long pages.
    whole = (language, theme, width) in (("en", "light", 1280), ("zh", "dark", 360))
    for name in ("compared", "absent") if whole else ("compared",):
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto((files / f"{name}.html").as_uri())
        # The first page's choice is remembered on the second.
        if language == "zh" and page.evaluate("document.documentElement.lang") == "en":
            page.click("#language")
        if whole:
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        told = [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]]
        assert told == [], name
        assert (
            page.evaluate("document.documentElement.lang") == {"en": "en", "zh": "zh-CN"}[language]
        )
        page.close()
    context.close()


def test_axe_can_find_one(browser, axe):
    page = browser.new_page()
    page.set_content(
        "<html><body><img src=x><p style='color:#ccc;background:#fff'>faint</p></body>"
    )
    page.evaluate(axe)
    found = page.evaluate("axe.run(document)")["violations"]
    page.close()
    assert {"image-alt", "color-contrast"} <= {v["id"] for v in found}
