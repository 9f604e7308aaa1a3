"""An authentication service that is asked about each visitor."""

import threading
import time

import pytest

from support.usher import eventually, run_command

CONFIG = """
listen: "127.0.0.1:$PORT"
workers: 1
trusted_proxies: [127.0.0.1]
access: {allow: [10.0.0.0/8], forward: {to: $SERVICE, path: /auth?x=1, take: [Remote-Email, X-Token], $MORE}}
proxy: $ORIGIN
"""


class Service:
    """Lets in who sends the cookie good=1."""

    def __init__(self):
        self.asked = []

    def __call__(self, connection):
        while (request := connection.read_request()) is not None:
            self.asked.append(request)
            cookie = request.get("Cookie", "")
            if "good=1" in cookie:
                connection.answer("", "Remote-User: ann", "Remote-Groups: makers,admins", "Remote-Email: ann@example.com", "X-Other: no")
            elif "slow=1" in cookie:
                time.sleep(2)
                connection.answer("", status="204 No Content")
            elif "large=1" in cookie:
                connection.answer("x" * 100_000, status="403 Forbidden")
            elif "cut=1" in cookie:
                connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf")
                connection.close()
                return
            else:
                connection.answer("<p>log in</p>", "Location: https://login.example/?to=x", "Set-Cookie: csrf=1; Path=/", "Set-Cookie: b=2", "Content-Type: text/html",
                                  status="302 Found")


@pytest.fixture
def served(stage):
    def start(more="user: Remote-User", service=None):
        made = Service()
        origin = stage.origin()
        usher = stage.usher(CONFIG, ORIGIN=origin, SERVICE=service or stage.origin(made), MORE=more)
        usher.site, usher.service = origin, made
        return usher
    return start


def visit(usher, *fields, address="8.8.8.8", **more):
    return usher.ask("GET", "/private?a=b", f"X-Forwarded-For: {address}", *fields, **more)


def test_who_is_let_in(served):
    usher = served()
    forged = ["Remote-User: root", "Remote-Email: root@x", "X-Token: forged", "X-Forwarded-User: root", "X-Forwarded-Uri: /other", "X-Forwarded-Method: HEAD"]
    assert visit(usher, "Cookie: good=1", *forged).status == 200
    asked, got = usher.service.asked[-1], usher.site.requests[-1]
    assert asked.method == "GET" and asked.target == "/auth?x=1" and asked.get("Cookie") == "good=1"
    assert asked.all("X-Forwarded-Uri") == ["/private?a=b"] and asked.all("X-Forwarded-Method") == ["GET"] and asked.get("X-Forwarded-For").startswith("8.8.8.8")
    assert got.all("X-Forwarded-User") == ["ann"] and got.all("X-Forwarded-Groups") == ["makers,admins"]
    assert got.all("Remote-Email") == ["ann@example.com"] and not got.has("X-Token") and not got.has("Remote-User") and not got.has("X-Other")
    assert got.target == "/private?a=b"


def test_bodies_stay_for_the_application(served):
    usher = served()
    answer = usher.ask("POST", "/save", "X-Forwarded-For: 8.8.8.8", "Cookie: good=1", "Content-Type: text/plain", body=b"x" * 100_000)
    assert answer.status == 200 and usher.site.requests[-1].body == b"x" * 100_000
    asked = usher.service.asked[-1]
    assert asked.method == "GET" and asked.body == b"" and asked.get("X-Forwarded-Method") == "POST" and not asked.has("Content-Type")


def test_who_is_not_gets_the_service_s_answer(served):
    usher = served()
    answer = visit(usher)
    assert answer.status == 302 and answer.get("Location") == "https://login.example/?to=x" and answer.body == b"<p>log in</p>"
    assert answer.all("Set-Cookie") == ["csrf=1; Path=/", "b=2"] and answer.get("Content-Type") == "text/html" and not usher.site.requests


def test_inside_nobody_is_asked(served):
    usher = served()
    assert visit(usher, address="10.0.0.1").status == 200 and not usher.service.asked


@pytest.mark.parametrize("cookie", ["large=1", "cut=1"])
def test_a_broken_answer_lets_nobody_in(served, cookie):
    usher = served()
    assert visit(usher, f"Cookie: {cookie}").status == 502 and not usher.site.requests
    assert visit(usher, "Cookie: good=1").status == 200


def test_without_the_service_nobody_gets_in(served, stage):
    usher = served(service=f"http://127.0.0.1:{stage.dead_port().port}")
    assert visit(usher, "Cookie: good=1").status == 502 and not usher.site.requests
    assert visit(usher, address="10.0.0.1").status == 200


