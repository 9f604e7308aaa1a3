"""Knowing who is well: active checks of real servers."""

import os
import re
import stat
import threading
import time

import pytest

from support.h2 import h2_origin, tls_origin
from support.origin import named
from support.tls import Authority, serving
from support.usher import eventually, run_command

POOL = """
listen: "127.0.0.1:$PORT"
workers: 2
$ROUTES
pools:
  app:
    rest: {after: 0}
    retry: {on: []}
    health: $HEALTH
    servers: $SERVERS
"""

QUICK = "interval: 100ms, fast: 50ms, timeout: 1s, rise: 2, fall: 2"


def pool(stage, servers, health, routes="proxy: app"):
    return stage.usher(POOL, SERVERS=f"[{', '.join(servers)}]", HEALTH=health, ROUTES=routes)


class Patient:
    """A server whose health a test decides."""

    def __init__(self, name):
        self.name = name
        self.status = "200 OK"
        self.body = b"all is well"
        self.delay = 0
        self.hosts = []

    def __call__(self, connection):
        while (request := connection.read_request()) is not None:
            if request.target.startswith("/health"):
                self.hosts.append(request.get("Host"))
                time.sleep(self.delay)
                connection.answer(self.body, status=self.status)
            else:
                connection.answer(self.name)


def two(stage):
    patients = Patient("a"), Patient("b")
    return patients, [stage.origin(patient) for patient in patients]


def bodies(usher, number=10):
    return {usher.get().body for _ in range(number)}


def becomes(usher, expected):
    eventually(lambda: bodies(usher) == expected, f"answers by {expected} alone; it says:\n{usher.stderr[-1500:]}")


@pytest.mark.parametrize("spoil", ["status", "text", "regex", "slow"])
def test_an_ill_server_gets_nothing_until_it_is_well_again(stage, spoil):
    (ill, _), origins = two(stage)
    more = {"text": "text: is well, ", "regex": "regex: \"^all .* well$\", ", "slow": "timeout: 300ms, "}.get(spoil, "")
    settings = QUICK.replace("timeout: 1s, ", "") if spoil == "slow" else QUICK
    usher = pool(stage, [origin.address for origin in origins], f"{{path: /health, {more}{settings}}}")
    becomes(usher, {b"a", b"b"})
    if spoil == "status":
        ill.status = "500 No"
    elif spoil == "slow":
        ill.delay = 1
    else:
        ill.body = b"nothing is"
    usher.wait_for_error("fails its check \"health\"")
    becomes(usher, {b"b"})
    ill.status, ill.body, ill.delay = "200 OK", b"all is well", 0
    usher.wait_for_error("passes its check \"health\" again")
    becomes(usher, {b"a", b"b"})


def test_a_server_that_is_gone_and_comes_back(stage):
    dead = stage.dead_port()
    usher = pool(stage, [dead.address, stage.origin(named("b")).address], f"{{type: tcp, {QUICK}}}")
    usher.wait_for_error("fails its check \"health\": connect_refused")
    becomes(usher, {b"b"})
    dead.revive(named("a"))
    becomes(usher, {b"a", b"b"})


def test_all_are_ill(stage):
    (one, other), origins = two(stage)
    usher = pool(stage, [origin.address for origin in origins], f"{{path: /health, {QUICK}}}")
    one.status = other.status = "503 No"
    eventually(lambda: usher.get().status == 503, "503")
    assert usher.get().get("Retry-After")


def test_the_start_loses_no_request(stage):
    """Nobody is proven yet: then all will do."""
    (slow, also_slow), origins = two(stage)
    slow.delay = also_slow.delay = 0.5
    usher = pool(stage, [origin.address for origin in origins], f"{{path: /health, {QUICK}}}")
    assert [usher.get().status for _ in range(10)] == [200] * 10


def test_a_new_server_gets_nothing_until_it_is_proven(stage):
    (proven, new), origins = two(stage)
    usher = pool(stage, [origins[0].address], f"{{path: /health, {QUICK}}}")
    usher.wait_for_error("passes its check")
    new.status = "503 No"
    config = (usher.directory / "usher.yaml").read_text()
    usher.reload(config.replace(f"[{origins[0].address}]", f"[{origins[0].address}, {origins[1].address}]"))
    assert bodies(usher, 30) == {b"a"}
    new.status = "200 OK"
    becomes(usher, {b"a", b"b"})


def test_each_server_is_asked_once_whatever_the_threads(stage):
    (one, _), origins = two(stage)
    pool(stage, [origin.address for origin in origins], "{path: /health, interval: 500ms, fast: 500ms}")
    eventually(lambda: len(one.hosts) >= 4, "four checks")
    count, began = len(one.hosts), time.monotonic()
    eventually(lambda: len(one.hosts) >= count + 4, "four more")
    assert time.monotonic() - began > 1.2


