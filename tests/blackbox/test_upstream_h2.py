"""HTTP/2 towards servers: how it is agreed upon, how requests share connections, and how they survive what servers do."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import wire
from support.h2 import MAX_CONCURRENT_STREAMS, PREFACE, H2Connection, h2_echo, h2_origin, tls_origin
from support.origin import named
from support.tls import serving
from support.usher import eventually, free_port

# One pool; $SETTINGS are keys of it.
POOL = """
listen: "127.0.0.1:$PORT"
workers: 1
access_log: off
timeouts: {connect: $CONNECT}
proxy: app
pools:
  app:
    servers: [$SERVER]
    $SETTINGS
"""


def h2_pool(stage, *servers, settings="", connect="20s"):
    return stage.usher(POOL, SERVER=", ".join(getattr(server, "url", server) for server in servers), SETTINGS=settings,
                       CONNECT=connect)


class Crowd:
    """Requests at once, each by a client of its own."""

    def __init__(self, usher, count, *request, **more):
        self.pool = ThreadPoolExecutor(count)
        self.answers = [self.pool.submit(usher.ask, *request, **more) for _ in range(count)]

    def results(self):
        return [answer.result() for answer in self.answers]

    def done(self):
        return [answer.result() for answer in self.answers if answer.done()]


def take(peer, count):
    """So many requests, which wait for their answers."""
    return [peer.next_request() for _ in range(count)]


def serve(peer):
    """Answers each request with the number of its connection and its target."""
    while (request := peer.next_request()) is not None:
        if not request.reset:
            peer.answer(request, f"{peer.number} {request.target}")


def connections(answers):
    """The numbers of the connections that answers came on."""
    return [int(answer.body.split()[0]) for answer in answers]


# --- Agreeing on it


def test_prior_knowledge(stage):
    origin = stage.add(h2_origin(h2_echo))
    usher = h2_pool(stage, origin)
    answer = usher.ask("POST", "/a?b", "X-Own: 1", body=b"some bytes")
    assert (answer.status, answer.body) == (200, b"some bytes")
    request = origin.last()
    assert (request.method, request.target, request.field(":scheme")) == ("POST", "/a?b", "http")
    assert request.field(":authority") == "test.example" and not request.has("Host")
    assert request.field("x-own") == "1" and request.field("x-forwarded-for") == "127.0.0.1"
    assert bytes(origin.connections[0].received[:len(PREFACE)]) == PREFACE


@pytest.mark.parametrize("settings", ["", "protocol: auto", "protocol: http1"])
def test_h2_over_tls(stage, authority, settings):
    context = serving(authority.issue("localhost"), alpn=["h2", "http/1.1"])
    origin = stage.add(h2_origin(h2_echo, context))
    usher = h2_pool(stage, origin.url.replace("127.0.0.1", "localhost"), settings=f"tls: {{ca: {authority.ca}}}\n    {settings}")
    assert usher.ask("POST", body=b"x" * 200000).body == b"x" * 200000
    assert len(origin.connections) == 1


@pytest.mark.parametrize("protocol, offered, spoken", [
    ("http1", ["h2", "http/1.1"], "http/1.1"),
    ("http1", [], None),
    ("h2", ["h2", "http/1.1"], "h2"),
    ("auto", ["h2", "http/1.1"], "h2"),
    ("auto", ["http/1.1"], "http/1.1"),
    ("auto", [], None),
])
def test_what_alpn_chooses(stage, authority, protocol, offered, spoken):
    context = serving(authority.issue("localhost"), alpn=offered)
    chosen = []

    def script(connection):
        chosen.append(connection.socket.selected_alpn_protocol())
        named("a")(connection)
    if spoken == "h2":
        origin = stage.add(h2_origin(h2_echo, context))
    else:
        origin = stage.add(tls_origin(script, context))
    server = f"https://localhost:{origin.port}"
    usher = h2_pool(stage, server, settings=f"tls: {{ca: {authority.ca}}}\n    protocol: {protocol}")
    for _ in range(5):
        assert usher.get().status == 200
    assert len(origin.connections) == 1
    assert spoken == "h2" or chosen == [spoken]


def test_a_crowd_at_a_server_that_prefers_http1(stage, authority):
    """All wait for the first connection, learn from it, and then have one each."""
    context = serving(authority.issue("localhost"), alpn=["http/1.1"])
    origin = stage.add(tls_origin(named("a"), context))
    usher = h2_pool(stage, f"https://localhost:{origin.port}", settings=f"tls: {{ca: {authority.ca}}}\n    protocol: auto")
    assert [answer.body for answer in Crowd(usher, 10).results()] == [b"a"] * 10


def test_an_upgrade_where_alpn_decides(stage, authority):
    """What HTTP/2 may not carry goes by HTTP/1.1 (RFC 9113 section 8.6), and the rest by HTTP/2."""
    spoken = []

    def script(connection):
        spoken.append(connection.socket.selected_alpn_protocol())
        assert connection.read_head().get("Upgrade") == "websocket"
        connection.send(wire.head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
                                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        connection.send(connection.receive(4).upper())
        connection.wait_for_end()

    def either(connection):
        connection.socket = context.wrap_socket(connection.socket, server_side=True)
        if connection.socket.selected_alpn_protocol() == "http/1.1":
            script(connection)
        else:
            peer = H2Connection(connection)
            peer.start()
            serve(peer)
    context = serving(authority.issue("localhost"), alpn=["h2", "http/1.1"])
    origin = stage.origin(either)
    usher = h2_pool(stage, f"https://localhost:{origin.port}", settings=f"tls: {{ca: {authority.ca}}}\n    protocol: auto")
    assert connections([usher.get()]) == [0]
    with usher.connect() as client:
        client.request("GET", "/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        assert client.response_head().status == 101
        client.send(b"ping")
        assert client.reader.exactly(4) == b"PING"
    assert spoken == ["http/1.1"]
    assert connections([usher.get()]) == [0]


def test_a_server_without_h2(stage, authority):
    origin = stage.add(tls_origin(named("a"), serving(authority.issue("localhost"))))
    usher = h2_pool(stage, f"h2://localhost:{origin.port}", settings=f"tls: {{ca: {authority.ca}}}")
    assert usher.get().status == 502
    usher.wait_for_error(r"tls_failed: tls handshake: the server did not agree to speak HTTP/2 \(ALPN\)")
    assert origin.requests == []


def test_a_server_that_answers_in_http1(stage):
    """h2c to a server that knows nothing of HTTP/2."""
    def script(connection):
        connection.receive(1)
        connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.wait_for_end()
    origin = stage.origin(script)
    usher = h2_pool(stage, f"h2c://{origin.address}")
    assert usher.get().status == 502


def test_certificates_are_verified(stage, authority):
    context = serving(authority.issue("other.internal"), alpn=["h2"])
    origin = stage.add(h2_origin(h2_echo, context))
    usher = h2_pool(stage, f"h2://localhost:{origin.port}", settings=f"tls: {{ca: {authority.ca}}}")
    assert [answer.status for answer in Crowd(usher, 5).results()] == [502] * 5
    usher.wait_for_error("tls_certificate: tls handshake: hostname mismatch")
    assert origin.requests == []


# --- Sharing


def test_requests_share_a_connection(stage):
    """Answered in the reverse order: none waits for another."""
    def script(peer):
        for request in reversed(take(peer, 20)):
            peer.answer(request, request.target)
        serve(peer)
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    assert [answer.status for answer in Crowd(usher, 20).results()] == [200] * 20
    for _ in range(10):
        assert usher.get().status == 200
    assert len(origin.connections) == 1


def test_more_connections_when_streams_are_used_up(stage):
    """Each is answered only when all are under way."""
    everybody = threading.Barrier(4)

    def script(peer):
        while (request := peer.next_request()) is not None:
            everybody.wait(30)
            peer.answer(request, f"{peer.number} ")
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin, settings="h2: {streams: 1}")
    assert sorted(connections(Crowd(usher, 4).results())) == [0, 1, 2, 3]
    assert sorted(connections(Crowd(usher, 4).results())) == [0, 1, 2, 3]


def test_the_servers_limit_rules(stage):
    """Once a server's limit is known, no more than that are sent on a connection."""
    def script(peer):
        peer.answer(peer.next_request(), "0")
        open_now = []
        while (request := peer.next_request()) is not None:
            open_now.append(request)
            assert len(open_now) <= 3
            if len(open_now) == 3:
                while open_now:
                    peer.answer(open_now.pop(), f"{peer.number} ")
    origin = stage.add(h2_origin(script, settings={MAX_CONCURRENT_STREAMS: 3}))
    usher = h2_pool(stage, origin, settings="h2: {connections: 1}")
    assert usher.get().status == 200
    assert len(Crowd(usher, 12).results()) == 12
    assert len(origin.connections) == 1


