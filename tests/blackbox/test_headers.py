"""The handler `headers`: fields of requests as servers get them, and of responses as clients do."""

import pytest

from support.origin import answering
from support.refusal import echoed
from support.usher import run_command

CHANGES = """
listen: "127.0.0.1:$PORT"
access_log: off
routes:
  - path: "~ ^/user/([a-z]+)$"
    headers: {request: {set: {X-User: $1}}}
  - path: /
    headers:
      request:
        remove: [Cookie, x-secret]
        set: {X-Path: $path, X-Query: $query, Accept: text/plain, X-Host: $host}
        add: {X-Client: "$client $method", X-Many: [one, two]}
      response:
        remove: [Server, x-powered-by]
        set: {Cache-Control: no-store, X-Frame-Options: DENY, X-Request: "$path?$query"}
        add: {Set-Cookie: seen=1}
proxy: $ORIGIN
"""

RESPONSE = (b"HTTP/1.1 200 OK\r\nServer: origin\r\nX-Powered-By: php\r\nCache-Control: max-age=60\r\n"
            b"cache-control: private\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture(scope="module")
def running(shared):
    return shared.usher(CHANGES, ORIGIN=shared.origin())


def sent(response):
    """The fields that the server got, by name in lower case."""
    fields = {}
    for name, value in echoed(response)["headers"]:
        fields.setdefault(name.lower(), []).append(value)
    return fields


def test_request(running):
    fields = sent(running.get("/a/%7Eb?c=d", "Cookie: x", "X-Secret: 1", "x-secret: 2", "Accept: */*", "X-Path: forged",
                              "X-Many: zero", "X-Kept: yes", host="Test.Example:80"))
    assert "cookie" not in fields and "x-secret" not in fields
    assert fields["x-path"] == ["/a/~b"]
    assert fields["x-query"] == ["c=d"]
    assert fields["x-host"] == ["test.example"]
    assert fields["accept"] == ["text/plain"]
    assert fields["x-client"] == ["127.0.0.1 GET"]
    assert fields["x-many"] == ["zero", "one", "two"]
    assert fields["x-kept"] == ["yes"]


def test_client_cannot_have_them_removed(running):
    fields = sent(running.get("/a", "Connection: X-Path, x-client, X-Own", "X-Own: 1"))
    assert fields["x-path"] == ["/a"]
    assert fields["x-client"] == ["127.0.0.1 GET"]
    assert "x-own" not in fields


def test_groups_of_the_path(running):
    assert sent(running.get("/user/ann"))["x-user"] == ["ann"]


def test_empty_value(running):
    assert sent(running.get("/"))["x-query"] == [""]


def test_response(proxy):
    usher, _ = proxy(answering(RESPONSE), CHANGES)
    response = usher.get("/x?y")
    assert not response.has("server") and not response.has("x-powered-by")
    assert response.all("cache-control") == ["no-store"]
    assert response.get("x-frame-options") == "DENY"
    assert response.get("x-request") == "/x?y"
    assert response.all("set-cookie") == ["a=b", "seen=1"]
    assert response.body == b"ok"


def test_path_of_the_response_is_the_one_asked_for(proxy):
    usher, origin = proxy(config="""
listen: "127.0.0.1:$PORT"
access_log: off
strip: /api
headers: {request: {set: {X-Asked: $path}}, response: {set: {X-Asked: $path}}}
proxy: $ORIGIN
""")
    response = usher.get("/api/x")
    assert origin.targets() == ["/x"]
    assert response.get("x-asked") == "/api/x"
    assert sent(response)["x-asked"] == ["/api/x"]


def test_fixed_answers_are_changed_too(stage):
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
headers: {response: {set: {X-A: b}}}
respond: {body: hello}
""")
    response = usher.get("/")
    assert (response.body, response.get("x-a")) == (b"hello", "b")


NOT_TO_BE_CHANGED = ["Content-Length", "transfer-encoding", "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer",
                     "Proxy-Connection", "X-Request-Id"]


@pytest.mark.parametrize("name", NOT_TO_BE_CHANGED)
@pytest.mark.parametrize("side", ["request", "response"])
def test_framing_is_not_to_be_changed(tmp_path, side, name):
    path = tmp_path / "usher.yaml"
    for change in ("{set: {%s: x}}", "{add: {%s: x}}", "{remove: %s}"):
        path.write_text(f"respond: 204\nheaders: {{{side}: {change % name}}}\n")
        done = run_command("check", path)
        assert done.returncode == 1
        assert f"{name} cannot be changed" in done.stderr


def test_no_line_breaks(tmp_path):
    path = tmp_path / "usher.yaml"
    path.write_text('respond: 204\nheaders: {response: {set: {A: "b\\r\\nC: d"}}}\n')
    done = run_command("check", path)
    assert done.returncode == 1
    assert "control characters" in done.stderr
