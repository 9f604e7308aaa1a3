"""Which other sites' pages may ask, and read the answers."""

import pytest

APP = "https://app.example.com"


@pytest.fixture
def crossed(stage):
    def start(rule, *fields, more=""):
        def script(connection):
            while (request := connection.read_request()) is not None:
                asked.append(request)
                connection.answer("body", *fields)
        asked = []
        usher = stage.usher(f'listen: "127.0.0.1:$PORT"\ncors: {rule}\nproxy: $ORIGIN\n{more}', ORIGIN=stage.origin(script))
        usher.asked = asked
        return usher
    return start


def preflight(usher, origin=APP, method="PUT"):
    return usher.ask("OPTIONS", "/", f"Origin: {origin}", f"Access-Control-Request-Method: {method}", "Access-Control-Request-Headers: x-a")


def test_a_page_that_may(crossed):
    usher = crossed("{origins: [%s], methods: [PUT, DELETE], headers: [X-A], expose: [X-B], credentials: true, max_age: 1h}" % APP)
    answer = usher.get("/", f"Origin: {APP}")
    assert answer.get("Access-Control-Allow-Origin") == APP and answer.get("Access-Control-Allow-Credentials") == "true"
    assert answer.get("Access-Control-Expose-Headers") == "X-B" and answer.get("Vary") == "Origin"
    before = len(usher.asked)
    answer = preflight(usher)
    assert answer.status == 204 and len(usher.asked) == before
    assert answer.get("Access-Control-Allow-Methods") == "PUT, DELETE" and answer.get("Access-Control-Allow-Headers") == "X-A"
    assert answer.get("Access-Control-Max-Age") == "3600" and answer.get("Access-Control-Allow-Origin") == APP


@pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.example", "null", "https://evilapp.example.com"])
def test_a_page_that_may_not(crossed, origin):
    usher = crossed(APP)
    answer = usher.get("/", f"Origin: {origin}")
    assert answer.status == 200 and not any(name.startswith("access-control-") for name in map(str.lower, answer.names()))
    assert answer.get("Vary") == "Origin"
    answer = preflight(usher, origin)
    assert answer.status == 204 and not answer.has("Access-Control-Allow-Origin") and not answer.has("Access-Control-Allow-Methods")


@pytest.mark.parametrize("origin, may", [("https://a.example.com", True), ("https://a.b.example.com", True), ("https://example.com", False), ("https://.example.com", False), ("http://a.example.com", False),
                                         ("https://a.example.com.evil", False), ("https://aexample.com", False)])
def test_hosts_below_one(crossed, origin, may):
    assert crossed("'https://*.example.com'").get("/", f"Origin: {origin}").has("Access-Control-Allow-Origin") == may


def test_any_page(crossed):
    usher = crossed("'*'")
    answer = usher.get("/", "Origin: https://whoever.example")
    assert answer.get("Access-Control-Allow-Origin") == "*" and not answer.has("Access-Control-Allow-Credentials") and not answer.has("Vary")


def test_the_servers_own_words_are_taken_off(crossed):
    usher = crossed(APP, "Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: true")
    answer = usher.get("/", "Origin: https://evil.example")
    assert not answer.has("Access-Control-Allow-Origin") and not answer.has("Access-Control-Allow-Credentials")
    assert usher.get("/", f"Origin: {APP}").all("Access-Control-Allow-Origin") == [APP]


def test_preflights_need_no_login(crossed):
    usher = crossed(APP, more="access: {allow: [10.0.0.0/8]}\n")
    assert preflight(usher).status == 204 and usher.get("/", f"Origin: {APP}").status == 403


def test_other_options_go_to_the_server(crossed):
    usher = crossed(APP)
    assert usher.ask("OPTIONS", "/").status == 200 and usher.ask("OPTIONS", "/", f"Origin: {APP}").status == 200 and len(usher.asked) == 2


@pytest.mark.parametrize("rule, says", [("app.example.com", "is no origin"), ("https://app.example.com/", "is no origin"), ("{origins: ['*'], credentials: true}", "name the origins"),
                                        ("{origins: [https://a.example], methods: ['P T']}", "is no method"), ("{methods: [PUT]}", "origins"), ("'https://*'", "is no origin")])
def test_mistakes_are_named(crossed, rule, says):
    with pytest.raises(AssertionError) as caught:
        crossed(rule)
    assert says in str(caught.value)
