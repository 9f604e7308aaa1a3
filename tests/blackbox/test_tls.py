"""TLS towards clients: what is spoken, which certificate is shown, and what a handshake may cost."""

import asyncio
import os
import re
import ssl
import subprocess
import time

import pytest
import websockets

from support import language, wire
from support.client import PATIENCE, RawClient
from support.origin import answering, named
from support.refusal import echoed
from support.tls import MemoryTls, TlsClient, ends_with_close_notify, handshake, read_alert, refusal
from support.usher import eventually
from support.websocket import WebSocketServer

TLS12, TLS13 = ((version, version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3))

# No site takes what the others leave: a handshake for another name is refused.
SITES = """
listen: [{address: "127.0.0.1:$PORT", tls: true}]
workers: 2
access_log: off
sites:
  - host: exact.example
    tls: {certificate: $EXACT, key: $EXACT_KEY}
    respond: {body: exact}
  - host: "*.wild.example"
    tls: {certificate: $WILD, key: $WILD_KEY}
    respond: {body: wild}
  - host: both.example
    tls: {certificate: [$ECDSA, $RSA], key: [$ECDSA_KEY, $RSA_KEY]}
    respond: {body: both}
"""


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("test.example")


@pytest.fixture(scope="module")
def front(shared, certificate):
    """usher by TLS in front of an origin that tells what it received: (usher, origin)."""
    origin = shared.origin()
    return shared.usher(language.TLS, ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key), origin


@pytest.fixture
def secure(stage, certificate):
    """A function: usher by TLS with more settings; returns (usher, origin)."""
    def start(more="", script=None, config=language.TLS):
        origin = stage.origin(script) if script else stage.origin()
        return stage.usher(config + more, ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key), origin
    return start


@pytest.fixture(scope="module")
def sites(shared, authority):
    """(usher, the certificates of its sites by name)."""
    shown = {"EXACT": authority.issue("exact.example"), "WILD": authority.intermediate().issue("*.wild.example"),
             "ECDSA": authority.issue("both.example"), "RSA": authority.issue("both.example", key="rsa")}
    files = {name: each.chain for name, each in shown.items()} | {f"{name}_KEY": each.key for name, each in shown.items()}
    return shared.usher(SITES, **files), shown


def permissive(authority, versions, ciphers="ALL:@SECLEVEL=0"):
    """A client that would speak anything."""
    context = authority.trusting()
    context.set_ciphers(ciphers)
    context.minimum_version, context.maximum_version = versions
    return context


