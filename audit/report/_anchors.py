"""Permalinks: readable, and the same in every report that names the same thing."""

import hashlib
import re


def anchor(kind: str, name: str) -> str:
    """Return the permalink of `name`: readable, and the same in every report that names it."""
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-")[:60]
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kind}-{slug}-{digest}" if slug else f"{kind}-{digest}"
