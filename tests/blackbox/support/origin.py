"""Origins that do what a test tells them, byte by byte, and remember every byte that they got."""

import array
import fcntl
import json
import select
import socket
import struct
import termios
import threading
import time

from support import wire
from support.client import PATIENCE


class OriginConnection:
    """One connection that usher made; a script reads from it and writes to it."""

    def __init__(self, origin, number, accepted, peer):
        self.origin = origin
        self.number = number  # 0 is the first connection of the origin
        self.socket = accepted
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = peer
        self.received = bytearray()
        self.reader = wire.Reader(self.receive)
        self.requests = []
        self.ended = threading.Event()

    def receive(self, size):
        data = self.socket.recv(size)
        self.received += data
        return data

    def read_request(self):
        """The next whole request, parsed strictly; None at the end of the connection."""
        request = wire.read_request(self.reader)
        if request is not None:
            self.note(request)
        return request

    def read_head(self):
        """The head alone: the body stays to be read by read_body, or not at all."""
        if self.reader.at_end():
            return None
        request = wire.read_head(self.reader, wire.Request)
        self.note(request)
        return request

    def read_body(self, request):
        return wire.read_body(self.reader, request)

    def note(self, request):
        request.connection = self
        self.requests.append(request)
        self.origin.note(request)

    def send(self, data):
        self.socket.sendall(wire.as_bytes(data))

    def drip(self, data):
        for byte in wire.as_bytes(data):
            self.socket.sendall(bytes([byte]))

    def answer(self, body=b"", *fields, status="200 OK"):
        """A whole response with a length."""
        body = wire.as_bytes(body)
        self.send(wire.head(f"HTTP/1.1 {status}", *fields, ("Content-Length", str(len(body)))) + body)

    def wait_for_end(self):
        """Reads until the other side closes or resets."""
        try:
            while self.receive(65536):
                pass
        except OSError:
            pass

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def bound(host):
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.bind((host, 0))
    return listener


class Origin:
    """Listens on a port of its own and runs script(connection) in a thread for each connection."""

    def __init__(self, script, host="127.0.0.1", listener=None):
        self.script = script
        self.lock = threading.Condition()
        self.connections = []
        self.requests = []
        self.errors = []
        self.threads = []
        self.taken = 0
        self.stopping = False
        self.listener = listener or bound(host)
        self.listener.listen(1024)
        name = self.listener.getsockname()
        self.port = name[1] if isinstance(name, tuple) else None
        self.address = f"{host}:{self.port}" if self.port else f"unix:{name}"
        self.url = f"http://{self.address}" if self.port else self.address
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self):
        while True:
            try:
                accepted, peer = self.listener.accept()
            except OSError:
                return
            with self.lock:
                connection = OriginConnection(self, len(self.connections), accepted, peer)
                self.connections.append(connection)
                thread = threading.Thread(target=self.run, args=(connection,), daemon=True)
                self.threads.append(thread)
                self.lock.notify_all()
            thread.start()

    def run(self, connection):
        try:
            self.script(connection)
        except (OSError, wire.Ended):
            pass  # the other side is gone: what a test has to say to that, it says itself
        except Exception as error:  # pylint: disable=broad-except
            if not self.stopping:
                self.errors.append(error)
        finally:
            connection.close()
            connection.ended.set()
            with self.lock:
                self.lock.notify_all()

    def note(self, request):
        with self.lock:
            self.requests.append(request)
            self.lock.notify_all()

    def wait_until(self, condition, what):
        with self.lock:
            assert self.lock.wait_for(condition, PATIENCE), f"waited {PATIENCE} s for {what}; errors: {self.errors}"

    def next_request(self):
        """The first request that was not asked for yet; waits for it."""
        self.wait_until(lambda: len(self.requests) > self.taken, "a request at the origin")
        self.taken += 1
        return self.requests[self.taken - 1]

    def settle(self):
        """Waits until everything that was sent to this origin so far has been read and recorded."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if not select.select([self.listener], [], [], 0)[0] and not any(map(unread, list(self.connections))):
                return
            time.sleep(0.002)
        raise AssertionError("the origin did not read what it was sent")

    @property
    def received(self):
        """Every byte that came, on whichever connection."""
        self.settle()
        return b"".join(bytes(connection.received) for connection in self.connections)

    def targets(self):
        return [request.target for request in self.requests]

    def last(self):
        return self.requests[-1]

    def stop_listening(self):
        """From now on connections are refused; those that stand go on."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.acceptor.join(PATIENCE)

    def stop(self):
        self.stopping = True
        self.stop_listening()
        for connection in self.connections:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(PATIENCE)
        if self.errors:
            raise self.errors[0]


def unread(connection):
    """True when bytes wait to be read by a script that has not ended."""
    if connection.ended.is_set():
        return False
    count = array.array("i", [0])
    try:
        fcntl.ioctl(connection.socket, termios.FIONREAD, count)
    except (OSError, ValueError):
        return False
    return count[0] > 0


class DeadPort:
    """A port of our own on which nobody listens: connections to it are refused."""

    def __init__(self):
        self.socket = bound("127.0.0.1")
        self.port = self.socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.origin = None

    def revive(self, script):
        """From now on an origin answers there."""
        self.origin = Origin(script, listener=self.socket)
        return self.origin

    def stop(self):
        if self.origin:
            self.origin.stop()
        self.socket.close()


class SilentPort:
    """A port whose queue of connections is full: connecting to it never ends."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(0)
        self.port = self.socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.fillers = []
        while True:
            filler = socket.socket()
            self.fillers.append(filler)
            filler.settimeout(0.3)
            try:
                filler.connect(("127.0.0.1", self.port))
            except TimeoutError:
                break

    def stop(self):
        for filler in self.fillers:
            filler.close()
        self.socket.close()


# --- Scripts that many tests use


def description(request):
    return {
        "method": request.method, "target": request.target, "version": request.version, "headers": request.headers,
        "body": request.body.decode("latin-1"), "framing": request.framing, "trailers": request.trailers,
        "connection": request.connection.number,
    }


def echo(connection):
    """Answers each request with what it received, as JSON."""
    while (request := connection.read_request()) is not None:
        body = json.dumps(description(request)).encode()
        connection.send(wire.head("HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}")
                        + (b"" if request.method == "HEAD" else body))


def answering(data):
    """A script that answers each request with these bytes."""
    def script(connection):
        while connection.read_request() is not None:
            connection.send(data)
    return script


def once(data):
    """A script that answers one request with these bytes and closes."""
    def script(connection):
        if connection.read_request() is not None:
            connection.send(data)
    return script


def named(name):
    """A script that answers each request with a name."""
    return answering(wire.head("HTTP/1.1 200 OK", "Content-Type: text/plain", f"Content-Length: {len(name)}") + name.encode())


def steps(*actions):
    """A script of steps, one after the other: "read" reads a request, bytes are sent, an
    event is waited for, "close", "reset" and "half-close" end, "wait" waits for the other
    side's end, a function gets the connection."""
    def script(connection):
        for action in actions:
            if isinstance(action, bytes):
                connection.send(action)
            elif isinstance(action, threading.Event):
                assert action.wait(PATIENCE), "an event that the origin waits for did not come"
            elif callable(action):
                action(connection)
            else:
                {"read": connection.read_request, "read-head": connection.read_head, "close": connection.close,
                 "reset": connection.reset, "half-close": connection.half_close, "wait": connection.wait_for_end}[action]()
    return script
