"""An audit that is killed goes on to the same result.

A run with a tiny random BERT and 300 texts is killed with SIGKILL at moments drawn uniformly over its
measured time, and at five placed ones: inside a cache commit, a journal append, the merge of the
Parquet parts, the rename of the result, and a training checkpoint. Each is then resumed by the same
command. The result, telemetry aside, must equal the uninterrupted one to the last bit.

    python benchmarks/resume.py             20 random kills and the five placed ones
    python benchmarks/resume.py --quick     3 random kills and the placed ones but training
    python benchmarks/resume.py --sabotage  the journal and the cache are damaged before resuming
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
PLACES = ("cache commit", "journal append", "parquet merge", "rename", "training checkpoint")
TEXTS = 300

AUDIT = """
[audit]
seed = 5

[model]
path = "model"
device = "cpu"

[decision]
favourable = ["yes"]

[corpora.test]
path = "texts.csv"
label = "label"
groups = { sex = "sex" }

[[probe]]
name = "group_rates"

[[probe]]
name = "swaps"

[[probe]]
name = "typos"

[[probe]]
name = "noise"

[[gate]]
metric = "typos.flip_rate"
at_most = 0.2
"""


def make(folder: Path) -> None:
    """Write a tiny random BERT, 300 texts and an audit file."""
    from tiny import tiny_bert

    rng = random.Random(3)
    words = (
        "the report was late again and nobody said why because his manager left her desk early "
        "while John asked about every number which they could not explain to Mary or the woman"
    ).split()
    texts = [" ".join(rng.choice(words) for _ in range(rng.randint(6, 40))) for _ in range(TEXTS)]
    tiny_bert(folder / "model", texts, ("no", "yes"))
    rows = [
        f'{i},"{text}",{rng.choice(["no", "yes"])},{rng.choice(["female", "male"])}'
        for i, text in enumerate(texts)
    ]
    (folder / "texts.csv").write_text("id,text,label,sex\n" + "\n".join(rows) + "\n")
    (folder / "audit.toml").write_text(AUDIT)


def child(place: str, arguments: list[str]) -> int:
    """Run the command line with a kill at `place`; an empty place kills nowhere."""
    import torch

    torch.set_num_threads(1)
    if place:
        _place_a_kill(place)
    from audit.cli import main

    return main(arguments)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _place_a_kill(place: str) -> None:
    count = [0]

    def on(n: int) -> bool:
        count[0] += 1
        return count[0] == n

    if place == "cache commit":
        import audit.cache as module

        class Dying:
            def __init__(self, db):
                self.db = db

            def __getattr__(self, name):
                return getattr(self.db, name)

            def execute(self, sql, *rest):
                if sql == "COMMIT" and on(5):
                    _die()
                return self.db.execute(sql, *rest)

        opened = module.DiskCache.__init__

        def init(self, path):
            opened(self, path)
            self._db = Dying(self._db)

        module.DiskCache.__init__ = init
    elif place == "journal append":
        import audit.journal as module

        class Os:
            def __getattr__(self, name):
                return getattr(os, name)

            def fsync(self, descriptor):
                if on(3):
                    # Half of the line is on the disk when the power goes.
                    size = os.fstat(descriptor).st_size
                    os.ftruncate(descriptor, size - 40)
                    _die()
                os.fsync(descriptor)

        module.os = Os()
    elif place == "parquet merge":
        import pyarrow.parquet as pq

        write = pq.ParquetWriter.write_table

        def dying(self, *args, **kwargs):
            write(self, *args, **kwargs)
            if "cases.parquet" in str(getattr(self, "where", "")) and on(2):
                _die()

        pq.ParquetWriter.write_table = dying
    elif place == "rename":
        import audit.files as module

        class Os:
            def __getattr__(self, name):
                return getattr(os, name)

            def replace(self, source, target):
                if Path(target).name == "result.json":
                    _die()
                os.replace(source, target)

        module.os = Os()
    elif place == "training checkpoint":
        import torch

        save = torch.save

        def dying(what, where, *args, **kwargs):
            if "optimizer" in str(where) and on(2):
                Path(where).write_bytes(b"half of an optimizer")
                _die()
            save(what, where, *args, **kwargs)

        torch.save = dying


def start(folder: Path, arguments: list[str], place: str = "") -> subprocess.Popen:
    command = [sys.executable, str(Path(__file__).resolve()), "--child", place, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process: subprocess.Popen, allowed: tuple[int, ...]) -> None:
    _, said = process.communicate(timeout=600)
    if process.returncode not in allowed:
        raise SystemExit(f"exit code {process.returncode}:\n{said.decode()[-3000:]}")


def digest(folder: Path) -> str:
    from audit import store

    result = store.read(folder)
    files = [(folder / name).read_bytes() for name in result.files]
    return store.digest(result) + "".join(hashlib.sha256(b).hexdigest() for b in files)


def damage(folder: Path) -> None:
    """What --sabotage does: finished work is changed behind the audit's back."""
    import sqlite3

    for cache in folder.glob("**/scores.db"):
        with sqlite3.connect(cache) as db:
            rows = db.execute("SELECT key, value FROM score").fetchall()
            for key, value in rows:
                db.execute(
                    "UPDATE score SET value = ? WHERE key = ?",
                    (value[8:16] + value[:8] + value[16:], key),
                )
    for journal in folder.glob("journal.jsonl"):
        journal.unlink()


