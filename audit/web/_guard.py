"""Who may speak to the local page: this machine's own browser, with the token, from the page itself.

A page on loopback is reachable by every site the user has open. A site can aim a request at it
(cross-site request forgery) or make its own name resolve to this machine (DNS rebinding): so the
Host must be loopback, an Origin must be this page's own, and a random token must be known.
"""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST = 1_000_000
"""Bytes of a request's body, at most."""
HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    # With no-referrer a browser would hide the Origin of the page's own forms.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    # The texts of an audit stay out of the browser's cache on disk.
    ("cache-control", "no-store"),
)


def guarded(app: App, token: str, port: int) -> App:
    """Return `app` behind the three checks.

    The token comes once in the address, moves into a cookie that no other site can send, and
    leaves the address by a redirect, so that it stays out of the browser's history.
    """
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    origins = {f"http://{host}" for host in hosts}
    cookie = f"evenhand-{port}"

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        origin = headers.get("origin")
        if headers.get("host") not in hosts:
            await _refuse(send, 421, "This page answers to 127.0.0.1 and localhost alone.")
        elif origin is not None and origin not in origins:
            await _refuse(send, 403, "Another site may not ask this page anything.")
        elif scope["method"] not in ("GET", "HEAD") and origin is None:
            await _refuse(send, 403, "A change must come from the page itself.")
        elif not _length(headers) <= LARGEST:
            await _refuse(send, 413, f"At most {LARGEST:,} bytes are read.")
        elif _same(_cookie(headers.get("cookie", ""), cookie), token):
            await app(scope, receive, _adding(send))
        elif scope["method"] == "GET" and _same(_asked(scope).get("token", ""), token):
            await _welcome(scope, send, f"{cookie}={token}; HttpOnly; SameSite=Strict; Path=/")
        else:
            await _refuse(send, 401, "Open the address that evenhand inspect printed.")

    return checked


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _asked(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1")))


def _length(headers: MutableMapping[str, str]) -> float:
    # Without a length nobody knows: chunked bodies are refused with the large ones.
    said = headers.get("content-length", "inf" if "transfer-encoding" in headers else "0")
    return float(said) if said.isdigit() else float("inf")


def _adding(send: Send) -> Send:
    async def more(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(k.encode(), v.encode()) for k, v in HEADERS]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return more


async def _welcome(scope: Scope, send: Send, cookie: str) -> None:
    left = urlencode([(k, v) for k, v in _asked(scope).items() if k != "token"])
    # The path as it was sent, never a host: a redirect must not lead elsewhere.
    path = "/" + scope["path"].lstrip("/")
    headers = [("location", path + (f"?{left}" if left else "")), ("set-cookie", cookie)]
    await _answer(send, 303, "", headers)


async def _refuse(send: Send, status: int, said: str) -> None:
    await _answer(send, status, said + "\n", [("content-type", "text/plain; charset=utf-8")])


async def _answer(send: Send, status: int, body: str, headers: list[tuple[str, str]]) -> None:
    every = [(k.encode(), v.encode("latin-1")) for k, v in (*headers, *HEADERS)]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body.encode()})
