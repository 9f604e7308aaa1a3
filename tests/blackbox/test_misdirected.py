"""Requests for another site than the one that a connection's handshake was made for get 421 (RFC 9110 section 15.5.20)."""

import pytest

from support.h2 import H2Client
from support.tls import TlsClient

SITES = """
listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:$PORT2", tls: true}]
access_log: {path: access.log, format: json}
tls: {certificate: $CERTIFICATE, redirect: false}
sites:
  - {host: one.example, respond: {body: one}}
  - {host: two.example, respond: {body: two}}
  - {host: "*.wild.example", respond: {body: wild}}
  - {host: own.example, tls: {certificate: $OWN}, respond: {body: own}}
  - {host: guarded.example, tls: {client_certificate: {ca: $CA}}, respond: {body: guarded}}
  - {host: asked.example, tls: {client_certificate: {mode: optional, ca: $CA}}, respond: {body: asked}}
"""

SAME = ["one.example", "two.example", "a.wild.example", "b.wild.example"]
OTHER = ["own.example", "guarded.example", "asked.example"]


@pytest.fixture(scope="module")
def ann(authority):
    return authority.issue("ann@example.com", purpose="client")


@pytest.fixture(scope="module")
def running(shared, authority):
    certificate = authority.issue("one.example", "two.example", "*.wild.example", "guarded.example", "asked.example")
    return shared.usher(SITES, CERTIFICATE=certificate.both, OWN=authority.issue("own.example").both, CA=authority.ca)


def test_one_connection_for_sites_that_are_served_alike(running, authority):
    with TlsClient(running.ports["PORT2"], authority.trusting(), "one.example") as client:
        assert [client.ask("GET", "/", host=host).status for host in SAME] == [200] * len(SAME)


@pytest.mark.parametrize("host", [*OTHER, "unknown.example"])
def test_other_sites(running, authority, host):
    with TlsClient(running.ports["PORT2"], authority.trusting(), "one.example") as client:
        response = client.ask("GET", "/", host=host)
        assert response.status == 421
        # The connection is as good as before for the site that it was made for.
        assert client.ask("GET", "/", host="one.example").body == b"one"


def test_by_http2(running, authority):
    with H2Client(running.ports["PORT2"], authority.trusting(["h2"]), "one.example") as client:
        for host in SAME:
            assert client.ask("GET", "/", authority=host).status == 200
        for host in OTHER:
            assert client.ask("GET", "/", authority=host).status == 421
        assert client.ask("GET", "/", authority="two.example").body == b"two"


@pytest.mark.parametrize("name", ["one.example", "own.example", "asked.example"])
def test_no_way_around_a_required_certificate(running, authority, ann, name):
    """Not even with a certificate that would do: it was not asked for with this site's settings."""
    with TlsClient(running.ports["PORT2"], authority.trusting(certificate=ann), name) as client:
        assert client.ask("GET", "/", host="guarded.example").status == 421
        assert client.ask("GET", "/", host="GUARDED.example.:443").status == 421
        client.send("GET https://guarded.example/ HTTP/1.1\r\nHost: guarded.example\r\n\r\n")
        assert client.response().status == 421


def test_the_right_way(running, authority, ann):
    with TlsClient(running.ports["PORT2"], authority.trusting(certificate=ann), "guarded.example") as client:
        assert client.ask("GET", "/", host="guarded.example").body == b"guarded"
        assert client.ask("GET", "/", host="one.example").status == 421


def test_without_tls_a_connection_is_for_all_but_guarded_sites(running):
    with running.connect() as client:
        for host in [*SAME, "own.example", "asked.example"]:
            assert client.ask("GET", "/", host=host).status == 200
        assert client.ask("GET", "/", host="guarded.example").status == 421


def test_over_reloads(stage, authority):
    """A connection is good for its site for as long as the site's settings are the same."""
    text = """
listen: {address: "127.0.0.1:$PORT", tls: true}
access_log: off
respond: {body: %s}
sites: [{host: one.example, tls: {certificate: $CERTIFICATE%s}}]
"""
    usher = stage.usher(text % ("first", ""), CERTIFICATE=authority.issue("one.example").both)
    with TlsClient(usher.port, authority.trusting(), "one.example") as client, \
            H2Client(usher.port, authority.trusting(["h2"]), "one.example") as other:
        for version in ("first", "second", "third"):
            usher.reload(text % (version, ""))
            assert client.ask("GET", "/", host="one.example").body == version.encode()
            assert other.ask("GET", "/", authority="one.example").body == version.encode()
        usher.reload(text % ("fourth", ", client_certificate: {ca: %s}" % authority.ca))
        assert client.ask("GET", "/", host="one.example").status == 421
        assert other.ask("GET", "/", authority="one.example").status == 421


def test_log(stage, authority):
    certificate = authority.issue("one.example", "own.example")
    usher = stage.usher("""
listen: [{address: "127.0.0.1:$PORT", tls: true}]
access_log: {path: access.log, format: json}
respond: 204
tls: {certificate: $CERTIFICATE}
sites: [{host: one.example}, {host: own.example, tls: {policy: modern}}]
""", CERTIFICATE=certificate.both)
    with TlsClient(usher.port, authority.trusting(), "one.example") as client:
        assert client.ask("GET", "/", host="own.example").status == 421
    record, = usher.log_records()
    assert record["status"] == 421
    assert record["fault"] == "misdirected"
    assert record["tls_server_name"] == "one.example"
    assert record["host"] == "own.example"