def killed_at_random(
    work: Path, expected: str, seconds: float, n: int, sabotage: bool
) -> list[bool]:
    same = []
    rng = random.Random(11)
    for i in range(n):
        out = work / f"random-{i}"
        moment = rng.uniform(0, seconds)
        process = start(work, ["run", "audit.toml", "--out", str(out), "--quiet"])
        time.sleep(moment)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if sabotage:
            damage(out)
        finish(start(work, ["run", "audit.toml", "--out", str(out), "--quiet"]), (0, 1, 3))
        same.append(digest(out) == expected)
        print(
            f"killed after {moment:5.2f} s of {seconds:.2f}: {'same' if same[-1] else 'DIFFERENT'}"
        )
        shutil.rmtree(out)
    return same


def killed_at_places(work: Path, expected: str, sabotage: bool) -> list[bool]:
    same = []
    for place in PLACES[:4]:
        out = work / place.replace(" ", "-")
        arguments = ["run", "audit.toml", "--out", str(out), "--quiet"]
        process = start(work, arguments, place)
        process.communicate(timeout=600)
        assert process.returncode == -signal.SIGKILL, f"{place}: was not reached"
        if sabotage:
            damage(out)
        finish(start(work, arguments), (0, 1, 3))
        same.append(digest(out) == expected)
        print(f"killed inside a {place}: {'same' if same[-1] else 'DIFFERENT'}")
    return same


def killed_in_training(work: Path, sabotage: bool) -> bool:
    """A training that dies in its second checkpoint ends with the weights of one that did not."""
    from audit.checkpoint import file_digest

    def arguments(out: str) -> list[str]:
        return [
            *("train", "texts.csv", "--out", out, "--encoder", "model", "--epochs", "3"),
            *("--learning-rate", "0.001", "--max-length", "48", "--quiet"),
        ]

    finish(start(work, arguments("whole")), (0,))
    process = start(work, arguments("resumed"), PLACES[4])
    process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL, "no second checkpoint was reached"
    if sabotage:
        for weights in (work / "resumed.partial").rglob("*.safetensors"):
            body = bytearray(weights.read_bytes())
            body[-64:] = bytes(64)
            weights.write_bytes(body)
    finish(start(work, arguments("resumed")), (0, 2) if sabotage else (0,))
    weights = work / "resumed" / "model.safetensors"
    same = weights.exists() and file_digest(weights) == file_digest(
        work / "whole" / "model.safetensors"
    )
    print(f"killed inside a {PLACES[4]}: {'same' if same else 'DIFFERENT'}")
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer kills, at most 50 s")
    parser.add_argument("--sabotage", action="store_true", help="damage finished work; must fail")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        make(work)
        clock = time.perf_counter()
        finish(start(work, ["run", "audit.toml", "--out", "whole-run", "--quiet"]), (0, 1, 3))
        seconds = time.perf_counter() - clock
        expected = digest(work / "whole-run")
        print(f"uninterrupted: {seconds:.2f} s")
        kills = 3 if options.quick else 20
        same = killed_at_random(work, expected, seconds, kills, options.sabotage)
        same += killed_at_places(work, expected, options.sabotage)
        if not options.quick:
            same.append(killed_in_training(work, options.sabotage))
    figure = sum(same) / len(same)
    print(f"{sum(same)} of {len(same)} resumed runs equal the uninterrupted one")
    print(json.dumps({"figure": figure, "bar": 1.0, "holds": figure == 1.0, "n": len(same)}))
    return 0 if figure == 1.0 else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        sys.exit(child(sys.argv[2], sys.argv[3:]))
    sys.exit(main())
