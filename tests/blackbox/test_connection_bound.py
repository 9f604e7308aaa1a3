"""How many connections to servers there may be at once: max_connections of a server, and of a pool."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.usher import eventually

POOL = """
listen: "127.0.0.1:$PORT"
workers: $WORKERS
access_log: {path: access.log, format: json}
timeouts: {connect: $PATIENCE}
proxy: app
pools:
  app:
    $SETTINGS
    servers: $SERVERS
"""


def is_open(accepted):
    """Whether the other side has not closed it: the kernel knows long before the thread that serves it does."""
    return accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1


class Counter:
    """An origin's script: how many connections there are, and were at most."""

    def __init__(self, pause=0.005):
        self.lock = threading.Lock()
        self.sockets = set()
        self.most = self.made = 0
        self.pause = pause

    @property
    def now(self):
        with self.lock:
            return sum(map(is_open, self.sockets))

    def __call__(self, connection):
        with self.lock:
            self.sockets.add(connection.socket)
            self.made += 1
            self.most = max(self.most, sum(map(is_open, self.sockets)))
        try:
            while connection.read_request() is not None:
                time.sleep(self.pause)
                connection.answer(b"")
        finally:
            with self.lock:
                self.sockets.remove(connection.socket)


def pool(stage, servers, settings="balance: round_robin", workers=2, patience="60s"):
    return stage.usher(POOL, SERVERS=f"[{', '.join(servers)}]", SETTINGS=settings, WORKERS=str(workers), PATIENCE=patience)


def crowd(usher, requests=200, clients=24):
    with ThreadPoolExecutor(clients) as visitors:
        return {answer.status for answer in visitors.map(lambda _: usher.get(), range(requests))}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("most", [1, 3])
def test_a_servers_bound_holds(stage, workers, most):
    """Over all threads, also where one of them has the idle connections that the other one needs."""
    counter = Counter()
    usher = pool(stage, [f"{{address: {stage.origin(counter).address}, max_connections: {most}}}"], workers=workers)
    assert crowd(usher) == {200}
    assert counter.most <= most
    eventually(lambda: counter.now <= most, "connections to be closed")


def test_who_waits_takes_over_what_others_are_done_with(stage):
    """A connection is not closed for who would then make the same one."""
    counter = Counter()
    usher = pool(stage, [f"{{address: {stage.origin(counter).address}, max_connections: 2}}"], workers=1)
    assert crowd(usher) == {200}
    assert counter.made <= 2 and counter.most <= 2


def test_what_is_taken_over_may_be_closed_by_then(stage):
    """The server ends each connection with its answer, and does not say so before."""
    def script(connection):
        if connection.read_request() is not None:
            connection.answer(b"")
    usher = pool(stage, [f"{{address: {stage.origin(script).address}, max_connections: 2}}"], workers=1)
    assert crowd(usher) == {200}


def test_a_pools_bound_holds(stage):
    counters = [Counter(), Counter()]
    usher = pool(stage, [stage.origin(counter).address for counter in counters], "max_connections: 2")
    assert crowd(usher) == {200}
    assert all(counter.most <= 2 for counter in counters)
    eventually(lambda: sum(counter.now for counter in counters) <= 2, "connections to be closed")


def test_the_wait_ends_by_timeouts_connect(stage):
    counter = Counter(pause=2)
    usher = pool(stage, [f"{{address: {stage.origin(counter).address}, max_connections: 1}}"], patience="200ms")
    with ThreadPoolExecutor(2) as visitors:
        first = visitors.submit(usher.get)
        eventually(lambda: counter.now == 1, "the first request")
        second = usher.get()
        assert second.status == 503
        assert first.result().status == 200
    record = next(record for record in usher.log_records(count=2) if record["status"] == 503)
    assert record["fault"] == "connection_limit" and record["fault_setting"] == "pools.NAME.max_connections"


def test_another_server_is_tried(stage):
    slow, quick = Counter(pause=2), Counter()
    usher = pool(stage, [f"{{address: {stage.origin(slow).address}, max_connections: 1}}", stage.origin(quick).address],
                 patience="200ms")
    with ThreadPoolExecutor(2) as visitors:
        first = visitors.submit(usher.get)
        eventually(lambda: slow.now + quick.now >= 1, "the first request")
        assert {usher.get().status for _ in range(6)} == {200}
        assert first.result().status == 200
