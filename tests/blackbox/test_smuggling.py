"""One request in is never two requests out, and never becomes part of somebody else's."""

import pytest

from support import wire
from support.refusal import echoed
from support.wire import chunked


@pytest.fixture(scope="module")
def running(shared):
    origin = shared.origin()
    return shared.usher(ORIGIN=origin), origin


HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a.example\r\n\r\n"
HIDDEN_BODY = b"0\r\n\r\n" + HIDDEN


def post(*fields, body=HIDDEN_BODY, host=b"Host: a.example"):
    return b"\r\n".join([b"POST /outer HTTP/1.1", *([host] if host else []), *fields]) + b"\r\n\r\n" + body


def length(body):
    return b"Content-Length: %d" % len(body)


# Each holds a second request that some reading of the first would set free. What stands
# here may be refused or passed on as one request, but /hidden may never be asked for.
ONE_REQUEST = {
    # Content-Length against Transfer-Encoding
    "cl-te": post(length(HIDDEN_BODY), b"Transfer-Encoding: chunked"),
    "te-cl": post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)),
    "cl-0-te": post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=HIDDEN_BODY),
    "cl-cl": post(b"Content-Length: 0", length(HIDDEN), body=HIDDEN),
    "cl-cl-reversed": post(length(HIDDEN), b"Content-Length: 0", body=HIDDEN),
    "cl-list": post(b"Content-Length: 0, %d" % len(HIDDEN), body=HIDDEN),
    # Codings that one side reads and the other does not
    **{f"te-{number}": post(length(HIDDEN_BODY), field) for number, field in enumerate([
        b"Transfer-Encoding: xchunked", b"Transfer-Encoding:chunked", b"Transfer-Encoding :chunked",
        b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b"Transfer-Encoding:\tchunked",
        b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: chunked\x0b", b"Transfer-Encoding: \x00chunked",
        b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding: 'chunked'", b'Transfer-Encoding: "chunked"',
        b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: ,chunked",
        b"Transfer-Encoding: chunked,", b"Transfer-Encoding: cow", b"Transfer-Encoding: CHUNKED", b"Transfer-Encoding: chunk",
        b"Transfer-Encoding: chunked;foo=bar", b"Transfer-Encoding\x00: chunked", b" Transfer-Encoding: chunked",
        b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding: \xa0chunked", b"Transfer-Encoding: chunked\xff", b"Transfer_Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow", b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
        b"Foo: bar\r\n\tTransfer-Encoding: chunked", b"Transfer-encoding: identity\r\nTransfer-Encoding: chunked",
    ])},
    # Lengths that one side reads and the other does not
    **{f"cl-{number}": post(field, body=HIDDEN) for number, field in enumerate([
        b"Content-Length: +%d" % len(HIDDEN), b"Content-Length : %d" % len(HIDDEN), b"Content-Length: %d," % len(HIDDEN),
        b"Content-Length: 0x%x" % len(HIDDEN), b"Content-Length: %d " % len(HIDDEN), b"Content-Length: %d\x0b" % len(HIDDEN),
        b"Content-Length: %d\x00" % len(HIDDEN), b"Content-Length: -1", b"Content-Length:\r\n %d" % len(HIDDEN),
        b"Content-Length: 18446744073709551616", b"Content-Length: 0%d" % len(HIDDEN), b"Content-Length: 1e2",
        b"Content-Length: %d;a=b" % len(HIDDEN), b"Content-Length: 0 %d" % len(HIDDEN),
        b"X: y\nContent-Length: %d" % len(HIDDEN), b"X: y\rContent-Length: %d" % len(HIDDEN),
        b"Content-Length\x00: %d" % len(HIDDEN), b" Content-Length: %d" % len(HIDDEN),
    ])},
    # Chunk framing
    **{f"chunk-{number}": post(b"Transfer-Encoding: chunked", body=body) for number, body in enumerate([
        b"0\n\r\n" + HIDDEN, b"0\r\n\n" + HIDDEN, b"0\n\n" + HIDDEN, b"0x0\r\n\r\n" + HIDDEN, b"-0\r\n\r\n" + HIDDEN,
        b"+0\r\n\r\n" + HIDDEN, b"5\r\nhello0\r\n\r\n" + HIDDEN, b"5\nhello\n0\n\n" + HIDDEN,
        b"5;\nhello\r\n0\r\n\r\n" + HIDDEN, b"5;a\rb\r\nhello\r\n0\r\n\r\n" + HIDDEN, b"5\r\nhello\n0\r\n\r\n" + HIDDEN,
        b"5\r\nhelloxx0\r\n\r\n" + HIDDEN, b"100000000000000000\r\n\r\n0\r\n\r\n" + HIDDEN,
        b"fffffffffffffffff\r\n0\r\n\r\n" + HIDDEN, b"\r\n0\r\n\r\n" + HIDDEN, b"5 \r\nhello\r\n0\r\n\r\n" + HIDDEN,
        b"2;\nxx\r\n%x\r\n0\r\n\r\n" % 0x45 + HIDDEN, b"0\r\nX: 1\n\r\n" + HIDDEN, b"0\r\nX : 1\r\n\r\n" + HIDDEN,
        b"5\r\r\nhello\r\n0\r\n\r\n" + HIDDEN, b"0;\n\r\n" + HIDDEN, b"0\r \n\r\n" + HIDDEN,
    ])},
    # Whose request it is
    "host-twice": b"GET /outer HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n" + HIDDEN,
    "host-against-target": b"GET http://b.example/outer HTTP/1.1\r\nHost: a.example\r\n\r\n" + HIDDEN,
    "host-with-line": b"GET /outer HTTP/1.1\r\nHost: a.example\nX: y\r\n\r\n" + HIDDEN,
    # Start lines
    "blank-line-in-front": b" \r\nGET /outer HTTP/1.1\r\nHost: a.example\r\n\r\n" + HIDDEN,
    "target-with-line": b"GET /outer\nHost:x HTTP/1.1\r\nHost: a.example\r\n\r\n" + HIDDEN,
    "version-0.9": b"GET /outer\r\n\r\n" + HIDDEN,
    "te-in-1.0": b"POST /outer HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n" + HIDDEN_BODY,
    "te-in-1.0-keep-alive": b"POST /outer HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n" + HIDDEN_BODY,
    # A framing field that Connection would take away
    "connection-names-length": post(b"Connection: Content-Length", length(HIDDEN), body=HIDDEN),
    "connection-names-coding": post(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked",
                                    body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)),
    # A body where one does not expect it
    "get-with-length": b"GET /outer HTTP/1.1\r\nHost: a.example\r\n" + length(HIDDEN) + b"\r\n\r\n" + HIDDEN,
    "get-with-chunks": b"GET /outer HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(HIDDEN),
    "head-with-length": b"HEAD /outer HTTP/1.1\r\nHost: a.example\r\n" + length(HIDDEN) + b"\r\n\r\n" + HIDDEN,
    "delete-with-length": b"DELETE /outer HTTP/1.1\r\nHost: a.example\r\n" + length(HIDDEN) + b"\r\n\r\n" + HIDDEN,
    "options-with-length": b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n" + length(HIDDEN) + b"\r\n\r\n" + HIDDEN,
    # Upgrades that are none
    "upgrade-h2c": b"POST /outer HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                   b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n" + length(HIDDEN) + b"\r\n\r\n" + HIDDEN,
    "upgrade-websocket-with-length": b"GET /outer HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                     b"Sec-WebSocket-Version: 13\r\n" + length(HIDDEN) + b"\r\n\r\n" + HIDDEN,
    # Expect
    "expect-with-length": post(b"Expect: 100-continue", length(HIDDEN), body=HIDDEN),
    "expect-obfuscated": post(b"Expect: x 100-continue", length(HIDDEN), body=HIDDEN),
}