def test_a_visitor_may_leave_while_it_is_asked(served):
    usher = served()
    for _ in range(5):
        client = usher.connect()
        client.request("GET", "/", "X-Forwarded-For: 8.8.8.8", "Cookie: slow=1")
        eventually(lambda: usher.service.asked and usher.service.asked[-1].get("Cookie") == "slow=1")
        client.reset()
    assert visit(usher, "Cookie: good=1").status == 200
    time.sleep(2.5)  # until what was asked for them has been answered
    assert visit(usher, "Cookie: good=1").status == 200
    assert len([request for request in usher.site.requests if "slow" in request.get("Cookie", "")]) == 0


def test_many_at_once(served):
    usher = served()
    statuses = []

    def ask(good):
        with usher.connect() as client:
            for _ in range(20):
                statuses.append(client.ask("GET", "/", "X-Forwarded-For: 8.8.8.8", f"Cookie: {'good=1' if good else 'bad=1'}").status == (200 if good else 302))
    threads = [threading.Thread(target=ask, args=(i % 2,)) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [True] * 200


def test_check_says_it_in_words(served):
    usher = served()
    assert "visitors from 10.0.0.0/8 get in; others log in through the service http://127.0.0.1" in run_command("check", usher.path).stdout


@pytest.mark.parametrize("more, says", [("user: 'a b'", "is no name of a field"), ("path: auth", "path")])
def test_mistakes_are_named(served, more, says):
    with pytest.raises(AssertionError) as caught:
        served(more=more)
    assert says in str(caught.value)


# --- The body


GOOD = "Cookie: good=1"


def send(usher, *fields, **more):
    return usher.ask("PUT", "/private", "X-Forwarded-For: 8.8.8.8", *fields, **more)


def test_without_being_told_the_service_gets_no_body(served):
    usher = served()
    assert send(usher, GOOD, "Content-Type: text/plain", body=b"a letter").status == 200
    asked, = usher.service.asked
    assert asked.method == "GET" and asked.body == b"" and not asked.has("Content-Length") and not asked.has("Content-Type")
    assert usher.site.last().body == b"a letter"


def test_the_service_gets_the_body_and_so_does_the_server(served):
    usher = served("body: 1KiB")
    assert send(usher, GOOD, "Content-Type: text/plain", body=b"x" * 1024).status == 200
    asked, = usher.service.asked
    assert asked.method == "POST" and asked.body == b"x" * 1024 and asked.get("Content-Type") == "text/plain"
    assert asked.get("X-Forwarded-Method") == "PUT" and asked.get("X-Forwarded-Uri") == "/private"
    assert usher.site.last().method == "PUT" and usher.site.last().body == b"x" * 1024
    assert usher.ask("GET", "/private", "X-Forwarded-For: 8.8.8.8", GOOD).status == 200
    assert usher.service.asked[-1].method == "GET" and not usher.service.asked[-1].has("Content-Length")


def test_a_body_in_chunks_with_expectation_and_trailers(served):
    usher = served("body: 1KiB")
    with usher.connect() as client:
        client.send(f"PUT /private HTTP/1.1\r\nHost: test.example\r\nX-Forwarded-For: 8.8.8.8\r\n{GOOD}\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Sum\r\n\r\n")
        assert client.response_head().status == 100
        client.send("4\r\nhalf\r\n6\r\nanothe\r\n1\r\nr\r\n0\r\nX-Sum: 11\r\n\r\n")
        assert client.response().status == 200
    assert usher.service.asked[0].body == b"halfanother" and usher.site.last().body == b"halfanother"


def test_a_body_that_is_too_large_is_refused_unasked(served):
    usher = served("body: 1KiB")
    assert send(usher, GOOD, body=b"x" * 1025).status == 413
    assert send(usher, GOOD, body=b"x" * 100_000).status == 413
    with usher.connect() as client:
        client.send(f"PUT /private HTTP/1.1\r\nHost: test.example\r\nX-Forwarded-For: 8.8.8.8\r\n{GOOD}\r\nTransfer-Encoding: chunked\r\n\r\n" + "400\r\n" + "x" * 1024 + "\r\n1\r\nx\r\n0\r\n\r\n")
        assert client.response().status == 413
    assert not usher.service.asked and not usher.site.requests


def test_a_body_that_breaks_off_reaches_nobody(served):
    usher = served("body: 1KiB")
    with usher.connect() as client:
        client.send(f"PUT /private HTTP/1.1\r\nHost: test.example\r\nX-Forwarded-For: 8.8.8.8\r\n{GOOD}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert client.response().status == 400
    assert not usher.service.asked and not usher.site.requests
