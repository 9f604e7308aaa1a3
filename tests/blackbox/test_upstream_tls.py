"""TLS towards servers: who is trusted, under which name, as whom usher appears, and what a visitor sees when that fails."""

import json
import os
import ssl
import threading

import pytest

from support import wire
from support.h2 import tls_origin
from support.origin import echo, named
from support.tls import Authority, serving
from support.usher import eventually, run_command

# One pool; $TLS is what stands under its `tls`.
POOL = """
listen: "127.0.0.1:$PORT"
workers: 1
access_log: off
timeouts: {connect: $CONNECT}
proxy: app
pools:
  app:
    servers: [$SERVER]
    tls: $TLS
"""


def tls_pool(stage, server, tls, connect="20s", config=POOL):
    return stage.usher(config, SERVER=server, TLS=tls, CONNECT=connect)


def by_name(origin, name="localhost"):
    """The address of an origin, by a name that everybody can resolve."""
    return origin.url.replace("127.0.0.1", name)


@pytest.fixture
def secure(stage, authority):
    """A function: an origin over TLS with a certificate for these names."""
    def start(script=echo, names=("localhost", "127.0.0.1"), **more):
        return stage.add(tls_origin(script, serving(authority.issue(*names), **more)))
    return start


# --- What works


def test_requests_go_through_tls(stage, authority, secure):
    origin = secure()
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}}}")
    answer = usher.ask("POST", "/path?query", "Cookie: a=b", body=b"x" * 100000)
    seen = json.loads(answer.body)
    assert answer.status == 200
    assert (seen["method"], seen["target"], len(seen["body"])) == ("POST", "/path?query", 100000)


def test_a_connection_is_used_again(stage, authority, secure):
    origin = secure(named("a"))
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}}}")
    for _ in range(20):
        assert usher.get().body == b"a"
    assert len(origin.connections) == 1


def test_large_bodies_both_ways(stage, authority, secure):
    size = 3_000_000
    body = os.urandom(size)

    def script(connection):
        while (request := connection.read_request()) is not None:
            connection.send(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
                            + wire.chunked(*(request.body[at:at + 70000] for at in range(0, size, 70000))))
    usher = tls_pool(stage, by_name(secure(script)), f"{{ca: {authority.ca}}}")
    assert usher.ask("POST", body=body).body == body


def test_the_name_is_sent_as_sni(stage, authority):
    context = serving(authority.issue("localhost", "app.internal", "127.0.0.1"))
    names = []
    context.sni_callback = lambda connection, name, _: names.append(name)
    origin = stage.add(tls_origin(named("a"), context))
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}}}")
    assert usher.get().status == 200
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}, name: app.internal}}")
    assert usher.get().status == 200
    # An address is no name (RFC 6066 section 3).
    usher = tls_pool(stage, origin.url, f"{{ca: {authority.ca}}}")
    assert usher.get().status == 200
    assert names == ["localhost", "app.internal", None]


def test_a_name_of_its_own_is_verified(stage, authority, secure):
    origin = secure(named("a"), names=("app.internal",))
    usher = tls_pool(stage, origin.url, f"{{ca: {authority.ca}, name: app.internal}}")
    assert usher.get().body == b"a"


def test_intermediates_are_followed(stage, authority):
    intermediate = authority.intermediate()
    origin = stage.add(tls_origin(named("a"), serving(intermediate.issue("localhost"))))
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}}}")
    assert usher.get().body == b"a"


def test_trust_may_be_put_into_one_certificate(stage, authority):
    certificate = authority.self_signed("localhost")
    origin = stage.add(tls_origin(named("a"), serving(certificate)))
    usher = tls_pool(stage, by_name(origin), f"{{ca: {certificate.leaf}}}")
    assert usher.get().body == b"a"


