"""The local page without a browser: who may ask, what is listed, what an address gives away."""

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import pytest
from tiny import small_audit

from audit import web
from audit.decision import make
from audit.errors import ConfigError, DataError
from audit.explain import Audited
from audit.types import Example
from audit.web._desk import KEPT, Desk, audit_file, key
from audit.web._rows import SHOWN, Asked, choices, chosen, rows

PORT, TOKEN = 8123, "a-token-that-nobody-guesses"
HOST = f"127.0.0.1:{PORT}"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
TEXTS = [
    "she wrote a good report about old bridges and rivers",
    "nobody painted the wooden table in the garden",
    f"he said {EVIL} and went home",
]
COOKIE = f"evenhand-{PORT}={TOKEN}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An audit that has been run."""
    home = tmp_path_factory.mktemp("audit")
    small_audit(home, TEXTS)
    return home


@pytest.fixture(scope="module")
def one():
    with ThreadPoolExecutor(max_workers=1) as worker:
        yield worker


@pytest.fixture(scope="module")
def desk(folder, one):
    return one.submit(Desk, "audit.toml", folder).result()


@pytest.fixture(scope="module")
def ask(desk, one):
    """Send one request to the application as a server would; return status, headers, body."""
    app = web.application(desk, one, token=TOKEN, port=PORT)

    def send(method, path, *, body=b"", host=HOST, cookie=COOKIE, origin=None, **headers):
        target, _, query = path.partition("?")
        said = {"host": host, "cookie": cookie, "origin": origin, **headers}
        if body:
            said.setdefault("content-length", str(len(body)))
            said.setdefault("content-type", "application/x-www-form-urlencoded")
        scope = {
            "type": "http",
            "method": method,
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in said.items() if v is not None],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", PORT),
            "client": ("127.0.0.1", 40000),
            "root_path": "",
        }
        got, read = [], []

        async def receive():
            if read:
                # The browser stays until it has its answer.
                await asyncio.Event().wait()
            read.append(True)
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message):
            got.append(message)

        asyncio.run(app(scope, receive, keep))
        found = {k.decode(): v.decode() for k, v in got[0]["headers"]}
        return got[0]["status"], found, b"".join(m.get("body", b"") for m in got[1:]).decode()

    return send


OWN = f"http://{HOST}"


def post(ask, path, **fields):
    return ask("POST", path, body=urlencode(fields).encode(), origin=OWN)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, 200),
        ({"host": f"localhost:{PORT}"}, 200),
        ({"host": f"[::1]:{PORT}"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": f"127.0.0.1.evil.example:{PORT}"}, 421),
        ({"host": None}, 421),
        ({"cookie": None}, 401),
        ({"cookie": f"evenhand-{PORT}=another"}, 401),
        ({"cookie": "evenhand-1=" + TOKEN}, 401),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"https://{HOST}"}, 403),
        ({"origin": OWN}, 200),
    ],
)
def test_only_this_machines_own_page_is_answered(ask, said, status):
    assert ask("GET", "/", **said)[0] == status


def test_a_change_must_come_from_the_page(ask, desk):
    body = urlencode({"key": key((TEXTS[0],))}).encode()
    assert ask("POST", "/pin", body=body)[0] == 403
    assert ask("POST", "/pin", body=body, origin="http://evil.example")[0] == 403
    assert desk.pins == ()


def test_a_large_or_endless_body_is_not_read(ask):
    assert ask("POST", "/text", body=b"text=x", origin=OWN, **{"content-length": "9" * 9})[0] == 413
    assert ask("POST", "/text", origin=OWN, **{"transfer-encoding": "chunked"})[0] == 413


def test_the_token_moves_from_the_address_into_a_cookie(ask):
    status, headers, _ = ask("GET", f"/?words=x&token={TOKEN}", cookie=None)
    assert (status, headers["location"]) == (303, "/?words=x")
    assert "HttpOnly" in headers["set-cookie"] and "SameSite=Strict" in headers["set-cookie"]
    # A path with two slashes would lead to another host.
    assert ask("GET", f"//evil.example/?token={TOKEN}", cookie=None)[1]["location"] == (
        "/evil.example/"
    )
    assert ask("GET", "/?token=wrong", cookie=None)[0] == 401
    assert ask("POST", f"/pin?token={TOKEN}", cookie=None, origin=OWN)[0] == 401


def test_every_answer_stays_out_of_caches_and_frames(ask):
    for path in ("/", "/compare", "/nowhere"):
        headers = ask("GET", path)[1]
        assert headers["cache-control"] == "no-store" and headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"


def test_a_page_allows_its_own_script_and_style_alone(ask):
    page = ask("GET", "/")[2]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page).group(1)
    assert "default-src &#39;none&#39;" in policy and "unsafe" not in policy
    assert page.count("<script>") == 1


def test_texts_under_audit_stay_text(ask):
    assert EVIL not in ask("GET", "/")[2]
    status, _, page = ask("GET", f"/text/{key((TEXTS[2],))}")
    assert status == 200 and EVIL not in page and "&lt;script&gt;" in page
    export = ask("GET", f"/export/{key((TEXTS[2],))}")[2]
    assert EVIL not in export and "<script" not in export


def test_a_text_page_shows_all_that_explain_shows(ask):
    page = ask("GET", f"/text/{key((TEXTS[0],))}?method=saliency&versus=occlusion")[2]
    for word in ("Reliability", "Swaps", "Nearest flips", "Similar audited texts", "t0", "sex"):
        assert word in page
    # One frame around it all, however it was sent.
    assert page.count("<main") == page.count("</main>") == page.count("</html>") == 1