def s_client(port, *arguments, stdin="", server_name="test.example"):
    """What openssl s_client says."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", server_name, *map(str, arguments)],
                          input=stdin, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
    return done.stdout + done.stderr


# --- versions and suites


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=lambda pair: pair[0].name)
def test_versions(front, authority, version):
    usher, _ = front
    with TlsClient(usher.port, authority.trusting(versions=version)) as client:
        assert client.socket.version() == version[0].name.replace("_", ".")
        assert echoed(client.ask())["target"] == "/"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=lambda version: version.name)
def test_old_versions_are_refused(front, authority, version):
    usher, _ = front
    assert refusal(usher.port, permissive(authority, (version, version))) == "protocol_version"


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_suites_of_tls_1_2(front, authority, suite):
    usher, _ = front
    assert handshake(usher.port, permissive(authority, TLS12, suite))[1] == suite


@pytest.mark.parametrize("suite", [
    "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"])
def test_suites_of_rsa(sites, authority, suite):
    usher, shown = sites
    version, chosen, _, serial = handshake(usher.port, permissive(authority, TLS12, suite), "both.example")
    assert (version, chosen, serial) == ("TLSv1.2", suite, shown["RSA"].serial)


@pytest.mark.parametrize("suite", [
    "AES128-GCM-SHA256", "AES128-SHA", "AES256-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-CCM", "DHE-RSA-AES256-SHA256", "AECDH-AES128-SHA", "ECDHE-ECDSA-NULL-SHA"])
def test_weak_suites_are_refused(sites, authority, suite):
    """No forward secrecy, CBC, no authentication, no encryption."""
    usher, _ = sites
    assert refusal(usher.port, permissive(authority, TLS12, f"{suite}:@SECLEVEL=0"), "both.example") == "handshake_failure"


@pytest.mark.parametrize("group, name", [("X25519", "X25519"), ("P-256", "ECDH, prime256v1"), ("P-384", "ECDH, secp384r1")])
def test_groups(front, authority, group, name):
    usher, _ = front
    said = s_client(usher.port, "-groups", group, "-CAfile", authority.ca)
    assert f"Server Temp Key: {name}" in said and "Verify return code: 0 (ok)" in said, said


def test_policy_modern(secure, authority, certificate):
    usher, _ = secure(config=language.TLS.replace("key: $KEY", "key: $KEY, policy: modern"))
    assert refusal(usher.port, authority.trusting(versions=TLS12)) == "protocol_version"
    assert handshake(usher.port, authority.trusting())[0] == "TLSv1.3"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_policy_old(secure, authority):
    usher, _ = secure("tls_policy: old\n")
    assert handshake(usher.port, authority.trusting())[0] == "TLSv1.3"
    old = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1)
    assert handshake(usher.port, permissive(authority, old))[0] == "TLSv1"


def test_no_compression_no_renegotiation(front, authority):
    usher, _ = front
    said = s_client(usher.port, "-tls1_2", "-CAfile", authority.ca, "-legacy_renegotiation", "-comp", stdin="R\n")
    assert "Compression: NONE" in said and "Secure Renegotiation IS supported" in said
    assert re.search(r"no.renegotiation|wrong version number|unexpected eof|:error:", said), said
    assert handshake(usher.port, authority.trusting())[0] == "TLSv1.3"


def test_key_updates(front, authority):
    """A client may change its keys at any time (RFC 8446 section 4.6.3)."""
    usher, _ = front
    with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{usher.port}", "-servername", "test.example"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        def say(text):
            process.stdin.write(text)
            process.stdin.flush()
            time.sleep(0.1)  # a command is one read of its own
        say(b"K\n")
        say(b"k\n")
        say(b"GET /updated HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n")
        said, _ = process.communicate(timeout=PATIENCE)
    assert b'"target": "/updated"' in said


def test_early_data_is_not_taken(front, authority, tmp_path):
    """What is sent before the handshake ends could be sent again by others (RFC 8446 section 8)."""
    usher, origin = front
    session = tmp_path / "session"
    ask = "GET /first HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n"
    said = s_client(usher.port, "-sess_out", session, "-ign_eof", stdin=ask)
    assert "Max Early Data: 0" in said, said
    (tmp_path / "early").write_text(ask.replace("/first", "/early"))
    origin.settle()
    before = len(origin.requests)
    said = s_client(usher.port, "-sess_in", session, "-early_data", tmp_path / "early")
    assert "Early data was accepted" not in said
    origin.settle()
    assert len(origin.requests) == before


# --- ALPN (RFC 7301)


@pytest.mark.parametrize("offered, chosen", [
    (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["h2"], "h2"), (["http/1.1"], "http/1.1"), ([], None),
    (["spdy/3", "http/1.1"], "http/1.1"),
], ids=str)
def test_protocol_is_chosen(front, authority, offered, chosen):
    usher, _ = front
    assert handshake(usher.port, authority.trusting(offered))[2] == chosen


def test_protocols_that_do_not_fit(front, authority):
    usher, _ = front
    assert refusal(usher.port, authority.trusting(["spdy/3", "acme-tls/1"])) == "no_application_protocol"


def test_a_listener_without_http2(secure, authority):
    usher, _ = secure(config=language.TLS.replace("tls: true", "tls: true, http2: false"))
    assert handshake(usher.port, authority.trusting(["h2", "http/1.1"]))[2] == "http/1.1"
    assert refusal(usher.port, authority.trusting(["h2"])) == "no_application_protocol"


# --- which certificate


def body_of(usher, authority, name):
    with TlsClient(usher.port, authority.trusting(), name) as client:
        return bytes(client.ask(host=name).body), client.serial


def test_name_exact_and_wildcard(sites, authority):
    usher, shown = sites
    assert body_of(usher, authority, "exact.example") == (b"exact", shown["EXACT"].serial)
    for name in ("a.wild.example", "b.wild.example"):
        assert body_of(usher, authority, name) == (b"wild", shown["WILD"].serial)


def test_names_in_any_case(sites):
    usher, shown = sites
    said = s_client(usher.port, "-showcerts", server_name="EXACT.Example")
    assert shown["EXACT"].leaf_pem.decode().split("\n")[1] in said


@pytest.mark.parametrize("name", ["other.example", "wild.example", "exact.example.other", "x", None])
def test_unknown_names_are_refused(sites, authority, name):
    """Without a site for everything (RFC 6066 section 3)."""
    usher, _ = sites
    context = authority.trusting()
    context.check_hostname = False
    assert refusal(usher.port, context, name) == "unrecognized_name"


def test_a_site_for_every_name(front, authority, certificate):
    usher, _ = front
    context = authority.trusting()
    context.check_hostname = False
    for name in ("other.example", None):
        assert handshake(usher.port, context, name)[3] == certificate.serial


def test_the_intermediate_is_sent(sites, authority):
    usher, _ = sites
    said = s_client(usher.port, "-CAfile", authority.ca, "-showcerts", server_name="a.wild.example")
    assert said.count("BEGIN CERTIFICATE") == 2, said
    assert "Verify return code: 0 (ok)" in said


def test_the_clients_abilities_choose(sites, authority):
    """ECDSA where the client can verify it, RSA otherwise."""
    usher, shown = sites
    assert handshake(usher.port, authority.trusting(), "both.example")[3] == shown["ECDSA"].serial
    for algorithms, name in (("rsa_pss_rsae_sha256:rsa_pkcs1_sha256:ecdsa_secp384r1_sha384", "RSA"), ("ecdsa_secp256r1_sha256", "ECDSA")):
        said = s_client(usher.port, "-sigalgs", algorithms, "-showcerts", server_name="both.example")
        assert shown[name].leaf_pem.decode().split("\n")[5] in said, (name, said)


def test_a_folder_of_certificates(stage, authority, tmp_path):
    for name in ("one.example", "two.example"):
        made = authority.issue(name)
        (tmp_path / f"{name}.pem").write_bytes(made.chain_pem + made.key_pem)
    usher = stage.usher("""
