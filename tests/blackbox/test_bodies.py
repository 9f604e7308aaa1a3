"""Bodies are streams: they arrive whole, in time, and are never stored."""

import hashlib
import random
import threading
import time

import pytest

from support import wire
from support.origin import answering
from support.refusal import echoed
from support.usher import eventually, stalled

MIB = 1024 * 1024
SIZES = [0, 1, 2, 1023, 4096, 16384, 16385, 65536, 100_000, 5 * MIB + 7]


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def digest_script(connection):
    """Answers with the digest and the framing of what came."""
    while (request := connection.read_request()) is not None:
        connection.answer(f"{len(request.body)} {hashlib.sha256(request.body).hexdigest()} {request.framing}")


def digest(data):
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}"


@pytest.fixture(scope="module")
def digesting(shared):
    return shared.usher(ORIGIN=shared.origin(digest_script))


@pytest.mark.parametrize("size", SIZES)
def test_upload_with_length(digesting, size):
    data = noise(size)
    response = digesting.ask("POST", "/", *([] if size else [("Content-Length", "0")]), body=data)
    assert response.body.decode().startswith(digest(data))
    assert response.body.decode().endswith("length")


@pytest.mark.parametrize("size", SIZES)
def test_upload_in_chunks(digesting, size):
    data, rng = noise(size), random.Random(size)
    with digesting.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked"))
        at = 0
        while at < size:
            piece = data[at:at + rng.choice([1, 7, 1000, 16384, 70000])] if size < MIB else data[at:at + 70000]
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            at += len(piece)
        client.send(b"0\r\n\r\n")
        answer = client.response().body.decode()
    assert answer == digest(data) + " chunked"


def sending(framing, data):
    """A script whose answers have this framing."""
    def script(connection):
        while (request := connection.read_request()) is not None:
            if framing == "length":
                connection.answer(data)
            elif framing == "chunked":
                connection.send(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
                for at in range(0, len(data), 50_000):
                    piece = data[at:at + 50_000]
                    connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                connection.send(b"0\r\n\r\n")
            else:
                connection.send(wire.head("HTTP/1.1 200 OK", "Connection: close") + data)
                return
            assert request.method == "GET"
    return script


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("size", SIZES)
def test_download(proxy, framing, size):
    data = noise(size)
    usher, _ = proxy(sending(framing, data))
    with usher.connect() as client:
        for _ in range(2):
            response = client.ask()
            assert response.body == data
            assert response.framing == {"length": "length", "chunked": "chunked", "close": "chunked"}[framing]


def test_download_in_small_pieces(proxy):
    data = noise(3000)

    def script(connection):
        connection.read_request()
        connection.drip(wire.head("HTTP/1.1 200 OK", f"Content-Length: {len(data)}") + data)

    usher, _ = proxy(script)
    assert usher.get().body == data


def test_chunks_in_small_pieces(proxy):
    def script(connection):
        connection.read_request()
        connection.drip(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
                        + wire.chunked(b"hello", b"x" * 300, extension=b";a=b", trailers=[("X-Sum", "7")]))

    usher, _ = proxy(script)
    response = usher.get("/", "TE: trailers")
    assert response.body == b"hello" + b"x" * 300


def test_upload_in_small_pieces(digesting):
    with digesting.connect() as client:
        client.drip(wire.head("POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked")
                    + wire.chunked(b"hello", b"x" * 300, extension=b";a=b"))
        assert client.response().body.decode() == digest(b"hello" + b"x" * 300) + " chunked"


# --- Trailers


def test_trailers_of_a_request(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked", "Trailer: X-Sum")
                    + wire.chunked(b"hello", trailers=[("X-Sum", "42"), ("X-More", "a b")]))
        got = echoed(client.response())
    assert dict(map(tuple, got["trailers"])) == {"X-Sum": "42", "X-More": "a b"}


def test_trailers_of_a_response(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum")
                               + wire.chunked(b"hello", trailers=[("X-Sum", "42")])))
    response = usher.get("/", "TE: trailers")
    assert response.body == b"hello"
    assert dict(response.trailers) == {"X-Sum": "42"}


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding", "Host", "Connection", "Content-Encoding"])
def test_trailers_that_may_not_be_are_not_passed_on(proxy, name):
    """RFC 9110 section 6.5.1: framing and routing do not belong into trailers."""
    usher, origin = proxy()
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked")
                    + wire.chunked(b"hello", trailers=[(name, "7"), ("X-Sum", "42")]))
        response = client.response()
    if response.status == 200:
        assert name.lower() not in [key.lower() for key, _ in echoed(response)["trailers"]]
    else:
        assert response.status == 400
        assert not origin.requests


