"""What has no business at a site, and what answers give away."""

import pytest

CONFIG = """
listen: "127.0.0.1:$PORT"
filter: $FILTER
proxy: $ORIGIN
"""


@pytest.fixture
def filtered(stage):
    def start(rule="true", *fields, status="200 OK"):
        def script(connection):
            while (request := connection.read_request()) is not None:
                asked.append(request)
                connection.answer("body", *[field.replace("$ORIGIN", connection.origin.address) for field in fields], status=status)
        asked = []
        usher = stage.usher(CONFIG, ORIGIN=stage.origin(script), FILTER=rule)
        usher.asked = asked
        return usher
    return start


REFUSED = ["/.git/config", "/a/.git", "/.GIT/", "/.env", "/x/.htaccess", "/web.config", "/Web.Config", "/WEB-INF/web.xml", "/backup.sql", "/index.php.bak", "/x.BAK", "/a/b.old/c",
           "/index.php~", "/private.key", "/%2egit/config", "/.%67it/", "/a%2f.git/", "/.git;x/config", "/.git%00", "/.git./config", "/%252egit/", "/a%5c.env", "/x/..%2f.env",
           "/a%2541", "/%252e", "/%ff", "/%c0%af", "/%ed%a0%80", "/%f5%80%80%80", "/%e2%82"]
PASSED = ["/%25", "/50%25", "/50%25off", "/a%25zz", "/", "/index.html", "/git/config", "/a.git.html", "/environment", "/.well-known/acme-challenge/x", "/%20a", "/caf%C3%A9", "/logs", "/key", "/a.keys", "/old/", "/bak", "/~user/", "/caf%C3%A9/%E2%82%AC/%F0%9F%98%80"]


@pytest.mark.parametrize("target", REFUSED)
def test_dangerous_targets_are_refused(filtered, target):
    usher = filtered()
    answer = usher.get(target)
    assert answer.status in (400, 403) and not usher.asked
    assert b"filter" not in answer.body


@pytest.mark.parametrize("target", PASSED)
def test_others_pass(filtered, target):
    usher = filtered()
    assert usher.get(target).status == 200 and usher.asked[-1].target == target


@pytest.mark.parametrize("rule, target, fields, status", [
    ("{names: []}", "/.git/config", [], 200), ("{names: [secret]}", "/a/Secret/", [], 403), ("{names: [secret]}", "/.git/", [], 200),
    ("{extensions: [exe]}", "/a.exe", [], 403), ("{extensions: [exe]}", "/a.bak", [], 200), ("{extensions: []}", "/a~", [], 200),
    ("{paths: ['^/admin', 'cmd']}", "/admin/x", [], 403), ("{paths: ['^/admin', 'cmd']}", "/x/admin", [], 200), ("{paths: ['^/admin', 'cmd']}", "/x/cmd.x", [], 403),
    ("{deny: [{header: {User-Agent: '~ (?i)sqlmap'}}]}", "/", ["User-Agent: SQLMap/1"], 403), ("{deny: [{header: {User-Agent: '~ (?i)sqlmap'}}]}", "/", ["User-Agent: x"], 200),
    ("{deny: [{query: {debug: '*'}}]}", "/?debug=1", [], 403), ("{deny: [{query: {debug: '*'}}]}", "/?debugging=1", [], 200),
    ("{path_bytes: 10}", "/123456789", [], 200), ("{path_bytes: 10}", "/1234567890", [], 403), ("{query_bytes: 5}", "/?12345", [], 200), ("{query_bytes: 5}", "/?123456", [], 403),
    ("{double_encoding: true}", "/%2541", [], 200), ("{invalid_utf8: true}", "/%ff", [], 200), ("{high_bits: false}", "/caf%C3%A9", [], 403), ("false", "/.git/", [], 200),
])
def test_by_the_operator_s_word(filtered, rule, target, fields, status):
    assert filtered(rule).get(target, *fields).status == status


@pytest.mark.parametrize("method, status", [("GET", 200), ("HEAD", 200), ("POST", 200), ("DELETE", 403), ("PROPFIND", 403), ("get", 403)])
def test_methods(filtered, method, status):
    usher = filtered("{methods: [GET, HEAD, POST]}")
    if method != "get":  # names of methods have a case, but no rule is dodged by it
        assert usher.ask(method, "/", "Content-Length: 0").status == status


def test_what_gives_a_server_away_is_taken_off(filtered):
    usher = filtered("true", "Server: Apache/2.4.57", "X-Powered-By: PHP/8.2", "x-aspnet-version: 4", "X-Own: kept")
    answer = usher.get()
    assert answer.get("X-Own") == "kept" and not any(answer.has(name) for name in ("Server", "X-Powered-By", "X-AspNet-Version"))
    usher = filtered("{hide: [X-Own]}", "Server: Apache/2.4.57", "X-Own: taken")
    answer = usher.get()
    assert answer.get("Server") == "Apache/2.4.57" and not answer.has("X-Own")


@pytest.mark.parametrize("location, seen", [
    ("http://$ORIGIN/next?x=1", "http://test.example/next?x=1"), ("http://127.0.0.1/next", "http://test.example/next"), ("https://$ORIGIN/", "http://test.example/"),
    ("/next", "/next"), ("http://other.example/next", "http://other.example/next"), ("http://127.0.0.1.example/", "http://127.0.0.1.example/"), ("http://$ORIGIN", "http://test.example")])
def test_redirects_do_not_name_servers(filtered, location, seen):
    assert filtered("true", f"Location: {location}", status="302 Found").get().get("Location") == seen
    if "$ORIGIN" in location:
        assert "127.0.0.1" in filtered("{locations: false}", f"Location: {location}", status="302 Found").get().get("Location")


def test_the_log_names_the_key(filtered):
    usher = filtered()
    usher.get("/.git/config")
    usher.wait_for_error(r"refused: filter.*filter\.names")


@pytest.mark.parametrize("rule, says", [("{paths: ['(']}", "("), ("{deny: [{}]}", "holds for all requests"), ("{method: [GET]}", 'did you mean "methods"')])
def test_mistakes_are_named(filtered, rule, says):
    with pytest.raises(AssertionError) as caught:
        filtered(rule)
    assert says in str(caught.value)
