"""Commands that sign a result and check one."""

from pathlib import Path
from typing import Annotated

import typer


def sign(
    result: Annotated[Path | None, typer.Argument(help="Folder of an audit.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key (Ed25519, PEM).")] = None,
    new_key: Annotated[
        Path | None, typer.Option(help="Make a key here, and its public half in FILE.pub.")
    ] = None,
    signer: Annotated[str, typer.Option("--as", help="Who signs, in words.")] = "",
    sigstore: Annotated[
        bool, typer.Option("--sigstore", help="Sign with Sigstore instead, where installed.")
    ] = False,
) -> int:
    """Sign a result with a key of your own; `verify` checks it."""
    from datetime import UTC, datetime

    from audit import signing
    from audit.errors import ConfigError

    if new_key is not None:
        print(f"Key: {new_key}, fingerprint {signing.new_key(new_key)}")
        print(f"Keep {new_key} to yourself; give {new_key}.pub to those who verify.")
        key = key or new_key
        if result is None:
            return 0
    if result is None or (key is None and not sigstore):
        raise ConfigError(
            "Nothing to sign with." if result else "No result was named.",
            hint="evenhand sign FOLDER --key FILE; `evenhand sign --new-key FILE` makes a key.",
        )
    folder = result if result.is_dir() else result.parent
    if sigstore:
        print(f"Signature: {signing.by_sigstore(folder)}")
    if key is not None:
        day = datetime.now(UTC).date().isoformat()
        print(f"Signature: {signing.sign(folder, key, signer=signer, day=day)}")
    return 0


def verify(
    result: Annotated[Path, typer.Argument(help="result.json or the folder of an audit.")],
    key: Annotated[Path | None, typer.Option(help="Public key of the signer.")] = None,
    audit: Annotated[
        Path | None, typer.Option(help="Audit file whose paths lead to model and texts.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model, to score a sample again.")] = None,
    sample: Annotated[int, typer.Option(help="Cases to score again.", min=1)] = 20,
) -> int:
    """Check digests, signature and whether a result agrees with itself, its model and its texts."""
    from audit import verify as checking

    folder = result if result.is_dir() else result.parent
    checks = checking.verify(folder, public=key)
    if audit is not None or model is not None:
        from audit.rerun import rerun

        base = audit.parent if audit is not None else folder.resolve().parent
        checks += rerun(folder, base=base, path=model, sample=sample)
    words = {"agrees": "agrees", "differs": "DIFFERS", "not_checked": "not checked"}
    for check in checks:
        print(f"{words[check.state]:12} {check.what}: {checking.shown(check.said)}")
    if checking.refused(checks):
        print("The result is not what it says it is.")
        return 2
    print("Nothing that was checked differs.")
    return 0
