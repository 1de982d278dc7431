"""The page as text. What a browser makes of it is in test_report_browser.py."""

import base64
import hashlib
import json
import re
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_fixture as fixture

from audit.figures import number, parse, percent
from audit.report import render
from audit.report._passages import compare, heat, hidden, pieces, tongue, visible
from audit.report._plots import axis, plot
from audit.report._sections import detectable
from audit.shipped import shipped
from audit.types import Estimate, Measurement, measurement_id

VOID = {"meta", "br", "input", "path", "rect", "circle", "use"}
QUOTED = {"bdi", "pre", "script", "style", "i"}
"""Elements that hold the words of others, or code."""


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, ids, and text by where it stands."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.open, self.tongues = [], [], []
        self.text, self.chinese, self.ours, self.quoted = [], [], [], []
        self.feed(source)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
            self.tongues.append(dict(attributes).get("class"))

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"{tag} closes {self.open[-3:]}"
        self.open.pop()
        self.tongues.pop()

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            if "z" not in self.tongues:
                self.text.append(data)
            if "e" not in self.tongues:
                self.chinese.append(data)
        (self.quoted if QUOTED & set(self.open) else self.ours).append(data)

    def ids(self):
        return [a["id"] for _, a in self.elements if "id" in a]


@pytest.fixture(scope="module")
def pages():
    return {name: render(make()) for name, make in fixture.ALL.items()}


@pytest.fixture(scope="module")
def parsed(pages):
    return {name: Page(source) for name, source in pages.items()}


@pytest.fixture(params=sorted(fixture.ALL))
def name(request):
    return request.param


def test_the_same_result_gives_the_same_bytes(name, pages):
    assert render(fixture.ALL[name]()) == pages[name]


def test_the_order_of_a_mapping_does_not_matter(pages):
    """A result read from disk has its keys sorted; one in memory has not."""
    result = fixture.normal()

    def turned(mapping):
        return dict(reversed(list(mapping.items())))

    origin = result.provenance
    info = origin.corpora[0]
    info = replace(
        info,
        labels=turned(info.labels),
        groups={k: turned(v) for k, v in turned(info.groups).items()},
    )
    origin = replace(
        origin,
        corpora=(info,),
        packages=turned(origin.packages),
        resources=turned(origin.resources),
        scope=turned(origin.scope),
        system=turned(origin.system),
    )
    runs = tuple(
        replace(
            run,
            params=turned(run.params),
            measurements=tuple(replace(m, where=turned(m.where)) for m in run.measurements),
        )
        for run in result.runs
    )
    plan = replace(
        result.plan,
        probes=tuple(replace(p, params=turned(p.params)) for p in result.plan.probes),
    )
    other = replace(result, provenance=origin, runs=runs, plan=plan, files=turned(result.files))
    assert render(other) == pages["normal"]


def test_every_interval_is_on_the_page(name, pages):
    for run in fixture.ALL[name]().runs:
        for m in run.measurements:
            if isinstance(m.value, Estimate):
                low, high = m.value.low, m.value.high
                assert (
                    f'<data value="{low}">{number(low)}</data> <span class="e">to</span>'
                    f'<span class="z" lang="zh-CN">至</span> '
                    f'<data value="{high}">{number(high)}</data>'
                ) in pages[name]


def test_every_element_is_closed_and_every_link_leads_somewhere(name, parsed):
    page = parsed[name]
    ids = set(page.ids())
    assert len(page.ids()) == len(ids)
    targets = [a["href"] for _, a in page.elements if "href" in a]
    assert targets and all(t.startswith("#") and t[1:] in ids for t in targets)


def test_permalinks_survive_a_re_run(parsed):
    before = {i for i in parsed["normal"].ids() if re.match("(m|F|c|cases)-", i)}
    after = {i for i in parsed["compared"].ids() if re.match("(m|F|c|cases)-", i)}
    assert before == after and len(before) > 30


def test_the_policy_names_one_script_and_one_style_and_nothing_else(name, pages, parsed):
    page = parsed[name]
    (policy,) = [a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a]
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (source,) = re.findall(f"<{tag}>(.*?)</{tag}>", pages[name], re.S)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


def test_nothing_is_fetched_and_nothing_runs_from_an_attribute(name, parsed):
    for tag, attributes in parsed[name].elements:
        assert tag not in ("iframe", "object", "embed", "link", "img", "base", "form")
        for key in attributes:
            assert key != "style" and not key.startswith("on"), (tag, attributes)
            assert key not in ("src", "srcset", "srcdoc", "action", "xlink:href"), (tag, key)


