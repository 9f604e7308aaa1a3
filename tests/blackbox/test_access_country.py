"""Countries in rules, by a database in MaxMind's DB format."""

import random
import re

import pytest

from support.access import visit
from support import mmdb
from support.usher import eventually, run_command

NETWORKS = {"192.0.2.0/24": "CH", "198.51.100.0/25": "DE", "203.0.113.7/32": "NO", "2001:db8::/32": "CH", "2001:db8:1::/48": "FR"}
CONFIG = """
listen: "127.0.0.1:$PORT"
trusted_proxies: [127.0.0.1]
geo: $DIR/country.mmdb
lists:
  alps: ["country:CH", "country:AT", 10.0.0.0/8]
  some: {file: $DIR/some.txt}
access: $ACCESS
proxy: $ORIGIN
"""


@pytest.fixture
def placed(stage, tmp_path):
    """usher with a rule and a database."""
    (tmp_path / "country.mmdb").write_bytes(mmdb.make(NETWORKS))
    (tmp_path / "some.txt").write_text("# some\ncountry:NO # Norway\n172.16.0.0/12\n")

    def start(access, config=CONFIG):
        site = stage.origin()
        usher = stage.usher(config, ORIGIN=site, ACCESS=access, DIR=tmp_path)
        usher.site = site
        return usher
    start.directory = tmp_path
    return start


@pytest.mark.parametrize("address, status", [
    ("192.0.2.1", 200), ("192.0.2.255", 200), ("192.0.3.0", 403), ("198.51.100.127", 200), ("198.51.100.128", 403), ("203.0.113.7", 403),
    ("2001:db8::1", 200), ("2001:db8:1::1", 403), ("2001:db9::1", 403), ("::ffff:192.0.2.1", 200), ("::192.0.2.1", 200), ("8.8.8.8", 403), ("10.0.0.1", 403)])
def test_allow(placed, address, status):
    usher = placed("{allow: [country:CH, country:DE]}")
    assert visit(usher, address).status == status


def test_a_database_as_large_as_one_of_cities(placed):
    """GeoLite2-City has 60 to 70 MiB, of which the countries are kept: here what is between them and the end is nothing."""
    small = mmdb.make(NETWORKS)
    at = small.rindex(mmdb.MARKER)
    (placed.directory / "country.mmdb").write_bytes(small[:at] + bytes(96 << 20) + small[at:])
    usher = placed("{allow: [country:CH]}")
    assert visit(usher, "192.0.2.1").status == 200 and visit(usher, "198.51.100.1").status == 403


def test_a_database_beyond_all_bounds(placed):
    with open(placed.directory / "country.mmdb", "ab") as file:
        file.truncate((512 << 20) + 1)
    with pytest.raises(AssertionError, match=r"usher.yaml:\d+:\d+: cannot read .*country.mmdb.*File too large"):
        placed("{allow: [country:CH]}")


@pytest.mark.parametrize("address, status", [("192.0.2.1", 403), ("::ffff:192.0.2.1", 403), ("2001:db8::1", 403), ("2001:db8:1::1", 200), ("8.8.8.8", 200)])
def test_deny(placed, address, status):
    """One whose country is not known is in no country: he is not denied by one, either."""
    usher = placed("{allow: [all, country:CH], deny: [country:CH]}")
    assert visit(usher, address).status == status


@pytest.mark.parametrize("allow, welcome", [
    ("[alps]", ["192.0.2.1", "2001:db8::1", "10.0.0.1"]), ("[some]", ["203.0.113.7", "172.16.0.1"]),
    ("[alps, some, country:FR]", ["192.0.2.1", "2001:db8::1", "10.0.0.1", "203.0.113.7", "172.16.0.1", "2001:db8:1::1"])])
def test_lists(placed, allow, welcome):
    usher = placed(f"{{allow: {allow}}}")
    for address in ["192.0.2.1", "2001:db8::1", "10.0.0.1", "203.0.113.7", "172.16.0.1", "2001:db8:1::1", "198.51.100.1", "8.8.8.8"]:
        assert visit(usher, address).status == (200 if address in welcome else 403)


