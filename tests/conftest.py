"""A corpus and a bench that a test can reason about."""

import pytest

from audit.bench import Bench
from audit.decision import make
from audit.resources import Resources
from audit.scorer import Scorer
from audit.testing import Lexicon
from audit.types import Corpus, Example

OPENINGS = ("He really wrote", "She really wrote", "It is so", "Her brother thought it was")


@pytest.fixture
def corpus():
    """Eighty short reviews that `Lexicon(good=2)` gets right.

    Some have no word to mistype, some no pronoun, some no group: a probe must count them all.
    """
    return Corpus(
        name="test",
        labels=("negative", "positive"),
        license="CC0-1.0",
        examples=tuple(
            Example(
                id=f"r{i}",
                text=f"{OPENINGS[i % 4]} good {i}",
                label="positive",
                groups={} if i % 8 == 7 else {"gender": "female" if i % 2 else "male"},
            )
            for i in range(80)
        ),
    )


@pytest.fixture
def bench(corpus):
    """A bench for any classifier: ``bench(Lexicon(good=2.0))``."""

    def on(classifier=None, **changes):
        scorer = Scorer(classifier or Lexicon(good=2.0))
        plain = {
            "probe": "test",
            "corpus": corpus,
            "corpora": {"test": corpus},
            "scorer": scorer,
            "decision": make(scorer.labels, (scorer.labels[-1],), head=scorer.head),
            "resources": Resources(),
        }
        return Bench(**plain | changes)

    return on