def test_templates_use_no_back_door():
    for path in filter(Path.is_file, shipped("templates").iterdir()):
        source = path.read_text("utf-8")
        for word in (
            "|safe",
            "| safe",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "eval(",
            "Markup",
        ):
            assert word not in source, path.name


def test_a_hostile_text_becomes_no_element(parsed):
    """The hostile page has the elements of a friendly one and no others."""
    friendly = {t for n, p in parsed.items() if n != "hostile" for t, _ in p.elements}
    assert {t for t, _ in parsed["hostile"].elements} <= friendly | {"html"}


def test_no_hidden_character_is_on_the_page(name, pages):
    assert not {c for c in pages[name] if hidden(c)}


def test_every_hostile_text_can_be_read_whole(parsed):
    text = "".join(parsed["hostile"].text)
    for one in fixture.HOSTILE:
        assert visible(one) in text


def test_the_page_can_be_written(pages):
    for page in pages.values():
        page.encode("utf-8")


def test_a_field_that_no_macro_quotes_is_still_harmless():
    finding = replace(fixture.normal().findings[0], id="\u202e<b>\ud800")
    page = render(replace(fixture.normal(), findings=(finding,)))
    assert "\u202e" not in page and "\ud800" not in page and "<b>⟨" not in page


def block(page):
    """What the script draws when asked."""
    return json.loads(re.search('id="rest">(.*?)</script>', page)[1])


def words(language):
    path = shipped("datasets") / "law" / "words.toml"
    return tomllib.loads(path.read_text("utf-8"))[language]["words"]


def banned(text):
    english = "|".join(map(re.escape, words("en")))
    found = re.findall(rf"(?<![\w-])(?:{english})(?![\w-])", text, re.I)
    return found + [w for w in words("zh") if w in text]


def test_the_word_test_can_fail():
    assert banned("The model is Fair and safe.") == ["Fair", "safe"]
    assert banned("fairlearn measures fairness; an unsafe fail-safe") == []
    assert banned("该模型合规") == ["合规"]


def test_no_banned_word_is_said(name, parsed):
    ours = " ".join(parsed[name].ours) if name != "hostile" else ""
    shown = [
        a[k] for _, a in parsed[name].elements for k in ("title", "aria-label", "data-h") if k in a
    ]
    assert banned(ours) == []
    assert name == "hostile" or banned(" ".join(shown)) == []


def test_no_template_or_sentence_holds_a_banned_word():
    """Also in the branches that no fixture reaches."""
    for path in shipped("templates").glob("*.j2"):
        source = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<[^>]+>", " ", path.read_text("utf-8"))
        assert banned(source) == [], path.name
    for module in ("findings.py", "report/_wording.py", "report/_plots.py"):
        source = Path(render.__code__.co_filename).parents[1].joinpath(module).read_text("utf-8")
        assert banned(" ".join(re.findall(r'"[^"\n]*"', source))) == [], module


def top(page):
    """What stands before the first section."""
    return "".join(Page(re.search('<header class="mast".*?</header>', page, re.S)[0]).text)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("normal", "Of 12 claims, four fail, one crashed, two are undecided and two could not be"),
        ("normal", "One of six probes did not finish: attack."),
        ("normal", "Exit code 1. At least one blocking limit is broken."),
        ("clear", "All three claims pass, at the limits that were declared."),
        ("clear", "Exit code 0. No blocking claim failed, crashed or stayed undecided."),
        ("unjudged", "No limit was declared, so nothing was judged."),
        ("absent", "No number could be formed: the one is absent. Nothing on this page says"),
        ("absent", "The corpus test holds no text."),
        ("crashed", "Every probe crashed. Nothing on this page says anything about the model."),
        ("crashed", "Exit code 2. A probe behind a blocking claim crashed"),
        ("empty", "No probe was run. This page holds a plan and no results."),
    ],
)
def test_the_page_says_on_top_what_came_of_it(name, sentence, pages):
    assert sentence in top(pages[name])


def test_what_is_missing_is_said_to_be_missing(parsed):
    text = "".join(parsed["absent"].text)
    assert text.count("ot stated") >= 7
    assert "The audit file was not kept." in text


def test_a_crash_a_probe_not_run_and_a_silence_are_listed_with_what_to_do(parsed):
    text = re.sub(r"\s+", " ", "".join(parsed["normal"].text))
    assert "attack: RuntimeError: out of memory at the search of applicant-0412" in text
    assert "What to do: Install it with: pip install nlpaug" in text
    assert "attack.success_rate[recipe=pwws]" in text
    assert "188 no term to swap" in text.replace("188no", "188 no")


