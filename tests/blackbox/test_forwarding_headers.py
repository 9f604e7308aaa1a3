"""What usher adds, takes away and believes: hop-by-hop fields, Via, Forwarded, the client's address, the request id."""

import re

import pytest

from support import wire
from support.origin import answering
from support.refusal import echoed

TRUSTING = """
listen: "127.0.0.1:$PORT"
access_log: off
trusted_proxies: [127.0.0.1, 10.0.0.0/8, "2001:db8::/32"]
proxy: $ORIGIN
"""


@pytest.fixture(scope="module")
def plain(shared):
    return shared.usher(ORIGIN=shared.origin())


@pytest.fixture(scope="module")
def trusting(shared):
    return shared.usher(TRUSTING, ORIGIN=shared.origin())


def sent_on(usher, *fields, target="/", **more):
    """The fields that the origin got, as a list of (lower-case name, value)."""
    return [(name.lower(), value) for name, value in echoed(usher.get(target, *fields, **more))["headers"]]


def values(fields, name):
    return [value for key, value in fields if key == name]


# --- Hop-by-hop


@pytest.mark.parametrize("field", [
    "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eA==",
    "Proxy-Authenticate: Basic", "Upgrade: foo", "TE: gzip", "Connection: keep-alive",
])
def test_hop_by_hop_fields_of_requests_stay(plain, field):
    name = field.split(":")[0].lower()
    got = values(sent_on(plain, field), name)
    assert field.split(": ")[1] not in got


def test_fields_that_connection_names_stay(plain):
    got = sent_on(plain, "Connection: X-One, x-TWO,close", "X-One: 1", "X-Two: 2", "X-Three: 3")
    assert not values(got, "x-one")
    assert not values(got, "x-two")
    assert values(got, "x-three") == ["3"]


@pytest.mark.parametrize("name", ["Host", "Content-Length", "X-Forwarded-For", "X-Request-Id", "Via", "Forwarded"])
def test_connection_cannot_take_away_what_usher_says(plain, name):
    """A client must not be able to hide from the origin who it is (nor to break the framing)."""
    with plain.connect() as client:
        client.send(wire.head("POST / HTTP/1.1", "Host: a.example", "Content-Length: 5", f"Connection: {name}") + b"hello")
        response = client.response()
    got = echoed(response)
    assert got["body"] == "hello"
    names = [key.lower() for key, _ in got["headers"]]
    assert "host" in names
    assert "x-forwarded-for" in names
    assert "x-request-id" in names
    assert "via" in names


def test_hop_by_hop_fields_of_responses_stay(proxy):
    usher, _ = proxy(answering(wire.head(
        "HTTP/1.1 200 OK", "Connection: X-Hop, keep-alive", "X-Hop: 1", "Keep-Alive: timeout=5", "X-Stays: 1",
        "Proxy-Authenticate: Basic realm=x", "Upgrade: foo", "Content-Length: 2") + b"ok"))
    response = usher.get()
    for name in ("x-hop", "keep-alive", "upgrade"):
        assert not response.has(name), name
    assert response.get("x-stays") == "1"


def test_end_to_end_fields_pass_in_order(plain):
    fields = [("X-B", "2"), ("X-A", "1"), ("X-B", "3"), ("Cookie", "a=b; c=d"), ("Accept", "*/*"), ("X-Empty", "")]
    got = [(name, value) for name, value in sent_on(plain, *fields) if name in ("x-a", "x-b", "cookie", "accept", "x-empty")]
    assert got == [(name.lower(), value) for name, value in fields]


def test_response_fields_pass_in_order(proxy):
    fields = [("Set-Cookie", "a=1"), ("X-A", "1"), ("Set-Cookie", "b=2; Path=/"), ("Content-Type", "text/x"), ("X-Latin", "\xe4")]
    usher, _ = proxy(answering(wire.head("HTTP/1.1 200 Very Fine", *fields, "Content-Length: 2") + b"ok"))
    response = usher.get()
    got = [(name, value) for name, value in response.headers if name.lower() in ("set-cookie", "x-a", "content-type", "x-latin")]
    assert got == fields


# --- Via, Server, Date


