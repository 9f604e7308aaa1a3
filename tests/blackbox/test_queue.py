"""Waiting for a server when all have as many requests as they may have."""

import collections
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.origin import named

POOL = """
listen: "127.0.0.1:$PORT"
workers: $WORKERS
access_log: {path: access.log, format: json}
proxy: app
pools:
  app:
    $SETTINGS
    servers: $SERVERS
"""


class Gate:
    """An origin's script: answers when it is told to, and counts how many requests it has at once."""

    def __init__(self):
        self.lock = threading.Condition()
        self.allowed = self.now = self.most = 0
        self.targets = []

    def __call__(self, connection):
        while (request := connection.read_request()) is not None:
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
                self.targets.append(request.target)
                self.lock.notify_all()
                assert self.lock.wait_for(lambda: self.allowed > 0, 60)
                self.allowed -= 1
                self.now -= 1
            connection.answer(request.target)

    def open(self, number=1):
        with self.lock:
            self.allowed += number
            self.lock.notify_all()

    def wait_for(self, requests):
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.targets) >= requests, 60), self.targets


def pool(stage, servers, settings="queue: {timeout: 60s}", workers=1):
    return stage.usher(POOL, SETTINGS=settings, SERVERS=f"[{', '.join(servers)}]", WORKERS=str(workers))


def limited(origin, most=1):
    return f"{{address: {origin.address}, max_requests: {most}}}"


def ask(usher, target):
    client = usher.connect()
    client.send(f"GET {target} HTTP/1.1\r\nHost: test.example\r\n\r\n")
    return client


def fault(usher):
    record = usher.log_records()[0]
    assert record["status"] == 503
    return record["fault"], record["fault_setting"]