# --- Each read is passed on


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
def test_what_the_origin_sends_is_passed_on_at_once(proxy, framing):
    """Server-sent events: the origin sends the next one only when the client has the one before."""
    turns = [threading.Event() for _ in range(20)]
    events = [f"data: {number}\n\n".encode() for number in range(20)]

    def script(connection):
        connection.read_request()
        field = {"chunked": "Transfer-Encoding: chunked", "close": "Connection: close",
                 "length": f"Content-Length: {sum(map(len, events))}"}[framing]
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Type: text/event-stream", field))
        for turn, event in zip(turns, events):
            assert turn.wait(30)
            connection.send(b"%x\r\n%s\r\n" % (len(event), event) if framing == "chunked" else event)
        if framing == "chunked":
            connection.send(b"0\r\n\r\n")

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.request()
        response = client.response_head()
        assert response.status == 200, "the head comes before any of the body"
        for turn, event in zip(turns, events):
            turn.set()
            got = b""
            while len(got) < len(event):
                got += (wire.read_chunk(client.reader) if response.has("transfer-encoding")
                        else client.reader.exactly(len(event)))
            assert got == event


def test_what_the_client_sends_is_passed_on_at_once(proxy):
    seen = [threading.Event() for _ in range(10)]

    def script(connection):
        request = connection.read_head()
        for event in seen:
            assert wire.read_chunk(connection.reader) == b"piece"
            event.set()
        assert wire.read_chunk(connection.reader) == b""
        assert connection.reader.line() == b""
        connection.answer(request.target)

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.send(wire.head("POST /up HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked"))
        for event in seen:
            client.send(b"5\r\npiece\r\n")
            assert event.wait(30), "a chunk waits inside usher"
        client.send(b"0\r\n\r\n")
        assert client.response().body == b"/up"


# --- Early answers


def test_early_answer_while_the_client_sends(proxy):
    """The origin answers, and never reads the rest: the client gets the answer all the same."""
    def script(connection):
        connection.read_head()
        connection.answer("enough", "Connection: close", status="413 Content Too Large")
        connection.half_close()
        connection.wait_for_end()

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Content-Length: 100000000") + noise(100_000))
        response = client.response()
        assert (response.status, response.body) == (413, b"enough")


def test_early_answer_and_reset(proxy):
    """The same, but the origin closes with data unread, so that its kernel sends a reset."""
    def script(connection):
        connection.read_head()
        connection.answer("enough", "Connection: close", status="403 Forbidden")
        connection.close()

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.request("POST", "/", body=noise(1000))
        response = client.response()
        assert (response.status, response.body) == (403, b"enough")