def test_via_is_added(plain):
    assert re.fullmatch(r"1\.1 \S+", values(sent_on(plain), "via")[0])
    got = ", ".join(values(sent_on(plain, "Via: 1.0 before"), "via"))
    assert re.fullmatch(r"1\.0 before, 1\.1 \S+", got)


def test_via_tells_the_version_received(plain):
    with plain.connect() as client:
        client.send("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
        got = echoed(client.response())
    assert [value for name, value in got["headers"] if name.lower() == "via"][0].startswith("1.0 ")


def test_via_of_responses(proxy):
    usher, _ = proxy(answering(wire.head("HTTP/1.1 200 OK", "Via: 1.1 inner", "Content-Length: 2") + b"ok"))
    assert re.fullmatch(r"1\.1 inner, 1\.1 \S+", ", ".join(usher.get().all("via")))


def test_date_is_added_where_it_is_missing(proxy):
    """RFC 9110 section 6.6.1."""
    usher, _ = proxy(answering(wire.head("HTTP/1.1 200 OK", "Content-Length: 2") + b"ok"))
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", usher.get().get("date"))


def test_date_of_the_origin_stays(proxy):
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    usher, _ = proxy(answering(wire.head("HTTP/1.1 200 OK", f"Date: {date}", "Server: mine", "Content-Length: 2") + b"ok"))
    response = usher.get()
    assert response.get("date") == date
    assert response.get("server") == "mine"


# --- Who the client is


def test_forwarding_fields_tell_the_client(plain):
    got = sent_on(plain, host="shop.example:8080")
    assert values(got, "x-forwarded-for") == ["127.0.0.1"]
    assert values(got, "x-forwarded-proto") == ["http"]
    assert values(got, "x-forwarded-host") == ["shop.example:8080"]
    forwarded = values(got, "forwarded")
    if forwarded:
        assert "for=127.0.0.1" in forwarded[0].lower()


def test_a_stranger_s_word_is_not_taken(plain):
    """Without trusted_proxies, what the client claims is replaced, not extended."""
    got = sent_on(plain, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: bank.example",
                  "Forwarded: for=1.2.3.4;proto=https;host=bank.example", "X-Real-IP: 1.2.3.4")
    assert values(got, "x-forwarded-for") == ["127.0.0.1"]
    assert values(got, "x-forwarded-proto") == ["http"]
    assert values(got, "x-forwarded-host") == ["test.example"]
    assert all("1.2.3.4" not in value and "bank" not in value for value in values(got, "forwarded") + values(got, "x-real-ip"))


def test_several_fields_of_a_stranger(plain):
    got = sent_on(plain, "X-Forwarded-For: 1.2.3.4", "x-forwarded-for: 5.6.7.8")
    assert values(got, "x-forwarded-for") == ["127.0.0.1"]


def test_a_trusted_proxy_s_word_is_taken(trusting):
    got = sent_on(trusting, "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example")
    assert ", ".join(values(got, "x-forwarded-for")) == "203.0.113.7, 127.0.0.1"
    assert values(got, "x-forwarded-proto") == ["https"]
    assert values(got, "x-forwarded-host") == ["shop.example"]


CHAINS = {
    # what came: who the client is. Read from the nearest hop outwards; the first that is
    # not trusted is the client, and what lies beyond it is hearsay.
    "203.0.113.7": "203.0.113.7",
    "203.0.113.7, 10.1.1.1": "203.0.113.7",
    "198.51.100.1, 203.0.113.7, 10.1.1.1, 10.2.2.2": "203.0.113.7",
    "10.9.9.9": "10.9.9.9",
    "2001:db9::1, 10.1.1.1": "2001:db9::1",
    "nonsense, 10.1.1.1": "10.1.1.1",
}


@pytest.fixture(scope="module")
def telling(shared):
    """Answers with the client's address as usher sees it."""
    return shared.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
trusted_proxies: [127.0.0.1, 10.0.0.0/8]
headers: {response: {set: {X-Client: "$client", X-Scheme: "$scheme"}}}
proxy: $ORIGIN
""", ORIGIN=shared.origin())


@pytest.mark.parametrize("chain", CHAINS)
def test_chain_of_x_forwarded_for(telling, chain):
    assert telling.get("/", f"X-Forwarded-For: {chain}").get("x-client") == CHAINS[chain]


@pytest.mark.parametrize("field,client,scheme", [
    ("for=203.0.113.7;proto=https", "203.0.113.7", "https"),
    ('for="[2001:db9::1]:4711";proto=http', "2001:db9::1", "http"),
    ('For="203.0.113.7:80", for=10.1.1.1', "203.0.113.7", "http"),
    ("for=198.51.100.1, for=203.0.113.7;proto=https", "203.0.113.7", "https"),
    ("for=unknown", "127.0.0.1", "http"),
])
def test_forwarded(telling, field, client, scheme):
    response = telling.get("/", f"Forwarded: {field}")
    assert (response.get("x-client"), response.get("x-scheme")) == (client, scheme)


def test_client_is_the_same_for_rules(stage):
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
trusted_proxies: [127.0.0.1]
routes:
  - match: {client: 203.0.113.0/24}
    respond: {status: 200, body: "inside"}
  - respond: {status: 200, body: "outside"}
""")
    assert usher.get("/", "X-Forwarded-For: 203.0.113.9").body == b"inside"
    assert usher.get("/", "X-Forwarded-For: 203.0.114.9").body == b"outside"
    assert usher.get().body == b"outside"


