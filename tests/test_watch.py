"""Predictions as they come in: limits kept, alarms raised once, nothing lost and nothing twice."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from audit import config, monitors, watching
from audit.cli import main
from audit.errors import ConfigError, ResultError
from audit.watch import Watch, prometheus
from audit.windows import Shift, Windows, bounds, evidence, same

ROOT = Path(__file__).parents[1]
AUDIT = """
[model]
path = "unused"
[decision]
favourable = ["positive"]
[corpora.test]
path = "unused.csv"
label = "label"
groups = { topic = "topic", sex = "sex" }
[watch]
window = 1000
step = 250
reference = 1000
[[watch.gate]]
metric = "group_rates.selection_rate"
where = { topic = "delivery", sex = "female" }
at_least = 0.35
[[watch.gate]]
metric = "group_rates.selection_rate_gap"
where = { sex = "female", against = "rest" }
at_least = -0.2
at_most = 0.2
"""


def records(n, *, drift=None, seed=0, start=0):
    """Half of all are decided for; from `drift` on, women are not when they write of delivery."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        topic, sex = ("delivery", "price")[rng.integers(2)], ("female", "male")[rng.integers(2)]
        p = 0.5
        if drift is not None and i >= drift and topic == "delivery" and sex == "female":
            p = 0.1
        rows.append(
            {
                "time": f"t{start + i}",
                "text": " ".join(rng.choice(["good", "late", "parcel", "dear", "fine"], 5)),
                "prediction": ("negative", "positive")[int(rng.random() < p)],
                "topic": topic,
                "sex": sex,
            }
        )
    return rows


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def audit(tmp_path):
    path = tmp_path / "audit.toml"
    path.write_text(AUDIT)
    return path


def run(audit, *more):
    return main(["watch", str(audit), *map(str, more)])


def test_evidence_is_the_mixtures_gain_by_integration():
    from scipy.integrate import quad

    counts = np.array([[30, 100, 0, 0]])
    gain = np.exp(evidence(counts, 0.2, gap=False)[0])
    wanted = quad(lambda p: (p / 0.2) ** 30 * ((1 - p) / 0.8) ** 70, 0, 1, epsabs=0)[0]
    assert gain == pytest.approx(wanted, rel=1e-6)
    pair = np.array([[60, 100, 30, 100]])
    by_grid = min(
        evidence(np.array([[60, 100, 0, 0]]), p + 0.1, gap=False)[0]
        + evidence(np.array([[30, 100, 0, 0]]), p, gap=False)[0]
        for p in np.linspace(0.01, 0.89, 4001)
    )
    assert evidence(pair, 0.1, gap=True)[0] == pytest.approx(by_grid, abs=1e-4)
    low, high = bounds(pair, 0.05, gap=True)
    for end in (low, high):
        assert evidence(pair, end, gap=True)[0] == pytest.approx(np.log(20), abs=1e-6)


def test_evidence_at_the_ends():
    assert np.isinf(evidence(np.array([[3, 10, 0, 0]]), 0.0, gap=False)[0])
    assert evidence(np.array([[0, 10, 0, 0]]), 0.0, gap=False)[0] < 0
    assert np.isinf(evidence(np.array([[3, 10, 2, 9]]), 1.0, gap=True)[0])
    low, high = bounds(np.array([[0, 50, 0, 0]]), 0.05, gap=False)
    assert low == pytest.approx(0.0, abs=1e-9) and 0 < high < 0.2


@pytest.mark.parametrize("gap", [False, True])
def test_any_false_alarm_in_a_stream_at_its_limit_is_rare(gap):
    """The hardest case, a truth at the limit itself, looked at after every 100 records."""
    rng, wrong, streams = np.random.default_rng(3), 0, 60
    for _ in range(streams):
        one = Windows(
            limit=0.0 if gap else 0.3, side="at_most", gap=gap, alpha=0.1, window=400, step=100
        )
        second = rng.random(3000) < 0.5 if gap else None
        hits = rng.random(3000) < 0.3
        found = [
            alarm
            for i in range(0, 3000, 100)
            for alarm in one.add(hits[i : i + 100], None if second is None else second[i : i + 100])
        ]
        wrong += bool(found)
    assert wrong / streams <= 0.1


