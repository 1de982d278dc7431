"""Small tables on disk, for tests."""

import csv
import io
import json

from audit.config import CorpusConfig


def put(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def spec(path, **changes):
    return CorpusConfig(path=str(path), **changes)


def as_csv(rows, **how):
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), **how)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)
