"""Attacks over HTTP/2: each costs the attacker the connection; others are served meanwhile, and memory stays bounded."""

import select
import struct
import threading

import pytest

from support import language, wire
from support.client import PATIENCE
from support.h2 import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PADDED, PING, PREFACE, PRIORITY, PRIORITY_UPDATE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, H2Client, encode_frame, literal)
from support.origin import answering
from support.usher import eventually, stalled

WORD = struct.Struct(">I").pack
MOST = 20_000       # frames that an attack lasts, if it is let
BATCH = 50
MEMORY = 48 << 20   # that usher may grow by under an attack, with AddressSanitizer's share
GET = literal([(":method", "GET"), (":scheme", "http"), (":authority", "test.example"), (":path", "/attack")])
POST = literal([(":method", "POST"), (":scheme", "http"), (":authority", "test.example"), (":path", "/attack")])


def serve(connection):
    """Answers /other; what the attacker asks takes for ever."""
    while (request := connection.read_head()) is not None:
        if request.target != "/other":
            connection.wait_for_end()
            return
        connection.answer(b"other")


class Victim:
    """usher, and an honest client beside the attacker."""

    def __init__(self, stage, script=serve, more=""):
        self.origin = stage.origin(script)
        self.usher = stage.usher(language.H2C + "workers: 1\n" + more, ORIGIN=self.origin)
        self.honest = H2Client(self.usher.port)
        self.serves()
        self.before = self.usher.resident_bytes()

    def serves(self):
        assert bytes(self.honest.ask("GET", "/other").body) == b"other"

    def attacker(self, **more):
        return H2Client(self.usher.port, strict=False, **more)

    def attacked(self):
        """The origin's connections that work for the attacker."""
        return [each for each in self.origin.connections if each.requests and each.requests[-1].target != "/other"]

    def withstood(self, words=None, memory=MEMORY):
        """It serves, has not grown beyond a bound, and said what happened."""
        self.serves()
        self.honest.close()
        assert self.usher.resident_bytes() - self.before < memory
        if words:
            self.usher.wait_for_error(words)
        assert len(self.usher.workers()) == 1 and "worker" not in self.usher.stderr.replace("workers", "")


@pytest.fixture
def victim(stage):
    return lambda *arguments, **more: Victim(stage, *arguments, **more)


def flood(victim, client, piece, reads=True):
    """Sends a piece (bytes, or a function of its number) over and over; returns the error with which the connection ended."""
    try:
        for number in range(0, MOST, BATCH):
            client.send(b"".join(piece(each) if callable(piece) else piece for each in range(number, number + BATCH)))
            while reads and select.select([client.wire.socket], [], [], 0)[0]:
                if client.read_frame() is None:
                    return client.goaway
            if number % (BATCH * 20) == 0:
                victim.serves()
    except OSError:
        pass  # also when usher reads no more for a long time
    return client.wait_for_end()


def stream_of(number):
    return 2 * number + 1


# --- streams that are begun to be ended


def test_rapid_reset(victim):
    """CVE-2023-44487: requests that are taken back at once."""
    under_attack = victim()
    with under_attack.attacker() as client:
        error = flood(under_attack, client, lambda number: encode_frame(HEADERS, END_HEADERS | END_STREAM, stream_of(number), GET)
                      + encode_frame(RST_STREAM, 0, stream_of(number), WORD(8)))
        assert error == "ENHANCE_YOUR_CALM"
    assert len(under_attack.origin.connections) < 1500
    under_attack.withstood(r"too many streams reset in 10 s.*http2\.resets")


@pytest.mark.parametrize("error", [
    lambda stream: encode_frame(WINDOW_UPDATE, 0, stream, WORD((1 << 31) - 1)),
    lambda stream: encode_frame(HEADERS, END_HEADERS, stream, POST),
], ids=["window", "trailers"])
def test_streams_that_usher_is_made_to_reset(victim, error):
    """CVE-2025-8671 (MadeYouReset): the client breaks a rule on each, so that the server resets it."""
    under_attack = victim()
    with under_attack.attacker() as client:
        ended = flood(under_attack, client,
                      lambda number: encode_frame(HEADERS, END_HEADERS, stream_of(number), POST) + error(stream_of(number)))
        assert ended in ("ENHANCE_YOUR_CALM", "FLOW_CONTROL_ERROR", "PROTOCOL_ERROR")
    under_attack.withstood()


