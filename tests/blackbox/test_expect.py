"""Expect: 100-continue, and interim responses: 100, 102, 103 (RFC 9110 sections 10.1.1 and 15.2)."""

import threading

from support import wire
from support.origin import answering
from support.refusal import assert_refused, echoed

EXPECT = ("Expect", "100-continue")


def head(*fields, version="HTTP/1.1"):
    return wire.head(f"POST / {version}", "Host: a.example", "Content-Length: 5", *fields)


def test_client_that_waits_for_100(proxy):
    """An origin that says 100: the client hears it before it has sent a byte of the body."""
    def script(connection):
        request = connection.read_head()
        assert request.get("expect") == "100-continue"
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)
        connection.answer(request.body)

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.send(head(EXPECT))
        assert client.response_head().status == 100
        client.send(b"hello")
        response = client.response()
        assert (response.status, response.body) == (200, b"hello")
        assert not response.interim, "100 comes once"


def test_origin_that_never_says_100(proxy):
    """The client is not left waiting: usher asks for the body itself after a while."""
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(head(EXPECT))
        assert client.response_head().status == 100
        client.send(b"hello")
        assert echoed(client.response())["body"] == "hello"
        assert echoed(client.ask("GET", "/next"))["target"] == "/next"


def test_client_that_does_not_wait(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(head(EXPECT) + b"hello")
        response = client.response()
        assert echoed(response)["body"] == "hello"
        assert echoed(client.ask("GET", "/next"))["target"] == "/next"


def test_origin_refuses_without_the_body(proxy):
    """The final answer comes without 100, and the client never sends the body."""
    def script(connection):
        connection.read_head()
        connection.answer("too large", "Connection: close", status="413 Content Too Large")
        connection.half_close()
        connection.wait_for_end()

    usher, origin = proxy(script)
    with usher.connect() as client:
        client.send(head(EXPECT))
        response = client.response()
        assert (response.status, response.body) == (413, b"too large")
        assert not response.interim
    assert b"hello" not in origin.received


def test_answer_of_usher_itself_needs_no_body(stage):
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
respond: {status: 403, body: "no"}
""")
    with usher.connect() as client:
        client.send(head(EXPECT))
        response = client.response()
        assert response.status == 403
        assert not response.interim


def test_unknown_expectation(proxy):
    usher, origin = proxy()
    assert_refused(usher, origin, head(("Expect", "miracles")), statuses=(417,))


def test_expectation_in_other_case(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(head(("Expect", "100-Continue")))
        assert client.response_head().status == 100
        client.send(b"hello")
        assert echoed(client.response())["body"] == "hello"


def test_expectation_of_version_1_0_is_ignored(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(head(EXPECT, version="HTTP/1.0") + b"hello")
        response = client.response()
        assert not response.interim
        assert echoed(response)["body"] == "hello"


def test_expectation_without_a_body(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(wire.head("GET / HTTP/1.1", "Host: a.example", EXPECT))
        assert echoed(client.response())["method"] == "GET"


def test_expectation_with_chunks(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked", EXPECT))
        assert client.response_head().status == 100
        client.send(wire.chunked(b"hel", b"lo"))
        assert echoed(client.response())["body"] == "hello"


def test_early_hints_come_early(proxy):
    """103 is with the client before the origin has made up its mind."""
    go = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload", "Link: </b.js>; rel=preload"))
        assert go.wait(30)
        connection.answer("page")

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.request()
        hints = client.response_head()
        assert hints.status == 103
        assert hints.all("link") == ["</a.css>; rel=preload", "</b.js>; rel=preload"]
        go.set()
        assert client.response().body == b"page"
        client.request()
        assert client.response_head().status == 103


def test_many_interim_responses(proxy):
    interim = b"".join(wire.head("HTTP/1.1 102 Processing", f"X-Step: {number}") for number in range(20))
    usher, _ = proxy(answering(interim + wire.head("HTTP/1.1 200 OK", "Content-Length: 2") + b"ok"))
    with usher.connect() as client:
        for _ in range(2):
            response = client.ask()
            assert response.body == b"ok"
            assert [one.get("x-step") for one in response.interim] == [str(number) for number in range(20)]


def test_interim_responses_are_bounded(proxy):
    """An origin that never comes to an end does not hold a client for ever."""
    def script(connection):
        connection.read_request()
        while True:
            connection.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.request()
        response = client.response()
        assert response.status == 502
        assert len(response.interim) < 100_000


def test_interim_responses_do_not_reach_version_1_0(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 103 Early Hints", "Link: </a.css>")
                               + wire.head("HTTP/1.1 200 OK", "Content-Length: 2") + b"ok"))
    with usher.connect() as client:
        client.send("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        response = client.response()
        assert not response.interim
        assert response.body == b"ok"


def test_interim_response_and_then_nothing(proxy):
    def script(connection):
        connection.read_request()
        connection.send(wire.head("HTTP/1.1 103 Early Hints", "Link: </a.css>"))

    usher, _ = proxy(script)
    with usher.connect() as client:
        response = client.ask()
        assert response.status == 502
        assert [one.status for one in response.interim] == [103]


def test_hop_by_hop_fields_of_interim_responses_stay(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 103 Early Hints", "Link: </a.css>", "Connection: X-Hop", "X-Hop: 1")
                               + wire.head("HTTP/1.1 200 OK", "Content-Length: 2") + b"ok"))
    hints = usher.get().interim[0]
    assert hints.has("link")
    assert not hints.has("x-hop")


def test_switching_protocols_without_being_asked(proxy):
    """101 to a request without Upgrade is a broken origin (RFC 9110 section 15.2.2)."""
    usher, _ = proxy(answering(wire.head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: x")))
    assert usher.get().status == 502
