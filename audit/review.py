"""What a human should look at, and what the human said of it.

Three kinds of questions stand in one queue: cases of claims that stayed undecided, changed texts
drawn at random (does the change keep what the text says?), and labels that the model contradicts
with most confidence (is the label right?). Answers carry a reviewer and a day, and flow into the
next run through ``[review] file``: labels are corrected or taken away, and the share of changed
texts that were found valid is measured beside each number they belong to.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

from audit import config, corpus, report, stats, store, tables, validity
from audit.cells import table
from audit.errors import DataError
from audit.law import Words
from audit.seeding import stream
from audit.types import AuditResult, Corpus, Example, Measurement, ProbeRun, Skip, measurement_id

PROBE = "review"
COLUMNS = (
    *("item", "kind", "question", "about", "example_id", "before", "after", "label", "because"),
    *("answer", "reviewer", "date", "comment"),
)
ANSWERS = ("item", "answer", "reviewer", "date", "comment")
KEEP, UNCLEAR = "right", "unclear"
QUESTIONS: Mapping[str, Words] = {
    "pair": Words(
        en="Does the changed text still say the same, so that the decision should stay? yes or no",
        zh="改动后的文本意思是否不变、决策因而应当保持？填 yes 或 no",
    ),
    "label": Words(
        en="Is the label right? right, the correct label, or unclear",
        zh="标签是否正确？填 right、正确的标签，或 unclear",
    ),
}
_PER_CLAIM = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question."""

    id: str
    kind: Literal["undecided", "validity", "label"]
    about: str
    """Measurement, or the corpus of a label."""
    example_id: str
    before: str
    after: str = ""
    label: str = ""
    because: str = ""

    @property
    def question(self) -> Words:
        return QUESTIONS["label" if self.kind == "label" else "pair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one reviewer said."""

    answer: str
    reviewer: str
    day: str
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relabelled:
    """Labels after review."""

    corpus: Corpus
    kept: int
    changed: int
    unclear: int


def audited(result: AuditResult, audit_file: Path) -> Corpus:
    """Return the texts that an audit looked at, by its audit file; no model is loaded.

    Raises:
        AuditError: If they are not to be had.
        DataError: If they are others by now.
    """
    read = config.read(audit_file)
    origin = result.provenance
    found = corpus.load(
        read.corpora["test"],
        audit_file.parent,
        name="test",
        model_labels=origin.labels,
        head=origin.head,
    )
    then = next((c.sha256 for c in origin.corpora if c.name == "test"), "")
    if found.sha256 != then:
        raise DataError(
            f"The texts that {audit_file.name} leads to are not those of the audit.",
            hint="Run the audit again, or name the audit file it was run from.",
        )
    return found


def queue(
    result: AuditResult, folder: Path, texts: Corpus | None = None, *, most: int = 50
) -> tuple[Item, ...]:
    """Return the questions that an audit leaves, undecided cases first.

    Args:
        result: Read from `folder`.
        folder: Of the audit, with its tables.
        texts: The audited texts, without which no label can be asked about.
        most: Of each kind, at most.

    Raises:
        ResultError: If a table is damaged.
    """
    found: dict[str, Item] = {}
    for item in (
        *_undecided(result, most),
        *_validity(result, folder, most),
        *(_labels(result, folder, texts, most) if texts is not None else ()),
    ):
        found.setdefault(item.id, item)
    return tuple(found.values())


def as_csv(items: Sequence[Item]) -> str:
    """Return the queue as a sheet with empty cells to fill, inert in any spreadsheet."""
    return table(
        COLUMNS,
        (
            (
                *(i.id, i.kind, i.question.en, i.about, i.example_id, i.before, i.after, i.label),
                *(i.because, "", "", "", ""),
            )
            for i in items
        ),
    )


def as_page(items: Sequence[Item], labels: Sequence[str], language: str) -> str:
    """Return the queue as a form in English or Chinese that saves its answers as a sheet."""
    return report.page(
        "review.html.j2",
        script="review.js",
        items=items,
        labels=tuple(labels),
        language=language,
        keep=KEEP,
        unclear=UNCLEAR,
        columns=ANSWERS,
    )


def read(path: Path) -> Mapping[str, Answer]:
    """Read the answers of a filled sheet; rows without an answer are left out.

    Raises:
        DataError: If it cannot be read, lacks a column, answers one question twice and differently,
            or an answer has no reviewer or no day.
    """
    try:
        sheet = tables.read(path)
    except DataError:
        # A spreadsheet of another country writes semicolons.
        sheet = tables.read(path, delimiter=";")
    missing = [name for name in ANSWERS[:4] if name not in sheet.names]
    if missing:
        raise DataError(
            f"{path.name} has no column {missing[0]!r}.",
            hint="Answer on the sheet or the form that `evenhand review AUDIT` writes.",
        )
    columns = {name: sheet.column(name) for name in ANSWERS if name in sheet.names}
    found: dict[str, Answer] = {}
    for i in range(sheet.rows):
        row = {n: tables.cell(values[i], sheet, i, n) or "" for n, values in columns.items()}
        if not row["answer"]:
            continue
        at = f"{path.name}, {sheet.where(i)}"
        if not row["reviewer"]:
            raise DataError(f"{at}: the answer has no reviewer.", hint="Write who answered.")
        try:
            date.fromisoformat(row["date"])
        except ValueError:
            raise DataError(
                f"{at}: {row['date']!r} is no day.", hint="Write it as 2027-01-31."
            ) from None
        answer = Answer(
            answer=row["answer"],
            reviewer=row["reviewer"],
            day=row["date"],
            comment=row.get("comment", ""),
        )
        if found.setdefault(row["item"], answer).answer != answer.answer:
            raise DataError(f"{at}: {row['item']} is answered twice, and differently.")
    return found


def relabelled(texts: Corpus, answers: Mapping[str, Answer]) -> Relabelled:
    """Return the corpus with the labels that reviewers corrected.

    An answer speaks of one text under one label: where either is another one by now, it says
    nothing.

    Raises:
        DataError: If a reviewer names a label that the corpus does not know.
    """
    count: Counter[str] = Counter()

    def settle(example: Example) -> Example:
        said = answers.get(label_id(example)) if example.label is not None else None
        if said is None or said.answer == KEEP:
            count["kept"] += said is not None
            return example
        if said.answer == UNCLEAR:
            count["unclear"] += 1
            return replace(example, label=None)
        wanted = tuple(said.answer.split("|"))
        unknown = [label for label in wanted if label not in texts.labels]
        if unknown:
            raise DataError(
                f"The review of text {example.id!r} names the label {unknown[0]!r}, which the "
                "corpus does not know.",
                hint=f"Use one of {', '.join(texts.labels)}, {KEEP} or {UNCLEAR}.",
            )
        count["changed"] += 1
        return replace(example, label=wanted if isinstance(example.label, tuple) else wanted[0])

    examples = tuple(settle(e) for e in texts.examples)
    return Relabelled(
        corpus=replace(texts, examples=examples),
        kept=count["kept"],
        changed=count["changed"],
        unclear=count["unclear"],
    )


def applied(
    runs: Sequence[ProbeRun],
    parts: Sequence[Path],
    answers: Mapping[str, Answer],
    labels: Relabelled,
    *,
    level: float,
) -> tuple[ProbeRun, ...]:
    """Return the runs with what reviewers said: a note on each case they saw, and a run of its own
    with the share of valid changes for each measurement and of corrected labels.

    Raises:
        ResultError: If a part cannot be read.
        DataError: If an answer about a changed text is neither yes nor no.
    """
    seen = store.joined(parts)
    names = ("measurement", "example_id", "before", "after")
    rows = list(zip(*(seen[name] for name in names), strict=True))
    of = {validity.sample_id(*row): row[0] for row in rows}
    mine = {name: a for name, a in answers.items() if name in of}
    valid = validity.read_ratings({name: a.answer for name, a in mine.items()})
    by: dict[str, list[bool]] = {}
    for name, word in valid.items():
        by.setdefault(of[name], []).append(word)
    measured = [
        _share("valid_rate", {"of": name}, sum(said), len(said), "share of reviewed changes", level)
        for name, said in sorted(by.items())
    ]
    n = labels.kept + labels.changed + labels.unclear
    if n:
        measured.append(
            _share("label_change_rate", {}, labels.changed, n, "share of reviewed labels", level)
        )
    reviewers = Counter(f"{a.reviewer}, {a.day}" for a in answers.values())
    unclear = (Skip(reason="label unclear to a reviewer, taken away", count=labels.unclear),)
    unused = len(answers) - len(mine) - n
    other = (Skip(reason="answers about texts, labels or changes not in this run", count=unused),)
    noted = tuple(
        replace(
            run,
            cases=tuple(
                replace(
                    case,
                    note="; ".join(
                        part for part in (case.note, _note(answers.get(_case_id(case)))) if part
                    ),
                )
                for case in run.cases
            ),
        )
        for run in runs
    )
    return (
        *noted,
        ProbeRun(
            probe=PROBE,
            version="1",
            params={"reviewers": dict(sorted(reviewers.items()))},
            measurements=tuple(measured),
            skips=(*(unclear if labels.unclear else ()), *(other if unused > 0 else ())),
        ),
    )


def label_id(example: Example) -> str:
    """Return the name of the question about one text's label."""
    label = "|".join(example.label) if isinstance(example.label, tuple) else example.label or ""
    return "l" + validity.sample_id("label", label, example.text, example.second or "")[1:]


def _case_id(case: object) -> str:
    return validity.sample_id(
        *(str(getattr(case, name)) for name in ("metric", "example_id", "before", "after"))
    )


def _note(answer: Answer | None) -> str:
    if answer is None:
        return ""
    said = f": {answer.comment}" if answer.comment else ""
    return f"reviewed by {answer.reviewer} on {answer.day}, valid: {answer.answer}{said}"


def _share(
    metric: str, where: Mapping[str, str], hits: int, n: int, unit: str, level: float
) -> Measurement:
    return Measurement(
        id=measurement_id(PROBE, metric, where),
        metric=metric,
        where=where,
        value=stats.share(hits, n, level=level),
        unit=unit,
        eligible=n,
    )


def _undecided(result: AuditResult, most: int) -> list[Item]:
    because = {
        v.claim.measurement: v.because for v in result.verdicts if v.status == "inconclusive"
    }
    found: list[Item] = []
    for run in result.runs:
        taken: Counter[str] = Counter()
        for case in sorted(run.cases, key=lambda c: not c.flipped):
            if case.metric not in because or case.before == case.after:
                continue
            taken[case.metric] += 1
            if taken[case.metric] <= _PER_CLAIM:
                found.append(
                    Item(
                        id=_case_id(case),
                        kind="undecided",
                        about=case.metric,
                        example_id=case.example_id,
                        before=case.before,
                        after=case.after,
                        because=because[case.metric],
                    )
                )
    return found[:most]


def _validity(result: AuditResult, folder: Path, most: int) -> list[Item]:
    seen = store.read_table(folder, store.CASES)
    names = ("measurement", "example_id", "before", "after", "flipped")
    rows = [
        row
        for row in zip(*(seen[name] for name in names), strict=True)
        if row[4] and row[2] != row[3]
    ]
    drawn = stream(result.plan.seed, PROBE).permutation(len(rows))[:most]
    return [
        Item(
            id=validity.sample_id(*row[:4]),
            kind="validity",
            about=row[0],
            example_id=row[1],
            before=row[2],
            after=row[3],
            because="the decision changed; drawn at random",
        )
        for row in (rows[int(i)] for i in sorted(drawn))
    ]


def _labels(result: AuditResult, folder: Path, texts: Corpus, most: int) -> list[Item]:
    units = store.read_table(folder, store.UNITS)
    examples = {e.id: e for e in texts.examples}
    names, doubts = result.provenance.labels, []
    for i, (name, right) in enumerate(zip(units["id"], units["correct"], strict=True)):
        example = examples.get(name)
        if right is not False or example is None or example.label is None:
            continue
        given = example.label if isinstance(example.label, str) else None
        place = units["decision"][i]
        decided = names[place] if 0 <= place < len(names) else "no label"
        theirs = units.get(f"p:{decided}", [0.0] * (i + 1))[i]
        own = units.get(f"p:{given}", [0.0] * (i + 1))[i] if given else 0.0
        doubts.append((theirs - own, name, decided, example))
    doubts.sort(key=lambda d: (-d[0], d[1]))
    return [
        Item(
            id=label_id(e),
            kind="label",
            about=texts.name,
            example_id=name,
            before=e.text if e.second is None else f"{e.text}\n{e.second}",
            label="|".join(e.label) if isinstance(e.label, tuple) else e.label or "",
            because=f"the model decides {decided}, by a margin of {margin:.3f}",
        )
        for margin, name, decided, e in doubts[:most]
    ]