def test_what_the_visitor_says_of_himself_does_not_count(placed):
    usher = placed("{allow: [country:CH]}", config=CONFIG.replace("trusted_proxies: [127.0.0.1]", ""))
    assert visit(usher, "192.0.2.1").status == 403


@pytest.mark.parametrize("size", [24, 28, 32])
@pytest.mark.parametrize("version", [4, 6])
def test_the_ways_to_write_a_database(placed, size, version):
    networks = {f"{i}.0.0.0/8": random.Random(i).choice(["CH", "DE", "FR", "US"]) for i in range(1, 200)}
    (placed.directory / "country.mmdb").write_bytes(mmdb.make(networks, version=version, record_size=size))
    usher = placed("{allow: [country:CH, country:US]}")
    for i in range(1, 220, 3):
        assert visit(usher, f"{i}.1.2.3").status == (200 if networks.get(f"{i}.0.0.0/8") in ("CH", "US") else 403)


def test_a_record_may_be_shared_by_pointers_or_hold_the_code_alone(placed):
    shared = mmdb.encode({"iso_code": "CH"})

    def record(code):
        if code == "CH":
            return shared
        return mmdb.control(7, 1) + mmdb.encode("country") + (mmdb.pointer(0) if code == "pointer" else mmdb.encode(code))
    networks = {"1.0.0.0/8": "CH", "2.0.0.0/8": "pointer", "3.0.0.0/8": "CH2", "4.0.0.0/8": "FR", "5.0.0.0/8": "ch"}
    (placed.directory / "country.mmdb").write_bytes(mmdb.make(networks, record=record))
    usher = placed("{allow: [country:CH, country:FR]}")
    assert [visit(usher, f"{i}.1.1.1").status for i in range(1, 6)] == [403, 200, 403, 200, 403]


def test_it_is_taken_when_it_is_replaced(placed):
    usher = placed("{allow: [country:CH]}")
    assert visit(usher, "192.0.2.1").status == 200
    new = placed.directory / "new"
    new.write_bytes(mmdb.make({"192.0.2.0/24": "DE", "198.51.100.0/24": "CH"}))
    new.replace(placed.directory / "country.mmdb")
    eventually(lambda: visit(usher, "192.0.2.1").status == 403)
    eventually(lambda: visit(usher, "198.51.100.1").status == 200)


def test_a_broken_one_changes_nothing(placed):
    usher = placed("{allow: [country:CH]}")
    (placed.directory / "new").write_bytes(mmdb.make(NETWORKS)[:-200])
    (placed.directory / "new").replace(placed.directory / "country.mmdb")
    usher.wait_for_error("country.mmdb: this is no database")
    assert [visit(usher, address).status for address in ("192.0.2.1", "8.8.8.8")] == [200, 403]


def test_in_words(placed, tmp_path):
    config = tmp_path / "words.yaml"
    config.write_text(CONFIG.replace("$PORT", "0").replace("$DIR", str(tmp_path)).replace("$ORIGIN", "127.0.0.1:1").replace(
        "$ACCESS", "{allow: [10.0.0.0/8, country:CH, country:DE], deny: [alps, country:XK]}"))
    done = run_command("check", config)
    assert done.returncode == 0, done.stderr
    assert "visitors from alps and Kosovo (XK) never get in; visitors from 10.0.0.0/8, Switzerland (CH) and Germany (DE) get in; anyone else gets 403" in done.stdout


@pytest.mark.parametrize("access, message", [
    ("{allow: [country:XX]}", r':8:18: "country:XX" is no country; expected two capital letters as in ISO 3166-1, such as CH'),
    ("{allow: [country:ch]}", r':8:18: "country:ch" is no country'), ("{allow: [country:CHE]}", r':8:18: "country:CHE" is no country'),
    ("{allow: [all], deny: ['country:']}", r':8:31: "country:" is no country'),
    ("{allow: [CH]}", r':8:18: "CH" is neither an address')])
def test_what_is_no_country(placed, access, message):
    with pytest.raises(AssertionError, match=message):
        placed(access)


def test_in_lists_and_their_files(placed):
    with pytest.raises(AssertionError, match=r':6:10: "country:UK" is no country'):
        placed("{allow: [alps]}", config=CONFIG.replace('"country:CH"', '"country:UK"'))
    (placed.directory / "some.txt").write_text("10.0.0.0/8\ncountry:UK\n")
    with pytest.raises(AssertionError, match=r'some.txt:2: "country:UK" is no country'):
        placed("{allow: [some]}")


