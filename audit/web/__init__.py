"""A local page over an audit and its live model: look at a text, change it, set two side by side."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from audit import explaining, report
from audit.errors import AuditError, Unsupported
from audit.explain import PARTS, Explanation
from audit.figures import number, signed
from audit.web._desk import SLOW, Desk, Opened
from audit.web._guard import guarded
from audit.web._rows import ORDERS, Asked, chosen

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Desk", "application", "serve"]

T = TypeVar("T")
_PAUSE = "<!-- -->"
"""Stands in the template where what is written so far can be shown."""


def serve(
    place: str,
    *,
    base: Path = Path(),
    favourable: Sequence[str] = (),
    port: int = 0,
    say: Callable[[str], None],
) -> None:
    """Serve the page on loopback until interrupted.

    Args:
        place: Audit file, folder of an audit, or a model.
        base: Folder that `place` starts from.
        favourable: Labels whose score is explained, instead of the audit file's.
        port: 0 takes a free one.
        say: Is told the address, once the page answers there.

    Raises:
        AuditError: If there is no such audit or model, or the port is taken.
        Unsupported: If the web server is not installed.
    """
    try:
        import uvicorn
    except ImportError as missing:
        raise Unsupported(
            "The local page needs a web server.", hint='pip install "evenhand[inspect]"'
        ) from missing
    one = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
    desk = one.submit(Desk, place, base, favourable).result()
    # Never another address: the page shows people's texts.
    listening = socket.socket()
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as taken:
        listening.close()
        raise Unsupported(
            f"Port {port} is taken.", hint="Choose another with --port, or leave it out."
        ) from taken
    port, token = listening.getsockname()[1], secrets.token_urlsafe(32)
    settings = uvicorn.Config(
        application(desk, one, token=token, port=port),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(settings)
    # Ctrl-C is how such a visit ends, not an error; the server's own handling would raise it again.
    server.capture_signals = lambda: _ending(server)  # type: ignore[method-assign]
    say(f"http://127.0.0.1:{port}/?token={token}")
    with listening:
        asyncio.run(server.serve(sockets=[listening]))
    one.shutdown()


def application(desk: Desk, one: ThreadPoolExecutor, *, token: str, port: int) -> Any:
    """Return the page as an ASGI application that answers only to who knows `token`.

    Args:
        desk: What is looked at.
        one: The one thread in which `desk` was made and is asked.
        token: Secret of this visit.
        port: That the page is served on.
    """
    from markupsafe import Markup
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
    from starlette.routing import Route

    async def ask(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(one, lambda: work(*args, **kwargs))

    def shown(template: str, status: int = 200, **said: object) -> HTMLResponse:
        return HTMLResponse(
            report.page(template, script="inspect.js", live=True, desk=desk, **said), status
        )

    def missing() -> HTMLResponse:
        return shown("inspect_error.html.j2", 404, problem=None)

    async def texts(request: Request) -> Response:
        asked = _asked(request.query_params)
        found = chosen(desk.rows, asked)
        return shown(
            "inspect_list.html.j2",
            asked=asked,
            found=found,
            orders=tuple(ORDERS),
            before=_page(asked, found.page - 1),
            after=_page(asked, found.page + 1),
        )

    async def opened(request: Request) -> Response:
        form = await _form(request)
        parts = [form[name] for name in ("text", "second") if name in form]
        # A field ends its lines as the web does, a file as the machine that wrote it.
        parts = [part.replace("\r\n", "\n") for part in parts]
        new = desk.open(parts, form.get("origin", ""))
        return RedirectResponse(_address(new, _method(form)), 303)

    async def text(request: Request) -> Response:
        found = desk.find(request.path_params["key"])
        if found is None:
            return missing()
        method, versus = _method(request.query_params)
        origin = desk.find(found.origin) if found.origin else None
        # Errors must come before the page has begun.
        first = await ask(desk.answer, found, method=method, versus=versus)
        was = None if origin is None else await ask(desk.answer, origin, ("attribution",))

        def filled(part: str) -> explaining.View:
            return explaining.view(desk.answer(found, (part,), method=method, versus=versus))  # type: ignore[arg-type]

        pieces = report.streamed(
            "inspect_text.html.j2",
            script="inspect.js",
            live=True,
            desk=desk,
            opened=found,
            row=desk.audited(found.key),
            view=explaining.view(first),
            was=was,
            edit=None if origin is None else _edit(origin, found),
            method=method or desk.method,
            versus=versus,
            filled=filled,
            slow=SLOW,
            # Ours, and a comment: it has to reach the page as it stands to be found again.
            pause=Markup(_PAUSE),
        )
        return StreamingResponse(_flowing(pieces, ask), media_type="text/html; charset=utf-8")

    async def quick(request: Request) -> Response:
        said = json.loads(await request.body())
        new = Opened(key="", parts=tuple(str(part) for part in said["parts"]))
        if not any(part.strip() for part in new.parts):
            return JSONResponse(None)
        e = await ask(desk.answer, new, method=str(said.get("method", "")))
        was = desk.find(str(said.get("origin", "")))
        before = None if was is None else await ask(desk.answer, was, ("attribution",))
        return JSONResponse(_live(e, before))

    async def pin(request: Request) -> Response:
        form = await _form(request)
        name = form.get("key", "")
        desk.pin(name)
        back = "/compare" if form.get("back") == "compare" else f"/text/{name}"
        return RedirectResponse(back if desk.find(name) or back == "/compare" else "/", 303)

    async def compared(request: Request) -> Response:
        found = [await ask(desk.answer, one) for one in _pinned(desk)]
        rows, left = report.aligned_rows(
            explaining.beside(*found) if len(found) == 2 else (), most=60
        )
        return shown(
            "inspect_compare.html.j2",
            pins=desk.pins,
            views=[explaining.view(e) for e in found],
            beside=rows,
            beside_left=left,
        )

    async def export(request: Request) -> Response:
        name = request.path_params["key"]
        wanted = _pinned(desk) if name == "compare" else [desk.find(name)]
        some = [one for one in wanted if one is not None]
        if not some:
            return missing()
        method, versus = _method(request.query_params)
        found = [await ask(desk.answer, one, PARTS, method=method, versus=versus) for one in some]
        return HTMLResponse(
            explaining.as_page(found, desk.name, request.query_params.get("lang", "en")),
            headers={"content-disposition": f'attachment; filename="explanation-{name}.html"'},
        )

    async def refused(_: Request, problem: Exception) -> Response:
        return shown("inspect_error.html.j2", 400, problem=problem)

    async def nowhere(_: Request, __: Exception) -> Response:
        return missing()

    routes = [
        Route("/", texts),
        Route("/text", opened, methods=["POST"]),
        Route("/text/{key}", text),
        Route("/quick", quick, methods=["POST"]),
        Route("/pin", pin, methods=["POST"]),
        Route("/compare", compared),
        Route("/export/{key}", export),
    ]
    inner = Starlette(routes=routes, exception_handlers={AuditError: refused, 404: nowhere})
    return guarded(inner, token, port)


async def _flowing(pieces: Iterator[str], ask: Callable[..., Any]) -> AsyncIterator[str]:
    """Hand out a page as it is made; the model is asked in its own thread while it is."""

    def until_pause() -> tuple[str, bool]:
        made: list[str] = []
        for piece in pieces:
            if piece == _PAUSE:
                return "".join(made), False
            made.append(piece)
        return "".join(made), True

    done = False
    while not done:
        some, done = await ask(until_pause)
        if some:
            yield some


async def _form(request: Request) -> dict[str, str]:
    return dict(
        parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    )


def _asked(query: Any) -> Asked:
    page = query.get("page", "1")
    return Asked(
        **{
            name: query.get(name, "")
            for name in ("words", "label", "decision", "right", "group", "turned")
        },
        order=query.get("order", "file"),
        page=int(page) if page.isdigit() and len(page) < 9 else 1,
    )


def _page(asked: Asked, page: int) -> str:
    some = {**asdict(asked), "page": page}
    return "/?" + urlencode({k: v for k, v in some.items() if v})


def _method(given: Any) -> tuple[str, str]:
    return str(given.get("method", "")), str(given.get("versus", ""))


def _address(opened: Opened, methods: tuple[str, str]) -> str:
    some = {k: v for k, v in zip(("method", "versus"), methods, strict=True) if v}
    return f"/text/{opened.key}" + (f"?{urlencode(some)}" if some else "")


def _pinned(desk: Desk) -> list[Opened]:
    return [found for name in desk.pins if (found := desk.find(name)) is not None]


def _edit(origin: Opened, found: Opened) -> tuple[Any, Any]:
    return report.compare("\n".join(origin.parts), "\n".join(found.parts))


def _live(e: Explanation, before: Explanation | None) -> dict[str, Any]:
    """Return what the page redraws while a text is edited: plain data, drawn as text."""
    w = e.weighed
    heated = () if w is None else report.heat([x.text for x in w.words], w.weights)
    return {
        "decision": ", ".join(e.decision),
        "score": number(e.score),
        "change": None if before is None else signed(e.score - before.score),
        "turned": before is not None and before.decision != e.decision,
        "probabilities": [
            [name, number(p), round(p, 4)]
            for name, p in zip(e.labels, e.probabilities, strict=True)
        ],
        "reliability": None if w is None or w.reliability is None else w.reliability.label,
        "words": [
            {"text": "".join(p.text for p in h.pieces), "shade": h.shade, "label": h.label}
            for h in heated
        ],
    }


@contextmanager
def _ending(server: Any) -> Iterator[None]:
    def stop(*_: object) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    before = {name: signal.signal(name, stop) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
