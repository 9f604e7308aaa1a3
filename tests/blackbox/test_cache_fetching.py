"""One fetch for all who miss the same, validation, and what becomes of what is not stored."""

import threading
import time

import pytest

from support.cache import CONFIG, Crowd, date, twice, wait_for_all
from support.usher import eventually


def test_section_3_3_what_is_cut_is_not_stored(stage):
    def script(connection):
        connection.read_request()
        connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf")
    origin = stage.origin(script)
    usher = stage.usher(CONFIG, ORIGIN=origin, CACHE="true")
    for _ in range(2):
        with usher.connect() as client:
            client.request("GET", "/", "Connection: close")
            client.reader.rest()
    eventually(lambda: len(origin.requests) >= 2, "a second request")


def test_section_4_3_validation(cached):
    usher, site = cached("Cache-Control: max-age=0", 'ETag: "v1"', f"Last-Modified: {date(-1000)}", "X-Old: 1", "X-Kept: 1")

    def answer(request, body):
        if request.get("If-None-Match") == '"v1"':
            return "304", ['ETag: "v1"', "Cache-Control: max-age=60", "X-Old: 2", "Content-Type: new/type", "Content-Encoding: x-z", "Content-MD5: YQ=="], ""
        return "200 OK", ['ETag: "v2"'], body
    assert usher.get().body == b"1"
    site.fields = answer
    validated = usher.get()
    assert (validated.status, validated.body) == (200, b"1")
    assert site.asked[1].get("If-Modified-Since")
    assert validated.get("Cache-Status") == "usher; fwd=stale; fwd-status=304; stored"
    # Section 3.2: what the 304 says is in the place of what was stored, but for what the stored content depends on.
    assert (validated.get("X-Old"), validated.get("X-Kept"), validated.get("Content-Type")) == ("2", "1", "new/type")
    assert not validated.has("Content-Encoding") and not validated.has("Content-MD5")
    assert usher.get().get("Cache-Status") == "usher; hit"
    assert len(site.asked) == 2


@pytest.mark.parametrize("stored, told, is_same", [('"v1"', '"v2"', False), ('W/"v1"', '"v1"', True), ('"v1"', 'W/"v1"', True), (None, '"v1"', False)])
def test_section_4_3_4_a_304_of_another_one_refreshes_nothing(cached, stored, told, is_same):
    """It serves this once. A server that compresses may weaken the tag of what it sends, but not of a 304."""
    usher, site = cached("Cache-Control: max-age=0", *([f"ETag: {stored}"] if stored else []), f"Last-Modified: {date(-1000)}")
    assert usher.get().body == b"1"
    site.fields = lambda request, body: ("304", [f"ETag: {told}", "Cache-Control: max-age=60"], "")
    for _ in range(2):
        answer = usher.get()
        assert (answer.status, answer.body, answer.get("ETag")) == (200, b"1", stored)
    assert len(site.asked) == (2 if is_same else 3)


@pytest.mark.parametrize("stored, told, is_fresh", [
    ("Cache-Control: max-age=0", "Expires: Sun, 06 Nov 2050 08:49:37 GMT", False), ("Cache-Control: max-age=0", "CDN-Cache-Control: max-age=60", True),
    ("CDN-Cache-Control: max-age=0", "Cache-Control: max-age=60", False), ("Expires: Sun, 06 Nov 1994 08:49:37 GMT", "Cache-Control: max-age=60", True),
])
def test_section_3_2_freshness_is_told_by_both(cached, stored, told, is_fresh):
    """What the 304 does not say stays, and counts as it does in one answer: max-age before Expires, what is meant for usher before both."""
    usher, site = cached(stored, 'ETag: "v1"')
    usher.get()
    site.fields = lambda request, body: ("304", ['ETag: "v1"', told], "")
    assert usher.get().body == b"1"
    assert usher.get().body == b"1" and len(site.asked) == (2 if is_fresh else 3)


def test_section_4_3_3_another_answer_takes_the_place(cached):
    usher, site = cached("Cache-Control: max-age=0", 'ETag: "v1"')
    assert usher.get().body == b"1"
    site.fields = ["Cache-Control: max-age=60", 'ETag: "v2"']
    assert twice(usher) == (b"2", b"2")
    assert site.asked[1].get("If-None-Match") == '"v1"'


def test_section_5_2_2_4_no_cache_is_validated_each_time(cached):
    usher, site = cached("Cache-Control: no-cache, max-age=60", 'ETag: "v1"')
    usher.get()
    site.fields = lambda request, body: ("304", ['ETag: "v1"'], "") if request.get("If-None-Match") else ("200 OK", [], body)
    for number in range(2, 5):
        assert usher.get().body == b"1"
        assert len(site.asked) == number


@pytest.mark.parametrize("number", [10, 300])
def test_a_crowd_costs_one_fetch(cached, number):
    go = threading.Event()
    usher, site = cached("Cache-Control: max-age=60")

    def answer(request, body):
        go.wait(30)
        return "200 OK", ["Cache-Control: max-age=60"], body
    site.fields = answer
    crowd = Crowd(usher, number)
    wait_for_all(usher, number)
    go.set()
    answers = crowd.answers()
    assert {(each.status, each.body) for each in answers} == {(200, b"1")}
    assert len(site.asked) == 1
    assert sum(each.get("Cache-Status") == "usher; fwd=miss; collapsed" for each in answers) >= number // 2
    crowd.close()


