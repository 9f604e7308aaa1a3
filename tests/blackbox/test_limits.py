"""The handler `limits`: how large the body of a request may be."""

import pytest

from support import wire
from support.refusal import echoed

LIMITED = """
listen: "127.0.0.1:$PORT"
access_log: off
limits: {body: 1KiB}
routes:
  - {path: /up/, limits: {body: off}}
  - {path: /small/, limits: {body: 10}}
  - {}
proxy: $ORIGIN
"""

CHUNKED = "Transfer-Encoding: chunked"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def refused(client):
    response = client.response()
    assert response.status == 413
    assert b"body_too_large" in response.body
    return response


@pytest.mark.parametrize("path,limit", [("/", 1024), ("/small/", 10)])
def test_length_up_to_the_limit(proxy, path, limit):
    usher, origin = proxy(config=LIMITED)
    assert len(echoed(usher.ask("POST", path, body=b"x" * limit))["body"]) == limit
    before = len(origin.received)
    with usher.connect() as client:
        client.send(wire.head(f"POST {path} HTTP/1.1", "Host: a.example", f"Content-Length: {limit + 1}"))
        refused(client)
    assert len(origin.received) == before, "nothing of it reaches the server"
    usher.wait_for_error(r"limits\.body")


def test_no_limit(proxy):
    usher, _ = proxy(config=LIMITED)
    assert len(echoed(usher.ask("POST", "/up/", body=b"x" * 100_000))["body"]) == 100_000


def test_100_is_not_asked_for(proxy):
    usher, origin = proxy(config=LIMITED)
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Content-Length: 5000", "Expect: 100-continue"))
        assert not refused(client).interim
    assert origin.received == b""


def test_chunks_up_to_the_limit(proxy):
    usher, _ = proxy(config=LIMITED)
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", CHUNKED) + chunk(b"x" * 1000) + chunk(b"y" * 24) + b"0\r\n\r\n")
        assert len(echoed(client.response())["body"]) == 1024


def test_chunks_beyond_the_limit(proxy):
    """The client gets 413, and the server never a whole request."""
    usher, origin = proxy(config=LIMITED)
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", CHUNKED) + chunk(b"x" * 1000) + chunk(b"y" * 25))
        refused(client)
    origin.settle()
    assert not origin.requests
    usher.wait_for_error(r"limits\.body")


def test_chunks_that_go_on_later(proxy):
    """The head and a part are on their way to the server when it becomes too much."""
    def script(connection):
        request = connection.read_head()
        if request is not None:
            connection.reader.exactly(10)  # the first chunk, at least
            connection.wait_for_end()

    usher, origin = proxy(script, LIMITED)
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", CHUNKED) + chunk(b"x" * 1000))
        origin.next_request()
        client.send(chunk(b"y" * 25))
        refused(client)


def test_response_that_has_begun_is_cut(proxy):
    """A server that waits for the rest of the request does not leave the client waiting, too."""
    def script(connection):
        request = connection.read_head()
        if request is None:
            return
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        connection.wait_for_end()

    usher, _ = proxy(script, LIMITED + "timeouts: {read: 1s}\n")
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", CHUNKED) + chunk(b"x" * 1000))
        assert client.response_head().status == 200
        assert client.reader.exactly(5) == b"begun"
        client.send(chunk(b"y" * 25))
        client.expect_closed()
