"""Methods and statuses that decide what is a body: HEAD, 204, 304, CONNECT, and the rest."""

import pytest

from support import wire
from support.origin import answering
from support.refusal import echoed


def test_head_has_no_body_whatever_its_fields_say(proxy):
    usher, origin = proxy(answering(wire.head("HTTP/1.1 200 OK", "Content-Length: 12345", "X-A: 1")))
    with usher.connect() as client:
        for _ in range(3):
            response = client.ask("HEAD", "/x")
            assert response.get("content-length") == "12345"
            assert response.get("x-a") == "1"
            assert response.body == b""
    assert {request.method for request in origin.requests} == {"HEAD"}


def test_head_of_something_chunked(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")))
    with usher.connect() as client:
        for _ in range(3):
            assert client.ask("HEAD").status == 200


def test_head_of_something_that_ends_with_the_connection(proxy):
    def script(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 200 OK", "Connection: close"))

    usher, _ = proxy(script)
    with usher.connect() as client:
        for _ in range(3):
            assert client.ask("HEAD").status == 200


def test_head_answered_by_usher_itself(stage):
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
respond: {status: 200, body: "a body"}
""")
    with usher.connect() as client:
        assert client.ask("HEAD").get("content-length", "6") == "6"
        assert client.ask("GET").body == b"a body"


def test_204_has_no_body(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 204 No Content", "X-A: 1")))
    with usher.connect() as client:
        for _ in range(3):
            response = client.ask("DELETE", "/x")
            assert (response.status, response.get("x-a")) == (204, "1")


@pytest.mark.parametrize("fields", [["Content-Length: 0"], ["Content-Length: 5"], ["Transfer-Encoding: chunked"]])
def test_204_with_framing_fields(proxy, fields):
    """The fields do not count, and are not passed on (RFC 9110 section 8.6)."""
    def script(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 204 No Content", *fields))

    usher, _ = proxy(script)
    with usher.connect() as client:
        for _ in range(2):
            response = client.ask()
            assert response.status in (204, 502)
            if response.status == 502:
                return


def test_304_keeps_its_length_and_has_no_body(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 304 Not Modified", "Content-Length: 500", 'ETag: "a"')))
    with usher.connect() as client:
        for _ in range(3):
            response = client.ask("GET", "/", ("If-None-Match", '"a"'))
            assert response.status == 304
            assert response.get("etag") == '"a"'
            assert response.body == b""


def test_205_has_an_empty_body(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 205 Reset Content", "Content-Length: 0")))
    with usher.connect() as client:
        for _ in range(2):
            assert client.ask("POST", "/").status == 205


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_bytes_behind_a_response_without_body_go_to_nobody(proxy, status):
    """They must not become the answer to the next request."""
    forged = wire.head("HTTP/1.1 200 OK", "Content-Length: 6") + b"forged"

    def script(connection):
        first = connection.read_request()
        connection.send(wire.head(f"HTTP/1.1 {status}") + forged)
        while (request := connection.read_request()) is not None:
            connection.answer(request.target)
        assert first

    usher, _ = proxy(script)
    with usher.connect() as client:
        for _ in range(5):
            response = client.ask("GET", "/mine")
            assert response.status in (int(status[:3]), 502)
            assert response.body != b"forged"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "M-SEARCH", "get"])
def test_method_is_passed_on(proxy, method):
    usher, _ = proxy()
    with usher.connect() as client:
        got = echoed(client.ask(method, "/x"))
        assert (got["method"], got["body"]) == (method, "")
        got = echoed(client.ask(method, "/x", body=b"hello"))
        assert (got["method"], got["body"]) == (method, "hello")


def test_options_of_the_server(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        assert echoed(client.ask("OPTIONS", "*"))["target"] == "*"


def test_post_without_body_has_a_length(proxy):
    """An origin must not have to guess (RFC 9110 section 8.6)."""
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Content-Length: 0"))
        got = echoed(client.response())
    assert ["content-length", "0"] in [[name.lower(), value] for name, value in got["headers"]]


def test_get_without_body_has_no_framing(proxy):
    usher, origin = proxy()
    assert echoed(usher.get())["framing"] == "none"
    assert not origin.last().has("content-length")
    assert not origin.last().has("transfer-encoding")


@pytest.mark.parametrize("method,target", [("CONNECT", "a.example:443"), ("TRACE", "/")])
def test_connect_and_trace_are_not_served(proxy, method, target):
    """usher stands in front of origins that are known: it is no way out to others, nor a mirror."""
    usher, origin = proxy()
    with usher.connect() as client:
        client.send(wire.head(f"{method} {target} HTTP/1.1", "Host: a.example:443" if method == "CONNECT" else "Host: a.example"))
        response = client.response(method)
        assert response.status == 501
        assert b"not_implemented" in response.body
    origin.settle()
    assert not origin.connections
