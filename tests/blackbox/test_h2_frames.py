"""HTTP/2 frames that break a rule (RFC 9113 sections 3 to 6): the stream or the connection ends, as the rule says."""

import struct
import threading

import pytest

from support import language, wire
from support.h2 import (
    ACK, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE, NO_RFC7540_PRIORITIES, PADDED, PING, PREFACE, PRIORITY, PRIORITY_UPDATE, PUSH_PROMISE, RST_STREAM, SETTINGS,
    WINDOW, WINDOW_UPDATE, WITH_PRIORITY, H2Client, encode_frame, literal)
from support.origin import echo

WORD = struct.Struct(">I").pack
GET = literal([(":method", "GET"), (":scheme", "http"), (":authority", "test.example"), (":path", "/")])
POST = literal([(":method", "POST"), (":scheme", "http"), (":authority", "test.example"), (":path", "/")])
OPEN = encode_frame(HEADERS, END_HEADERS, 1, POST)           # stream 1 is open
HALF_CLOSED = encode_frame(HEADERS, END_HEADERS | END_STREAM, 1, GET)  # and nothing more comes on it


def setting(name, value):
    return encode_frame(SETTINGS, payload=struct.pack(">HI", name, value))


@pytest.fixture(scope="module")
def front(shared):
    origin = shared.origin(silent)
    return shared.usher(language.H2C, ORIGIN=origin), origin


def silent(connection):
    """Answers only what is asked of /after: other streams stay open."""
    while (request := connection.read_request()) is not None:
        if request.target == "/after":
            connection.answer(b"after")
        else:
            connection.wait_for_end()


def assert_connection_ends(front, data, errors, **more):
    usher, _ = front
    with H2Client(usher.port, **more) as client:
        client.wait(lambda: client.other_settings is not None, "SETTINGS")
        client.send(data)
        assert client.connection_outcome() in errors


def assert_stream_ends(front, data, errors, connection_errors=()):
    """Stream 1 is reset, and the connection goes on; connection_errors: where the rule leaves the choice."""
    usher, _ = front
    with H2Client(usher.port) as client:
        stream = client.stream(1)
        client.next_id = 3
        client.send(data)
        client.wait(lambda: stream.over or client.goaway, or_end=True)
        if client.goaway:
            assert client.goaway in connection_errors
            return
        assert stream.reset in errors, stream
        assert client.ask("GET", "/after").status == 200


# --- section 3.4: the preface


@pytest.mark.parametrize("data", [
    b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + encode_frame(SETTINGS), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r" + encode_frame(SETTINGS),
    b"PRI * HTTP/1.1\r\n\r\n", b"PRI / HTTP/2.0\r\nHost: a\r\n\r\n",
], ids=str)
def test_what_only_resembles_the_preface(front, data):
    """It is no HTTP/1.1 either."""
    usher, origin = front
    before = len(origin.received)
    with usher.connect() as client:
        client.send(data)
        first = client.reader.some()
        assert first[:9] == b"HTTP/1.1 " and first[9:12] in (b"400", b"505"), first[:100]
    assert len(origin.received) == before


@pytest.mark.parametrize("data", [
    encode_frame(PING, 0, 0, bytes(8)), encode_frame(HEADERS, END_HEADERS | END_STREAM, 1, GET), encode_frame(SETTINGS, ACK),
    encode_frame(WINDOW_UPDATE, 0, 0, WORD(1)), encode_frame(0x55, 0, 0, b"unknown"),
], ids=["PING", "HEADERS", "SETTINGS ACK", "WINDOW_UPDATE", "unknown"])
def test_the_first_frame_is_settings(front, data):
    usher, _ = front
    with H2Client(usher.port, preface=False) as client:
        client.send(PREFACE + data)
        assert client.connection_outcome() == "PROTOCOL_ERROR"


