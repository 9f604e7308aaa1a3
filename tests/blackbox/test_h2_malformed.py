"""Malformed HTTP/2 messages (RFC 9113 sections 8.1 to 8.5): refused each on its own stream, and no server hears of them."""

import pytest

from support import language
from support.h2 import DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, H2Client, as_fields, literal
from support.refusal import echoed

HEAD = [(":method", "GET"), (":scheme", "http"), (":authority", "test.example"), (":path", "/")]
# What a malformed request gets: an error of its stream (section 8.1.1), with or without an answer before.
REFUSED = (400, ("reset", "PROTOCOL_ERROR"))


@pytest.fixture(scope="module")
def front(shared):
    """usher for HTTP/2 clients, in front of a server that speaks HTTP/1.1: (usher, origin)."""
    origin = shared.origin()
    return shared.usher(language.H2C, ORIGIN=origin), origin


def without(*names):
    return [field for field in HEAD if field[0] not in names]


def replaced(name, value):
    return [(key, value if key == name else old) for key, old in HEAD]


def whole(origin):
    origin.settle()
    return len(origin.requests)


def assert_lives(client):
    """The connection serves the next request as if nothing had been."""
    assert client.ask("GET", "/after").status == 200


def assert_refused(front, fields, outcomes=REFUSED, end=True, data=None):
    usher, origin = front
    before = len(origin.received)
    with H2Client(usher.port) as client:
        stream = client.open(None, end=end, block=literal(fields))
        stream.sent_method = dict(as_fields(fields)).get(b":method", b"").decode("latin-1")
        if data is not None:
            client.send_data(stream, data, end=True)
        outcome = client.outcome(stream)
        assert outcome in outcomes, f"{outcome} for {fields}"
        assert len(origin.received) == before, f"the origin got {origin.received[before:]!r}"
        if stream.has_head:
            client.wait(lambda: stream.over, "the end of the answer")
        assert_lives(client)


@pytest.mark.parametrize("name", [
    b"X-Upper", b"x-uppeR", b"", b"x y", b"x:y", b":", b"x\x00", b"x\r", b"x\n", b"x\t", b"x\x7f", b"x\xe9", b"x(", b"x\"", b"x,y",
    b"x\r\nx-injected: 1\r\nx",
])
def test_field_names(front, name):
    """Section 8.2.1: tokens in lower case."""
    assert_refused(front, [*HEAD, (name, b"value")])


@pytest.mark.parametrize("value", [
    b"a\x00b", b"a\rb", b"a\nb", b"a\r\nx-injected: 1", b" a", b"a ", b"\ta", b"a\t", b"\x00", b"\r\n\r\nGET / HTTP/1.1\r\n",
])
def test_field_values(front, value):
    """Section 8.2.1: no CR, LF, NUL; no space around."""
    assert_refused(front, [*HEAD, (b"x-field", value)])


@pytest.mark.parametrize("pseudo", [":method", ":scheme", ":authority", ":path"])
@pytest.mark.parametrize("value", [b"a\r\nx-injected: 1", b"/\x00", b"/ HTTP/1.1\r\n\r\n", b"a b", b"/a b", b"\n", b"/\x7f"])
def test_values_of_pseudo_fields(front, pseudo, value):
    assert_refused(front, replaced(pseudo, value))


@pytest.mark.parametrize("field", [
    ("connection", "close"), ("connection", "x-field"), ("proxy-connection", "keep-alive"), ("keep-alive", "timeout=5"),
    ("transfer-encoding", "chunked"), ("transfer-encoding", "identity"), ("upgrade", "websocket"), ("upgrade", "h2c"), ("te", "gzip"),
    ("te", "trailers, gzip"), ("te", ""),
], ids=": ".join)
def test_fields_of_a_connection(front, field):
    """Section 8.2.2."""
    assert_refused(front, [*HEAD, field])


def test_te_may_say_trailers(front):
    usher, origin = front
    with H2Client(usher.port) as client:
        assert client.ask("GET", "/te", ("te", "trailers")).status == 200
    assert origin.last().tokens("te") in ([], ["trailers"])


