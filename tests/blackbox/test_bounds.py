"""Bounds and deadlines: 414, 431, 408, connections; each refusal names the limit and the key that changes it."""

import contextlib
import os
import select
import time

import pytest

from support import wire
from support.client import PATIENCE
from support.origin import steps
from support.refusal import echoed
from support.usher import eventually


def limited(stage, settings, origin=None, **more):
    return stage.usher(f"""
listen: "127.0.0.1:$PORT"
workers: 1
access_log: off
{settings}
proxy: $ORIGIN
""", ORIGIN=origin or stage.origin(), **more)


def assert_refused(usher, data, status, key):
    with usher.connect() as client:
        try:
            client.send(data)
        except OSError:
            pass  # it may refuse before all has come
        response = client.response()
        assert response.status == status
        assert "close" in response.tokens("connection")
        client.expect_closed()
    usher.wait_for_error(key)


def test_header_section_up_to_64_kib(stage):
    usher = stage.usher(ORIGIN=stage.origin())
    response = usher.get("/", ("X-Large", "x" * 60_000))
    assert len(dict(map(tuple, echoed(response)["headers"]))["X-Large"]) == 60_000


def test_header_section_beyond_64_kib(stage):
    usher = stage.usher(ORIGIN=stage.origin())
    assert_refused(usher, wire.head("GET / HTTP/1.1", "Host: a.example", ("X-Large", "x" * 66_000)), 431, r"limits\.header")
    assert_refused(usher, wire.head("GET / HTTP/1.1", "Host: a.example", *[f"X-{number}: {'x' * 1000}" for number in range(70)]),
                   431, r"limits\.header")


def test_header_section_that_never_ends(stage):
    usher = stage.usher(ORIGIN=stage.origin())
    with usher.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n")
        try:
            for number in range(100):
                client.send(f"X-{number}: {'x' * 1000}\r\n")
        except OSError:
            pass
        assert client.response().status == 431


def test_header_limit_can_be_set(stage):
    usher = limited(stage, "limits: {header: 4KiB}")
    assert usher.get("/", ("X", "x" * 3000)).status == 200
    assert_refused(usher, wire.head("GET / HTTP/1.1", "Host: a.example", ("X", "x" * 5000)), 431, r"limits\.header")


def test_number_of_fields(stage):
    usher = limited(stage, "limits: {fields: 20}")
    assert usher.get("/", *[f"X-{number}: 1" for number in range(15)]).status == 200
    assert_refused(usher, wire.head("GET / HTTP/1.1", "Host: a.example", *[f"X-{number}: 1" for number in range(30)]),
                   431, r"limits\.fields")


def test_target_too_long(stage):
    usher = limited(stage, "limits: {target: 1KiB}")
    assert usher.get("/" + "a" * 1000).status == 200
    assert_refused(usher, wire.head("GET /" + "a" * 2000 + " HTTP/1.1", "Host: a.example"), 414, r"limits\.target")


def test_target_longer_than_a_header_section(stage):
    usher = stage.usher(ORIGIN=stage.origin())
    with usher.connect() as client:
        try:
            client.send("GET /" + "a" * 100_000)
        except OSError:
            pass
        assert client.response().status in (414, 431)
        client.expect_closed()


def test_trailers_are_bounded_too(stage):
    usher = limited(stage, "limits: {header: 4KiB}")
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked")
                    + wire.chunked(b"x", trailers=[("X", "y" * 5000)]))
        assert client.response().status in (400, 431)
        client.expect_closed()


# --- Time


def test_head_that_does_not_come(stage):
    """408 once a part is there; a connection that never said anything is closed without a word."""
    usher = limited(stage, "timeouts: {header: 300ms, idle: 300ms}")
    with usher.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a.ex")
        assert client.response().status == 408
        client.expect_closed()
    with usher.connect() as client:
        client.expect_closed()


def test_heads_that_drip(stage):
    """The deadline is of the whole head: a byte now and then does not buy more time.

    With many clients, some byte comes at the very moment at which the time is up.
    """
    usher = limited(stage, "timeouts: {header: 1s}")
    waiting = [usher.connect() for _ in range(100)]
    for client in waiting:
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n")
    end = time.monotonic() + PATIENCE
    while waiting:
        assert time.monotonic() < end, f"{len(waiting)} clients still drip"
        answered = select.select([client.socket for client in waiting], [], [], 0)[0]
        for client in [one for one in waiting if one.socket in answered]:
            assert client.response().status == 408
            waiting.remove(client)
            client.close()
        for client in waiting:
            with contextlib.suppress(OSError):
                client.send("X")
        time.sleep(0.005)


def test_idle_connection_is_closed(stage):
    usher = limited(stage, "timeouts: {idle: 300ms}")
    with usher.connect() as client:
        assert client.ask().status == 200
        client.expect_closed()


