"""How often visitors may ask, and how much at once."""

import base64
import concurrent.futures
import contextlib
import threading
import time

import pytest

from support.access import sha512
from support.usher import eventually

CONFIG = """
listen: "127.0.0.1:$PORT"
workers: 2
trusted_proxies: [127.0.0.1]
rate: $RATE
proxy: $ORIGIN
"""


@pytest.fixture
def limited(stage, tmp_path):
    def start(rate, config=CONFIG, more=""):
        origin = stage.origin()
        usher = stage.usher(config + more, ORIGIN=origin, RATE=rate, DIR=tmp_path)
        usher.site = origin
        return usher
    start.directory = tmp_path
    return start


def visit(usher, address="1.2.3.4", *fields, **more):
    return usher.get("/", f"X-Forwarded-For: {address}", *fields, **more)


def statuses(usher, number, address="1.2.3.4", *fields):
    return [visit(usher, address, *fields).status for _ in range(number)]


@pytest.mark.parametrize("rate, within", [("{limit: 1/h, burst: 4}", 5), ("1/h", 1), ("[{limit: 1/h, burst: 9}, {limit: 1/m, burst: 2}]", 3)])
def test_a_burst_and_then_no_more(limited, rate, within):
    usher = limited(rate)
    assert statuses(usher, within + 3) == [200] * within + [429] * 3
    answer = visit(usher)
    assert answer.status == 429 and 1 <= int(answer.get("Retry-After")) <= 3600
    assert len(usher.site.requests) == within
    assert visit(usher, "1.2.3.5").status == 200  # another client
    usher.wait_for_error("too_many_requests.*rate")


def test_it_comes_back_at_the_steady_rate(limited):
    usher = limited("{limit: 2/s, burst: 0}")
    assert statuses(usher, 2)[0] == 200
    answer = visit(usher)
    while answer.status == 200:  # this machine was slow
        answer = visit(usher)
    assert answer.get("Retry-After") == "1"
    eventually(lambda: visit(usher).status == 200, seconds=10)


@pytest.mark.parametrize("first, second, same", [
    ("1.2.3.4", "1.2.3.5", False), ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True), ("2001:db8:1:2::1", "2001:db8:1:3::1", False), ("1.2.3.4", "::ffff:1.2.3.4", True)])
def test_who_is_one_client(limited, first, second, same):
    usher = limited("1/h")
    assert visit(usher, first).status == 200
    assert visit(usher, second).status == (429 if same else 200)


def test_by_header(limited):
    usher = limited("{limit: 1/h, by: header, header: X-Api-Key}")
    assert [visit(usher, "1.2.3.4", f"X-Api-Key: {key}").status for key in ("a", "b", "a", "b")] == [200, 200, 429, 429]
    assert visit(usher, "9.9.9.9", "X-Api-Key: a").status == 429
    assert [visit(usher, address).status for address in ("1.2.3.4", "1.2.3.4", "5.6.7.8")] == [200, 429, 200]


def test_by_route(limited):
    usher = limited("", config="""
listen: "127.0.0.1:$PORT"
trusted_proxies: [127.0.0.1]
routes:
  - {path: /a, rate: {limit: 1/h, by: route}, proxy: $ORIGIN}
  - {path: /b, rate: {limit: 1/h, by: route}, proxy: $ORIGIN}
  - {proxy: $ORIGIN}
""")
    assert [usher.get(target, f"X-Forwarded-For: 1.1.1.{i}").status for i, target in enumerate(["/a", "/a", "/b", "/b", "/c", "/c"])] == [200, 429, 200, 429, 200, 200]


def test_by_user(limited):
    (limited.directory / "staff").write_text(sha512("ann", "a") + sha512("bob", "b"))
    usher = limited("{limit: 1/h, by: user}", more="logins: {staff: $DIR/staff}\naccess: {allow: [10.0.0.0/8], login: staff}\n")

    def basic(user, password):
        return f"Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    assert visit(usher, "1.1.1.1", basic("ann", "a")).status == 200
    assert visit(usher, "2.2.2.2", basic("ann", "a")).status == 429
    assert visit(usher, "2.2.2.2", basic("bob", "b")).status == 200
    assert [visit(usher, "10.0.0.1").status for _ in range(2)] == [200, 429]
    assert visit(usher, "3.3.3.3", basic("ann", "wrong")).status == 401  # who is not let in does not count


def test_those_of_the_burst_may_wait_for_their_turn(limited):
    usher = limited("{limit: 10/s, burst: 5, delay: true}")
    began = time.monotonic()
    assert statuses(usher, 5) == [200] * 5
    assert time.monotonic() - began >= 0.35  # at the steady rate


def test_answers_may_tell(limited):
    usher = limited("{limit: 10/m, burst: 2, tell: true}")
    answer = visit(usher)
    assert answer.get("RateLimit-Policy") == '"10/m";q=10;w=60' and answer.get("RateLimit") == '"10/m";r=2;t=6'
    statuses(usher, 2)
    refused = visit(usher)
    assert refused.status == 429 and refused.get("RateLimit").startswith('"10/m";r=0;t=')


