"""How fast bodies move. Slower than the limit is never wrong here: this machine may be."""

import asyncio
import os
import struct
import threading
import time
from socket import SO_LINGER, SOL_SOCKET

import pytest
import websockets

from support.access import sha512
from support.h2 import H2Client
from support.usher import eventually
from support.websocket import WebSocketServer
from test_h2 import open_websocket, shouting

CONFIG = """
listen: "127.0.0.1:$PORT"
workers: 2
trusted_proxies: [127.0.0.1]
rate: $RATE
proxy: $ORIGIN
"""
SIZE = 300_000
BURST = 65536
RATE = "{send: 200KB/s}"
LEAST = (SIZE - BURST) / 200_000  # seconds


@pytest.fixture
def paced(stage):
    """usher before an origin with a body for every target but those that take one."""
    def start(rate, config=CONFIG, framing="length", more=""):
        def script(connection):
            while head := connection.read_request():
                if framing == "chunked":
                    chunk = b"%x\r\n" % 1000 + b"x" * 1000 + b"\r\n"
                    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * (SIZE // 1000) + b"0\r\nX-End: yes\r\n\r\n")
                elif framing == "close":
                    connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * SIZE)
                    return
                else:
                    connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: %d\r\n\r\n" % SIZE + (b"" if head.method == "HEAD" else b"x" * SIZE))
        origin = stage.origin(script)
        usher = stage.usher(config + more, ORIGIN=origin, RATE=rate)
        usher.site = origin
        return usher
    return start


def visit(usher, address="1.2.3.4", *fields, target="/", **more):
    """The answer, and how long it took."""
    began = time.monotonic()
    answer = usher.get(target, f"X-Forwarded-For: {address}", *fields, **more)
    return answer, time.monotonic() - began


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("by", ["client", "request", "route"])
def test_an_answer_takes_its_time(paced, framing, by):
    usher = paced(f"{{send: 200KB/s, by: {by}}}", framing=framing)
    answer, seconds = visit(usher)
    assert answer.status == 200 and answer.body == b"x" * SIZE
    assert seconds >= LEAST


def test_a_burst_goes_at_once_and_has_to_be_made_up_for(paced):
    usher = paced("{send: 100KB/s, bytes_burst: 250000, by: client}")
    began = time.monotonic()
    visit(usher), visit(usher)
    assert time.monotonic() - began >= (2 * SIZE - 250_000) / 100_000


def test_http2(paced):
    usher = paced(RATE, config=CONFIG.replace('"127.0.0.1:$PORT"', '{address: "127.0.0.1:$PORT", h2c: true}'))
    with H2Client(usher.port) as client:
        began = time.monotonic()
        streams = [client.request("GET", "/", ("x-forwarded-for", "1.2.3.4")) for _ in range(2)]
        answers = [client.response(stream) for stream in streams]
        assert [len(answer.body) for answer in answers] == [SIZE, SIZE]
        assert time.monotonic() - began >= (2 * SIZE - BURST) / 200_000  # streams of one client share


def test_stored_answers_take_their_time(paced):
    usher = paced(RATE, more="cache: true\n")
    for _ in range(2):
        assert visit(usher, "10.0.0.1")[0].body == b"x" * SIZE
    assert len(usher.site.requests) == 1
    answer, seconds = visit(usher, "5.6.7.8")
    assert answer.body == b"x" * SIZE and seconds >= LEAST and len(usher.site.requests) == 1


def together(usher, addresses):
    """Asks at once; for each, a list of (time, bytes so far), the last one at its end."""
    progress = [[] for _ in addresses]
    gate = threading.Barrier(len(addresses))

    def ask(i):
        with usher.connect() as client:
            client.request("GET", "/", f"X-Forwarded-For: {addresses[i]}")
            gate.wait(60)
            assert client.response_head().status == 200
            got = len(client.reader.buffer)
            progress[i].append((time.monotonic(), got))
            while got < SIZE:
                got += len(client.receive(65536))
                progress[i].append((time.monotonic(), got))
    threads = [threading.Thread(target=ask, args=[i]) for i in range(len(addresses))]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return began, progress


