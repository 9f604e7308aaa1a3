"""Several ways for browsers at one rule: a page of users and providers of OpenID Connect, of which a visitor chooses."""

import html
import re
import urllib.parse

import pytest

from support.access import basic, sha512
from support.browser import Page
from support.openid import CALLBACK, HTML, SECRET, OpenidProvider, Person, Visitor
from support.usher import free_port

CONFIG = """
listen: "127.0.0.1:$PORT"
logins:
  staff: {users: $DIR/staff.htpasswd, session: {$SESSION}, $STAFF}
  corp: {openid: {issuer: $CORP, client_id: usher, client_secret: "$SECRET", user: preferred_username, $MORE}, realm: "Corp & <Sons>", session: {$SESSION}, $PAGES}
  guests: {openid: {issuer: $GUESTS, client_id: usher, client_secret: "$SECRET", user: preferred_username, label: "Anmelden für Gäste"}, session: {$SESSION}}
access: {login: [$LOGINS], logout: /logout}
proxy: $ORIGIN
"""
BACK = [f"http://test.example{CALLBACK}"]


@pytest.fixture(scope="module")
def corp(shared):
    return shared.add(OpenidProvider(BACK))


@pytest.fixture(scope="module")
def guests(shared):
    return shared.add(OpenidProvider(BACK, accounts={"gus": {"preferred_username": "gus", "groups": ["visitors"]}}))


@pytest.fixture
def staged(stage, corp, guests, tmp_path):
    (tmp_path / "staff.htpasswd").write_text(sha512("ann", "secret"))

    def start(logins="staff, corp, guests", staff="realm: staff", more="end_session: false", pages="remember: 1m", config=CONFIG, **values):
        origin = stage.origin()
        usher = stage.usher(config, **{"ORIGIN": origin, "CORP": corp.issuer, "GUESTS": guests.issuer, "SECRET": SECRET, "DIR": tmp_path, "LOGINS": logins,
                                       "STAFF": staff, "MORE": more, "PAGES": pages, "SESSION": "secret: 0123456789abcdef", **values})
        usher.site = origin
        return usher
    return start


def links(answer):
    """What the page offers: where each leads by what it says."""
    found = re.findall(r'<li><a href="([^"]*)">([^<]*)</a></li>', answer.body.decode())
    return {html.unescape(text): html.unescape(address) for address, text in found}


def follow(visitor, address, person):
    """As a browser that chooses the link: to the provider, and back."""
    led = visitor.get(address)
    assert led.status == 303, led
    return visitor.come_back(person.go(led.get("Location")))


# --- Choosing

@pytest.mark.parametrize("logins", ["staff, corp, guests", "corp, staff, guests", "guests, corp, staff"])
def test_a_page_with_a_form_and_links(staged, corp, guests, logins):
    usher = staged(logins)
    visitor = Visitor(usher)
    page = visitor.get("/private?x=1&y=%2F")
    assert page.status == 401 and page.get("WWW-Authenticate") == "Form" and page.get("Cache-Control") == "no-store"
    assert b"usher-password" in page.body and b"<script" not in page.body and not usher.site.requests
    assert set(links(page)) == {"Log in with Corp & <Sons>", "Anmelden für Gäste"}
    for text, provider, person, name in (("Log in with Corp & <Sons>", corp, Person(), "ann.miller"), ("Anmelden für Gäste", guests, Person("gus"), "gus")):
        visitor = Visitor(usher)
        address = links(visitor.get("/private?x=1&y=%2F"))[text]
        assert address.startswith(f"{CALLBACK}?")
        led = visitor.get(address)
        assert led.status == 303 and led.get("Location").startswith(f"{provider.issuer}/auth?") and led.get("Cache-Control") == "no-store"
        back = visitor.come_back(person.go(led.get("Location")))
        assert back.status == 303 and back.get("Location") == "http://test.example/private?x=1&y=%2F"
        assert visitor.get("/private?x=1&y=%2F").status == 200 and usher.site.requests[-1].get("X-Forwarded-User") == name
        # Who is in and chooses again goes on to where he wanted to go.
        again = visitor.get(address)
        assert again.status == 303 and again.get("Location") == "http://test.example/private?x=1&y=%2F" and not again.all("Set-Cookie")


