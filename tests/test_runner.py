"""The audit as a whole: what is kept, what is said, what a crash costs."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

import probes
from audit import runner, store
from audit.bench import Planned
from audit.config import AuditConfig, CorpusConfig, DecisionConfig, ModelConfig, ProbeConfig
from audit.errors import AuditError, DataError, ResultError
from audit.testing import Lexicon
from audit.types import Corpus, Example, Gate, Measurement, Skip

TEXTS = ("she wrote a really good report", "he found a terrible mistake", "nothing was said")


@pytest.fixture
def corpus():
    return Corpus(
        name="test",
        labels=Lexicon.labels,
        examples=tuple(
            Example(
                id=f"e{i}",
                text=f"{TEXTS[i % 3]} {i}",
                label="positive" if i % 3 == 0 else "negative",
                groups={"sex": "f" if i % 2 else "m"},
            )
            for i in range(90)
        ),
        sha256="fixed",
    )


def config(*names, gates=(), **more):
    return AuditConfig(
        model=ModelConfig(path="unused"),
        decision=DecisionConfig(favourable=("positive",)),
        corpora={"test": CorpusConfig(path="unused")},
        probe=tuple(ProbeConfig(name=n) for n in names or ("typos", "group_rates")),
        gate=tuple(gates),
        **more,
    )


def run(out, corpus, asked=None, model=None):
    return runner.run(
        asked or config(),
        out,
        classifier=model or Lexicon(good=3.0, terrible=-3.0, nothing=-1.0),
        corpora={"test": corpus},
    )


def test_a_result_survives_the_disk(tmp_path, corpus):
    result = run(tmp_path, corpus)
    assert store.read(tmp_path) == result
    assert result.findings == () and len(result.runs) == 2


def test_units_and_cases_hold_the_evidence_and_no_more(tmp_path, corpus):
    result = run(tmp_path, corpus)
    units = store.read_table(tmp_path, store.UNITS)
    assert units["id"] == [e.id for e in corpus.examples]
    assert "text" not in units
    share = sum(units["favourable"]) / len(corpus.examples)
    overall = next(m for m in result.runs[1].measurements if m.id == "group_rates.selection_rate")
    assert overall.value.value == pytest.approx(share)
    cases = store.read_table(tmp_path, store.CASES)
    flips = next(m for m in result.runs[0].measurements if m.metric == "flip_rate")
    assert sum(cases["flipped"]) == round(flips.value.value * flips.value.n)
    assert result.runs[0].cases_total == len(cases["flipped"]) > len(result.runs[0].cases)


def test_regating_takes_every_unit_and_scores_nothing(tmp_path, corpus):
    run(tmp_path, corpus)
    model = Lexicon(good=3.0, terrible=-3.0, nothing=-1.0)
    strict = config(gates=[Gate(metric="typos.flip_rate", at_least=0.99)])
    again = run(tmp_path, corpus, strict, model)
    assert model.seen == []
    assert again.verdicts[0].status == "fail"
    assert again.findings and again.findings[0].severity
    assert all(cost.from_journal for cost in again.telemetry.probes)


@pytest.mark.parametrize(
    "other",
    [
        {"model": Lexicon(good=2.0)},
        {"asked": replace(config(), decision=DecisionConfig(favourable=("negative",)))},
    ],
    ids=["another model", "another decision"],
)
def test_what_moves_the_facts_is_not_taken_from_the_journal(tmp_path, corpus, other):
    first = run(tmp_path, corpus)
    again = run(tmp_path, corpus, **other)
    assert not any(cost.from_journal for cost in again.telemetry.probes)
    assert again.plan.digest != first.plan.digest


@pytest.mark.parametrize(
    "read",
    [{"groups": {"sex": "x"}}, {"cluster": "one"}, {"label": "negative"}, {"text": "nothing"}],
    ids=lambda read: next(iter(read)),
)
def test_a_file_read_otherwise_is_another_corpus(tmp_path, corpus, read):
    """The same bytes with other columns named for them: the digest of the file does not move."""
    first = run(tmp_path, corpus)
    examples = (replace(corpus.examples[0], **read), *corpus.examples[1:])
    again = run(tmp_path, replace(corpus, examples=examples))
    assert not any(cost.from_journal for cost in again.telemetry.probes)
    assert again.plan.digest != first.plan.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    name: ClassVar[str] = "broken"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset()

    def plan(self, bench):
        return Planned(units=1, queries=0, claims=("broken.x",))

    def run(self, bench):
        yield Skip(reason="too long", count=2)
        raise RuntimeError("the device went away")


def test_a_crash_is_recorded_not_swallowed_and_never_passes(tmp_path, corpus, monkeypatch):
    monkeypatch.setitem(probes.CATALOGUE, "broken", f"{__name__}:Broken")
    monkeypatch.setattr(
        "audit.catalogue.probe_class",
        lambda name: Broken if name == "broken" else probe_class(name),
    )
    asked = config("broken", "typos", gates=[Gate(metric="broken.x", at_most=1.0)])
    result = run(tmp_path, corpus, asked)
    assert result.runs[0].skips == (Skip(reason="too long", count=2),)
    assert result.runs[0].error == "RuntimeError: the device went away"
    assert result.verdicts[0].status == "error"
    assert result.runs[1].measurements
    # A crash is not kept: the next run tries again, and takes the rest.
    again = run(tmp_path, corpus, asked)
    assert [c.from_journal for c in again.telemetry.probes] == [False, True]


from audit.catalogue import probe_class  # noqa: E402


def test_exchanged_label_names_are_noticed(tmp_path, corpus):
    names = {"positive": "negative", "negative": "positive"}
    wrong = replace(
        corpus, examples=tuple(replace(e, label=names[e.label]) for e in corpus.examples)
    )
    with pytest.raises(DataError):
        run(tmp_path, wrong)
    assert not (tmp_path / "result.json").exists()


def test_two_probes_with_the_same_numbers_are_refused(tmp_path, corpus):
    with pytest.raises(AuditError, match="Two probes would both measure"):
        run(tmp_path, corpus, config("typos", "typos"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain: plain.update(schema=9), "schema 9"),
        (lambda plain: plain["runs"][0].update(measurments=[]), "measurments"),
        (lambda plain: plain["runs"][0]["measurements"][0].update(value=3), "value"),
    ],
)
def test_a_damaged_result_is_refused_at_its_place(tmp_path, corpus, change, said):
    run(tmp_path, corpus)
    plain = json.loads((tmp_path / "result.json").read_text())
    change(plain)
    (tmp_path / "result.json").write_text(json.dumps(plain))
    with pytest.raises(ResultError, match=said):
        store.read(tmp_path)


def test_the_cases_shown_are_the_largest_and_a_draw(tmp_path, corpus):
    result = run(tmp_path, corpus)
    shown = result.runs[0].cases
    assert len(shown) == 2 * store.SHOWN
    every = store.read_table(tmp_path, store.CASES)
    largest = sorted(
        (abs(a - b) for a, b in zip(every["score_before"], every["score_after"], strict=True)),
        reverse=True,
    )[0]
    assert any(abs(abs(c.score_before - c.score_after) - largest) < 1e-12 for c in shown)


def test_every_number_names_itself_once(tmp_path, corpus):
    ids = [m.id for r in run(tmp_path, corpus).runs for m in r.measurements]
    assert len(set(ids)) == len(ids)
    assert all(
        isinstance(m, Measurement) for r in store.read(tmp_path).runs for m in r.measurements
    )
