"""$country, routes by country, and the country in the cache's key."""

import json
import random
import subprocess

import pytest

from support.access import visit
from support import mmdb
from support.usher import run_command
from test_access_country import NETWORKS

CONFIG = """
listen: "127.0.0.1:$PORT"
trusted_proxies: [127.0.0.1]
geo: {database: $DIR/country.mmdb}
access_log: {path: $DIR/access.log, format: "$FORMAT"}
headers:
  request: {set: {X-Country: "$country"}}
  response: {set: {X-From: "is $(country)."}}
$MORE
"""


@pytest.fixture
def placed(stage, tmp_path):
    (tmp_path / "country.mmdb").write_bytes(mmdb.make(NETWORKS))

    def start(more="proxy: $ORIGIN", config=CONFIG, form="$client $country $status"):
        site = stage.origin()
        usher = stage.usher(config.replace("$MORE", more).replace("$FORMAT", form), ORIGIN=site, DIR=tmp_path)
        usher.site = site
        return usher
    start.directory = tmp_path
    return start


@pytest.mark.parametrize("address, country", [("192.0.2.1", "CH"), ("::ffff:192.0.2.1", "CH"), ("2001:db8:1::1", "FR"), ("8.8.8.8", "")])
def test_the_variable(placed, address, country):
    usher = placed()
    answer = visit(usher, address)
    assert answer.get("X-From") == f"is {country}."
    assert usher.site.requests[0].get("X-Country") == country
    (line,) = usher.log_lines(placed.directory / "access.log")
    assert line.split()[1:] == [country or "-", "200"]


def test_what_the_visitor_says_is_replaced(placed):
    usher = placed()
    visit(usher, "192.0.2.1", "X-Country: US")
    assert usher.site.requests[0].all("X-Country") == ["CH"]


def test_in_json(placed):
    usher = placed(form="json")
    visit(usher, "192.0.2.1"), visit(usher, "8.8.8.8")
    first, second = map(json.loads, usher.log_lines(placed.directory / "access.log", 2))
    assert first["country"] == "CH" and "country" not in second


def test_without_a_database_it_is_empty(placed):
    usher = placed(config=CONFIG.replace("geo: {database: $DIR/country.mmdb}", ""))
    assert visit(usher, "192.0.2.1").get("X-From") == "is ."


def test_other_readers_agree(placed):
    """libmaxminddb's program, about many addresses."""
    chance = random.Random(3)
    networks = {}
    for _ in range(300):
        length = chance.choice([8, 12, 16, 20, 24, 32])
        networks[f"{mmdb.ipaddress.ip_network((chance.getrandbits(32), length), strict=False)}"] = chance.choice(["CH", "DE", "US"])
    networks = dict(sorted(networks.items(), key=lambda item: int(item[0].partition("/")[2])))
    database = placed.directory / "country.mmdb"
    database.write_bytes(mmdb.make(networks, record_size=28))
    usher = placed("respond: {status: 200, body: \"$country\"}", config=CONFIG)
    known = 0
    for network in list(networks)[::6] + [str(mmdb.ipaddress.ip_address(chance.getrandbits(32))) for _ in range(20)]:
        address = network.partition("/")[0]
        done = subprocess.run(["mmdblookup", "-f", database, "-i", address, "country", "iso_code"], capture_output=True, text=True, check=False)
        expected = done.stdout.split('"')[1] if '"' in done.stdout else ""
        assert visit(usher, address).body.decode() == expected
        known += expected != ""
    assert known >= 40


def test_routes(placed):
    usher = placed("""
routes:
  - {match: {country: [CH, AT]}, respond: {status: 200, body: alps}}
  - {match: {country: FR}, respond: {status: 200, body: france}}
  - {respond: {status: 200, body: elsewhere}}
""")
    assert [visit(usher, address).body for address in ("192.0.2.1", "2001:db8:1::1", "198.51.100.1", "8.8.8.8")] == [b"alps", b"france", b"elsewhere", b"elsewhere"]


@pytest.mark.parametrize("more, message", [
    ("routes: [{match: {country: [CHE]}, respond: {status: 204}}]", '"CHE" is no country; expected two capital letters'),
    ("filter: {deny: [{country: [Xx]}]}\nrespond: {status: 204}", '"Xx" is no country'),
    ("cache: {bypass: [{country: [XX]}]}\nrespond: {status: 204}", '"XX" is no country')])
def test_what_is_no_country(placed, more, message):
    with pytest.raises(AssertionError, match=message):
        placed(more)


@pytest.mark.parametrize("more", ["routes: [{match: {country: [CH]}, respond: {status: 204}}]", "cache: {key: {country: true}}\nrespond: {status: 204}"])
def test_it_needs_a_database(tmp_path, more):
    config = tmp_path / "without.yaml"
    config.write_text(f"listen: 127.0.0.1:0\n{more}\n")
    done = run_command("check", config)
    assert done.returncode == 1 and "without.yaml:2:" in done.stderr and "nothing says where addresses are; add `geo: " in done.stderr


# --- The cache's key

def stored(placed, key):
    usher = placed(f"cache: {{ttl: 1m, key: {key}}}\nproxy: $ORIGIN")
    asked = []
    for address in ("192.0.2.1", "2001:db8:1::1", "192.0.2.2", "8.8.8.8", "2001:db8:1::2", "9.9.9.9", "192.0.2.1"):
        answer = visit(usher, address)
        assert answer.status == 200
        asked.append(len(usher.site.requests))
    return asked, usher


def test_answers_are_told_apart_by_country(placed):
    asked, usher = stored(placed, "{country: true}")
    assert asked == [1, 2, 2, 3, 3, 3, 3]
    assert [request.get("X-Country") for request in usher.site.requests] == ["CH", "FR", ""]


def test_and_otherwise_not(placed):
    assert stored(placed, "{country: false}")[0] == [1] * 7


def test_a_purge_means_all_countries(placed):
    usher = placed("cache: {ttl: 1m, key: {country: true}, purge: [10.0.0.0/8]}\nproxy: $ORIGIN")
    for address in ("192.0.2.1", "2001:db8:1::1"):
        visit(usher, address), visit(usher, address)
    assert len(usher.site.requests) == 2
    assert usher.ask("PURGE", "/", "X-Forwarded-For: 10.0.0.1").status in (200, 204)
    for address in ("192.0.2.1", "2001:db8:1::1"):
        visit(usher, address)
    assert len(usher.site.requests) == 4
