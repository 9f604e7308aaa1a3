"""When a request fails at one server: whether another is tried, and what the visitor sees."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from support import wire
from support.origin import echo, named, steps
from support.usher import eventually

POOL = """
listen: "127.0.0.1:$PORT"
workers: 1
timeouts: {$TIMEOUTS}
proxy: {to: app, $PROXY}
pools:
  app:
    rest: {after: 0}
    $SETTINGS
    servers: $SERVERS
"""


def pool(stage, origins, settings="", timeouts="", proxy=""):
    servers = [getattr(origin, "address", origin) for origin in origins]

    return stage.usher(POOL, SETTINGS=settings, SERVERS=f"[{', '.join(servers)}]", TIMEOUTS=timeouts, PROXY=proxy)


def busy(connection):
    """Answers 503 to everything."""
    while connection.read_request() is not None:
        connection.answer(b"busy", status="503 Service Unavailable")


def resets(connection):
    connection.read_request()
    connection.reset()


def silent(connection):
    connection.read_request()
    connection.wait_for_end()


# --- After what


def test_statuses_are_tried_elsewhere(stage):
    usher = pool(stage, [stage.origin(busy), stage.origin(named("b"))], "retry: {statuses: [500, \"502-504\"]}")
    for _ in range(4):
        answer = usher.get()
        assert (answer.status, answer.body) == (200, b"b")


def test_statuses_are_passed_on_by_default(stage):
    usher = pool(stage, [stage.origin(busy)])
    assert usher.get().body == b"busy"


def test_the_last_servers_answer_is_passed_on(stage):
    usher = pool(stage, [stage.origin(busy), stage.origin(busy)], "retry: {statuses: 503}")
    answer = usher.get()
    assert (answer.status, answer.body) == (503, b"busy")


def test_statuses_of_requests_that_may_not_be_repeated(stage):
    origins = [stage.origin(busy), stage.origin(busy)]
    usher = pool(stage, origins, "retry: {statuses: 503}")
    assert usher.ask("POST", "/", body=b"once").status == 503
    assert sum(len(origin.requests) for origin in origins) == 1


def test_methods_that_the_operator_names(stage):
    origins = [stage.origin(busy), stage.origin(named("b"))]
    usher = pool(stage, origins, "retry: {statuses: 503, methods: [POST]}")
    for _ in range(2):
        assert usher.ask("POST", "/", body=b"twice").body == b"b"
    assert {request.body for origin in origins for request in origin.requests} == {b"twice"}
    # And only those.
    assert {usher.get().status for _ in range(2)} == {200, 503}


def test_resets_are_tried_elsewhere(stage):
    usher = pool(stage, [stage.origin(resets), stage.origin(named("b"))])
    assert [usher.get().body for _ in range(4)] == [b"b"] * 4


def test_resets_where_that_is_not_wished(stage):
    usher = pool(stage, [stage.origin(resets)] * 1 + [stage.origin(resets)], "retry: {on: [connect]}")
    assert usher.get().status == 502


def test_a_route_may_say_otherwise_than_the_pool(stage):
    usher = pool(stage, [stage.origin(busy), stage.origin(named("b"))], "retry: {statuses: 503}", proxy="retry: {on: connect}")
    assert {usher.get().status for _ in range(2)} == {200, 503}


# --- Time


def test_a_server_that_says_nothing(stage):
    """Within timeouts.try the next one is asked."""
    usher = pool(stage, [stage.origin(silent), stage.origin(named("b"))], timeouts="try: 300ms")
    started = time.monotonic()
    assert [usher.get().body for _ in range(2)] == [b"b"] * 2
    assert time.monotonic() - started < 20


def test_a_stopped_server(stage):
    """The kernel goes on taking connections and bytes for a process that does not run."""
    code = "import http.server; s = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler); print(s.server_port, flush=True); s.serve_forever()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            port = int(process.stdout.readline())
            usher = pool(stage, [f"127.0.0.1:{port}", stage.origin(named("b"))], timeouts="try: 300ms")
            assert {usher.get().body for _ in range(4)} >= {b"b"}
            os.kill(process.pid, signal.SIGSTOP)
            assert [usher.get().body for _ in range(6)] == [b"b"] * 6
        finally:
            process.kill()


def test_nothing_is_tried_again_after_the_total_time(stage):
    origins = [stage.origin(silent), stage.origin(silent)]
    usher = pool(stage, origins, timeouts="total: 400ms")
    answer = usher.get()
    assert answer.status == 504
    assert sum(len(origin.requests) for origin in origins) == 1
    usher.wait_for_error("response_timeout.*timeouts.total")


def test_a_body_that_goes_on_after_the_total_time_is_cut(stage):
    def drips(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 1000"))
        for _ in range(1000):
            time.sleep(0.05)
            connection.send(b"x")
    usher = pool(stage, [stage.origin(drips)], timeouts="total: 500ms")
    with usher.connect() as client:
        client.request("GET", "/")
        head = client.response_head()
        assert head.status == 200
        with pytest.raises(wire.Ended):
            client.reader.exactly(1000)
    usher.wait_for_error("response_body_timeout")


def test_servers_are_told_how_much_time_is_left(stage):
    origin = stage.origin()
    usher = pool(stage, [origin], timeouts="total: 30s", proxy="deadline: X-Request-Timeout")
    usher.get("/", "X-Request-Timeout: 99999999")
    values = [value for name, value in origin.last().headers if name.lower() == "x-request-timeout"]
    assert len(values) == 1 and 20000 < int(values[0]) <= 30000


# --- Bodies


@pytest.mark.parametrize("chunked", [False, True])
def test_a_small_body_is_sent_again(stage, chunked):
    origins = [stage.origin(resets), stage.origin(echo)]
    usher = pool(stage, origins)
    body = os.urandom(40000)
    for _ in range(2):
        with usher.connect() as client:
            framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
            client.send(f"PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")
            client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
            assert client.response().status == 200
    assert all(request.body == body for request in origins[1].requests) and len(origins[1].requests) == 2


def test_a_large_body_is_not_sent_again(stage):
    origins = [stage.origin(resets), stage.origin(resets)]
    usher = pool(stage, origins, "retry: {body: 1KiB}")
    assert usher.ask("PUT", "/", body=os.urandom(5000)).status == 502
    assert sum(len(origin.requests) for origin in origins) == 1


def test_a_large_body_goes_elsewhere_while_nobody_has_seen_it(stage):
    dead = stage.dead_port()
    origin = stage.origin(echo)
    usher = pool(stage, [dead, origin])
    body = os.urandom(3 << 20)
    for _ in range(2):
        assert usher.ask("POST", "/", body=body).status == 200
    assert [hashlib.sha256(request.body).digest() for request in origin.requests] == [hashlib.sha256(body).digest()] * 2


def test_a_body_that_waits_for_its_continue(stage):
    origins = [stage.origin(resets), stage.origin(echo)]
    usher = pool(stage, origins)
    for _ in range(2):
        with usher.connect() as client:
            client.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            client.send(b"hello")
            answer = client.response()
            while answer.status == 100:
                answer = client.response()
            assert answer.status == 200
    assert all(request.body == b"hello" for request in origins[1].requests)


# --- Error answers of servers


def failing(status):
    def script(connection):
        while connection.read_request() is not None:
            connection.answer(b"Traceback: secret", "X-Internal: host7", "Retry-After: 17", status=status)
    return script


@pytest.mark.parametrize("status,replaced", [("500 No", True), ("502 No", True), ("503 No", True), ("505 No", False),
                                             ("404 No", False)])
def test_error_answers_are_replaced_by_status(stage, status, replaced):
    config = POOL.replace("proxy: {to", "error_pages: {replace: [500, \"502-504\"]}\nproxy: {to")
    origin = stage.origin(failing(status))
    usher = stage.usher(config, SETTINGS="", SERVERS=f"[{origin.address}]", TIMEOUTS="", PROXY="")
    for fields in ((), ("Accept: application/json",)):
        answer = usher.get("/", *fields)
        assert answer.status == int(status.split()[0])
        assert (b"secret" in answer.body, answer.get("X-Internal") == "host7") == (not replaced, not replaced)
        assert answer.get("Retry-After") == "17"
        if replaced:
            assert b"server_error" in answer.body
    head = usher.ask("HEAD", "/")
    assert head.status == int(status.split()[0]) and head.body == b""


# --- The budget


def test_retries_have_a_budget(stage):
    """A pool that fails as a whole does not get its requests twice over."""
    origins = [stage.origin(busy), stage.origin(busy)]
    usher = pool(stage, origins, "retry: {statuses: 503}\n    retry_budget: 10%")
    requests = 400
    with usher.connect() as client:
        for _ in range(requests):
            assert client.ask("GET", "/").status == 503
    tried = sum(len(origin.requests) for origin in origins) - requests
    assert 100 <= tried <= 100 + requests * 10 // 100 + 1


def test_a_budget_of_any_number(stage):
    origins = [stage.origin(busy), stage.origin(busy)]
    usher = pool(stage, origins, "retry: {statuses: 503}\n    retry_budget: off")
    with usher.connect() as client:
        for _ in range(300):
            assert client.ask("GET", "/").status == 503
    assert sum(len(origin.requests) for origin in origins) == 600


# --- Under load


def test_nobody_notices_a_server_that_is_killed_again_and_again(stage):
    """One of three servers resets all its connections and refuses new ones, and comes back, while requests run."""
    dead = stage.dead_port()
    usher = pool(stage, [stage.origin(named("a")), stage.origin(named("b")), dead])
    failed, done = [], []
    ending = time.monotonic() + 6

    def visitor():
        with usher.connect() as client:
            while time.monotonic() < ending:
                answer = client.ask("GET", "/")
                (done if answer.status == 200 else failed).append(answer.status)
    threads = [threading.Thread(target=visitor) for _ in range(4)]
    for thread in threads:
        thread.start()
    origin = dead.revive(named("c"))
    eventually(lambda: any(origin.requests), "requests at the server that came back")
    for connection in list(origin.connections):
        connection.reset()
    for thread in threads:
        thread.join()
    assert not failed and len(done) > 100
