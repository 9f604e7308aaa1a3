"""HTTP/2 towards clients: requests as HTTP/1.1 has them, many on one connection, each at its own pace."""

import hashlib
import re
import subprocess
import threading
import time

import pytest
from h2 import config as h2_config
from h2 import connection as h2_connection
from h2 import events as h2_events

from support import language, wire
from support.client import PATIENCE
from support.h2 import (ENABLE_CONNECT_PROTOCOL, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE,
                        NO_RFC7540_PRIORITIES, PRIORITY_UPDATE, H2Client)
from support.origin import answering, named, steps
from support.refusal import echoed
from support.tls import TlsClient
from support.usher import eventually, stalled

LOGGED = language.H2C.replace("access_log: off", "access_log: {path: access.log, format: json}")


@pytest.fixture(scope="module", params=["h2c", "tls"])
def front(request, shared, authority):
    """(a function that connects, the origin), without and with TLS."""
    origin = shared.origin()
    if request.param == "h2c":
        usher = shared.usher(language.H2C, ORIGIN=origin)
        return lambda **more: H2Client(usher.port, **more), origin
    certificate = authority.issue("test.example")
    usher = shared.usher(language.TLS, ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key)
    return lambda **more: H2Client(usher.port, authority.trusting(["h2"]), **more), origin


@pytest.fixture
def h2(proxy):
    """A function: a client of usher in front of an origin with this script; returns (client, origin, usher)."""
    clients = []

    def start(script, config=language.H2C, **more):
        usher, origin = proxy(script, config)
        clients.append(H2Client(usher.port, **more))
        return clients[-1], origin, usher
    yield start
    for client in clients:
        client.close()


# --- one request


def test_a_request_and_its_answer(front):
    connect, origin = front
    with connect() as client:
        stream = client.ask("GET", "/path?query=1", "accept: */*", "x-field: value")
        assert (stream.status, stream.get("content-type")) == (200, "application/json")
        seen = echoed(stream)
        assert (seen["method"], seen["target"], seen["version"], seen["framing"]) == ("GET", "/path?query=1", "HTTP/1.1", "none")
    request = origin.last()
    assert request.get("host") == "test.example"
    assert request.get("x-field") == "value" and request.get("accept") == "*/*"
    assert request.get("x-forwarded-proto") == client.scheme
    assert not any(name.startswith(":") for name in request.names())


def test_a_body_with_length(front):
    connect, _ = front
    with connect() as client:
        seen = echoed(client.ask("POST", "/", body=b"body" * 1000))
        assert (seen["body"], seen["framing"]) == ("body" * 1000, "length")


def test_a_body_without_length(front):
    """The server gets it chunked: how long it is shows at its end."""
    connect, _ = front
    with connect() as client:
        stream = client.open(client.pseudo("POST", "/"), end=False)
        client.send_data(stream, b"first ")
        client.ping()
        client.send_data(stream, b"second")
        client.send_data(stream, b"", end=True)
        seen = echoed(client.response(stream))
        assert (seen["body"], seen["framing"]) == ("first second", "chunked")


def test_an_empty_body(front):
    connect, _ = front
    with connect() as client:
        stream = client.open(client.pseudo("POST", "/"), end=False)
        client.send_data(stream, b"", end=True)
        assert echoed(client.response(stream))["body"] == ""
        assert echoed(client.ask("POST", "/"))["body"] == ""


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH"])
def test_methods_are_passed_on(front, method):
    connect, _ = front
    with connect() as client:
        assert echoed(client.ask(method, "/"))["method"] == method


def test_head_has_no_body(front):
    connect, _ = front
    with connect() as client:
        stream = client.ask("HEAD", "/")
        assert stream.status == 200 and int(stream.get("content-length")) > 0 and stream.body == b""
        assert client.ask("GET", "/").status == 200


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(h2, status):
    client, *_ = h2(answering(wire.head(f"HTTP/1.1 {status} Nothing", "ETag: x")))
    stream = client.ask()
    assert (stream.status, stream.body, stream.get("etag")) == (status, b"", "x")


