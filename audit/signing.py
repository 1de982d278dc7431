"""Signing a result with a key of one's own, and checking such a signature.

The signature is a DSSE envelope around an in-toto statement (`audit.attest`), signed by Ed25519.
Private keys stay where their owner keeps them; an audit's folder holds none.

Source: DSSE v1.0, https://github.com/secure-systems-lab/dsse; RFC 8032 (Ed25519).
"""

import base64
import binascii
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit import attest, store
from audit.errors import AuditError, ResultError, Unsupported
from audit.files import write_atomically, write_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE = "signature.json"
PAYLOAD = "application/vnd.in-toto+json"
PASSWORD = "EVENHAND_KEY_PASSWORD"
"""Environment variable with the password of a private key, where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What a signature says, its mathematics checked."""

    statement: Mapping[str, Any]
    signer: str
    """Name and day that the signer gave; not proof of anybody."""
    key: str
    """Fingerprint of the public key: SHA-256 of its 32 bytes."""


def new_key(path: Path) -> str:
    """Write a new private key to `path`, readable by its owner alone, and ``path.pub`` beside it.

    Returns:
        The fingerprint of the key.

    Raises:
        AuditError: If there is a file at `path` already, or it cannot be written.
    """
    serialization, ed25519 = _cryptography()
    public = path.with_name(f"{path.name}.pub")
    for file in (path, public):
        if file.exists():
            raise AuditError(
                f"{file} exists; a key is never overwritten.", hint="Name another file."
            )
    key = ed25519.Ed25519PrivateKey.generate()
    password = os.environ.get(PASSWORD, "")
    hidden = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)

    def write(temporary: Path) -> None:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)

    write_atomically(path, write)
    write_text(
        public,
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii"),
    )
    return fingerprint(key.public_key())


def sign(folder: Path, key: Path, *, signer: str = "", day: str = "") -> Path:
    """Sign the result in `folder` and write ``signature.json`` beside it.

    Args:
        folder: Of the audit.
        key: Private key in PEM, as `new_key` writes it.
        signer: Who signs, in words.
        day: When, ``YYYY-MM-DD``.

    Raises:
        AuditError: If the key cannot be read, or the result is damaged.
    """
    private = _private(key)
    said = attest.statement(store.read(folder), folder)
    said["predicate"]["signer"] = {"name": signer, "day": day}
    payload = attest.written(said).encode()
    envelope = {
        "payloadType": PAYLOAD,
        "payload": base64.b64encode(payload).decode("ascii"),
        "publicKey": base64.b64encode(_raw(private.public_key())).decode("ascii"),
        "signatures": [
            {
                "keyid": fingerprint(private.public_key()),
                "sig": base64.b64encode(private.sign(_authenticated(payload))).decode("ascii"),
            }
        ],
    }
    path = folder / SIGNATURE
    write_text(path, json.dumps(envelope, indent=1, sort_keys=True) + "\n")
    return path


def by_sigstore(folder: Path) -> Path:
    """Sign ``result.json`` with Sigstore's own program and return the bundle.

    Raises:
        Unsupported: If Sigstore is not installed.
        AuditError: If it does not sign: it needs the network and a person who logs in.
    """
    if importlib.util.find_spec("sigstore") is None:
        raise Unsupported(
            "Sigstore is not installed.",
            hint="pip install sigstore; or sign with a key of your own: --key FILE.",
        )
    file = folder / store.RESULT
    bundle = folder / f"{store.RESULT}.sigstore.json"
    done = subprocess.run(
        [sys.executable, "-m", "sigstore", "sign", "--bundle", str(bundle), str(file)],
        check=False,
    )
    if done.returncode:
        raise AuditError(f"Sigstore ended with code {done.returncode} and signed nothing.")
    return bundle


def check(path: Path, public: Path | None = None) -> Signed:
    """Check the mathematics of a signature.

    Args:
        path: The envelope.
        public: Public key to hold it against; the one in the envelope where not given, of which
            nobody but the signer can say whose it is.

    Raises:
        ResultError: With one sentence on what is wrong.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        envelope = json.loads(path.read_text("utf-8"))
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
        kind = envelope["payloadType"]
        inside = base64.b64decode(envelope["publicKey"], validate=True)
    except (OSError, ValueError, KeyError, IndexError, TypeError, binascii.Error) as problem:
        raise ResultError(f"The signature {path.name} is damaged.") from problem
    if kind != PAYLOAD:
        raise ResultError(f"The signature {path.name} is not about a result.")
    key = _public(public) if public is not None else _from_raw(inside, path)
    if public is not None and _raw(key) != inside:
        raise ResultError(
            f"The result was signed with another key than {public.name}.",
            hint="Ask the signer for the public key, and why there are two.",
        )
    try:
        key.verify(signature, _authenticated(payload))
    except InvalidSignature:
        raise ResultError(
            f"The signature {path.name} does not fit what it says: it was changed after signing."
        ) from None
    try:
        said = json.loads(payload)
        signer = said["predicate"]["signer"]
        named = ", ".join(part for part in (str(signer["name"]), str(signer["day"])) if part)
    except (ValueError, KeyError, TypeError) as problem:
        raise ResultError(f"The signature {path.name} is not about a result.") from problem
    return Signed(statement=said, signer=named, key=fingerprint(key))


def fingerprint(key: "Ed25519PublicKey") -> str:
    """Return the SHA-256 of a public key's 32 bytes, in hexadecimal."""
    return hashlib.sha256(_raw(key)).hexdigest()


def _authenticated(payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: what kind of thing is signed is signed too."""
    kind = PAYLOAD.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _raw(key: "Ed25519PublicKey") -> bytes:
    serialization, _ = _cryptography()
    raw: bytes = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw


def _from_raw(raw: bytes, path: Path) -> "Ed25519PublicKey":
    _, ed25519 = _cryptography()
    try:
        key: Ed25519PublicKey = ed25519.Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as problem:
        raise ResultError(f"The signature {path.name} is damaged.") from problem
    return key


def _private(path: Path) -> "Ed25519PrivateKey":
    serialization, ed25519 = _cryptography()
    password = os.environ.get(PASSWORD, "").encode() or None
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password)
    except OSError as problem:
        raise AuditError(
            f"The key {path} cannot be read: {problem.strerror}.",
            hint=f"`evenhand sign --new-key {path.name}` makes one.",
        ) from problem
    except (ValueError, TypeError) as problem:
        raise AuditError(
            f"{path.name} is no private key that can be opened.",
            hint=f"Its password, if it has one, is read from {PASSWORD}.",
        ) from problem
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise AuditError(f"{path.name} is not an Ed25519 key.")
    found: Ed25519PrivateKey = key
    return found


def _public(path: Path) -> "Ed25519PublicKey":
    serialization, ed25519 = _cryptography()
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise AuditError(f"{path} is no public key that can be read.") from problem
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise AuditError(f"{path.name} is not an Ed25519 key.")
    found: Ed25519PublicKey = key
    return found


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as missing:
        raise Unsupported(
            "Signatures need the package cryptography, which is not installed.",
            hint="Install it: pip install 'evenhand[sign]'.",
        ) from missing
    return serialization, ed25519