def everything(client):
    """All that comes until the other side closes."""
    data = bytearray()
    try:
        while piece := client.receive(65536):
            data += piece
    except ConnectionResetError:
        pass
    return bytes(data)


@pytest.mark.parametrize("name", ONE_REQUEST)
def test_one_request_is_never_two(running, name):
    usher, origin = running
    data = ONE_REQUEST[name]
    mark = len(origin.requests)
    with usher.connect() as client:
        client.send(data)
        client.half_close()
        answer = everything(client)
    origin.settle()
    asked = [request.target for request in origin.requests[mark:]]
    assert "/hidden" not in asked, f"the origin was asked for {asked}"
    assert len(asked) <= 1
    finals = [piece for piece in answer.split(b"HTTP/1.1 ")[1:] if not piece.startswith(b"1")]
    assert len(finals) <= 1, f"{len(finals)} answers to one request: {answer!r}"
    # And what comes next, perhaps over the same connection to the origin, is not touched.
    assert echoed(usher.get("/next"))["target"] == "/next"


@pytest.mark.parametrize("name", ["get-with-length", "get-with-chunks", "delete-with-length", "connection-names-length",
                                  "connection-names-coding"])
def test_a_hidden_request_is_a_body(running, name):
    usher, origin = running
    with usher.connect() as client:
        client.send(ONE_REQUEST[name])
        got = echoed(client.response())
    assert got["target"] == "/outer"
    assert got["body"] == HIDDEN.decode()
    assert origin.last().target == "/outer"