def test_the_bound_of_connections_and_of_those_who_wait(stage):
    held, go = [], threading.Event()

    def script(peer):
        held.extend(take(peer, 2))
        assert go.wait(30)
        for request in held:
            peer.answer(request, "held")
        serve(peer)
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin, settings="h2: {connections: 1, streams: 2, queue: 3}")
    first = Crowd(usher, 2)
    eventually(lambda: len(held) == 2)
    waiting = Crowd(usher, 5)
    eventually(lambda: len(waiting.done()) == 2)
    assert [answer.status for answer in waiting.done()] == [503, 503]
    usher.wait_for_error("connection_limit: connect: all connections to the server carry as many requests as they may")
    assert "pools.NAME.h2.connections" in usher.stderr
    go.set()
    assert [answer.status for answer in first.results()] == [200, 200]
    assert sorted(answer.status for answer in waiting.results()) == [200, 200, 200, 503, 503]
    assert len(origin.connections) == 1


def test_waiting_ends(stage):
    """No longer than for a connection."""
    go = threading.Event()

    def script(peer):
        request = peer.next_request()
        assert go.wait(30)
        peer.answer(request, "held")
        serve(peer)
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin, settings="h2: {connections: 1, streams: 1}", connect="300ms")
    first = Crowd(usher, 1)
    eventually(lambda: origin.requests)
    assert usher.get().status == 503
    go.set()
    assert first.results()[0].status == 200


