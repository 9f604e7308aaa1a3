"""The handlers `strip` and `rewrite`: which target a server gets."""

import pytest

from support.refusal import echoed
from support.usher import run_command

ROUTES = """
listen: "127.0.0.1:$PORT"
access_log: off
proxy: $ORIGIN
routes:
  - {path: /strip/, strip: /strip}
  - {path: /both/, strip: /both, rewrite: /v2$path}
  - {path: /old/, rewrite: {match: "^/old/(.*)$", to: /new/$1}}
  - {path: /query/, rewrite: {match: "^/query/(.*)$", to: "/find?q=$1&$query"}}
  - {path: /only/, rewrite: {match: "^/only/(.*)$", to: "/find?q=$1"}}
  - {path: /fixed, rewrite: /index.html}
  - {path: "~ ^/u/([a-z]+)/?$", rewrite: /user/$1}
  - {path: /join/, rewrite: {match: "^/join/(.*)x(.*)$", to: /in/$1$2/y}}
  - {path: /some/, rewrite: {match: "^/some/(a.*)$", to: /a-only/$1}}
"""

TARGETS = {
    "/": "/",
    "/%7Ex/../y?z=%7E": "/%7Ex/../y?z=%7E",
    "/strip/x": "/x",
    "/strip/": "/",
    "/strip/?a": "/?a",
    "/strip/%7Ex/../y%2f?z=%7E": "/y%2F?z=%7E",
    "/strip//evil.example/": "/evil.example/",
    "/both/x?y": "/v2/x?y",
    "/old/a/b?c=d": "/new/a/b?c=d",
    "/old/": "/new/",
    "/query/a&b=c+d?e=f": "/find?q=a%26b%3Dc%2Bd&e=f",
    "/query/a": "/find?q=a&",
    "/only/a?e=f": "/find?q=a",
    "/fixed?a=b": "/index.html?a=b",
    "/u/ann": "/user/ann",
    "/u/ann/?x": "/user/ann?x",
    "/join/.x.": "/y",
    "/some/abc": "/a-only/abc",
    "/some/%7exyz": "/some/%7exyz",
}


@pytest.fixture(scope="module")
def running(shared):
    return shared.usher(ROUTES, ORIGIN=shared.origin())


@pytest.mark.parametrize("target", TARGETS)
def test_target(running, target):
    assert echoed(running.get(target))["target"] == TARGETS[target]


def test_methods_and_bodies_stay(running):
    with running.connect() as client:
        client.request("POST", "/old/x", body=b"hello")
        got = echoed(client.response())
        assert (got["method"], got["target"], got["body"]) == ("POST", "/new/x", "hello")
        assert echoed(client.ask("OPTIONS", "*"))["target"] == "*"


def test_absolute_target(running):
    with running.connect() as client:
        client.request("GET", "http://a.example/old/x?y", host="a.example")
        assert echoed(client.response())["target"] == "/new/x?y"


def test_a_slow_expression_is_given_up(stage):
    """It is refused, in bounded time, and the server hears nothing."""
    origin = stage.origin()
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
rewrite: {match: "^/(a+)+b$", to: /x}
proxy: $ORIGIN
""", ORIGIN=origin)
    assert usher.get("/" + "a" * 60 + "cb").status == 500
    assert origin.targets() == []
    usher.wait_for_error("regular expression")
    assert usher.get("/aab").status == 200


WRONG = {
    "strip: api": 'a path starts with "/"',
    'strip: "~ x"': "expected the start of a path",
    "rewrite: x": 'expected a path that starts with "/"',
    'rewrite: {match: "(", to: /x}': "missing closing parenthesis",
    "rewrite: {match: x, to: /$1}": "there is none here",
    "rewrite: {match: (x), to: /$2}": "has only 1 group",
    "rewrite: /%00": "cannot hold %00",
    "rewrite: /$uri": "the path is $path",
}


@pytest.mark.parametrize("text", WRONG)
def test_errors(tmp_path, text):
    path = tmp_path / "usher.yaml"
    path.write_text(f"proxy: http://127.0.0.1:1\n{text}\n")
    done = run_command("check", path)
    assert done.returncode == 1
    assert WRONG[text] in done.stderr