def test_body_that_does_not_come(stage):
    usher = limited(stage, "timeouts: {body: 300ms}")
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Content-Length: 100") + b"only these")
        assert client.response().status == 408
        client.expect_closed()


def test_body_that_comes_slowly_goes_on(stage):
    usher = limited(stage, "timeouts: {body: 1s}")
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Content-Length: 20"))
        for _ in range(20):
            client.send("x")
            time.sleep(0.1)
        assert echoed(client.response())["body"] == "x" * 20


def test_client_that_does_not_read(stage):
    """Without progress of a response the client is given up, and the origin freed."""
    def script(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 500000000"))
        piece = bytes(1 << 20)
        for _ in range(500):
            connection.send(piece)

    origin = stage.origin(script)
    usher = limited(stage, "timeouts: {send: 500ms}", origin)
    with usher.connect(receive_buffer=65536) as client:
        client.request()
        assert client.response_head().status == 200
        assert origin.connections[0].ended.wait(30), "the origin still sends to nobody"


# --- Connections


def test_connections_in_all(stage):
    usher = limited(stage, "limits: {connections: 10}")
    clients = [take(usher) for _ in range(10)]
    assert not serves(usher)
    usher.wait_for_error(r"limits\.connections")
    clients.pop().close()
    eventually(lambda: serves(usher), "a connection to be taken again")
    for client in clients:
        assert client.ask().status == 200
        client.close()


def serves(usher):
    """Whether a new connection is served; a refused one gets 503 or, if it was quick, a reset."""
    with usher.connect() as client:
        return is_served(client)


def is_served(client):
    try:
        return client.ask().status == 200
    except (wire.Ended, OSError):
        return False


def take(usher):
    """A connection that is served. One that was closed a moment ago may still count."""
    def attempt():
        client = usher.connect()
        if is_served(client):
            return client
        client.close()
        return None
    return eventually(attempt, "a connection to be taken")


def test_connections_of_one_client(stage):
    usher = limited(stage, "limits: {connections_per_client: 5}")
    clients = [take(usher) for _ in range(5)]
    assert not serves(usher)
    with usher.connect(source="127.0.0.2") as other:
        assert other.ask().status == 200, "another client has nothing to do with it"
    usher.wait_for_error(r"limits\.connections_per_client")
    for client in clients:
        client.close()
    eventually(lambda: serves(usher), "the client to be served again")


def test_many_slow_clients_delay_nobody(stage):
    """Clients that send a byte now and then: they cost little, and a fast one does not notice."""
    usher = limited(stage, "timeouts: {header: 60s}")
    usher.get()
    before = usher.resident_bytes()
    slow = [usher.connect() for _ in range(1500)]
    for client in slow:
        client.send("GET / HT")
    worst = 0.0
    for number in range(200):
        slow[number].send("T")
        started = time.monotonic()
        assert usher.get(f"/{number}").status == 200
        worst = max(worst, time.monotonic() - started)
    assert worst < 5
    assert (usher.resident_bytes() - before) / len(slow) < 64 * 1024
    for client in slow:
        client.close()


def test_running_out_of_descriptors(stage):
    """It stops accepting for a moment instead of spinning, says so, and goes on when some are free."""
    usher = limited(stage, "", descriptors=60)
    clients = [usher.connect() for _ in range(80)]
    usher.wait_for_error(r"(?i)descriptor|too many open files|EMFILE")
    user_before = cpu_seconds(usher)
    time.sleep(1)
    assert cpu_seconds(usher) - user_before < 0.5, "it spins"
    for client in clients:
        client.close()
    eventually(lambda: serves(usher), "it to serve again")


def cpu_seconds(usher):
    total = 0
    for pid in [usher.pid, *usher.workers()]:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / 100


def test_idle_costs_no_time(stage):
    """Nobody speaks: no wake-ups to speak of."""
    usher = stage.usher(ORIGIN=stage.origin())
    clients = [usher.connect() for _ in range(50)]
    for client in clients:
        client.ask()
    time.sleep(0.3)
    before = cpu_seconds(usher)
    time.sleep(1)
    assert cpu_seconds(usher) - before < 0.1
    for client in clients:
        client.close()


@pytest.mark.parametrize("when", ["connect", "head", "body"])
def test_clients_that_vanish_leave_nothing_behind(stage, when):
    origin = stage.origin(steps("read-head", "wait"))
    usher = limited(stage, "", origin)
    for _ in range(50):
        client = usher.connect()
        if when == "head":
            client.send("GET / HTTP/1.1\r\nHost: a.")
        elif when == "body":
            client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Content-Length: 100") + b"some")
        client.reset()
    eventually(lambda: sum(not connection.ended.is_set() for connection in origin.connections) == 0, "the origin to be freed")
    eventually(lambda: open_sockets(usher) < 30, "connections to be closed")


def open_sockets(usher):
    return max(len(os.listdir(f"/proc/{pid}/fd")) for pid in [usher.pid, *usher.workers()])
