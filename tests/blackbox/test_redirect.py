"""The handler `redirect`: where clients are sent, and that no request can choose another site."""

import pytest

from support.usher import run_command

SITES = """
listen: "127.0.0.1:$PORT"
access_log: off
sites:
  - host: www.example
    redirect: {to: "https://example$uri", status: 301}
  - host: same.example
    redirect: https://$host$uri
  - host: path.example
    redirect: $uri
  - host: blog.example
    proxy: http://127.0.0.1:1
    routes:
      - {path: "~ ^/([0-9]{4})/(.*)$", redirect: {to: "/archive/$2?year=$1", status: 308}}
      - {path: /old/, redirect: {to: /new/, status: 303}}
      - {path: /temporary, redirect: {to: /elsewhere, status: 307}}
"""

REDIRECTS = [
    ("www.example", "/a?b=c", 301, "https://example/a?b=c"),
    ("WWW.Example:80", "/%7Ea/../b", 301, "https://example/%7Ea/../b"),
    ("same.example:8080", "/", 302, "https://same.example/"),
    ("blog.example", "/2026/hello", 308, "/archive/hello?year=2026"),
    ("blog.example", "/old/x", 303, "/new/"),
    ("blog.example", "/temporary", 307, "/elsewhere"),
]


@pytest.fixture(scope="module")
def running(shared):
    return shared.usher(SITES)


@pytest.mark.parametrize("host,target,status,location", REDIRECTS)
def test_redirect(running, host, target, status, location):
    with running.connect() as client:
        for _ in range(2):  # the connection goes on
            response = client.ask("GET", target, host=host)
            assert (response.status, response.get("location")) == (status, location)
            assert response.body == b""
            assert response.get("content-length") == "0"


@pytest.mark.parametrize("target", ["//evil.example/x", "///evil.example", "//evil.example", "////"])
def test_no_request_chooses_another_site(running, target):
    location = running.get(target, host="path.example").get("location")
    assert location.startswith("/") and not location.startswith("//")


def test_other_methods(running):
    with running.connect() as client:
        assert client.ask("HEAD", "/", host="same.example").get("location") == "https://same.example/"
        client.request("POST", "/form", body=b"a=b", host="same.example")
        assert client.response().status == 302
        assert client.ask("GET", "/next", host="same.example").get("location") == "https://same.example/next"
        assert client.ask("OPTIONS", "*", host="same.example").get("location") == "https://same.example/"


def test_without_host(stage):
    usher = stage.usher('listen: "127.0.0.1:$PORT"\naccess_log: off\nredirect: https://$host$uri\n')
    with usher.connect() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.response().status == 400


WRONG = {
    "redirect: example.com": "expected a URL such as",
    'redirect: "https://a.example/a b"': "a URL has no blanks",
    "redirect: https://$nothing/": '"$nothing" is not a variable here',
    "redirect: /$1": "there is none here",
    "redirect: {to: /a, status: 200}": "200",
    "redirect: /a\nrespond: 204": "both answer the request",
}


@pytest.mark.parametrize("text", WRONG)
def test_errors(tmp_path, text):
    path = tmp_path / "usher.yaml"
    path.write_text(text + "\n")
    done = run_command("check", path)
    assert done.returncode == 1
    assert WRONG[text] in done.stderr