@pytest.mark.parametrize("fields", [
    without(":method"), without(":scheme"), without(":path"),
    [*HEAD, (":method", "GET")], [*HEAD, (":scheme", "http")], [*HEAD, (":path", "/")], [*HEAD, (":authority", "test.example")],
    [*HEAD, (":path", "/other")],
    [*HEAD, (":status", "200")], [*HEAD, (":unknown", "x")], [*HEAD, (":protocol", "websocket")],
    [("x-field", "first"), *HEAD], [*HEAD[:2], ("x-field", "between"), *HEAD[2:]], [*HEAD[:3], ("accept", "*/*"), HEAD[3]],
    replaced(":method", ""), replaced(":method", "GE T"), replaced(":method", "G\"T"), replaced(":method", "GÉT"),
    replaced(":scheme", ""), replaced(":scheme", "ht tp"),
    replaced(":path", ""), replaced(":path", "no-slash"), replaced(":path", "/#fragment"), replaced(":path", "*"),
    replaced(":path", "http://test.example/"), replaced(":path", "/%00"), replaced(":path", "/%zz"),
], ids=str)
def test_pseudo_fields(front, fields):
    """Section 8.3.1, and targets as HTTP/1.1 has them."""
    assert_refused(front, fields)


@pytest.mark.parametrize("fields", [
    without(":authority"),
    replaced(":authority", ""), replaced(":authority", "user@test.example"), replaced(":authority", "user:word@test.example"),
    replaced(":authority", "a b"), replaced(":authority", "a/b"), replaced(":authority", "a.example:port"),
    replaced(":authority", "a.example, b.example"), replaced(":authority", "[::1"), replaced(":authority", "a.example:99999"),
    [*HEAD, ("host", "other.example")], [*HEAD, ("host", "test.example"), ("host", "test.example")],
    [*without(":authority"), ("host", "a.example"), ("host", "b.example")], [*without(":authority"), ("host", "u@a.example")],
    [*HEAD, ("host", "test.example:81")], [*HEAD, ("host", "")],
], ids=str)
def test_authority_and_host(front, fields):
    assert_refused(front, fields)


@pytest.mark.parametrize("fields", [
    [*HEAD, ("host", "test.example")], [*without(":authority"), ("host", "test.example")], [*HEAD, ("host", "TEST.example")],
], ids=str)
def test_authority_and_host_that_agree(front, fields):
    usher, origin = front
    with H2Client(usher.port) as client:
        stream = client.response(client.open(None, block=literal(fields)))
        assert stream.status == 200
    assert [value.lower() for value in origin.last().all("host")] == ["test.example"]


@pytest.mark.parametrize("fields", [
    [(":method", "CONNECT"), (":authority", "test.example:443"), (":path", "/"), (":scheme", "http")],
    [(":method", "CONNECT"), (":authority", "test.example:443"), (":path", "/")],
    [(":method", "CONNECT"), (":authority", "test.example:443"), (":scheme", "http")],
    [(":method", "CONNECT")],
    [(":method", "CONNECT"), (":protocol", "websocket"), (":authority", "test.example")],
    [(":method", "CONNECT"), (":protocol", "websocket"), (":authority", "test.example"), (":scheme", "http")],
    [(":method", "CONNECT"), (":protocol", ""), (":authority", "test.example"), (":scheme", "http"), (":path", "/")],
], ids=str)
def test_malformed_connect(front, fields):
    """Section 8.5, and RFC 8441 section 4."""
    assert_refused(front, fields, (*REFUSED, 405, 501))


def test_connect_is_refused(front):
    """What usher is no proxy for: a tunnel to anywhere."""
    assert_refused(front, [(":method", "CONNECT"), (":authority", "test.example:443")], (*REFUSED, 405, 501))


@pytest.mark.parametrize("lengths", [["abc"], ["-1"], ["+5"], ["1, 2"], ["1", "2"], [""], ["5 5"], ["0x5"], ["99999999999999999999"]],
                         ids=str)
def test_lengths_that_are_no_numbers(front, lengths):
    assert_refused(front, replaced(":method", "POST") + [("content-length", each) for each in lengths], end=False, data=b"12345")


@pytest.mark.parametrize("length, data", [(5, None), (5, b"123"), (3, b"12345"), (6, b"")], ids=str)
def test_lengths_that_are_not_true(front, length, data):
    """Section 8.1.1: the server sees a request that breaks off, or none; never a whole one."""
    usher, origin = front
    before = whole(origin)
    with H2Client(usher.port) as client:
        fields = replaced(":method", "POST") + [("content-length", str(length))]
        stream = client.open(None, end=data is None, block=literal(fields))
        if data is not None:
            client.send_data(stream, data, end=True)
        assert client.outcome(stream) in REFUSED
        assert whole(origin) == before
        if stream.has_head:
            client.wait(lambda: stream.over, "the end of the answer")
        assert_lives(client)
    assert [request.target for request in origin.requests[before:]] == ["/after"]


