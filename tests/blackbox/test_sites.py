"""Which site answers: exact host, then the longest wildcard, then the default site."""

import pytest

SITES = """
listen: "127.0.0.1:$PORT"
access_log: off
sites:
  - host: shop.example
    respond: {status: 200, body: "shop"}
  - host: [www.shop.example, old.example]
    respond: {status: 200, body: "www"}
  - host: "*.shop.example"
    respond: {status: 200, body: "any shop"}
  - host: "*.eu.shop.example"
    respond: {status: 200, body: "any eu shop"}
  - host: "192.0.2.1"
    respond: {status: 200, body: "address"}
  - host: "[2001:db8::1]"
    respond: {status: 200, body: "address six"}
"""

DEFAULT = """
  - respond: {status: 200, body: "default"}
"""

HOSTS = {
    "shop.example": "shop",
    "SHOP.Example": "shop",
    "shop.example:8080": "shop",
    "shop.example.": "shop",
    "shop.example.:80": "shop",
    "www.shop.example": "www",
    "old.example": "www",
    "a.shop.example": "any shop",
    "A.Shop.Example:1": "any shop",
    "a.b.shop.example": "any shop",
    "eu.shop.example": "any shop",
    "x.eu.shop.example": "any eu shop",
    "x.y.eu.shop.example": "any eu shop",
    "192.0.2.1": "address",
    "192.0.2.1:80": "address",
    "[2001:db8::1]": "address six",
    "[2001:db8::1]:80": "address six",
}

STRANGERS = ["example", "shop.example.org", "ashop.example", "notold.example", "192.0.2.2", "localhost"]


@pytest.fixture(scope="module")
def strict(shared):
    return shared.usher(SITES)


@pytest.fixture(scope="module")
def with_default(shared):
    return shared.usher(SITES + DEFAULT)


@pytest.mark.parametrize("host", HOSTS)
def test_host(strict, with_default, host):
    assert strict.get(host=host).body.decode() == HOSTS[host]
    assert with_default.get(host=host).body.decode() == HOSTS[host]


@pytest.mark.parametrize("host", STRANGERS)
def test_unknown_host(strict, with_default, host):
    assert strict.get(host=host).status == 421
    assert with_default.get(host=host).body == b"default"


def test_unknown_host_keeps_the_connection(strict):
    with strict.connect() as client:
        assert client.ask(host="nobody.example").status == 421
        assert client.ask(host="shop.example").body == b"shop"


def test_host_may_change_on_one_connection(strict):
    with strict.connect() as client:
        for host, body in HOSTS.items():
            assert client.ask(host=host).body.decode() == body


def test_absolute_target_decides(strict):
    with strict.connect() as client:
        client.request("GET", "http://www.shop.example/", host="www.shop.example")
        assert client.response().body == b"www"


def test_version_1_0_without_host(strict, with_default):
    for usher, status in ((strict, 421), (with_default, 200)):
        with usher.connect() as client:
            client.send("GET / HTTP/1.0\r\n\r\n")
            assert client.response().status == status


def test_log_tells_the_nearest_site(stage):
    usher = stage.usher(SITES)
    assert usher.get(host="shop.exmaple").status == 421
    usher.wait_for_error(r"shop\.example")


def test_each_site_has_its_own_origin(stage):
    origins = {name: stage.origin() for name in ("a", "b")}
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
sites:
  - {host: a.example, proxy: $A}
  - {host: b.example, proxy: $B}
""", A=origins["a"], B=origins["b"])
    with usher.connect() as client:
        for number in range(10):
            name = "ab"[number % 2]
            client.ask("GET", f"/{number}", host=f"{name}.example")
    assert origins["a"].targets() == [f"/{number}" for number in range(0, 10, 2)]
    assert origins["b"].targets() == [f"/{number}" for number in range(1, 10, 2)]


def test_several_ports_serve_the_same_sites(stage):
    usher = stage.usher(SITES.replace('"127.0.0.1:$PORT"', '["127.0.0.1:$PORT", {address: "127.0.0.1:$PORT2"}]'))
    for port in usher.ports.values():
        assert usher.get(host="old.example", port=port).body == b"www"


def test_many_sites(stage):
    sites = "".join(f'  - {{host: site{number}.example, respond: {{status: 200, body: "{number}"}}}}\n' for number in range(3000))
    usher = stage.usher('listen: "127.0.0.1:$PORT"\naccess_log: off\nsites:\n' + sites)
    with usher.connect() as client:
        for number in (0, 1, 1499, 2998, 2999):
            assert client.ask(host=f"site{number}.example").body.decode() == str(number)
        assert client.ask(host="site3000.example").status == 421