def test_a_reload_forgets_nothing(limited):
    usher = limited("1/h")
    assert visit(usher).status == 200
    usher.reload()
    assert visit(usher).status == 429


def test_it_is_exact_over_threads(limited):
    """Of many at once, from all threads, no more get through than the burst and what the time has brought."""
    usher = limited("{limit: 1/m, burst: 99}")
    counts = []

    def ask():
        with usher.connect() as client:
            counts.append(sum(client.ask("GET", "/", "X-Forwarded-For: 7.7.7.7").status == 200 for _ in range(50)))
    threads = [threading.Thread(target=ask) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 100 <= sum(counts) <= 100 + (time.monotonic() - began) / 60 + 2


def test_very_many_clients_take_no_more_memory(limited):
    usher = limited("{limit: 1/h, burst: 0}")
    with usher.connect() as client:
        for i in range(20):
            client.ask("GET", "/", f"X-Forwarded-For: 1.1.1.{i}")
        before = usher.resident_bytes()
        for i in range(3000):
            assert client.ask("GET", "/", f"X-Forwarded-For: 2.{i // 250}.{i % 250}.1").status == 200
    assert usher.resident_bytes() - before < 48 << 20


# --- How much at once

@pytest.fixture
def held(stage):
    """usher before an origin that sends heads at once, and bodies when the test says so."""
    def start(rate):
        go = threading.Event()

        def script(connection):
            while connection.read_request():
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
                assert go.wait(60)
                connection.send("body")
        origin = stage.origin(script)
        usher = stage.usher(CONFIG, ORIGIN=origin, RATE=rate)
        usher.site, usher.go = origin, go
        return usher
    return start


def begin(usher, stack, address="1.2.3.4"):
    """A request whose answer has begun, and does not end."""
    client = stack.enter_context(usher.connect())
    client.request("GET", "/", f"X-Forwarded-For: {address}")
    assert client.response_head().status == 200
    return client


def test_what_is_under_way_counts_until_its_answer_is_sent(held):
    usher = held("{concurrent: 3}")
    with contextlib.ExitStack() as stack:
        clients = [begin(usher, stack) for _ in range(3)]
        refused = visit(usher)
        assert (refused.status, refused.get("Retry-After")) == (429, "1")
        usher.wait_for_error("too_many_requests.*more requests at once than `rate` allows")
        begin(usher, stack, "4.3.2.1")  # of another client
        clients[0].reset()  # one who leaves makes room
        eventually(lambda: began(usher, stack) is None, "the place")
        usher.go.set()
    eventually(lambda: statuses(usher, 3) == [200] * 3, "all places")


def began(usher, stack):
    """None when a request could begin, its status otherwise."""
    client = stack.enter_context(usher.connect())
    client.request("GET", "/", "X-Forwarded-For: 1.2.3.4")
    status = client.response_head().status
    return None if status == 200 else status


def test_both_limits_of_one_rule_hold(limited):
    """By one connection: elsewhere the place of a request may not be given back yet when its answer is there."""
    usher = limited("{limit: 1/h, burst: 1, concurrent: 1}")
    with usher.connect() as client:
        assert [client.ask("GET", "/").status for _ in range(3)] == [200, 200, 429]


def test_a_tunnel_keeps_its_place(stage):
    def script(connection):
        connection.read_head()
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        connection.wait_for_end()
    usher = stage.usher(CONFIG, ORIGIN=stage.origin(script), RATE="{concurrent: 1}")
    upgrade = ("Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")

    def status():
        with usher.connect() as other:
            other.request("GET", "/", *upgrade)
            return other.response_head().status
    with usher.connect() as client:
        client.request("GET", "/", *upgrade)
        assert client.response_head().status == 101
        assert status() == 429
    eventually(lambda: status() == 101, "the place of the tunnel that has ended")


def test_many_at_once_over_all_threads(limited):
    """None is lost or counted twice: at the end there is room for all again."""
    usher = limited("{concurrent: 2}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: visit(usher).status, range(400)))
    assert set(got) <= {200, 429} and 200 in got
    eventually(lambda: statuses(usher, 4) == [200] * 4, "all places")


# --- Mistakes

@pytest.mark.parametrize("rate, says", [
    ("fast", "is no rate"), ("0/s", "is no rate"), ("10/d", "is no rate"), ("-1/s", "is no rate"), ("10/", "is no rate"), ("{limit: 1/s, by: header}", "belong together"),
    ("{limit: 1/s, header: X-A}", "belong together"), ("{burst: 1}", "needs a `limit`"), ("{concurrent: 0}", "needs a `limit`"), ("{concurrent: 1, tell: true}", "belong to a `limit`"), ("{concurrent: -1}", "concurrent"), ('{limit: 1/s, by: header, header: "a b"}', "belong together"), ("{limit: 1/s, by: cookie}", "by"),
])
def test_mistakes_are_named(limited, rate, says):
    with pytest.raises(AssertionError) as caught:
        limited(rate)
    assert says in str(caught.value)
