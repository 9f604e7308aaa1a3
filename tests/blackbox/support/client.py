"""A client on a bare socket: it sends the bytes that a test wants sent, and reads strictly."""

import socket
import struct

from support import wire

PATIENCE = 30  # seconds; a test that waits longer has failed


class RawClient:
    def __init__(self, port, host="127.0.0.1", source=None, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = wire.Reader(self.receive)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def receive(self, size):
        try:
            return self.socket.recv(size)
        except TimeoutError:
            raise wire.ProtocolError(f"nothing came for {PATIENCE} s; unread: {bytes(self.reader.buffer[:200])!r}") from None

    # --- sending

    def send(self, data):
        self.socket.sendall(wire.as_bytes(data))

    def drip(self, data):
        """Byte by byte, each in a segment of its own."""
        for byte in wire.as_bytes(data):
            self.socket.sendall(bytes([byte]))

    def request(self, method="GET", target="/", *fields, body=b"", host="test.example", version="HTTP/1.1"):
        """Sends a well-formed request; a body comes with its length."""
        lines = ([("Host", host)] if host is not None else []) + list(fields)
        if body:
            lines.append(("Content-Length", str(len(body))))
        self.send(wire.head(f"{method} {target} {version}", *lines) + body)

    # --- reading

    def response(self, method="GET"):
        return wire.read_response(self.reader, method)

    def response_head(self):
        return wire.read_head(self.reader, wire.Response)

    def ask(self, method="GET", target="/", *fields, **more):
        """A request and its response."""
        self.request(method, target, *fields, **more)
        return self.response(method)

    def expect_closed(self):
        """The other side has closed, and nothing more came."""
        try:
            rest = self.reader.some()
        except ConnectionResetError:
            return
        assert rest == b"", f"still open, or more came: {rest[:300]!r}"

    def quiet(self, seconds=0.2):
        """True when nothing comes for that long."""
        if self.reader.buffer:
            return False
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)
        return False

    # --- ending

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
