"""Servers that are found while usher runs: named by DNS (SRV), or in a file that is watched."""

import collections
import os
import re
import threading

import pytest

from support.dns import DnsServer
from support.origin import named
from support.usher import eventually, run_command

SRV = """
listen: "127.0.0.1:$PORT"
workers: 2
resolver: $DNS
proxy: app
pools:
  app:
    srv: $SRV
    dns: {min: 200ms}
    $SETTINGS
"""

FILE = """
listen: "127.0.0.1:$PORT"
workers: 2
proxy: app
pools:
  app:
    file: servers.txt
    $SETTINGS
"""

NAME = "_http._tcp.app.test"


@pytest.fixture
def dns(stage):
    server = stage.add(DnsServer())
    server.set("one.test", "A", "127.0.0.1")
    server.set("two.test", "A", "127.0.0.1")
    return server


def bodies(usher, number=12):
    return collections.Counter(usher.get().body.decode() for _ in range(number))


def start(stage, dns, settings="balance: round_robin", srv=NAME):
    return stage.usher(SRV, DNS=dns.address, SETTINGS=settings, SRV=srv)


def record(origin, host="one.test", priority=0, weight=1):
    return (priority, weight, origin.port, host)


# --- SRV

def test_servers_are_found_by_srv(stage, dns):
    one, two = stage.origin(named("a")), stage.origin(named("b"))
    dns.set(NAME, "SRV", record(one, weight=3), record(two, "two.test", weight=1))
    usher = start(stage, dns)
    assert bodies(usher, 20) == {"a": 15, "b": 5}


def test_servers_come_and_go_as_the_records_do(stage, dns):
    """Under load, and no request fails."""
    one, two = stage.origin(named("a")), stage.origin(named("b"))
    dns.set(NAME, "SRV", record(one))
    usher = start(stage, dns)
    assert bodies(usher) == {"a": 12}
    stop, statuses = threading.Event(), []

    def load():
        with usher.connect() as client:
            while not stop.is_set():
                statuses.append(client.ask("GET", "/").status)
    loader = threading.Thread(target=load)
    loader.start()
    try:
        dns.set(NAME, "SRV", record(one), record(two))
        eventually(lambda: set(bodies(usher, 4)) == {"a", "b"}, "both servers")
        dns.set(NAME, "SRV", record(two))
        eventually(lambda: set(bodies(usher, 4)) == {"b"}, "the second server alone")
    finally:
        stop.set()
        loader.join()
    assert set(statuses) == {200}
    usher.wait_for_error("pool app: DNS names 1 servers \\(before, 2\\)")


def test_priorities_are_tried_in_order(stage, dns):
    one, two, three = (stage.origin(named(name)) for name in "abc")
    dns.set(NAME, "SRV", record(one, priority=65535), record(two, priority=10), record(three, priority=20))
    usher = start(stage, dns, "rest: {after: 1, for: 60s}")
    assert bodies(usher) == {"b": 12}
    two.stop()
    assert bodies(usher) == {"c": 12}
    three.stop()
    assert bodies(usher) == {"a": 12}


def test_a_failure_keeps_the_servers(stage, dns):
    one = stage.origin(named("a"))
    dns.set(NAME, "SRV", record(one))
    usher = start(stage, dns)
    assert bodies(usher, 2) == {"a": 2}
    dns.fails = True
    usher.wait_for_error("no servers are found by _http._tcp.app.test .*; those that there are stay")
    assert bodies(usher) == {"a": 12}
    dns.fails = False
    two = stage.origin(named("b"))
    dns.set(NAME, "SRV", record(two))
    eventually(lambda: set(bodies(usher, 4)) == {"b"}, "the new server")


def test_without_records_there_is_no_server(stage, dns):
    usher = start(stage, dns)
    assert usher.get().status == 503
    one = stage.origin(named("a"))
    dns.set(NAME, "SRV", record(one))
    eventually(lambda: usher.get().status == 200, "the server to be found")