def test_another_server_is_tried_when_one_is_full(stage):
    go = threading.Event()

    def script(peer):
        request = peer.next_request()
        assert go.wait(30)
        peer.answer(request, "full")
    full, other = stage.add(h2_origin(script)), stage.add(h2_origin(serve))
    usher = h2_pool(stage, full, other, settings="h2: {connections: 1, streams: 1, queue: 0}")
    first = Crowd(usher, 2)
    eventually(lambda: len(first.done()) == 1 and full.requests)
    for _ in range(6):
        assert usher.ask("POST").status == 200
    go.set()
    assert sorted(answer.body[:4] for answer in first.results()) == [b"0 /", b"full"]


# --- What servers do to requests


@pytest.mark.parametrize("method, body", [("GET", b""), ("POST", b""), ("POST", b"some bytes")])
def test_a_refused_stream_is_sent_again(stage, method, body):
    """RFC 9113 section 8.7: whatever the method, since the server says that it did nothing."""
    def script(peer):
        request = peer.next_head()
        if peer.number == 0:
            peer.send_reset(request, "REFUSED_STREAM")
        else:
            peer.wait(lambda: request.over)
            peer.answer(request, f"{peer.number} " + bytes(request.body).decode())
        serve(peer)
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    answer = usher.ask(method, body=body)
    # With a body that is gone already, it cannot be sent again.
    if body:
        assert answer.status in (200, 502)
    else:
        assert (answer.status, answer.body) == (200, b"1 ")
    assert len(origin.connections) <= 2


def test_a_server_that_refuses_everything(stage):
    """Two tries, and then an answer; no storm."""
    def script(peer):
        while (request := peer.next_head()) is not None:
            peer.send_reset(request, "REFUSED_STREAM")
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    assert usher.get().status == 502
    usher.wait_for_error("server_closed: .*the server refused the stream")
    assert len(origin.requests) == 2


def test_goaway_in_mid_stream(stage):
    """What the server has taken is answered there; what it has not goes elsewhere, and nothing is lost."""
    def script(peer):
        if peer.number > 0:
            serve(peer)
            return
        requests = take(peer, 6)
        taken = sorted(requests, key=lambda request: request.id)[:3]
        peer.send_goaway(taken[-1].id)
        for request in taken:
            peer.answer(request, "0 taken")
        peer.wait_for_end()
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    answers = Crowd(usher, 6, "POST").results()
    assert [answer.status for answer in answers] == [200] * 6
    assert sorted(connections(answers)) == [0, 0, 0, 1, 1, 1]
    # The connection is closed with its last request.
    eventually(origin.connections[0].ended.is_set)
    assert connections([usher.get()]) == [1]