def test_undecided_under_warn_and_under_fail_is_explained(pages):
    m = fixture.measured("typos", "flip_rate", fixture.share(40, 400))
    run = replace(fixture.typos_run(), measurements=(m,), cases=(), cases_total=0)
    v = fixture.verdict(m, "at_most", 0.1, status="inconclusive")
    for undecided, code, sentence in (
        ("exit3", 3, "Undecided is not a pass"),
        ("warn", 0, "such claims warn and do not stop a job"),
        ("fail", 1, "undecided counts as failed"),
    ):
        plan = fixture.plan_of((run,), (v,), undecided=undecided)
        said = top(render(fixture.result_of((run,), (v,), plan=plan)))
        assert f"Exit code {code}." in said and sentence in said


def test_two_thousand_cases_fit_in_five_megabytes():
    page = render(fixture.large())
    assert len(page.encode()) <= 5_000_000
    assert page.count('<li class="case"') == 150
    assert sum(map(len, block(page)["cases"].values())) == 1_850


def test_more_cases_than_fit_are_counted_not_dropped_silently():
    page = render(fixture.large(cases=2_100, measurements=60))
    assert page.count('<li class="case"') + sum(map(len, block(page)["cases"].values())) == 2_000
    assert "100 more cases of result.json" in page


# Parts


def marked(segments):
    return [("".join(p.text for p in s.pieces), s.changed, s.folded) for s in segments]


def test_changed_words_are_marked_and_nothing_is_lost():
    before, after = compare("He led the men's team.", "She led the women's team.")
    assert [t for t, changed, _ in marked(before) if changed] == ["He", "men"]
    assert [t for t, changed, _ in marked(after) if changed] == ["She", "women"]
    assert "".join(t for t, *_ in marked(after)) == "She led the women's team."


def test_a_space_between_two_changed_words_is_part_of_the_change():
    before, _ = compare("a good old book", "a nice new book")
    assert [t for t, changed, _ in marked(before) if changed] == ["good old"]


def test_scripts_without_spaces_are_compared_character_by_character():
    before, after = compare("他是护士。", "她是护士。")
    assert [t for t, changed, _ in marked(before) if changed] == ["他"]
    assert [t for t, changed, _ in marked(after) if changed] == ["她"]


def test_a_hidden_insertion_is_marked_and_shown():
    _, after = compare("plain word", "plain wo\u200brd")
    assert any(changed and "⟨U+200B⟩" in text for text, changed, _ in marked(after))


def test_long_unchanged_stretches_are_folded_with_their_length():
    text = "word " * 400
    before, _ = compare(text + "end", text + "fin")
    (fold,) = [folded for *_, folded in marked(before) if folded]
    shown = sum(len(t) for t, *_ in marked(before))
    assert fold + shown == len(text) + 3 and shown < 400


def test_a_huge_change_ends_quickly_and_says_what_it_leaves_out():
    before, after = compare("x" * 1_000_000, "y " * 500_000)
    assert marked(before)[-1][2] == 998_000 and marked(after)[-1][2] > 900_000


def test_escapes_are_visible_and_plain_text_is_left_alone():
    assert visible("a\u202eb\x00\ud800\U000e0041") == "a⟨U+202E⟩b⟨U+0000⟩⟨U+D800⟩⟨U+E0041⟩"
    for plain in ("naïve café", "他说：\n“她”\t。", "न\u093fर", "🙂", "a\u0301"):
        assert visible(plain) == plain
    assert [p.escaped for p in pieces("\ufeffa")] == [True, False]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("The decision is about the applicant and her work.", "en"),
        ("Die Entscheidung betrifft die Bewerberin.", ""),
        ("他是护士。", "zh"),
        ("彼女は看護師です。", "ja"),
        ("그녀는 간호사입니다.", "ko"),
        ("", ""),
        ("12345 !?", ""),
    ],
)
def test_a_text_says_in_which_language_it_is_where_its_letters_tell(text, tag):
    assert tongue(text) == tag


def test_a_sample_is_marked_with_its_language_and_isolated():
    page = render(fixture.normal())
    assert re.search(r'<dd><bdi dir="auto" lang="en">', page)


