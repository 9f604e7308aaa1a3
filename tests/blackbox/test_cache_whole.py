"""`whole: true`: who asks for a part has the whole fetched, and gets his part of it."""

import threading

import pytest

from support.cache import is_hit
from support.usher import eventually

BODY = "".join(f"{number:07d}\n" for number in range(400_000))  # 3.2 MB
CACHE = "{status: true, whole: true, max_object: 8MiB}"
MEMORY = "cache_memory: 1GiB\n"


def test_a_part_is_taken_from_the_whole(cached):
    usher, site = cached("Cache-Control: max-age=60", body=BODY, cache=CACHE, more=MEMORY)
    answer = usher.get("/", "Range: bytes=100-299")
    assert answer.status == 206 and (answer.body.decode() == BODY[100:300]) is True
    assert answer.get("Content-Range") == f"bytes 100-299/{len(BODY)}" and answer.get("Content-Length") == "200"
    assert not site.asked[0].has("Range")
    eventually(lambda: is_hit(usher, "/", "Range: bytes=3000000-3000009"))
    assert usher.get("/", "Range: bytes=3000000-3000009").body.decode() == BODY[3_000_000:3_000_010]
    assert (usher.get("/").body.decode() == BODY) is True


@pytest.mark.parametrize("first, last", [(0, ""), (1_000_000, ""), (0, 0), (8, len(BODY) + 5)])
def test_parts_that_begin_soon(cached, first, last):
    usher, _ = cached("Cache-Control: max-age=60", body=BODY, cache=CACHE, more=MEMORY)
    answer = usher.get("/", f"Range: bytes={first}-{last}")
    assert answer.status == 206 and (answer.body.decode() == BODY[first:last + 1 if last != "" else None]) is True


@pytest.mark.parametrize("range_", ["3000000-3000009", "-10", "0-9,20-29", f"{len(BODY)}-"])
def test_other_parts_are_asked_for_meanwhile(cached, range_):
    def answer(request, body):
        return "200 OK", ["Cache-Control: max-age=60"], body
    usher, site = cached(body=BODY, cache=CACHE, more=MEMORY)
    site.fields = answer
    assert usher.get("/", f"Range: bytes={range_}").status == 200  # as this server answers
    eventually(lambda: is_hit(usher, "/"))
    assert sorted(request.get("Range", "") for request in site.asked) == ["", f"bytes={range_}"]


def test_who_has_his_part_waits_for_no_rest(cached):
    gate = threading.Event()

    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request)
            connection.send(f"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY[:500]}")
            gate.wait(30)
            connection.send(BODY[500:])
    asked = []
    usher, _ = cached(cache=CACHE, more=MEMORY)
    usher = cached.stage.usher("""
listen: "127.0.0.1:$PORT"
proxy: $ORIGIN
cache: {status: true, whole: true, max_object: 8MiB}
cache_memory: 1GiB
""", ORIGIN=cached.stage.origin(script))
    for part in ((0, 99), (400, 499)):
        assert usher.get("/", f"Range: bytes={part[0]}-{part[1]}").body.decode() == BODY[part[0]:part[1] + 1]
    gate.set()
    eventually(lambda: is_hit(usher, "/"))
    assert len(asked) == 1


@pytest.mark.parametrize("fields", [["Cache-Control: private"], ["Cache-Control: max-age=60", "Set-Cookie: a=b"]])
def test_what_is_not_stored_is_asked_for_by_parts(cached, fields):
    usher, site = cached(*fields, body="12345", cache=CACHE)
    for _ in range(3):
        usher.get("/", "Range: bytes=1-2")
    assert [request.get("Range") for request in site.asked] == [None, "bytes=1-2", "bytes=1-2", "bytes=1-2"]


def test_without_it_parts_pass(cached):
    usher, site = cached("Cache-Control: max-age=60", body="12345")
    usher.get("/", "Range: bytes=1-2")
    assert site.asked[0].get("Range") == "bytes=1-2"


def test_if_range_that_does_not_hold_gets_the_whole(cached):
    usher, _ = cached("Cache-Control: max-age=60", 'ETag: "a"', body="12345", cache=CACHE)
    assert usher.get("/", "Range: bytes=1-2", 'If-Range: "b"').body == b"12345"
    usher, _ = cached("Cache-Control: max-age=60", 'ETag: "a"', body="12345", cache=CACHE)
    assert usher.get("/", "Range: bytes=1-2", 'If-Range: "a"').body == b"23"