def test_the_form_of_the_same_page(staged):
    usher = staged()
    visitor = Visitor(usher)

    def send(password):
        token = re.search(rb'name="usher-token" value="([0-9a-f]{32})"', visitor.get("/private").body).group(1).decode()
        return visitor.send("POST", "/private", "Content-Type: application/x-www-form-urlencoded", body=f"usher-token={token}&usher-user=ann&usher-password={password}".encode())
    wrong = send("wrong")
    assert wrong.status == 401 and b"The user name or the password is wrong." in wrong.body and len(links(wrong)) == 2
    right = send("secret")
    assert right.status == 303 and right.get("Location") == "http://test.example/private" and visitor.get("/private").status == 200
    assert usher.site.requests[-1].get("X-Forwarded-User") == "ann"


def test_providers_alone_are_a_page_of_links(staged):
    usher = staged("corp, guests")
    visitor = Visitor(usher)
    page = visitor.get("/deep/er")
    assert page.status == 401 and b"<form" not in page.body and b"<h1>Log in</h1>" in page.body and page.get("X-Frame-Options") == "DENY"
    assert list(links(page)) == ["Log in with Corp & <Sons>", "Anmelden für Gäste"]
    assert follow(visitor, links(page)["Anmelden für Gäste"], Person("gus")).get("Location") == "http://test.example/deep/er"
    assert visitor.get("/deep/er").status == 200 and usher.site.requests[-1].get("X-Forwarded-Groups") == "visitors"
    # A form for a page that there is not is nothing.
    answer = Visitor(usher).send("POST", "/", HTML, "Content-Type: application/x-www-form-urlencoded", body=b"usher-user=ann&usher-password=secret")
    assert answer.status == 401 and b"<li>" not in answer.body
    # And programs get no page.
    assert usher.get("/").status == 401 and b"<li>" not in usher.get("/").body


def test_one_provider_alone_is_gone_to_at_once(staged, corp):
    for logins, staff in (("corp", "realm: staff"), ("staff, corp", "page: false")):
        usher = staged(logins, staff=staff)
        assert Visitor(usher).begin("/").startswith(f"{corp.issuer}/auth?")
    assert usher.get("/", basic("ann", "secret")).status == 200


def test_one_provider_beside_a_page_is_a_link(staged):
    page = Visitor(staged("corp, staff")).get("/")
    assert page.status == 401 and b"usher-password" in page.body and list(links(page)) == ["Log in with Corp & <Sons>"]


def test_callbacks_of_their_own(stage, staged):
    provider = stage.add(OpenidProvider(["http://test.example/.usher/corp"]))
    visitor = Visitor(staged("corp, guests", more="callback: /.usher/corp", CORP=provider.issuer))
    address = links(visitor.get("/a"))["Log in with Corp & <Sons>"]
    assert address.startswith("/.usher/corp?") and follow(visitor, address, Person()).get("Location") == "http://test.example/a"
    # At the other's path it is no link.
    assert Visitor(visitor.usher).get(address.replace("/.usher/corp", CALLBACK)).status == 400


def test_a_provider_that_is_away_is_chosen_in_vain(staged, guests):
    usher = staged("corp, guests", CORP=f"http://127.0.0.1:{free_port()}")
    visitor = Visitor(usher)
    choice = links(visitor.get("/"))
    assert visitor.get(choice["Log in with Corp & <Sons>"]).status == 503
    assert follow(visitor, choice["Anmelden für Gäste"], Person("gus")).status == 303


