"""How often visitors may ask."""

import base64
import threading
import time

import pytest

from support.usher import eventually
from test_access import sha512

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


@pytest.mark.parametrize("rate, says", [
    ("fast", "is no rate"), ("0/s", "is no rate"), ("10/d", "is no rate"), ("-1/s", "is no rate"), ("10/", "is no rate"), ("{limit: 1/s, by: header}", "belong together"),
    ("{limit: 1/s, header: X-A}", "belong together"), ("{burst: 1}", "limit"), ('{limit: 1/s, by: header, header: "a b"}', "belong together"), ("{limit: 1/s, by: cookie}", "by"),
])
def test_mistakes_are_named(limited, rate, says):
    with pytest.raises(AssertionError) as caught:
        limited(rate)
    assert says in str(caught.value)
