"""Which route answers: path, method, header, query, client; the first that holds, in the order written."""

import pytest

from support.refusal import echoed

ROUTES = """
listen: "127.0.0.1:$PORT"
access_log: off
routes:
  - {path: /exact, respond: {status: 200, body: "exact"}}
  - {path: /api/, match: {method: [POST, PUT]}, respond: {status: 200, body: "api write"}}
  - {path: /api/v2/, respond: {status: 200, body: "api two"}}
  - {path: /api/, respond: {status: 200, body: "api"}}
  - {path: "~ ^/item/([0-9]+)$", respond: {status: 200, body: "item"}}
  - {path: "~ \\\\.php$", respond: {status: 403, body: "no php"}}
  - {path: /h, match: {header: {X-Beta: "1"}}, respond: {status: 200, body: "beta"}}
  - {path: /h, respond: {status: 200, body: "no beta"}}
  - {path: /q, match: {query: {debug: "yes"}}, respond: {status: 200, body: "debug"}}
  - {path: /q, respond: {status: 200, body: "no debug"}}
  - {path: /c, match: {client: [10.0.0.0/8, "::1"]}, respond: {status: 200, body: "inside"}}
  - {path: /c, match: {client: 127.0.0.0/8}, respond: {status: 200, body: "here"}}
  - {path: /late/, respond: {status: 200, body: "first"}}
  - {path: /late/exact, respond: {status: 200, body: "never"}}
"""

ANSWERS = {
    ("GET", "/exact"): "exact",
    ("GET", "/exact?a=b"): "exact",
    ("GET", "/exact/"): None,
    ("GET", "/exactly"): None,
    ("GET", "/Exact"): None,
    ("GET", "/api/"): "api",
    ("GET", "/api/x/y"): "api",
    ("GET", "/api"): None,
    ("GET", "/apix"): None,
    ("POST", "/api/x"): "api write",
    ("PUT", "/api/v2/x"): "api write",
    ("DELETE", "/api/x"): "api",
    ("GET", "/api/v2/x"): "api two",
    ("GET", "/item/17"): "item",
    ("GET", "/item/x"): None,
    ("GET", "/item/17/x"): None,
    ("GET", "/a/b.php"): "no php",
    ("GET", "/api/b.php"): "api",
    ("GET", "/late/exact"): "first",
    ("GET", "/nothing"): None,
}


@pytest.fixture(scope="module")
def running(shared):
    return shared.usher(ROUTES)


@pytest.mark.parametrize("method,target", ANSWERS)
def test_route(running, method, target):
    response = running.ask(method, target)
    expected = ANSWERS[method, target]
    if expected is None:
        assert response.status == 404
    else:
        assert response.body.decode() == expected


def test_match_header(running):
    assert running.get("/h", "X-Beta: 1").body == b"beta"
    assert running.get("/h", "x-beta: 1").body == b"beta"
    assert running.get("/h", "X-Beta: 2").body == b"no beta"
    assert running.get("/h").body == b"no beta"


def test_match_query(running):
    assert running.get("/q?debug=yes").body == b"debug"
    assert running.get("/q?a=b&debug=yes&c").body == b"debug"
    assert running.get("/q?debug=no").body == b"no debug"
    assert running.get("/q?xdebug=yes").body == b"no debug"
    assert running.get("/q").body == b"no debug"


def test_match_client(running):
    assert running.get("/c").body == b"here"


def test_unknown_path_tells_the_visitor_nothing(running):
    response = running.get("/nothing")
    assert response.status == 404
    assert b"exact" not in response.body


def test_log_tells_the_nearest_route(stage):
    usher = stage.usher(ROUTES)
    assert usher.get("/exakt").status == 404
    usher.wait_for_error(r"/exact")


def test_innermost_rules(stage):
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
headers: {response: {set: {X-Scope: top}}}
respond: {status: 200, body: "top"}
sites:
  - host: a.example
    respond: {status: 200, body: "site"}
    routes:
      - path: /route
        headers: {response: {set: {X-Scope: route}}}
        respond: {status: 200, body: "route"}
      - path: /inherits
        headers: {response: {set: {X-Scope: inherits}}}
      - {}
  - host: b.example
""")
    got = {(host, path): (response.body.decode(), response.get("x-scope"))
           for host, path in [("a.example", "/route"), ("a.example", "/inherits"), ("a.example", "/other"), ("b.example", "/")]
           for response in [usher.get(path, host=host)]}
    assert got == {
        ("a.example", "/route"): ("route", "route"),
        ("a.example", "/inherits"): ("site", "inherits"),
        ("a.example", "/other"): ("site", "top"),
        ("b.example", "/"): ("top", "top"),
    }


def test_route_with_its_own_origin(stage):
    api, web = stage.origin(), stage.origin()
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
routes:
  - {path: /api/, strip: /api, proxy: $API}
  - {proxy: $WEB}
""", API=api, WEB=web)
    assert echoed(usher.get("/api/users?x=1"))["target"] == "/users?x=1"
    assert echoed(usher.get("/api"))["target"] == "/api"
    assert api.targets() == ["/users?x=1"]
    assert web.targets() == ["/api"]


def test_many_routes(stage):
    routes = "".join(f'  - {{path: /r{number}/, respond: {{status: 200, body: "{number}"}}}}\n' for number in range(1000))
    usher = stage.usher('listen: "127.0.0.1:$PORT"\naccess_log: off\nroutes:\n' + routes)
    with usher.connect() as client:
        for number in (0, 1, 500, 998, 999):
            assert client.ask("GET", f"/r{number}/x").body.decode() == str(number)
        assert client.ask("GET", "/r1000/x").status == 404