def test_malformed_requests_without_end(victim):
    under_attack = victim()
    block = literal([(":method", "GET"), (":scheme", "http"), (":authority", "test.example"), (":path", "/"), ("X-Upper", "x")])
    with under_attack.attacker() as client:
        ended = flood(under_attack, client, lambda number: encode_frame(HEADERS, END_HEADERS | END_STREAM, stream_of(number), block))
        assert ended in ("ENHANCE_YOUR_CALM", "PROTOCOL_ERROR")
    under_attack.withstood(r"http2\.resets|HTTP/2 connection ended")


def test_a_client_may_change_its_mind_now_and_then(victim):
    """As a browser does whose user goes on to another page."""
    under_attack = victim()
    with H2Client(under_attack.usher.port) as client:
        for number in range(200):
            client.send_reset(client.request("GET", f"/{number}"))
            if number % 10 == 0:
                assert client.ask("GET", "/other").status == 200
        client.ping()
    under_attack.withstood()


# --- frames that serve nobody


@pytest.mark.parametrize("reads", [True, False], ids=["reading", "deaf"])
@pytest.mark.parametrize("piece", [
    encode_frame(PING, 0, 0, bytes(8)), encode_frame(SETTINGS), encode_frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, 100)),
    encode_frame(PRIORITY, 0, 1, WORD(0) + b"\x01"), lambda number: encode_frame(PRIORITY, 0, stream_of(number), WORD(0) + b"\x01"),
    encode_frame(PRIORITY_UPDATE, 0, 0, WORD(1) + b"u=1"), lambda number: encode_frame(PRIORITY_UPDATE, 0, 0, WORD(stream_of(number)) + b"u=1"),
    encode_frame(WINDOW_UPDATE, 0, 0, WORD(1)), encode_frame(0x77, 0, 0, b"unknown"), encode_frame(0x77, 0, 0, bytes(16384)),
    encode_frame(PING, 1, 0, bytes(8)), encode_frame(SETTINGS, 1),
], ids=["PING", "SETTINGS", "SETTINGS with a window", "PRIORITY", "PRIORITY of many", "PRIORITY_UPDATE", "PRIORITY_UPDATE of many",
        "WINDOW_UPDATE", "unknown", "unknown and large", "PING ACK", "SETTINGS ACK"])
def test_floods(victim, piece, reads):
    """CVE-2019-9512, 9513, 9515 and their like. The deaf never read what usher answers."""
    under_attack = victim()
    with under_attack.attacker() as client:
        assert flood(under_attack, client, piece, reads) in ("ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", None)
    under_attack.withstood(r"too many frames|HTTP/2 connection ended")


@pytest.mark.parametrize("piece", [
    encode_frame(DATA, 0, 1), encode_frame(DATA, PADDED, 1, b"\x00"), encode_frame(DATA, PADDED, 1, bytes([99]) + bytes(99)),
    encode_frame(WINDOW_UPDATE, 0, 1, WORD(1)),
], ids=["empty", "padding of nothing", "padding", "WINDOW_UPDATE"])
def test_floods_on_a_stream(victim, piece):
    """CVE-2019-9518: DATA without data."""
    under_attack = victim()
    with under_attack.attacker() as client:
        client.next_id = 3
        client.stream(1)
        client.send(encode_frame(HEADERS, END_HEADERS, 1, POST))
        assert flood(under_attack, client, piece) == "ENHANCE_YOUR_CALM"
    under_attack.withstood(r"too many frames")


# --- field sections


@pytest.mark.parametrize("piece", [
    encode_frame(CONTINUATION, 0, 1), encode_frame(CONTINUATION, 0, 1, literal([("a", "b")])),
    encode_frame(CONTINUATION, 0, 1, literal([("x-large", "x" * 16000)])),
], ids=["empty", "small", "large"])
def test_continuation_flood(victim, piece):
    """CVE-2024-27316: a field section that never ends."""
    under_attack = victim()
    with under_attack.attacker() as client:
        client.send(encode_frame(HEADERS, END_STREAM, 1, GET))
        assert flood(under_attack, client, piece) in ("ENHANCE_YOUR_CALM", "COMPRESSION_ERROR")
    under_attack.withstood(r"header section|HTTP/2 connection ended")
    assert under_attack.origin.targets().count("/attack") == 0


