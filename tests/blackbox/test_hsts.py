"""The key `hsts`: which answers tell browsers to come by https only."""

import pytest

from support.h2 import H2Client
from support.origin import answering
from support.tls import TlsClient
from support.usher import run_command

SITES = """
listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:$PORT2", tls: true}]
access_log: off
tls: {certificate: $CERTIFICATE, redirect: false}
hsts: 30d
sites:
  - host: test.example
    routes:
      - {path: /origin, proxy: $ORIGIN}
      - {path: /gone, proxy: "http://127.0.0.1:$DEAD"}
      - {path: /elsewhere, redirect: https://other.example/}
      - {path: /own, respond: 204, hsts: {max_age: 365d, subdomains: true, preload: true}}
      - {path: /off, respond: 204, hsts: off}
      - respond: 204
  - host: without.example
    hsts: {max_age: 1m}
    respond: 204
"""

FIELD = "strict-transport-security"


@pytest.fixture(scope="module")
def running(shared, authority):
    certificate = authority.issue("test.example", "without.example")
    origin = shared.origin(answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nStrict-Transport-Security: max-age=1\r\n\r\nok"))
    return shared.usher(SITES, ORIGIN=origin, DEAD=shared.dead_port().port, CERTIFICATE=certificate.both)


@pytest.mark.parametrize("target,status,value", [
    ("/", 204, "max-age=2592000"),
    ("/origin", 200, "max-age=2592000"),  # usher's goes before the server's
    ("/gone", 502, "max-age=2592000"),  # error pages, too
    ("/elsewhere", 302, "max-age=2592000"),
    ("/own", 204, "max-age=31536000; includeSubDomains; preload"),
    ("/off", 204, "max-age=0"),
])
def test_over_https(running, authority, target, status, value):
    with TlsClient(running.ports["PORT2"], authority.trusting()) as client:
        response = client.ask("GET", target)
        assert response.status == status
        assert response.all(FIELD) == [value]


def test_by_http2(running, authority):
    with H2Client(running.ports["PORT2"], authority.trusting(["h2"])) as client:
        for target in ("/", "/origin", "/gone"):
            assert client.ask("GET", target).all(FIELD) == ["max-age=2592000"]


@pytest.mark.parametrize("target", ["/", "/gone", "/elsewhere", "/own"])
def test_not_over_http(running, target):
    assert not running.get(target).has(FIELD)


def test_of_a_site(running, authority):
    with TlsClient(running.ports["PORT2"], authority.trusting(), "without.example") as client:
        assert client.ask("GET", "/", host="without.example").all(FIELD) == ["max-age=60"]


@pytest.mark.parametrize("hsts", ["{preload: true}", "{preload: true, subdomains: true, max_age: 364d}",
                                  "{preload: true, max_age: 730d}"])
def test_preload_needs_more(tmp_path, hsts):
    path = tmp_path / "usher.yaml"
    path.write_text(f"respond: 204\nhsts: {hsts}\n")
    done = run_command("check", path)
    assert done.returncode != 0
    assert "browsers' lists take only sites with `subdomains: true` and a max_age of at least 365d" in done.stderr
