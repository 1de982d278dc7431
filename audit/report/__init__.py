"""From a result to a page. Nothing here measures, judges or rounds twice.

The page is a pure function of the result: the same result gives the same bytes. It loads nothing,
and its content security policy names the digests of its one script and its one style sheet.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from audit import figures, gates
from audit.law import crosswalk
from audit.report import _catalogue as words
from audit.report._aligned import AlignedRow, aligned_rows
from audit.report._anchors import anchor
from audit.report._catalogue import Said, Term, say
from audit.report._parts import settings
from audit.report._passages import (
    Heated,
    Segment,
    compare,
    heat,
    hidden,
    pieces,
    tongue,
    visible,
)
from audit.report._passages import plain as uncompared
from audit.report._plots import Axis, Plot, axis, plot
from audit.report._rest import rest_block, words_block
from audit.report._view import arrange
from audit.report._wording import STATUSES, duration, rule, when
from audit.shipped import shipped
from audit.types import Absent, AuditResult

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = [
    "AlignedRow",
    "Axis",
    "Heated",
    "Plot",
    "Said",
    "Segment",
    "Term",
    "aligned_rows",
    "axis",
    "compare",
    "heat",
    "hidden",
    "page",
    "plot",
    "render",
    "say",
    "streamed",
    "uncompared",
]


def render(result: AuditResult) -> str:
    """Return the whole report as one HTML page with nothing to download.

    Lone surrogates, bidirectional controls and everything else that does not show itself stand as
    visible escapes, so that the page can always be written as UTF-8.
    """
    code = gates.exit_code(result.verdicts, result.runs, undecided=result.plan.undecided)
    env = _environment()
    made = arrange(result, code)
    return env.get_template("report.html.j2").render(
        page=made,
        law=crosswalk(result),
        statuses=_words_of_statuses(),
        result=result,
        policy=_policy(
            env.get_template("script.js").render(), env.get_template("style.css").render()
        ),
        words_json=words_block(result.plan.level),
        rest_json=rest_block(
            made.probes,
            made.books,
            result.plan.decision.threshold,
            made.later_rows,
            made.later_cases,
        ),
    )


def page(template: str, *, script: str = "", live: bool = False, **said: object) -> str:
    """Return another page in the report's style: nothing to download, and nothing to run but its own
    script where it has one.

    Args:
        template: Name of a template beside the report's.
        script: Name of the script that it includes.
        live: It may speak to the server it came from, and to no other.
        said: What it shows; `policy` and the report's macros and filters are there.
    """
    return "".join(streamed(template, script=script, live=live, **said))


def streamed(
    template: str, *, script: str = "", live: bool = False, **said: object
) -> Iterator[str]:
    """Return the same page in pieces, each made when it is asked for."""
    env = _environment()
    style = env.get_template("style.css").render()
    policy = (
        _policy(env.get_template(script).render(), style)
        if script
        else f"default-src 'none'; style-src '{_digest(style)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    if live:
        policy = policy.replace("form-action 'none'", "form-action 'self'; connect-src 'self'")
    return env.get_template(template).generate(policy=policy, statuses=_words_of_statuses(), **said)


def _words_of_statuses() -> dict[str, str]:
    return {status: words.written("en", say(f"status.{status}")) for status in STATUSES}


def _shown(value: object) -> object:
    return visible(value) if type(value) is str and not value.isprintable() else value


def _said(key: str, /, **args: object) -> Markup:
    """Show a message in every language."""
    return words.both(say(key, **args))


def _attribute(name: str, key: str, /, **args: object) -> Markup:
    return words.attribute(name, say(key, **args))


def _brief(text: str) -> str:
    """Cut a digest to what a reader compares; a name stays whole."""
    return text[:16] if re.fullmatch("[0-9a-f]{40,}", text) else text


def _option(key: str) -> Markup:
    """Return the end of an option's tag and its words; a script puts the Chinese ones there."""
    english, chinese = (words.written(name, say(key)) for name in ("en", "zh"))
    return words.framed('data-zt="{}">{}', chinese, english)


def _tongue(text: str) -> Markup:
    """Return the attribute that says in which language a text is, where that can be told."""
    found = tongue(text)
    return words.framed(' lang="{}"', found) if found else words.framed("")


def _policy(script: str, style: str) -> str:
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    env = Environment(
        loader=FileSystemLoader(shipped("templates")),
        # The texts under audit are hostile by design: they are escaped, always.
        autoescape=True,
        # A misspelt field is an error, not an empty cell.
        undefined=StrictUndefined,
        # Whatever a template forgot to quote still cannot hide or reorder anything.
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "anchor": lambda name, kind: anchor(kind, name),
        "brief": _brief,
        "duration": duration,
        "humanise": figures.humanise,
        "limit": figures.limit,
        "named": words.named,
        "number": figures.number,
        "percent": figures.percent,
        "pieces": pieces,
        "probability": figures.probability,
        "rule": rule,
        "settings": settings,
        "signed": figures.signed,
        "tongue": _tongue,
        "translated": words.translated,
        "visible": visible,
        "when": when,
    }
    env.globals |= {
        "attr": _attribute,
        "option": _option,
        "en": lambda key: words.written("en", say(key)),
        "say": say,
        "say_term": Term,
        "t": _said,
        "tell": words.both,
        "write": words.written,
        "zh": lambda key: words.written("zh", say(key)),
    }
    env.tests["absent"] = lambda value: isinstance(value, Absent)
    return env