def test_a_reload_keeps_what_was_found_and_drops_what_is_not_asked_for(stage, dns):
    one, two = stage.origin(named("a")), stage.origin(named("b"))
    dns.set(NAME, "SRV", record(one))
    usher = start(stage, dns)
    assert bodies(usher) == {"a": 12}
    usher.reload()
    assert bodies(usher) == {"a": 12}
    usher.reload(usher.path.read_text().replace(f"srv: {NAME}", f"servers: [{two.address}]"))
    eventually(lambda: set(bodies(usher, 4)) == {"b"}, "the configured server alone")
    usher.reload(usher.path.read_text().replace(f"servers: [{two.address}]", f"servers: [{two.address}]\n    srv: {NAME}"))
    eventually(lambda: set(bodies(usher, 4)) == {"a", "b"}, "both")


@pytest.mark.parametrize("srv", ["app.test", "_http._tcp.app.test:80", "_a b", "ftp://_http._tcp.app.test"])
def test_what_names_no_records(tmp_path, srv):
    path = tmp_path / "usher.yaml"
    path.write_text(f"proxy: app\npools: {{app: {{srv: '{srv}'}}}}\n")
    done = run_command("check", path)
    assert done.returncode == 1 and "is not the name of SRV records" in done.stderr, done.stderr


# --- A file

@pytest.fixture
def with_file(stage, tmp_path):
    def begin(text, settings="balance: round_robin"):
        usher = stage.usher(FILE.replace("servers.txt", str(tmp_path / "servers.txt")), SETTINGS=settings) \
            if replace(text) else None
        return usher

    def replace(text):
        new = tmp_path / "servers.new"
        new.write_text(text)
        os.replace(new, tmp_path / "servers.txt")
        return True
    begin.replace = replace
    return begin


def test_servers_stand_in_a_file(stage, with_file):
    one, two, three = (stage.origin(named(name)) for name in "abc")
    usher = with_file(f"# ours\n{one.address} weight=3\n\n  {two.address}\t# the small one\r\n{three.address} backup")
    assert bodies(usher, 20) == {"a": 15, "b": 5}


def test_a_file_that_is_replaced_is_taken_by_itself(stage, with_file):
    one, two = stage.origin(named("a")), stage.origin(named("b"))
    usher = with_file(f"{one.address}\n")
    assert bodies(usher) == {"a": 12}
    with_file.replace(f"{one.address}\n{two.address}\n")
    eventually(lambda: set(bodies(usher, 4)) == {"a", "b"}, "both servers")
    with_file.replace(f"{two.address}\n")
    eventually(lambda: set(bodies(usher, 4)) == {"b"}, "the second server alone")
    # A broken one leaves what there is, and says so.
    with_file.replace(f"{two.address} wieght=2\n")
    usher.wait_for_error(r"servers.txt:1:\d+: .*expected weight=N")
    assert bodies(usher) == {"b": 12}
    with_file.replace(f"{one.address}\n")
    eventually(lambda: set(bodies(usher, 4)) == {"a"}, "the first server alone")


@pytest.mark.parametrize("line,says", [
    ("nonsense", "1:1: .*expected an address"),
    ("10.0.0.1:80 weight=1001", "1:13: .*from 0 to 1000, not \"1001\""),
    ("10.0.0.1:80\n10.0.0.2:80 10.0.0.3:80", "2:13: .*behind an address"),
    ("10.0.0.1:80\n10.0.0.1:80", "2:1: .*stands twice"),
    ("https://10.0.0.1/x", "1:1: .*no path"),
    ("", "1 to 1024 servers"),
])
def test_mistakes_in_a_file_are_named(tmp_path, line, says):
    (tmp_path / "servers.txt").write_text(line)
    path = tmp_path / "usher.yaml"
    path.write_text("proxy: app\npools: {app: {file: servers.txt}}\n")
    done = run_command("check", path)
    assert done.returncode == 1 and re.search(says, done.stderr), done.stderr
