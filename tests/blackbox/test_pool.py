"""Pools: who gets the next request, and what happens when servers fail."""

import collections
import json
import os
import socket
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import wire
from support.origin import Origin, answering, named, once, steps
from support.refusal import echoed
from support.usher import eventually

POOL = """
listen: "127.0.0.1:$PORT"
workers: 1
access_log: off
proxy: app
pools:
  app:
    $SETTINGS
    servers: $SERVERS
"""


def pool(stage, servers, settings="balance: round_robin", config=POOL):
    return stage.usher(config, SETTINGS=settings, SERVERS=f"[{', '.join(servers)}]")


def three(stage):
    return [stage.origin(named(name)) for name in "abc"]


def count_answers(usher, number):
    return collections.Counter(usher.get().body.decode() for _ in range(number))


# --- Balancing


def test_round_robin_is_even(stage):
    usher = pool(stage, [origin.address for origin in three(stage)])
    assert count_answers(usher, 30) == {"a": 10, "b": 10, "c": 10}


def test_round_robin_by_weight(stage):
    origins = three(stage)
    usher = pool(stage, [f"{{address: {origin.address}, weight: {weight}}}" for origin, weight in zip(origins, (1, 2, 3))])
    assert count_answers(usher, 60) == {"a": 10, "b": 20, "c": 30}


def test_round_robin_is_smooth(stage):
    """A heavy server does not get all of its requests in one go."""
    origins = three(stage)[:2]
    usher = pool(stage, [f"{{address: {origins[0].address}, weight: 3}}", f"{{address: {origins[1].address}, weight: 1}}"])
    answers = "".join(usher.get().body.decode() for _ in range(40))
    assert answers.count("b") == 10
    assert "aaaaaaa" not in answers


def test_weight_zero_gets_nothing(stage):
    origins = three(stage)[:2]
    usher = pool(stage, [f"{{address: {origins[0].address}, weight: 0}}", origins[1].address])
    assert count_answers(usher, 10) == {"b": 10}