listen: [{address: "127.0.0.1:$PORT", tls: true}]
tls: {folder: $FOLDER}
access_log: off
sites:
  - {host: one.example, respond: {body: one}}
  - {host: two.example, respond: {body: two}}
""", FOLDER=tmp_path)
    assert body_of(usher, authority, "one.example")[0] == b"one"
    assert body_of(usher, authority, "two.example")[0] == b"two"


# --- sessions


def resumes(port, context, session, name="test.example"):
    with TlsClient(port, context, name, session=session) as client:
        client.ask(host=name)
        return client.socket.session_reused


def session_of(port, context, name="test.example"):
    with TlsClient(port, context, name) as client:
        assert client.ask(host=name).status == 200
        assert not client.socket.session_reused
        return client.socket.session


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=lambda pair: pair[0].name)
def test_sessions_are_resumed_in_every_thread(secure, authority, version):
    """Connections are spread over the threads; a ticket counts in all of them."""
    usher, _ = secure("workers: 4\n")
    context = authority.trusting(versions=version)
    session = session_of(usher.port, context)
    assert session.has_ticket
    assert all(resumes(usher.port, context, session) for _ in range(24))


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=lambda pair: pair[0].name)
def test_sessions_survive_a_reload(secure, authority, version):
    usher, _ = secure()
    context = authority.trusting(versions=version)
    session = session_of(usher.port, context)
    usher.reload()
    assert resumes(usher.port, context, session)
    usher.reload(language.TLS + "timeouts: {header: 5s}\n")
    assert resumes(usher.port, context, session)


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=lambda pair: pair[0].name)
def test_sessions_stay_with_their_site(sites, authority, version):
    """One that was made for a site is worth nothing at another."""
    usher, _ = sites
    context = authority.trusting(versions=version)
    context.check_hostname = False
    session = session_of(usher.port, context, "exact.example")
    assert not resumes(usher.port, context, session, "both.example")
    assert resumes(usher.port, context, session, "exact.example")


def test_sessions_may_be_switched_off(secure, authority):
    usher, _ = secure(config=language.TLS.replace("key: $KEY", "key: $KEY, tickets: false"))
    context = authority.trusting(versions=TLS12)
    with TlsClient(usher.port, context) as client:
        client.ask()
        assert not client.socket.session.has_ticket


def test_tickets_of_others_lead_to_a_full_handshake(secure, front, authority):
    """As after a restart, with other keys."""
    usher, _ = secure()
    context = authority.trusting()
    session = session_of(front[0].port, context)
    assert not resumes(usher.port, context, session)


# --- certificates of clients


CLIENTS = language.TLS.replace("key: $KEY", "key: $KEY, client_certificate: {mode: $MODE, ca: $CLIENT_CA, crl: $CRL}")


@pytest.fixture(scope="module")
def clients(authority, tmp_path_factory):
    """What clients may show, good and bad, and the files that usher verifies it by."""
    issuer = authority.intermediate("Client CA")
    stranger = type(authority)(tmp_path_factory.mktemp("stranger"), "Stranger")
    made = {"good": issuer.issue("client@test.example", purpose="client"),
            "expired": issuer.issue("late", purpose="client", days=(-20, -1)),
            "of a server": issuer.issue("server.example"),
            "revoked": issuer.issue("revoked", purpose="client"),
            "of a stranger": stranger.issue("stranger", purpose="client")}
    issuer_list, root_list = issuer.revoke(made["revoked"]), authority.revoke()
    both = tmp_path_factory.mktemp("lists") / "crl.pem"
    both.write_bytes(issuer_list.read_bytes() + root_list.read_bytes())
    return made, authority.ca, both


def start_clients(stage, certificate, clients, mode):
    return stage.usher(CLIENTS, ORIGIN=stage.origin(), CERTIFICATE=certificate.chain, KEY=certificate.key, MODE=mode,
                       CLIENT_CA=clients[1], CRL=clients[2])


def ask_with(usher, context):
    """The status of a request, or the name of the alert that came instead."""
    try:
        with TlsClient(usher.port, context) as client:
            return client.ask().status
    except ssl.SSLError as error:
        return error.reason.lower()


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=lambda pair: pair[0].name)
def test_required_certificates_of_clients(stage, authority, certificate, clients, version):
    usher = start_clients(stage, certificate, clients, "required")

    def asked(name):
        return ask_with(usher, authority.trusting(certificate=name and clients[0][name], versions=version))

    assert asked("good") == 200
    assert asked(None) in ("tlsv13_alert_certificate_required", "sslv3_alert_handshake_failure")
    assert asked("expired") == "sslv3_alert_certificate_expired"
    assert asked("revoked") == "sslv3_alert_certificate_revoked"
    assert asked("of a stranger") == "tlsv1_alert_unknown_ca"
    assert asked("of a server") in ("sslv3_alert_unsupported_certificate", "sslv3_alert_bad_certificate", "sslv3_alert_certificate_unknown")
    assert asked("good") == 200


def test_optional_certificates_of_clients(stage, authority, certificate, clients):
    usher = start_clients(stage, certificate, clients, "optional")
    for name in ("good", None):
        assert ask_with(usher, authority.trusting(certificate=name and clients[0][name])) == 200


# --- OCSP


def test_stapled_ocsp(stage, authority):
    issuer = authority.intermediate("OCSP CA")
    certificate = issuer.issue("test.example")
    config = language.TLS.replace("key: $KEY", "key: $KEY, ocsp: $OCSP")
    usher = stage.usher(config, ORIGIN=stage.origin(), CERTIFICATE=certificate.chain, KEY=certificate.key,
                        OCSP=issuer.ocsp(certificate))
    said = s_client(usher.port, "-status", "-CAfile", authority.ca)
    assert "OCSP Response Status: successful" in said and "Cert Status: good" in said, said


def test_no_ocsp_where_none_is_configured(front, authority):
    usher, _ = front
    assert "OCSP response: no response sent" in s_client(usher.port, "-status", "-CAfile", authority.ca)


# --- what is no handshake


def test_plain_http_on_the_port_of_tls(front):
    usher, origin = front
    before = len(origin.received)
    with usher.connect() as client:
        response = client.ask()
        assert response.status == 400 and "close" in response.tokens("connection")
        assert b"HTTPS" in response.body.upper()
        client.expect_closed()
    assert len(origin.received) == before


def test_garbage(front, authority):
    usher, _ = front
    seeds = [b"\x00" * 100, b"\xff" * 100, b"\x16\x03\x01", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\x16\x03\x01\x00\x00" * 1000,
             b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x15\x03\x01\x00\x02\x02\x28", b"\x17\x03\x03\x00\x05hello",
             b"\x80\x2e\x01\x00\x02", b"SSH-2.0-OpenSSH_9.2\r\n", *(os.urandom(300) for _ in range(20))]
    for data in seeds:
        with usher.connect() as client:
            try:
                client.send(data)
                client.half_close()
                client.reader.rest()
            except OSError:
                pass
    assert handshake(usher.port, authority.trusting())[0] == "TLSv1.3"


def test_a_hello_with_every_byte_changed(front, authority):
    """Nothing that a client says first brings usher down; it refuses, or goes on with the handshake."""
    usher, _ = front
    hello = MemoryTls(authority.trusting(["h2", "http/1.1"])).hello()
    for at in range(0, len(hello), 3):
        broken = bytearray(hello)
        broken[at] ^= 0xff
        with usher.connect() as client:
            try:
                client.send(bytes(broken))
                client.half_close()
                read_alert(client)
            except (OSError, wire.ProtocolError):
                pass
    assert handshake(usher.port, authority.trusting())[0] == "TLSv1.3"


def test_a_handshake_byte_by_byte(front, authority):
    usher, _ = front
    tls = MemoryTls(authority.trusting())
    with usher.connect() as client:
        client.drip(tls.hello())
        done = False
        while not done:
            done, answer = tls.step(client.reader.some())
            client.drip(answer)


# --- what handshakes may cost


def test_handshakes_have_a_deadline(secure, authority):
    usher, _ = secure("timeouts: {handshake: 300ms}\n")
    hello = MemoryTls(authority.trusting()).hello()
    for begin in (b"", hello[:1], hello[:100], hello):
        with usher.connect() as client:
            client.send(begin)
            client.reader.rest()  # it ends; else the patience of the client does
    assert handshake(usher.port, authority.trusting())[0] == "TLSv1.3"


def test_handshakes_that_stall_hold_up_others_only_until_their_deadline(secure, authority):
    usher, _ = secure("workers: 1\nlimits: {handshakes: 2}\ntimeouts: {handshake: 500ms}\n")
    hello = MemoryTls(authority.trusting()).hello()
    stalled = [usher.connect() for _ in range(2)]
    for client in stalled:
        client.send(hello)
        assert read_alert(client) == "accepted"
    assert handshake(usher.port, authority.trusting())[0] == "TLSv1.3"
    for client in stalled:
        client.close()


def test_connections_that_say_nothing_hold_up_nobody(secure, authority):
    usher, _ = secure("workers: 1\nlimits: {handshakes: 2}\n")
    silent = [usher.connect() for _ in range(50)]
    for _ in range(5):
        assert handshake(usher.port, authority.trusting())[0] == "TLSv1.3"
    for client in silent:
        client.close()


def test_a_client_may_begin_only_so_many_handshakes(secure, authority):
    usher, _ = secure("workers: 1\nlimits: {handshake_rate: 1, handshake_burst: 5}\n")
    hello = MemoryTls(authority.trusting()).hello()
    results = []
    for _ in range(40):
        with RawClient(usher.port) as client:
            try:
                client.send(hello)
                results.append(read_alert(client))
            except OSError:
                results.append("end")
    # More than the burst only as far as the test took seconds.
    assert results[:3] == ["accepted"] * 3 and "end" in results
    usher.wait_for_error(r"limits\.handshake_rate")
    with RawClient(usher.port, source="127.0.0.2") as client:
        client.send(hello)
        assert read_alert(client) == "accepted"


# --- connections


def test_servers_learn_that_it_was_https(front, authority):
    usher, origin = front
    with TlsClient(usher.port, authority.trusting()) as client:
        client.ask()
    assert origin.last().get("x-forwarded-proto") == "https"


def test_many_requests_on_one_connection(front, authority):
    usher, _ = front
    with TlsClient(usher.port, authority.trusting()) as client:
        for number in range(200):
            assert echoed(client.ask("POST", f"/{number}", body=b"x" * number))["target"] == f"/{number}"


def test_pipelined_requests(front, authority):
    usher, _ = front
    with TlsClient(usher.port, authority.trusting()) as client:
        for number in range(20):
            client.request("GET", f"/{number}")
        for number in range(20):
            assert echoed(client.response())["target"] == f"/{number}"


def test_a_request_with_the_end_of_the_handshake(front, authority):
    """In one segment: what came early is not forgotten."""
    usher, _ = front
    tls = MemoryTls(authority.trusting())
    with usher.connect() as client:
        client.send(tls.hello())
        done, answer = False, b""
        while not done:
            done, answer = tls.step(client.reader.some())
        tls.object.write(wire.head("GET /early HTTP/1.1", "Host: test.example", "Connection: close"))
        client.send(answer + tls.outgoing.read())
        tls.incoming.write(client.reader.rest())
        assert b'"target": "/early"' in tls.object.read(65536)


@pytest.mark.parametrize("size", [1, 16384, 16385, 1 << 20, 30 << 20])
def test_bodies_of_every_size(secure, authority, size):
    body = os.urandom(min(size, 1 << 20)) * (size >> 20 or 1)
    usher, origin = secure(script=answering(wire.head("HTTP/1.1 200 OK", f"Content-Length: {size}") + body))
    with TlsClient(usher.port, authority.trusting()) as client:
        assert client.ask("PUT", "/", body=body).body == body
    assert origin.last().body == body


def test_the_end_is_said_within_tls(front, authority):
    """RFC 8446 section 6.1: without close_notify a cut could not be told from an end."""
    usher, _ = front
    with TlsClient(usher.port, authority.trusting()) as client:
        client.ask("GET", "/", "Connection: close")
        assert ends_with_close_notify(client)


def test_a_response_that_is_cut_has_no_end_within_tls(secure, authority):
    def cut(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 1000") + b"short")

    usher, _ = secure(script=cut)
    with TlsClient(usher.port, authority.trusting()) as client:
        client.request()
        assert client.response_head().status == 200
        assert client.reader.exactly(5) == b"short"
        try:
            assert client.socket.recv(100) == b""
        except (ssl.SSLEOFError, ConnectionResetError):
            pass


def test_an_upload_that_is_cut_reaches_no_server_whole(front, authority):
    usher, origin = front
    origin.settle()
    before = len(origin.requests)
    client = TlsClient(usher.port, authority.trusting())
    client.send(wire.head("POST /cut HTTP/1.1", "Host: test.example", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
    client.reset()
    eventually(lambda: all(each.ended.is_set() or each.requests for each in origin.connections), "the connection to end")
    assert [request.target for request in origin.requests[before:]] == []


def test_websocket(secure, stage, authority):
    server = stage.add(WebSocketServer())
    usher = stage.usher(language.TLS, ORIGIN=server, CERTIFICATE=(made := authority.issue("test.example")).chain, KEY=made.key)

    async def talk():
        async with websockets.connect(f"wss://test.example:{usher.port}/chat", host="127.0.0.1", server_hostname="test.example",
                                      ssl=authority.trusting()) as socket:
            for message in ("short", "x" * 100_000, b"\x00" * 1_000_000):
                await socket.send(message)
                assert await socket.recv() == message
    asyncio.run(asyncio.wait_for(talk(), PATIENCE))


def test_tls_and_plain_side_by_side(stage, authority, certificate):
    usher = stage.usher("""
listen: ["127.0.0.1:$PORT", {address: "127.0.0.1:$PORT2", tls: true}]
access_log: off
tls: {certificate: $CERTIFICATE, key: $KEY, redirect: false}
proxy: $ORIGIN
""", ORIGIN=stage.origin(named("both")), CERTIFICATE=certificate.chain, KEY=certificate.key)
    assert usher.get().body == b"both"
    with TlsClient(usher.ports["PORT2"], authority.trusting()) as client:
        assert client.ask().body == b"both"


def test_idle_connections_cost_little(secure, authority):
    """Under AddressSanitizer no measure of anything but growth without bound; bench/ measures."""
    usher, _ = secure("workers: 1\n")
    context = authority.trusting()
    clients = [TlsClient(usher.port, context) for _ in range(50)]
    for client in clients:
        client.ask()
    before = usher.resident_bytes()
    clients += [TlsClient(usher.port, context) for _ in range(200)]
    for client in clients[50:]:
        client.ask()
    grown = usher.resident_bytes() - before
    for client in clients:
        client.close()
    assert grown < 200 * 200_000