def test_the_preface_may_come_byte_by_byte(front):
    usher, _ = front
    with H2Client(usher.port, preface=False) as client:
        client.wire.drip(PREFACE + encode_frame(SETTINGS))
        assert client.ask("GET", "/after").status == 200


# --- section 4: frames and their size, field compression


@pytest.mark.parametrize("frame", [
    encode_frame(DATA, 0, 1, bytes(16385)), encode_frame(HEADERS, END_HEADERS, 1, bytes(16385)), encode_frame(PING, 0, 0, bytes(16385)),
    encode_frame(SETTINGS, 0, 0, bytes(16386)), encode_frame(0x55, 0, 0, bytes(16385)), encode_frame(DATA, 0, 1, length=0xffffff),
], ids=["DATA", "HEADERS", "PING", "SETTINGS", "unknown", "16 MiB announced"])
def test_frames_beyond_16_kib(front, frame):
    assert_connection_ends(front, (OPEN if frame[3] == DATA else b"") + frame, ["FRAME_SIZE_ERROR"])


@pytest.mark.parametrize("block", [
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x80", b"\xbf", b"\x00\x05abc", b"\x3f\xe2\x1f", b"\x00\x81\xff\x01a", b"\x00\xff\xff\xff\xff\x7f",
], ids=["endless integer", "index 0", "index beyond the table", "cut string", "table beyond SETTINGS", "bad Huffman code", "long string"])
def test_field_blocks_that_do_not_decode(front, block):
    """Section 4.3: the connection ends, since the compression's state is lost."""
    assert_connection_ends(front, encode_frame(HEADERS, END_HEADERS | END_STREAM, 1, block), ["COMPRESSION_ERROR"])


def test_reserved_bits_and_unknown_frames_are_ignored(front):
    usher, _ = front
    with H2Client(usher.port) as client:
        client.frame(0x55, 0xff, 0, b"unknown")
        client.frame(0xfe, 0x01, 7, b"")
        client.send(encode_frame(SETTINGS, payload=struct.pack(">HI", 0xf0f0, 0xffffffff)))
        client.send(encode_frame(PING, 0xfe, 0x80000000, bytes(8)))
        client.wait(lambda: client.pongs, "the answer to a PING")
        assert client.ask("GET", "/after").status == 200


@pytest.mark.parametrize("between", [
    encode_frame(PING, 0, 0, bytes(8)), encode_frame(0x55, 0, 1, b"unknown"), encode_frame(DATA, 0, 1, b"data"),
    encode_frame(HEADERS, END_HEADERS, 3, GET), encode_frame(CONTINUATION, END_HEADERS, 3, GET), encode_frame(SETTINGS),
    encode_frame(RST_STREAM, 0, 1, WORD(8)),
], ids=["PING", "unknown", "DATA", "HEADERS", "CONTINUATION of another", "SETTINGS", "RST_STREAM"])
def test_frames_within_a_field_section(front, between):
    assert_connection_ends(front, encode_frame(HEADERS, END_STREAM, 1, GET[:5]) + between, ["PROTOCOL_ERROR"])


# --- section 5.1: the states of streams


@pytest.mark.parametrize("frame", [
    encode_frame(DATA, 0, 1, b"data"), encode_frame(RST_STREAM, 0, 1, WORD(8)), encode_frame(WINDOW_UPDATE, 0, 1, WORD(1)),
    encode_frame(CONTINUATION, END_HEADERS, 1, GET),
], ids=["DATA", "RST_STREAM", "WINDOW_UPDATE", "CONTINUATION"])
def test_frames_on_idle_streams(front, frame):
    assert_connection_ends(front, frame, ["PROTOCOL_ERROR"])


@pytest.mark.parametrize("frame", [encode_frame(DATA, 0, 1, b"data"), encode_frame(HEADERS, END_HEADERS | END_STREAM, 1, GET)],
                         ids=["DATA", "HEADERS"])