def test_hpack_bomb(victim):
    """One field of 4 kB in the table, named by a byte each time: 16 kB on the wire are 60 MB of fields."""
    under_attack = victim()
    pad = b"x" * 3900
    first = b"\x40\x01x\x7f" + bytes([(3900 - 127) % 128 + 128, (3900 - 127) // 128]) + pad  # indexed, as the newest: 62
    with under_attack.attacker() as client:
        for number in range(50):
            client.streams.pop(stream_of(number), None)
            client.stream(stream_of(number))
            block = GET + (first if number == 0 else b"") + b"\xbe" * 12000
            try:
                client.send_fields(stream_of(number), None, end=True, block=block)
            except OSError:
                break
        error = None
        try:
            client.wait(lambda: client.goaway or all(each.over for each in client.streams.values()), "an answer", or_end=True)
            error = client.goaway
        except OSError:
            pass
        assert error in (None, "ENHANCE_YOUR_CALM", "COMPRESSION_ERROR")
        assert not any(each.status == 200 for each in client.streams.values())
    under_attack.withstood()
    assert under_attack.origin.targets().count("/attack") == 0


def test_cookies_in_crumbs(victim):
    """CVE-2016-8740 and its like: many small fields that become one large one."""
    under_attack = victim()
    with under_attack.attacker() as client:
        block = GET + literal([("cookie", "a=b")]) + literal([("cookie", "")]) * 5000
        outcome = client.outcome(client.open(None, block=block))
        assert outcome in (431, ("goaway", "ENHANCE_YOUR_CALM"))
    under_attack.withstood()


# --- time, windows, and memory


def endless(connection):
    while (request := connection.read_head()) is not None:
        if request.target == "/other":
            connection.answer(b"other")
            continue
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 1000000000"))
        for _ in range(1000):
            connection.send(bytes(1_000_000))


def test_windows_that_stay_shut(victim):
    """CVE-2019-9511, 9517: many large answers are asked for, and none is taken; each is given up in time."""
    under_attack = victim(endless, more="timeouts: {send: 1s}\n")
    with under_attack.attacker(settings={INITIAL_WINDOW_SIZE: 0}) as client:
        streams = [client.request("GET", f"/{number}") for number in range(100)]
        client.wait(lambda: all(stream.has_head for stream in streams), "a hundred heads")
        under_attack.serves()
        assert under_attack.usher.resident_bytes() - under_attack.before < 100 * 400_000 + MEMORY
        client.wait(lambda: all(stream.reset for stream in streams), "the end of all")
        under_attack.serves()
    for connection in under_attack.attacked():
        assert connection.ended.wait(PATIENCE)
    under_attack.withstood()


def test_a_window_of_the_connection_that_stays_shut(victim):
    under_attack = victim(endless, more="timeouts: {send: 1s}\n")
    with under_attack.attacker(settings={INITIAL_WINDOW_SIZE: (1 << 31) - 1}, grants=False) as client:
        streams = [client.request("GET", f"/{number}") for number in range(100)]
        client.wait(lambda: all(stream.reset for stream in streams), "the end of all", or_end=True)
        under_attack.serves()
    under_attack.withstood()


def test_windows_that_open_byte_by_byte(victim):
    """A client that takes a byte at a time makes no progress that is worth a connection."""
    under_attack = victim(endless)
    with under_attack.attacker(settings={INITIAL_WINDOW_SIZE: 1}, grants=False) as client:
        client.next_id = 3
        client.stream(1)
        client.send(encode_frame(HEADERS, END_HEADERS | END_STREAM, 1, GET))
        assert flood(under_attack, client, encode_frame(WINDOW_UPDATE, 0, 1, WORD(1))) == "ENHANCE_YOUR_CALM"
    under_attack.withstood(r"too many frames")


def test_bodies_that_no_server_reads(victim):
    """All streams' data together stays within the window of the connection."""
    under_attack = victim()
    sent = [0]
    with under_attack.attacker() as client:
        client.wait(lambda: client.other_settings is not None, "SETTINGS")
        streams = [client.open(client.pseudo("POST", "/attack"), end=False) for _ in range(100)]

        def push():
            try:
                for stream in streams * 100:
                    size = min(16384, client.send_window, stream.send_window)
                    if size > 0:
                        client.send_data(stream, bytes(size))
                        sent[0] += size
                    while select.select([client.wire.socket], [], [], 0.001)[0]:
                        if client.read_frame() is None:
                            return
            except OSError:
                pass
        thread = threading.Thread(target=push, daemon=True)
        thread.start()
        stalled(sent)
        under_attack.serves()
        # The servers' sockets take some of it, too.
        assert under_attack.usher.resident_bytes() - under_attack.before < 100 * 300_000 + MEMORY
        thread.join(PATIENCE)
    under_attack.withstood()


def test_a_head_that_does_not_end_in_time(victim):
    under_attack = victim(more="timeouts: {header: 300ms}\n")
    with under_attack.attacker() as client:
        client.send(encode_frame(HEADERS, END_STREAM, 1, GET))
        client.wait_for_end()
    under_attack.withstood()


@pytest.mark.parametrize("data", [b"", PREFACE[:10], PREFACE, PREFACE + b"\x00\x00"], ids=["nothing", "a part", "no SETTINGS", "a cut frame"])
def test_a_preface_that_does_not_end_in_time(victim, data):
    under_attack = victim(more="timeouts: {header: 300ms, idle: 500ms}\n")
    with under_attack.attacker(preface=False) as client:
        client.send(data)
        client.wire.reader.rest()
    # The honest one has been idle for as long as the attacker was waited for.
    under_attack.honest.close()
    under_attack.honest = H2Client(under_attack.usher.port)
    under_attack.withstood()


def test_a_body_that_does_not_come(victim):
    under_attack = victim(more="timeouts: {body: 300ms}\n")
    with under_attack.attacker() as client:
        streams = [client.open(client.pseudo("POST", "/attack"), end=False) for _ in range(50)]
        client.wait(lambda: all(stream.over for stream in streams), "the end of all")
        under_attack.serves()
        client.ping()
    under_attack.withstood()


def test_an_answer_that_is_not_read_at_all(victim):
    """The windows are wide open, but the client does not read from its socket."""
    sent = [0]

    def script(connection):
        while (request := connection.read_head()) is not None:
            if request.target == "/other":
                connection.answer(b"other")
                continue
            connection.send(wire.head("HTTP/1.1 200 OK", "Content-Length: 1000000000"))
            for _ in range(1000):
                connection.send(bytes(1_000_000))
                sent[0] += 1_000_000

    under_attack = victim(script, more="timeouts: {send: 1s}\n")
    with under_attack.attacker(settings={INITIAL_WINDOW_SIZE: (1 << 31) - 1}) as client:
        client.grant((1 << 31) - 1 - 65535)
        for number in range(20):
            client.request("GET", f"/{number}")
        stalled(sent)
        under_attack.serves()
        assert under_attack.usher.resident_bytes() - under_attack.before < MEMORY
        for connection in under_attack.attacked():
            assert connection.ended.wait(PATIENCE), "a server goes on to wait"
    under_attack.withstood()


def test_connections_that_end_in_the_midst(victim):
    """Hundreds of connections, each with requests under way, that go away in every manner."""
    under_attack = victim()
    for number in range(300):
        client = under_attack.attacker()
        client.send(b"".join(encode_frame(HEADERS, END_HEADERS | END_STREAM, stream_of(each), GET) for each in range(5)))
        if number % 3 == 0:
            client.wire.reset()
        elif number % 3 == 1:
            client.close()
        else:
            client.send(encode_frame(HEADERS, 0, 11, GET[:7]))
            client.wire.half_close()
            client.close()
    eventually(lambda: all(each.ended.is_set() for each in under_attack.attacked()), "the servers' connections to end")
    under_attack.withstood(memory=2 * MEMORY)  # the sanitizer keeps what many short connections leave


def test_answers_are_found_again_after_an_attack(stage):
    """Counters are of ten seconds and of one connection: the next connection of the same client is served."""
    usher = stage.usher(language.H2C, ORIGIN=stage.origin(answering(wire.head("HTTP/1.1 200 OK", "Content-Length: 2") + b"ok")))
    for _ in range(3):
        with H2Client(usher.port, strict=False) as client:
            try:
                for _ in range(100):
                    client.send(encode_frame(PING, 0, 0, bytes(8)) * 100)
            except OSError:
                pass
            client.wait_for_end()
        with H2Client(usher.port) as client:
            assert client.ask().status == 200
