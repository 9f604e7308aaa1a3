"""Choosing a server: each algorithm through the running program, by real servers."""

import collections
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import wire
from support.origin import named, steps

POOL = """
listen: "127.0.0.1:$PORT"
workers: $WORKERS
proxy: app
pools:
  app:
    $SETTINGS
    servers: $SERVERS
"""


def pool(stage, servers, settings, workers=1):
    return stage.usher(POOL, SETTINGS=settings, SERVERS=f"[{', '.join(servers)}]", WORKERS=str(workers))


def three(stage):
    return [stage.origin(named(name)).address for name in "abc"]


def answers(usher, number, *fields, target="/"):
    return collections.Counter(usher.get(target, *fields).body.decode() for _ in range(number))


@pytest.mark.parametrize("balance", ["round_robin", "least_requests", "least_time", "random", "hash", "first"])
def test_every_balancer_serves(stage, balance):
    usher = pool(stage, three(stage), f"balance: {balance}", workers=2)
    assert sum(answers(usher, 30).values()) == 30


@pytest.mark.parametrize("by,vary", [
    ("header X-User", lambda value: ("/", f"X-User: {value}")),
    ("cookie user", lambda value: ("/", f"Cookie: other=1; user={value}; more=2")),
    ("query user", lambda value: (f"/?a=b&user={value}",)),
    ("path", lambda value: (f"/{value}?x",)),
    ("uri", lambda value: (f"/x?{value}",)),
    ("host", lambda value: ("/", value)),
])
@pytest.mark.parametrize("method", ["maglev", "ring"])
def test_hash_keeps_what_is_alike_together(stage, by, vary, method):
    usher = pool(stage, three(stage), f"balance: hash\n    hash: {{by: {by}, method: {method}}}", workers=2)

    def ask(value):
        if by == "host":
            with usher.connect() as client:
                client.send(f"GET / HTTP/1.1\r\nHost: h{value}.example\r\n\r\n")
                return client.response().body.decode()
        target, *fields = vary(value)
        return usher.get(target, *fields).body.decode()

    chosen = {value: ask(value) for value in range(24)}
    assert set(chosen.values()) == {"a", "b", "c"}
    assert {value: ask(value) for value in range(24)} == chosen


def test_hash_without_the_header_goes_by_the_client(stage):
    usher = pool(stage, three(stage), "balance: hash\n    hash: header X-User")
    assert len(answers(usher, 12)) == 1


def test_hash_lets_only_the_lost_servers_keys_move(stage):
    origins = [stage.origin(named(name)) for name in "abc"]
    usher = pool(stage, [origin.address for origin in origins], "balance: hash\n    hash: header X-User")

    def ask():
        return {value: usher.get("/", f"X-User: {value}").body.decode() for value in range(60)}
    before = ask()
    origins[1].stop()
    after = ask()
    for value, name in before.items():
        assert after[value] == name if name != "b" else after[value] in "ac"


def test_first_fills_up_before_the_next(stage):
    """Two at a time for the first server, the rest for the second."""
    def script(name):
        return lambda connection: steps("read", lambda _: time.sleep(0.4), wire.head("HTTP/1.1 200 OK", "Content-Length: 1") + name)(connection)
    first, second = (stage.origin(script(name)) for name in (b"a", b"b"))
    usher = pool(stage, [f"{{address: {first.address}, max_requests: 2}}", second.address], "balance: first")
    with ThreadPoolExecutor(5) as crowd:
        bodies = collections.Counter(answer.body for answer in crowd.map(lambda _: usher.get(), range(5)))
    assert bodies == {b"a": 2, b"b": 3}


def test_least_time_leaves_a_slow_server_alone(stage):
    def slow(connection):
        while connection.read_request() is not None:
            time.sleep(0.2)
            connection.answer(b"slow")
    origins = [stage.origin(slow), stage.origin(named("quick")), stage.origin(named("quick"))]
    usher = pool(stage, [origin.address for origin in origins], "balance: least_time")
    got = answers(usher, 60)
    assert got["slow"] <= 6, got


def test_priorities(stage):
    origins = [stage.origin(named(name)) for name in "abc"]
    servers = [f"{{address: {origin.address}, priority: {priority}}}" for origin, priority in zip(origins, (0, 1, 2))]
    usher = pool(stage, servers, "rest: {after: 1, for: 60s}")
    assert answers(usher, 6) == {"a": 6}
    origins[0].stop()
    assert answers(usher, 6) == {"b": 6}
    origins[1].stop()
    assert answers(usher, 6) == {"c": 6}