def test_a_target_that_is_too_long_is_left_behind(staged):
    visitor = Visitor(staged("corp, guests"))
    address = links(visitor.get("/" + "a" * 2000))["Anmelden für Gäste"]
    assert follow(visitor, address, Person("gus")).get("Location") == "http://test.example/"


# --- Doors that stay shut

@pytest.mark.parametrize("target", [
    "https://evil.example/", "evil.example", "@evil.example/", ".evil.example/", ":80@evil.example/", "", " /", "\\\\evil.example", "javascript:alert(1)", "?a", "#a",
    "/a\r\nSet-Cookie: usher=x", "/a b", "/\x00", "/\x7f", "/ü", "/" + "a" * 1024])
def test_targets_of_strangers_lead_nowhere(staged, target):
    usher = staged("corp, guests")
    visitor = Visitor(usher)
    answer = visitor.get(f"{CALLBACK}?{urllib.parse.urlencode({'usher-login': 'guests', 'usher-target': target})}")
    assert answer.status == 400 and not answer.has("Location") and not visitor.cookies
    # Who is in already goes nowhere, either.
    assert follow(visitor, links(visitor.get("/"))["Anmelden für Gäste"], Person("gus")).status == 303
    answer = visitor.get(f"{CALLBACK}?{urllib.parse.urlencode({'usher-login': 'guests', 'usher-target': target})}")
    assert answer.status == 400 and not answer.has("Location")


@pytest.mark.parametrize("target", ["//evil.example/", "/\\evil.example", "///evil.example/x", "/@evil.example", "/%2f%2fevil.example", "/?next=https://evil.example", "/..//evil.example"])
def test_nobody_is_sent_to_another_host(staged, target):
    usher = staged("corp, guests")
    visitor = Visitor(usher)
    address = f"{CALLBACK}?{urllib.parse.urlencode({'usher-login': 'guests', 'usher-target': target})}"
    for answer in (follow(visitor, address, Person("gus")), visitor.get(address)):
        assert answer.status == 303 and answer.get("Location") == f"http://test.example{target}"
        assert urllib.parse.urlsplit(answer.get("Location")).hostname == "test.example"


@pytest.mark.parametrize("query", ["usher-login=staff&usher-target=/", "usher-login=nobody&usher-target=/", "usher-login=&usher-target=/", "usher-login=guests",
                                   "usher-login&usher-target=/", "usher-login=other&usher-target=/", f"usher-login={'a' * 500}&usher-target=/", "usher-login=guests%00&usher-target=/"])
def test_links_to_what_is_no_provider_of_the_rule(staged, query):
    config = CONFIG.replace("access:", "  other: {openid: {issuer: $GUESTS, client_id: usher}}\naccess:")
    visitor = Visitor(staged("staff, corp, guests", config=config))
    answer = visitor.get(f"{CALLBACK}?{query}")
    assert answer.status == 400 and not answer.has("Location")
    assert visitor.send("POST", f"{CALLBACK}?usher-login=guests&usher-target=/", HTML).status == 400


def test_the_answer_of_one_provider_for_the_other(staged):
    """What was begun at one is brought back with the other's state."""
    visitor = Visitor(staged("corp, guests"))
    choice = links(visitor.get("/"))
    back = {}
    for text, person in (("Log in with Corp & <Sons>", Person()), ("Anmelden für Gäste", Person("gus"))):
        back[text] = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(person.go(visitor.get(choice[text]).get("Location"))).query))
    one, other = back.values()
    assert visitor.get(f"{CALLBACK}?{urllib.parse.urlencode({**one, 'state': other['state']})}").status == 400
    mixed = {**one, "state": other["state"], "iss": other["iss"]} if "iss" in other else {**one, "state": other["state"]}
    assert visitor.get(f"{CALLBACK}?{urllib.parse.urlencode(mixed)}").status in (400, 403, 502) and "usher" not in visitor.cookies
    assert visitor.get(f"{CALLBACK}?{urllib.parse.urlencode(one)}").status == 303