def test_a_websocket_through_tls(stage, authority):
    accepted = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    def script(connection):
        request = connection.read_head()
        assert request.get("Upgrade") == "websocket"
        connection.send(wire.head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
                                  f"Sec-WebSocket-Accept: {accepted}") + b"first")
        while data := connection.receive(65536):
            connection.send(data.upper())
    origin = stage.add(tls_origin(script, serving(authority.issue("localhost"))))
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}}}")
    with usher.connect() as client:
        client.request("GET", "/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        assert client.response_head().status == 101
        assert client.reader.exactly(5) == b"first"
        for size in (1, 1000, 200000):
            sender = threading.Thread(target=client.send, args=(b"a" * size,))
            sender.start()
            assert client.reader.exactly(size) == b"A" * size
            sender.join()


# --- Who is not trusted


def refused(stage, origin, server, tls, words, kind="tls_certificate", status=502, connect="20s"):
    """usher answers with this status, says these words in its log, and the origin hears of no request."""
    usher = tls_pool(stage, server, tls, connect)
    answer = usher.get()
    assert answer.status == status
    usher.wait_for_error(rf"{kind}: tls handshake: .*{words}")
    assert origin.requests == []
    return usher


@pytest.mark.parametrize("case, words", [
    ("wrong name", "hostname mismatch"),
    ("wrong address", "IP address mismatch"),
    ("name for an address", "IP address mismatch"),
    ("unknown authority", "unable to get local issuer certificate"),
    ("expired", "certificate has expired"),
    ("not yet valid", "certificate is not yet valid"),
    ("self-signed", "self-signed certificate"),
    ("for clients", "unsuitable certificate purpose"),
    ("system's authorities", "unable to get local issuer certificate"),
])
def test_bad_certificates(stage, authority, tmp_path, case, words):
    certificate = {
        "wrong name": lambda: authority.issue("other.internal"),
        "wrong address": lambda: authority.issue("127.0.0.2"),
        "name for an address": lambda: authority.issue("localhost"),
        "unknown authority": lambda: Authority(tmp_path, "Stranger").issue("localhost"),
        "expired": lambda: authority.issue("localhost", days=(-10, -1)),
        "not yet valid": lambda: authority.issue("localhost", days=(1, 10)),
        "self-signed": lambda: authority.self_signed("localhost"),
        "for clients": lambda: authority.issue("localhost", purpose="client"),
        "system's authorities": lambda: authority.issue("localhost"),
    }[case]()
    origin = stage.add(tls_origin(named("a"), serving(certificate)))
    server = origin.url if "address" in case else by_name(origin)
    tls = "{min_version: 1.2}" if case == "system's authorities" else f"{{ca: {authority.ca}}}"
    refused(stage, origin, server, tls, words)


def test_a_common_name_is_no_name(stage, authority):
    """RFC 9525 section 6.3: what counts are the alternative names."""
    certificate = authority.issue("other.internal", common_name="localhost")
    origin = stage.add(tls_origin(named("a"), serving(certificate)))
    refused(stage, origin, by_name(origin), f"{{ca: {authority.ca}}}", "hostname mismatch")


def test_without_verification(stage, authority):
    origin = stage.add(tls_origin(named("a"), serving(authority.self_signed("nobody.internal", days=(-10, -1)))))
    usher = tls_pool(stage, by_name(origin), "{verify: false}")
    assert usher.get().body == b"a"
    assert "usher.yaml:10:11: warning: certificates of these servers are not verified" in usher.stderr


def test_a_bare_address_is_verified_by_the_system(stage, authority, secure):
    """`proxy: https://...` without a pool: nothing is trusted that the system does not trust."""
    origin = secure()
    usher = stage.usher(ORIGIN=by_name(origin))
    assert usher.get().status == 502
    usher.wait_for_error("tls_certificate: tls handshake: unable to get local issuer certificate")
    assert origin.requests == []


def test_another_server_is_tried(stage, authority, secure):
    """A server that cannot prove itself gets no request; one that can does, whatever the method."""
    bad = stage.add(tls_origin(named("bad"), serving(authority.issue("other.internal"))))
    good = secure(named("good"))
    usher = tls_pool(stage, f"{by_name(bad)}, {by_name(good)}", f"{{ca: {authority.ca}}}")
    for method in ("GET", "POST", "GET", "POST"):
        assert usher.ask(method).body == b"good"
    assert bad.requests == []


# --- As whom usher appears


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates(stage, authority, version):
    context = serving(authority.issue("localhost"), client_ca=authority.ca)
    context.minimum_version = context.maximum_version = version
    subjects = []

    def script(connection):
        subjects.append(connection.socket.getpeercert()["subject"])
        echo(connection)
    origin = stage.add(tls_origin(script, context))
    own = authority.issue(common_name="usher itself", purpose="client")
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}, certificate: {own.chain}, key: {own.key}}}")
    assert usher.get().status == 200
    assert subjects == [((("commonName", "usher itself"),),)]

    # Without one the server refuses: in the handshake, or (TLS 1.3) right behind it.
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}}}")
    assert usher.get().status == 502
    if version == ssl.TLSVersion.TLSv1_2:
        usher.wait_for_error(r"tls_alert: tls handshake: handshake failure \(alert from the server\)")
    else:  # where the server's reset does not overtake its words
        usher.wait_for_error(r"server_closed: .* certificate required \(alert from the server\)|(send_failed|server_closed): .* reset")
    assert len(subjects) == 1


