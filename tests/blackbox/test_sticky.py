"""Visitors meet the same server again: by usher's cookie, or by the application's."""

import collections
import re

import pytest

from support.origin import named
from support.usher import run_command

POOL = """
listen: "127.0.0.1:$PORT"
workers: 2
access_log: {path: access.log, format: json}
proxy: app
pools:
  app:
    sticky: $STICKY
    rest: {after: 1, for: 60s}
    servers: $SERVERS
"""


def pool(stage, servers, sticky):
    return stage.usher(POOL, STICKY=sticky, SERVERS=f"[{', '.join(servers)}]")


def cookie_of(answer):
    """name=value of the one cookie that was set, and its attributes."""
    cookies = answer.all("Set-Cookie")
    assert len(cookies) == 1, cookies
    pair, *attributes = cookies[0].split("; ")
    return pair, attributes


def bodies(usher, number, *fields, target="/"):
    return collections.Counter(usher.get(target, *fields).body.decode() for _ in range(number))


# --- usher's own cookie

def test_a_visitor_meets_the_same_server(stage):
    usher = pool(stage, [stage.origin(named(name)).address for name in "abc"], "srv")
    met = {}
    for _ in range(6):
        answer = usher.get()
        pair, attributes = cookie_of(answer)
        assert re.fullmatch(r"srv=[0-9a-f]{16}", pair)
        assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
        met[pair] = answer.body.decode()
    assert sorted(met.values()) == ["a", "b", "c"]
    for pair, name in met.items():
        for _ in range(5):
            answer = usher.get("/", f"Cookie: other=1; {pair}")
            assert answer.body.decode() == name
            assert not answer.has("Set-Cookie")


def test_the_value_is_the_same_for_ushers_with_the_same_secret_and_no_other(stage):
    servers = [stage.origin(named("a")).address]
    values = [cookie_of(pool(stage, servers, f"{{cookie: srv, secret: {secret}}}").get())[0] for secret in ("one", "one", "two")]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("value", ["", "x", "0" * 16, "0123456789ABCDEF", "1" * 17, "a=b", '"0123456789abcdef"'])
def test_a_made_up_cookie_chooses_nothing(stage, value):
    usher = pool(stage, [stage.origin(named(name)).address for name in "ab"], "srv")
    assert set(bodies(usher, 6, f"Cookie: srv={value}")) == {"a", "b"}
    assert cookie_of(usher.get("/", f"Cookie: srv={value}"))


def test_attributes(stage):
    usher = pool(stage, [stage.origin(named("a")).address],
                 "{cookie: srv, path: /shop, domain: example.com, secure: always, http_only: false, same_site: none, max_age: 1h}")
    assert cookie_of(usher.get())[1] == ["Path=/shop", "Domain=example.com", "Max-Age=3600", "Secure", "SameSite=None"]


def test_the_servers_own_cookies_stay(stage):
    def script(connection):
        while connection.read_request() is not None:
            connection.answer(b"", "Set-Cookie: theirs=1")
    usher = pool(stage, [stage.origin(script).address], "srv")
    cookies = usher.get().all("Set-Cookie")
    assert cookies[0] == "theirs=1" and cookies[1].startswith("srv=")


def test_when_the_server_is_gone_another_one_takes_over(stage):
    origins = {name: stage.origin(named(name)) for name in "abc"}
    usher = pool(stage, [origin.address for origin in origins.values()], "srv")
    answer = usher.get()
    pair, _ = cookie_of(answer)
    gone = answer.body.decode()
    origins[gone].stop()
    answer = usher.get("/", f"Cookie: {pair}")
    assert answer.status == 200 and answer.body.decode() != gone
    other, _ = cookie_of(answer)
    assert other != pair
    assert len(bodies(usher, 5, f"Cookie: {other}")) == 1


def test_or_the_visitor_gets_503(stage):
    origins = {name: stage.origin(named(name)) for name in "ab"}
    usher = pool(stage, [origin.address for origin in origins.values()], "{cookie: srv, lost: refuse}")
    answer = usher.get()
    pair, _ = cookie_of(answer)
    origins[answer.body.decode()].stop()
    statuses = [usher.get("/", f"Cookie: {pair}").status for _ in range(3)]
    assert statuses[0] in (502, 503) and statuses[1:] == [503, 503]
    assert usher.get().status == 200


