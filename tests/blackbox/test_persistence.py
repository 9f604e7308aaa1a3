"""Connections that live on: keep-alive, pipelining, HTTP/1.0, half-closed clients."""

import threading

from support import wire
from support.origin import answering, steps
from support.refusal import echoed


def test_a_connection_serves_many_requests(proxy):
    usher, origin = proxy()
    with usher.connect() as client:
        for number in range(50):
            assert echoed(client.ask("GET", f"/{number}"))["target"] == f"/{number}"
    assert len(origin.connections) == 1, "the connection to the origin is kept as well"


def test_connections_to_the_origin_are_shared_by_clients(proxy):
    usher, origin = proxy(config=WORKER)
    for number in range(10):
        echoed(usher.get(f"/{number}"))
    assert len(origin.connections) == 1


# With one thread, so that there is one list of idle connections.
WORKER = """
listen: "127.0.0.1:$PORT"
workers: 1
access_log: off
proxy: $ORIGIN
"""


def test_pipelined_answers_come_in_order(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(b"".join(wire.head(f"GET /{number} HTTP/1.1", "Host: a.example") for number in range(100)))
        assert [echoed(client.response())["target"] for _ in range(100)] == [f"/{number}" for number in range(100)]


def test_pipelined_bodies_do_not_mix(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        requests = b""
        for number in range(20):
            body = b"%d" % number * number
            if number % 2:
                requests += wire.head("POST /length HTTP/1.1", "Host: a.example", f"Content-Length: {len(body)}") + body
            else:
                requests += (wire.head("POST /chunked HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked")
                             + wire.chunked(*([body] if body else [])))
        client.send(requests)
        for number in range(20):
            assert echoed(client.response())["body"] == f"{number}" * number


def test_a_pipelined_request_waits_for_the_one_before(proxy):
    go = threading.Event()

    def script(connection):
        while (request := connection.read_request()) is not None:
            if request.target == "/slow":
                assert go.wait(30)
            connection.answer(request.target)

    usher, origin = proxy(script)
    with usher.connect() as client:
        client.send(wire.head("GET /slow HTTP/1.1", "Host: a.example") + wire.head("GET /fast HTTP/1.1", "Host: a.example"))
        origin.next_request()
        assert client.quiet(), "no answer may overtake the one before it"
        go.set()
        assert client.response().body == b"/slow"
        assert client.response().body == b"/fast"


def test_a_request_may_come_in_pieces_behind_another(proxy):
    usher, _ = proxy()
    second = wire.head("GET /second HTTP/1.1", "Host: a.example")
    for cut in range(1, len(second), 7):
        with usher.connect() as client:
            client.send(wire.head("GET /first HTTP/1.1", "Host: a.example") + second[:cut])
            assert echoed(client.response())["target"] == "/first"
            client.send(second[cut:])
            assert echoed(client.response())["target"] == "/second"


def test_connection_close_is_honoured(proxy):
    usher, _ = proxy()
    for value in ("close", "Close", "keep-alive, close", "close, x-foo"):
        with usher.connect() as client:
            response = client.ask("GET", "/", ("Connection", value))
            assert "close" in response.tokens("connection")
            client.expect_closed()


def test_connection_close_ends_a_pipeline(proxy):
    usher, origin = proxy()
    with usher.connect() as client:
        client.send(wire.head("GET /1 HTTP/1.1", "Host: a.example", "Connection: close")
                    + wire.head("GET /2 HTTP/1.1", "Host: a.example"))
        assert echoed(client.response())["target"] == "/1"
        client.expect_closed()
    origin.settle()
    assert origin.targets() == ["/1"]


def test_version_1_0_closes(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        client.send("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        response = client.response()
        assert response.status == 200
        assert not response.has("transfer-encoding")
        client.expect_closed()


def test_version_1_0_keep_alive(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        for number in range(3):
            client.send(f"GET /{number} HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n")
            response = client.response()
            assert echoed(response)["target"] == f"/{number}"
            assert "keep-alive" in response.tokens("connection"), "a 1.0 client must be told that it may go on"


def test_version_1_0_never_gets_chunks(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
                               + wire.chunked(b"one", b"two", trailers=[("X-Sum", "1")])))
    for field in ("Connection: close", "Connection: keep-alive"):
        with usher.connect() as client:
            client.send(f"GET / HTTP/1.0\r\nHost: a.example\r\n{field}\r\n\r\n")
            response = client.response()
            assert response.body == b"onetwo"
            assert response.framing == "close"
            assert "keep-alive" not in response.tokens("connection")


def test_origin_of_version_1_0(proxy):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.0 200 OK\r\n\r\nall that there is")

    usher, origin = proxy(script)
    with usher.connect() as client:
        for _ in range(3):
            response = client.ask()
            assert response.version == "HTTP/1.1"
            assert response.body == b"all that there is"
            assert response.framing == "chunked", "the client's connection goes on, although the origin's does not"
    assert len(origin.connections) == 3


def test_origin_of_version_1_0_that_keeps_alive(proxy):
    usher, origin = proxy(answering(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"), config=WORKER)
    with usher.connect() as client:
        for _ in range(3):
            response = client.ask()
            assert response.body == b"ok"
            assert "close" not in response.tokens("connection")
    assert len(origin.connections) <= 3


def test_origin_that_closes_does_not_close_the_client(proxy):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    usher, origin = proxy(script)
    with usher.connect() as client:
        for _ in range(5):
            response = client.ask()
            assert response.body == b"ok"
            assert not response.tokens("connection")
    assert len(origin.connections) == 5


def test_half_closed_client_gets_its_answer(proxy):
    go = threading.Event()

    def late(connection):
        connection.read_request()
        assert go.wait(30)
        connection.answer("late")

    usher, origin = proxy(late)
    with usher.connect() as client:
        client.request()
        client.half_close()
        origin.next_request()
        go.set()
        assert client.response().body == b"late"
        client.expect_closed()


def test_half_closed_client_gets_all_pipelined_answers(proxy):
    usher, _ = proxy()
    with usher.connect() as client:
        client.send(b"".join(wire.head(f"GET /{number} HTTP/1.1", "Host: a.example") for number in range(10)))
        client.half_close()
        assert [echoed(client.response())["target"] for _ in range(10)] == [f"/{number}" for number in range(10)]
        client.expect_closed()


def test_client_that_goes_away_frees_the_origin(proxy):
    usher, origin = proxy(steps("read", "wait"))
    client = usher.connect()
    client.request()
    connection = origin.next_request().connection
    client.reset()
    assert connection.ended.wait(30), "the origin still works for nobody"


def test_a_connection_without_a_request_is_no_error(proxy):
    usher, origin = proxy()
    for _ in range(20):
        usher.connect().close()
        client = usher.connect()
        client.reset()
        with usher.connect() as client:
            client.half_close()
            client.expect_closed()
    assert echoed(usher.get())["target"] == "/"
    assert len(origin.requests) == 1


def test_a_cut_request_reaches_nobody(proxy):
    usher, origin = proxy()
    for cut in (1, 5, 20, 40):
        with usher.connect() as client:
            client.send(wire.head("GET /cut HTTP/1.1", "Host: a.example", "X-Long: value")[:cut])
    assert echoed(usher.get("/whole"))["target"] == "/whole"
    assert origin.targets() == ["/whole"]