def test_frames_behind_the_end_of_a_stream(front, frame):
    assert_stream_ends(front, HALF_CLOSED + frame, ["STREAM_CLOSED"], ["STREAM_CLOSED"])


@pytest.mark.parametrize("data", [
    OPEN + encode_frame(RST_STREAM, 0, 1, WORD(8)) + encode_frame(HEADERS, END_HEADERS | END_STREAM, 1, GET),
    encode_frame(HEADERS, END_HEADERS | END_STREAM, 5, GET) + encode_frame(HEADERS, END_HEADERS | END_STREAM, 3, GET),
], ids=["reset", "skipped"])
def test_headers_on_closed_streams(front, data):
    """They may have crossed a reset: they are passed over, or end the connection; they are no request."""
    usher, origin = front
    with H2Client(usher.port) as client:
        client.send(data)
        for number in (1, 3, 5):
            client.stream(number)
        client.next_id = 7
        client.wait(lambda: client.goaway or client.streams[5].over or client.settings_acks, or_end=True)
        if not client.goaway:
            assert client.ask("GET", "/after").status == 200
            assert not client.streams[3].has_head
        assert client.goaway in (None, "PROTOCOL_ERROR", "STREAM_CLOSED")
    origin.settle()


def test_late_frames_on_closed_streams_are_ignored(front):
    """WINDOW_UPDATE, RST_STREAM and PRIORITY may cross the end of a stream."""
    usher, _ = front
    with H2Client(usher.port) as client:
        stream = client.request("GET", "/after")
        assert client.response(stream).status == 200
        client.grant(100, stream)
        client.frame(PRIORITY, 0, stream.id, WORD(0) + b"\x10")
        client.send_reset(stream)
        assert client.ask("GET", "/after").status == 200


def test_identifiers_of_streams_are_odd(front):
    """Section 5.1.1."""
    assert_connection_ends(front, encode_frame(HEADERS, END_HEADERS | END_STREAM, 2, GET), ["PROTOCOL_ERROR"])


def test_streams_beyond_a_limit_that_the_client_may_not_know(stage):
    """Section 5.1.2, before SETTINGS are acknowledged: what is refused was not begun, and may be sent again."""
    origin = stage.origin(silent)
    usher = stage.usher(language.H2C + "http2: {streams: 10}\n", ORIGIN=origin)
    with H2Client(usher.port, acks=False) as client:
        client.wait(lambda: client.other_settings is not None, "SETTINGS")
        assert client.other_settings[MAX_CONCURRENT_STREAMS] == 10
        taken = [client.request("GET", f"/{number}") for number in range(10)]
        assert client.response(client.request("GET", "/10")).reset == "REFUSED_STREAM"
        origin.wait_until(lambda: len(origin.requests) >= 10, "ten requests")
        assert "/10" not in origin.targets()
        client.send_reset(taken[0])
        client.ping()
        assert client.ask("GET", "/after").status == 200


def test_streams_beyond_the_limit(stage):
    """A client that has acknowledged it breaks the rule: its stream or its connection ends."""
    origin = stage.origin(silent)
    usher = stage.usher(language.H2C + "http2: {streams: 10}\n", ORIGIN=origin)
    with H2Client(usher.port) as client:
        client.wait(lambda: client.other_settings is not None, "SETTINGS")
        client.ping()
        for number in range(10):
            client.request("GET", f"/{number}")
        assert client.outcome(client.request("GET", "/10")) in (
            ("reset", "REFUSED_STREAM"), ("reset", "PROTOCOL_ERROR"), ("goaway", "PROTOCOL_ERROR"))
    origin.settle()
    assert "/10" not in origin.targets()


# --- section 6: each frame


