"""Responses of those responsible: read, kept beside their findings, shown on the page."""

import re

import pytest
import report_fixture as fixture

from audit import config, responses
from audit.borders import write_json
from audit.cli import main
from audit.errors import ConfigError
from audit.report import render
from audit.types import Response

FILE = """
[responses]
"F-0000000000" = "Never heard of."

[responses."swaps.flip_rate"]
response = "Counterfactual copies were added."
owner = "Recruiting engineering"
due = 2027-01-31
cause = "Few training texts about women in technical roles."
"""


def test_a_file_is_read_with_days_of_its_own(tmp_path):
    path = tmp_path / "responses.toml"
    path.write_text(FILE, "utf-8")
    said = responses.read(path)
    assert said["swaps.flip_rate"].due == "2027-01-31"
    assert said["F-0000000000"] == Response(response="Never heard of.")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "x"),
        ('[responses.a]\nresponse = "r"\ndue = "soon"', "due"),
        ('[responses.a]\nowners = "r"', "owners"),
        ("[[", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, words):
    path = tmp_path / "responses.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=re.escape(words)):
        responses.read(path)
    with pytest.raises(ConfigError, match="no responses file"):
        responses.read(tmp_path / "none.toml")


def test_the_nearest_key_answers_a_finding():
    finding = fixture.normal().findings[0]
    metric = finding.measurement.partition("[")[0]
    all_three = {
        finding.id: Response(response="id"),
        finding.measurement: Response(response="measurement"),
        metric: Response(response="metric"),
    }
    for key in (finding.id, finding.measurement, metric):
        assert responses.of(finding, all_three) == all_three.pop(key)
    assert responses.of(finding, {}) == Response()


def test_the_page_shows_response_owner_day_and_cause():
    result = fixture.normal()
    said = Response(response="Done <b>", owner="A. Person", due="2027-01-31", cause="Old data")
    answered = responses.answered(result, {result.findings[0].id: said})
    page = render(answered)
    shown = page[page.index(f'id="{result.findings[0].id}"') :]
    shown = shown[: shown.index("</article>")]
    for words in ("Done &lt;b&gt;", "A. Person", "31 January 2027", "2027年1月31日", "Old data"):
        assert words in shown
    assert responses.unheard(answered) == ()


def test_the_command_takes_a_file_and_names_what_answers_nothing(tmp_path, capsys):
    (tmp_path / "result.json").write_text(write_json(fixture.normal()), "utf-8")
    path = tmp_path / "responses.toml"
    path.write_text('[responses]\n"F-0000000000" = "x"\n"swaps.flip_rate" = "Heard."\n', "utf-8")
    assert main(["report", str(tmp_path / "result.json"), "--responses", str(path)]) == 0
    said = capsys.readouterr().out
    assert "'F-0000000000'" in said and "swaps.flip_rate" not in said
    assert "Heard." in (tmp_path / "report.html").read_text("utf-8")


def test_the_audit_file_takes_a_text_or_a_table():
    read = config.reads(
        fixture.AUDIT_FILE
        + '[responses]\n"a.b" = "short"\n\n[responses."c.d"]\nresponse = "long"\nowner = "me"\n'
    )
    assert responses.settled(read.responses) == {
        "a.b": Response(response="short"),
        "c.d": Response(response="long", owner="me"),
    }
