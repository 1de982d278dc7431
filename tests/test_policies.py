"""Shipped policies are examples that say so, and any file of gates can be one."""

import tomllib
from pathlib import Path

import pytest

from audit import config, policies
from audit.errors import ConfigError

ROOT = Path(__file__).parents[1]
LEAST = '[model]\npath = "m"\n[decision]\nfavourable = ["yes"]\n[corpora.test]\npath = "t.csv"\n'
OWN = 'name = "ours"\n[[gate]]\nmetric = "typos.flip_rate"\nat_most = 0.3\n'


@pytest.mark.parametrize("name", policies.names())
def test_every_shipped_limit_says_where_it_comes_from_and_that_it_is_an_example(name):
    text = (ROOT / "datasets" / "policies" / f"{name}.toml").read_text("utf-8")
    head, *gates = text.split("[[gate]]\n")
    assert "none is a legal standard" in " ".join(head.replace("#", " ").split())
    before = [head, *gates]
    for said in before[: len(gates)]:
        comment = said.rstrip().rpartition("\n\n")[2]
        assert comment.startswith("# Example. "), comment
    assert len(tomllib.loads(text)["gate"]) == len(gates) >= 3


def test_four_domains_are_shipped():
    assert policies.names() == ["customer_service", "finance", "hiring", "moderation"]


def test_a_policy_stands_behind_the_gates_of_the_audit_file(tmp_path):
    own = '[[gate]]\nmetric = "noise.flip_rate"\nat_most = 0.1\n[gates]\npolicy = "hiring"\n'
    read = config.reads(LEAST + own)
    assert read.gate[0].metric == "noise.flip_rate"
    assert read.gate[1:] == policies.find("hiring", Path()).gate
    (tmp_path / "ours.toml").write_text(OWN)
    (tmp_path / "audit.toml").write_text(LEAST + '[gates]\npolicy = "ours.toml"\n')
    assert config.read(tmp_path / "audit.toml").gate[0].at_most == 0.3


@pytest.mark.parametrize(
    ("policy", "body", "said"),
    [
        ("hirring", None, "no policy 'hirring'"),
        ("ours.toml", None, "no policy at"),
        ("ours.toml", OWN.replace("at_most", "atmost"), "has no setting 'atmost'"),
        ("ours.toml", 'name = "ours"\ngate = []\n', "has no gate"),
        ("ours.toml", "name = ", "cannot be read"),
    ],
)
def test_what_is_no_policy_is_refused_in_a_sentence(tmp_path, policy, body, said):
    if body is not None:
        (tmp_path / "ours.toml").write_text(body)
    (tmp_path / "audit.toml").write_text(LEAST + f'[gates]\npolicy = "{policy}"\n')
    with pytest.raises(ConfigError, match=said):
        config.read(tmp_path / "audit.toml")
