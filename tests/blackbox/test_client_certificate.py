"""Certificates of clients: what servers, rules and logs learn of them, and that no client can say it itself."""

import base64
import ssl

import pytest

from support.h2 import H2Client
from support.origin import steps
from support.refusal import echoed
from support.tls import Authority, TlsClient

SITES = """
listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:$PORT2", tls: true}]
access_log: {path: access.log, format: json}
proxy: $ORIGIN
tls: {certificate: $CERTIFICATE, redirect: false}
sites:
  - host: required.example
    tls: {client_certificate: {ca: $CA, fields: both}}
    headers: {request: {set: {X-Who: "$client_certificate_subject"}}}
  - host: optional.example
    tls: {client_certificate: {mode: optional, ca: $CA}}
    routes:
      - path: /pinned
        match: {client_certificate: {fingerprint: $FINGERPRINT}}
        respond: {body: pinned}
      - path: /ann
        match: {client_certificate: {subject: "~ (^|,)CN=ann(,|$)"}}
        respond: {body: ann}
      - path: /nobody
        match: {client_certificate: {verified: false}}
        respond: {body: nobody}
      - path: /fields
        headers: {request: {set: {X-Subject: "[$client_certificate_subject]", X-Version: $tls_version}}}
      - {}
  - host: none.example
"""

PREFIX = "x-client-certificate-"


@pytest.fixture(scope="module")
def ann(authority):
    return authority.issue("ann@example.com", purpose="client", common_name="ann", organization="Example, Inc.\r\nX-Admin: yes")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Says that it is ann, and nobody vouches for it."""
    return Authority(tmp_path_factory.mktemp("stranger"), "Stranger").issue(
        "ann@example.com", purpose="client", common_name="ann", organization="Example")


@pytest.fixture(scope="module")
def running(shared, authority, stranger):
    certificate = authority.issue("required.example", "optional.example", "none.example")
    origin = shared.origin()
    usher = shared.usher(SITES, ORIGIN=origin, CERTIFICATE=certificate.both, CA=authority.ca, FINGERPRINT=stranger.fingerprint)
    return usher


@pytest.fixture
def ask(running, authority):
    def made(site, certificate, target="/", *fields):
        context = authority.trusting(certificate=certificate)
        with TlsClient(running.ports["PORT2"], context, site) as client:
            return client.ask("GET", target, *fields, host=site)
    return made


def told(response):
    """What the origin heard of certificates: names in lower case."""
    return {name.lower(): value for name, value in echoed(response)["headers"]
            if "cert" in name.lower().replace("_", "-")}


def test_a_verified_certificate(ask, ann):
    fields = told(ask("required.example", ann))
    assert fields[PREFIX + "verification"] == "SUCCESS"
    assert fields[PREFIX + "fingerprint"] == ann.fingerprint
    assert int(fields[PREFIX + "serial"], 16) == ann.serial
    assert "email:ann@example.com" in fields[PREFIX + "names"]
    assert "CN=Test Root" in fields[PREFIX + "issuer"]
    # A line break in a name stays within it.
    assert fields[PREFIX + "subject"].startswith("CN=ann,O=Example\\, Inc.")
    assert "\\0D\\0AX-Admin: yes" in fields[PREFIX + "subject"]
    # RFC 9440 section 2.2.
    assert fields["client-cert"] == f":{base64.b64encode(ann.der).decode()}:"
    assert len(fields) == 7


def test_in_values_of_headers(ask, ann):
    sent = dict(echoed(ask("required.example", ann))["headers"])
    assert sent["X-Who"].startswith("CN=ann,")
    assert "X-Admin" not in sent


def test_no_certificate(ask):
    assert told(ask("optional.example", None)) == {PREFIX + "verification": "NONE"}
    assert told(ask("none.example", None)) == {}


# Whom a certificate names counts for nothing until somebody vouches for it.
def test_an_unverified_certificate(ask, stranger):
    fields = told(ask("optional.example", stranger))
    assert fields.pop(PREFIX + "verification").startswith("FAILED:")
    assert fields == {PREFIX + "fingerprint": stranger.fingerprint}
    sent = dict(echoed(ask("optional.example", stranger, "/fields"))["headers"])
    assert sent["X-Subject"] == "[]"
    assert sent["X-Version"] == "TLSv1.3"


@pytest.mark.parametrize("name", ["X-Client-Certificate-Subject", "x-client-certificate-verification", "X-CLIENT-CERTIFICATE-NEW",
                                  "X_Client_Certificate_Subject", "X-Client_Certificate-Names", "Client-Cert", "Client_Cert",
                                  "Client-Cert-Chain"])
@pytest.mark.parametrize("site", ["none.example", "optional.example", "plain"])
def test_no_client_can_say_it(ask, running, site, name):
    lie = (name, "CN=ann")
    if site == "plain":
        fields = told(running.get("/", lie, host="none.example"))
    else:
        fields = told(ask(site, None, "/", lie))
    assert "CN=ann" not in fields.values()
    assert set(fields) <= {PREFIX + "verification"}


def test_no_client_can_take_it_back(ask, ann):
    """Connection names fields that are for the next hop alone; these are not the client's to name."""
    fields = told(ask("required.example", ann, "/", ("Connection", "X-Client-Certificate-Verification, Client-Cert")))
    assert fields[PREFIX + "verification"] == "SUCCESS"
    assert "client-cert" in fields


