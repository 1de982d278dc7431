"""Whether an adversarial text still says what it was made from: filters, and a human's ratings."""

import csv
import hashlib
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import sqrt
from pathlib import Path

from audit import fluency, foreign, stats, store, tables
from audit.errors import DataError, Unsupported
from audit.files import write_text
from audit.intervals import estimated
from audit.neighbours import opposites
from audit.resources import Resources
from audit.seeding import stream
from audit.similarity import SentenceVectors
from audit.text import words
from audit.types import Absent, Estimate, Means

COLUMNS = ("sample", "before", "after", "valid")
_YES, _NO = ("yes", "y", "1", "true", "valid"), ("no", "n", "0", "false", "invalid")


def turned(before: str, after: str) -> bool:
    """Return whether a word was replaced by one that WordNet calls its opposite.

    NLTK must have been shown WordNet (`foreign.textattack` with ``wordnet``).
    """
    one, other = ([w.lower for w in words(text)] for text in (before, after))
    for what, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if what != "replace":
            continue
        for old, new in zip(one[a:b], other[c:d], strict=False):
            if new in opposites(old) or old in opposites(new):
                return True
    return False


def passed(
    pairs: Sequence[tuple[str, str]],
    filters: Collection[str],
    *,
    resources: Resources,
    likeness: float = 0.8,
    causal_lm: Path | None = None,
    perplexity: float = 1.5,
) -> list[bool]:
    """Return which pairs of original and altered text pass every one of `filters`.

    Args:
        pairs: The texts.
        filters: ``opposites`` (`turned`), ``likeness`` (cosine of the packaged encoder's vectors
            above `likeness`), ``fluency`` (at most `perplexity` times as perplexing to the model in
            the folder `causal_lm`).
        resources: Where WordNet and the encoder are looked for.
        likeness: In (-1, 1].
        causal_lm: Folder of a causal language model, or None.
        perplexity: At least 1.

    Raises:
        Unsupported: If what a filter needs is missing; where there are no pairs, nothing is needed.
    """
    kept = [True] * len(pairs)
    if not pairs:
        return kept
    if "opposites" in filters:
        foreign.textattack(resources, wordnet=True)
        kept = [not turned(*pair) for pair in pairs]
    if "likeness" in filters:
        vectors = SentenceVectors(resources.encoder())
        one, other = (
            vectors([before for before, _ in pairs]),
            vectors([after for _, after in pairs]),
        )
        near = (one * other).sum(axis=1) > likeness
        kept = [good and bool(alike) for good, alike in zip(kept, near, strict=True)]
    if "fluency" in filters:
        if causal_lm is None:
            raise Unsupported(
                "The filter fluency needs a causal language model, and none is named.",
                hint=fluency.GET_CAUSAL_LM,
            )
        odder = fluency.Fluency(causal_lm).rises(pairs) > perplexity
        kept = [good and not bool(odd) for good, odd in zip(kept, odder, strict=True)]
    return kept


def sample_id(measurement: str, example_id: str, before: str, after: str) -> str:
    """Return the name of one adversarial text: a rating speaks of just this change."""
    parts = (measurement, example_id, before, after)
    body = b"".join(len(p.encode()).to_bytes(8, "little") + p.encode() for p in parts)
    # A letter in front: a spreadsheet would take "12345e67" for a number.
    return "s" + hashlib.sha256(body).hexdigest()[:15]


