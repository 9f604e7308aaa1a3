"""Upgrade: tunnels that carry whatever both sides agreed on, WebSocket first of all."""

import asyncio
import os
import threading

import pytest
import websockets

from support import wire
from support.origin import answering
from support.usher import stalled
from support.websocket import WebSocketServer

UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
SWITCHING = wire.head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
                      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

LOGGED = """
listen: "127.0.0.1:$PORT"
access_log: access.log
proxy: $ORIGIN
"""


def shouting(connection):
    """Switches, and sends back in capitals what comes."""
    while (request := connection.read_head()) is not None:
        if "upgrade" not in request.tokens("connection"):
            connection.answer("plain")
            continue
        assert request.get("upgrade") == "websocket"
        connection.send(SWITCHING)
        while data := connection.receive(65536):
            connection.send(data.upper())
        return


def switch(usher):
    client = usher.connect()
    client.send(wire.head("GET /chat HTTP/1.1", "Host: a.example", "Referer: a page", "User-Agent: a browser", *UPGRADE))
    response = client.response()
    assert response.status == 101
    assert response.tokens("connection") == ["upgrade"]
    assert response.get("upgrade") == "websocket"
    assert response.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    return client


def exchange(client, data):
    client.send(data)
    assert client.reader.exactly(len(data)) == data.upper()


def test_bytes_pass_both_ways(proxy):
    usher, _ = proxy(shouting)
    with switch(usher) as client:
        for number in range(100):
            exchange(client, b"message %d" % number)
        exchange(client, bytes(range(256)) * 4096)


def test_tunnels_are_logged_when_they_end(proxy):
    usher, _ = proxy(shouting, LOGGED)
    with switch(usher) as client:
        exchange(client, b"x" * 100000)
        # Others take the memory that the tunnel gives back, if it does.
        for number in range(20):
            assert usher.get(f"/another/{number}").body == b"plain"
    lines = usher.log_lines(count=21)
    logged = [line for line in lines if '"GET /chat HTTP/1.1" 101 ' in line]
    assert len(logged) == 1 and '"a page" "a browser"' in logged[0], lines


def test_bytes_sent_with_the_request_are_not_lost(proxy):
    usher, _ = proxy(shouting)
    with usher.connect() as client:
        client.send(wire.head("GET /chat HTTP/1.1", "Host: a.example", *UPGRADE) + b"early")
        assert client.response().status == 101
        assert client.reader.exactly(5) == b"EARLY"


def test_bytes_sent_with_the_answer_are_not_lost(proxy):
    def script(connection):
        connection.read_head()
        connection.send(SWITCHING + b"welcome")
        connection.wait_for_end()

    usher, _ = proxy(script)
    with switch(usher) as client:
        assert client.reader.exactly(7) == b"welcome"


def test_end_of_the_origin_ends_the_client(proxy):
    def script(connection):
        connection.read_head()
        connection.send(SWITCHING + b"bye")

    usher, _ = proxy(script)
    with switch(usher) as client:
        assert client.reader.exactly(3) == b"bye"
        client.expect_closed()


def test_end_of_the_client_ends_the_origin(proxy):
    usher, origin = proxy(shouting)
    switch(usher).close()
    assert origin.connections[0].ended.wait(30)


def test_reset_of_the_client_ends_the_origin(proxy):
    usher, origin = proxy(shouting)
    switch(usher).reset()
    assert origin.connections[0].ended.wait(30)


def test_half_closed_tunnel_goes_on_the_other_way(proxy):
    def script(connection):
        connection.read_head()
        connection.send(SWITCHING)
        assert connection.reader.rest() == b"all of it"
        connection.send(b"and the answer")

    usher, _ = proxy(script)
    with switch(usher) as client:
        client.send(b"all of it")
        client.half_close()
        assert client.reader.exactly(14) == b"and the answer"
        client.expect_closed()


def test_origin_that_does_not_switch(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 200 OK", "Content-Length: 5") + b"plain"))
    with usher.connect() as client:
        for _ in range(2):
            response = client.ask("GET", "/", *UPGRADE)
            assert (response.status, response.body) == (200, b"plain")


@pytest.mark.parametrize("chosen", ["h2c", "websocket, h2c", ""])
def test_origin_that_switches_to_something_else(proxy, chosen):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {chosen}")))
    with usher.connect() as client:
        client.send(wire.head("GET /chat HTTP/1.1", "Host: a.example", *UPGRADE))
        response = client.response()
        assert response.status == 502
        assert b"upgrade_failed" in response.body


def test_origin_that_refuses(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 426 Upgrade Required", "Upgrade: h2c", "Connection: Upgrade", "Content-Length: 2")
                               + b"no"))
    response = usher.get("/", *UPGRADE)
    assert (response.status, response.body) == (426, b"no")


def test_version_1_0_cannot_upgrade(proxy):
    usher, origin = proxy()
    with usher.connect() as client:
        client.send(wire.head("GET / HTTP/1.0", "Host: a.example", *UPGRADE))
        assert client.response().status == 200
    assert not origin.last().has("upgrade")


def test_upgrade_that_connection_does_not_name(proxy):
    usher, origin = proxy()
    with usher.connect() as client:
        assert client.ask("GET", "/", *UPGRADE[1:]).status == 200
    assert not origin.last().has("upgrade")


def test_h2c_is_not_passed_on(proxy):
    """An upgrade to HTTP/2 in clear would hide what follows from every rule."""
    usher, origin = proxy()
    response = usher.get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    assert response.status == 200
    assert not origin.last().has("upgrade")
    assert not origin.last().has("http2-settings")


def test_large_transfer_both_ways_at_once(proxy):
    usher, _ = proxy(shouting)
    data = os.urandom(1 << 20) * 8
    with switch(usher) as client:
        sender = threading.Thread(target=client.send, args=(data,))
        sender.start()
        assert client.reader.exactly(len(data)) == data.upper()
        sender.join()


def test_slow_reader_slows_the_sender(proxy):
    """A tunnel is no store: an origin that floods it must wait for the client."""
    sent = [0]

    def script(connection):
        connection.read_head()
        connection.send(SWITCHING)
        piece = bytes(65536)
        while True:
            connection.send(piece)
            sent[0] += len(piece)

    usher, _ = proxy(script)
    before = usher.resident_bytes()
    with switch(usher):
        assert stalled(sent) < 64 << 20
        assert usher.resident_bytes() - before < 64 << 20


# --- With a real client and a real server


@pytest.fixture
def echoing(stage):
    server = stage.add(WebSocketServer())
    return stage.usher(ORIGIN=server)


def test_real_websockets(echoing):
    async def talk(number):
        async with websockets.connect(f"ws://127.0.0.1:{echoing.port}/{number}", max_size=None) as socket:
            for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
                message = os.urandom(size)
                await socket.send(message)
                assert await socket.recv() == message
            await socket.ping()

    async def main():
        await asyncio.gather(*(talk(number) for number in range(20)))
    asyncio.run(main())


def test_websockets_live_through_reloads(echoing):
    async def main():
        sockets = [await websockets.connect(f"ws://127.0.0.1:{echoing.port}/") for _ in range(10)]
        for turn in range(5):
            await asyncio.get_running_loop().run_in_executor(None, echoing.reload)
            for number, socket in enumerate(sockets):
                await socket.send(f"{turn} {number}")
                assert await socket.recv() == f"{turn} {number}"
        for socket in sockets:
            await socket.close()
    asyncio.run(main())
