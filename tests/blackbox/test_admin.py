"""The admin API, and `usher pool` on top of it."""

import json
import os
import socket
import stat
import threading

import pytest

from support import wire
from support.origin import named
from support.usher import eventually, run_command

POOL = """
listen: "127.0.0.1:$PORT"
workers: 2
admin: "unix:$DIR/admin.sock"
proxy: app
pools:
  app:
    $SETTINGS
    servers: $SERVERS
"""


class Admin:
    def __init__(self, path):
        self.path = str(path)

    def ask(self, method, target, body=None, raw=None):
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else b""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(self.path)
            client.sendall(wire.head(f"{method} {target} HTTP/1.1", "Host: x", ("Content-Length", str(len(data)))) + data)
            answer = wire.read_response(wire.Reader(client.recv), method)
        value = json.loads(answer.body) if answer.body and answer.get("Content-Type") == "application/json" else None
        return answer.status, value

    def get(self, target="/pools/app"):
        status, value = self.ask("GET", target)
        assert status == 200, value
        return value

    def server(self, address):
        return next(server for server in self.get()["servers"] if server["address"] == address)


@pytest.fixture
def start(stage, tmp_path):
    def begin(servers, settings="balance: round_robin"):
        usher = stage.usher(POOL, SERVERS=f"[{', '.join(servers)}]", SETTINGS=settings, DIR=tmp_path)
        usher.admin = Admin(tmp_path / "admin.sock")
        return usher
    return begin


def names(usher, number=12):
    return {usher.get().body.decode() for _ in range(number)}


def servers_of(origin):
    return f"/pools/app/servers/{origin.address}"


def test_the_socket_is_its_owners_alone(start, stage):
    usher = start([stage.origin(named("a")).address])
    assert stat.S_IMODE(os.stat(usher.admin.path).st_mode) == 0o600
    assert usher.admin.get("/pools")["pools"][0]["name"] == "app"
    # What is served there is served nowhere else, and the other way round.
    assert usher.get("/pools").body == b"a"
    assert usher.admin.ask("GET", "/")[0] == 404


def test_what_it_tells(start, stage):
    one, two = stage.origin(named("a")), stage.dead_port()
    usher = start([one.address, f"{{address: {two.address}, weight: 3, backup: true, max_requests: 7}}"])
    for _ in range(10):
        usher.get()
    pool = usher.admin.get()
    assert (pool["name"], pool["balance"], pool["in_flight"], pool["waiting"], pool["requests"]) == ("app", "round_robin", 0, 0, 10)
    first, second = pool["servers"]
    assert first["address"] == one.address and first["state"] == "ready" and first["condition"] == "well"
    assert first["requests"] == first["answers"] == 10 and first["failures"] == {}
    assert 0 < first["latency_ms"]["p50"] <= first["latency_ms"]["p90"] <= first["latency_ms"]["p99"]
    assert first["connections"]["made"] + first["connections"]["reused"] == 10
    assert (second["weight"], second["backup"], second["max_requests"], second["requests"]) == (3, True, 7, 0)


def test_failures_are_named(start, stage):
    dead, good = stage.dead_port(), stage.origin(named("a"))
    usher = start([dead.address, good.address], "rest: {after: 2, for: 60s}")
    for _ in range(8):
        assert usher.get().status == 200
    server = usher.admin.server(dead.address)
    assert server["failures"] == {"connect_refused": 2}
    assert server["condition"] == "resting" and 0 < server["rest_ms"] <= 60000


def test_drain_disable_enable(start, stage):
    one, two = stage.origin(named("a")), stage.origin(named("b"))
    usher = start([one.address, two.address], "sticky: srv")
    assert names(usher) == {"a", "b"}
    while (answer := usher.get()).body != b"a":
        pass
    cookie = "Cookie: " + answer.get("Set-Cookie").split(";")[0]
    assert usher.admin.ask("PATCH", servers_of(one), {"state": "draining"}) == (204, None)
    assert names(usher) == {"b"}
    assert usher.get("/", cookie).body == b"a"
    assert usher.admin.ask("PATCH", servers_of(one), {"state": "disabled"}) == (204, None)
    assert usher.get("/", cookie).body == b"b"
    assert usher.admin.server(one.address)["state"] == "disabled"
    assert usher.admin.ask("PATCH", servers_of(one), {"state": "ready"}) == (204, None)
    assert names(usher) == {"a", "b"}
    usher.wait_for_error(f"{one.address} drains by the operator's word")