def test_cookies_are_joined(front):
    """RFC 9113 section 8.2.3."""
    connect, origin = front
    with connect() as client:
        client.ask("GET", "/", "cookie: a=1", "x-between: x", "cookie: b=2", "cookie: c=3")
    assert origin.last().all("cookie") == ["a=1; b=2; c=3"]


def test_fields_of_the_connection_do_not_come_from_servers(h2):
    client, *_ = h2(answering(wire.head(
        "HTTP/1.1 200 OK", "Content-Length: 2", "Connection: keep-alive, X-Hop", "Keep-Alive: timeout=5", "X-Hop: 1",
        "Proxy-Connection: keep-alive", "X-End: 2") + b"ok"))
    stream = client.ask()  # the client is strict
    assert stream.body == b"ok" and stream.get("x-end") == "2" and not stream.has("x-hop")


def test_names_of_fields_come_in_lower_case(h2):
    client, *_ = h2(answering(wire.head("HTTP/1.1 200 OK", "CONTENT-LENGTH: 2", "X-MiXed: Value", "Set-Cookie: a=1",
                                        "Set-Cookie: b=2") + b"ok"))
    stream = client.ask()
    assert stream.get("x-mixed") == "Value" and stream.all("set-cookie") == ["a=1", "b=2"]


def test_responses_of_every_framing(h2):
    def script(connection):
        while (request := connection.read_request()) is not None:
            if request.target == "/length":
                connection.answer(b"length")
            elif request.target == "/chunked":
                connection.send(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + wire.chunked(b"chu", b"nked"))
            else:
                connection.send(wire.head("HTTP/1.1 200 OK") + b"close")
                return

    client, *_ = h2(script)
    for framing in ("length", "chunked", "close"):
        stream = client.ask("GET", f"/{framing}")
        assert bytes(stream.body) == framing.encode() and not stream.has("transfer-encoding")


