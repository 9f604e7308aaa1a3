"""What stands beside the answer: trailers behind it, interim answers before it."""

import threading

import pytest

from support import language, wire
from support.cache import CONFIG, Crowd, wait_for_all
from support.h2 import H2Client
from support.usher import eventually

HEAD = wire.head("HTTP/1.1 200 OK", "Cache-Control: max-age=60", "Transfer-Encoding: chunked", "Trailer: X-Sum")
TRAILERS = [("X-Sum", "42"), ("X-More", "a b")]


def script_of(asked, trailers, head=HEAD, body=b"hello"):
    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request)
            connection.send(head + wire.chunked(body, trailers=trailers))
    return script


@pytest.fixture
def trailing(stage):
    def start(trailers=TRAILERS, more="", **what):
        asked = []
        return stage.usher(CONFIG + more, ORIGIN=stage.origin(script_of(asked, trailers, **what)), CACHE="{status: true, max_object: 4MiB}"), asked
    return start


def test_section_3_1_trailers_are_stored_and_given_to_who_takes_them(trailing):
    usher, asked = trailing()
    for hit in (False, True, True):
        answer = usher.get("/", "TE: trailers")
        assert answer.body == b"hello" and dict(answer.trailers) == dict(TRAILERS), hit
        assert (answer.get("Cache-Status") == "usher; hit") == hit
        assert not answer.has("X-Sum")
    assert len(asked) == 1


def test_rfc_9110_section_6_5_1_others_do_not_get_them(trailing):
    usher, asked = trailing()
    for _ in range(3):
        answer = usher.get("/")
        assert answer.body == b"hello" and not answer.trailers
    assert answer.get("Content-Length") == "5"
    with usher.connect() as client:
        client.request("GET", "/", "TE: trailers", version="HTTP/1.0")
        assert client.reader.rest().endswith(b"\r\n\r\nhello")
    part = usher.get("/", "TE: trailers", "Range: bytes=1-2")
    assert part.body == b"el" and not part.trailers
    assert usher.ask("HEAD", "/", "TE: trailers").get("Content-Length") == "5"
    assert len(asked) == 1


def test_a_crowd_gets_them(stage):
    go, asked = threading.Event(), []

    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request)
            go.wait(30)
            connection.send(HEAD + wire.chunked(b"hello", trailers=TRAILERS))
    usher = stage.usher(CONFIG, ORIGIN=stage.origin(script), CACHE="{status: true}")
    crowd = Crowd(usher, 20, "/", "TE: trailers")
    wait_for_all(usher, 20)
    go.set()
    assert all(each.body == b"hello" and dict(each.trailers) == dict(TRAILERS) for each in crowd.answers())
    assert len(asked) == 1
    crowd.close()


def test_http_2_has_them_whatever_it_says(stage):
    asked = []
    usher = stage.usher(language.H2C + "cache: true\n", ORIGIN=stage.origin(script_of(asked, TRAILERS)))
    with H2Client(usher.port) as client:
        for _ in range(2):
            stream = client.ask("GET", "/")
            assert bytes(stream.body) == b"hello" and stream.trailers == [(name.lower(), value) for name, value in TRAILERS]
        assert stream.get("content-length") == "5"
    assert len(asked) == 1


def test_a_304_leaves_them(stage):
    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request)
            if request.get("If-None-Match"):
                connection.send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nCache-Control: max-age=60\r\n\r\n")
            else:
                connection.send(wire.head("HTTP/1.1 200 OK", "Cache-Control: max-age=0", 'ETag: "a"', "Transfer-Encoding: chunked")
                                + wire.chunked(b"hello", trailers=TRAILERS))
    asked = []
    usher = stage.usher(CONFIG, ORIGIN=stage.origin(script), CACHE="{status: true}")
    for _ in range(3):
        answer = usher.get("/", "TE: trailers")
        assert answer.body == b"hello" and dict(answer.trailers) == dict(TRAILERS)
    assert len(asked) == 2


@pytest.mark.parametrize("trailers", [[(f"X-{number}", "1") for number in range(33)], [("X-Long", "x" * 5000)]])
def test_too_many_are_left_out(trailing, trailers):
    usher, asked = trailing(trailers)
    for _ in range(2):
        answer = usher.get("/", "TE: trailers")
        assert answer.body == b"hello" and not answer.trailers
    assert len(asked) == 1


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_trailers_lie_on_the_disk_too(trailing, tmp_path, size):
    more = f'cache_memory: 1MiB\ncache_disk: "{tmp_path}/disk"\n'
    usher, asked = trailing(more=more, body=b"x" * size)
    assert dict(usher.get("/", "TE: trailers").trailers) == dict(TRAILERS)
    eventually(lambda: list((tmp_path / "disk").glob("??/*")))
    usher.stop()
    again, asked = trailing(more=more)
    answer = again.get("/", "TE: trailers")
    assert answer.body == b"x" * size and dict(answer.trailers) == dict(TRAILERS) and not asked


# --- Interim answers: RFC 9110 section 15.2

def hinting(go, asked):
    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request)
            connection.send(wire.head("HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload"))
            go.wait(30)
            connection.answer("hello", "Cache-Control: max-age=60")
    return script


def test_early_hints_reach_all_who_wait(stage):
    go, asked = threading.Event(), []
    usher = stage.usher(CONFIG, ORIGIN=stage.origin(hinting(go, asked)), CACHE="{status: true}")
    crowd = Crowd(usher, 20)
    for client in crowd.clients:  # before there is an answer
        hints = client.response_head()
        assert hints.status == 103 and hints.get("Link") == "</a.css>; rel=preload"
    late = Crowd(usher, 5)
    for client in late.clients:
        assert client.response_head().status == 103
    go.set()
    assert {each.body for each in crowd.answers() + late.answers()} == {b"hello"}
    hit = usher.get("/")
    assert hit.get("Cache-Status") == "usher; hit" and not hit.interim and len(asked) == 1
    crowd.close()
    late.close()


def test_http_1_0_gets_no_interim_answer(stage):
    go = threading.Event()
    go.set()
    usher = stage.usher(CONFIG, ORIGIN=stage.origin(hinting(go, [])), CACHE="true")
    with usher.connect() as client:
        client.request("GET", "/", version="HTTP/1.0")
        assert client.reader.rest().startswith(b"HTTP/1.1 200")


def test_who_leaves_at_a_hint_holds_up_nobody(stage):
    go, asked = threading.Event(), []
    usher = stage.usher(CONFIG, ORIGIN=stage.origin(hinting(go, asked)), CACHE="{status: true}")
    crowd = Crowd(usher, 10)
    for client in crowd.clients[:5]:
        client.response_head()
        client.reset()
    go.set()
    assert {client.response().body for client in crowd.clients[5:]} == {b"hello"} and len(asked) == 1
