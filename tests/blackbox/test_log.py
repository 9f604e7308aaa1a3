"""The access log, combined and JSON, and what the error log says."""

import json
import re

import pytest

from support import wire
from support.origin import steps

PROXY = """
listen: "127.0.0.1:$PORT"
workers: 1
access_log: %s
proxy: $ORIGIN
"""

COMBINED = re.compile(
    r'(\S+) - (\S+) \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) '
    r'"((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"')


def test_combined(stage):
    usher = stage.usher(PROXY % "access.log", ORIGIN=stage.origin(steps("read", wire.head("HTTP/1.1 200 OK", "Content-Length: 5")
                                                                      + b"hello", "wait")))
    usher.get("/a?b=c", "Referer: http://x.example/", "User-Agent: test/1.0")
    match = COMBINED.fullmatch(usher.log_lines()[0])
    assert match
    client, user, _, request, status, size, referer, agent = match.groups()
    assert (client, user, request, status, size) == ("127.0.0.1", "-", "GET /a?b=c HTTP/1.1", "200", "5")
    assert (referer, agent) == ("http://x.example/", "test/1.0")


def test_combined_without_fields(stage):
    usher = stage.usher(PROXY % "access.log", ORIGIN=stage.origin())
    usher.get()
    assert COMBINED.fullmatch(usher.log_lines()[0]).groups()[6:] == ("-", "-")


@pytest.mark.parametrize("format_name", ["combined", "json"])
def test_no_line_can_be_forged(stage, format_name):
    usher = stage.usher(PROXY % f"{{path: access.log, format: {format_name}}}", ORIGIN=stage.origin())
    nasty = 'x" 200 5 "-" "\\" \x80\xff\tend'
    usher.get('/?%22%0a', ("User-Agent", nasty), ("Referer", '"\\'))
    usher.get("/second")
    lines = usher.log_lines(count=2)
    assert len(lines) == 2
    if format_name == "combined":
        assert all(COMBINED.fullmatch(line) for line in lines)
        assert all(" " <= character <= "~" for line in lines for character in line)
    else:
        records = [json.loads(line) for line in lines]
        assert records[0]["user_agent"].startswith('x" 200 5 "-" "\\" ')


def test_json(stage):
    origin = stage.origin()
    usher = stage.usher(PROXY % "{path: access.log, format: json}", ORIGIN=origin)
    response = usher.ask("POST", "/a/b?c=d", "User-Agent: test/1.0", body=b"hello", host="shop.example")
    record = usher.log_records()[0]
    assert record["client"] == "127.0.0.1"
    assert record["method"] == "POST"
    assert record["host"] == "shop.example"
    assert record["path"] == "/a/b"
    assert record["query"] == "c=d"
    assert record["status"] == 200
    assert record["bytes_received"] == 5
    assert record["bytes_sent"] >= len(response.body)
    assert record["request_id"] == response.get("x-request-id")
    assert record["server"] == origin.address
    assert record["tries"] == 1
    assert record["duration_ms"] >= 0
    assert record["response_ms"] >= 0
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", record["time"])
    assert "usher.yaml:" in record["route"] or "usher.yaml:" in json.dumps(record)


def test_retries_and_faults_are_logged(stage):
    dead, alive = stage.dead_port(), stage.origin()
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
workers: 1
access_log: {path: access.log, format: json}
proxy: app
pools: {app: {servers: [$DEAD, $ALIVE], rest: {after: 0}}}
""", DEAD=dead.address, ALIVE=alive.address)
    for _ in range(4):
        assert usher.get().status == 200
    records = usher.log_records(count=4)
    assert all(record["server"] == alive.address for record in records)
    tried_twice = next(record for record in records if record["tries"] == 2)
    assert dead.address in json.dumps(tried_twice), "the trace names the server that failed"


def test_failure_says_which_server_which_step_how_long(stage):
    dead = stage.dead_port()
    usher = stage.usher(PROXY % "{path: access.log, format: json}", ORIGIN=dead)
    response = usher.get()
    record = usher.log_records()[0]
    assert record["status"] == response.status
    assert record["fault"] == "connect_refused"
    line = usher.wait_for_error(r".*connect_refused.*").group()
    assert dead.address in line
    assert re.search(r"\d+ ms", line)
    assert response.get("x-request-id") in line


def test_refused_requests_are_logged(stage):
    usher = stage.usher(PROXY % "{path: access.log, format: json}", ORIGIN=stage.origin())
    with usher.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
        assert client.response().status == 400
    record = usher.log_records()[0]
    assert record["status"] == 400
    assert record["fault"] == "bad_host"


def test_client_that_goes_away_is_logged(stage):
    origin = stage.origin(steps("read", "wait"))
    usher = stage.usher(PROXY % "{path: access.log, format: json}", ORIGIN=origin)
    client = usher.connect()
    client.request("GET", "/gone")
    origin.next_request()
    client.reset()
    record = usher.log_records()[0]
    assert record["path"] == "/gone"
    assert record["fault"] == "client_gone"


def test_log_to_standard_output(stage):
    usher = stage.usher(PROXY % "stdout", ORIGIN=stage.origin())
    usher.get("/here")
    usher.stop()
    assert "GET /here HTTP/1.1" in usher.stdout


def test_no_log(stage):
    usher = stage.usher(PROXY % "off", ORIGIN=stage.origin())
    usher.get("/here")
    usher.stop()
    assert "/here" not in usher.stdout + usher.stderr


def test_own_format(stage):
    usher = stage.usher(PROXY % "{path: access.log, format: '$method $status $host \"$path\"'}", ORIGIN=stage.origin())
    usher.get("/x y".replace(" ", "%20"), host="a.example")
    assert usher.log_lines()[0] == 'GET 200 a.example "/x%20y"'


def test_unwritable_log_does_not_harm_traffic(stage):
    usher = stage.usher(PROXY % "/dev/full", ORIGIN=stage.origin())
    for _ in range(200):
        assert usher.get().status == 200


def test_client_behind_a_trusted_proxy_is_logged(stage):
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: access.log
trusted_proxies: [127.0.0.1]
proxy: $ORIGIN
""", ORIGIN=stage.origin())
    usher.get("/", "X-Forwarded-For: 203.0.113.7")
    assert usher.log_lines()[0].startswith("203.0.113.7 ")