def test_by_http2(running, authority, ann):
    context = authority.trusting(["h2"], ann)
    with H2Client(running.ports["PORT2"], context, "required.example") as client:
        for _ in range(2):
            stream = client.ask("GET", "/", ("x-client-certificate-subject", "CN=bob"), ("client-cert", ":YQ==:"),
                                authority="required.example")
            fields = told(stream)
            assert fields[PREFIX + "subject"].startswith("CN=ann,")
            assert fields["client-cert"] == f":{base64.b64encode(ann.der).decode()}:"


def test_rules(ask, ann, stranger):
    assert ask("optional.example", stranger, "/pinned").body == b"pinned"
    assert ask("optional.example", ann, "/ann").body == b"ann"
    assert ask("optional.example", None, "/nobody").body == b"nobody"
    assert ask("optional.example", stranger, "/nobody").body == b"nobody"
    for certificate, target in ((ann, "/pinned"), (stranger, "/ann"), (None, "/ann"), (None, "/pinned"), (ann, "/nobody")):
        assert echoed(ask("optional.example", certificate, target))["target"] == target


# A site that requires certificates is not to be had without TLS, even if nothing redirects.
def test_required_means_tls(running):
    response = running.get("/", host="required.example")
    assert response.status == 421


def test_log(stage, authority, ann):
    certificate = authority.issue("required.example")
    usher = stage.usher("""
listen: [{address: "127.0.0.1:$PORT", tls: true}]
access_log: {path: access.log, format: json}
respond: 204
sites: [{host: required.example, tls: {certificate: $CERTIFICATE, client_certificate: {ca: $CA}}}]
""", CERTIFICATE=certificate.both, CA=authority.ca)
    with TlsClient(usher.port, authority.trusting(certificate=ann), "required.example") as client:
        assert client.ask("GET", "/", host="required.example").status == 204
        version, cipher = client.socket.version(), client.socket.cipher()[0]
    record, = usher.log_records()
    assert record["scheme"] == "https"
    assert (record["tls_version"], record["tls_cipher"]) == (version, cipher)
    assert record["tls_server_name"] == "required.example"
    assert record["tls_resumed"] is False
    assert record["client_certificate_subject"].startswith("CN=ann,O=Example")
    assert record["client_certificate_fingerprint"] == ann.fingerprint
    assert record["client_certificate_verification"] == "SUCCESS"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("verified", [True, False])
def test_a_resumed_session_is_worth_what_it_was(running, authority, ann, stranger, version, verified):
    context = authority.trusting(certificate=ann if verified else stranger, versions=(version, version))

    def ask(session):
        with TlsClient(running.ports["PORT2"], context, "optional.example", session) as client:
            fields = told(client.ask("GET", "/", host="optional.example"))
            return fields, client.socket.session, client.socket.session_reused
    first, session, reused = ask(None)
    assert not reused
    again, _, reused = ask(session)
    assert reused
    assert again == first
    assert (first[PREFIX + "verification"] == "SUCCESS") is verified


def test_a_session_opens_no_other_site(running, authority, ann):
    """One that was made where certificates are optional is not resumed where one is required."""
    with TlsClient(running.ports["PORT2"], authority.trusting(certificate=ann), "optional.example") as client:
        assert client.ask("GET", "/", host="optional.example").status == 200
        session = client.socket.session
        context = client.socket.context
    with TlsClient(running.ports["PORT2"], context, "required.example", session) as client:
        assert client.ask("GET", "/", host="required.example").status == 200
        assert not client.socket.session_reused


@pytest.mark.parametrize("alpn,end", [("http/1.1", "reset"), ("h2", "reset"), ("h2", "close")])
def test_log_of_clients_that_went_away(stage, authority, ann, alpn, end):
    """What their connections knew is logged though these are gone."""
    certificate = authority.issue("required.example")
    origin = stage.origin(steps("read", "wait"))
    usher = stage.usher("""
listen: [{address: "127.0.0.1:$PORT", tls: true}]
access_log: {path: access.log, format: json}
proxy: $ORIGIN
sites: [{host: required.example, tls: {certificate: $CERTIFICATE, client_certificate: {ca: $CA}}}]
""", CERTIFICATE=certificate.both, CA=authority.ca, ORIGIN=origin)
    context = authority.trusting([alpn], ann)
    requests = 5 if alpn == "h2" else 1
    if alpn == "h2":
        client = H2Client(usher.port, context, "required.example")
        for _ in range(requests):
            client.request("GET", "/", authority="required.example")
        client = client.wire
    else:
        client = TlsClient(usher.port, context, "required.example")
        client.request("GET", "/", host="required.example")
    origin.wait_until(lambda: len(origin.requests) == requests, "the requests to arrive")
    getattr(client, end)()
    for record in usher.log_records(count=requests):
        assert record["fault"] == "client_gone"
        assert record["client_certificate_fingerprint"] == ann.fingerprint
        assert record["tls_server_name"] == "required.example"
