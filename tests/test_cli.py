"""What a person gets from the command line, bad input included."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import tiny_bert

from audit.cli import main

ROOT = Path(__file__).parents[1]
WORDS = (
    "the report was late and his manager asked her desk about every number why "
    "John could not explain it to Mary or the woman"
).split()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    import random

    folder = tmp_path_factory.mktemp("job")
    rng = random.Random(1)
    texts = [" ".join(rng.choice(WORDS) for _ in range(rng.randint(5, 20))) for _ in range(80)]
    tiny_bert(folder / "model", texts, ("no", "yes"))
    rows = "\n".join(
        f'{i},"{t}",{rng.choice(["no", "yes"])},{rng.choice(["f", "m"])}'
        for i, t in enumerate(texts)
    )
    (folder / "texts.csv").write_text(f"id,text,label,sex\n{rows}\n")
    (folder / "audit.toml").write_text(
        """
[model]
path = "model"
device = "cpu"
[decision]
favourable = ["yes"]
[corpora.test]
path = "texts.csv"
label = "label"
id = "id"
groups = { sex = "sex" }
[[probe]]
name = "typos"
[[probe]]
name = "group_rates"
[[gate]]
metric = "typos.flip_rate"
at_most = 0.9
"""
    )
    return folder


def said(capsys):
    found = capsys.readouterr()
    return found.out, found.err


def test_help_answers_in_half_a_second():
    times = []
    for _ in range(3):
        clock = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "audit.cli", "--help"], cwd=ROOT, check=True, capture_output=True
        )
        times.append(time.perf_counter() - clock)
    assert min(times) < 0.5


def test_deep_adds_the_certificate_to_the_plan_the_run_and_the_file_that_is_kept(
    made, tmp_path, capsys
):
    written = (made / "audit.toml").read_text().replace("texts.csv", "few.csv")
    few = (made / "texts.csv").read_text().splitlines(keepends=True)[:6]
    (made / "few.csv").write_text("".join(few))
    audit = made / "few.toml"
    audit.write_text(written)
    assert main(["plan", str(audit)]) == 0
    assert "certificate" not in said(capsys)[0]
    assert main(["plan", str(audit), "--deep"]) == 0
    assert "certificate" in said(capsys)[0]
    assert main(["run", str(audit), "--deep", "--out", str(tmp_path), "-q"]) in (0, 3)
    runs = json.loads((tmp_path / "result.json").read_text())["runs"]
    assert [run["probe"] for run in runs] == ["typos", "group_rates", "certificate"]
    kept = (tmp_path / "audit.toml").read_text()
    assert kept.startswith(written.rstrip()) and kept.count('name = "certificate"') == 1
    assert main(["verify", str(tmp_path)]) == 0


def test_a_run_ends_in_a_page_a_result_and_a_code(made, tmp_path, capsys):
    assert main(["run", str(made / "audit.toml"), "--out", str(tmp_path), "-q"]) == 0
    out, _ = said(capsys)
    assert "PASS" in out and "typos.flip_rate <= 0.9" in out
    assert (tmp_path / "report.html").exists()
    assert json.loads((tmp_path / "result.json").read_text())["schema"] == 1


def test_a_failed_gate_is_code_one_and_an_undecided_one_three(made, tmp_path, capsys):
    main(["run", str(made / "audit.toml"), "--out", str(tmp_path), "-q"])
    strict = (made / "audit.toml").read_text()
    failing = made / "failing.toml"
    failing.write_text(strict.replace("at_most = 0.9", "at_least = 0.95"))
    undecided = made / "undecided.toml"
    undecided.write_text(strict.replace("at_most = 0.9", "at_most = 0.9\nmin_n = 5000"))
    assert main(["gate", str(tmp_path), "--audit", str(failing)]) == 1
    assert main(["gate", str(tmp_path), "--audit", str(undecided)]) == 3
    assert main(["gate", str(tmp_path)]) == 0
    capsys.readouterr()


def test_regating_imports_nothing_heavy(made, tmp_path):
    main(["run", str(made / "audit.toml"), "--out", str(tmp_path), "-q"])
    heavy = ["torch", "transformers", "textattack", "captum", "nlpaug"]
    code = (
        "import sys; from audit.cli import main; "
        f"code = main(['run', {str(made / 'audit.toml')!r}, '--out', {str(tmp_path)!r}, '-q']); "
        f"print([m for m in {heavy!r} if m in sys.modules], code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_a_second_run_takes_everything_from_the_journal(made, tmp_path, capsys):
    from audit import store

    main(["run", str(made / "audit.toml"), "--out", str(tmp_path), "-q"])
    first = store.read(tmp_path)
    main(["run", str(made / "audit.toml"), "--out", str(tmp_path), "-q"])
    again = store.read(tmp_path)
    assert again == first
    assert store.digest(again) == store.digest(first)
    assert all(cost.from_journal for cost in again.telemetry.probes)
    capsys.readouterr()


def test_plan_scores_nothing_and_says_what_could_be_seen(made, capsys):
    assert main(["plan", str(made / "audit.toml")]) == 0
    out, _ = said(capsys)
    assert "typos.flip_rate <= 0.9" in out and "model calls" in out and "Plan digest" in out


def test_plan_says_how_many_texts_another_effect_takes(made, capsys):
    assert main(["plan", str(made / "audit.toml"), "--mde", "0.01"]) == 0
    out, _ = said(capsys)
    head = next(line for line in out.splitlines() if "texts in all for 0.01" in line)
    row = next(line for line in out.splitlines() if line.startswith("group_rates  against = rest"))
    assert "slice" in head
    *_, seen, needed = row.split()
    # 80 texts detect what is seen; the rest follows from the square.
    assert int(needed.replace(",", "")) == pytest.approx(80 * (float(seen) / 0.01) ** 2, rel=0.01)
    assert main(["plan", str(made / "audit.toml"), "--mde", "5"]) == 2
    capsys.readouterr()


def test_init_writes_a_file_that_plan_accepts(made, tmp_path, capsys):
    target = made / "fresh.toml"
    assert main(["init", "model", "texts.csv", "--out", str(target), "--force"]) == 0
    assert main(["plan", str(target)]) == 0
    assert main(["init", "model", "texts.csv", "--out", str(target)]) == 2
    capsys.readouterr()


def test_probes_and_doctor_answer(capsys):
    assert main(["probes"]) == 0
    assert main(["probes", "typos"]) == 0
    assert main(["doctor"]) == 0
    out, _ = said(capsys)
    assert "Does the label survive" in out or "typing slip" in out
    assert "torch" in out


@pytest.mark.parametrize(
    ("spoil", "problem", "hint"),
    [
        (("at_most", "atmost"), "has no setting 'atmost'", "Did you mean 'at_most'?"),
        (('label = "label"', 'label = "labl"'), "labl", "Did you mean 'label'?"),
        (('name = "typos"', 'name = "typoz"'), "There is no probe 'typoz'", "Did you mean 'typos'"),
        (('path = "model"', 'path = "nowhere"'), "There is no model at nowhere", "Name a folder"),
        (('favourable = ["yes"]', 'favourable = ["yess"]'), "'yess' is not a label", "'yes'"),
        (("typos.flip_rate", "typos.flop_rate"), "flop_rate", "flip_rate"),
        (("[model]", "[model"), "is not TOML", ""),
    ],
)
def test_a_mistake_is_one_sentence_and_a_hint(made, tmp_path, capsys, spoil, problem, hint):
    broken = made / "broken.toml"
    broken.write_text((made / "audit.toml").read_text().replace(*spoil))
    assert main(["run", str(broken), "--out", str(tmp_path / "out"), "-q"]) == 2
    _, err = said(capsys)
    assert err.startswith("error: ") and problem in err and hint in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "empty"),
        ("id,text,label,sex\n1,\xe9t\xe9,no,f\n".encode("latin-1"), "UTF-8"),
        (b"id,text,label,sex\n1,a b,perhaps,f\n", "perhaps"),
        (b"id,text,label,sex\n1,a b,no,f\n1,c d,yes,m\n", "1"),
    ],
    ids=["empty", "latin-1", "unknown label", "same id twice"],
)
def test_bad_data_is_one_sentence_and_the_earlier_report_stays(
    made, tmp_path, capsys, body, problem
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text("earlier")
    (made / "bad.csv").write_bytes(body)
    broken = made / "bad.toml"
    broken.write_text((made / "audit.toml").read_text().replace("texts.csv", "bad.csv"))
    assert main(["run", str(broken), "--out", str(out), "-q"]) == 2
    _, err = said(capsys)
    assert err.startswith("error: ") and problem in err and "Traceback" not in err
    assert (out / "result.json").read_text() == "earlier"


def test_an_interrupt_is_code_two_and_the_same_command_goes_on(made, tmp_path):
    command = [sys.executable, "-m", "audit.cli", "run", str(made / "audit.toml")]
    command += ["--out", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "typos" in line or "texts" in line:
            break
    process.terminate()
    _, rest = process.communicate()
    assert process.wait() == 2
    assert "Interrupted" in rest and "Traceback" not in rest
    assert main(["run", str(made / "audit.toml"), "--out", str(tmp_path), "-q"]) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_a_sentence_and_the_earlier_report_stays(made, tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        (disk / "result.json").write_text("earlier")
        (disk / "ballast").write_bytes(bytes((1 << 20) - (1 << 15)))
        assert main(["run", str(made / "audit.toml"), "--out", str(disk), "-q"]) == 2
        _, err = said(capsys)
        assert "disk" in err.lower() and "Traceback" not in err
        assert (disk / "result.json").read_text() == "earlier"
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_two_audits_do_not_write_into_one_folder(made, tmp_path, capsys):
    from audit.files import locked

    with locked(tmp_path):
        assert main(["run", str(made / "audit.toml"), "--out", str(tmp_path), "-q"]) == 2
    assert "Another audit is writing" in said(capsys)[1]


def test_terminal_commands_in_a_name_do_not_reach_the_terminal(made, tmp_path, capsys):
    assert main(["report", str(tmp_path / "evil\x1b[2Jname")]) == 2
    assert "\x1b" not in said(capsys)[1]
