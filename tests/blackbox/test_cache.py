"""The cache as a whole: what is reused and when, while it is fetched anew and while the server is away."""

import threading
import time

import pytest

from support.cache import CONFIG, Site, date, is_hit
from support.usher import eventually


def test_section_4_2_what_is_stale_is_not_reused(cached):
    usher, _ = cached("Cache-Control: max-age=1")
    assert usher.get().body == b"1"
    time.sleep(2.1)
    assert usher.get().body == b"2"


def test_section_5_2_1_7_only_if_cached(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert usher.get("/", "Cache-Control: only-if-cached").status == 504
    assert not site.asked
    usher.get()
    assert usher.get("/", "Cache-Control: only-if-cached").body == b"1"


@pytest.mark.parametrize("cache,says", [
    ("{status: true, stale: {while_revalidate: 1h}}", "Cache-Control: max-age=0"),
    ("{status: true}", "Cache-Control: max-age=0, stale-while-revalidate=3600"),
])
def test_rfc_5861_section_3_stale_while_revalidate(cached, cache, says):
    go = threading.Event()

    def answer(request, body):
        if len(site.asked) == 2:
            go.wait(30)
        return "200 OK", ["Cache-Control: max-age=60" if len(site.asked) > 1 else says, 'ETag: "a"'], body
    usher, site = cached(cache=cache)
    site.fields = answer
    assert usher.get().body == b"1"
    for _ in range(10):
        stale = usher.get()
        assert (stale.status, stale.body) == (200, b"1")
        assert stale.get("Cache-Status") == "usher; hit; detail=stale-while-revalidate"
    eventually(lambda: len(site.asked) == 2, "the fetch")
    go.set()
    eventually(lambda: usher.get().get("Cache-Status") == "usher; hit", "what was fetched")
    assert usher.get().body == b"2" and len(site.asked) == 2
    assert site.asked[1].get("If-None-Match") == '"a"'


def test_while_the_server_fails_it_is_asked_now_and_then(cached):
    usher, site = cached("Cache-Control: max-age=0", 'ETag: "a"', cache="{stale: {while_revalidate: 1h, if_error: 1h}}")
    assert usher.get().body == b"1"
    site.status = "503 Busy"
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        assert usher.get().body == b"1"
    # One in a second.
    assert 2 <= len(site.asked) <= 2 + 2 * (time.monotonic() - until + 2.5)


def test_what_is_hot_is_fetched_before_it_is_stale(cached):
    """Fresh for a hundred seconds, it is fetched anew in the last five to fifteen, and no visitor waits."""
    usher, site = cached("Cache-Control: max-age=100", f"Date: {date(3600)}", "Age: 94")
    usher.get("/hot"), usher.get("/cold")

    def is_fetched():
        assert usher.get("/hot").get("Cache-Status") == "usher; hit"
        return len(site.asked) > 2
    eventually(is_fetched, "another fetch")
    assert site.asked[2].target == "/hot"


def test_what_is_hot_is_not_fetched_where_the_operator_says_so(cached):
    usher, site = cached("Cache-Control: max-age=100", f"Date: {date(3600)}", "Age: 97", cache="{refresh: false, status: true}")
    while (answer := usher.get()).get("Cache-Status") == "usher; hit" or len(site.asked) == 1:
        assert len(site.asked) == 1 and answer.body == b"1"
        time.sleep(0.05)
    assert answer.body == b"2"


@pytest.mark.parametrize("away", ["500 Oh", "503 Busy", "gone"])
@pytest.mark.parametrize("cache,fields", [
    ("{status: true, stale: {if_error: 1h}}", ("Cache-Control: max-age=0", 'ETag: "a"')),
    ("{status: true}", ("Cache-Control: max-age=0, stale-if-error=3600", 'ETag: "a"')),
])
def test_rfc_5861_section_4_stale_if_error(stage, cache, fields, away):
    site = Site(*fields)
    origin = stage.origin(site)
    usher = stage.usher(CONFIG, ORIGIN=origin, CACHE=cache)
    assert usher.get().body == b"1"
    if away == "gone":
        origin.stop()
    else:
        site.status, site.body = away, "broken"
    for _ in range(5):
        answer = usher.get()
        assert (answer.status, answer.body) == (200, b"1")
        assert answer.get("Cache-Status") == "usher; hit; detail=stale-if-error"
    if away == "gone":
        assert usher.get("/never-seen").status in (502, 503)
    else:
        site.status, site.body = "200 OK", "well"
        assert usher.get().body == b"well"


def test_a_reload_keeps_the_cache(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert usher.get().body == b"1"
    usher.reload(usher.path.read_text() + "\nx-changed: 1\n")
    assert usher.get().body == b"1" and len(site.asked) == 1


def test_the_budget_holds(cached):
    usher, site = cached("Cache-Control: max-age=600", more="cache_memory: 1MiB\n")
    site.body = "x" * 4000
    for number in range(1000):
        usher.get(f"/{number}")
    # About 240 have room, unevenly over the shards; of the first ones none is left.
    assert sum(usher.get(f"/{number}").get("Cache-Status") == "usher; hit" for number in range(900, 1000)) > 50
    assert sum(usher.get(f"/{number}").get("Cache-Status") == "usher; hit" for number in range(100)) == 0


def test_many_visitors_and_threads(cached):
    """Whatever is reused is whole, and belongs to its target."""
    from concurrent.futures import ThreadPoolExecutor  # pylint: disable=import-outside-toplevel
    usher, site = cached("Cache-Control: max-age=1", more="cache_memory: 1MiB\n")
    site.fields = lambda request, body: ("200 OK", ["Cache-Control: max-age=1", f'ETag: "{request.target}"'], request.target * 500)

    def visit(number):
        target = f"/{number % 40}"
        return usher.get(target).body == (target * 500).encode()
    with ThreadPoolExecutor(16) as visitors:
        assert all(visitors.map(visit, range(2000)))
    assert len(site.asked) < 2000


def test_rfc_9211_section_2_what_other_caches_say_stands_before(cached):
    usher, _ = cached("Cache-Control: max-age=60", 'Cache-Status: "far"; hit', "cache-status: near; hit", cache="{status: true}")
    assert usher.get().get("Cache-Status") == '"far"; hit, near; hit, usher; fwd=miss; stored'
    assert usher.get().get("Cache-Status") == '"far"; hit, near; hit, usher; hit'


def test_an_error_of_ushers_own_tells_that_it_was_forwarded(stage):
    origin = stage.origin(Site())
    usher = stage.usher(CONFIG, ORIGIN=origin, CACHE="{status: true}")
    origin.stop()
    answer = usher.get()
    assert answer.status == 502 and answer.get("Cache-Status") == "usher; fwd=miss"


def test_the_method_purge_where_the_address_may(stage):
    site = Site("Cache-Control: max-age=60", "Vary: X-A")
    usher = stage.usher(CONFIG + 'trusted_proxies: 127.0.0.1\n', ORIGIN=stage.origin(site), CACHE="{status: true, purge: [127.0.0.1, 10.0.0.0/8]}")
    usher.get("/a"), usher.get("/a", "X-A: 1"), usher.get("/b")
    refused = usher.ask("PURGE", "/a", "X-Forwarded-For: 192.0.2.1")
    assert refused.status == 403 and is_hit(usher, "/a")
    done = usher.ask("PURGE", "/a", "X-Forwarded-For: 10.1.2.3")
    assert (done.status, done.body) == (200, b"2 stored answers forgotten\n")
    assert not is_hit(usher, "/a") and is_hit(usher, "/b")
    assert usher.ask("PURGE", "/b").body == b"1 stored answers forgotten\n"
    assert all(request.method == "GET" for request in site.asked)


def test_the_method_purge_is_the_servers_where_nothing_is_said(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert usher.ask("PURGE", "/a").body == b"1" and site.asked[0].method == "PURGE"


def test_vary_of_very_many_names_is_not_stored(cached):
    """Each would be kept with the request's value: a few kilobytes would become megabytes."""
    usher, site = cached("Cache-Control: max-age=60", "Vary: " + ", ".join(["X-A"] * 64))
    usher.get("/", "X-A: " + "x" * 4000)
    assert usher.get("/", "X-A: " + "x" * 4000).get("Cache-Status") == "usher; hit"
    site.fields[1] = "Vary: " + ", ".join(["X-A"] * 65)
    assert [usher.get("/b", "X-A: x").body for _ in range(2)] == [b"2", b"3"]


def test_the_largest_that_max_object_allows_has_room_in_memory(cached):
    usher, site = cached("Cache-Control: max-age=600", body="x" * (1 << 20))
    for _ in range(2):
        answer = usher.get()
        assert len(answer.body) == 1 << 20
    assert answer.get("Cache-Status") == "usher; hit" and len(site.asked) == 1
    site.body += "x"
    usher.get("/more")
    assert usher.get("/more").get("Cache-Status") == 'usher; fwd=miss; detail="max_object"'
