"""An upload, a download, a WebSocket and a gRPC stream live through twenty reloads and a change of certificates."""

import asyncio
import hashlib
import json
import os
import struct
import threading

import pytest
import websockets

from support import wire
from support.client import PATIENCE
from support.grpc import GrpcServer, start_scenario
from support.h2 import H2Client
from support.tls import TlsClient, handshake
from support.usher import eventually
from support.websocket import WebSocketServer

RELOADS = 20
CONFIG = """
listen: [{address: "127.0.0.1:$PORT", tls: true}]
access_log: off
timeouts: {header: %ds}
tls: {certificate: live.pem, key: live.key}
routes:
  - {path: /chat, proxy: $CHAT}
  - {path: /usher.test.Test/, proxy: $GRPC}
  - {proxy: $ORIGIN}
"""
NUMBER = struct.Struct(">Q")


class Flow:
    """Something that goes on in a thread until it is told to end; `count` grows while it lives."""

    def __init__(self, *arguments):
        self.ending = threading.Event()
        self.count = 0
        self.error = self.result = None
        self.thread = threading.Thread(target=self.run_caught, args=arguments, daemon=True)
        self.thread.start()

    def run_caught(self, *arguments):
        try:
            self.result = self.run(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def wait_for_progress(self):
        before = self.count
        eventually(lambda: self.error or self.count > before + 1, f"progress of {type(self).__name__} after {before}")
        assert self.error is None, f"{type(self).__name__}: {self.error!r}"

    def end(self):
        self.ending.set()
        self.thread.join(PATIENCE)
        assert self.error is None, f"{type(self).__name__}: {self.error!r}"
        return self.result


class Upload(Flow):
    """Pieces over HTTP/1.1, as long as it takes; the server tells their digest."""

    def run(self, port, context):
        digest = hashlib.sha256()
        with TlsClient(port, context) as client:
            client.send(wire.head("POST /upload HTTP/1.1", "Host: test.example", "Transfer-Encoding: chunked"))
            while not self.ending.wait(0.005):
                piece = os.urandom(5000)
                digest.update(piece)
                client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.count += 1
            client.send(b"0\r\n\r\n")
            return client.response().body.decode() == digest.hexdigest()


class UploadOverH2(Flow):
    def run(self, port, context):
        digest = hashlib.sha256()
        with H2Client(port, context) as client:
            stream = client.open(client.pseudo("POST", "/upload"), end=False)
            while not self.ending.wait(0.005):
                piece = os.urandom(5000)
                digest.update(piece)
                client.send_body(stream, piece, end=False)
                self.count += 1
            client.send_data(stream, b"", end=True)
            return bytes(client.response(stream).body).decode() == digest.hexdigest()


class Download(Flow):
    """Numbers in their order, over HTTP/2; the server ends when it is told to."""

    def run(self, port, context):
        with H2Client(port, context) as client:
            stream = client.request("GET", "/download")
            while not self.ending.is_set():
                client.wait(lambda: stream.over or len(stream.body) >= (self.count + 1) * 800, "the next numbers")
                self.count = len(stream.body) // 800
                assert not stream.over, stream
            client.send_reset(stream)
            numbers = [number for (number,) in NUMBER.iter_unpack(stream.body[:len(stream.body) // 8 * 8])]
            return numbers == list(range(len(numbers)))


class Chat(Flow):
    """Messages that come back, over a WebSocket."""

    def run(self, port, context):
        async def talk():
            async with websockets.connect(f"wss://test.example:{port}/chat", host="127.0.0.1", server_hostname="test.example",
                                          ssl=context, ping_interval=None) as socket:
                while not self.ending.is_set():
                    message = os.urandom(500)
                    await socket.send(message)
                    assert await socket.recv() == message
                    self.count += 1
                    await asyncio.sleep(0.005)
            return True
        return asyncio.run(talk())


def serve(connection):
    """Digests what it gets, and counts for who asks it to."""
    while (request := connection.read_head()) is not None:
        if request.target == "/upload":
            connection.read_body(request)
            connection.answer(hashlib.sha256(request.body).hexdigest())
            continue
        connection.send(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
        number = 0
        while not connection.origin.stopping:
            piece = b"".join(NUMBER.pack(number + index) for index in range(100))
            number += 100
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.origin.pause.wait(0.002)
        return


def install(usher_directory, certificate):
    """Replaces both files, the key last, each at once."""
    for name, content in (("live.pem", certificate.chain_pem), ("live.key", certificate.key_pem)):
        new = usher_directory / f"{name}.new"
        new.write_bytes(content)
        os.replace(new, usher_directory / name)


@pytest.mark.timeout(300)
def test_everything_lives_on(stage, authority, tmp_path):
    origin = stage.origin(serve)
    origin.pause = threading.Event()
    chat, grpc = stage.add(WebSocketServer()), stage.add(GrpcServer())
    certificates = [authority.issue("test.example") for _ in range(4)]
    install(tmp_path, certificates[0])
    config = CONFIG.replace("live.", f"{tmp_path}/live.")
    usher = stage.usher(config % 10, ORIGIN=origin, CHAT=chat, GRPC=grpc)
    context = authority.trusting(["h2", "http/1.1"])
    plain = authority.trusting(["http/1.1"])
    flows = [Upload(usher.port, plain), UploadOverH2(usher.port, context), Download(usher.port, context), Chat(usher.port, plain)]
    rpc = start_scenario("live", usher.port, authority.ca)
    try:
        assert rpc.stderr.readline().strip() == "live"
        for number in range(RELOADS):
            for flow in flows:
                flow.wait_for_progress()
            if number % 5 == 4:
                install(tmp_path, certificates[number // 5])
            usher.reload(config % (10 + number))
            assert handshake(usher.port, context)[3] == certificates[max(0, number - 4) // 5 if number % 5 != 4 else number // 5].serial
        for flow in flows:
            flow.wait_for_progress()
            assert flow.end() is True, type(flow).__name__
        said, errors = rpc.communicate(timeout=PATIENCE)
        seen = json.loads(said)
        assert seen["code"] == 0 and seen["right"] > RELOADS, errors
    finally:
        rpc.kill()
        rpc.communicate()
        for flow in flows:
            flow.ending.set()