def sheet(folder: Path, to: Path, *, most: int = 50, seed: int = 0) -> int:
    """Write a sheet on which a human says which adversarial texts of an audit are valid.

    One row for each of `most` successes drawn at random: the original, the altered text, and an
    empty cell ``valid`` for yes or no. A cell that a spreadsheet would run as a formula gets an
    apostrophe in front, and control characters become visible.

    Args:
        folder: Of the audit.
        to: The CSV file to write.
        most: Rows at most.
        seed: Of the draw.

    Returns:
        How many rows there are.

    Raises:
        ResultError: If the audit's cases cannot be read.
        DataError: If no attack of the audit succeeded.

    Source:
        OWASP, CSV Injection, https://owasp.org/www-community/attacks/CSV_Injection
    """
    rows = _successes(folder)
    if not rows:
        raise DataError(f"No attack of the audit in {folder} succeeded: there is nothing to rate.")
    drawn = rows
    if len(rows) > most:
        drawn = [rows[i] for i in stream(seed, "sheet").permutation(len(rows))[:most]]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for measurement, example, before, after in drawn:
        name = sample_id(measurement, example, before, after)
        writer.writerow([name, harmless(before), harmless(after), ""])
    write_text(to, out.getvalue())
    return len(drawn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What a human's ratings make of one success rate."""

    measurement: str
    success: Estimate | Absent
    """As the audit measured it."""
    successes: int
    rated: int
    valid: int
    value: Estimate | Absent
    """Share of searches that end in a valid success."""


def rated(folder: Path, sheet: Path) -> tuple[tuple[Rated, ...], int]:
    """Take a rated sheet back into the success rates of the audit it was drawn from.

    Args:
        folder: Of the audit.
        sheet: What `sheet` wrote, with ``yes`` or ``no`` under ``valid``; CSV or TSV, separated by
            commas or semicolons. Rows without an answer are not counted.

    Returns:
        One entry for each success rate that has successes, and how many answers on the sheet belong
        to none of them (another audit's).

    Raises:
        ResultError: If the audit cannot be read.
        DataError: If the sheet lacks a column, rates one sample twice, or says neither yes nor no.
    """
    said = read_ratings(_answers(sheet))
    names: dict[str, list[str]] = {}
    for measurement, example, before, after in _successes(folder):
        names.setdefault(measurement, []).append(sample_id(measurement, example, before, after))
    result = store.read(folder)
    found = []
    for run in result.runs:
        for one in run.measurements:
            some = names.get(one.id)
            if some is None:
                continue
            valid, of = ratings_for(said, some)
            level = one.value.level if isinstance(one.value, Estimate) else 0.95
            found.append(
                Rated(
                    measurement=one.id,
                    success=one.value,
                    successes=len(some),
                    rated=of,
                    valid=valid,
                    value=adjusted(one.value, len(some), valid, of, level=level),
                )
            )
    known = {name for some in names.values() for name in some}
    return tuple(found), sum(name not in known for name in said)


def _answers(sheet: Path) -> dict[str, str]:
    try:
        table = tables.read(sheet)
    except DataError:
        # A spreadsheet of another country writes semicolons.
        table = tables.read(sheet, delimiter=";")
    for name in ("sample", "valid"):
        if name not in table.names:
            raise DataError(
                f"{sheet.name} has no column {name!r}.",
                hint="Rate the sheet that `evenhand rate AUDIT --out sheet.csv` writes.",
            )
    samples, answers = table.column("sample"), table.column("valid")
    found: dict[str, str] = {}
    for i in range(table.rows):
        sample = tables.cell(samples[i], table, i, "sample")
        answer = tables.cell(answers[i], table, i, "valid") or ""
        if sample and found.setdefault(sample, answer) != answer:
            raise DataError(f"{sheet.name} rates the sample {sample} twice, and differently.")
    return found


def _successes(folder: Path) -> list[tuple[str, str, str, str]]:
    """Return measurement, example, original and altered text of each success of an attack."""
    table = store.read_table(folder, store.CASES)
    names = ("measurement", "example_id", "before", "after")
    return [
        (row[0], row[1], row[2], row[3])
        for *row, flipped in zip(*(table[name] for name in names), table["flipped"], strict=True)
        if flipped and row[0].startswith("attack.")
    ]


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet runs, with control characters made visible."""
    plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cell)
    return f"'{plain}" if plain.lstrip()[:1] in ("=", "+", "-", "@") else plain


def read_ratings(said: Mapping[str, str]) -> dict[str, bool]:
    """Return which samples were rated valid; those without a word are left out.

    Raises:
        DataError: If a rating is neither yes nor no.
    """
    found = {}
    for name, value in said.items():
        word = value.strip().lower()
        if word in _YES or word in _NO:
            found[name] = word in _YES
        elif word:
            raise DataError(
                f"The rating {value!r} of {name} is neither yes nor no.", hint="Write yes or no."
            )
    return found


def adjusted(
    success: Estimate | Absent, successes: int, valid: int, rated: int, *, level: float = 0.95
) -> Estimate | Absent:
    """Estimate the share of searches that end in a *valid* success, from a sample that was rated.

    Args:
        success: The success rate, over all searches.
        successes: Successes it counts.
        valid: Rated ones that are valid.
        rated: Successes that were rated, drawn at random from all.
        level: Coverage of the interval.

    Returns:
        The success rate times the share of rated successes that are valid, with Wilson's interval
        at the effective size of a two-phase sample: the variance as if all had been rated, plus
        what rating a part adds. Where no rated one is valid, the interval of that share alone,
        which is wider.

    Source:
        Cochran (1977), Sampling Techniques, section 12.2 (double sampling); Korn & Graubard (1998),
        Survey Methodology 24, pp. 193-201, for Wilson's interval at an effective size.
    """
    if isinstance(success, Absent):
        return success
    if rated == 0:
        return Absent(code="empty", reason="no success was rated")
    if not 0 <= valid <= rated <= successes:
        return Absent(code="invalid", reason="more ratings than successes")
    if valid == 0:
        return stats.share(0, rated, level=level)
    share, p = valid / rated, success.value
    value = p * share
    n = success.n if success.n_effective is None else success.n_effective
    # A sample in which all are valid is not one without error.
    near = (valid + 1) / (rated + 2)
    se = sqrt(value * (1 - value) / n + p * p * near * (1 - near) / rated * (1 - rated / successes))
    if value == 1:
        return stats.share(success.n, success.n, level=level)
    least = min(success.n, rated)
    basis = Means(mean=value, se=se, df=float(max(1, least - 1)), low=0.0, high=1.0)
    return estimated(value, basis, "cluster-wilson", success.n, level, mde=2.8 * se)


def ratings_for(said: Mapping[str, bool], names: Sequence[str]) -> tuple[int, int]:
    """Return how many of the samples `names` were rated valid, and how many were rated."""
    rated = [said[name] for name in names if name in said]
    return sum(rated), len(rated)