def test_heat_carries_sign_and_number_not_colour_alone():
    shades = heat(["good", "bad", "the"], [0.5, -0.25, 0.01])
    assert [(w.shade, w.label) for w in shades] == [
        ("p10", "+0.50"),
        ("n5", "−0.25"),
        ("", "+0.01"),
    ]
    assert [w.shade for w in heat(["a"], [0.0])] == [""]


@pytest.mark.parametrize(
    ("values", "share", "none"),
    [
        ((0.02, 0.3), True, None),
        ((0.0, 0.0), True, None),
        ((1.0, 1.0), True, None),
        ((-0.3, 0.1), False, 0.0),
        ((0.0, 0.0), False, 0.0),
        ((5.0, 5.0), False, None),
        ((1e-7, 3e-7), False, 0.0),
        ((12.0, 40_000.0), False, None),
        ((), True, None),
    ],
)
def test_an_axis_holds_its_values_and_has_ticks(values, share, none):
    scale = axis(values, share=share, none=none)
    assert scale.low < scale.high and 2 <= len(scale.ticks) <= 7
    assert all(scale.low <= v <= scale.high for v in values)
    assert not share or (scale.low >= 0 and scale.high <= 1)
    assert len({t.text for t in scale.ticks}) == len(scale.ticks)


def test_a_plot_says_in_words_what_it_draws():
    e = fixture.share(71, 412)
    p = plot(e, axis((e.low, e.high, 0.05), share=True, none=None), limits=[("at_most", 0.05)])
    assert p.text == "0.172, 95% interval 0.139 to 0.212; limit: at most 0.05"
    assert p.low < p.x < p.high and p.marks[0].x < p.low
    assert p.marks[0].beyond_x == p.marks[0].x


def test_numbers_are_written_one_way():
    assert [number(v) for v in (0.1234, -0.5, 0.00042, 0, 1e-9, 12_345.6, 250.04)] == [
        *("0.123", "−0.500", "0.00042", "0", "1e-09", "12,346", "250.0"),
    ]
    assert [percent(v) for v in (0.95, 0.9875, 0.9999999)] == ["95%", "98.75%", "> 99.99%"]


def test_an_id_can_be_taken_apart():
    strange = {"city": "New\u00a0York", "北京": "a\u3000b", "z": "a\u200cb\udc80"}
    for where in ({}, {"gender": "female"}, {"a=b": "c,d]%", "x": "[y]"}, {"k": ""}, strange):
        name = parse(measurement_id("swaps", "flip_rate", where))
        assert (name.probe, name.metric, name.where) == ("swaps", "flip_rate", where)


# Colours


