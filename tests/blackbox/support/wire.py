"""HTTP/1.1 on the wire, read strictly: what a test accepts is what RFC 9112 allows, and no more."""

import re

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
FIELD_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?\Z")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*)?\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) (HTTP/1\.[01])\Z")
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")


class ProtocolError(AssertionError):
    """The other side broke the protocol."""


class Ended(ProtocolError):
    """The connection ended where more was due."""


class Reader:
    """Lines and counted bytes from a function that gives what has come (b"" at the end)."""

    def __init__(self, receive):
        self.receive = receive
        self.buffer = bytearray()

    def fill(self):
        """Waits for more; False at the end."""
        data = self.receive(65536)
        self.buffer += data
        return bool(data)

    def line(self):
        """A line without its CRLF; bare CR and bare LF are errors."""
        at = 0
        while (end := self.buffer.find(b"\n", at)) < 0:
            at = len(self.buffer)
            if not self.fill():
                raise Ended(f"the connection ended within a line: {bytes(self.buffer[:200])!r}")
        line = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise ProtocolError(f"a line that does not end with CRLF, or has a bare CR: {line[:200]!r}")
        return line[:-2]

    def exactly(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise Ended(f"the connection ended with {count - len(self.buffer)} of {count} bytes to come")
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def some(self):
        """What has come: at least a byte, b"" at the end."""
        if not self.buffer and not self.fill():
            return b""
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def rest(self):
        while self.fill():
            pass
        return self.some() if self.buffer else b""

    def at_end(self):
        return not self.buffer and not self.fill()


class Message:
    """A request or a response: its start line's parts, its fields in order, its body."""

    def __init__(self, head):
        self.head = head  # as it came, with the empty line
        self.headers = []
        self.trailers = []
        self.body = b""
        self.framing = "none"  # none, length, chunked, close
        self.chunks = []  # the sizes, in order
        self.interim = []  # responses with 1xx that came before

    def get(self, name, default=None):
        """The value of a field that may be there once."""
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolError(f"{name} came {len(values)} times: {values}")
        return values[0] if values else default

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def has(self, name):
        return bool(self.all(name))

    def names(self):
        return [key.lower() for key, _ in self.headers]

    def tokens(self, name):
        """The elements of a list field, in lower case."""
        return [word.strip().lower() for value in self.all(name) for word in value.split(",") if word.strip()]


class Request(Message):
    method = target = version = ""

    def __repr__(self):
        return f"<{self.method} {self.target} {self.headers}>"


class Response(Message):
    status, reason, version = 0, "", ""

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


def parse_field(line):
    if line[:1] in (b" ", b"\t"):
        raise ProtocolError(f"a folded field: {line!r}")
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not TOKEN.match(name) or not FIELD_VALUE.match(value):
        raise ProtocolError(f"not a field: {line!r}")
    return name.decode("latin-1"), value.decode("latin-1")


def read_fields(reader):
    fields, raw = [], b""
    while line := reader.line():
        raw += line + b"\r\n"
        fields.append(parse_field(line))
    return fields, raw + b"\r\n"


def read_head(reader, kind):
    """The head of a Request or a Response."""
    start = reader.line()
    match = (REQUEST_LINE if kind is Request else STATUS_LINE).match(start)
    if not match:
        raise ProtocolError(f"not a start line: {start[:200]!r}")
    fields, raw = read_fields(reader)
    message = kind(start + b"\r\n" + raw)
    message.headers = fields
    parts = [part.decode("latin-1") for part in match.groups()]
    if kind is Request:
        message.method, message.target, message.version = parts
    else:
        message.version, message.status, message.reason = parts[0], int(parts[1]), parts[2]
    return message


def find_framing(message, method="GET"):
    """RFC 9112 section 6.3; sets message.framing, and returns the length where there is one."""
    codings, lengths = message.tokens("transfer-encoding"), message.all("content-length")
    if codings and lengths:
        raise ProtocolError(f"Content-Length beside Transfer-Encoding: {message.headers}")
    if isinstance(message, Response):
        if message.status < 200 or message.status == 204:
            if codings or lengths:
                raise ProtocolError(f"a {message.status} with a framing field: {message.headers}")
            return 0
        if method == "HEAD" or message.status == 304 or (method == "CONNECT" and message.status < 300):
            return 0
    if codings:
        if codings != ["chunked"]:
            raise ProtocolError(f"transfer codings {codings}")
        message.framing = "chunked"
        return None
    if lengths:
        if len(lengths) != 1 or not re.fullmatch(r"[0-9]+", lengths[0]):
            raise ProtocolError(f"Content-Length {lengths}")
        message.framing = "length"
        return int(lengths[0])
    if isinstance(message, Response):
        message.framing = "close"
        return None
    return 0


def read_chunk(reader):
    """The next chunk's data; b"" is the last one, after which the trailers come."""
    line = reader.line()
    match = CHUNK_SIZE.match(line)
    if not match:
        raise ProtocolError(f"not a chunk size: {line[:200]!r}")
    size = int(match.group(1), 16)
    data = reader.exactly(size)
    if size > 0 and reader.exactly(2) != b"\r\n":
        raise ProtocolError("no CRLF behind a chunk")
    return data


def read_body(reader, message, method="GET"):
    length = find_framing(message, method)
    if message.framing == "chunked":
        parts = []
        while data := read_chunk(reader):
            parts.append(data)
            message.chunks.append(len(data))
        message.body = b"".join(parts)
        message.trailers, _ = read_fields(reader)
    elif message.framing == "close":
        message.body = reader.rest()
    else:
        message.body = reader.exactly(length)
    return message


def read_request(reader):
    """The next whole request, or None when the connection ends before its first byte."""
    if reader.at_end():
        return None
    return read_body(reader, read_head(reader, Request))


def read_response(reader, method="GET"):
    """The next final response, with the interim ones before it in .interim."""
    interim = []
    while True:
        response = read_body(reader, read_head(reader, Response), method)
        if response.status >= 200 or response.status == 101:
            response.interim = interim
            return response
        interim.append(response)


def chunked(*parts, trailers=(), extension=b""):
    """The parts as a chunked body."""
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts)
    fields = b"".join(b"%s: %s\r\n" % (as_bytes(name), as_bytes(value)) for name, value in trailers)
    return body + b"0\r\n" + fields + b"\r\n"


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def head(start, *fields):
    """A head of a start line and fields, each "Name: value" or a pair."""
    lines = [as_bytes(start)]
    lines += [as_bytes(field) if isinstance(field, (str, bytes)) else b": ".join(map(as_bytes, field)) for field in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"