def test_a_thousand_at_once_for_a_page_that_takes_a_second(cached):
    """How long they wait is printed here, and bounded in bench/run (crowd)."""
    usher, site = cached()

    def answer(request, body):
        time.sleep(1)
        return "200 OK", ["Cache-Control: max-age=60"], body
    site.fields = answer
    clients = [usher.connect() for _ in range(1000)]
    began = time.monotonic()
    for client in clients:
        client.request()
    answers = [client.response() for client in clients]
    print(f"1,000 clients were answered within {time.monotonic() - began:.3f} s")
    assert {(each.status, each.body) for each in answers} == {(200, b"1")}
    assert len(site.asked) == 1 and usher.get().get("Cache-Status") == "usher; hit"
    for client in clients:
        client.close()


@pytest.mark.parametrize("method,fields", [
    ("HEAD", ()), ("GET", ('If-None-Match: "x"',)), ("GET", ("Authorization: Basic eA==",)), ("GET", ("Cache-Control: no-store",)),
])
def test_who_is_answered_for_himself_holds_up_nobody(cached, method, fields):
    """His answer would be of no use to the others: they don't wait for it."""
    go = threading.Event()

    def answer(request, body):
        if len(site.asked) == 1:
            go.wait(30)
        return "200 OK", ["Cache-Control: max-age=60"], body
    usher, site = cached()
    site.fields = answer
    with usher.connect() as alone:
        alone.request(method, "/", *fields)
        eventually(lambda: len(site.asked) == 1, "the first request")
        assert twice(usher) == (b"2", b"2")
        go.set()
        assert alone.response(method).status == 200


def test_what_is_not_stored_releases_all_at_once(cached):
    """Each asks for himself then, not one after the other."""
    together, most = threading.Barrier(9), []

    def answer(request, body):
        if len(site.asked) > 1:
            together.wait(30)  # nine at once, or this breaks
            most.append(1)
        else:
            time.sleep(0.5)
        return "200 OK", ["Cache-Control: private"], body
    usher, site = cached()
    site.fields = answer
    crowd = Crowd(usher, 10)
    answers = crowd.answers()
    assert {each.status for each in answers} == {200} and len({each.body for each in answers}) >= 1
    assert len(site.asked) == 10 and len(most) == 9
    crowd.close()


@pytest.mark.parametrize("number", [0, 20])
def test_the_first_one_leaves(cached, number):
    """The fetch goes on: for those who wait, if there are any, and for whoever comes after."""
    go = threading.Event()

    def answer(request, body):
        go.wait(30)
        return "200 OK", ["Cache-Control: max-age=60"], body
    usher, site = cached()
    site.fields = answer
    first = usher.connect()
    first.request()
    eventually(lambda: len(site.asked) == 1, "the first request")
    crowd = Crowd(usher, number)
    wait_for_all(usher, number)
    first.reset()
    go.set()
    assert all((each.status, each.body) == (200, b"1") for each in crowd.answers())
    assert usher.get().body == b"1" and len(site.asked) == 1
    crowd.close()


def test_one_validation_for_a_crowd(cached):
    go = threading.Event()
    usher, site = cached("Cache-Control: max-age=0", 'ETag: "a"')
    assert usher.get().body == b"1"

    def answer(request, body):
        go.wait(30)
        return "304", ['ETag: "a"', "Cache-Control: max-age=60"], ""
    site.fields = answer
    crowd = Crowd(usher, 20)
    wait_for_all(usher, 20)
    go.set()
    assert {(each.status, each.body) for each in crowd.answers()} == {(200, b"1")}
    assert len(site.asked) == 2
    crowd.close()


def test_what_was_not_for_others_is_not_waited_for(cached):
    """The next ones ask at once, until something is for all again."""
    together = threading.Barrier(6)

    def answer(request, body):
        if site.concurrent:
            together.wait(30)
        return "200 OK", ["Cache-Control: private"], body
    usher, site = cached()
    site.concurrent = False
    site.fields = answer
    assert "5.2.2.7" in usher.get().get("Cache-Status")
    site.concurrent = True
    crowd = Crowd(usher, 6)
    assert {each.status for each in crowd.answers()} == {200}
    crowd.close()
    site.fields = ["Cache-Control: max-age=60"]
    passed = usher.get()
    assert passed.body == b"8" and passed.get("Cache-Status") == "usher; fwd=miss"
    assert twice(usher) == (b"9", b"9")


def test_what_is_being_fetched_has_a_bound_in_memory(cached):
    """As much as the store may have: what is beyond goes to who asked, whole, and is not stored."""
    going, begun = threading.Event(), []
    body = "x" * 200_000

    def answer(connection):
        while connection.read_request() is not None:
            connection.send(f"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {len(body)}\r\n\r\n{body[:1000]}")
            begun.append(1)
            assert going.wait(30)
            connection.send(body[1000:])
    usher = cached.stage.usher(CONFIG + "cache_memory: 1MiB\n", ORIGIN=cached.stage.origin(answer), CACHE="{status: true}")
    clients = [usher.connect() for _ in range(8)]
    for number, client in enumerate(clients):
        client.request("GET", f"/{number}")
    eventually(lambda: len(begun) == len(clients))
    going.set()
    answers = [client.response() for client in clients]
    assert all(answer.body.decode() == body for answer in answers)
    assert sorted(answer.get("Cache-Status") for answer in answers) == 3 * ['usher; fwd=miss; detail="cache_memory"'] + 5 * ["usher; fwd=miss; stored"]
    assert clients[0].ask("GET", "/again").get("Cache-Status") == "usher; fwd=miss; stored"
    for client in clients:
        client.close()