# --- Host


def test_host_is_preserved(plain):
    assert values(sent_on(plain, host="Shop.Example:8080"), "host") == ["Shop.Example:8080"]


def test_host_comes_first(plain):
    """RFC 9110 section 7.2 asks for it."""
    assert sent_on(plain)[0][0] == "host"


def test_host_of_an_absolute_target(plain):
    with plain.connect() as client:
        client.send(wire.head("GET http://a.example:81/x HTTP/1.1", "Host: a.example:81"))
        got = echoed(client.response())
    assert got["target"] == "/x"
    assert [value for name, value in got["headers"] if name.lower() == "host"] == ["a.example:81"]


def test_version_1_0_without_host_gets_one(plain):
    with plain.connect() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        got = echoed(client.response())
    assert got["version"] == "HTTP/1.1"
    assert len([1 for name, _ in got["headers"] if name.lower() == "host"]) == 1


def test_host_replaced_by_choice(stage):
    origin = stage.origin()
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
proxy: {to: $ORIGIN, host: server}
""", ORIGIN=origin)
    assert values(sent_on(usher), "host") == [origin.address]


# --- Request id


def test_request_id_is_made_sent_on_and_returned(plain):
    seen = set()
    for _ in range(20):
        response = plain.get()
        got = dict((name.lower(), value) for name, value in echoed(response)["headers"])
        assert re.fullmatch(r"[0-9a-zA-Z_-]{16,64}", got["x-request-id"])
        assert response.get("x-request-id") == got["x-request-id"]
        seen.add(got["x-request-id"])
    assert len(seen) == 20


def test_request_id_of_a_stranger_is_replaced(plain):
    got = values(sent_on(plain, "X-Request-Id: forged"), "x-request-id")
    assert len(got) == 1
    assert got[0] != "forged"


def test_request_id_of_a_trusted_proxy_is_kept(trusting):
    response = trusting.get("/", "X-Request-Id: abc-123")
    assert response.get("x-request-id") == "abc-123"
    assert values([(name.lower(), value) for name, value in echoed(response)["headers"]], "x-request-id") == ["abc-123"]


@pytest.mark.parametrize("value", ["a b", "x" * 5000, 'a"b'])
def test_request_id_that_is_none_is_replaced(trusting, value):
    response = trusting.get("/", f"X-Request-Id: {value}")
    assert response.get("x-request-id") not in (None, value)


def test_request_id_is_in_usher_s_own_answers(stage):
    usher = stage.usher(ORIGIN=stage.dead_port())
    response = usher.get()
    assert response.status in (502, 503)
    assert response.get("x-request-id") in response.body.decode()


@pytest.mark.parametrize(
    "fields",
    [
        "X-Forwarded-For: 203.0.113.9, nonsense",
        "Forwarded: for=",
        "Forwarded: for=203.0.113.9\r\nX-Forwarded-For: 203.0.113.10",
    ],
)
def test_a_spoilt_chain_does_not_make_the_client_pass_for_the_proxy(trusting, fields):
    """The proxy's own address may be one that rules favour."""
    with trusting.connect() as client:
        client.send(f"GET / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n\r\n".encode())
        assert client.response().status == 400