# --- Pages of one's own

def test_own_pages(staged, tmp_path):
    (tmp_path / "choose.html").write_text("<p>Bitte wählen: $links</p>")
    (tmp_path / "login.html").write_text('<form method="post"><input type="hidden" name="usher-token" value="$token"></form><nav>$links</nav>')
    pages, staff = f"pages: {{choose: {tmp_path}/choose.html}}", f"pages: {{login: {tmp_path}/login.html}}"
    page = Visitor(staged("corp, guests", pages=pages)).get("/")
    assert "<p>Bitte wählen: <ul".encode() in page.body and len(links(page)) == 2
    page = Visitor(staged("staff, corp", staff=staff)).get("/")
    assert b"<nav><ul" in page.body and len(links(page)) == 1
    assert b"<nav></nav>" in Visitor(staged("staff", staff=staff)).get("/").body


def test_own_pages_without_links(tmp_path, staged):
    (tmp_path / "login.html").write_text('<form method="post"><input type="hidden" name="usher-token" value="$token"></form>')
    usher = staged("staff, corp", staff=f"pages: {{login: {tmp_path}/login.html}}")
    assert re.search(r"usher.yaml:\d+:\d+: .*no \$links.* the provider corp", usher.stderr)
    (tmp_path / "choose.html").write_text("<p>nothing</p>")
    with pytest.raises(AssertionError, match=r"the page has no \$links"):
        staged("corp, guests", pages=f"pages: {{choose: {tmp_path}/choose.html}}")


# --- With a browser

def test_chromium_chooses(stage, authority, browse, guests, tmp_path):
    """Without a script of usher's; and the browser, which holds forms to where they may lead, lets links lead on."""
    certificate, provider_port = authority.issue("test.example", "127.0.0.1"), free_port()
    (tmp_path / "staff.htpasswd").write_text(sha512("ann", "secret"))
    config = CONFIG.replace('listen: "127.0.0.1:$PORT"', 'listen: {address: "127.0.0.1:$PORT", tls: true}\ntls: {certificate: $CERTIFICATE, key: $KEY}')
    usher = stage.usher(config, ORIGIN=stage.origin(), CERTIFICATE=certificate.chain, KEY=certificate.key, CORP=f"https://127.0.0.1:{provider_port}", GUESTS=guests.issuer,
                        SECRET=SECRET, DIR=tmp_path, LOGINS="staff, corp, guests", STAFF="realm: staff", MORE=f"ca: {authority.ca}", PAGES="remember: 1m",
                        SESSION="secret: 0123456789abcdef")
    site = f"https://test.example:{usher.port}"
    stage.add(OpenidProvider([f"{site}{CALLBACK}"], tls=certificate, port=provider_port))
    usher.wait_for_error("answers again")
    page = Page(browse(f"{site}/private?x=1"))
    page.wait_for("document.querySelectorAll('ul[role=list] a').length === 2", "the links")
    assert page.run("document.links[0].focus(); document.activeElement.textContent") == "Log in with Corp & <Sons>"
    assert page.run("document.links[0].matches(':focus') && getComputedStyle(document.links[0]).display") == "block"  # the page's own style is taken
    page.run("document.links[0].click(); 1")
    page.wait_for("document.querySelector('input[name=login]') !== null", "the provider's form")
    page.run("document.querySelector('input[name=login]').value = 'ann'; document.querySelector('input[name=password]').value = 'any'; document.querySelector('form').submit(); 1")
    page.wait_for("document.querySelector('input[name=prompt][value=consent]') !== null", "what one agrees to")
    page.run("document.querySelector('form').submit(); 1")
    page.wait_for("location.host.startsWith('test.example') && location.pathname === '/private' && location.search === '?x=1'", "the page that was asked for")
    assert page.run("fetch('/other').then((answer) => answer.status)") == 200
