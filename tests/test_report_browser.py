"""The page as a browser shows it: nothing runs, nothing is fetched, everything can be reached."""

import re
import subprocess
from dataclasses import replace

import pytest
import report_fixture as fixture
from browsing import launched

from audit.report import render
from audit.report._anchors import anchor as permalink
from audit.report._passages import visible


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


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
        page.set_default_timeout(120_000)
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


@pytest.mark.timeout(900)
def test_a_page_of_ten_thousand_numbers_is_usable_at_once(browser, files):
    """On the clock of the page's own thread: other work on the machine does not count."""
    (files / "large.html").write_text(render(fixture.large(measurements=10_000)), "utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(300_000)
    tools = context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto((files / "large.html").as_uri())
    page.locator("#tools").wait_for(state="visible")
    spent = {m["name"]: m["value"] for m in tools.send("Performance.getMetrics")["metrics"]}
    context.close()
    assert spent["TaskDuration"] < 2


def test_a_hostile_model_name_stays_in_the_title(visit, files):
    result = fixture.normal()
    evil = replace(result.provenance, model_name="</title><script>window.__pwned=1</script>")
    (files / "evil.html").write_text(render(replace(result, provenance=evil)), "utf-8")
    page = visit("evil", bypass_csp=True)
    assert page.evaluate("window.__pwned") is None
    assert page.title() == "Audit of </title><script>window.__pwned=1</script>"


def test_the_language_turns_without_a_reload_and_attributes_follow(visit):
    page = visit("normal")
    before = page.locator("#verdict .lede").inner_text()
    page.click("#language")
    assert page.locator("#verdict .lede").inner_text() != before
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.locator("nav.toc").get_attribute("aria-label") == "章节"
    assert page.title() == "applicants-minilm 的审计"
    assert page.locator("#shown").inner_text().startswith("显示")
    # What is shown is Chinese: no English word of the catalogue's headings is left in sight.
    headings = page.evaluate("[...document.querySelectorAll('main h2')].map(h => h.innerText)")
    assert len(headings) >= 14 and not [h for h in headings if h.isascii()]
    page.click("#language")
    assert page.locator("#verdict .lede").inner_text() == before
    assert len(page.requests) == 1


def test_no_row_heading_is_squeezed_on_a_narrow_chinese_page(visit):
    page = visit("normal", width=360)
    page.click("#language")
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    widths = page.evaluate(
        "[...document.querySelectorAll('table.small th[scope=row]')]"
        ".map(h => h.getBoundingClientRect().width)"
    )
    assert len(widths) > 20 and min(widths) >= 90
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_cells_repeat_their_heading_only_where_the_headings_are_out_of_sight(visit):
    cell = "getComputedStyle(document.querySelector('.stack td[data-h]'), '::before').content"
    for width, in_english, in_chinese in ((1280, "none", "none"), (360, '"Value "', '"数值 "')):
        page = visit("normal", width=width)
        found = page.evaluate(cell)
        page.click("#language")
        assert (found, page.evaluate(cell)) == (in_english, in_chinese)


def test_the_findings_read_in_chinese_with_the_same_numbers(visit):
    page = visit("normal")
    cells = "[...document.querySelectorAll('.finding .grid dd')].map(e => e.innerText)"
    english = page.evaluate(cells)
    page.click("#language")
    chinese = page.evaluate(cells)
    changed = [(e, z) for e, z in zip(english, chinese, strict=True) if e != z]
    assert len(changed) >= 0.7 * len(english)
    for e, z in changed:
        digits = [sorted(re.findall(r"\d+(?:\.\d+)?", t.replace(",", ""))) for t in (e, z)]
        assert set(digits[1]) <= set(digits[0]), (e, z)


def test_the_brief_view_fits_few_screens_and_a_link_leads_out_of_it(visit):
    page = visit("normal")
    whole = page.evaluate("document.documentElement.scrollHeight")
    page.click("#view")
    assert page.evaluate("document.documentElement.scrollHeight") < whole / 3
    assert page.locator("#findings").is_hidden() and page.locator("#summary").is_visible()
    assert page.locator("#view").get_attribute("aria-pressed") == "true"
    page.click("#summary .top a >> nth=0")
    page.locator("#findings").wait_for(state="visible", timeout=5_000)


def test_rows_that_are_not_in_the_page_are_found_drawn_and_linked(visit, files):
    result = fixture.large(cases=0, measurements=3_000)
    (files / "many.html").write_text(render(result), "utf-8")
    page = visit("many")
    assert page.locator("tr[data-s]").count() == 20
    page.fill("#q", "s2042")
    said(page, "1 of 3,000")
    row = page.locator("tr[data-s]:visible")
    assert row.count() == 1 and "s2042" in row.inner_text()
    anchor = row.get_attribute("id")
    page.fill("#q", "")
    page.locator("button.more-rows").first.click()
    assert page.locator("tr[data-s]:visible").count() == 220
    page.select_option("#order", "high")
    shown = page.evaluate(
        "[...document.querySelectorAll('tr[data-s]:not([hidden]) td:nth-child(2)')]"
        ".map(e => parseFloat(e.textContent))"
    )
    assert shown == sorted(shown, reverse=True) and len(shown) >= 220
    page = visit("many", anchor=f"#{anchor}")
    assert page.locator(f"[id='{anchor}']").is_visible() and page.errors == []


def test_a_drawn_row_says_what_the_page_would_have_said(visit, files):
    """The same measurement, once in the HTML and once drawn by the script."""
    few, many = fixture.large(cases=0, measurements=100), fixture.large(cases=0, measurements=700)
    name = few.runs[0].measurements[60].id
    texts = []
    for title, result in (("few", few), ("many", many)):
        (files / f"{title}.html").write_text(render(result), "utf-8")
        page = visit(title, anchor=f"#{permalink('m', name)}")
        row = page.locator(f"[id='{permalink('m', name)}']")
        texts.append(re.sub(r"\s+", " ", row.inner_text()))
    assert texts[0] == texts[1]


def test_cases_beyond_the_first_are_drawn_when_their_list_is_opened(visit, files):
    (files / "books.html").write_text(render(fixture.large(cases=700, measurements=60)), "utf-8")
    page = visit("books")
    assert page.locator("li.case").count() == 150
    page.evaluate("document.querySelectorAll('details.cases').forEach(d => { d.open = true; })")
    page.wait_for_timeout(300)
    assert page.locator("li.case").count() == 700


def test_a_case_can_be_run_again_from_a_command(visit, files):
    result = fixture.normal()
    run = result.runs[1]
    evil = 'it\'s `id` $(id) "x" \u202e!'
    cases = (replace(run.cases[0], before=evil, after=evil + "?"), *run.cases[1:])
    runs = (result.runs[0], replace(run, cases=cases), *result.runs[2:])
    (files / "again.html").write_text(render(replace(result, runs=runs)), "utf-8")
    page = visit("again")
    page.evaluate("document.querySelectorAll('details.cases').forEach(d => { d.open = true; })")
    page.locator(".case", has_text="$(id)").locator("button.copy").click()
    line = page.locator("code.line").text_content()
    assert line.startswith("evenhand explain audit.toml $'")
    said_by_shell = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line.removeprefix('evenhand explain audit.toml ')}"],
        capture_output=True,
        check=True,
        env={"LC_ALL": "C.UTF-8"},
    ).stdout.decode()
    assert said_by_shell == f"{evil}\0{evil}?\0"


