"""HTTP/2 by hand, both sides: frames as a test wants them sent, and read strictly.

Peer is one end of a connection. What it receives it holds to RFC 9113: framing, flow
control, the order of frames, the form of messages. What it sends is the test's affair:
frame() sends anything at all. H2Client talks to usher; h2_origin() makes an origin that
usher talks to, whose script gets an H2Connection.
"""

import collections
import contextlib
import re
import struct

import hpack

from support import wire
from support.client import RawClient
from support.origin import Origin
from support.tls import TlsClient

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10  # RFC 9218
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES = 0x8, 0x9
ERRORS = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
          "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
          "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"]
FRAME_SIZE, WINDOW = 16384, 65535
NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+\Z")
CONNECTION_SPECIFIC = {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}

Frame = collections.namedtuple("Frame", "type flags stream payload")


def error_name(code):
    return ERRORS[code] if code < len(ERRORS) else hex(code)


def encode_frame(kind, flags=0, stream=0, payload=b"", length=None):
    """Any frame; length: what it says of itself, where that is not the truth."""
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def as_fields(fields):
    """Pairs, or "name: value" texts, as pairs of bytes."""
    pairs = (field if isinstance(field, tuple) else re.split(": ?", wire.as_bytes(field).decode("latin-1"), maxsplit=1)
             for field in fields)
    return [(wire.as_bytes(name), wire.as_bytes(value)) for name, value in pairs]


def literal(fields):
    """A field block without Huffman coding, indexing or names of the static table: the bytes as they are."""
    def text(value):
        if len(value) < 127:
            return bytes([len(value)]) + value
        rest, out = len(value) - 127, [127]
        while rest >= 128:
            out.append(rest % 128 + 128)
            rest //= 128
        return bytes([*out, rest]) + value
    return b"".join(b"\x00" + text(name) + text(value) for name, value in as_fields(fields))


class Stream(wire.Message):
    """A stream, and the message that came on it."""

    def __init__(self, peer, number, send_window, receive_window):
        super().__init__(b"")
        self.peer, self.id = peer, number
        self.body = bytearray()
        self.data_frames = []
        self.has_head = self.ended = False
        self.reset = None  # the name of the error, when the other side reset it
        self.own_reset = False
        self.send_window, self.receive_window = send_window, receive_window
        self.sent_method = None  # of the request that went out on it

    def field(self, name):
        """The value of a field in the head, pseudo-fields among them."""
        return self.get(name)

    @property
    def status(self):
        return int(self.get(":status")) if self.has_head else None

    method = property(lambda self: self.get(":method"))
    target = property(lambda self: self.get(":path"))

    @property
    def over(self):
        return self.ended or self.reset is not None

    def __repr__(self):
        return f"<stream {self.id} {self.headers} {bytes(self.body[:100])!r} ended={self.ended} reset={self.reset}>"