def test_goaway_of_an_idle_connection(stage):
    def script(peer):
        peer.answer(peer.next_request(), f"{peer.number} ")
        peer.send_goaway(1)
        peer.wait_for_end()
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    for number in range(3):
        assert connections([usher.ask("POST")]) == [number]
        eventually(origin.connections[number].ended.is_set)


def test_graceful_goaway(stage):
    """RFC 9113 section 6.8: first a warning with the highest id, then the truth."""
    warned = threading.Event()

    def script(peer):
        if peer.number > 0:
            serve(peer)
            return
        request = peer.next_request()
        peer.send_goaway(2 ** 31 - 1)
        peer.ping()
        warned.set()
        peer.send_goaway(request.id)
        peer.answer(request, "0 ")
        peer.wait_for_end()
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    first = Crowd(usher, 1)
    assert warned.wait(30)
    assert connections([usher.get()]) == [1]
    assert connections(first.results()) == [0]


def test_a_server_that_dies_under_requests(stage):
    """Those that may be sent twice are, once; others are not."""
    def script(peer):
        if peer.number > 0:
            serve(peer)
            return
        peer.answer(peer.next_request(), "warm")
        take(peer, 2)
        peer.connection.reset()
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    assert usher.get().status == 200
    get, post = Crowd(usher, 1, "GET"), Crowd(usher, 1, "POST", body=b"x")
    assert get.results()[0].status == 200
    assert post.results()[0].status == 502
    assert [request.method for request in origin.requests].count("POST") == 1


def test_a_server_that_dies_within_a_response(stage):
    halfway = threading.Event()

    def script(peer):
        request = peer.next_request()
        peer.send_fields(request.id, [(":status", "200"), ("content-length", "10")])
        peer.send_data(request, b"half")
        assert halfway.wait(30)  # a reset takes with it what has not been read yet
        peer.connection.reset()
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    with usher.connect() as client:
        client.request()
        head = client.response_head()
        halfway.set()
        with pytest.raises((wire.Ended, ConnectionError)):
            wire.read_body(client.reader, head)
    usher.wait_for_error("response_truncated")


def test_a_reset_within_a_response_harms_no_other(stage):
    def script(peer):
        bad, good = take(peer, 2)
        for request in (bad, good):
            peer.send_fields(request.id, [(":status", "200"), ("content-length", "8")])
            peer.send_data(request, b"half")
        peer.send_reset(bad, "INTERNAL_ERROR")
        peer.send_data(good, b"half", end=True)
        serve(peer)
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    with usher.connect() as first, usher.connect() as second:
        first.request()
        eventually(lambda: len(origin.connections) == 1)
        second.request()
        outcomes = []
        for client in (first, second):
            try:
                outcomes.append(client.response().body)
            except wire.Ended:
                outcomes.append("cut")
    assert sorted(map(str, outcomes)) == ["b'halfhalf'", "cut"]
    assert len(origin.connections) == 1


def test_a_visitor_who_leaves(stage):
    """The stream is reset, the connection stays."""
    reset = []

    def script(peer):
        request = peer.next_request()
        peer.wait(lambda: request.reset)
        reset.append(request.reset)
        serve(peer)
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin)
    with usher.connect() as client:
        client.request()
        eventually(lambda: origin.requests)
        client.reset()
    eventually(lambda: reset)
    assert reset == ["CANCEL"]
    assert connections([usher.get()]) == [0]


def test_a_visitor_who_leaves_while_connecting(stage):
    """Others who wait for the same connection get it."""
    origin = stage.add(h2_origin(serve, settings={}))
    silent = stage.silent_port()
    usher = h2_pool(stage, f"h2c://{silent.address}", origin, connect="1s")
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(usher.connect()).request()
    assert [answer.status for answer in Crowd(usher, 4).results()] == [200] * 4


def test_a_dead_connection_is_found_out(stage):
    """A server that falls silent for good is asked by PING, and given up."""
    def script(peer):
        if peer.number > 0:
            serve(peer)
            return
        peer.acks = False
        peer.answer(peer.next_request(), "0 ")
        peer.next_request()
        peer.wait_for_end()
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin, settings="h2: {ping: 200ms, ping_timeout: 200ms}")
    assert usher.get().status == 200
    assert connections([usher.get()]) == [1]


