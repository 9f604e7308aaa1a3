"""A second server is tried while the first one is slow to answer."""

import threading
import time

import pytest

from support import wire
from support.h2 import h2_origin
from support.origin import named
from support.usher import run_command

POOL = """
listen: "127.0.0.1:$PORT"
workers: 1
access_log: {path: access.log, format: json}
proxy: app
pools:
  app:
    balance: first
    hedge: $HEDGE
    $SETTINGS
    servers: $SERVERS
"""


def pool(stage, servers, hedge="100ms", settings="rest: {after: 0}"):
    return stage.usher(POOL, SERVERS=f"[{', '.join(servers)}]", HEDGE=hedge, SETTINGS=settings)


class Held:
    """An origin's script that never answers, and tells when its connection was closed."""

    def __init__(self):
        self.ended = threading.Event()

    def __call__(self, connection):
        connection.read_request()
        connection.wait_for_end()
        self.ended.set()


def test_the_quicker_one_is_taken(stage):
    held = Held()
    slow, quick = stage.origin(held), stage.origin(named("quick"))
    usher = pool(stage, [slow.address, quick.address])
    answer = usher.get()
    assert answer.status == 200 and answer.body == b"quick"
    assert len(slow.requests) == len(quick.requests) == 1
    assert held.ended.wait(30)  # the other one is told that nobody waits any more
    assert usher.log_records()[0]["server"] == quick.address
    # The connection of the winner goes on.
    assert usher.get().body == b"quick"
    assert len(quick.connections) == 1


def test_the_first_one_may_still_win(stage):
    go = threading.Event()

    def script(connection):
        while connection.read_request() is not None:
            go.wait(30)
            connection.answer(b"late")
    late, silent = stage.origin(script), stage.origin(Held())
    usher = pool(stage, [late.address, silent.address])
    with usher.connect() as client:
        client.request()
        silent.wait_until(lambda: silent.requests, "the second request")
        go.set()
        assert client.response().body == b"late"


def test_what_is_quick_enough_is_sent_once(stage):
    one, two = stage.origin(named("a")), stage.origin(named("b"))
    usher = pool(stage, [one.address, two.address], hedge="60s")
    assert {usher.get().body for _ in range(20)} == {b"a"}
    assert not two.requests


@pytest.mark.parametrize("method,body", [("POST", b""), ("POST", b"x"), ("DELETE", b""), ("GET", b"x")])
def test_what_is_not_safe_is_sent_once(stage, method, body):
    def script(connection):
        while connection.read_request() is not None:
            time.sleep(0.5)
            connection.answer(b"slow")
    slow, other = stage.origin(script), stage.origin(named("other"))
    usher = pool(stage, [slow.address, other.address])
    assert usher.ask(method, "/", body=body).body == b"slow"
    assert not other.requests


def test_one_fails_and_the_other_is_waited_for(stage):
    def resets(connection):
        connection.read_request()
        time.sleep(0.4)
        connection.reset()

    def answers(connection):
        while connection.read_request() is not None:
            time.sleep(0.8)
            connection.answer(b"late")
    usher = pool(stage, [stage.origin(resets).address, stage.origin(answers).address])
    assert usher.get().body == b"late"


def test_both_fail_and_a_third_is_tried(stage):
    def resets(connection):
        connection.read_request()
        time.sleep(0.4)
        connection.reset()
    usher = pool(stage, [stage.origin(resets).address, stage.origin(resets).address, stage.origin(named("third")).address])
    assert usher.get().body == b"third"


def test_the_visitor_leaves(stage):
    one, two = Held(), Held()
    origins = [stage.origin(one), stage.origin(two)]
    usher = pool(stage, [origin.address for origin in origins])
    client = usher.connect()
    client.request()
    origins[1].wait_until(lambda: origins[1].requests, "the second request")
    client.reset()
    assert one.ended.wait(30) and two.ended.wait(30)


def test_interim_responses_of_two_do_not_mix(stage):
    def script(connection):
        while connection.read_request() is not None:
            connection.send(wire.head("HTTP/1.1 103 Early Hints", "Link: </x>"))
            time.sleep(0.3)
            connection.answer(b"final")
    usher = pool(stage, [stage.origin(script).address, stage.origin(script).address])
    for _ in range(5):
        assert usher.get().body == b"final"


def test_the_budget_bounds_it(stage):
    """Free are a hundred in ten seconds, and a share of the requests; then servers are waited for."""
    def script(connection):
        while connection.read_request() is not None:
            time.sleep(0.03)
            connection.answer(b"")
    one, two = stage.origin(script), stage.origin(script)
    usher = pool(stage, [one.address, two.address], hedge="1ms", settings="retry_budget: 1%")
    with usher.connect() as client:
        for _ in range(160):
            assert client.ask("GET", "/").status == 200
    assert len(one.requests) + len(two.requests) <= 160 + 105 + 100  # a window may have turned


def test_it_learns_when_answers_are_late(stage):
    pause = [0.0]

    def script(connection):
        while connection.read_request() is not None:
            time.sleep(pause[0])
            connection.answer(b"first")
    first, other = stage.origin(script), stage.origin(named("other"))
    usher = pool(stage, [first.address, other.address], hedge="p95")
    with usher.connect() as client:
        for _ in range(200):
            client.ask("GET", "/")
        seen = len(other.requests)
        assert seen < 100
        pause[0] = 5.0
        assert client.ask("GET", "/").body == b"other"


def test_over_http2_the_loser_alone_is_reset(stage):
    def script(peer):
        peer.next_request()
        while (request := peer.next_request()) is not None:
            peer.answer(request, f"h2 {peer.number}")
    slow = stage.add(h2_origin(script))
    quick = stage.origin(named("quick"))
    usher = pool(stage, [f"h2c://127.0.0.1:{slow.port}", quick.address])
    assert usher.get().body == b"quick"
    # The connection carries the next request.
    assert usher.get().body == b"h2 0"


@pytest.mark.parametrize("hedge", ["p49", "p100", "95", "0s", "soon"])
def test_mistakes_are_named(tmp_path, hedge):
    path = tmp_path / "usher.yaml"
    path.write_text(f"proxy: app\npools: {{app: {{servers: [127.0.0.1:1], hedge: {hedge}}}}}\n")
    done = run_command("check", path)
    assert done.returncode == 1 and "from p50 to p99" in done.stderr, done.stderr