@pytest.mark.parametrize("frame", [
    encode_frame(DATA, 0, 0, b"data"), encode_frame(HEADERS, END_HEADERS, 0, GET),
    encode_frame(RST_STREAM, 0, 0, WORD(8)), encode_frame(CONTINUATION, END_HEADERS, 0, GET), encode_frame(SETTINGS, 0, 1),
    encode_frame(PING, 0, 1, bytes(8)), encode_frame(GOAWAY, 0, 1, bytes(8)), encode_frame(PUSH_PROMISE, END_HEADERS, 0, WORD(2) + GET),
], ids=["DATA", "HEADERS", "RST_STREAM", "CONTINUATION", "SETTINGS", "PING", "GOAWAY", "PUSH_PROMISE"])
def test_frames_of_a_stream_and_frames_of_the_connection(front, frame):
    assert_connection_ends(front, frame, ["PROTOCOL_ERROR"])


@pytest.mark.parametrize("frame", [
    encode_frame(RST_STREAM, 0, 1, bytes(3)), encode_frame(RST_STREAM, 0, 1, bytes(5)), encode_frame(SETTINGS, 0, 0, bytes(5)),
    encode_frame(SETTINGS, ACK, 0, bytes(6)), encode_frame(PING, 0, 0, bytes(7)), encode_frame(PING, 0, 0, bytes(9)),
    encode_frame(GOAWAY, 0, 0, bytes(7)), encode_frame(WINDOW_UPDATE, 0, 0, bytes(3)), encode_frame(WINDOW_UPDATE, 0, 1, bytes(5)),
    encode_frame(HEADERS, END_HEADERS | WITH_PRIORITY, 3, bytes(4)), encode_frame(PRIORITY, 0, 1, bytes(4)),
], ids=["RST_STREAM 3", "RST_STREAM 5", "SETTINGS 5", "SETTINGS ACK 6", "PING 7", "PING 9", "GOAWAY 7", "WINDOW_UPDATE 3",
        "WINDOW_UPDATE 5", "HEADERS 4", "PRIORITY 4"])
def test_frames_of_a_fixed_size(front, frame):
    assert_connection_ends(front, OPEN + frame, ["FRAME_SIZE_ERROR"])


@pytest.mark.parametrize("frame", [
    encode_frame(DATA, PADDED, 1, bytes([10]) + b"data"), encode_frame(DATA, PADDED, 1, b"\x01"),
    encode_frame(HEADERS, END_HEADERS | PADDED, 3, bytes([255]) + GET), encode_frame(DATA, PADDED, 1, b""),
], ids=["DATA", "DATA of one", "HEADERS", "DATA of nothing"])
def test_padding_beyond_its_frame(front, frame):
    assert_connection_ends(front, OPEN + frame, ["PROTOCOL_ERROR", "FRAME_SIZE_ERROR"])


@pytest.mark.parametrize("frame, error", [
    (setting(ENABLE_PUSH, 2), "PROTOCOL_ERROR"), (setting(INITIAL_WINDOW_SIZE, 1 << 31), "FLOW_CONTROL_ERROR"),
    (setting(MAX_FRAME_SIZE, 16383), "PROTOCOL_ERROR"), (setting(MAX_FRAME_SIZE, 1 << 24), "PROTOCOL_ERROR"),
    (setting(0x8, 2), "PROTOCOL_ERROR"), (setting(NO_RFC7540_PRIORITIES, 2), "PROTOCOL_ERROR"),
], ids=["ENABLE_PUSH", "INITIAL_WINDOW_SIZE", "small MAX_FRAME_SIZE", "large MAX_FRAME_SIZE", "ENABLE_CONNECT_PROTOCOL",
        "NO_RFC7540_PRIORITIES"])
def test_settings_out_of_range(front, frame, error):
    """Section 6.5.2, RFC 8441 section 3, RFC 9218 section 2.1."""
    assert_connection_ends(front, frame, [error])


def test_settings_are_acknowledged(front):
    usher, _ = front
    with H2Client(usher.port) as client:
        client.send_settings({INITIAL_WINDOW_SIZE: 100_000})
        client.send_settings()
        client.wait(lambda: client.settings_acks == 3, "three acknowledgements")
        assert client.ask("GET", "/after").status == 200


