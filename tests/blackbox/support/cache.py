"""For the tests of the cache: an origin that answers what a test says, crowds, and `usher cache`."""

import email.utils
import time

import pytest

from support.usher import run_command

CONFIG = """
listen: "127.0.0.1:$PORT"
workers: 2
proxy: $ORIGIN
cache: $CACHE
"""


def date(offset=0):
    return email.utils.formatdate(time.time() + offset, usegmt=True)


class Site:
    """An origin that answers what a test says, with a number that grows, and remembers what it was asked."""

    def __init__(self, *fields, status="200 OK", body=None):
        self.fields = list(fields)
        self.status = status
        self.body = body
        self.asked = []

    def __call__(self, connection):
        while (request := connection.read_request()) is not None:
            self.asked.append(request)
            body = self.body if self.body is not None else f"{len(self.asked)}"
            if callable(self.fields):
                status, fields, body = self.fields(request, body)
            else:
                status, fields = self.status, self.fields
            if status.startswith("304"):
                connection.send("HTTP/1.1 304 Not Modified\r\n" + "".join(f"{field}\r\n" for field in fields) + "\r\n")
            elif request.method == "HEAD":
                connection.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n" + "".join(f"{field}\r\n" for field in fields) + "\r\n")
            else:
                connection.answer(body, *fields, status=status)


@pytest.fixture
def cached(stage):
    def start(*fields, cache="{status: true}", more="", **site):
        made = Site(*fields, **site)
        usher = stage.usher(CONFIG + more, ORIGIN=stage.origin(made), CACHE=cache)
        return usher, made
    start.stage = stage
    return start


def twice(usher, *fields, target="/", second=None):
    """What two requests were answered, one after the other."""
    return usher.get(target, *fields).body, usher.get(target, *(fields if second is None else second)).body


class Crowd:
    """Many clients that ask for the same at once."""

    def __init__(self, usher, number, target="/", *fields):
        self.clients = [usher.connect() for _ in range(number)]
        for client in self.clients:
            client.request("GET", target, *fields)

    def answers(self):
        return [client.response() for client in self.clients]

    def close(self):
        for client in self.clients:
            client.close()


def wait_for_all(usher, number):
    """Until so many connections have been read: nothing tells, so a moment is given to them."""
    del usher
    time.sleep(0.2 + number / 1000)


ADMIN = 'admin: "unix:$DIR/admin.sock"\n'


@pytest.fixture
def administered(stage, tmp_path):
    site = Site("Cache-Control: max-age=600", "Vary: X-A")
    return stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(site), CACHE="{status: true}", DIR=tmp_path)


def cache_command(usher, *words):
    return run_command("cache", "-c", usher.path, *words)


def is_hit(usher, target, *fields):
    return usher.get(target, *fields).get("Cache-Status") == "usher; hit"


@pytest.fixture
def tagged(stage, tmp_path):
    site = Site()
    site.fields = lambda request, body: (
        "200 OK", ["Cache-Control: max-age=600", f"Surrogate-Key: page {request.target.partition('?')[0].strip('/').replace('/', ' ')}", "Cache-Tag: one,two"], body)
    return stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(site), CACHE="{status: true, stale: {while_revalidate: 1h}}", DIR=tmp_path)
