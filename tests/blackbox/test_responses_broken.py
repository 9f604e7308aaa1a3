"""Origins that lie: what is broken never reaches a client as if it were whole."""

import threading

import pytest

from support import wire
from support.client import PATIENCE
from support.origin import answering, once, steps
from support.refusal import echoed


def whole_then(connection, data, close=True):
    """Answers one request with bytes, and every other one with its target."""
    connection.read_request()
    connection.send(data)
    if close:
        return
    while (request := connection.read_request()) is not None:
        connection.answer(request.target)


# Each is refused as a whole: the client gets 502, and its connection goes on.
BAD_HEADS = {
    "nothing": b"",
    "garbage": b"\x00\x01\x02 nonsense\r\n\r\n",
    "not-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "version-0.9": b"<html>hello</html>",
    "version-2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "lower-case": b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "status-of-letters": b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok",
    "status-of-two-digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    "status-of-four-digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    "status-zero": b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok",
    "status-negative": b"HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\nok",
    "two-blanks": b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
    "head-cut": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
    "status-line-cut": b"HTTP/1.1 20",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "bare-lf-in-field": b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\nok",
    "bare-cr-in-field": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "fold": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "blank-before-colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "no-colon": b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok",
    "no-name": b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok",
    "nul-in-field": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "control-in-field": b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok",
    "nul-in-reason": b"HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok",
    "length-and-coding": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "two-lengths-the-same": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "list-of-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "length-negative": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "length-with-plus": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "length-hexadecimal": b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
    "length-empty": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
    "length-too-large": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
    "coding-gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    "coding-identity": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
    "coding-gzip-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "coding-chunked-gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "coding-chunked-twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "coding-obfuscated": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "coding-in-1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "head-too-large": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "too-many-fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"Content-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_bad_head_becomes_502(proxy, name):
    usher, origin = proxy(once(BAD_HEADS[name]))
    with usher.connect() as client:
        # POST, so that nothing is tried again (RFC 9110 section 9.2.2).
        response = client.ask("POST", "/", body=b"hello")
        assert response.status == 502, response
        assert b"ok" != response.body
        assert client.ask("POST", "/", body=b"again").status == 502, "the client's connection goes on"
    assert len(origin.connections) == 2, "a connection that lied is never used again"


# Each begins well and goes wrong in the body: the client must see that it is not whole.
CUT_BODIES = {
    "length-short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly these",
    "length-nothing": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    "chunks-cut-before-the-end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "chunks-cut-in-data": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "chunks-cut-in-size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1",
    "chunks-cut-in-trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n",
    "chunks-cut-before-last-line": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    "chunks-with-bad-size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n",
    "chunks-with-lf": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
    "chunks-with-data-too-long": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
    "chunks-with-size-too-large": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello",
    "chunks-with-bad-trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nbad\r\n\r\n",
    "chunks-with-endless-extension": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 200_000,
}


def assert_not_whole(client, method="GET"):
    """The next response is an error of usher's own, or ends in a way that shows that it is not whole."""
    try:
        response = client.response(method)
    except (wire.Ended, ConnectionResetError):
        return None
    assert response.status in (502, 504), f"a broken answer passed for a whole one: {response}"
    return response


@pytest.mark.parametrize("name", CUT_BODIES)
def test_cut_body_is_not_passed_off_as_whole(proxy, name):
    usher, _ = proxy(once(CUT_BODIES[name]))
    with usher.connect() as client:
        client.request()
        assert_not_whole(client)


@pytest.mark.parametrize("name", CUT_BODIES)
def test_cut_body_is_not_passed_off_as_whole_to_version_1_0(proxy, name):
    """A 1.0 client knows an end only by the connection's: that end must be a reset."""
    usher, _ = proxy(once(CUT_BODIES[name]))
    with usher.connect() as client:
        client.send("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        assert_not_whole(client)


@pytest.mark.parametrize("name", ["length-short", "chunks-cut-before-the-end", "chunks-with-bad-size"])
def test_reset_within_a_body(proxy, name):
    usher, _ = proxy(steps("read", CUT_BODIES[name], "reset"))
    with usher.connect() as client:
        client.request()
        assert_not_whole(client)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Len"])
def test_reset_before_the_head(proxy, data):
    usher, _ = proxy(steps("read", *([data] if data else []), "reset"))
    assert usher.ask("POST", "/", body=b"hello").status == 502


def test_reset_before_the_request(proxy):
    usher, _ = proxy(steps("reset"))
    assert usher.ask("POST", "/", body=b"hello").status == 502


def test_close_before_the_request(proxy):
    usher, _ = proxy(steps("close"))
    assert usher.ask("POST", "/", body=b"hello").status == 502


def test_body_longer_than_its_length(proxy):
    """What is too much goes to nobody, and the connection is not used again."""
    def script(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 2") + b"ok"
                        + wire.head("HTTP/1.1 200 OK", "Content-Length: 6") + b"forged")
        while (request := connection.read_request()) is not None:
            connection.answer(request.target)

    usher, origin = proxy(script)
    for _ in range(5):
        assert usher.get().body == b"ok"
    assert len(origin.connections) == 5


def test_more_behind_the_last_chunk(proxy):
    def script(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + wire.chunked(b"ok")
                        + wire.head("HTTP/1.1 200 OK", "Content-Length: 6") + b"forged")
        connection.wait_for_end()

    usher, origin = proxy(script)
    for _ in range(5):
        assert usher.get().body == b"ok"
    assert len(origin.connections) == 5


def test_answers_twice_a_little_later(proxy):
    """A second answer on an idle connection belongs to nobody."""
    sent = threading.Event()
    first = threading.Event()

    def script(connection):
        request = connection.read_request()
        if connection.number == 0:
            connection.answer("one")
            assert first.wait(30)
            connection.answer("forged")
            sent.set()
            connection.wait_for_end()
            return
        while request is not None:
            connection.answer(request.target)
            request = connection.read_request()

    usher, _ = proxy(script)
    with usher.connect() as client:
        assert client.ask("GET", "/1").body == b"one"
        first.set()
        assert sent.wait(30)
        for number in range(5):
            assert client.ask("GET", f"/mine{number}").body == f"/mine{number}".encode()


def test_answer_before_the_request(proxy):
    """What an origin says before it was asked is no answer (RFC 9112 section 9.2)."""
    ended = threading.Semaphore(0)

    def script(connection):
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 6") + b"forged")
        try:
            if (request := connection.read_request()) is not None:
                connection.answer(request.target)
                assert connection.read_request() is None
        except OSError:
            pass  # a close with the answer unread resets
        finally:
            ended.release()

    usher, _ = proxy(script)
    for number in range(20):
        # The request that opened the connection is given what came first; the answer that
        # follows unasked costs the connection.
        response = usher.ask("POST", f"/{number}", body=b"hello")
        assert response.status == 502 or response.body in (b"forged", f"/{number}".encode())
        assert ended.acquire(timeout=PATIENCE)


def test_many_kinds_of_failure_leave_the_rest_alone(proxy):
    """A healthy exchange beside broken ones, on the same usher."""
    bad = list(BAD_HEADS.values()) + list(CUT_BODIES.values())

    def script(connection):
        while (request := connection.read_request()) is not None:
            if request.target.startswith("/bad"):
                connection.send(bad[int(request.target[4:])])
                return
            connection.answer(request.target)

    usher, _ = proxy(script)
    for number in range(len(bad)):
        with usher.connect() as client:
            client.request("POST", f"/bad{number}", body=b"x")
            assert_not_whole(client)
        assert usher.get(f"/good{number}").body == f"/good{number}".encode()


ODD_BUT_RIGHT = {
    "no-reason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200),
    "own-status": (b"HTTP/1.1 299 Fine\r\nContent-Length: 2\r\n\r\nok", 299),
    "status-599": (b"HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\nok", 599),
    "long-reason": (b"HTTP/1.1 200 " + b"very " * 50 + b"fine\r\nContent-Length: 2\r\n\r\nok", 200),
    "latin-reason": (b"HTTP/1.1 200 \xc4hm\r\nContent-Length: 2\r\n\r\nok", 200),
    "chunked-in-capitals": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
    "length-with-zeros": (b"HTTP/1.1 200 OK\r\nContent-Length: 0002\r\n\r\nok", 200),
    "large-head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\nContent-Length: 2\r\n\r\nok", 200),
}


@pytest.mark.parametrize("name", ODD_BUT_RIGHT)
def test_odd_but_right(proxy, name):
    data, status = ODD_BUT_RIGHT[name]
    usher, _ = proxy(answering(data))
    with usher.connect() as client:
        for _ in range(2):
            response = client.ask()
            assert (response.status, response.body) == (status, b"ok")


def test_own_errors_tell_why(proxy):
    usher, _ = proxy(once(BAD_HEADS["two-lengths"]))
    response = usher.get("/", "Accept: application/json")
    assert response.status == 502
    assert response.get("content-type").startswith("application/json")
    assert response.get("x-request-id") in response.body.decode()
    assert "response_bad" in response.body.decode()


def test_echo_is_sound(proxy):
    """The counter-test to all of the above."""
    usher, _ = proxy()
    assert echoed(usher.get("/x"))["target"] == "/x"