def test_an_address_holds_no_word_of_a_text(ask):
    status, headers, _ = post(ask, "/text", text="a secret sentence", origin="")
    assert status == 303 and "secret" not in headers["location"]
    assert "a secret sentence" in ask("GET", headers["location"])[2]


def test_an_edited_text_is_held_against_the_one_it_came_from(ask):
    origin = key((TEXTS[0],))
    new = TEXTS[0].replace("good", "bad")
    page = ask("GET", post(ask, "/text", text=new, origin=origin)[1]["location"])[2]
    assert f'href="/text/{origin}"' in page and "<del>" in page and "<ins>" in page


def test_the_quick_answer_is_data_not_markup(ask):
    body = json.dumps({"parts": [TEXTS[2]], "origin": key((TEXTS[2],))}).encode()
    status, headers, said = ask("POST", "/quick", body=body, origin=OWN)
    found = json.loads(said)
    assert status == 200 and headers["content-type"] == "application/json"
    assert found["turned"] is False and float(found["change"]) == 0
    assert "".join(w["text"] for w in found["words"]) == TEXTS[2].replace(" ", "")
    assert json.loads(ask("POST", "/quick", body=b'{"parts": [" "]}', origin=OWN)[2]) is None


def test_two_texts_are_pinned_and_set_side_by_side(ask, desk):
    for text in TEXTS:
        post(ask, "/pin", key=key((text,)))
    assert desk.pins == (key((TEXTS[1],)), key((TEXTS[2],)))
    page = ask("GET", "/compare")[2]
    assert page.count('class="rely ') == 2 and "nobody" in page
    both = ask("GET", "/export/compare")
    assert "attachment" in both[1]["content-disposition"] and both[2].count('class="rely ') == 2
    for name in desk.pins:
        post(ask, "/pin", key=name, back="compare")
    assert desk.pins == ()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/text/unknown", 404, "not open"),
        ("/export/unknown", 404, "not open"),
        ("/nowhere", 404, "not open"),
        (f"/text/{key((TEXTS[0],))}?method=occulsion", 400, "Did you mean"),
        ("/?page=99999999999&order=sideways&right=perhaps", 200, "3 of 3"),
    ],
)
def test_a_wrong_address_gets_a_sentence(ask, path, status, said):
    found, _, page = ask("GET", path)
    assert found == status and said in page


def test_an_empty_text_is_refused_with_a_sentence(ask):
    status, _, page = post(ask, "/text", text="  ", origin="")
    assert status == 400 and "There is no text to explain" in page


def test_the_list_is_filtered_and_sorted(ask):
    page = ask("GET", "/?group=sex%3Df")[2]
    assert "old bridges" in page and "wooden table" not in page
    assert "wooden table" in ask("GET", f"/?words={quote('WOODEN garden')}")[2]


@pytest.fixture
def table():
    rule = make(("no", "yes"), ("yes",))
    known = Audited(
        examples=tuple(
            Example(id=f"e{i}", text="word " * (i % 7 + 1) + str(i), label="yes" if i % 2 else "no")
            for i in range(130)
        ),
        scores={f"e{i}": (i / 130, int(i >= 65)) for i in range(129)},
        flipped={"e5": ("swaps.flip_rate",), "e9": ("a", "b")},
    )
    return rows(known, rule, lambda e: e.id)


def test_a_page_of_rows_is_a_slice_of_the_sorted_whole(table):
    pages = [chosen(table, Asked(order="highest", page=p)) for p in (1, 2, 3, 9)]
    assert [len(p.rows) for p in pages] == [SHOWN, SHOWN, 30, 30] and pages[3].page == 3
    scores = [r.score for p in pages[:3] for r in p.rows]
    assert scores[:-1] == sorted(scores[:-1], reverse=True)
    # What was never scored stands last, either way round.
    assert (
        scores[-1] is None and chosen(table, Asked(order="lowest", page=3)).rows[-1].score is None
    )


def test_filters_narrow_together(table):
    wrong = chosen(table, Asked(right="wrong", decision="yes"))
    assert wrong.total == sum(1 for i in range(65, 129) if i % 2 == 0)
    assert [r.example.id for r in chosen(table, Asked(turned="any", order="turned")).rows] == [
        "e9",
        "e5",
    ]
    assert chosen(table, Asked(turned="a")).total == 1
    assert choices(table).decisions == ("no", "yes") and choices(table).turned == (
        "a",
        "b",
        "swaps.flip_rate",
    )


def test_the_folder_of_an_audit_leads_to_its_file(folder, tmp_path):
    assert audit_file("audit-out", folder) == str((folder / "audit.toml").resolve())
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("audit.toml", "result.json"):
        (moved / name).write_bytes((folder / "audit-out" / name).read_bytes())
    with pytest.raises(ConfigError, match="not above it any more"):
        audit_file(str(moved), tmp_path)


def test_only_so_many_opened_texts_are_remembered(desk):
    first = desk.open(("the first",))
    for i in range(KEPT):
        desk.open((f"number {i}",))
    assert desk.find(first.key) is None and desk.find(key(("number 7",))) is not None
    with pytest.raises(DataError, match="may have"):
        desk.open(("x" * 200_001,))


def test_the_command_serves_until_it_is_interrupted(folder):
    command = [sys.executable, "-m", "audit.cli", "inspect", "audit.toml", "--no-browser"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            address = re.search(r"http://\S+", running.stdout.readline()).group()
            port = int(address.split(":")[2].split("/")[0])
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            for _ in range(100):
                try:
                    page = opener.open(address, timeout=60).read().decode()
                    break
                except urllib.error.URLError:
                    time.sleep(0.1)
            assert "old bridges" in page
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60)
        finally:
            running.send_signal(2)
            _, errors = running.communicate(timeout=60)
    assert running.returncode == 0 and errors == ""