def test_a_client_certificate_that_is_replaced(stage, authority, tmp_path):
    """From the reload on the new one is shown, and connections that the old one vouched for are used no more."""
    serials = []

    def script(connection):
        serials.append(connection.socket.getpeercert()["serialNumber"])
        echo(connection)
    origin = stage.add(tls_origin(script, serving(authority.issue("localhost"), client_ca=authority.ca)))
    certificates = [authority.issue(common_name="usher", purpose="client") for _ in range(2)]
    path = tmp_path / "own.pem"
    path.write_bytes(certificates[0].both.read_bytes())
    path.chmod(0o600)
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}, certificate: {path}}}")
    assert usher.get().status == usher.get().status == 200
    assert len(serials) == 1
    new = tmp_path / "new.pem"
    new.write_bytes(certificates[1].both.read_bytes())
    new.chmod(0o600)
    os.replace(new, path)
    usher.reload()
    assert usher.get().status == 200
    assert [int(serial, 16) for serial in serials] == [certificate.serial for certificate in certificates]


# --- Versions and sessions


def test_a_server_too_old_for_the_minimum(stage, authority):
    context = serving(authority.issue("localhost"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    origin = stage.add(tls_origin(named("a"), context))
    assert tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}, min_version: 1.2}}").get().status == 200
    origin = stage.add(tls_origin(named("a"), context))
    refused(stage, origin, by_name(origin), f"{{ca: {authority.ca}, min_version: 1.3}}", "alert from the server", "tls_alert")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(stage, authority, version):
    """A server that closes after each answer makes usher connect anew, but only the first handshake is a whole one."""
    context = serving(authority.issue("localhost"))
    context.minimum_version = context.maximum_version = version
    resumed = []

    def script(connection):
        resumed.append(connection.socket.session_reused)
        if connection.read_request() is not None:
            connection.answer("a", "Connection: close")
    origin = stage.add(tls_origin(script, context))
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}}}")
    for _ in range(5):
        assert usher.get().body == b"a"
    assert resumed == [False, True, True, True, True]


def test_a_session_is_not_resumed_under_other_settings(stage, authority):
    """What was not verified then would not be verified now: the certificate is not sent again (RFC 8446 section 2.2)."""
    resumed = []

    def script(connection):
        resumed.append(connection.socket.session_reused)
        if connection.read_request() is not None:
            connection.answer("a", "Connection: close")
    origin = stage.add(tls_origin(script, serving(authority.issue("localhost"))))
    usher = tls_pool(stage, by_name(origin), "{verify: false}")
    assert usher.get().status == usher.get().status == 200
    assert resumed == [False, True]
    usher.values["TLS"] = "{min_version: 1.2}"  # the system's authorities, which do not know it
    usher.reload(POOL)
    assert usher.get().status == 502
    assert resumed == [False, True]


