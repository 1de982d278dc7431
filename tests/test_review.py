"""Questions for people go out as a sheet and a form, and the answers come back into the next run."""

import csv
import io
import re
from dataclasses import replace

import pytest
from test_report import Page, banned
from test_report_browser import browser  # noqa: F401
from test_verify import AUDIT, MODEL

from audit import config, corpus, review, store, verify
from audit.cli import main
from audit.errors import DataError
from audit.types import Corpus, Example

REVIEWED = AUDIT + '\n[review]\nfile = "review.csv"\n'


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("review")
    rows = [
        f"{i},It was a {('good', 'bad', 'usual')[i % 3]} day and {('she', 'he')[i % 2]} thought "
        f"so on day {i},{('yes', 'no')[i % 3 == 1]},{'fm'[i % 2]},{'abc'[i % 5 % 3]}"
        for i in range(120)
    ]
    (folder / "texts.csv").write_text("id,text,label,sex,race\n" + "\n".join(rows) + "\n")
    (folder / "model.py").write_text(MODEL.replace("{shift}", "0.0"))
    small = re.sub(r'\[\[probe\]\]\nname = "(?!swaps|group_rates).*?"\n(suite.*\n)?', "", AUDIT)
    small = re.sub(r'\[\[gate\]\]\nmetric = "typos[^[]*', "", small)
    small += '\n[[gate]]\nmetric = "swaps.flip_rate"\nat_most = 0.35\n'
    (folder / "audit.toml").write_text(small)
    assert main(["run", str(folder / "audit.toml")]) in (0, 1, 3)
    return folder


def sheet(audited, tmp_path, *more):
    out = tmp_path / "questions.csv"
    command = ["review", str(audited / "out"), "--out", str(out), *more]
    assert main([*command, "--audit", str(audited / "audit.toml")]) == 0
    return list(csv.DictReader(io.StringIO(out.read_text("utf-8"), newline="")))


def filled(rows, answers, path, reviewer="R. Reader", day="2026-11-27"):
    """Answer the rows: id to answer."""
    done = [
        dict(row, answer=answers[row["item"]], reviewer=reviewer, date=day)
        if row["item"] in answers
        else row
        for row in rows
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, review.COLUMNS)
        writer.writeheader()
        writer.writerows(done)


def test_the_queue_asks_of_claims_changes_and_labels(audited, tmp_path):
    rows = sheet(audited, tmp_path)
    kinds = {row["kind"] for row in rows}
    assert kinds == {"undecided", "validity", "label"}
    assert "interval crosses the limit" in rows[0]["because"]
    labels = [row for row in rows if row["kind"] == "label"]
    # The model is wrong on 'usual' days of women; most confident first.
    assert all(row["label"] == "yes" and "the model decides no" in row["because"] for row in labels)
    margins = [float(row["because"].rpartition(" ")[2]) for row in labels]
    assert margins == sorted(margins, reverse=True) and margins
    for row in rows:
        assert row["answer"] == row["reviewer"] == row["date"] == ""
        assert row["kind"] == "label" or row["before"] != row["after"]
    assert len({row["item"] for row in rows}) == len(rows)


def test_without_the_audit_file_no_label_is_asked_about(audited, tmp_path, capsys):
    out = tmp_path / "q.csv"
    assert main(["review", str(audited / "out"), "--out", str(out)]) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8"))))
    assert rows and all(row["kind"] != "label" for row in rows)
    assert "only where --audit leads" in capsys.readouterr().out


def test_answers_flow_into_the_next_run_with_reviewer_and_day(audited, tmp_path):
    rows = sheet(audited, tmp_path)
    labels = [row for row in rows if row["kind"] == "label"]
    pairs = [row for row in rows if row["kind"] == "validity"]
    answers = {row["item"]: "no" for row in labels[:6]}
    answers |= {labels[6]["item"]: "unclear", labels[7]["item"]: "right"}
    answers |= {row["item"]: "yes" for row in pairs[:9]} | {pairs[9]["item"]: "no"}
    for name in ("texts.csv", "model.py", "audit.toml"):
        (tmp_path / name).write_bytes((audited / name).read_bytes())
    filled(rows, answers, tmp_path / "review.csv")
    path = tmp_path / "audit.toml"
    path.write_text(path.read_text("utf-8") + '\n[review]\nfile = "review.csv"\n', "utf-8")
    assert main(["run", str(path)]) in (0, 1, 3)
    before, after = store.read(audited / "out"), store.read(tmp_path / "out")
    assert before.plan.digest != after.plan.digest
    run = next(r for r in after.runs if r.probe == "review")
    assert run.params == {"reviewers": {"R. Reader, 2026-11-27": 18}}
    found = {m.metric: m.value for m in run.measurements}
    assert (found["label_change_rate"].value, found["label_change_rate"].n) == (6 / 8, 8)
    valid = [m.value for m in run.measurements if m.metric == "valid_rate"]
    assert sum(round(e.value * e.n) for e in valid) == 9 and sum(e.n for e in valid) == 10
    (skip,) = run.skips
    assert (skip.count, "unclear" in skip.reason) == (1, True)

    def accuracy(result):
        return next(
            m.value for r in result.runs for m in r.measurements if m.id == "group_rates.accuracy"
        )

    was, now = accuracy(before), accuracy(after)
    # Six errors were the label's; one text has no label any more.
    assert now.n == was.n - 1
    assert round(now.value * now.n) == round(was.value * was.n) + 6
    notes = [c.note for r in after.runs for c in r.cases if "reviewed by" in c.note]
    assert any("reviewed by R. Reader on 2026-11-27, valid: " in note for note in notes)
    checks = verify.verify(tmp_path / "out")
    assert not [c for c in checks if c.state == "differs"], checks
    assert main(["verify", str(tmp_path / "out"), "--audit", str(path)]) == 0


