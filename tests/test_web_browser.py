"""The local page as a person uses it: by pointer, by keyboard, by screen reader, in two languages."""

import gc
import re
import shutil
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from tiny import small_audit

EVIL = "<img src=x onerror=window.broken=1><script>window.broken=1</script>"
TEXTS = [
    "she wrote a good report about old bridges and rivers",
    "nobody painted the wooden table in the garden",
    f"he said {EVIL} and went home",
    "שלום she كتبت 报告 about rivers 🙂",
]
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    home = tmp_path_factory.mktemp("audit")
    small_audit(home, TEXTS)
    command = [sys.executable, "-m", "audit.cli", "inspect", "audit.toml", "--no-browser"]
    with subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True) as running:
        found = re.search(r"http://\S+", running.stdout.readline()).group()
        port = int(found.split(":")[2].split("/")[0])
        for _ in range(300):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield found
        running.send_signal(2)
        running.communicate(timeout=60)


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


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1200, "height": 900}, accept_downloads=True)
    one = context.new_page()
    one.errors, one.elsewhere = [], []
    one.on("pageerror", lambda e: one.errors.append(str(e)))
    one.on("console", lambda m: one.errors.append(m.text) if m.type == "error" else None)
    home = address.split("?")[0]
    one.on("request", lambda r: None if r.url.startswith(home) else one.elsewhere.append(r.url))
    one.goto(address)
    yield one
    assert one.errors == [] and one.elsewhere == []
    assert one.evaluate("window.broken") is None
    context.close()


def follow(page, selector, key=None):
    """Click (or press a key on) what leads to another page, and wait until all of that page is there.

    A click alone returns as the new page is asked for, and a page here is sent while it is made:
    the next click could still meet the page before.
    """
    with page.expect_navigation():
        page.press(selector, key) if key else page.click(selector)


def test_a_person_filters_opens_edits_pins_compares_and_exports(page):
    assert "token" not in page.url
    page.fill("#words", "bridges")
    follow(page, "#words", "Enter")
    follow(page, "table.texts a")
    page.wait_for_selector("text=Similar audited texts")
    assert page.locator(".rely").first.inner_text().startswith("Reliability:")
    # The text changes, and the answer with it, before anything is sent.
    page.fill("#edit", TEXTS[0].replace("good", "old"))
    page.wait_for_selector("#live:not([hidden])")
    assert page.locator("#live-heat i").count() == len(TEXTS[0].split())
    assert re.fullmatch(r"\([+−]?[\d.]+\)", page.locator("#live-change").inner_text())
    follow(page, "button:has-text('Explain')")
    page.wait_for_selector("#h-was")
    assert page.locator("section:has(#h-was) del").inner_text() == "good"
    follow(page, "button:has-text('Pin to compare')")
    follow(page, "a:has-text('Back to the text it came from')")
    follow(page, "button:has-text('Pin to compare')")
    follow(page, "a:has-text('Pinned: 2')")
    assert page.locator(".columns section").count() == 2
    assert page.locator("table.aligned tr.changed").count() == 1
    with page.expect_download() as waiting:
        page.click("a[download]")
    kept = Path(waiting.value.path()).read_text("utf-8")
    assert kept.count('class="rely ') == 2 and "<script" not in kept
    for _ in range(2):
        follow(page, "button:has-text('Unpin') >> nth=0")


def test_another_method_and_one_beside_it(page):
    follow(page, "table.texts a >> nth=1")
    page.select_option("#method", "occlusion")
    page.select_option("#versus", "saliency")
    follow(page, "button:has-text('Switch')")
    page.wait_for_selector("text=Kendall’s tau")
    headings = page.locator("h3").all_inner_texts()
    assert sum(h.startswith("Attribution by") for h in headings) == 2


def test_a_hostile_text_stays_text(page):
    follow(page, "table.texts a >> nth=2")
    page.wait_for_selector("text=Similar audited texts")
    page.fill("#edit", EVIL + " again")
    page.wait_for_selector("#live:not([hidden])")
    follow(page, "button:has-text('Explain')")
    page.wait_for_selector("text=Similar audited texts")
    assert EVIL in page.locator("#edit").input_value()


def test_it_can_be_used_by_the_keyboard_alone(page):
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(document.activeElement.id || document.activeElement.textContent.trim()).slice(0, 30)"
        )
        seen.append(name)
        if name.startswith("she wrote"):
            break
    assert "edit" in seen and "words" in seen and seen[-1].startswith("she wrote")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.wait_for_selector("text=Similar audited texts")
    page.focus("#edit")
    page.keyboard.type("now ")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#h-was")


def test_it_speaks_chinese_and_remembers(page):
    page.click("#lang")
    assert "已审计的文本" in page.inner_text("main") and "Audited texts" not in page.inner_text(
        "main"
    )
    follow(page, "table.texts a >> nth=0")
    page.wait_for_selector("text=相似的已审计文本")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    said = page.inner_text("main")
    assert "可靠性" in said and "Reliability" not in said


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_axe_finds_nothing(page, width, theme, language):
    axe = _axe()
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    if language == "zh":
        page.click("#lang")
    for where in ("list", "text", "compare"):
        if where == "text":
            follow(page, "table.texts a >> nth=0")
            page.wait_for_selector("#h-swaps")
        if where == "compare":
            follow(page, "#main form[action='/pin'] button")
            follow(page, "a[href='/compare']")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where
        page.evaluate(axe)
        found = page.evaluate(
            "axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))"
        )
        assert found == [], where
    follow(page, "button:has-text('Unpin'), button:has-text('取消固定')")


def _axe():
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    (file,) = Path(package.__file__).parent.rglob("axe.min.js")
    return file.read_text("utf-8")