def test_first_come_first_served(stage):
    gate = Gate()
    usher = pool(stage, [limited(stage.origin(gate))])
    clients = []
    for number in range(6):
        clients.append(ask(usher, f"/{number}"))
        if number == 0:
            gate.wait_for(1)
        time.sleep(0.05)  # they come one after another
    for number, client in enumerate(clients):
        gate.wait_for(number + 1)
        gate.open()
        assert client.response().body.decode() == f"/{number}"
    assert gate.most == 1
    assert gate.targets == [f"/{number}" for number in range(6)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("settings,servers", [("max_requests: 3", 2), ("balance: least_requests", 0)])
def test_no_server_has_more_than_it_may(stage, workers, settings, servers):
    """Two hundred requests, three at a time: by the pool's bound, or the servers'."""
    lock, now, most = threading.Lock(), collections.Counter(), collections.Counter()

    def script_of(name):
        def script(connection):
            while connection.read_request() is not None:
                with lock:
                    for key in (name, "all"):
                        now[key] += 1
                        most[key] = max(most[key], now[key])
                time.sleep(0.005)
                with lock:
                    for key in (name, "all"):
                        now[key] -= 1
                connection.answer(name)
        return script
    origins = [stage.origin(script_of(name)) for name in "ab"]
    listed = [origin.address for origin in origins] if servers else [limited(origins[0], 1), limited(origins[1], 2)]
    usher = pool(stage, listed, settings + "\n    queue: {timeout: 60s}", workers)
    with ThreadPoolExecutor(40) as crowd:
        answers = list(crowd.map(lambda _: usher.get(), range(200)))
    assert {answer.status for answer in answers} == {200}
    assert most["all"] <= 3
    if not servers:
        assert most["a"] == 1 and most["b"] <= 2


def test_the_queue_is_bounded(stage):
    gate = Gate()
    usher = pool(stage, [limited(stage.origin(gate))], "queue: {requests: 2, timeout: 60s}")
    clients = [ask(usher, "/0")]
    gate.wait_for(1)
    clients += [ask(usher, f"/{number}") for number in (1, 2)]
    time.sleep(0.2)
    refused = usher.get("/3")
    assert refused.status == 503 and int(refused.get("Retry-After")) >= 1
    assert fault(usher) == ("overloaded", "queue.requests")
    gate.open(3)
    assert [client.response().status for client in clients] == [200, 200, 200]
    assert "/3" not in gate.targets


def test_the_wait_is_bounded(stage):
    gate = Gate()
    usher = pool(stage, [limited(stage.origin(gate))], "queue: {timeout: 300ms}")
    first = ask(usher, "/0")
    gate.wait_for(1)
    started = time.monotonic()
    refused = usher.get("/1")
    assert time.monotonic() - started >= 0.3
    assert refused.status == 503 and int(refused.get("Retry-After")) >= 1
    assert fault(usher) == ("overloaded", "queue.timeout")
    gate.open()
    assert first.response().status == 200


def test_no_queue(stage):
    gate = Gate()
    usher = pool(stage, [limited(stage.origin(gate))], "queue: {requests: 0}")
    first = ask(usher, "/0")
    gate.wait_for(1)
    assert usher.get("/1").status == 503
    gate.open()
    assert first.response().status == 200


def test_who_leaves_makes_room(stage):
    gate = Gate()
    usher = pool(stage, [limited(stage.origin(gate))], "queue: {requests: 1, timeout: 60s}")
    first = ask(usher, "/0")
    gate.wait_for(1)
    second = ask(usher, "/1")
    time.sleep(0.2)
    assert usher.get("/full").status == 503
    second.reset()
    time.sleep(0.2)
    third = ask(usher, "/2")
    time.sleep(0.2)
    gate.open(2)
    assert first.response().status == 200
    assert third.response().status == 200
    assert gate.targets == ["/0", "/2"]


def test_a_request_that_waits_is_tried_elsewhere(stage):
    """The server that it waited for dies: the wait was not the last try."""
    gate, good = Gate(), Gate()
    dies = stage.origin(gate)
    usher = pool(stage, [limited(dies), limited(stage.origin(good))])
    clients = [ask(usher, "/0"), ask(usher, "/1")]
    gate.wait_for(1)
    good.wait_for(1)
    waits = ask(usher, "/2")
    time.sleep(0.2)
    dies.stop_listening()
    good.open(2)
    gate.open(2)
    assert {client.response().status for client in clients} == {200}
    good.open(1)
    assert waits.response().status == 200


def test_a_reload_that_raises_the_bound_wakes_who_waits(stage):
    gate = Gate()
    origin = stage.origin(gate)
    usher = pool(stage, [limited(origin)])
    first = ask(usher, "/0")
    gate.wait_for(1)
    second = ask(usher, "/1")
    time.sleep(0.2)
    usher.reload(usher.path.read_text().replace("max_requests: 1", "max_requests: 2"))
    gate.wait_for(2)
    gate.open(2)
    assert first.response().status == 200 and second.response().status == 200


def test_many_of_several_threads_leave_while_they_wait(stage):
    """Places are given on exactly once, also to those who leave at that moment."""
    usher = pool(stage, [limited(stage.origin(named("a")), 2)], "queue: {requests: 1000, timeout: 60s}", workers=2)

    def visit(number):
        client = ask(usher, f"/{number}")
        if number % 3 == 0:
            time.sleep(0.001 * (number % 7))
            client.reset()
            return None
        answer = client.response()
        client.close()
        return answer.status
    with ThreadPoolExecutor(32) as crowd:
        answers = collections.Counter(crowd.map(visit, range(600)))
    assert answers == {None: 200, 200: 400}
    assert usher.get().status == 200


def test_a_reload_that_lowers_the_bound(stage):
    """What is under way goes on; the line moves only when fewer than the new bound are left."""
    gate = Gate()
    usher = pool(stage, [stage.origin(gate).address], "max_requests: 3\n    queue: {timeout: 60s}")
    clients = [ask(usher, f"/{number}") for number in range(3)]
    gate.wait_for(3)
    clients += [ask(usher, f"/{number}") for number in (3, 4)]
    time.sleep(0.2)
    usher.reload(usher.path.read_text().replace("max_requests: 3", "max_requests: 1"))
    gate.most = 0
    gate.open(2)
    time.sleep(0.3)
    assert len(gate.targets) == 3
    for _ in range(3):
        gate.open()
        time.sleep(0.05)
    assert [client.response().status for client in clients] == [200] * 5
    assert gate.now == 0 and len(gate.targets) == 5