def test_who_share_a_rate_get_alike(paced):
    usher = paced("{send: 200KB/s, bytes_burst: 10000}")
    began, (first, second) = together(usher, ["1.2.3.4", "::ffff:1.2.3.4"])
    assert max(first[-1][0], second[-1][0]) - began >= (2 * SIZE - 10_000) / 200_000
    # When one has all of it, the other one is not far behind: neither had to wait for the other's end.
    winner, other = (first, second) if first[-1][0] < second[-1][0] else (second, first)
    done = [got for at, got in other if at <= winner[-1][0]]
    assert done and done[-1] >= SIZE // 4


def test_others_have_a_rate_of_their_own(paced):
    """Whoever waits for one client's bytes, another one's burst is there."""
    usher = paced("{send: 1KiB/s, bytes_burst: 350000}")
    began, all_progress = together(usher, ["1.2.3.4", "5.6.7.8", "2001:db8::1"])
    assert all(progress[-1][1] == SIZE for progress in all_progress)  # by one rate this would take 9 minutes


def test_two_that_both_hold(paced):
    usher = paced("[{send: 10MB/s, by: route}, {send: 200KB/s, by: request}, {send: 5MB/s}]")
    answer, seconds = visit(usher)
    assert answer.body == b"x" * SIZE and seconds >= LEAST


def test_what_has_no_content_does_not_wait(paced):
    usher = paced("{send: 1KiB/s, bytes_burst: 1024, by: route}")
    assert usher.ask("HEAD", "/").get("Content-Length") == str(SIZE)


def test_who_leaves_is_not_waited_for(paced):
    usher = paced("{send: 1KiB/s, bytes_burst: 1024, concurrent: 1}")
    client = usher.connect()
    client.request("GET", "/", "X-Forwarded-For: 1.2.3.4")
    assert client.response_head().status == 200
    assert visit(usher)[0].status == 429
    client.reset()

    def is_free():
        with usher.connect() as other:
            other.request("GET", "/", "X-Forwarded-For: 1.2.3.4")
            return other.response_head().status == 200
    eventually(is_free)


@pytest.mark.parametrize("version", [1, 2])
def test_bodies_of_requests(stage, version):
    origin = stage.origin()
    config = CONFIG if version == 1 else CONFIG.replace('"127.0.0.1:$PORT"', '{address: "127.0.0.1:$PORT", h2c: true}')
    usher = stage.usher(config, ORIGIN=origin, RATE="{receive: 200KB/s}")
    began = time.monotonic()
    if version == 1:
        assert usher.ask("POST", "/", body=b"y" * SIZE).status == 200
    else:
        with H2Client(usher.port) as client:
            assert client.ask("POST", "/", body=b"y" * SIZE).status == 200
    assert time.monotonic() - began >= LEAST


def test_by_user(tmp_path, paced):
    (tmp_path / "staff").write_text(sha512("ann", "a"))
    usher = paced("{send: 200KB/s, by: user}", more=f"logins: {{staff: {tmp_path}/staff}}\naccess: {{login: staff}}\n")
    authorization = "Authorization: Basic YW5uOmE="
    began = time.monotonic()
    visit(usher, "1.1.1.1", authorization), visit(usher, "2.2.2.2", authorization)
    assert time.monotonic() - began >= (2 * SIZE - BURST) / 200_000


# --- Tunnels


async def echo(usher, address="1.2.3.4", size=SIZE):
    """Sends a message, in pieces, through a tunnel to a server that sends it back."""
    message = os.urandom(size)
    async with websockets.connect(f"ws://127.0.0.1:{usher.port}/", max_size=None, ping_interval=None,
                                  extra_headers={"X-Forwarded-For": address}) as socket:
        await socket.send([message[at:at + 10_000] for at in range(0, size, 10_000)])
        assert await socket.recv() == message


def all_echo(usher, *addresses):
    """How long it takes tunnels, all at once."""
    async def run():
        await asyncio.gather(*(echo(usher, address) for address in addresses))
    began = time.monotonic()
    asyncio.run(run())
    return time.monotonic() - began


@pytest.mark.parametrize("way", ["send", "receive"])
@pytest.mark.parametrize("by", ["client", "request", "route"])
def test_a_tunnel_takes_its_time(stage, way, by):
    usher = stage.usher(CONFIG, ORIGIN=stage.add(WebSocketServer()), RATE=f"{{{way}: 200KB/s, by: {by}}}")
    assert all_echo(usher, "1.2.3.4") >= LEAST


@pytest.mark.parametrize("way", ["send", "receive"])
def test_tunnels_of_one_client_share_a_rate(stage, way):
    usher = stage.usher(CONFIG, ORIGIN=stage.add(WebSocketServer()), RATE=f"{{{way}: 400KB/s}}")
    assert all_echo(usher, *["1.2.3.4"] * 4) >= (4 * SIZE - BURST) / 400_000