# --- Their end


def test_idle_connections_are_closed(stage):
    def script(peer):
        peer.answer(peer.next_request(), f"{peer.number} ")
        assert peer.wait_for_end() in (None, "NO_ERROR")
    origin = stage.add(h2_origin(script))
    usher = h2_pool(stage, origin, settings="idle: {timeout: 500ms}")
    assert connections([usher.get()]) == [0]
    eventually(origin.connections[0].ended.is_set)
    assert connections([usher.get()]) == [1]


def test_none_are_kept_when_told_so(stage):
    origin = stage.add(h2_origin(serve))
    usher = h2_pool(stage, origin, settings="idle: {connections: 0}")
    for number in range(3):
        assert connections([usher.get()]) == [number]
        eventually(origin.connections[number].ended.is_set)


def test_reloads(stage):
    """A server that stays keeps its connections; one that goes finishes what is under way, and is left."""
    go = threading.Event()

    def script(peer):
        while (request := peer.next_request()) is not None:
            if request.target == "/slow":
                assert go.wait(30)
            peer.answer(request, f"{peer.number} ")
    origin, other = stage.add(h2_origin(script)), stage.add(h2_origin(serve))
    usher = h2_pool(stage, origin)
    assert connections([usher.get()]) == [0]
    usher.reload()
    assert connections([usher.get()]) == [0]
    slow = Crowd(usher, 1, "GET", "/slow")
    eventually(lambda: len(origin.requests) == 3)
    usher.values["SERVER"] = other.url
    usher.reload(POOL)
    assert connections([usher.get()]) == [0]
    assert len(origin.requests) == 3
    go.set()
    assert connections(slow.results()) == [0]
    eventually(origin.connections[0].ended.is_set)
    assert len(origin.connections) == 1


def test_the_end_of_usher(stage):
    """Servers are told, by GOAWAY."""
    origin = stage.add(h2_origin(serve))
    usher = h2_pool(stage, origin)
    assert usher.get().status == 200
    usher.stop()
    eventually(origin.connections[0].ended.is_set)


# --- A server that others wrote


@pytest.fixture
def nghttpd(tmp_path, authority):
    """A function: nghttpd, over TLS or without."""
    started = []
    program = shutil.which("nghttpd") or "/usr/sbin/nghttpd"

    def start(*options, tls=True):
        certificate = authority.issue("localhost")
        port = free_port()
        files = [str(certificate.key), str(certificate.chain)] if tls else ["--no-tls"]
        command = [program, "-d", str(tmp_path), "-a", "127.0.0.1", *options, *([] if tls else files), str(port)]
        with open(tmp_path / f"{port}.log", "wb") as log:
            started.append(subprocess.Popen(command + (files if tls else []), stdout=log, stderr=log))

        def listens():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
        eventually(listens, "nghttpd to listen")
        return f"{'h2' if tls else 'h2c'}://localhost:{port}"
    start.started = started
    yield start
    for process in started:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("tls", [True, False])
def test_nghttpd(stage, authority, nghttpd, tmp_path, tls):
    content = os.urandom(2_000_000)
    (tmp_path / "large").write_bytes(content)
    (tmp_path / "small").write_bytes(b"small")
    usher = h2_pool(stage, nghttpd("--echo-upload", "-m", "8", tls=tls), settings=f"tls: {{ca: {authority.ca}}}" if tls else "")
    assert usher.get("/small").body == b"small"
    assert usher.get("/large").body == content
    assert usher.ask("HEAD", "/large").body == b""
    assert usher.get("/missing").status == 404
    assert usher.ask("POST", "/", body=content).body == content
    assert all(answer.body == content for answer in Crowd(usher, 20, "GET", "/large").results())


def test_nghttpd_is_killed(stage, nghttpd, tmp_path):
    """Requests go on at the other one, and none is lost."""
    (tmp_path / "small").write_bytes(b"small")
    servers = [nghttpd(tls=False), nghttpd(tls=False)]
    usher = h2_pool(stage, *servers)
    for _ in range(4):
        assert usher.get("/small").body == b"small"
    nghttpd.started[0].kill()
    for _ in range(10):
        assert usher.get("/small").body == b"small"
