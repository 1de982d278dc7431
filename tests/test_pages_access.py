"""Whether everybody can read the pages beside the report: axe-core finds no violation in them."""

import pytest
from browsing import launched
from test_explain import RULE, TEXTS
from test_history import kept  # noqa: F401
from test_impact_ratio import TV25, people
from test_ll144 import result_of
from test_report_access import axe  # noqa: F401
from test_review import audited, sheet  # noqa: F401
from test_runner import config, corpus  # noqa: F401
from test_versus import two  # noqa: F401

from audit import explaining, history, publication, renderings, versus
from audit.explain import explain
from audit.scorer import Scorer
from audit.standing import standing
from audit.testing import Lexicon


@pytest.fixture
def pages(kept, two, audited, tmp_path):  # noqa: F811
    folder = tmp_path / "pages"
    folder.mkdir()
    published = publication.publication(result_of(people(TV25)))
    explained = explain(Scorer(Lexicon(good=2.0, bad=-1.0)), RULE, TEXTS)
    for name, text in {
        "ll144": renderings.ll144_page(published, "en"),
        "ll144.zh": renderings.ll144_page(published, "zh"),
        "history": history.to_html(history.collect(kept)),
        "compare": versus.to_html(standing(two)),
        "compare.zh": versus.to_html(standing(two), "zh"),
        "course": versus.to_html(standing(two), ordered=True),
        "explain": explaining.as_page(explained, "model"),
    }.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    sheet(audited, tmp_path, "--html", str(folder / "review.html"))
    return folder


@pytest.mark.timeout(600)
def test_axe_finds_no_violation_in_any_of_them(pages, axe):  # noqa: F811
    assert len(list(pages.glob("*.html"))) == 9
    told = []
    with launched() as browser:
        for theme, width in (("light", 1280), ("dark", 360)):
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=theme,
                bypass_csp=True,
                reduced_motion="reduce",
            )
            for path in sorted(pages.glob("*.html")):
                page = context.new_page()
                page.goto(path.as_uri())
                page.evaluate(
                    "document.querySelectorAll('details').forEach(d => { d.open = true; })"
                )
                page.evaluate(axe)
                found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
                told += [
                    (path.name, theme, width, v["id"], v["nodes"][0]["html"][:200])
                    for v in found["violations"]
                ]
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    told.append((path.name, theme, width, "scrolls sideways", ""))
                page.close()
            context.close()
    assert told == []