def test_weights(start, stage):
    one, two = stage.origin(named("a")), stage.origin(named("b"))
    usher = start([one.address, two.address])
    assert usher.admin.ask("PATCH", servers_of(one), {"weight": 3}) == (204, None)
    bodies = [usher.get().body for _ in range(40)]
    assert bodies.count(b"a") == 30
    assert usher.admin.ask("PATCH", servers_of(one), {"weight": 0}) == (204, None)
    assert names(usher) == {"b"}


def test_servers_come_and_go_under_load(start, stage):
    """No request fails while servers are added and removed."""
    one, two = stage.origin(named("a")), stage.origin(named("b"))
    usher = start([one.address])
    stop, statuses = threading.Event(), []

    def load():
        with usher.connect() as client:
            while not stop.is_set():
                statuses.append(client.ask("GET", "/").status)
    loaders = [threading.Thread(target=load) for _ in range(4)]
    for loader in loaders:
        loader.start()
    try:
        for _ in range(20):
            assert usher.admin.ask("POST", "/pools/app/servers", {"address": two.address, "weight": 2}) == (204, None)
            eventually(lambda seen=len(two.requests): len(two.requests) > seen, "a request at the new server")
            assert usher.admin.ask("DELETE", servers_of(two)) == (204, None)
    finally:
        stop.set()
        for loader in loaders:
            loader.join()
    assert set(statuses) == {200}
    assert len(usher.admin.get()["servers"]) == 1


def test_changes_survive_a_reload(start, stage):
    one, two, three = (stage.origin(named(name)) for name in "abc")
    usher = start([one.address, two.address])
    usher.admin.ask("PATCH", servers_of(one), {"state": "disabled"})
    usher.admin.ask("PATCH", servers_of(two), {"weight": 4})
    usher.admin.ask("POST", "/pools/app/servers", {"address": three.address})
    usher.reload()
    states = {server["address"]: (server["state"], server["weight"]) for server in usher.admin.get()["servers"]}
    assert states == {one.address: ("disabled", 1), two.address: ("ready", 4), three.address: ("ready", 1)}


@pytest.mark.parametrize("method,target,body,status,says", [
    ("GET", "/pools/nope", None, 404, 'no pool "nope"'),
    ("DELETE", "/pools/app/servers/10.0.0.1:1", None, 404, 'no server "10.0.0.1:1"'),
    ("PATCH", "/pools/nope/servers/10.0.0.1:1", {"weight": 1}, 404, 'no pool "nope"'),
    ("POST", "/pools/app/servers", {"address": "SELF"}, 409, "already"),
    ("POST", "/pools/app/servers", {}, 422, '"address" is missing'),
    ("POST", "/pools/app/servers", {"address": 7}, 422, '"address" is missing'),
    ("POST", "/pools/app/servers", {"address": "x y"}, 422, "not the address"),
    ("POST", "/pools/app/servers", {"address": "https://10.0.0.1"}, 422, "TLS"),
    ("POST", "/pools/app/servers", {"address": "10.0.0.1:1", "weight": 1001}, 422, "from 0 to 1000"),
    ("POST", "/pools/app/servers", {"address": "10.0.0.1:1", "weight": 1.5}, 422, "whole number"),
    ("POST", "/pools/app/servers", {"address": "10.0.0.1:1", "wieght": 1}, 422, 'no member "wieght"'),
    ("PATCH", "/pools/app/servers/SELF", {"state": "gone"}, 422, '"state" is'),
    ("PATCH", "/pools/app/servers/SELF", {"weight": -1}, 422, "from 0 to 1000"),
    ("PATCH", "/pools/app/servers/SELF", [], 400, "no JSON object"),
    ("PUT", "/pools/app", {}, 405, "GET"),
    ("GET", "/pools/app/servers", None, 405, "POST"),
    ("GET", "/pools/app/x", None, 404, "/servers"),
    ("GET", "/pools/a/b/c/d/e/f/g", None, 400, None),
])
def test_mistakes(start, stage, method, target, body, status, says):
    origin = stage.origin(named("a"))
    usher = start([origin.address])
    body = json.loads(json.dumps(body).replace("SELF", origin.address)) if body is not None else None
    got, value = usher.admin.ask(method, target.replace("SELF", origin.address), body)
    assert got == status, value
    if says:
        assert says in value["error"]