def test_clients_do_not_push(front):
    assert_connection_ends(front, OPEN + encode_frame(PUSH_PROMISE, END_HEADERS, 1, WORD(2) + GET), ["PROTOCOL_ERROR"])


def test_pings_are_answered_with_their_data(front):
    usher, _ = front
    with H2Client(usher.port) as client:
        client.ping(b"12345678")
        client.ping(b"\xff" * 8)
        assert client.pongs == [b"12345678", b"\xff" * 8]
        client.frame(PING, ACK, 0, b"unasked!")  # is nobody's affair
        assert client.ask("GET", "/after").status == 200


def test_priority_updates_name_requests(front):
    """RFC 9218 section 7.1."""
    assert_connection_ends(front, encode_frame(PRIORITY_UPDATE, 0, 1, WORD(1) + b"u=1"), ["PROTOCOL_ERROR"])


# --- section 6.9: flow control


def test_window_update_of_nothing(front):
    assert_connection_ends(front, encode_frame(WINDOW_UPDATE, 0, 0, WORD(0)), ["PROTOCOL_ERROR"])
    assert_stream_ends(front, OPEN + encode_frame(WINDOW_UPDATE, 0, 1, WORD(0)), ["PROTOCOL_ERROR"], ["PROTOCOL_ERROR"])


def test_windows_beyond_their_bound(front):
    large = WORD((1 << 31) - 1)
    assert_connection_ends(front, encode_frame(WINDOW_UPDATE, 0, 0, large), ["FLOW_CONTROL_ERROR"])
    assert_stream_ends(front, OPEN + encode_frame(WINDOW_UPDATE, 0, 1, large), ["FLOW_CONTROL_ERROR"], ["FLOW_CONTROL_ERROR"])
    grown = OPEN + encode_frame(WINDOW_UPDATE, 0, 1, WORD((1 << 31) - 1 - WINDOW)) + setting(INITIAL_WINDOW_SIZE, WINDOW + 1)
    assert_stream_ends(front, grown, ["FLOW_CONTROL_ERROR"], ["FLOW_CONTROL_ERROR"])


def test_data_beyond_the_window(stage):
    """The server reads nothing of this body, so usher asks for no more than its window."""
    def unread(connection):
        connection.read_head()
        connection.origin.released.wait(60)

    origin = stage.origin(unread)
    origin.released = threading.Event()
    usher = stage.usher(language.H2C + "http2: {window: 64KiB, stream_window: 16KiB}\n", ORIGIN=origin)
    try:
        with H2Client(usher.port) as client:
            client.wait(lambda: client.other_settings is not None, "SETTINGS")
            assert client.other_settings[INITIAL_WINDOW_SIZE] == 16 * 1024
            stream = client.open(client.pseudo("POST", "/unread"), end=False)
            sent = 0
            try:
                while client.goaway is None and stream.reset is None and sent < 64 << 20:
                    client.send_data(stream, bytes(16384))
                    sent += 16384
                    if sent % (1 << 20) == 0:
                        client.ping()
            except (OSError, wire.Ended):
                pass
            client.wait(lambda: stream.reset or client.goaway, or_end=True)
            assert "FLOW_CONTROL_ERROR" in (stream.reset, client.goaway)
            assert sent < 64 << 20
    finally:
        origin.released.set()


def test_everything_byte_by_byte(stage):
    usher = stage.usher(language.H2C, ORIGIN=stage.origin(echo))
    with H2Client(usher.port, preface=False) as client:
        post = encode_frame(HEADERS, 0, 1, POST[:9]) + encode_frame(CONTINUATION, END_HEADERS, 1, POST[9:])
        stream = client.stream(1)
        client.wire.drip(PREFACE + encode_frame(SETTINGS) + post + encode_frame(DATA, END_STREAM, 1, b"dripping"))
        assert b'"body": "dripping"' in client.response(stream).body
