"""How a number, a slice and a name are written: one way, everywhere a person reads them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from audit.types import Estimate

MINUS = "\N{MINUS SIGN}"


def number(value: float) -> str:
    """Write a number with three decimals, or as many as it needs not to read as zero.

    >>> number(0.12345), number(0.5), number(0.00042), number(0), number(12345.6)
    ('0.123', '0.500', '0.00042', '0', '12,346')
    """
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 10_000:
        text = f"{size:,.0f}"
    elif size >= 100:
        text = f"{size:,.1f}"
    else:
        text = f"{size:.3f}" if size >= 0.001 else f"{size:.2g}"
    return MINUS + text if value < 0 else text


def signed(value: float) -> str:
    """Write a number with its sign, also when it is positive."""
    return number(value) if value <= 0 else f"+{number(value)}"


def limit(value: float) -> str:
    """Write a limit as its author did: no digits added."""
    return f"{value:g}".replace("-", MINUS)


def percent(share: float) -> str:
    """Write a level such as 0.95.

    >>> percent(0.95), percent(0.9875), percent(0.9999999)
    ('95%', '98.75%', '> 99.99%')
    """
    shown = round(100 * share, 2)
    return "> 99.99%" if shown >= 100 > 100 * share else f"{shown:g}%"


def probability(p: float) -> str:
    """Write a p-value; never as zero."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def p_equals(p: float) -> str:
    """Write what follows *p* or *q* in a sentence: ``= 0.012``, ``< 0.001``."""
    said = probability(p)
    return said if said.startswith("<") else f"= {said}"


def interval(e: Estimate) -> str:
    """Write an estimate's interval with its level."""
    return f"{percent(e.level)} interval {number(e.low)} to {number(e.high)}"


def humanise(name: str) -> str:
    """Turn ``flip_rate`` into ``flip rate``; what is not such a name stays as it is."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name)
    return name.replace("_", " ") if plain else name


def slice_words(where: Mapping[str, str]) -> str:
    """Name a slice in words, keys sorted; the empty slice is all texts."""
    return ", ".join(f"{key} = {value}" for key, value in sorted(where.items())) or "all texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A measurement id taken apart."""

    probe: str
    metric: str
    where: Mapping[str, str] = field(default_factory=dict)


def parse(measurement: str) -> Name:
    """Take a measurement id apart: the inverse of `types.measurement_id`.

    >>> parse("swaps.flip_rate[gender=female]")
    Name(probe='swaps', metric='flip_rate', where={'gender': 'female'})
    """
    head, bracket, inner = measurement.partition("[")
    probe, _, metric = head.partition(".")
    where = {}
    if bracket:
        for pair in inner.removesuffix("]").split(","):
            key, _, value = pair.partition("=")
            where[_unquoted(key)] = _unquoted(value)
    return Name(probe=probe, metric=metric, where=where)


def _unquoted(word: str) -> str:
    return unquote(word, errors="surrogatepass") if re.search("%[0-9A-F]{2}", word) else word