def test_routes_need_the_checks_that_they_name(stage):
    """One service of a server is ill while another one is well."""
    class Host(Patient):
        def __call__(self, connection):
            while (request := connection.read_request()) is not None:
                ill = request.target == "/health/shop" and self.status != "200 OK"
                connection.answer(self.name, status="500 No" if ill else "200 OK")
    hosts = Host("a"), Host("b")
    hosts[0].status = "shop is ill"
    origins = [stage.origin(host) for host in hosts]
    usher = pool(stage, [origin.address for origin in origins],
                 f"[{{name: shop, path: /health/shop, {QUICK}}}, {{name: blog, path: /health/blog, {QUICK}}}]",
                 "routes:\n  - {path: /shop, proxy: {to: app, checks: shop}}\n  - {path: /blog, proxy: {to: app, checks: [blog]}}")
    usher.wait_for_error("fails its check \"shop\"")
    assert {usher.get("/shop").body for _ in range(10)} == {b"b"}
    eventually(lambda: {usher.get("/blog").body for _ in range(10)} == {b"a", b"b"}, "both for the blog")


@pytest.mark.parametrize("script,words", [
    ("echo no disk; exit 3", "exited with 3: no disk"), ("sleep 60", "was not done in time"),
    ("yes flood", "was not done in time"), ("kill -9 $$", "ended by signal 9"),
])
def test_a_command(stage, tmp_path, script, words):
    program = tmp_path / "check"
    flag = tmp_path / "ill"
    program.write_text(f"#!/bin/sh\n[ \"$USHER_HOST\" = 127.0.0.1 ] && [ -n \"$USHER_PORT\" ] || exit 9\n[ -e {flag} ] || exit 0\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent != parent.parent:
            parent.chmod(parent.stat().st_mode | 0o055)
    origin = stage.origin(named("a"))
    usher = pool(stage, [origin.address], f"{{command: {program}, interval: 100ms, fast: 50ms, timeout: 400ms, fall: 1, rise: 1}}")
    usher.wait_for_error("passes its check")
    flag.write_text("")
    usher.wait_for_error(f"fails its check \"health\": the command {words}")
    flag.unlink()
    usher.wait_for_error("passes its check \"health\" again")


def test_the_state_survives_a_reload(stage):
    (ill, _), origins = two(stage)
    ill.status = "500 No"
    usher = pool(stage, [origin.address for origin in origins], f"{{path: /health, {QUICK}}}")
    usher.wait_for_error("fails its check")
    config = (usher.directory / "usher.yaml").read_text()
    stopping, wrong = threading.Event(), []

    def visitor():
        while not stopping.is_set():
            body = usher.get().body
            if body != b"b":
                wrong.append(body)
    thread = threading.Thread(target=visitor)
    becomes(usher, {b"b"})
    thread.start()
    for i in range(5):
        usher.reload(config + f"\nx-{i}: 1\n")
    stopping.set()
    thread.join()
    assert not wrong


# --- The kinds of checks

class GrpcHealth:
    """grpc.health.v1.Health on an HTTP/2 origin, whose word a test decides; requests for anything else are answered."""

    def __init__(self, name):
        self.name = name
        self.message = b"\x08\x01"  # SERVING
        self.status = "0"
        self.asked = []

    def __call__(self, peer):
        while (request := peer.next_request()) is not None:
            if request.target != "/grpc.health.v1.Health/Check":
                peer.answer(request, self.name)
                continue
            self.asked.append((request.field("content-type"), bytes(request.body)))
            framed = b"\0" + len(self.message).to_bytes(4, "big") + self.message
            peer.answer(request, framed, ("content-type", "application/grpc"), trailers=[("grpc-status", self.status)], length=False)


@pytest.mark.parametrize("spoil,words", [
    ({"message": b"\x08\x02"}, "NOT_SERVING|not serving"), ({"message": b"\x08\x03"}, "."), ({"status": "5"}, "."),
    ({"message": b"\xff"}, "."),
])
def test_grpc(stage, spoil, words):
    services = GrpcHealth("a"), GrpcHealth("b")
    origins = [stage.add(h2_origin(service)) for service in services]
    usher = pool(stage, [f"h2c://127.0.0.1:{origin.port}" for origin in origins], f"{{type: grpc, service: shop, {QUICK}}}")
    usher.wait_for_error("passes its check", 2)
    for name, value in spoil.items():
        setattr(services[0], name, value)
    usher.wait_for_error(f"{origins[0].port} fails its check \"health\": .*({words})")
    assert bodies(usher) == {b"b"}
    services[0].message, services[0].status = b"\x08\x01", "0"
    becomes(usher, {b"a", b"b"})
    # The request for the service "shop": its length, then the field 1 of HealthCheckRequest.
    assert services[0].asked[0] == ("application/grpc", b"\0\0\0\0\x06\x0a\x04shop")


def test_a_check_over_tls_trusts_as_requests_do(stage, authority):
    """A certificate that is not trusted makes a server ill, whatever it would say."""
    patients = Patient("a"), Patient("b")
    stranger = Authority(stage.make_directory())
    origins = [stage.add(tls_origin(patient, serving(issuer.issue("localhost"))))
               for patient, issuer in zip(patients, (authority, stranger))]
    usher = pool(stage, [f"https://localhost:{origin.port}" for origin in origins],
                 f"{{path: /health, {QUICK}}}\n    tls: {{ca: {authority.ca}}}")
    usher.wait_for_error(f"{origins[1].port} fails its check .*certificate")
    usher.wait_for_error(f"{origins[0].port} passes its check")
    assert bodies(usher) == {b"a"}
    assert patients[0].hosts


def test_another_port(stage):
    """The servers are asked where they tell how they are, not where they serve."""
    doctor = Patient("doctor")
    origin = stage.origin(named("a"))
    port = stage.origin(doctor).port
    usher = pool(stage, [origin.address], f"{{path: /health, port: {port}, {QUICK}}}")
    usher.wait_for_error("passes its check")
    assert not origin.requests
    doctor.status = "503 No"
    usher.wait_for_error("fails its check \"health\": .*503")
    assert usher.get().status == 503


def test_connecting_is_enough(stage):
    origins = [stage.origin(named("a")), stage.origin(named("b"))]
    usher = pool(stage, [origin.address for origin in origins], f"{{type: tcp, {QUICK}}}")
    usher.wait_for_error("passes its check", 2)
    assert bodies(usher) == {b"a", b"b"}
    origins[0].stop()
    usher.wait_for_error("fails its check \"health\": connect_refused")
    assert bodies(usher) == {b"b"}


def test_what_is_asked(stage):
    """Method, path, host and fields as they are written; expected is what is listed."""
    seen = []

    def script(connection):
        while (request := connection.read_request()) is not None:
            if request.target == "/":
                connection.answer(b"a")
                continue
            seen.append(request)
            connection.answer(b"", status="401 Who" if request.get("X-Key") == "s3cret" else "200 OK")
    usher = pool(stage, [stage.origin(script).address], "{method: HEAD, path: '/up?deep=1', host: probe.example, fields: {X-Key: s3cret}, "
                 f"statuses: [401], {QUICK}}}")
    usher.wait_for_error("passes its check")
    assert (seen[0].method, seen[0].target, seen[0].get("Host")) == ("HEAD", "/up?deep=1", "probe.example")


@pytest.mark.parametrize("health,says", [
    ("{type: grpc}", "needs servers that are written h2://"),
    ("{type: tcp, path: /x}", '"path" means nothing for a check of the type tcp'),
    ("{path: x}", "begins with a slash"),
    ("{command: check}", "whole path of a program"),
    ("[{path: /a}, {path: /b}]", "has a name of its own"),
    ("{path: /a, regex: '('}", "regex"),
    ("{path: /a, interval: 0s}", "interval"),
])
def test_mistakes_are_named(tmp_path, health, says):
    path = tmp_path / "usher.yaml"
    path.write_text(f"proxy: app\npools: {{app: {{servers: [127.0.0.1:1], health: {health}}}}}\n")
    done = run_command("check", path)
    assert done.returncode == 1 and says in done.stderr, done.stderr


# --- What answers themselves tell: rest

REST = """
listen: "127.0.0.1:$PORT"
workers: 2
proxy: app
pools:
  app:
    rest: {after: 3, for: 30s, statuses: ["500-599"]}
    servers: $SERVERS
"""


def answering(status, body):
    def script(connection):
        while connection.read_request() is not None:
            connection.answer(body, status=status)
    return script


def test_a_server_that_answers_with_errors_rests(stage):
    """Three visitors see them, the others don't; when all servers do so, half of them go on."""
    bad, good = stage.origin(answering("500 Oh", b"bad")), stage.origin(answering("200 OK", b"good"))
    usher = stage.usher(REST, SERVERS=f"[{bad.address}, {good.address}]")
    seen = [usher.get().body for _ in range(30)]
    assert seen.count(b"bad") == 3
    assert set(seen[6:]) == {b"good"}
    assert re.search(r"gets no requests for 30000 ms: 3 failures in a row, the last one answered 500", usher.stderr)


def test_half_of_those_that_answer_go_on(stage):
    origins = [stage.origin(answering("500 Oh", b"bad")) for _ in range(2)]
    usher = stage.usher(REST, SERVERS=f"[{', '.join(origin.address for origin in origins)}]")
    assert {usher.get().status for _ in range(30)} == {500}
