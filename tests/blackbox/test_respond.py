"""The handler `respond`: fixed answers; and usher's own pages, which an error without content gets."""

import json

import pytest

from support.usher import run_command

SITES = """
listen: "127.0.0.1:$PORT"
access_log: off
routes:
  - {path: /empty, respond: 204}
  - {path: /ok, respond: 200}
  - {path: /text, respond: {body: "hello $method $path $query"}}
  - {path: /html, respond: {status: 203, type: text/html, body: "<p>$query"}}
  - {path: /json, respond: {type: application/json, body: '{"path": "$path", "id": "$request_id"}'}}
  - {path: /file, respond: {file: page.html}}
  - {path: /gone, respond: 410}
  - {path: /forbidden, respond: 403}
  - {path: /closed, respond: 503}
"""


@pytest.fixture(scope="module")
def running(shared, tmp_path_factory):
    page = tmp_path_factory.mktemp("pages") / "page.html"
    page.write_text("<p>$host stays</p>")
    return shared.usher(SITES.replace("page.html", str(page)))


@pytest.mark.parametrize("target,status,content_type,body", [
    ("/empty", 204, None, ""),
    ("/ok", 200, None, ""),
    ("/text?a=b&c", 200, "text/plain; charset=utf-8", "hello GET /text a=b&c"),
    ("/html?a&'b", 203, "text/html", "<p>a&amp;&#39;b"),
    ("/file", 200, "text/html; charset=utf-8", "<p>$host stays</p>"),
])
def test_answer(running, target, status, content_type, body):
    response = running.get(target)
    assert (response.status, response.get("content-type"), response.body.decode()) == (status, content_type, body)
    assert response.has("x-request-id")
    assert response.has("content-length") == (status != 204)


def test_request_id(running):
    response = running.get("/json")
    assert json.loads(response.body) == {"path": "/json", "id": response.get("x-request-id")}


def test_head_and_bodies(running):
    with running.connect() as client:
        response = client.ask("HEAD", "/text")
        # RFC 9110 section 9.3.2: what is known only from the content may be left out.
        assert response.get("content-length") in (None, str(len("hello HEAD /text ")))
        assert response.get("content-type") == "text/plain; charset=utf-8"
        client.request("POST", "/text", body=b"x" * 1000)
        assert client.response().body == b"hello POST /text "
        assert client.ask("GET", "/empty").status == 204


@pytest.mark.parametrize("accept,content_type", [
    (None, "text/plain"),
    ("*/*", "text/plain"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
    ("application/json", "application/json"),
    ("application/json;q=0.2, text/html;q=0.3", "text/html"),
    ("image/png", "text/plain"),
])
def test_error_page(running, accept, content_type):
    response = running.get("/forbidden", *([("Accept", accept)] if accept else []))
    assert response.status == 403
    assert response.get("content-type").split(";")[0] == content_type
    assert response.get("cache-control") == "no-store"
    text = response.body.decode()
    assert "403" in text and "Forbidden" in text and response.get("x-request-id") in text


def test_error_page_in_json(running):
    response = running.get("/nothing", "Accept: application/json")
    assert json.loads(response.body) == {"status": 404, "reason": "Not Found", "code": "no_route",
                                         "request_id": response.get("x-request-id")}


def test_unusual_status(running):
    assert running.get("/gone").status == 410


def test_retry_after(running):
    assert int(running.get("/closed").get("retry-after")) > 0
    assert not running.get("/forbidden").has("retry-after")


def test_error_pages_replaced(stage, tmp_path):
    (tmp_path / "own.html").write_text("<h1>$status $reason: $code ($request_id) $other</h1>")
    (tmp_path / "lost.html").write_text("<h1>lost</h1>")
    (tmp_path / "own.txt").write_text("oh: $status")
    usher = stage.usher(f"""
listen: "127.0.0.1:$PORT"
access_log: off
error_pages: {{html: {tmp_path}/own.html, text: {tmp_path}/own.txt, 404: {tmp_path}/lost.html}}
routes:
  - {{path: /down, proxy: "http://127.0.0.1:1"}}
""")
    html = ("Accept", "text/html")
    response = usher.get("/down", html)
    assert response.body.decode() == f"<h1>502 Bad Gateway: connect_refused ({response.get('x-request-id')}) $other</h1>"
    assert usher.get("/nothing", html).body == b"<h1>lost</h1>"
    assert usher.get("/nothing").body == b"oh: 404"
    assert usher.get("/down").body == b"oh: 502"


def test_request_id_of_a_stranger_is_no_script(stage):
    usher = stage.usher('listen: "127.0.0.1:$PORT"\naccess_log: off\ntrusted_proxies: 127.0.0.1\nroutes: [{path: /x, respond: 204}]\n')
    response = usher.get("/nothing", "Accept: text/html", "X-Request-Id: <script>alert(1)</script>")
    assert response.status == 404
    assert b"<script>" not in response.body


WRONG = {
    "respond: 100": "respond",
    "respond: {body: a, file: b}": "b",
    "respond: {status: 204, body: a}": "has no content",
    "respond: {body: $nothing}": '"$nothing" is not a variable here',
    "respond: {body: a, type: nonsense}": "is no media type",
    "error_pages: {200: a.html}\nrespond: 204": 'unknown key "200"',
    "error_pages: {404: absent.html}\nrespond: 204": "absent.html",
}


@pytest.mark.parametrize("text", WRONG)
def test_errors(tmp_path, text):
    path = tmp_path / "usher.yaml"
    path.write_text(text + "\n")
    done = run_command("check", path)
    assert done.returncode == 1
    assert WRONG[text] in done.stderr


def test_head_tells_the_length_that_get_would_have(running):
    """RFC 9110 section 9.3.2."""
    length = running.get("/text").get("content-length")
    with running.connect() as client:
        client.send(b"HEAD /text HTTP/1.1\r\nHost: a.example\r\n\r\n")
        response = client.response("HEAD")
        # "hello HEAD ..." is a byte longer than "hello GET ...".
        assert response.status == 200 and int(response.get("content-length")) == int(length) + 1