@pytest.mark.parametrize("raw", [b"{", b"[" * 50000, b'{"a":' * 10000, b'{"weight":1,"weight":2}', b"\xff\xfe", b"null", b"1" * 60000])
def test_bodies_that_are_no_json(start, stage, raw):
    origin = stage.origin(named("a"))
    usher = start([origin.address])
    status, value = usher.admin.ask("PATCH", servers_of(origin), raw=raw)
    assert status == 400 and "no JSON object" in value["error"]
    assert usher.get().status == 200


def test_a_body_that_is_too_large(start, stage):
    usher = start([stage.origin(named("a")).address])
    assert usher.admin.ask("POST", "/pools/app/servers", raw=b" " * 70000)[0] == 413


# --- The command

def pool_command(usher, *words):
    return run_command("pool", "-c", usher.path, *words)


def test_the_command(start, stage):
    one, two = stage.origin(named("a")), stage.origin(named("b"))
    usher = start([one.address, two.address])
    listed = pool_command(usher, "list")
    assert listed.returncode == 0 and "app" in listed.stdout and "2/2" in listed.stdout
    assert pool_command(usher, "drain", "app", one.address).returncode == 0
    assert names(usher) == {"b"}
    shown = pool_command(usher, "show", "app").stdout.splitlines()
    assert shown[0].split()[:3] == ["SERVER", "STATE", "CONDITION"]
    assert shown[1].split()[:4] == [one.address, "draining", "well", "1"]
    assert pool_command(usher, "enable", "app", one.address).returncode == 0
    assert pool_command(usher, "disable", "app", two.address).returncode == 0
    assert names(usher) == {"a"}
    assert pool_command(usher, "remove", "app", two.address).returncode == 0
    assert pool_command(usher, "weight", "app", one.address, "9").returncode == 0
    three = stage.origin(named("c"))
    assert pool_command(usher, "add", "app", three.address, "-w", "9").returncode == 0
    assert names(usher) == {"a", "c"}
    whole = json.loads(pool_command(usher, "show", "app", "--json").stdout)
    assert [(server["address"], server["weight"]) for server in whole["servers"]] == [(one.address, 9), (three.address, 9)]


@pytest.mark.parametrize("words,code,says", [
    (["show", "nope"], 1, 'there is no pool "nope"'),
    (["weight", "app", "x:1", "many"], 2, "is no weight"),
    (["weight", "app"], 2, "usage: usher pool"),
    (["fly"], 2, 'there is no "fly"'),
    ([], 2, "too few arguments"),
])
def test_wrong_words(start, stage, words, code, says):
    usher = start([stage.origin(named("a")).address])
    done = pool_command(usher, *words)
    assert done.returncode == code and says in done.stderr, done.stderr


def test_without_an_admin_socket(stage, tmp_path):
    usher = stage.usher('listen: "127.0.0.1:$PORT"\nproxy: 127.0.0.1:1\n')
    done = pool_command(usher, "list")
    assert done.returncode == 1 and "write `admin: unix:" in done.stderr
    done = run_command("pool", "--admin", tmp_path / "nothing", "list")
    assert done.returncode == 1 and "no usher can be reached" in done.stderr


@pytest.mark.parametrize("admin", ["127.0.0.1:9000", "unix:", "/run/x", "unix:" + "x" * 200])
def test_it_is_a_unix_socket_or_a_mistake(tmp_path, admin):
    path = tmp_path / "usher.yaml"
    path.write_text(f'admin: "{admin}"\nproxy: 127.0.0.1:1\n')
    done = run_command("check", path)
    assert done.returncode == 1 and "UNIX socket only" in done.stderr


@pytest.mark.parametrize("method,target,status", [
    ("GET", "/cache", 200), ("GET", "/cache/list", 200), ("GET", "/cache/top", 200), ("GET", "/cache/list/http%3A%2F%2Fx%2F", 200),
    ("GET", "/cache/http%3A%2F%2Fx%2F", 200), ("GET", "/cache/x", 422), ("GET", "/cache/list/x", 422), ("GET", "/cache/tag/x", 404),
    ("DELETE", "/cache/list/http%3A%2F%2Fx%2F", 404), ("DELETE", "/cache/list", 422), ("POST", "/cache/tag/x", 200), ("POST", "/cache/a/b/c", 404),
    ("PUT", "/cache", 405), ("DELETE", "/cache", 200),
])
def test_what_there_is_of_the_cache(start, stage, method, target, status):
    usher = start([stage.origin(named("a")).address])
    answered, value = usher.admin.ask(method, target)
    assert answered == status, value
    if method == "GET" and status == 200 and target != "/cache":
        assert value == {"answers": [], "all": True}
