"""The redirect to https of sites that have TLS: where it leads, and which requests stay."""

import ssl

import pytest

from support.tls import TlsClient, handshake, refusal
from support.usher import run_command

SITES = """
listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:$PORT2", tls: true}]
trusted_proxies: 127.0.0.2
access_log: off
proxy: $ORIGIN
sites:
  - host: test.example
    tls: {certificate: $CERTIFICATE, key: $KEY}
    routes:
      - {path: /.well-known/acme-challenge/, respond: {body: challenge}}
  - host: both.example
    tls: {certificate: $CERTIFICATE, key: $KEY, redirect: false}
  - host: plain.example
"""


@pytest.fixture(scope="module")
def running(shared, authority):
    certificate = authority.issue("test.example", "both.example")
    origin = shared.origin()
    usher = shared.usher(SITES, ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key)
    return usher, origin


@pytest.mark.parametrize("method,status", [("GET", 301), ("HEAD", 301), ("POST", 308), ("DELETE", 308), ("PURGE", 308)])
def test_redirect(running, method, status):
    usher, origin = running
    before = len(origin.requests)
    with usher.connect() as client:
        for _ in range(2):  # the connection goes on
            response = client.ask(method, "/a/%7eb?c=d", host="Test.Example:8080")
            assert response.status == status
            assert response.get("location") == f"https://test.example:{usher.ports['PORT2']}/a/%7eb?c=d"
            assert response.body == b""
    assert len(origin.requests) == before


def test_a_body_is_sent_where_it_is_safe(running):
    usher, origin = running
    before = len(origin.requests)
    with usher.connect() as client:
        assert client.ask("POST", "/form", body=b"secret=1").status == 308
        assert client.ask("GET", "/").status == 301
    assert len(origin.requests) == before


@pytest.mark.parametrize("host", ["both.example", "plain.example"])
def test_sites_that_stay(running, host):
    usher, _ = running
    assert usher.get("/", host=host).status == 200


def test_https_is_served(running, authority):
    usher, _ = running
    with TlsClient(usher.ports["PORT2"], authority.trusting()) as client:
        response = client.ask("GET", "/")
        assert response.status == 200
        assert b'["X-Forwarded-Proto", "https"]' in response.body


def test_challenges_of_acme_stay(running):
    usher, _ = running
    assert usher.get("/.well-known/acme-challenge/token").body == b"challenge"
    # What only looks like one does not.
    assert usher.get("/.well-known/acme-challenge/../secret").status == 301
    assert usher.get("/.well-known/acme-challengex").status == 301


def test_what_a_trusted_proxy_got_by_https_stays(running):
    usher, _ = running
    forwarded = ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https")
    with usher.connect(source="127.0.0.2") as client:
        assert client.ask("GET", "/", *forwarded).status == 200
        assert client.ask("GET", "/", ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "http")).status == 301
    # Anybody else may say so for long.
    assert usher.get("/", *forwarded).status == 301


def test_without_host(running, stage, authority):
    usher, _ = running
    with usher.connect() as client:
        client.send("GET / HTTP/1.0\r\nHost: test.example\r\n\r\n")
        assert client.response().status == 301
    certificate = authority.issue("test.example")
    alone = stage.usher("""
listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:$PORT2", tls: true}]
access_log: off
tls: {certificate: $CERTIFICATE}
respond: 204
""", CERTIFICATE=certificate.both)
    with alone.connect() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.response().status == 400


# --- Listeners


def test_listeners_offer_what_they_are_told(stage, authority):
    usher = stage.usher("""
listen:
  - {address: "127.0.0.1:$PORT", tls: true}
  - {address: "127.0.0.1:$PORT2", tls: true, http2: false}
access_log: off
tls: {certificate: $CERTIFICATE}
respond: 204
""", CERTIFICATE=authority.issue("test.example").both)
    both = authority.trusting(["h2", "http/1.1"])
    assert handshake(usher.port, both)[2] == "h2"
    assert handshake(usher.ports["PORT2"], both)[2] == "http/1.1"
    assert refusal(usher.ports["PORT2"], authority.trusting(["h2"])) == "no_application_protocol"


def test_a_policy_for_all(stage, authority):
    usher = stage.usher("""
listen: {address: "127.0.0.1:$PORT", tls: true}
access_log: off
tls_policy: modern
tls: {certificate: $CERTIFICATE}
respond: 204
sites: [{host: test.example}, {host: old.example, tls: {policy: intermediate}}]
""", CERTIFICATE=authority.issue("test.example", "old.example").both)
    tls12 = authority.trusting(versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2))
    assert refusal(usher.port, tls12) == "protocol_version"
    assert handshake(usher.port, tls12, "old.example")[0] == "TLSv1.2"
    assert handshake(usher.port, authority.trusting())[0] == "TLSv1.3"


def test_a_reload_turns_a_listener_to_tls_and_back(stage, authority):
    plain = 'listen: "127.0.0.1:$PORT"\naccess_log: off\nrespond: 204\n'
    secure = """
listen: {address: "127.0.0.1:$PORT", tls: true%s}
access_log: off
tls: {certificate: $CERTIFICATE}
respond: 204
"""
    usher = stage.usher(plain, CERTIFICATE=authority.issue("test.example").both)
    with usher.connect() as client:
        assert client.ask().status == 204
        for more, protocol in (("", "h2"), (", http2: false", "http/1.1")):
            usher.reload(secure % more)
            assert handshake(usher.port, authority.trusting(["h2", "http/1.1"]))[2] == protocol
            with TlsClient(usher.port, authority.trusting()) as other:
                assert other.ask().status == 204
        # A connection that is there goes on; over it the site redirects now.
        assert client.ask().status == 301
        usher.reload(plain)
        assert client.ask().status == 204
        assert usher.get().status == 204


# --- What is said of the configuration


def check(tmp_path, authority, text):
    path = tmp_path / "usher.yaml"
    path.write_text(text.replace("$PEM", str(authority.issue("test.example").both)))
    return run_command("check", path)


@pytest.mark.parametrize("text,expected", [
    ('listen: {address: ":443", tls: true}\nrespond: 204\n', ":1:27: no site has a certificate to speak TLS with; add `tls:"),
    ('listen: {address: ":443", tls: true, h2c: true}\ntls: {certificate: $PEM}\nrespond: 204\n', ":1:38: h2c is HTTP/2 without"),
    ("respond: 204\nroutes: [{path: /x, tls: {certificate: $PEM}}]\n",
     ':2:21: unknown key "tls"; it stands at the top or in "site", not in "route"'),
    ("respond: 204\nsites: [{host: test.example, tls: {policy: modern}}]\n", '"certificate" (or "folder") is missing'),
])
def test_errors(tmp_path, authority, text, expected):
    done = check(tmp_path, authority, text)
    assert done.returncode != 0
    assert expected in done.stderr


def test_warning_of_a_missing_listener(tmp_path, authority):
    done = check(tmp_path, authority, 'listen: ":80"\ntls: {certificate: $PEM}\nrespond: 204\n')
    assert done.returncode == 0
    assert "warning: sites have TLS, but no listener speaks it" in done.stderr
    assert "warning" not in check(tmp_path, authority, "tls: {certificate: $PEM}\nrespond: 204\n").stderr