def test_a_rule_needs_a_database(placed):
    without = CONFIG.replace("geo: $DIR/country.mmdb", "")
    with pytest.raises(AssertionError, match=r':6:10: "country:CH" is a country, and nothing says where addresses are; add `geo: '):
        placed("{allow: [all]}", config=without)
    with pytest.raises(AssertionError, match=r':8:18: "country:DE" is a country, and nothing says'):
        placed("{allow: ['country:DE']}", config=without.replace('["country:CH", "country:AT", 10.0.0.0/8]', "[10.0.0.0/8]").replace("$DIR/some.txt", "/dev/null"))


def broken(what):
    good = mmdb.make(NETWORKS)
    marker = good.rindex(mmdb.MARKER)
    return {
        "empty": b"", "text": b"CH 192.0.2.0/24\n", "cut": good[:len(good) // 2], "without a tree": good[marker:], "metadata cut": good[:marker + 20],
        "other version": mmdb.make(NETWORKS, metadata={"binary_format_major_version": mmdb.number(5, 3)}),
        "too many nodes": mmdb.make(NETWORKS, metadata={"node_count": mmdb.number(6, 2 ** 32 - 1)}),
        "no nodes": mmdb.make(NETWORKS, metadata={"node_count": mmdb.number(6, 0)}),
        "odd records": mmdb.make(NETWORKS, metadata={"record_size": mmdb.number(5, 20)}),
        "another protocol": mmdb.make(NETWORKS, metadata={"ip_version": mmdb.number(5, 5)}),
        "tree altered": b"\xff" * 6 + good[6:],
        "deep": mmdb.make({"192.0.2.0/24": "CH"}, record=lambda code: mmdb.control(7, 1) + mmdb.encode("a") + mmdb.control(11, 1) * 3000000),
        "endless": mmdb.make({"192.0.2.0/24": "CH"}, record=lambda code: mmdb.control(11, 2 ** 24)),
        "circular": mmdb.make({"192.0.2.0/24": "CH"}, record=lambda code: mmdb.pointer(0)),
        "no countries": mmdb.make({"192.0.2.0/24": "CH"}, record=lambda code: {"autonomous_system_number": 64496}),
    }[what]


@pytest.mark.parametrize("what", ["empty", "text", "cut", "without a tree", "metadata cut", "other version", "too many nodes", "no nodes", "odd records", "another protocol",
                                  "tree altered", "deep", "endless", "circular", "no countries"])
def test_a_broken_database_is_an_error(placed, what):
    (placed.directory / "country.mmdb").write_bytes(broken(what))
    with pytest.raises(AssertionError, match=r":4:6: \S*country.mmdb: (the database|this is no database)"):
        placed("{allow: [country:CH]}")


def test_altered_ones_do_no_harm(placed, tmp_path):
    """Whatever the bytes are, the program says so, or takes them."""
    chance, good = random.Random(7), mmdb.make({**NETWORKS, **{f"{i}.0.0.0/8": "US" for i in range(1, 30)}})
    config = tmp_path / "altered.yaml"
    config.write_text("geo: altered.mmdb\naccess: {allow: ['country:CH']}\nproxy: 127.0.0.1:1\nlisten: 127.0.0.1:0\n")
    for _ in range(40):
        altered = bytearray(good)
        for _ in range(chance.choice([1, 3, 30])):
            altered[chance.randrange(len(altered))] = chance.choice([0, 255, chance.randrange(256)])
        (tmp_path / "altered.mmdb").write_bytes(altered)
        done = run_command("check", config)
        assert done.returncode in (0, 1) and "AddressSanitizer" not in done.stderr
        assert done.returncode == 0 or re.search(r"altered.yaml:1:6: \S*altered.mmdb: (the|this).*\n(.*\n){0,2}\Z", done.stderr)


def test_there_must_be_a_file(placed):
    with pytest.raises(AssertionError, match=r":4:6: .*missing.mmdb"):
        placed("{allow: [all]}", config=CONFIG.replace("country.mmdb", "missing.mmdb"))