def test_early_answer_with_the_upload_going_on(proxy):
    """Both directions at once: an origin that answers as it reads."""
    count = 200

    def script(connection):
        connection.read_head()
        connection.send(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
        while data := wire.read_chunk(connection.reader):
            connection.send(b"%x\r\n%s\r\n" % (len(data), data))
        assert connection.reader.line() == b""
        connection.send(b"0\r\n\r\n")

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked"))
        assert client.response_head().status == 200
        for number in range(count):
            piece = b"piece %d" % number
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            assert wire.read_chunk(client.reader) == piece
        client.send(b"0\r\n\r\n")
        assert wire.read_chunk(client.reader) == b""


# --- Large, and slow


STREAM = 200 * MIB
GROWTH = 64 * MIB  # under AddressSanitizer; far from the 200 MiB that pass through


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_large_download_needs_little_memory(proxy, framing):
    def script(connection):
        connection.read_request()
        fields = {"length": f"Content-Length: {STREAM}", "chunked": "Transfer-Encoding: chunked", "close": "Connection: close"}
        connection.send(wire.head("HTTP/1.1 200 OK", fields[framing]))
        piece = noise(MIB)
        for _ in range(STREAM // MIB):
            connection.send(b"100000\r\n" + piece + b"\r\n" if framing == "chunked" else piece)
        if framing == "chunked":
            connection.send(b"0\r\n\r\n")

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.request()
        head = client.response_head()
        assert head.status == 200
        before, most = usher.resident_bytes(), 0
        moved = overhead = 0
        is_chunked = head.has("transfer-encoding")
        while moved < STREAM + overhead:
            data = client.reader.some()
            assert data, f"ended at {moved}"
            moved += len(data)
            if is_chunked and data.endswith(b"\r\n0\r\n\r\n"):
                break
            if moved % (16 * MIB) < len(data):
                most = max(most, usher.resident_bytes())
        assert moved >= STREAM
    assert most - before < GROWTH, f"grew by {(most - before) / MIB:.0f} MiB"


def test_large_upload_needs_little_memory(proxy):
    def script(connection):
        connection.read_head()
        left = STREAM - len(connection.reader.buffer)
        while left > 0:
            left -= len(connection.socket.recv(min(left, MIB)))
        connection.answer("thanks")

    usher, _ = proxy(script)
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", f"Content-Length: {STREAM}"))
        before, most = usher.resident_bytes(), 0
        piece = noise(MIB)
        for number in range(STREAM // MIB):
            client.send(piece)
            if number % 16 == 0:
                most = max(most, usher.resident_bytes())
        assert client.response().body == b"thanks"
    assert most - before < GROWTH, f"grew by {(most - before) / MIB:.0f} MiB"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_slow_reader_slows_the_origin(proxy, framing):
    sent = [0]

    def script(connection):
        connection.read_request()
        field = f"Content-Length: {STREAM}" if framing == "length" else "Transfer-Encoding: chunked"
        connection.send(wire.head("HTTP/1.1 200 OK", field))
        piece = noise(65536)
        for _ in range(STREAM // 65536):
            connection.send(b"10000\r\n" + piece + b"\r\n" if framing == "chunked" else piece)
            sent[0] += 65536

    usher, _ = proxy(script)
    with usher.connect(receive_buffer=65536) as client:
        before = usher.resident_bytes()
        client.request()
        assert client.response_head().status == 200
        assert stalled(sent) < 32 * MIB, "the origin could send on although the client does not read"
        assert usher.resident_bytes() - before < GROWTH
        moved = 0
        while moved < 20 * MIB:
            moved += len(client.reader.some())
        eventually(lambda: sent[0] > 8 * MIB, "the origin to go on")


def test_slow_origin_slows_the_client(proxy):
    go = threading.Event()

    def script(connection):
        connection.read_head()
        assert go.wait(60)
        while connection.receive(65536):
            pass

    usher, origin = proxy(script)
    with usher.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", f"Content-Length: {STREAM}"))
        origin.next_request()
        client.socket.setblocking(False)
        piece, sent, since = noise(65536), [0], time.monotonic()
        while time.monotonic() - since < 0.5:
            try:
                sent[0] += client.socket.send(piece)
                since = time.monotonic()
                assert sent[0] < 32 * MIB, "usher took the upload although the origin does not read"
            except BlockingIOError:
                time.sleep(0.005)
        go.set()