def test_several_targets_without_a_pool(stage):
    origins = three(stage)
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
workers: 1
access_log: off
proxy: [$A, $B, $C]
""", A=origins[0], B=origins[1], C=origins[2])
    assert count_answers(usher, 30) == {"a": 10, "b": 10, "c": 10}


def test_least_requests_avoids_the_busy(stage):
    go = threading.Event()

    def busy(connection):
        while connection.read_request() is not None:
            assert go.wait(30)
            connection.answer("busy")

    slow, fast = stage.origin(busy), stage.origin(named("fast"))
    usher = pool(stage, [slow.address, fast.address], "balance: least_requests")
    with usher.connect() as first:
        # Until one hangs on the slow server; from then on the fast one is the better choice.
        first.request()
        if first.quiet(0.3):
            stuck = first
        else:
            first.response()
            first.request()
            stuck = first
        slow.next_request()
        assert count_answers(usher, 20) == {"fast": 20}
        go.set()
        assert stuck.response().body == b"busy"


def test_backup_serves_only_when_no_other_can(stage):
    first, backup = stage.dead_port(), stage.origin(named("backup"))
    usher = pool(stage, [first.address, f"{{address: {backup.address}, backup: true}}"])
    assert count_answers(usher, 5) == {"backup": 5}
    healthy = pool(stage, [stage.origin(named("first")).address, f"{{address: {backup.address}, backup: true}}"])
    assert count_answers(healthy, 10) == {"first": 10}


def test_unix_socket(stage):
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/app.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        # The worker of a usher that root started is nobody.
        os.chmod(directory, 0o755)
        os.chmod(path, 0o777)
        origin = stage.add(Origin(named("unix"), listener=listener))
        usher = stage.usher(ORIGIN=f'"{origin.address}"')
        assert usher.get().body == b"unix"


# --- Trying the next


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_dead_server_is_passed_over(stage, method):
    """A connection that was refused has carried nothing: even a POST goes to the next."""
    dead, alive = stage.dead_port(), stage.origin()
    usher = pool(stage, [dead.address, alive.address])
    for number in range(20):
        assert echoed(usher.ask(method, f"/{number}", body=b"x" if method == "POST" else b""))["target"] == f"/{number}"
    assert len(alive.requests) == 20


def test_server_that_resets_is_passed_over(stage):
    broken, alive = stage.origin(steps("read", "reset")), stage.origin()
    usher = pool(stage, [broken.address, alive.address])
    for _ in range(10):
        assert usher.get().status == 200


def test_post_is_not_sent_twice(stage):
    """RFC 9110 section 9.2.2: it may have had its effect."""
    broken, alive = stage.origin(steps("read", "close")), stage.origin()
    usher = pool(stage, [broken.address, alive.address], settings="rest: {after: 0}")
    statuses = collections.Counter(usher.ask("POST", f"/{number}", body=b"x").status for number in range(10))
    assert set(statuses) == {200, 502}
    targets = broken.targets() + alive.targets()
    assert len(targets) == len(set(targets)) == 10


def test_stale_idle_connection_is_replaced(proxy):
    """The origin closes each idle connection at some moment; no client notices."""
    def script(connection):
        while (request := connection.read_request()) is not None:
            connection.answer(request.target)
            if request.target.endswith("7"):
                return

    usher, _ = proxy(script)
    with usher.connect() as client:
        for number in range(100):
            assert client.ask("GET", f"/{number}").body == f"/{number}".encode()


def test_connection_that_dies_under_the_next_request(proxy):
    """The origin reads the second request on a connection, and closes without a word."""
    def script(connection):
        connection.answer(connection.read_request().target)
        connection.read_request()

    usher, _ = proxy(script)
    with usher.connect() as client:
        for number in range(10):
            assert client.ask("GET", f"/{number}").body == f"/{number}".encode()


def test_post_on_a_connection_that_dies_is_not_repeated(proxy):
    def script(connection):
        connection.answer(connection.read_request().target)
        connection.read_request()

    usher, origin = proxy(script)
    with usher.connect() as client:
        assert client.ask("GET", "/first").body == b"/first"
        client.ask("POST", "/once", body=b"x")
    origin.settle()
    assert origin.targets().count("/once") == 1


def test_partial_answer_is_not_tried_again(stage):
    broken, alive = stage.origin(once(b"HTTP/1.1 200 OK\r\nContent-Le")), stage.origin()
    usher = pool(stage, [broken.address, alive.address], settings="rest: {after: 0}")
    statuses = {usher.get(f"/{number}").status for number in range(6)}
    assert 200 in statuses
    assert statuses <= {200, 502}


def test_failing_server_rests_and_comes_back(stage):
    dead, alive = stage.dead_port(), stage.origin(named("alive"))
    usher = pool(stage, [dead.address, alive.address], settings="rest: {after: 2, for: 300ms}")
    assert count_answers(usher, 20) == {"alive": 20}
    dead.revive(named("revived"))
    eventually(lambda: usher.get().body == b"revived", "the server to be used again")
    assert set(count_answers(usher, 20)) == {"alive", "revived"}


def test_name_that_does_not_resolve_harms_nobody(stage):
    """It is a state of that server, with a warning: no reason not to start, or to fail."""
    alive = stage.origin(named("alive"))
    usher = pool(stage, ["nothing.invalid:80", alive.address])
    assert count_answers(usher, 10) == {"alive": 10}
    usher.wait_for_error(r"nothing\.invalid")


def test_name_that_resolves(stage):
    origin = stage.origin(named("by name"))
    usher = pool(stage, [f"localhost:{origin.port}"])
    eventually(lambda: usher.get().body == b"by name", "the name to be resolved")


# --- When nothing is left


def error_of(usher, **more):
    response = usher.get("/", "Accept: application/json", **more)
    return response.status, json.loads(response.body), response


def test_nothing_but_dead_servers(stage):
    usher = pool(stage, [stage.dead_port().address, stage.dead_port().address])
    for _ in range(10):
        assert usher.get().status in (502, 503)
    response = usher.get()
    if response.status == 503:
        assert int(response.get("retry-after")) >= 1


def test_connect_timeout(stage):
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
timeouts: {connect: 300ms}
proxy: $ORIGIN
""", ORIGIN=stage.silent_port())
    status, body, _ = error_of(usher)
    assert status == 504
    assert "connect_timeout" in json.dumps(body)