def test_two_pipelined_requests_are_two(running):
    """The counter-test: what is two requests by every reading arrives as two."""
    usher, origin = running
    mark = len(origin.requests)
    with usher.connect() as client:
        client.send(post(b"Content-Length: 5", body=b"hello") + HIDDEN)
        assert echoed(client.response())["target"] == "/outer"
        assert echoed(client.response())["target"] == "/hidden"
    assert [request.target for request in origin.requests[mark:]] == ["/outer", "/hidden"]


@pytest.mark.parametrize("field", [b"Transfer_Encoding: chunked", b"Content_Length: 500"])
def test_a_field_that_only_looks_like_framing_is_none(running, field):
    usher, _ = running
    with usher.connect() as client:
        client.send(post(b"Content-Length: 5", field, body=b"hello") + HIDDEN)
        first = client.response()
        if first.status == 200:
            assert echoed(first)["body"] == "hello"
            assert echoed(client.response())["target"] == "/hidden"
        else:
            assert first.status == 400
            client.expect_closed()


def test_what_is_sent_on_is_usher_s_own_serialisation(running):
    """Odd but legal spellings of the client do not reach the origin."""
    usher, origin = running
    with usher.connect() as client:
        client.send(b"POST /odd HTTP/1.1\r\nhOST:a.example\r\nX-A:  1\t \r\ntRANSFER-eNCODING:\tcHUNKED \r\n\r\n"
                    b"0005;a=b\r\nhello\r\n00\r\n\r\n")
        echoed(client.response())
    # Over whichever connection to the origin.
    sent, = (bytes(one.received) for one in origin.connections if b"POST /odd " in one.received)
    sent = sent[sent.rindex(b"POST /odd "):]
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /odd HTTP/1.1"
    assert all(wire.TOKEN.match(line.split(b": ")[0]) for line in lines[1:])
    assert sum(line.lower().startswith(b"transfer-encoding: chunked") for line in lines) == 1
    assert body.startswith((b"5\r\nhello\r\n0\r\n\r\n", chunked(b"hello")))


def test_no_answer_goes_to_the_wrong_client(running):
    """A body that is cut off must not eat the next client's request on the same origin connection."""
    usher, origin = running
    for _ in range(20):
        with usher.connect() as client:
            client.send(post(b"Content-Length: 100", body=b"only these"))
            client.half_close()
            everything(client)
        assert echoed(usher.get("/mine"))["target"] == "/mine"
    assert all(request.target != "/outer" or len(request.body) != 100 for request in origin.requests)
