"""A DNS server: UDP only, with the records that a test gives it, and a count of questions."""

import socket
import struct
import threading

TYPES = {"A": 1, "SRV": 33}


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label) + b"\0"


def data_of(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    priority, weight, port, target = value
    return struct.pack(">HHH", priority, weight, port) + encode(target)


class DnsServer:
    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.lock = threading.Lock()
        self.records = {}  # (name, type) -> (time to live, [values])
        self.fails = False
        self.questions = 0
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def set(self, name, kind, *values, ttl=1):
        with self.lock:
            self.records[name, TYPES[kind]] = (ttl, [data_of(kind, value) for value in values])

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if not query:
                return
            answer = self.answer(query)
            if answer:
                self.socket.sendto(answer, peer)

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += query[at] + 1
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        question = query[12:at + 5]
        with self.lock:
            self.questions += 1
            name = ".".join(labels).lower()
            ttl, found = self.records.get((name, kind), (0, []))
            known = any(known == name for known, _ in self.records)
            code = 2 if self.fails else 0 if known else 3
        if code:
            found = []
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data for data in found)
        return query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(found), 0, 0) + question + records

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.socket.getsockname())
        self.thread.join(10)
        self.socket.close()