class Peer:
    """One end of a connection; `wire_end` sends and receives its bytes."""

    is_client = True

    def __init__(self, wire_end, settings=None, acks=True, grants=True, strict=True):
        self.wire = wire_end
        self.held = None      # what in_one_write gathers
        self.acks = acks      # SETTINGS and PINGs are acknowledged
        self.grants = grants  # what is received may be sent again, at once
        self.strict = strict
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.settings = dict(settings or {})
        self.other_settings = None
        self.settings_acks = 0
        self.streams = {}
        self.next_id = 1 if self.is_client else 2
        self.send_window, self.receive_window = WINDOW, WINDOW
        self.goaway = None  # the name of its error
        self.goaways = []   # (last stream, name of the error, debug data)
        self.pongs = []
        self.pings = 0
        self.closed = False
        self.frames = []    # all that came, without their payload
        self.block = None   # of a field section that goes on

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.wire.close()

    # --- sending

    def send(self, data):
        if self.held is None:
            self.wire.send(data)
        else:
            self.held += data

    @contextlib.contextmanager
    def in_one_write(self):
        """What is sent meanwhile leaves together at the end."""
        self.held = b""
        yield
        data, self.held = self.held, None
        self.send(data)

    def frame(self, kind, flags=0, stream=0, payload=b"", length=None):
        self.send(encode_frame(kind, flags, stream, payload, length))

    def send_settings(self, values=None):
        self.frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in (values or {}).items()))

    def stream(self, number):
        if number not in self.streams:
            initial = (self.other_settings or {}).get(INITIAL_WINDOW_SIZE, WINDOW)
            self.streams[number] = Stream(self, number, initial, self.settings.get(INITIAL_WINDOW_SIZE, WINDOW))
        return self.streams[number]

    def send_fields(self, number, fields, end=False, block=None, cut=FRAME_SIZE):
        """A field section, in as many frames as it takes."""
        block = self.encoder.encode(as_fields(fields)) if block is None else block
        pieces = [block[at:at + cut] for at in range(0, len(block), cut)] or [b""]
        data = b""
        for index, piece in enumerate(pieces):
            flags = (END_STREAM if end and index == 0 else 0) | (END_HEADERS if index == len(pieces) - 1 else 0)
            data += encode_frame(HEADERS if index == 0 else CONTINUATION, flags, number, piece)
        self.send(data)

    def send_data(self, stream, data=b"", end=False):
        """One frame, whatever the windows say."""
        stream.send_window -= len(data)
        self.send_window -= len(data)
        self.frame(DATA, END_STREAM if end else 0, stream.id, wire.as_bytes(data))

    def send_body(self, stream, data, end=True):
        """As the windows of the other side allow; stops when the stream is reset."""
        data = memoryview(wire.as_bytes(data))
        while True:
            room = min(len(data), FRAME_SIZE, self.send_window, stream.send_window)
            if room > 0 or len(data) == 0:
                last = end and room == len(data)
                if room > 0 or last:
                    self.send_data(stream, bytes(data[:room]), last)
                data = data[room:]
                if len(data) == 0:
                    return
            else:
                self.wait(lambda: stream.reset or (self.send_window > 0 and stream.send_window > 0), "room in the window")
            if stream.reset:
                return

    def send_reset(self, stream, error="CANCEL"):
        stream.own_reset = True
        self.frame(RST_STREAM, 0, stream.id, struct.pack(">I", ERRORS.index(error)))

    def send_goaway(self, last, error="NO_ERROR", text=b""):
        self.frame(GOAWAY, 0, 0, struct.pack(">II", last, ERRORS.index(error)) + text)

    def grant(self, count, stream=None):
        """The other side may send so many bytes more."""
        if stream is None:
            self.receive_window += count
        else:
            stream.receive_window += count
        self.frame(WINDOW_UPDATE, 0, stream.id if stream else 0, struct.pack(">I", count))

    def ping(self, data=b"usher???"):
        """Waits until the other side has seen everything that was sent before."""
        before = len(self.pongs)
        self.frame(PING, 0, 0, data)
        self.wait(lambda: len(self.pongs) > before, "the answer to a PING")

    # --- receiving

    def read_frame(self):
        """The next frame, taken note of; None at the end of the connection."""
        try:
            if self.wire.reader.at_end():
                raise wire.Ended("at a frame's begin")
            head = self.wire.reader.exactly(9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            self.check(length <= self.settings.get(MAX_FRAME_SIZE, FRAME_SIZE), f"a frame of {length} bytes")
            frame = Frame(kind, flags, int.from_bytes(head[5:], "big") & 0x7fffffff, self.wire.reader.exactly(length))
        except (wire.Ended, ConnectionError):
            self.closed = True
            return None
        self.frames.append(frame._replace(payload=len(frame.payload)))
        self.take(frame)
        return frame

    def wait(self, condition, what="something", or_end=False):
        """Reads until the condition holds; an end of the connection before that fails, or ends the waiting."""
        while not condition():
            if self.read_frame() is None:
                if or_end:
                    return
                raise wire.Ended(f"the connection ended (GOAWAY {self.goaway}) before {what}")

    def wait_for_end(self):
        """Reads to the end of the connection, and returns the error that GOAWAY named."""
        while self.read_frame() is not None:
            pass
        return self.goaway

    def check(self, condition, what):
        if self.strict and not condition:
            raise wire.ProtocolError(f"HTTP/2: {what}")

    def take(self, frame):
        self.check(self.other_settings is not None or (frame.type == SETTINGS and not frame.flags & ACK),
                   f"the first frame is no SETTINGS: {frame}")
        self.check(self.block is None or frame.type == CONTINUATION, f"a frame within a field section: {frame}")
        take = {DATA: self.take_data, HEADERS: self.take_headers, CONTINUATION: self.take_continuation,
                RST_STREAM: self.take_reset, SETTINGS: self.take_settings, PING: self.take_ping, GOAWAY: self.take_goaway,
                WINDOW_UPDATE: self.take_window}.get(frame.type)
        self.check(frame.type != PUSH_PROMISE, "a push")
        if take:
            take(frame)

    def known(self, frame):
        """The stream of a frame, which must be one that is open."""
        stream = self.streams.get(frame.stream) if self.strict else self.stream(frame.stream)
        self.check(stream is not None, f"a frame on a stream that nobody opened: {frame}")
        self.check(not stream.over, f"a frame on a stream that is over: {frame}")
        return stream

    def take_settings(self, frame):
        if frame.flags & ACK:
            self.check(not frame.payload, "SETTINGS ACK with a payload")
            self.settings_acks += 1
            return
        values = dict(struct.iter_unpack(">HI", frame.payload))
        before = (self.other_settings or {}).get(INITIAL_WINDOW_SIZE, WINDOW)
        self.other_settings = {**(self.other_settings or {}), **values}
        for stream in self.streams.values():
            stream.send_window += self.other_settings.get(INITIAL_WINDOW_SIZE, WINDOW) - before
        self.encoder.header_table_size = min(4096, self.other_settings.get(HEADER_TABLE_SIZE, 4096))
        if self.acks:
            self.send_quietly(encode_frame(SETTINGS, ACK))

    def send_quietly(self, data):
        """An answer to what came, which the other side may no longer take."""
        try:
            self.send(data)
        except OSError:
            pass

    def take_ping(self, frame):
        self.check(len(frame.payload) == 8, "a PING that is not of 8 bytes")
        if frame.flags & ACK:
            self.pongs.append(frame.payload)
            return
        self.pings += 1
        if self.acks:
            self.send_quietly(encode_frame(PING, ACK, 0, frame.payload))

    def take_goaway(self, frame):
        last, code = struct.unpack(">II", frame.payload[:8])
        self.check(not self.goaways or last <= self.goaways[-1][0], "GOAWAY with a higher last stream than before")
        self.goaway = error_name(code)
        self.goaways.append((last, self.goaway, frame.payload[8:]))

    def take_window(self, frame):
        (count,) = struct.unpack(">I", frame.payload)
        self.check(count > 0, "a WINDOW_UPDATE of nothing")
        if frame.stream == 0:
            self.send_window += count
        elif frame.stream in self.streams:
            self.streams[frame.stream].send_window += count
        self.check(self.send_window < 1 << 31, "a window beyond 2^31-1")

    def take_reset(self, frame):
        stream = self.streams.get(frame.stream) if self.strict else self.stream(frame.stream)
        self.check(stream is not None, f"RST_STREAM of a stream that nobody opened: {frame}")
        stream.reset = error_name(*struct.unpack(">I", frame.payload))

    def take_data(self, frame):
        stream = self.known(frame)
        self.check(stream.has_head, "DATA before the head")
        length = len(frame.payload)
        self.receive_window -= length
        stream.receive_window -= length
        self.check(self.receive_window >= 0 and stream.receive_window >= 0,
                   f"{length} bytes beyond the window: {self.receive_window} {stream.receive_window}")
        stream.body += unpadded(frame)
        stream.data_frames.append(length)
        if frame.flags & END_STREAM:
            self.end(stream)
        if self.grants and length and not self.closed:
            self.receive_window += length
            update = encode_frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", length))
            if not stream.over:
                stream.receive_window += length
                update += encode_frame(WINDOW_UPDATE, 0, stream.id, struct.pack(">I", length))
            self.send_quietly(update)

    def take_headers(self, frame):
        if self.is_client:
            self.known(frame)
        else:
            self.check(frame.stream % 2 == 1, f"a client's stream with an even number: {frame.stream}")
            if frame.stream not in self.streams:
                self.check(frame.stream > max(self.streams, default=0), f"stream {frame.stream} after {max(self.streams, default=0)}")
            self.check(not self.stream(frame.stream).over, f"HEADERS on a stream that is over: {frame}")
        payload = unpadded(frame)
        if frame.flags & WITH_PRIORITY:
            payload = payload[5:]
        self.block = (frame.stream, payload, bool(frame.flags & END_STREAM))
        if frame.flags & END_HEADERS:
            self.take_block()

    def take_continuation(self, frame):
        self.check(self.block is not None and self.block[0] == frame.stream, f"CONTINUATION out of place: {frame}")
        self.block = (frame.stream, self.block[1] + frame.payload, self.block[2])
        if frame.flags & END_HEADERS:
            self.take_block()

    def take_block(self):
        number, block, ends = self.block
        self.block = None
        stream = self.streams[number]
        pairs = [(wire.as_bytes(name), wire.as_bytes(value)) for name, value in self.decoder.decode(block, raw=True)]
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
        self.check_fields(pairs, is_trailer=stream.has_head)
        if stream.has_head:
            self.check(ends, "trailers that do not end the stream")
            stream.trailers = fields
        elif self.is_client and fields[0][1].startswith("1"):
            self.check(not ends, "an interim response that ends the stream")
            interim = Stream(self, number, 0, 0)
            interim.headers, interim.has_head = fields, True
            stream.interim.append(interim)
        else:
            stream.headers, stream.has_head = fields, True
            self.note_head(stream)
        if ends:
            self.end(stream)

    def note_head(self, stream):
        """Told of each head that came."""

    def check_fields(self, pairs, is_trailer):
        """RFC 9113 sections 8.2 and 8.3."""
        pseudo = [name for name, _ in pairs if name.startswith(b":")]
        self.check(not any(name.startswith(b":") for name, _ in pairs[len(pseudo):]), f"pseudo-fields behind others: {pairs}")
        if is_trailer:
            allowed, needed = set(), set()
        elif self.is_client:
            allowed = needed = {b":status"}
        else:
            allowed, needed = {b":method", b":scheme", b":path", b":authority", b":protocol"}, {b":method"}
        self.check(len(set(pseudo)) == len(pseudo) and needed <= set(pseudo) <= allowed, f"pseudo-fields: {pairs}")
        for name, value in pairs[len(pseudo):]:
            self.check(NAME.match(name), f"a field's name: {name!r}")
            self.check(name not in CONNECTION_SPECIFIC, f"a field of the connection: {name!r}")
            self.check(name != b"te" or value == b"trailers", f"te: {value!r}")
        for name, value in pairs:
            self.check(wire.FIELD_VALUE.match(value), f"a field's value: {name!r}: {value!r}")

    def end(self, stream):
        stream.ended = True
        length = stream.get("content-length")
        bodiless = self.is_client and (stream.sent_method == "HEAD" or stream.status in (204, 304))
        if length is not None and not bodiless:
            self.check(int(length) == len(stream.body), f"Content-Length {length}, and {len(stream.body)} bytes")


def unpadded(frame):
    if not frame.flags & PADDED:
        return frame.payload
    return frame.payload[1:len(frame.payload) - frame.payload[0]]


class H2Client(Peer):
    """A client of usher; with a context over TLS, else by prior knowledge. It starts politely unless told not to."""

    def __init__(self, port, context=None, server_name="test.example", settings=None, preface=True, raw=None, **more):
        if raw is None:
            raw = TlsClient(port, context, server_name) if context else RawClient(port)
        super().__init__(raw, settings, **more)
        self.scheme = "https" if context else "http"
        if context:
            assert raw.socket.selected_alpn_protocol() == "h2", raw.socket.selected_alpn_protocol()
        if preface:
            self.send(PREFACE)
            self.send_settings({ENABLE_PUSH: 0, **self.settings})

    def pseudo(self, method="GET", path="/", authority="test.example", scheme=None):
        return [(":method", method), (":scheme", scheme or self.scheme), (":authority", authority), (":path", path)]

    def open(self, fields, end=True, block=None, cut=FRAME_SIZE):
        """A new stream with these fields, whatever they are."""
        stream = self.stream(self.next_id)
        self.next_id += 2
        self.send_fields(stream.id, fields, end, block, cut)
        return stream

    def request(self, method="GET", path="/", *fields, body=None, authority="test.example", scheme=None, end=True):
        """Sends a well-formed request; a body comes with its length, and as the windows allow."""
        head = self.pseudo(method, path, authority, scheme) + as_fields(fields)
        if body is not None:
            head.append(("content-length", str(len(body))))
        stream = self.open(head, end and body is None)
        stream.sent_method = method
        if body is not None:
            self.send_body(stream, body)
        return stream

    def response(self, stream):
        """Waits until the stream is over, and returns it: a reset is the caller's to look at."""
        self.wait(lambda: stream.over, f"the end of stream {stream.id}")
        return stream

    def head(self, stream):
        self.wait(lambda: stream.has_head or stream.over, f"the head of stream {stream.id}")
        return stream

    def ask(self, *arguments, **more):
        return self.response(self.request(*arguments, **more))

    def outcome(self, stream):
        """What became of a stream that should not go well: a status, ("reset", ERROR) or ("goaway", ERROR)."""
        self.wait(lambda: stream.over or self.goaway, or_end=True)
        if self.goaway not in (None, "NO_ERROR"):
            return "goaway", self.goaway
        if stream.reset and not stream.has_head:
            return "reset", stream.reset
        if stream.has_head:
            return stream.status
        return "closed", self.goaway

    def connection_outcome(self):
        """The error with which the other side ends the connection."""
        return self.wait_for_end()


class H2Connection(Peer):
    """A connection that usher made to an origin; a script reads requests from it, and answers."""

    is_client = False

    def __init__(self, connection, settings=None, **more):
        super().__init__(connection, settings, **more)
        self.connection = connection
        self.number = connection.number
        self.arrived = collections.deque()

    def start(self):
        """Reads the preface, and says its own settings."""
        if self.wire.reader.exactly(len(PREFACE)) != PREFACE:
            raise wire.ProtocolError("no preface")
        self.send_settings(self.settings)

    def note_head(self, stream):
        stream.connection = self
        self.arrived.append(stream)
        self.connection.requests.append(stream)
        self.connection.origin.note(stream)

    def next_head(self):
        """The next request, as soon as its head is there; None at the end of the connection."""
        self.wait(lambda: self.arrived, or_end=True)
        return self.arrived.popleft() if self.arrived else None

    def next_request(self):
        """The next request, with its whole body; None at the end of the connection."""
        stream = self.next_head()
        if stream is not None:
            self.wait(lambda: stream.over, or_end=True)
        return stream

    def answer(self, stream, body=b"", *fields, status=200, trailers=(), length=True):
        """A whole response; an empty body without trailers ends with its head."""
        body = wire.as_bytes(body)
        head = [(":status", str(status)), *as_fields(fields)]
        if length:
            head.append(("content-length", str(len(body))))
        self.send_fields(stream.id, head, end=not body and not trailers)
        if body:
            self.send_body(stream, body, end=not trailers)
        if trailers:
            self.send_fields(stream.id, trailers, end=True)

    def inform(self, stream, status=103, *fields):
        self.send_fields(stream.id, [(":status", str(status)), *as_fields(fields)])


def h2_origin(script, context=None, settings=None, **more):
    """An origin that speaks HTTP/2, with a context over TLS; its script gets an H2Connection."""
    def serve(connection):
        if context:
            connection.socket = context.wrap_socket(connection.socket, server_side=True)
        peer = H2Connection(connection, settings, **more)
        peer.start()
        script(peer)

    origin = Origin(serve)
    origin.url = f"{'h2' if context else 'h2c'}://{origin.address}"
    return origin


def tls_origin(script, context):
    """An origin that speaks HTTP/1.1 over TLS."""
    def serve(connection):
        connection.socket = context.wrap_socket(connection.socket, server_side=True)
        script(connection)

    origin = Origin(serve)
    origin.url = f"https://{origin.address}"
    return origin


def h2_echo(peer):
    """Answers each request with what it received."""
    while (request := peer.next_request()) is not None:
        if not request.reset:
            peer.answer(request, b"" if request.method == "HEAD" else bytes(request.body), ("x-method", request.method),
                        ("x-path", request.target), length=request.method != "HEAD")
