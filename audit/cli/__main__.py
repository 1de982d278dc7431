"""``python -m audit.cli``: the command line without its script."""

from audit.cli import entry

entry()