def test_data_behind_a_length_of_nothing(front):
    """The server may have had the request, which was whole without data; the client learns of its error, if that comes
    before the answer does."""
    usher, _ = front
    with H2Client(usher.port) as client:
        with client.in_one_write():
            stream = client.open(None, end=False, block=literal(replaced(":method", "POST") + [("content-length", "0")]))
            client.send_data(stream, b"1", end=True)
        assert client.outcome(stream) in REFUSED
        assert_lives(client)


def test_length_over_several_frames(front):
    usher, origin = front
    before = whole(origin)
    with H2Client(usher.port) as client:
        stream = client.open(None, end=False, block=literal(replaced(":method", "POST") + [("content-length", "10")]))
        for _ in range(3):
            client.send_data(stream, b"1234")
        assert client.outcome(stream) in REFUSED
        assert_lives(client)
    assert [request.target for request in origin.requests[before:]] == ["/after"]


@pytest.mark.parametrize("trailers", [
    [(":path", "/")], [(":status", "200")], [("X-Upper", "a")], [("connection", "close")], [("x", "a\r\nb: c")], [("x", "a\x00")],
    [("transfer-encoding", "chunked")], [("", "a")],
], ids=str)
def test_malformed_trailers(front, trailers):
    """Section 8.1: without pseudo-fields, and as any other fields."""
    usher, origin = front
    before = whole(origin)
    with H2Client(usher.port) as client:
        stream = client.open(client.pseudo("POST", "/malformed"), end=False)
        client.send_data(stream, b"data")
        client.send_fields(stream.id, None, end=True, block=literal(trailers))
        assert client.outcome(stream) in REFUSED
        if stream.has_head:
            client.wait(lambda: stream.over, "the end of the answer")
        assert_lives(client)
    origin.settle()
    assert [request.target for request in origin.requests[before:]] == ["/after"]


def test_trailers_that_do_not_end_the_stream(front):
    usher, origin = front
    before = whole(origin)
    with H2Client(usher.port) as client:
        stream = client.open(client.pseudo("POST", "/malformed"), end=False)
        client.send_fields(stream.id, [("x-trailer", "a")], end=False)
        assert client.outcome(stream) in (*REFUSED, ("goaway", "PROTOCOL_ERROR"))
    origin.settle()
    assert len(origin.requests) == before


def test_large_and_many_fields(front):
    """The bounds of HTTP/1.1: 431, and the connection goes on (section 10.5.1)."""
    assert_refused(front, [*HEAD, *[(f"x-{number}", "x" * 1000) for number in range(70)]], (431,))
    assert_refused(front, [*HEAD, *[(f"x-{number}", "x") for number in range(300)]], (431,))
    assert_refused(front, [*HEAD, ("x-large", "x" * 65_000), ("x-more", "x" * 1000)], (431,))


def test_a_field_beyond_all_bounds(front):
    """Larger than what is decompressed at all: the state of the compression goes with it."""
    usher, origin = front
    before = len(origin.received)
    with H2Client(usher.port) as client:
        assert client.outcome(client.open(None, block=literal([*HEAD, ("x-large", "x" * 70_000)]))) in (431, ("goaway", "COMPRESSION_ERROR"))
    assert len(origin.received) == before


def test_long_targets(front):
    assert_refused(front, replaced(":path", "/" + "x" * 20_000), (414,))


def test_a_path_of_a_star_is_for_options(front):
    usher, origin = front
    with H2Client(usher.port) as client:
        fields = [(":method", "OPTIONS"), (":scheme", "http"), (":authority", "test.example"), (":path", "*")]
        assert client.response(client.open(fields)).status == 200
    assert origin.last().target == "*"


def test_what_looks_like_framing_is_only_text(front):
    """What would end a head or a body in HTTP/1.1 arrives as the data that it is."""
    usher, _ = front
    body = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with H2Client(usher.port) as client:
        stream = client.open(client.pseudo("POST", "/data"), end=False)
        client.send_data(stream, body[:7])
        client.send_data(stream, body[7:], end=True)
        seen = echoed(client.response(stream))
    assert seen["body"].encode() == body and seen["target"] == "/data"


def test_padding_is_not_data(front):
    usher, _ = front
    with H2Client(usher.port) as client:
        block = client.encoder.encode(as_fields(client.pseudo("POST", "/padded")))
        stream = client.stream(client.next_id)
        client.next_id += 2
        client.frame(HEADERS, END_HEADERS | PADDED, stream.id, bytes([7]) + block + bytes(7))
        client.frame(DATA, PADDED | END_STREAM, stream.id, bytes([200]) + b"seen" + bytes(200))
        assert echoed(client.response(stream))["body"] == "seen"