def test_a_response_that_is_cut_is_reset(h2):
    def cut(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 100") + b"short")

    client, *_ = h2(cut)
    stream = client.ask()
    assert stream.status == 200 and stream.reset == "INTERNAL_ERROR" and not stream.ended


def test_servers_that_cannot_be_reached(stage):
    usher = stage.usher(language.H2C, ORIGIN=stage.dead_port())
    with H2Client(usher.port) as client:
        assert client.ask().status == 502
        assert client.ask().status == 502


def test_trailers_of_a_request(front):
    connect, _ = front
    with connect() as client:
        stream = client.open([*client.pseudo("POST", "/"), ("trailer", "x-checksum")], end=False)
        client.send_data(stream, b"data")
        client.send_fields(stream.id, [("x-checksum", "abc")], end=True)
        seen = echoed(client.response(stream))
        assert seen["body"] == "data" and ["x-checksum", "abc"] in [[name.lower(), value] for name, value in seen["trailers"]]


def test_trailers_of_a_response(h2):
    client, *_ = h2(answering(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum")
                              + wire.chunked(b"data", trailers=[("X-Sum", "7")])))
    stream = client.ask("GET", "/", "te: trailers")
    assert bytes(stream.body) == b"data" and stream.trailers == [("x-sum", "7")]


def test_early_hints_come_early(h2):
    released = threading.Event()
    client, *_ = h2(steps("read", wire.head("HTTP/1.1 103 Early Hints", "Link: </style.css>; rel=preload"), released,
                          wire.head("HTTP/1.1 200 OK", "Content-Length: 2") + b"ok"))
    stream = client.request()
    client.wait(lambda: stream.interim, "an interim response")
    assert stream.interim[0].status == 103 and stream.interim[0].get("link") == "</style.css>; rel=preload"
    released.set()
    assert client.response(stream).status == 200


def test_expectations(h2):
    """The server is asked, and its 100 comes back before the client sends its body."""
    def script(connection):
        request = connection.read_head()
        assert request.get("expect") == "100-continue"
        connection.send(wire.head("HTTP/1.1 100 Continue"))
        connection.read_body(request)
        connection.answer(request.body)

    client, *_ = h2(script)
    stream = client.open([*client.pseudo("POST", "/"), ("expect", "100-continue"), ("content-length", "4")], end=False)
    client.wait(lambda: stream.interim, "100")
    assert stream.interim[0].status == 100
    client.send_data(stream, b"data", end=True)
    assert client.response(stream).body == b"data"


def test_requests_are_logged_as_http2(stage):
    usher = stage.usher(LOGGED, ORIGIN=stage.origin())
    with H2Client(usher.port) as client:
        client.ask("GET", "/logged", "user-agent: tests")
    (record,) = usher.log_records()
    assert "HTTP/2" in str(record), record


# --- early ends


def test_an_answer_before_the_body_has_come(h2):
    """RFC 9113 section 8.1: the whole answer, then RST_STREAM with NO_ERROR asks for no more."""
    def script(connection):
        connection.read_head()
        connection.answer(b"enough", status="413 Content Too Large")
        connection.wait_for_end()

    client, *_ = h2(script)
    stream = client.open([*client.pseudo("POST", "/"), ("content-length", "1000000")], end=False)
    client.send_data(stream, b"x" * 1000)
    client.response(stream)
    assert (stream.status, bytes(stream.body)) == (413, b"enough")
    if not stream.reset:
        client.wait(lambda: stream.reset, "RST_STREAM")
    assert stream.reset == "NO_ERROR"
    assert client.ask("GET", "/", end=True).status in (200, 413)


def test_a_reset_of_the_client_ends_the_servers_work(h2):
    def script(connection):
        connection.read_head()
        connection.wait_for_end()

    client, origin, _ = h2(script)
    stream = client.request("GET", "/long")
    origin.next_request()
    client.send_reset(stream)
    assert origin.connections[0].ended.wait(PATIENCE)
    client.ping()


def test_a_reset_while_the_body_flows(h2):
    """Both ways: the server sees the request break off, and other streams go on."""
    def script(connection):
        request = connection.read_head()
        if request.target == "/other":
            connection.answer(b"other")
            connection.wait_for_end()
            return
        connection.send(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
        while True:
            connection.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    client, origin, _ = h2(script)
    stream = client.open(client.pseudo("POST", "/endless"), end=False)
    client.send_data(stream, b"begin")
    client.wait(lambda: len(stream.body) > 100_000, "100 kB")
    client.send_reset(stream)
    assert bytes(client.ask("GET", "/other").body) == b"other"
    assert origin.connections[0].ended.wait(PATIENCE)


def test_the_end_of_a_connection_ends_the_servers_work(h2):
    def script(connection):
        connection.read_head()
        connection.wait_for_end()

    client, origin, _ = h2(script)
    for number in range(3):
        client.request("GET", f"/{number}")
    origin.wait_until(lambda: len(origin.requests) == 3, "three requests")
    client.close()
    for connection in origin.connections:
        assert connection.ended.wait(PATIENCE)


def test_a_server_that_resets_in_the_middle(h2):
    def script(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 100000") + b"x" * 1000)
        connection.reset()

    client, *_ = h2(script)
    stream = client.ask()
    assert stream.reset == "INTERNAL_ERROR" or stream.status == 502
    client.ping()


# --- many at once


def test_many_streams_at_once(front):
    connect, _ = front
    with connect() as client:
        streams = [client.request("GET", f"/{number}", "x-number: %d" % number) for number in range(100)]
        for number, stream in enumerate(streams):
            assert echoed(client.response(stream))["target"] == f"/{number}"


def test_thousands_of_requests_on_one_connection(front):
    connect, _ = front
    with connect() as client:
        for batch in range(40):
            streams = [client.request("GET", f"/{batch}/{number}") for number in range(50)]
            for number, stream in enumerate(streams):
                assert echoed(client.response(stream))["target"] == f"/{batch}/{number}"


def test_a_slow_answer_holds_up_no_other(h2):
    released = threading.Event()

    def script(connection):
        while (request := connection.read_request()) is not None:
            if request.target == "/slow":
                assert released.wait(PATIENCE)
            connection.answer(request.target.encode())

    client, *_ = h2(script)
    slow = client.request("GET", "/slow")
    for number in range(10):
        assert bytes(client.ask("GET", f"/{number}").body) == f"/{number}".encode()
    assert not slow.has_head
    released.set()
    assert bytes(client.response(slow).body) == b"/slow"


def test_both_directions_flow_at_once(h2):
    """What the server says between the pieces of an upload comes between them."""
    def script(connection):
        connection.read_head()
        connection.send(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
        while data := wire.read_chunk(connection.reader):
            connection.send(b"%x\r\n%s\r\n" % (len(data), data.upper()))
        wire.read_fields(connection.reader)
        connection.send(b"0\r\n\r\n")
        connection.wait_for_end()

    client, *_ = h2(script)
    stream = client.open(client.pseudo("POST", "/"), end=False)
    said = b""
    for number in range(20):
        piece = b"piece %d;" % number
        client.send_data(stream, piece)
        said += piece.upper()
        client.wait(lambda said=said: bytes(stream.body) == said, "the piece in capitals")
    client.send_data(stream, b"", end=True)
    assert client.response(stream).ended


# --- bodies and flow control


@pytest.mark.parametrize("size", [1, 16384, 16385, 65535, 65536, 1 << 20, 20 << 20])
def test_downloads(h2, size):
    body = hashlib.shake_128(b"download").digest(min(size, 1 << 20)) * (size >> 20 or 1)
    client, *_ = h2(answering(wire.head("HTTP/1.1 200 OK", f"Content-Length: {len(body)}") + body))
    stream = client.ask()
    assert hashlib.sha256(stream.body).digest() == hashlib.sha256(body).digest()
    assert max(stream.data_frames) <= 16384


@pytest.mark.parametrize("size", [1, 16384, 65536, 1 << 20, 20 << 20])
def test_uploads(h2, size):
    def script(connection):
        while (request := connection.read_request()) is not None:
            connection.answer(hashlib.sha256(request.body).hexdigest())

    body = hashlib.shake_128(b"upload").digest(min(size, 1 << 20)) * (size >> 20 or 1)
    client, *_ = h2(script)
    stream = client.ask("POST", "/", body=body)
    assert bytes(stream.body).decode() == hashlib.sha256(body).hexdigest()


def test_a_stream_that_is_not_read_slows_its_server_and_no_other(h2):
    """The window of one stream is used up: its server stalls, usher's memory does not grow, others go on."""
    sent = [0]

    def script(connection):
        while (request := connection.read_request()) is not None:
            if request.target != "/endless":
                connection.answer(b"other")
                continue
            connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 1000000000"))
            for _ in range(1000):
                connection.send(bytes(1_000_000))
                sent[0] += 1_000_000

    client, _, usher = h2(script, grants=False)
    client.grant((1 << 31) - 1 - 65535)
    stream = client.request("GET", "/endless")
    client.wait(lambda: len(stream.body) == 65535, "a window of data")
    assert stalled(sent) < 50_000_000
    before = usher.resident_bytes()
    for _ in range(10):
        assert bytes(client.ask("GET", "/other").body) == b"other"
    client.ping()
    assert len(stream.body) == 65535 and usher.resident_bytes() - before < 20_000_000
    client.grant(10_000, stream)
    client.wait(lambda: len(stream.body) == 75535, "what was granted")
    client.send_reset(stream)
    client.ping()


def test_a_server_that_does_not_read_slows_its_client(h2):
    released = threading.Event()

    def script(connection):
        request = connection.read_head()
        assert released.wait(PATIENCE)
        connection.read_body(request)
        connection.answer(str(len(request.body)))

    client, _, usher = h2(script)
    size = 30 << 20
    stream = client.open([*client.pseudo("POST", "/"), ("content-length", str(size))], end=False)
    granted = 0
    while min(client.send_window, stream.send_window) > 0:
        piece = min(16384, client.send_window, stream.send_window, size - granted)
        client.send_data(stream, bytes(piece))
        granted += piece
        if min(client.send_window, stream.send_window) == 0:
            client.ping()  # more may have been granted meanwhile
            time.sleep(0.1)
            client.ping()
    assert granted < 16 << 20, "usher took more than its windows and the sockets' buffers"
    assert usher.resident_bytes() < 400 << 20
    released.set()
    client.send_body(stream, bytes(size - granted))
    assert bytes(client.response(stream).body) == str(size).encode()


def test_windows_of_the_client_are_kept(h2):
    """Each small window is filled to the byte; the strict client fails on one byte more."""
    body = bytes(range(256)) * 40
    client, *_ = h2(answering(wire.head("HTTP/1.1 200 OK", f"Content-Length: {len(body)}") + body),
                    settings={INITIAL_WINDOW_SIZE: 0}, grants=False)
    stream = client.head(client.request())
    client.ping()
    assert stream.body == b"" and stream.status == 200
    for size in (1, 10, 1000, len(body) - 1011):
        client.grant(size, stream)
        client.wait(lambda: stream.receive_window == 0, "what was granted")
    assert bytes(client.response(stream).body) == body


def test_a_window_that_becomes_negative(h2):
    """RFC 9113 section 6.9.2."""
    body = bytes(200_000)
    client, *_ = h2(answering(wire.head("HTTP/1.1 200 OK", f"Content-Length: {len(body)}") + body), grants=False)
    client.grant(1_000_000)
    stream = client.request()
    client.wait(lambda: len(stream.body) == 65535, "a window of data")
    client.send_settings({INITIAL_WINDOW_SIZE: 10})
    stream.receive_window = 10 - 65535
    client.grant(65525, stream)  # the window is 0 now
    client.ping()
    client.ping()
    assert len(stream.body) == 65535
    client.grant(1_000_000, stream)
    assert len(client.response(stream).body) == len(body)


# --- the connection


def test_settings_of_usher(front):
    connect, _ = front
    with connect() as client:
        client.wait(lambda: client.other_settings is not None, "SETTINGS")
        settings = client.other_settings
        assert settings[MAX_CONCURRENT_STREAMS] == 128
        assert settings[INITIAL_WINDOW_SIZE] == 256 * 1024
        assert settings[ENABLE_CONNECT_PROTOCOL] == 1
        assert settings[NO_RFC7540_PRIORITIES] == 1
        assert settings[MAX_HEADER_LIST_SIZE] >= 16 * 1024
        client.ping()
        client.wait(lambda: client.settings_acks, "SETTINGS to be acknowledged")


def test_idle_connections_end_with_goaway(stage):
    usher = stage.usher(language.H2C + "timeouts: {idle: 300ms}\n", ORIGIN=stage.origin())
    with H2Client(usher.port) as client:
        assert client.ask().status == 200
        assert client.wait_for_end() == "NO_ERROR"
        assert client.goaways[-1][0] == 1


def test_stopping_says_goaway_and_loses_nothing(stage):
    """RFC 9113 section 6.8: what was begun is served; what comes after the last stream was not."""
    released = threading.Event()

    def script(connection):
        while (request := connection.read_request()) is not None:
            if request.target == "/slow":
                assert released.wait(PATIENCE)
            connection.answer(request.target.encode())

    usher = stage.usher(language.H2C, ORIGIN=stage.origin(script))
    with H2Client(usher.port) as client:
        slow = client.request("GET", "/slow")
        client.ping()
        usher.process.terminate()
        client.wait(lambda: client.goaway, "GOAWAY")
        assert client.goaway == "NO_ERROR" and client.goaways[-1][0] >= slow.id
        late = client.request("GET", "/late")
        released.set()
        assert bytes(client.response(slow).body) == b"/slow"
        client.wait_for_end()
        # Served, or told by the last GOAWAY that it was not begun.
        assert late.ended or late.reset == "REFUSED_STREAM" or client.goaways[-1][0] < late.id
    assert usher.process.wait(PATIENCE) == 0


def test_connections_live_through_a_reload(stage):
    one, two = stage.origin(named("one")), stage.origin(named("two"))
    usher = stage.usher(language.H2C, ORIGIN=one)
    with H2Client(usher.port) as client:
        assert bytes(client.ask().body) == b"one"
        usher.values["ORIGIN"] = two.url
        usher.reload(language.H2C)

        def answered_by_two():
            if client.goaway:
                return True
            return bytes(client.ask().body) == b"two"
        eventually(answered_by_two, "the new configuration to rule")
    with H2Client(usher.port) as client:
        assert bytes(client.ask().body) == b"two"


def test_urgent_responses_come_first(h2):
    """RFC 9218: of two that could be sent, the more urgent one is."""
    body = bytes(400_000)
    client, *_ = h2(answering(wire.head("HTTP/1.1 200 OK", f"Content-Length: {len(body)}") + body),
                    settings={INITIAL_WINDOW_SIZE: 1 << 20}, grants=False)
    # Both wait for the window of the connection, which is opened when both are there.
    client.wait(lambda: client.other_settings is not None, "SETTINGS")
    filler = client.request("GET", "/filler")
    client.wait(lambda: client.receive_window == 0, "the window to be used up")
    client.send_reset(filler)
    late = client.request("GET", "/late", "priority: u=7")
    urgent = client.request("GET", "/urgent", "priority: u=0")
    client.wait(lambda: late.has_head and urgent.has_head, "both heads")
    client.grant(300_000)
    client.wait(lambda: client.receive_window == 0, "the window to be used up")
    # What the server had not sent yet could not come first.
    assert len(urgent.body) > len(late.body), (len(urgent.body), len(late.body))
    client.frame(PRIORITY_UPDATE, 0, 0, late.id.to_bytes(4, "big") + b"u=0")
    client.frame(PRIORITY_UPDATE, 0, 0, urgent.id.to_bytes(4, "big") + b"u=7")
    client.ping()
    client.grant(80_000)
    client.wait(lambda: client.receive_window == 0, "the window to be used up")
    assert len(late.body) > 60_000
    client.grant(1 << 20)
    assert len(client.response(late).body) == len(client.response(urgent).body) == len(body)


# --- WebSocket over HTTP/2 (RFC 8441)


def websocket_fields(client, path="/chat"):
    return [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", client.scheme), (":path", path),
            (":authority", "test.example"), ("sec-websocket-version", "13"), ("origin", "http://test.example")]


def shouting(connection):
    """Switches, and sends back in capitals what comes."""
    request = connection.read_head()
    assert (request.method, request.get("upgrade").lower()) == ("GET", "websocket")
    assert len(request.get("sec-websocket-key")) == 24 and request.get("sec-websocket-version") == "13"
    connection.send(wire.head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
                              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: chat"))
    while data := connection.receive(65536):
        connection.send(data.upper())


def open_websocket(client):
    stream = client.head(client.open(websocket_fields(client), end=False))
    assert stream.status == 200, stream
    assert not stream.has("sec-websocket-accept") and not stream.has("upgrade") and not stream.has("content-length")
    assert stream.get("sec-websocket-protocol") == "chat"
    return stream


def test_websocket_over_http2(h2):
    client, *_ = h2(shouting)
    stream = open_websocket(client)
    said = b""
    for number in range(50):
        client.send_data(stream, b"message %d." % number)
        said += b"MESSAGE %d." % number
        client.wait(lambda said=said: bytes(stream.body) == said, "the message in capitals")
    stream.body.clear()
    client.send_body(stream, b"abc" * 200_000, end=False)
    client.wait(lambda: len(stream.body) == 600_000, "600 kB")
    assert bytes(stream.body) == b"ABC" * 200_000


def test_websocket_ended_by_the_client(h2):
    client, origin, _ = h2(shouting)
    stream = open_websocket(client)
    client.send_data(stream, b"bye", end=True)
    assert bytes(client.response(stream).body) == b"BYE"
    assert origin.connections[0].ended.wait(PATIENCE)
    client.ping()


def test_websocket_reset_by_the_client(h2):
    client, origin, _ = h2(shouting)
    stream = open_websocket(client)
    client.send_reset(stream)
    assert origin.connections[0].ended.wait(PATIENCE)
    client.ping()


def test_websocket_ended_by_the_server(h2):
    def script(connection):
        connection.read_head()
        connection.send(wire.head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
                                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: chat") + b"bye")

    client, *_ = h2(script)
    stream = open_websocket(client)
    client.response(stream)
    assert bytes(stream.body) == b"bye"


def test_websocket_that_the_server_refuses(h2):
    client, *_ = h2(answering(wire.head("HTTP/1.1 403 Forbidden", "Content-Length: 2") + b"no"))
    stream = client.open(websocket_fields(client), end=False)
    client.response(stream)
    assert (stream.status, bytes(stream.body)) == (403, b"no")
    client.ping()


def test_websocket_beside_requests(h2):
    """One connection carries both; the tunnel's window is its own."""
    def script(connection):
        if connection.number == 0:
            shouting(connection)
        else:
            while connection.read_request() is not None:
                connection.answer(b"page")

    client, *_ = h2(script)
    stream = open_websocket(client)
    for number in range(20):
        client.send_data(stream, b"x")
        assert bytes(client.ask("GET", f"/{number}").body) == b"page"
    client.wait(lambda: bytes(stream.body) == b"X" * 20, "all messages")


# --- clients that others wrote


def test_curl_over_tls(shared, authority):
    certificate = authority.issue("test.example")
    usher = shared.usher(language.TLS, ORIGIN=shared.origin(), CERTIFICATE=certificate.chain, KEY=certificate.key)
    base = ["curl", "-s", "--cacert", authority.ca, "--resolve", f"test.example:{usher.port}:127.0.0.1", "-w", "%{http_version} %{http_code}"]
    url = f"https://test.example:{usher.port}"
    for arguments, version in ((["--http2"], "2"), (["--http1.1"], "1.1"), (["--http2", "--data", "@/dev/stdin"], "2")):
        done = subprocess.run([*map(str, base), *arguments, url + "/x"], input="data" * 50_000, capture_output=True, text=True,
                              timeout=PATIENCE, check=True)
        assert done.stdout.endswith(f"}}{version} 200"), done.stdout[-200:]


def test_curl_by_prior_knowledge(shared):
    usher = shared.usher(language.H2C, ORIGIN=shared.origin())
    done = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code}", f"http://127.0.0.1:{usher.port}/"],
                          capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.endswith("}2 200")


def test_the_upgrade_of_old_is_not_honoured(shared):
    """RFC 9113 section 3.1: Upgrade: h2c is obsolete; it stays HTTP/1.1, and the server hears nothing of it."""
    origin = shared.origin()
    usher = shared.usher(language.H2C, ORIGIN=origin)
    response = usher.get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    assert response.status == 200
    assert not {"upgrade", "http2-settings"} & set(origin.last().names())


def test_without_h2c_the_preface_is_refused(shared):
    usher = shared.usher(ORIGIN=shared.origin())
    with usher.connect() as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.reader.some()[9:12] in (b"400", b"505")


def test_h2load(shared):
    usher = shared.usher(language.H2C, ORIGIN=shared.origin())
    done = subprocess.run(["h2load", "-n", "5000", "-c", "10", "-m", "50", f"http://127.0.0.1:{usher.port}/"],
                          capture_output=True, text=True, timeout=120, check=True)
    assert re.search(r"5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout", done.stdout), done.stdout


def test_python_h2(shared, authority):
    """A client that keeps every rule, and checks that usher does."""
    certificate = authority.issue("test.example")
    usher = shared.usher(language.TLS, ORIGIN=shared.origin(), CERTIFICATE=certificate.chain, KEY=certificate.key)
    connection = h2_connection.H2Connection(h2_config.H2Configuration(client_side=True))
    with TlsClient(usher.port, authority.trusting(["h2"])) as client:
        connection.initiate_connection()
        wanted = {}
        for number in range(50):
            stream = connection.get_next_available_stream_id()
            connection.send_headers(stream, [(":method", "POST"), (":scheme", "https"), (":authority", "test.example"),
                                             (":path", f"/{number}")])
            connection.send_data(stream, b"data %d" % number, end_stream=True)
            wanted[stream] = b'"body": "data %d"' % number
        bodies = {stream: b"" for stream in wanted}
        left = set(wanted)
        while left:
            client.send(connection.data_to_send())
            for event in connection.receive_data(client.reader.some()):
                assert not isinstance(event, (h2_events.StreamReset, h2_events.ConnectionTerminated)), event
                if isinstance(event, h2_events.DataReceived):
                    bodies[event.stream_id] += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2_events.StreamEnded):
                    left.discard(event.stream_id)
        assert all(wanted[stream] in body for stream, body in bodies.items())