def test_both_ways_of_a_tunnel_have_a_rate_of_their_own(stage):
    usher = stage.usher(CONFIG, ORIGIN=stage.add(WebSocketServer()), RATE="[{send: 200KB/s, receive: 300KB/s}, {send: 5MB/s, by: route}]")
    # The message is whole before it is sent back.
    assert all_echo(usher, "1.2.3.4") >= LEAST + (SIZE - BURST) / 300_000


def test_tunnels_and_answers_share_a_rate(stage):
    """What follows the upgrade is booked where the answers before it were."""
    origin = stage.origin()
    usher = stage.usher(f"{CONFIG}routes: [{{path: /page, proxy: {origin.url}}}]\n", ORIGIN=stage.add(WebSocketServer()), RATE="{send: 200KB/s}")
    began = time.monotonic()
    assert usher.ask("POST", "/page", "X-Forwarded-For: 1.2.3.4", body=b"y" * 10_000).status == 200
    all_echo(usher, "1.2.3.4")
    assert time.monotonic() - began >= LEAST


def test_tunnels_of_others_have_a_rate_of_their_own(stage):
    usher = stage.usher(CONFIG, ORIGIN=stage.add(WebSocketServer()), RATE="{send: 1KiB/s, receive: 1KiB/s, bytes_burst: 400000}")
    all_echo(usher, "1.2.3.4", "5.6.7.8", "2001:db8::1")  # by one rate this would take 9 minutes


@pytest.mark.parametrize("way", ["send", "receive"])
def test_a_tunnel_over_http2(stage, way):
    config = CONFIG.replace('"127.0.0.1:$PORT"', '{address: "127.0.0.1:$PORT", h2c: true}')
    usher = stage.usher(config, ORIGIN=stage.origin(shouting), RATE=f"{{{way}: 200KB/s}}")
    with H2Client(usher.port) as client:
        began = time.monotonic()
        stream = open_websocket(client)
        client.send_body(stream, b"abc" * (SIZE // 3), end=False)
        client.wait(lambda: len(stream.body) == SIZE, "all of it")
        assert bytes(stream.body) == b"ABC" * (SIZE // 3)
        assert time.monotonic() - began >= LEAST


def test_a_tunnel_that_waits_for_its_turn_is_not_idle_and_can_be_left(stage):
    """A second for each piece, while half a second without a byte would end it."""
    usher = stage.usher(CONFIG + "timeouts: {tunnel: 500ms}\n", ORIGIN=stage.add(WebSocketServer()),
                        RATE="[{receive: 1KiB/s, bytes_burst: 1024, by: request}, {concurrent: 1}]")

    async def run():
        async with websockets.connect(f"ws://127.0.0.1:{usher.port}/", close_timeout=1, extra_headers={"X-Forwarded-For": "1.2.3.4"}) as socket:
            message = os.urandom(3000)
            await socket.send(message)
            assert await socket.recv() == message
            await socket.send(os.urandom(100_000))
            # A reset: what it sent before an orderly end would still be passed on, at its rate.
            socket.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            socket.transport.abort()
    began = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - began >= (3000 - 1024) / 1024
    eventually(lambda: usher.get("/", "X-Forwarded-For: 1.2.3.4").status != 429)


# --- What is refused


@pytest.mark.parametrize("rate, message", [
    ("{send: 200KB}", r':5:14: "200KB" is no rate of bytes; expected one of at least 1KiB/s'), ("{send: 200KB/m}", "is no rate of bytes"), ("{receive: 1/s}", "is no rate of bytes"),
    ("{send: fast}", "is no rate of bytes"), ("{bytes_burst: 64KiB, limit: 1/s}", r":5:8: `bytes_burst` belongs to `send` or `receive`"),
    ("{limit: 1/s, by: request}", "`by: request` is for `send` and `receive`"), ("{send: 1MB/s, concurrent: 3, by: request}", "`by: request` is for"),
    ("{by: client}", "a rate needs a `limit` such as 10/s, `concurrent`, or `send`"), ("{send: 1MB/s, burst: 3}", "`burst`, `delay` and `tell` belong to a `limit`")])
def test_what_is_no_rate(paced, rate, message):
    with pytest.raises(AssertionError, match=message):
        paced(rate)