def test_an_answer_about_another_text_says_nothing(audited, tmp_path):
    texts = corpus_of(audited)
    rows = sheet(audited, tmp_path)
    label = next(row for row in rows if row["kind"] == "label")
    said = {label["item"]: review.Answer(answer="no", reviewer="R", day="2026-11-27")}
    assert review.relabelled(texts, said).changed == 1
    other = replace(texts, examples=tuple(replace(e, text=e.text + "!") for e in texts.examples))
    assert review.relabelled(other, said).changed == 0
    turned = replace(texts, examples=tuple(replace(e, label="no") for e in texts.examples))
    assert review.relabelled(turned, said).changed == 0


def corpus_of(audited):
    read = config.read(audited / "audit.toml")
    return corpus.load(
        read.corpora["test"], audited, name="test", model_labels=("no", "yes"), head="single"
    )


def test_labels_of_several_are_corrected_too():
    texts = Corpus(
        name="test",
        labels=("a", "b", "c"),
        examples=(Example(id="1", text="x", label=("a", "b")),),
    )
    key = review.label_id(texts.examples[0])
    said = {key: review.Answer(answer="b|c", reviewer="R", day="2026-11-27")}
    assert review.relabelled(texts, said).corpus.examples[0].label == ("b", "c")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"answer": "no", "reviewer": "", "date": "2026-11-27"}, "has no reviewer"),
        ({"answer": "no", "reviewer": "R", "date": "yesterday"}, "is no day"),
        ({"answer": "maybe so", "reviewer": "R", "date": "2026-11-27"}, "does not know"),
    ],
)
def test_an_answer_is_read_strictly(row, said, audited, tmp_path):
    rows = sheet(audited, tmp_path)
    label = next(r for r in rows if r["kind"] == "label")
    path = tmp_path / "review.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, review.ANSWERS)
        writer.writeheader()
        writer.writerow({"item": label["item"], "comment": "", **row})
    with pytest.raises(DataError, match=said):
        review.relabelled(corpus_of(audited), review.read(path))


def test_two_answers_to_one_question_are_refused(tmp_path):
    path = tmp_path / "r.csv"
    head = "item,answer,reviewer,date\n"
    path.write_text(f"{head}l1,yes,A,2026-11-27\nl1,no,B,2026-11-27\n", "utf-8")
    with pytest.raises(DataError, match="answered twice"):
        review.read(path)
    path.write_text("item;answer;reviewer;date\nl1;yes;A;2026-11-27\n", "utf-8")
    assert review.read(path)["l1"].reviewer == "A"
    path.write_text("item,answer\nl1,yes\n", "utf-8")
    with pytest.raises(DataError, match="no column 'reviewer'"):
        review.read(path)


def test_the_form_is_a_page_of_its_own_in_two_languages(audited, tmp_path):
    html = tmp_path / "form.html"
    sheet(audited, tmp_path, "--html", str(html))
    for path, words in ((html, "Save answers"), (tmp_path / "form.zh.html", "保存答案")):
        source = path.read_text("utf-8")
        page = Page(re.sub(r"</?(option|input)[^>]*>", "", source))
        assert words in source and "unsafe" not in source
        assert banned(" ".join(page.ours)) == []
        assert "on" not in {k[:2] for _, a in page.elements for k in a if k.startswith("on")}


def test_the_form_saves_what_was_answered(audited, tmp_path, browser):  # noqa: F811
    """In a browser: what leaves the page is a sheet that the next run reads."""
    html = tmp_path / "form.html"
    rows = sheet(audited, tmp_path, "--html", str(html))
    page = browser.new_page(accept_downloads=True)
    requests = []
    page.on("request", lambda r: requests.append(r.url))
    page.goto(html.as_uri())
    page.click("#save")
    assert "Write who answers" in page.text_content("#said")
    page.fill("#reviewer", '=R. "Reader"')
    page.fill("#date", "2026-11-27")
    first = page.locator("[data-item]").first
    first.locator("select[data-answer]").select_option("yes")
    first.locator("[data-comment]").fill("clear, to me")
    with page.expect_download() as caught:
        page.click("#save")
    caught.value.save_as(tmp_path / "saved.csv")
    answers = review.read(tmp_path / "saved.csv")
    assert set(answers) == {rows[0]["item"]}
    (answer,) = answers.values()
    assert answer.answer == "yes" and answer.comment == "clear, to me"
    assert answer.reviewer.startswith("'=") and answer.day == "2026-11-27"
    assert all(url.startswith(("file:", "blob:")) for url in requests)


def test_a_hostile_text_stays_text_on_sheet_and_form():
    evil = review.Item(
        id="s1",
        kind="validity",
        about="x.y",
        example_id='"><script>alert(1)</script>',
        before="=cmd|' /C calc'!A0",
        after="</script><img src=x onerror=alert(1)>",
    )
    page = review.as_page([evil], ["<b>", '"><i>'], "en")
    assert "<img" not in page and "<script>alert" not in page and "<i>" not in page
    (row,) = csv.DictReader(io.StringIO(review.as_csv([evil]), newline=""))
    assert row["before"].startswith("'=")