def colours():
    source = (shipped("templates") / "style.css").read_text("utf-8")
    pairs = re.findall(r"(--\w+): light-dark\((#\w+), (#\w+)\)", source)
    shades = re.findall(r"\.([pn]\d+) \{ background: light-dark\((#\w+), (#\w+)\)", source)
    assert len(shades) == 20
    return {k: v for k, *v in pairs}, {k: v for k, *v in shades}


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    a, b = sorted((luminance(one), luminance(other)), reverse=True)
    return (a + 0.05) / (b + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_in_both_themes(theme):
    named, shades = colours()
    text = ("ink", "soft", "link", "fail", "open", "pass", "blank", "error", "off")
    for ground in ("paper", "raise"):
        for name in text:
            ratio = contrast(named[f"--{name}"][theme], named[f"--{ground}"][theme])
            assert ratio >= 4.5, f"{name} on {ground}: {ratio:.2f}"
    for name, ground in {**shades, "mark": named["--mark"]}.items():
        assert contrast(named["--ink"][theme], ground[theme]) >= 4.5, name
    for name in ("edge", "fail"):
        assert contrast(named[f"--{name}"][theme], named["--paper"][theme]) >= 3
    assert contrast(named["--fail"][theme], named["--beyond"][theme]) >= 3


def test_names_of_lines_that_end_at_one_point_stand_apart():
    from itertools import pairwise

    from audit.report._charts import Line, _apart

    lines = tuple(
        Line(name=n, style=i, points=(), path="", band="", dots=(), name_x=9, name_y=y)
        for i, (n, y) in enumerate((("a", 50.0), ("b", 50.0), ("c", 120.0), ("d", 57.0)))
    )
    ys = sorted(line.name_y for line in _apart(lines))
    assert min(b - a for a, b in pairwise(ys)) >= 14
    assert [line.name for line in _apart(lines)] == ["a", "b", "c", "d"]
    assert _apart(lines)[2].name_y == 120.0


def test_an_attack_has_a_table_by_group_with_its_corrected_differences():
    from audit import stats
    from audit.report._exploratory import corrected
    from audit.report._grids import grids

    def fact(metric, value, unit, **where):
        inner = ",".join(f"{k}={v}" for k, v in sorted(where.items()))
        return Measurement(
            id=f"attack.{metric}[{inner}]",
            metric=metric,
            where=where,
            value=value,
            unit=unit,
            eligible=80,
            family=f"attack.{metric}",
        )

    measured, broken = [], {"pruthi": {"f": 30, "m": 8}, "pwws": {"f": 5, "m": 6}}
    for recipe, by in broken.items():
        share, gap = "share of attacked texts", "difference in the share of attacked texts"
        metric = "broken_within_budget"
        measured.append(fact(metric, stats.share(sum(by.values()), 80), share, recipe=recipe))
        for group, rest in (("f", "m"), ("m", "f")):
            measured += [
                fact(metric, stats.share(by[group], 40), share, recipe=recipe, sex=group),
                fact(
                    "broken_gap",
                    stats.difference(by[group], 40, by[rest], 40),
                    gap,
                    recipe=recipe,
                    sex=group,
                    against="rest",
                ),
            ]
        measured += [
            fact("broken_by", stats.share(k, 80), share, recipe=recipe, budget=str(k))
            for k in (1, 5, 9)
        ]
    plain = fixture.ALL["clear"]()
    run = replace(plain.runs[0], probe="attack", measurements=tuple(measured), cases=())
    result = replace(plain, runs=(run,), verdicts=(), findings=())
    anchors = {m.id: f"m-{i}" for i, m in enumerate(measured)}
    of = {g.attribute: g for g in grids(result, anchors, corrected(result))}
    grid = of["sex"]
    said = [(c.metric, c.where["recipe"], c.against) for c in grid.columns]
    assert said == [
        (metric, recipe, against)
        for recipe in ("pruthi", "pwws")
        for metric, against in (("broken_within_budget", False), ("broken_gap", True))
    ]
    assert [row.value for row in grid.rows] == [None, "f", "m"]
    women = grid.rows[1].cells
    assert women[0].text == "0.750" and women[1].text == "+0.550"
    # Four differences were looked at; that of the other recipe is far from any.
    alone = stats.p_beyond(stats.for_judging(measured[2].value), 0.0, "above")
    assert alone * 2 < women[1].q < 0.001 and women[3].q > 0.5
    assert grid.tested and all(not cell.judged for cell in grid.rows[0].cells)
    assert women[0].shade == "p10"
    # By itself a difference of 0.0125 is no deep shade either.
    alone = replace(run, measurements=tuple(m for m in measured if m.where["recipe"] == "pwws"))
    of = {g.attribute: g for g in grids(replace(result, runs=(alone,)), anchors, {})}
    assert {cell.shade for row in of["sex"].rows for cell in row.cells} == {"", "n1", "p1"}
    page = render(result)
    words = re.sub("<[^>]+>", "", page)
    assert "less the rest" in words and "attack: share broken, against budget" in words
    assert "by by" not in words


def test_a_crash_never_reads_as_nothing_found():
    """Every probe crashed: no sentence of the page may sound like a clean result."""
    page = render(fixture.ALL["crashed"]())
    assert page.count("1 claim could not be judged: a probe crashed or gave no number.") == 2
    assert "Mend what crashed or is missing" in page
    assert "No claim failed" not in page and "Nothing follows from the claims" not in page
    clear = render(fixture.ALL["clear"]())
    assert "No claim failed" in clear and "could not be judged" not in clear


def test_the_smallest_effects_show_the_worse_of_two_limits():
    """A number kept on one side and broken on the other must not read as a pass."""
    result = fixture.ALL["normal"]()
    measured = {m.id: m for run in result.runs for m in run.measurements}
    failing = next(
        v
        for v in result.verdicts
        if v.status == "fail" and getattr(measured[v.claim.measurement].value, "mde", None)
    )
    kept = replace(
        failing,
        status="pass",
        claim=replace(failing.claim, id=failing.claim.id + " kept", limit=0.9),
    )
    for verdicts in ((kept, *result.verdicts), (*result.verdicts, kept)):
        found, _ = detectable(replace(result, verdicts=verdicts), dict.fromkeys(measured, "x"))
        m = measured[failing.claim.measurement]
        (one,) = [d for d in found if d.metric == m.metric and d.where == m.where]
        assert one.status == "fail"