def test_cutting_a_stream_elsewhere_changes_no_window():
    rng = np.random.default_rng(0)
    hits, second = rng.random(5000) < 0.4, rng.random(5000) < 0.5
    states = []
    for size in (1, 7, 250, 5000):
        one = Windows(limit=0.9, side="at_most", gap=True, alpha=0.05, window=1000, step=250)
        for i in range(0, 5000, size):
            one.add(hits[i : i + size], second[i : i + size])
            kept = json.loads(json.dumps(one.state()))
            one = Windows(
                limit=0.9, side="at_most", gap=True, alpha=0.05, window=1000, step=250, state=kept
            )
        states.append(one.state())
    assert all(state == states[0] for state in states)
    assert len(states[0]["windows"]) == 4


def test_an_alarm_is_raised_once_and_again_after_it_was_well():
    one = Windows(limit=0.3, side="at_most", gap=False, alpha=0.05, window=400, step=100)
    rng = np.random.default_rng(0)

    def feed(n, p):
        return sum(len(one.add(rng.random(50) < p)) for _ in range(n // 50))

    assert feed(2000, 0.2) == 0
    assert feed(2000, 0.7) == 1 and one.broken
    assert feed(2000, 0.1) == 0 and not one.broken
    assert feed(2000, 0.8) == 1


def test_a_shift_is_found_and_none_where_there_is_none():
    rng = np.random.default_rng(0)
    reference = np.bincount(rng.integers(0, 10, 2000), minlength=10)
    one = Shift(reference, alpha=0.05, window=1000)
    assert not any(one.add(rng.integers(0, 10, 500)) for _ in range(40))
    found = [a for _ in range(6) for a in one.add(np.minimum(rng.integers(0, 12, 500), 9))]
    assert len(found) == 1 and found[0].window == 20 and one.broken
    p, distance = same(np.array([5, 5]), np.array([5, 5]))
    assert p == 1.0 and distance == 0.0
    assert same(np.array([5, 0]), np.array([9, 0])) == (1.0, 0.0)


def test_the_sentiment_of_one_topic_and_group_turning_is_an_alert(audit, tmp_path, capsys):
    (tmp_path / "in.jsonl").write_text(jsonl(records(8000, drift=4000)))
    assert run(audit, tmp_path / "in.jsonl", "--alerts", tmp_path / "a.jsonl") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    gate = next(a for a in lines if a["what"].startswith("group_rates.selection_rate["))
    assert "sex=female" in gate["what"] and "topic=delivery" in gate["what"]
    assert 4000 < gate["records"] <= 6000 and gate["high"] < 0.35
    assert gate["first_time"].startswith("t") and "parcel" not in json.dumps(lines)
    assert [json.loads(x) for x in (tmp_path / "a.jsonl").read_text().splitlines()] == lines
    # Nothing new: the state says what is broken still, and no line is counted again.
    assert run(audit, tmp_path / "in.jsonl") == 1
    said = capsys.readouterr()
    assert said.out == "" and "8,000 records" in said.err and "BROKEN" in said.err


def test_a_stream_in_which_nothing_changes_raises_nothing(audit, tmp_path):
    (tmp_path / "in.jsonl").write_text(jsonl(records(8000)))
    assert run(audit, tmp_path / "in.jsonl") == 0


def test_drift_of_inputs_is_an_alert_of_its_own(audit, tmp_path, capsys):
    rows = records(6000)
    for row in rows[3000:]:
        row["text"] += " and this is a longer letter than they used to be"
    (tmp_path / "in.jsonl").write_text(jsonl(rows))
    assert run(audit, tmp_path / "in.jsonl") == 1
    what = {json.loads(line)["what"] for line in capsys.readouterr().out.splitlines()}
    assert what == {"drift.length", "drift.words"}


def test_scores_are_decided_by_the_audits_rule_and_labels_measure_accuracy(tmp_path):
    text = AUDIT.split("[watch]")[0].replace(
        'favourable = ["positive"]', 'favourable = ["positive"]\nthreshold = 0.8'
    )
    one = Watch(
        config.reads(
            text + '[watch]\ndrift = false\n[[gate]]\nmetric = "group_rates.accuracy"\n'
            'where = { sex = "female" }\nat_least = 0.5\n'
        )
    )
    row = {"scores": {"negative": 0.3, "positive": 0.7}, "sex": "female", "label": "negative"}
    one.feed([json.dumps(row).encode()] * 10)
    assert one.gates[0].windows.now() == (1.0, 10)


def test_lines_that_cannot_be_read_are_counted_and_stop_nothing(audit, tmp_path, capsys):
    bad = ["{", "[]", "7", json.dumps({"text": "x"}), "\x00", json.dumps({"prediction": None})]
    rows = jsonl(records(300))
    long = json.dumps({"prediction": "positive", "text": "x" * (1 << 21)})
    (tmp_path / "in.jsonl").write_text("\n".join(bad) + "\n\n" + long + "\n" + rows)
    assert run(audit, tmp_path / "in.jsonl") == 0
    said = capsys.readouterr().err
    assert "300 records" in said and "3 lines left out: not JSON." in said
    assert "2 lines left out: no prediction." in said and "2 lines left out: not a record." in said


def test_a_folder_is_read_in_the_order_of_names_and_goes_on_where_it_stopped(audit, tmp_path):
    folder = tmp_path / "batches"
    folder.mkdir()
    rows = records(3000)
    (folder / "a.jsonl").write_text(jsonl(rows[:1000]))
    run(audit, folder)
    (folder / "b.jsonl").write_text(jsonl(rows[1000:2500]))
    half = jsonl(rows[2500:])
    with (folder / "b.jsonl").open("a") as file:
        file.write(half[:50])
    run(audit, folder)
    with (folder / "b.jsonl").open("a") as file:
        file.write(half[50:])
    run(audit, folder)
    parts = json.loads((tmp_path / "audit-out" / "watch.json").read_text())
    (tmp_path / "whole.jsonl").write_text(jsonl(rows))
    run(audit, tmp_path / "whole.jsonl", "--state", tmp_path / "whole.json")
    whole = json.loads((tmp_path / "whole.json").read_text())
    assert parts["records"] == 3000
    assert {k: parts[k] for k in ("gates", "drift")} == {k: whole[k] for k in ("gates", "drift")}
    # Another file under the name of one that was read is read from its start.
    (folder / "a.jsonl").write_text(jsonl(records(100, seed=9)))
    run(audit, folder)
    assert json.loads((tmp_path / "audit-out" / "watch.json").read_text())["records"] == 3100


def test_standard_input_goes_on_or_is_replayed(audit, tmp_path, monkeypatch):
    rows = records(1500)

    def piped(part, *more):
        stdin = io.TextIOWrapper(io.BytesIO(jsonl(part).encode()))
        monkeypatch.setattr(sys, "stdin", stdin)
        run(audit, "--state", tmp_path / "s.json", *more)
        return json.loads((tmp_path / "s.json").read_text())

    piped(rows[:600])
    assert piped(rows[600:1000])["records"] == 1000
    replayed = piped(rows, "--replay")
    assert replayed["records"] == 1500 and replayed["places"]["-"] == {"lines": 1500}


def test_killed_at_any_moment_it_loses_nothing_and_counts_nothing_twice(audit, tmp_path):
    (tmp_path / "in.jsonl").write_text(jsonl(records(8_000, drift=4_000)))
    whole = tmp_path / "whole.json"
    assert run(audit, tmp_path / "in.jsonl", "--state", whole, "-q") == 1
    state = tmp_path / "killed.json"
    command = [sys.executable, "-m", "audit.cli", "watch", str(audit), str(tmp_path / "in.jsonl")]
    command += ["--state", str(state), "-q"]
    kills, seen = 0, 0
    while kills < 2:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            now = json.loads(state.read_text())["records"] if state.exists() else 0
            if now > seen + 800:
                seen = now
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.002)
        if process.wait() != -signal.SIGKILL:
            break
    assert kills >= 1
    assert subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 1
    one, other = json.loads(whole.read_text()), json.loads(state.read_text())
    assert one == other and one["records"] == 8_000


class Answers(BaseHTTPRequestHandler):
    down = True
    got: ClassVar[list] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if Answers.down:
            self.send_error(503)
            Answers.down = False
            return
        Answers.got.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_webhook_gets_each_alert_once_even_if_it_was_down_at_first(audit, tmp_path):
    Answers.down, Answers.got = True, []
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        (tmp_path / "in.jsonl").write_text(jsonl(records(8000, drift=3000)))
        url = f"http://127.0.0.1:{server.server_port}/hook"
        assert run(audit, tmp_path / "in.jsonl", "--webhook", url, "-q") == 1
    finally:
        server.shutdown()
        server.server_close()
    ids = [alert["id"] for alert in Answers.got]
    state = json.loads((tmp_path / "audit-out" / "watch.json").read_text())
    assert ids == [a["alert"]["id"] for a in state["alerts"]] and len(set(ids)) == len(ids) >= 1
    assert all(a["sent"] for a in state["alerts"])


def test_a_webhook_that_never_answers_stops_nothing(audit, tmp_path):
    (tmp_path / "in.jsonl").write_text(jsonl(records(6000, drift=3000)))
    assert run(audit, tmp_path / "in.jsonl", "--webhook", "http://127.0.0.1:9/x", "-q") == 1
    assert run(audit, tmp_path / "in.jsonl", "--webhook", "file:///etc/passwd") == 2


def test_gauges_say_what_is_broken_in_prometheus_own_form(audit, tmp_path):
    (tmp_path / "in.jsonl").write_text(jsonl(records(8000, drift=4000)))
    run(audit, tmp_path / "in.jsonl", "--prometheus", tmp_path / "evenhand.prom", "-q")
    text = (tmp_path / "evenhand.prom").read_text()
    assert "evenhand_records_total 8000\n" in text
    broken = [x for x in text.splitlines() if x.startswith("evenhand_gate_broken")]
    assert len(broken) == 3 and any(x.endswith(" 1") for x in broken)
    for line in text.splitlines():
        assert line.startswith("# TYPE ") or len(line.rsplit(" ", 1)) == 2
        if not line.startswith("#"):
            float(line.rsplit(" ", 1)[1])


def test_the_first_alert_can_end_it(audit, tmp_path):
    (tmp_path / "in.jsonl").write_text(jsonl(records(8000, drift=2000)))
    assert run(audit, tmp_path / "in.jsonl", "--stop", "-q") == 1
    state = json.loads((tmp_path / "audit-out" / "watch.json").read_text())
    assert state["records"] < 8000


def test_a_state_of_other_gates_is_refused_and_so_is_a_damaged_one(audit, tmp_path):
    (tmp_path / "in.jsonl").write_text(jsonl(records(300)))
    run(audit, tmp_path / "in.jsonl", "-q")
    audit.write_text(AUDIT.replace("0.35", "0.36"))
    with pytest.raises(ResultError, match="other gates"):
        Watch(config.read(audit), tmp_path / "audit-out" / "watch.json")
    (tmp_path / "audit-out" / "watch.json").write_text("{")
    assert run(audit, tmp_path / "in.jsonl") == 2


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ('metric = "swaps.flip_rate"\nat_most = 0.1', "no rate of predictions"),
        ('metric = "group_rates.accuracy"\nwhere = {sex = "*"}\nat_least = 0.1', "name one"),
        ('metric = "group_rates.accuracy_gap"\nat_least = 0.1', "whom it is held against"),
        ('metric = "group_rates.accuracy"\nno_worse_than = "baseline"\nmargin = 0.1', "no at_most"),
    ],
)
def test_what_cannot_be_watched_says_why(gate, why):
    read = config.reads(AUDIT.split("[watch]")[0] + f"[[gate]]\n{gate}\n")
    with pytest.raises(ConfigError) as caught:
        Watch(read)
    assert why in caught.value.hint


def test_only_whose_group_is_known_stands_on_the_other_side():
    read = config.reads(AUDIT)
    one = Watch(read)
    rows = [
        {"prediction": "positive", "sex": s} if s else {"prediction": "positive"}
        for s in ("female", "male", "", "other")
    ]
    one.feed([json.dumps(row).encode() for row in rows])
    assert one.gates[1].windows.seen == 3


def test_drift_bins_follow_repeated_values():
    one = monitors.DriftWatch("length", alpha=0.05, window=100, reference=100)
    seen = [monitors.Seen(groups={}, favourable=True, text="a b c")] * 250
    assert one.add(seen[:50]) == [] and one.shift is None
    one.add(seen[50:])
    assert one.shift is not None and one.shift.p == 1.0
    again = monitors.DriftWatch("length", alpha=0.05, window=100, reference=100, state=one.state())
    assert again.state() == one.state()


def test_nothing_to_read_is_said():
    with pytest.raises(ConfigError, match="nothing to read"):
        watching.run(Watch(config.reads(AUDIT)), [], watching.Sinks(say=print))


def test_gauges_of_a_stream_that_has_not_begun():
    assert "evenhand_records_total 0" in prometheus(Watch(config.reads(AUDIT)))
