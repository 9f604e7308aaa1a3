"""Very many clients that ask for the same at once, and the origin that they all wait for, which takes a second.

usage: crowd.py ORIGIN_PORT CLIENTS

Reads the port of a proxy from each line, lets the crowd ask it for a page that nobody asked for before, and writes one
line of JSON: how many requests the origin saw for it, and the longest and the median wait in milliseconds.
"""

import json
import selectors
import socket
import statistics
import sys
import time

SECOND = 1.0
PAGE = b"x" * 10000


def answer(body):
    return b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Origin:
    """Answers at once, but for /slow."""

    def __init__(self, selector, port):
        self.selector = selector
        self.asked = 0
        self.late = []  # (when, connection)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        selector.register(self.listener, selectors.EVENT_READ, self.accept)

    def accept(self):
        connection, _ = self.listener.accept()
        self.selector.register(connection, selectors.EVENT_READ, lambda: self.read(connection))

    def read(self, connection):
        request = connection.recv(65536)
        if not request:
            self.selector.unregister(connection)
            connection.close()
        elif b"/slow" in request.partition(b"\r\n")[0]:
            self.asked += 1
            self.late.append((time.monotonic() + SECOND, connection))
        else:
            connection.sendall(answer(b"x"))

    def answer_late(self):
        now = time.monotonic()
        while self.late and self.late[0][0] <= now:
            self.late.pop(0)[1].sendall(answer(PAGE))


class Client:
    def __init__(self, selector, port):
        self.selector = selector
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.began = self.wait_ms = None
        self.got = 0

    def ask(self, path):
        self.selector.register(self.socket, selectors.EVENT_READ, self.read)
        self.began = time.monotonic()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n".encode())

    def read(self):
        bytes_ = self.socket.recv(65536)
        self.got += len(bytes_)
        if not bytes_:
            self.wait_ms = (time.monotonic() - self.began) * 1000
            self.selector.unregister(self.socket)
            self.socket.close()


def run(selector, origin, port, count, path):
    origin.asked = 0
    clients = [Client(selector, port) for _ in range(count)]
    for client in clients:
        client.ask(path)
    while any(client.wait_ms is None for client in clients):
        due = origin.late[0][0] - time.monotonic() if origin.late else 1
        for key, _ in selector.select(max(due, 0)):
            key.data()
        origin.answer_late()
    waits = [client.wait_ms for client in clients]
    return {"max_ms": max(waits), "median_ms": statistics.median(waits), "origin_requests": origin.asked,
            "unanswered": sum(client.got < len(PAGE) for client in clients)}


def main():
    port, count = map(int, sys.argv[1:])
    selector = selectors.DefaultSelector()
    origin = Origin(selector, port)
    asked = {}

    def read_line():
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        asked[line] = asked.get(line, 0) + 1
        print(json.dumps(run(selector, origin, int(line), count, f"/slow{asked[line]}")), flush=True)
    selector.register(sys.stdin, selectors.EVENT_READ, read_line)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            key.data()


main()
