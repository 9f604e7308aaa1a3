"""The cache: what is stored and reused, by the rules of RFC 9111 and the operator's word."""

import email
import email.utils
import threading
import time

import pytest

from support.usher import eventually, run_command

CONFIG = """
listen: "127.0.0.1:$PORT"
workers: 2
proxy: $ORIGIN
cache: $CACHE
"""


def date(offset=0):
    return email.utils.formatdate(time.time() + offset, usegmt=True)


class Site:
    """An origin that answers what a test says, with a number that grows, and remembers what it was asked."""

    def __init__(self, *fields, status="200 OK", body=None):
        self.fields = list(fields)
        self.status = status
        self.body = body
        self.asked = []

    def __call__(self, connection):
        while (request := connection.read_request()) is not None:
            self.asked.append(request)
            body = self.body if self.body is not None else f"{len(self.asked)}"
            if callable(self.fields):
                status, fields, body = self.fields(request, body)
            else:
                status, fields = self.status, self.fields
            if status.startswith("304"):
                connection.send("HTTP/1.1 304 Not Modified\r\n" + "".join(f"{field}\r\n" for field in fields) + "\r\n")
            elif request.method == "HEAD":
                connection.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n" + "".join(f"{field}\r\n" for field in fields) + "\r\n")
            else:
                connection.answer(body, *fields, status=status)


@pytest.fixture
def cached(stage):
    def start(*fields, cache="{status: true}", more="", **site):
        made = Site(*fields, **site)
        usher = stage.usher(CONFIG + more, ORIGIN=stage.origin(made), CACHE=cache)
        return usher, made
    start.stage = stage
    return start


def twice(usher, *fields, target="/", second=None):
    """What two requests were answered, one after the other."""
    return usher.get(target, *fields).body, usher.get(target, *(fields if second is None else second)).body


# --- RFC 9111 section 3: what is stored

@pytest.mark.parametrize("fields", [
    ("Cache-Control: max-age=60",), ("Cache-Control: s-maxage=60, max-age=0",), ("Cache-Control: public, max-age=60",),
    ("CDN-Cache-Control: max-age=60", "Cache-Control: no-store"), ("Cache-Control: max-age=\"60\"",),
    ("Cache-Control: must-understand, no-store, max-age=60",),
])
def test_section_3_fresh_answers_are_reused(cached, fields):
    usher, site = cached(*fields)
    assert twice(usher) == (b"1", b"1")
    answer = usher.get()
    assert answer.get("Cache-Status") == "usher; hit"
    assert 0 <= int(answer.get("Age")) <= 30
    assert len(site.asked) == 1


def test_section_5_3_expires(cached):
    usher, _ = cached(f"Date: {date()}", f"Expires: {date(60)}")
    assert twice(usher) == (b"1", b"1")


@pytest.mark.parametrize("fields,rule", [
    (("Cache-Control: no-store, max-age=60",), "5.2.2.5"), (("Cache-Control: private, max-age=60",), "5.2.2.7"),
    (("Cache-Control: max-age=60", "Set-Cookie: a=b"), "RFC 6265"), (("Cache-Control: max-age=60", "Vary: *"), "4.1"),
    (("X: nothing said",), "4.2"), (("Cache-Control: max-age=0",), "4.2"), (("Cache-Control: max-age=x",), "4.2"),
    (("Expires: 0",), "4.2"),
])
def test_section_3_others_are_not_stored(cached, fields, rule):
    usher, _ = cached(*fields)
    answer = usher.get()
    assert answer.body == b"1" and rule in answer.get("Cache-Status")
    assert usher.get().body == b"2"