def test_response_timeout(stage):
    origin = stage.origin(steps("read", "wait"))
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
timeouts: {response: 300ms}
proxy: $ORIGIN
""", ORIGIN=origin)
    status, body, _ = error_of(usher)
    assert status == 504
    assert "response_timeout" in json.dumps(body)
    assert origin.connections[0].ended.wait(30), "the origin is told that nobody waits any more"


def test_stalled_body_timeout(stage):
    """A deadline of progress: what comes slowly but steadily goes on, what stalls is cut."""
    def script(connection):
        while (request := connection.read_request()) is not None:
            connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 20"))
            for _ in range(20 if request.target == "/slow" else 5):
                connection.send(b"x")
                time.sleep(0.1)

    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
timeouts: {read: 1s}
proxy: $ORIGIN
""", ORIGIN=stage.origin(script))
    assert usher.get("/slow").body == b"x" * 20, "two seconds in all, but never one without progress"
    with usher.connect() as client:
        client.request("GET", "/stall")
        with pytest.raises((wire.Ended, ConnectionResetError)):
            client.response()


ACCEPTS = {
    # Accept: the type of the error page
    None: "text/plain",
    "*/*": "text/plain",
    "text/html": "text/html",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8": "text/html",
    "application/json": "application/json",
    "application/json, text/html;q=0.5": "application/json",
    "text/html;q=0.3, application/json;q=0.4": "application/json",
    "text/plain": "text/plain",
    "image/png": "text/plain",
}


@pytest.fixture(scope="module")
def failing(shared):
    return shared.usher(ORIGIN=shared.dead_port())


@pytest.mark.parametrize("accept", ACCEPTS)
def test_error_page_by_accept(failing, accept):
    response = failing.get("/%3Cscript%3E", *([("Accept", accept)] if accept else []))
    assert response.status in (502, 503)
    assert response.get("content-type").split(";")[0] == ACCEPTS[accept]
    text = response.body.decode()
    assert response.get("x-request-id") in text
    assert "<script" not in text
    assert "127.0.0.1" not in text, "the visitor learns nothing of what is inside"
    if ACCEPTS[accept] == "application/json":
        assert json.loads(text)
    elif ACCEPTS[accept] == "text/html":
        assert text.lstrip().lower().startswith("<!doctype html>")


# --- Many at once


def test_many_at_once(stage):
    origins = [stage.origin() for _ in range(3)]
    usher = stage.usher(POOL.replace("workers: 1", "workers: 2"), SETTINGS="balance: least_requests",
                        SERVERS=f"[{', '.join(origin.address for origin in origins)}]")

    def run(worker):
        with usher.connect() as client:
            for number in range(50):
                assert echoed(client.ask("GET", f"/{worker}/{number}"))["target"] == f"/{worker}/{number}"

    with ThreadPoolExecutor(16) as executor:
        list(executor.map(run, range(16)))
    assert sum(len(origin.requests) for origin in origins) == 16 * 50


def test_idle_connections_are_bounded(stage):
    gate = threading.Barrier(20, timeout=30)

    def script(connection):
        while (request := connection.read_request()) is not None:
            if request.target == "/together":
                gate.wait()
            connection.answer("ok")

    origin = stage.origin(script)
    usher = pool(stage, [origin.address], settings="idle: {connections: 3}")
    with ThreadPoolExecutor(20) as executor:
        list(executor.map(lambda _: usher.get("/together"), range(20)))
    eventually(lambda: sum(not connection.ended.is_set() for connection in origin.connections) <= 3,
               "the surplus connections to be closed")


def test_idle_connections_are_closed_in_time(stage):
    origin = stage.origin()
    usher = pool(stage, [origin.address], settings="idle: {timeout: 300ms}")
    usher.get()
    assert origin.connections[0].ended.wait(30)


def test_answers_without_a_length_are_not_kept(stage):
    origin = stage.origin(once(b"HTTP/1.1 200 OK\r\n\r\nbody"))
    usher = pool(stage, [origin.address])
    for _ in range(3):
        assert usher.get().body == b"body"


def test_pool_that_answers_nonsense_everywhere(stage):
    usher = pool(stage, [stage.origin(answering(b"nonsense\r\n\r\n")).address for _ in range(2)])
    for _ in range(5):
        assert usher.get().status in (502, 503)