def test_a_drawn_case_says_what_the_page_would_have_said(visit, files):
    """The same cases, once in the HTML and once drawn: words, weights, reliability, differences."""
    many = fixture.large(cases=300, measurements=60)
    run = many.runs[0]
    cases = tuple(
        replace(
            c,
            note="swap: a → b; no placebo" if i % 3 else "",
            reliability="high: as measured" if i % 2 else "",
            **(
                {"words_after": tuple(c.after.split()), "weights_after": c.weights[::-1]}
                if i % 2
                else {}
            ),
        )
        for i, c in enumerate(run.cases)
    )
    later = [c for c in cases if c.metric in {m.id for m in run.measurements[40:50]}][:6]
    texts = []
    for title, shown in (("few-cases", tuple(later)), ("many-cases", cases)):
        result = replace(many, runs=(replace(run, cases=shown),))
        (files / f"{title}.html").write_text(render(result), "utf-8")
        page = visit(title)
        page.evaluate("document.querySelectorAll('details.cases').forEach(d => { d.open = true; })")
        page.locator("li.case button.copy").last.wait_for()
        found = page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('li.case')].map("
            "e => [e.querySelector('code').textContent, e.textContent.replace(/\\s+/g, '')]))"
        )
        assert page.errors == []
        texts.append({c.example_id: found[c.example_id] for c in later})
    assert texts[0] == texts[1] and len(texts[0]) == 6


def test_a_judged_row_that_is_drawn_later_keeps_its_verdict(visit, files):
    """More claims than rows: the worst stand in the HTML, the rest says what it was judged."""
    base = fixture.large(cases=0, measurements=700)
    measured = base.runs[0].measurements
    verdicts = tuple(
        fixture.verdict(m, "at_most", 0.05, status="fail" if i < 300 else "pass")
        for i, m in enumerate(measured)
    )
    result = fixture.result_of(base.runs, verdicts)
    (files / "judged.html").write_text(render(result), "utf-8")
    page = visit("judged")
    assert page.locator("tr[data-s]").count() == 250
    assert page.locator("tr[data-s=fail]").count() == 250
    page.fill("#q", "s0650")
    said(page, "1 of 700")
    row = page.locator("tr[data-s]:visible")
    assert row.get_attribute("data-s") == "pass" and "Pass ≤ 0.05" in " ".join(
        row.inner_text().split()
    )
    assert row.locator("rect.beyond").count() == 1
    page.fill("#q", "")
    page.select_option("#only", "pass")
    said(page, "400 of 700")
    assert page.errors == []
    text = page.locator("#claims").inner_text()
    assert "450 more claims stand in result.json" in text