def test_section_3_5_authorization(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert twice(usher, "Authorization: Basic eA==") == (b"1", b"2")
    site.fields = ["Cache-Control: max-age=60, public"]
    assert twice(usher, "Authorization: Basic eA==") == (b"3", b"3")


def test_section_3_methods(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert usher.ask("POST", "/").body == b"1"
    assert usher.get().body == b"2"
    head = usher.ask("HEAD", "/")
    assert head.status == 200 and head.get("Content-Length") == "1" and head.get("Cache-Status") == "usher; hit"
    assert len(site.asked) == 2


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


@pytest.mark.parametrize("status,stored", [("404 Not Found", True), ("301 Moved Permanently", True), ("500 Oh", True), ("302 Found", True)])
def test_section_3_statuses_that_say_how_long(cached, status, stored):
    usher, _ = cached("Cache-Control: max-age=60", status=status)
    assert (twice(usher) == (b"1", b"1")) == stored


# --- RFC 9111 section 4: what is reused

def test_section_2_the_key_is_the_whole_target(cached):
    usher, site = cached("Cache-Control: max-age=60")
    targets = ["/a", "/b", "/a?x", "/a?y", "/a?"]
    first = [usher.get(target).body for target in targets]
    assert len(set(first)) == 5
    assert [usher.get(target).body for target in targets] == first
    assert usher.get("/a", host="other.example").body == b"6"
    assert len(site.asked) == 6


def test_section_4_1_vary(cached):
    usher, _ = cached("Cache-Control: max-age=60", "Vary: X-A, x-b")
    assert twice(usher, "X-A: 1") == (b"1", b"1")
    assert twice(usher, "X-A: 2") == (b"2", b"2")
    assert twice(usher) == (b"3", b"3")
    assert twice(usher, "X-A: 1", "X-B: 1") == (b"4", b"4")
    assert usher.get("/", "X-A: 1").body == b"1"
    assert usher.get("/", "X-C: 9", "X-A: 1").body == b"1"
    # Several lines are one list (RFC 9110 section 5.3).
    assert usher.get("/", "X-A: 1", "X-A: 2").body == b"5"
    assert usher.get("/", "X-A: 1, 2").body == b"5"


def test_section_4_2_3_age(cached):
    usher, _ = cached(f"Date: {date(-10)}", "Age: 20", "Cache-Control: max-age=60")
    usher.get()
    assert 20 <= int(usher.get().get("Age")) < 50
    usher, _ = cached(f"Date: {date(-70)}", "Cache-Control: max-age=60")
    assert twice(usher) == (b"1", b"2")


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


def test_section_5_2_1_5_a_request_that_says_no_store(cached):
    usher, _ = cached("Cache-Control: max-age=60")
    assert twice(usher, "Cache-Control: no-store", second=()) == (b"1", b"2")


def test_routes_that_share_a_target_do_not_share_answers(stage):
    """What a request is matched by beside its path is no part of its target."""
    origins = {name: stage.origin(Site("Cache-Control: max-age=60", body=name)) for name in ("beta", "post", "usual")}
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
cache: true
routes:
  - {match: {header: {X-Beta: "1"}}, proxy: $BETA}
  - {match: {header: {X-Beta: "2"}}, proxy: $POST}
  - proxy: $USUAL
""", BETA=origins["beta"], POST=origins["post"], USUAL=origins["usual"])
    for _ in range(2):
        assert usher.get("/").body == b"usual"
        assert usher.get("/", "X-Beta: 1").body == b"beta"
        assert usher.get("/", "X-Beta: 2").body == b"post"
    assert all(len(origin.requests) == 1 for origin in origins.values())


# --- Section 4.3: validation

def test_section_4_3_validation(cached):
    usher, site = cached("Cache-Control: max-age=0", 'ETag: "v1"', f"Last-Modified: {date(-1000)}", "X-Old: 1", "X-Kept: 1")

    def answer(request, body):
        if request.get("If-None-Match") == '"v1"':
            return "304", ['ETag: "v1"', "Cache-Control: max-age=60", "X-Old: 2", "Content-Type: wrong/type"], ""
        return "200 OK", ['ETag: "v2"'], body
    assert usher.get().body == b"1"
    site.fields = answer
    validated = usher.get()
    assert (validated.status, validated.body) == (200, b"1")
    assert site.asked[1].get("If-Modified-Since")
    assert validated.get("Cache-Status") == "usher; fwd=stale; fwd-status=304; stored"
    # Section 3.2: what the 304 says is in the place of what was stored, but for what describes the content.
    assert (validated.get("X-Old"), validated.get("X-Kept"), validated.get("Content-Type")) == ("2", "1", None)
    assert usher.get().get("Cache-Status") == "usher; hit"
    assert len(site.asked) == 2


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


def test_section_5_2_2_4_no_cache_of_some_fields(cached):
    usher, _ = cached('Cache-Control: max-age=60, no-cache="X-Secret", private="X-Mine"', "X-Secret: 1", "X-Mine: 1", "X-All: 1")
    assert usher.get().get("X-Secret") == "1"
    reused = usher.get()
    assert (reused.get("X-Secret"), reused.get("X-Mine"), reused.get("X-All")) == (None, None, "1")


@pytest.mark.parametrize("condition,status", [
    ('If-None-Match: "a"', 304), ('If-None-Match: W/"a"', 304), ('If-None-Match: "b", "a"', 304), ("If-None-Match: *", 304),
    ('If-None-Match: "b"', 200), ('If-None-Match: "a', 200), (f"If-Modified-Since: {date(-100)}", 304),
    (f"If-Modified-Since: {date(-5000)}", 200), ("If-Modified-Since: yesterday", 200),
])
def test_rfc_9110_section_13_conditions_are_answered_from_the_store(cached, condition, status):
    usher, site = cached("Cache-Control: max-age=60", 'ETag: "a"', f"Last-Modified: {date(-1000)}", "Content-Language: en")
    usher.get()
    answer = usher.get("/", condition)
    assert answer.status == status and len(site.asked) == 1
    assert answer.body == (b"" if status == 304 else b"1")
    assert answer.get("ETag") == '"a"' and answer.has("Age")
    assert answer.has("Content-Language") == (status == 200)


def test_rfc_9110_section_13_2_2_the_etag_comes_first(cached):
    usher, _ = cached("Cache-Control: max-age=60", 'ETag: "a"', f"Last-Modified: {date(-1000)}")
    usher.get()
    assert usher.get("/", 'If-None-Match: "b"', f"If-Modified-Since: {date()}").status == 200


# --- Section 4.4: what was changed

@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_section_4_4_unsafe_methods_invalidate(cached, method):
    usher, _ = cached("Cache-Control: max-age=60")
    assert twice(usher) == (b"1", b"1")
    usher.ask(method, "/")
    assert usher.get().body == b"3"


def test_section_4_4_only_where_they_succeed(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert twice(usher) == (b"1", b"1")
    site.status = "403 No"
    usher.ask("POST", "/")
    site.status = "200 OK"
    assert usher.get().body == b"1"


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize("reference,forgotten", [
    ("/other", True), ("/other#part", True), ("http://test.example/other", True), ("HTTP://Test.Example:80/other", True),
    ("http://elsewhere.example/other", False), ("//test.example/other", False), ("other", False), ("", False),
])
def test_section_4_4_what_the_answer_names(cached, name, reference, forgotten):
    usher, site = cached("Cache-Control: max-age=60")
    assert twice(usher, target="/other") == (b"1", b"1")
    site.fields.append(f"{name}: {reference}")
    usher.ask("POST", "/")
    assert usher.get("/other").body == (b"3" if forgotten else b"1")


# --- One fetch

class Crowd:
    """Many clients that ask for the same at once."""

    def __init__(self, usher, number, target="/", *fields):
        self.clients = [usher.connect() for _ in range(number)]
        for client in self.clients:
            client.request("GET", target, *fields)

    def answers(self):
        return [client.response() for client in self.clients]

    def close(self):
        for client in self.clients:
            client.close()


def wait_for_all(usher, number):
    """Until so many connections have been read: nothing tells, so a moment is given to them."""
    del usher
    time.sleep(0.2 + number / 1000)


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


def test_the_first_one_leaves(cached):
    """The fetch goes on: for those who wait, and for whoever comes after."""
    go = threading.Event()

    def answer(request, body):
        go.wait(30)
        return "200 OK", ["Cache-Control: max-age=60"], body
    usher, site = cached()
    site.fields = answer
    first = usher.connect()
    first.request()
    eventually(lambda: len(site.asked) == 1, "the first request")
    crowd = Crowd(usher, 20)
    wait_for_all(usher, 20)
    first.reset()
    go.set()
    assert {(each.status, each.body) for each in crowd.answers()} == {(200, b"1")}
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


def test_all_read_a_fetch_as_it_comes(cached):
    """What has come is there for all before the rest is, whoever came when."""
    rest, sent = threading.Event(), threading.Event()

    def script(connection):
        site.asked.append(connection.read_request())
        connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nfirst")
        sent.set()
        rest.wait(30)
        connection.send("later")
    usher, site = cached()
    usher = cached.stage.usher(CONFIG, ORIGIN=cached.stage.origin(script), CACHE="{status: true}")
    crowd = Crowd(usher, 5)
    sent.wait(30)
    late = Crowd(usher, 5)
    for client in crowd.clients + late.clients:
        while b"first" not in client.reader.buffer:
            assert client.reader.fill()
        assert b"later" not in client.reader.buffer
    rest.set()
    assert {each.body for each in crowd.answers() + late.answers()} == {b"firstlater"}
    assert usher.get().get("Cache-Status") == "usher; hit" and len(site.asked) == 1
    crowd.close()
    late.close()


@pytest.mark.parametrize("size", [70_000, 3_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_crowd_reads_large_answers_together(cached, size, framing):
    """Those of a length that is told too late turn out to be too large while they are read: they come whole, and nothing is
    stored."""
    body = bytes(number * 7 % 251 for number in range(size))

    def script(connection):
        while (request := connection.read_request()) is not None:
            site.asked.append(request)
            time.sleep(0.3)
            if framing == "length":
                connection.send(f"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {size}\r\n\r\n".encode() + body)
            else:
                connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n")
                for at in range(0, size, 50_000):
                    piece = body[at:at + 50_000]
                    connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                connection.send(b"0\r\n\r\n")
    _, site = cached()
    usher = cached.stage.usher(CONFIG, ORIGIN=cached.stage.origin(script), CACHE="{status: true}")
    crowd = Crowd(usher, 8)
    answers = [None] * 8

    def read(number):
        answers[number] = crowd.clients[number].response().body
    readers = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert all(answer == body for answer in answers)
    if size < 1_000_000:
        assert len(site.asked) == 1
        assert usher.get().get("Cache-Status") == "usher; hit"
    else:
        before = len(site.asked)
        assert before == (8 if framing == "length" else 1)
        assert usher.get().body == body and len(site.asked) == before + 1
    crowd.close()


def test_one_who_reads_slowly_holds_up_nobody(cached):
    """As long as the answer may be stored."""
    body = b"x" * 900_000
    usher, _ = cached("Cache-Control: max-age=60", body=body)
    with usher.connect() as slow:
        slow.request()
        for _ in range(5):
            assert usher.get().body == body


def test_it_is_fetched_for_nobody_too(cached):
    """A visitor who leaves has begun something that others need."""
    go = threading.Event()

    def answer(request, body):
        go.wait(30)
        return "200 OK", ["Cache-Control: max-age=60"], body
    usher, site = cached()
    site.fields = answer
    client = usher.connect()
    client.request()
    eventually(lambda: len(site.asked) == 1, "the request")
    client.reset()
    go.set()
    eventually(lambda: usher.get().get("Cache-Status") == "usher; hit", "what was fetched")
    assert len(site.asked) == 1


def test_an_endless_stream_is_each_visitors_own(cached):
    usher, site = cached("Content-Type: text/event-stream; charset=utf-8", cache="{status: true, ttl: 1m}")
    assert twice(usher) == (b"1", b"2")
    assert "HTML" in usher.get().get("Cache-Status")


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


# --- RFC 5861: while it is fetched anew

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


@pytest.mark.parametrize("fields", [
    "Cache-Control: max-age=0, must-revalidate", "Cache-Control: s-maxage=0", "Cache-Control: no-cache",
])
def test_section_4_2_4_what_may_not_be_used_meanwhile(cached, fields):
    usher, _ = cached(fields, 'ETag: "a"', cache="{stale: {while_revalidate: 1h}}")
    assert twice(usher) == (b"1", b"2")


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


# --- RFC 5861: while the server is away

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


@pytest.mark.parametrize("fields", [
    "Cache-Control: max-age=0, must-revalidate", "Cache-Control: max-age=0, proxy-revalidate", "Cache-Control: s-maxage=0",
    "Cache-Control: no-cache", "Cache-Control: max-age=0, stale-if-error=0",
])
def test_section_4_2_4_what_may_not_be_used_stale(cached, fields):
    cache = "{status: true}" if "stale-if-error" in fields else "{status: true, stale: {if_error: 1h}}"
    usher, site = cached(fields, 'ETag: "a"', cache=cache)
    assert usher.get().status == 200
    site.status = "503 Busy"
    assert usher.get().status == 503


# --- By the operator's word

def test_ttl_where_the_server_says_nothing(cached):
    usher, site = cached(cache="{ttl: 1m}")
    assert twice(usher) == (b"1", b"1")
    site.fields = ["Cache-Control: max-age=0"]
    assert twice(usher, target="/x") == (b"2", b"3")


def test_section_4_2_2_heuristic_freshness(cached):
    usher, site = cached(f"Last-Modified: {date(-100000)}", cache="{status: true, heuristic: {percent: 10}}")
    assert twice(usher) == (b"1", b"1")
    site.fields = ["X: never modified"]
    assert twice(usher, target="/x") == (b"2", b"3")
    site.fields = [f"Last-Modified: {date(-100000)}", "Cache-Control: max-age=0"]
    usher.get("/y")
    assert usher.get("/y").get("Cache-Status").startswith("usher; fwd=stale")


def test_ttl_whatever_the_server_says(cached):
    usher, site = cached("Cache-Control: max-age=0", cache="{ttl: 1m, override: true}")
    assert twice(usher) == (b"1", b"1")
    site.fields = ["Cache-Control: private"]
    assert twice(usher, target="/x") == (b"2", b"3")


def test_cookies_are_left_out_where_the_operator_says_so(cached):
    usher, _ = cached("Cache-Control: max-age=60", "Set-Cookie: a=b", cache="{ignore_set_cookie: true}")
    assert usher.get().get("Set-Cookie") == "a=b"
    again = usher.get()
    assert again.body == b"1" and not again.has("Set-Cookie")


@pytest.mark.parametrize("status,stored", [("200 OK", True), ("404 No", True), ("500 Oh", False), ("302 Found", False), ("403 No", False)])
def test_ttl_is_not_for_errors(cached, status, stored):
    usher, _ = cached(cache="{ttl: 1m}", status=status)
    assert (twice(usher) == (b"1", b"1")) == stored


@pytest.mark.parametrize("status,stored", [("404 No", True), ("500 Oh", True), ("503 Busy", True), ("505 Oh", False), ("200 OK", False), ("302 Found", True)])
def test_ttl_by_status(cached, status, stored):
    usher, _ = cached(cache='{ttl_by_status: {404: 10m, "500-504": 10m, 302: 5m}}', status=status)
    assert (twice(usher) == (b"1", b"1")) == stored


def test_ttl_by_status_is_in_the_place_of_ttl(cached):
    usher, _ = cached(cache="{ttl: 1m, ttl_by_status: {404: 1s}}", status="404 No")
    assert twice(usher) == (b"1", b"1")
    time.sleep(1.1)
    assert usher.get().body == b"2"


def test_key_of_chosen_parameters(cached):
    usher, site = cached("Cache-Control: max-age=60", cache="{key: {query: [b, a]}}")
    assert usher.get("/?a=1&b=2").body == b"1"
    for same in ("/?b=2&a=1", "/?b=2&utm=9&a=1", "/?%61=1&b=2", "/?b=2&a=1&", "/?b=2&aa=3&a=1"):
        assert usher.get(same).body == b"1", same
    others = ["/?a=1", "/", "/?a=1&a=1&b=2", "/?a=1&b", "/?a=1&b=", "/?a=%31&b=2", "/?ab=1"]
    bodies = [usher.get(other).body for other in others]
    # What has none of them is one.
    assert bodies == [b"2", b"3", b"4", b"5", b"6", b"7", b"3"]
    assert site.asked[0].target == "/?a=1&b=2"


def test_key_without_a_query(cached):
    usher, _ = cached("Cache-Control: max-age=60", cache="{key: {query: []}}")
    assert [usher.get(target).body for target in ("/?a", "/", "/?b=1", "/x?b")] == [b"1", b"1", b"1", b"2"]


def test_key_of_fields_and_cookies(stage, tmp_path):
    site = Site("Cache-Control: max-age=60")
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(site), CACHE="{key: {headers: [X-Device], cookies: [lang, town]}}", DIR=tmp_path)
    requests = [(), ("X-Device: a",), ("x-device: b",), ("Cookie: lang=en",), ("Cookie: x=y; lang=de; z=1",), ("Cookie: town=en",), ("Cookie: lang=en; town=en",),
                ("X-Device: en",), ("X-Device:",), ("Cookie: lang=",)]
    first = [usher.get("/", *fields).body for fields in requests]
    assert len(set(first)) == len(requests)
    assert [usher.get("/", *fields).body for fields in requests] == first
    assert usher.get("/", "Cookie: lang=de; other=1", "X-Other: 1").body == first[4]
    assert cache_command(usher, "purge", "http://test.example/").stdout == "10 stored answers forgotten\n"


def test_bypass(cached):
    usher, site = cached("Cache-Control: max-age=60", cache=r'{status: true, bypass: [{header: {Cookie: "~ (^|; )session="}}, {query: {fresh: "*"}}]}')
    assert usher.get().body == b"1"
    for number, request in enumerate([("/", "Cookie: a=b; session=1"), ("/", "Cookie: session=2"), ("/?fresh",)]):
        answer = usher.get(*request)
        assert answer.body == str(number + 2).encode() and answer.get("Cache-Status") == 'usher; fwd=bypass; detail="bypass"'
    assert usher.get("/", "Cookie: mysession=1").body == b"1"
    assert usher.get("/?fresh").body == b"5"


def test_no_store(cached):
    usher, _ = cached("Cache-Control: max-age=60", cache='{status: true, no_store: {header: {X-Trial: "1"}}}')
    assert twice(usher, "X-Trial: 1") == (b"1", b"2")
    assert usher.get().body == b"3"
    assert usher.get("/", "X-Trial: 1").body == b"3"
    assert usher.get("/x", "X-Trial: 1").get("Cache-Status") == 'usher; fwd=miss; detail="no_store"'


def test_min_uses(cached):
    usher, _ = cached("Cache-Control: max-age=60", cache="{status: true, min_uses: 3}")
    assert usher.get().get("Cache-Status") == 'usher; fwd=miss; detail="min_uses"'
    assert [usher.get().body for _ in range(4)] == [b"2", b"3", b"3", b"3"]


def test_large_answers_are_not_stored(cached):
    usher, site = cached("Cache-Control: max-age=60", cache="{max_object: 1000}")
    site.body = "x" * 1001
    usher.get(), usher.get()
    assert len(site.asked) == 2
    site.body = "x" * 1000
    usher.get("/small"), usher.get("/small")
    assert len(site.asked) == 3


def test_off_and_absent(cached):
    usher, _ = cached("Cache-Control: max-age=60", cache="false")
    assert twice(usher) == (b"1", b"2")


@pytest.mark.parametrize("fields,status,body,content_range", [
    (("Range: bytes=2-4",), 206, b"234", "bytes 2-4/10"), (("Range: bytes=-3",), 206, b"789", "bytes 7-9/10"),
    (("Range: bytes=5-",), 206, b"56789", "bytes 5-9/10"), (("Range: bytes=20-",), 416, b"", "bytes */10"),
    (("Range: bytes=0-4,4-5",), 200, b"0123456789", None), (("Range: lines=1-2",), 200, b"0123456789", None),
    (("Range: bytes=2-4", 'If-Range: "a"'), 206, b"234", "bytes 2-4/10"), (("Range: bytes=2-4", 'If-Range: "b"'), 200, b"0123456789", None),
    (("Range: bytes=2-4", 'If-None-Match: "a"'), 304, b"", None),
])
def test_rfc_9110_section_14_parts_of_what_is_stored(cached, fields, status, body, content_range):
    usher, site = cached("Cache-Control: max-age=60", 'ETag: "a"', body="0123456789")
    usher.get()
    answer = usher.get("/", *fields)
    assert (answer.status, answer.body, answer.get("Content-Range")) == (status, body, content_range)
    assert len(site.asked) == 1


@pytest.mark.parametrize("more", [("Content-Type: text/plain; charset=utf-8",), ()])
def test_rfc_9110_section_14_6_several_parts(cached, more):
    usher, site = cached("Cache-Control: max-age=60", *more, body="0123456789")
    usher.get()
    answer = usher.get("/", "Range: bytes=6-7,0-1,-1")
    assert answer.status == 206 and not answer.has("Content-Range") and len(site.asked) == 1
    message = email.message_from_bytes(b"Content-Type: " + answer.get("Content-Type").encode() + b"\r\n\r\n" + answer.body)
    assert message.get_content_type() == "multipart/byteranges"
    parts = message.get_payload()
    assert [(part["Content-Range"], part.get_payload()) for part in parts] == [
        ("bytes 6-7/10", "67"), ("bytes 0-1/10", "01"), ("bytes 9-9/10", "9")]
    assert all(part["Content-Type"] == (more[0].removeprefix("Content-Type: ") if more else None) for part in parts)
    assert usher.get("/", "Range: bytes=6-7,0-1").get("Content-Type") != answer.get("Content-Type")


def test_parts_of_what_is_not_stored_pass(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert usher.get("/", "Range: bytes=0-0").get("Cache-Status") == "usher; fwd=miss"
    assert site.asked[0].get("Range") == "bytes=0-0"
    assert usher.get().body == b"2"


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


@pytest.mark.parametrize("cache,says", [("{tll: 1m}", 'did you mean "ttl"'), ("maybe", "cache"), ("{max_object: 0}", "max_object"),
    ("{ttl_by_status: {99: 1s}}", "is no status"), ("{ttl_by_status: {404: 1ms}}", "no time to be fresh"), ("{ttl_by_status: {404: x}}", "no time to be fresh"),
    ("{purge: [10.0.0.0/33]}", "10.0.0.0/33"), ("{bypass: {}}", "says nothing"), ("{no_store: [{}]}", "says nothing"), ("{min_uses: 0}", "min_uses")])
def test_mistakes_are_named(tmp_path, cache, says):
    path = tmp_path / "usher.yaml"
    path.write_text(f"proxy: 127.0.0.1:1\ncache: {cache}\n")
    done = run_command("check", path)
    assert done.returncode == 1 and says in done.stderr, done.stderr


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


# --- Forgetting, and seeing

ADMIN = 'admin: "unix:$DIR/admin.sock"\n'


@pytest.fixture
def administered(stage, tmp_path):
    site = Site("Cache-Control: max-age=600", "Vary: X-A")
    return stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(site), CACHE="{status: true}", DIR=tmp_path)


def cache_command(usher, *words):
    return run_command("cache", "-c", usher.path, *words)


def is_hit(usher, target, *fields):
    return usher.get(target, *fields).get("Cache-Status") == "usher; hit"


def test_purge_by_url(administered):
    for target in ("/a", "/b", "/a?x"):
        administered.get(target)
    administered.get("/a", "X-A: 1")
    assert is_hit(administered, "/a") and is_hit(administered, "/a", "X-A: 1")
    done = cache_command(administered, "purge", "HTTP://Test.Example:8080/a")
    assert (done.returncode, done.stdout) == (0, "2 stored answers forgotten\n"), done.stderr
    assert not is_hit(administered, "/a") and is_hit(administered, "/b") and is_hit(administered, "/a?x")
    assert cache_command(administered, "purge", "http://test.example/a?x", "http://test.example/nothing").returncode == 0
    assert not is_hit(administered, "/a?x")
    administered.wait_for_error("cache: 2 stored answers forgotten by the operator's word: HTTP://Test.Example:8080/a")


def test_purge_everything(administered):
    for number in range(20):
        administered.get(f"/{number}")
    assert cache_command(administered, "purge", "--all").stdout == "20 stored answers forgotten\n"
    assert not any(is_hit(administered, f"/{number}") for number in range(20))


@pytest.fixture
def tagged(stage, tmp_path):
    site = Site()
    site.fields = lambda request, body: (
        "200 OK", ["Cache-Control: max-age=600", f"Surrogate-Key: page {request.target.partition('?')[0].strip('/').replace('/', ' ')}", "Cache-Tag: one,two"], body)
    return stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(site), CACHE="{status: true, stale: {while_revalidate: 1h}}", DIR=tmp_path)


@pytest.mark.parametrize("words,gone", [
    (["--prefix", "http://test.example/shop/"], ["/shop/a", "/shop/b", "/shop/a?x"]), (["--prefix", "http://TEST.example/"], None),
    (["--prefix", "http://other.example/"], []), (["--prefix", "http://test.example/shop/a"], ["/shop/a", "/shop/a?x"]),
    (["--tag", "a"], ["/shop/a", "/shop/a?x", "/a"]), (["--tag", "page"], None), (["--tag", "sho"], []), (["--tag", "b", "a"], ["/shop/b", "/shop/a", "/shop/a?x", "/a"]),
    (["--tag", "two"], None), (["--all"], None),
])
@pytest.mark.parametrize("soft", [False, True])
def test_purge_of_many(tagged, words, gone, soft):
    targets = ["/shop/a", "/shop/b", "/shop/a?x", "/shop", "/a"]
    gone = targets if gone is None else gone
    for target in targets:
        assert not tagged.get(target).has("Cache-Tag")
    assert all(is_hit(tagged, target) for target in targets)
    done = cache_command(tagged, "purge", *(["--soft"] if soft else []), *words)
    counts = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and sum(counts) == len(gone), done.stdout + done.stderr
    assert ("made stale" if soft else "forgotten") in done.stdout
    for target in targets:
        says = tagged.get(target).get("Cache-Status")
        assert says == ("usher; hit" if target not in gone else "usher; hit; detail=stale-while-revalidate" if soft else "usher; fwd=miss; stored"), target


def test_a_purge_means_what_is_being_fetched(stage, tmp_path):
    """What was asked for before the purge is not stored after it."""
    go = threading.Event()

    def answer(request, body):
        go.wait(30)
        return "200 OK", ["Cache-Control: max-age=600", "Surrogate-Key: x"], body
    site = Site()
    site.fields = answer
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(site), CACHE="{status: true}", DIR=tmp_path)
    with usher.connect() as client:
        client.request()
        eventually(lambda: len(site.asked) == 1, "the request")
        assert cache_command(usher, "purge", "--tag", "x").stdout == "0 stored answers forgotten\n"
        go.set()
        assert client.response().body == b"1"
    assert usher.get().body == b"2" and is_hit(usher, "/")


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


def test_soft_purge_by_url(tagged):
    tagged.get("/a")
    assert cache_command(tagged, "purge", "--soft", "http://test.example/a").stdout == "1 stored answers made stale\n"
    assert tagged.get("/a").get("Cache-Status") == "usher; hit; detail=stale-while-revalidate"
    eventually(lambda: is_hit(tagged, "/a"), "another fetch")


def test_show_tells_why(administered):
    administered.get("/a")
    administered.get("/a", "X-A: 1")
    administered.get("/a", "X-A: 1")
    shown = cache_command(administered, "show", "http://test.example/a").stdout
    assert shown.count("http://test.example/a\n") == 2 and shown.count("of 600 s that it is fresh (max-age)") == 2
    assert "  for X-A: 1\n" in shown and "used 1 times" in shown and "used 0 times" in shown
    assert cache_command(administered, "show", "http://test.example/b").stdout == "nothing is stored\n"
    cache_command(administered, "purge", "--soft", "--all")
    assert "not reused as it is" in (shown := cache_command(administered, "show", "http://test.example/a").stdout) and "a purge made it stale" in shown


@pytest.mark.parametrize("fields,cache,says", [
    (["Cache-Control: private"], "true", "not stored: the answer is private: for one visitor alone (RFC 9111 section 5.2.2.7)"),
    (["Cache-Control: no-cache", 'ETag: "a"'], "true", "no-cache: the server is asked each time (RFC 9111 section 5.2.2.4)"),
    (["Cache-Control: max-age=0", 'ETag: "a"'], "true", "stale: the server is asked first"),
    (["Cache-Control: s-maxage=60"], "true", "fresh (s-maxage)"), ([f"Expires: {date(600)}"], "true", "fresh (Expires)"),
    ([], "{ttl: 1m}", "of 60 s that it is fresh (ttl)"), ([f"Last-Modified: {date(-10000)}"], "{heuristic: {percent: 10}}", "fresh (heuristic)"),
])
def test_show_names_the_rule(stage, tmp_path, fields, cache, says):
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(Site(*fields)), CACHE=cache, DIR=tmp_path)
    usher.get("/a")
    assert says in cache_command(usher, "show", "http://test.example/a").stdout


def test_show_tells_of_what_was_too_large_in_the_end(stage, tmp_path):
    def script(connection):
        while connection.read_request() is not None:
            connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: X-A\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(40):
                connection.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
            connection.send(b"0\r\n\r\n")
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(script), CACHE="{max_object: 64KiB}", DIR=tmp_path)
    assert len(usher.get("/a", "X-A: one").body) == 40 * 0x8000
    eventually(lambda: "not stored: the answer is larger than max_object" in cache_command(usher, "show", "http://test.example/a").stdout, "a mark")


def test_list_and_top(administered):
    for number in range(30):
        for _ in range(number + 1):
            administered.get(f"/{number:02}")
    everything = cache_command(administered, "list").stdout
    assert all(f"http://test.example/{number:02}\n" in everything for number in range(30))
    some = cache_command(administered, "list", "http://test.example/1").stdout
    assert [f"http://test.example/{number:02}\n" in some for number in range(30)] == [10 <= number < 20 for number in range(30)]
    top = [line for line in cache_command(administered, "top").stdout.splitlines() if line.startswith("http")]
    assert top == [f"http://test.example/{number:02}" for number in range(29, 9, -1)]
    assert cache_command(administered, "list", "nothing").returncode == 1


def test_stats(administered):
    for _ in range(4):
        administered.get("/a")
    done = cache_command(administered, "stats")
    assert done.returncode == 0
    assert "stored answers  1\n" in done.stdout and "of 67108864\n" in done.stdout and "found           3 of 4 (75.0%)" in done.stdout


def test_stats_do_not_count_what_is_not_stored_as_found(stage, tmp_path):
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(Site("Cache-Control: private")), CACHE="true", DIR=tmp_path)
    for _ in range(4):
        usher.get("/a")
    assert "found           0 of 4 (0.0%)" in cache_command(usher, "stats").stdout


@pytest.mark.parametrize("words,code,says", [
    (["purge"], 2, "usage"), (["purge", "--all", "http://x/"], 2, "usage"), (["stats", "x"], 2, "usage"), (["fly"], 2, "usage"), (["show"], 2, "usage"), (["top", "x"], 2, "usage"),
    (["show", "x"], 1, "is no URL"),
    (["purge", "--all", "--tag", "x"], 2, "usage"), (["purge", "--tag", "a,b"], 1, "is no tag"), (["purge", "--prefix", "x"], 1, "is no URL"),
    (["purge", "not-a-url"], 1, "is no URL"), (["purge", "http://test.example"], 1, "is no URL"), (["purge", "http://a b/"], 1, "is no URL"),
])
def test_wrong_words(administered, words, code, says):
    done = cache_command(administered, *words)
    assert done.returncode == code and says in done.stderr, done.stderr