def test_a_full_server_is_waited_for(stage):
    """One that has as many requests as it may have is not gone."""
    usher = pool(stage, [f"{{address: {stage.origin(named(name)).address}, max_requests: 1}}" for name in "ab"], "srv")
    answer = usher.get()
    pair, _ = cookie_of(answer)
    for _ in range(20):
        assert usher.get("/", f"Cookie: {pair}").body == answer.body


def test_a_reload_keeps_visitors_where_they_are(stage):
    usher = pool(stage, [stage.origin(named(name)).address for name in "abc"], "srv")
    answer = usher.get()
    pair, _ = cookie_of(answer)
    text = usher.path.read_text()
    usher.reload(text.replace("servers: [", f"servers: [{stage.origin(named('d')).address}, "))
    assert bodies(usher, 5, f"Cookie: {pair}") == {answer.body.decode(): 5}


def test_a_server_of_weight_0_keeps_its_visitors(stage):
    origins = {name: stage.origin(named(name)) for name in "ab"}
    usher = pool(stage, [origin.address for origin in origins.values()], "srv")
    while (answer := usher.get()).body != b"a":
        pass
    pair, _ = cookie_of(answer)
    usher.reload(usher.path.read_text().replace(origins["a"].address, f"{{address: {origins['a'].address}, weight: 0}}"))
    assert bodies(usher, 5) == {"b": 5}
    assert bodies(usher, 5, f"Cookie: {pair}") == {"a": 5}


# --- The application's cookie

def java(name, suffix=""):
    """A server that begins a session for who has none."""
    def script(connection):
        number = 0
        while (request := connection.read_request()) is not None:
            number += 1
            session = f"{name}{connection.number}{number}{suffix}"
            cookie = [] if request.has("Cookie") else [f"Set-Cookie: JSESSIONID={session}; Path=/app; HttpOnly"]
            connection.answer(name, *cookie)
    return script


def test_routes_in_the_applications_cookie(stage):
    servers = [f"{{address: {stage.origin(java(name, f'.node{name}')).address}, route: node{name}}}" for name in "abc"]
    usher = pool(stage, servers, "{learn: JSESSIONID}")
    for name in "abc":
        assert bodies(usher, 4, f"Cookie: x=y; JSESSIONID=whatever.node{name}") == {name: 4}
        assert bodies(usher, 4, target=f"/app/page;a=b;jsessionid=whatever.node{name}?q") == {name: 4}
    assert len(bodies(usher, 6, "Cookie: JSESSIONID=whatever.nodeX")) > 1
    assert not usher.get("/", "Cookie: JSESSIONID=whatever.nodea").has("Set-Cookie")


def test_sessions_are_learned_where_they_name_no_route(stage):
    usher = pool(stage, [stage.origin(java(name)).address for name in "abc"], "{learn: JSESSIONID}")
    met = {}
    for _ in range(9):
        answer = usher.get()
        pair, attributes = cookie_of(answer)
        assert attributes == ["Path=/app", "HttpOnly"]
        met[pair] = answer.body.decode()
    assert set(met.values()) == {"a", "b", "c"}
    for pair, name in met.items():
        assert bodies(usher, 4, f"Cookie: {pair}") == {name: 4}
    usher.reload()
    for pair, name in met.items():
        assert bodies(usher, 2, f"Cookie: {pair}") == {name: 2}


# --- What cannot be

@pytest.mark.parametrize("sticky,says", [
    ("{}", "write the name of a cookie"),
    ("{cookie: a, learn: b}", "either usher sets a cookie"),
    ("'a b'", "cannot be the name of a cookie"),
    ("{cookie: a, path: '/; Domain=x'}", "cannot stand in a cookie"),
    ("{cookie: __Host-a, domain: example.com}", "has no domain"),
    ("{cookie: a, same_site: none, secure: never}", "browsers refuse"),
])
def test_mistakes_are_named(tmp_path, sticky, says):
    path = tmp_path / "usher.yaml"
    path.write_text(f"proxy: app\npools:\n  app:\n    sticky: {sticky}\n    servers: [127.0.0.1:1]\n")
    done = run_command("check", path)
    assert done.returncode == 1 and says in done.stderr, done.stderr