# --- Servers that fail in the midst of it


def test_a_server_that_speaks_no_tls(stage, authority):
    def script(connection):
        connection.receive(1)
        connection.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        connection.wait_for_end()
    origin = stage.origin(script)
    refused(stage, origin, by_name(origin).replace("http:", "https:"), f"{{ca: {authority.ca}}}",
            "the server does not speak TLS on this port", "tls_failed")


def test_a_server_that_closes_in_the_handshake(stage, authority):
    origin = stage.origin(lambda connection: connection.receive(1))
    refused(stage, origin, by_name(origin).replace("http:", "https:"), f"{{ca: {authority.ca}}}",
            "the server closed the connection", "tls_failed")


def test_a_server_that_falls_silent_in_the_handshake(stage, authority):
    origin = stage.origin(lambda connection: connection.wait_for_end())
    usher = refused(stage, origin, by_name(origin).replace("http:", "https:"), f"{{ca: {authority.ca}}}",
                    "", "connect_timeout", 504, connect="300ms")
    assert "timeouts.connect" in usher.stderr


def test_a_response_that_is_cut(stage, authority, secure):
    """RFC 9112 section 9.8: the end of a body that lasts until the close must be said within TLS."""
    def script(connection):
        request = connection.read_request()
        connection.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        if request.target == "/whole":
            connection.socket.unwrap()
        # else the socket is closed as it is, without a word of TLS
    origin = secure(script)
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}}}")
    with usher.connect() as client:
        client.request("GET", "/cut")
        with pytest.raises(wire.Ended):
            client.response()
    assert usher.get("/whole").body == b"all of it"


def test_an_idle_connection_that_the_server_closes(stage, authority, secure):
    def script(connection):
        connection.read_request()
        connection.answer("a")
        connection.socket.unwrap()
    origin = secure(script)
    usher = tls_pool(stage, by_name(origin), f"{{ca: {authority.ca}}}")
    for number in range(3):
        assert usher.ask("POST").body == b"a"
        assert len(origin.connections) == number + 1
        eventually(lambda: origin.connections[-1].ended.is_set())


# --- Configuration


def test_what_check_says(tmp_path, authority):
    def check(pool):
        path = tmp_path / "usher.yaml"
        path.write_text(f"listen: \":80\"\nproxy: app\npools: {{app: {pool}}}\n")
        done = run_command("check", path)
        return done.returncode, done.stderr
    code, said = check("{servers: [10.0.0.1:443], tls: {verify: false}}")
    assert code and "no server of this pool is spoken to over TLS: write its address https://HOST or h2://HOST" in said
    code, said = check("{servers: [https://10.0.0.1], tls: {ca: missing.pem}}")
    assert code and "usher.yaml:3:" in said and "missing.pem\": No such file or directory" in said
    code, said = check(f"{{servers: [https://10.0.0.1], tls: {{certificate: {authority.own.leaf}}}}}")
    assert code and "it holds no private key" in said
    code, said = check("{servers: [https://10.0.0.1], tls: {verify: false}}")
    assert not code and "warning: certificates of these servers are not verified" in said
    code, said = check("{servers: [https://10.0.0.1, h2://10.0.0.2, h2c://10.0.0.3], protocol: auto}")
    assert not code and not said.count("error")


def test_the_authorities_of_a_file_that_goes_away(stage, authority, secure, tmp_path):
    """All that the worker needs was read when the configuration was loaded."""
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.ca.read_bytes())
    origin = secure(named("a"))
    usher = tls_pool(stage, by_name(origin), f"{{ca: {path}}}")
    path.unlink()
    assert usher.get().body == b"a"
