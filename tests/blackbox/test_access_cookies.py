"""Users with very many groups: sessions that one cookie has no room for."""

import base64
import hashlib
import re
import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from support.access import basic
from support.browser import Page
from support.directory import PEOPLE, SUFFIX, Directory, group, person
from support.h2 import H2Client
from support.openid import CALLBACK, SECRET, OpenidProvider, Person, Visitor
from support.usher import run_command
from test_access_page import Browser, code_of, token_of

GROUPS = [f"department-of-things-{number:03}" for number in range(400)]
MORE = ["__Host-usher-1", "__Host-usher-2", "__Host-usher-3", "__Host-usher-4"]
ALL = ["__Host-usher", *MORE]
ENTRIES = "\n".join([
    person("ann", "secret"), person("bob", "hidden"), person("max", "secret"), person("few", "secret"),
    *[group(name, f"uid=ann,{PEOPLE}", f"uid=bob,{PEOPLE}", f"uid=max,{PEOPLE}") for name in GROUPS],
    *[group(f"another-{'x' * 60}-{number:03}", f"uid=max,{PEOPLE}") for number in range(50)],
    group("small", f"uid=few,{PEOPLE}"),
])
CONFIG = """
listen: [{address: "127.0.0.1:$PORT", tls: true}, "127.0.0.1:$PORT2"]
tls: {certificate: $CERTIFICATE, key: $KEY, redirect: false}
logins:
  staff: {ldap: {servers: [$SERVERS], base: "$SUFFIX", filter: "(uid=$$user)"}, session: {$SESSION}, $MORE}
access: {login: staff, logout: /logout, $RULE}
proxy: $ORIGIN
""".replace("$$", "$")
SESSION = "secret: 0123456789abcdef"


@pytest.fixture(scope="module", name="directory")
def made_directory(shared, authority, tmp_path_factory):
    return shared.add(Directory(tmp_path_factory.mktemp("slapd"), authority.issue("127.0.0.1", "localhost"), authority.ca, ENTRIES))


@pytest.fixture
def staged(stage, authority, directory, tmp_path):
    certificate = authority.issue("test.example", "*.test.example", "other.example")

    def start(session=SESSION, more="realm: staff", rule="groups: [department-of-things-399, small]"):
        origin = stage.origin()
        usher = stage.usher(CONFIG, ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key, SERVERS=directory.url, SUFFIX=SUFFIX, SESSION=session,
                            MORE=more, RULE=rule, DIR=tmp_path)
        usher.site = origin
        return usher
    start.browser = lambda usher, **more: Browser(usher, authority, **more)
    return start


def aged(cookie, seconds, scope="test.example"):
    """The first cookie, as it would be had it been used so many seconds ago."""
    cipher = AESGCM(hashlib.sha256(b"usher: sessions of logins\0" + b"0123456789abcdef").digest())
    sealed = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
    plain = bytearray(cipher.decrypt(sealed[:12], sealed[12:], scope.encode()))
    struct.pack_into("<q", plain, 32, struct.unpack_from("<q", plain, 32)[0] - seconds)
    return base64.urlsafe_b64encode(sealed[:12] + cipher.encrypt(sealed[:12], bytes(plain), scope.encode())).decode().rstrip("=")


def names_of(browser):
    return sorted(name for name in browser.cookies if re.fullmatch(r"(__\w+-)?usher(-\d)?", name))


def told(usher):
    return usher.site.requests[-1].get("X-Forwarded-Groups").split(",")


# --- All of them

def test_all_groups_by_the_page(staged):
    usher = staged()
    browser = staged.browser(usher)
    answer = browser.log_in()
    assert answer.status == 303 and names_of(browser) == ALL
    cookies = [cookie for cookie in answer.all("Set-Cookie") if cookie.startswith("__Host-usher") and "form" not in cookie]
    assert len(cookies) == 5 and all(len(cookie) <= 4096 for cookie in cookies) and sum(map(len, cookies)) < 16384
    assert all(attribute in cookie for cookie in cookies for attribute in ("; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"))
    assert browser.get("/", "Cookie: own=1; usher-5=theirs; usher-one=theirs").status == 200 and sorted(told(usher)) == sorted(GROUPS)
    assert usher.site.requests[-1].get("Cookie") == "own=1; usher-5=theirs; usher-one=theirs" and "left out" not in usher.stderr


def test_all_groups_by_basic(staged):
    usher = staged()
    for _ in range(2):  # the second time by what is remembered
        assert usher.get("/", basic("ann", "secret"), port=usher.ports["PORT2"]).status == 200
        assert sorted(told(usher)) == sorted(GROUPS)


def test_few_groups_are_one_cookie(staged):
    usher = staged()
    browser = staged.browser(usher)
    answer = browser.log_in(user="few")
    assert answer.status == 303 and names_of(browser) == ["__Host-usher"]
    assert not any("usher-1" in cookie for cookie in answer.all("Set-Cookie"))
    assert browser.get("/").status == 200 and told(usher) == ["small"]


def test_beside_many_cookies_of_an_application(staged):
    usher = staged()
    browser = staged.browser(usher)
    browser.log_in()
    own = ";".join(f"own-{number}={'x' * 180}" for number in range(200))
    assert browser.get("/", f"Cookie: {own}").status == 200
    assert usher.site.requests[-1].get("Cookie") == own
    usher_s = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    browser.cookies = {}
    assert browser.get("/", f"Cookie: {own};{usher_s}").status == 200
    assert usher.site.requests[-1].get("Cookie") == own.replace(";", "; ") and len(told(usher)) == 400


def test_more_than_there_is_room_for(staged):
    usher = staged(rule="users: [max]")
    browser = staged.browser(usher)
    assert browser.log_in(user="max").status == 303 and browser.get("/").status == 200
    left_out = int(re.search(r'access: (\d+) groups of the user "max" are left out: a session holds 10240 bytes', usher.stderr).group(1))
    assert len(told(usher)) == len(GROUPS) + 50 - left_out and 0 < left_out < 50


def test_a_domain(staged):
    usher = staged(session=f"{SESSION}, domain: test.example")
    browser = staged.browser(usher, host="a.test.example")
    assert browser.log_in().status == 303 and names_of(browser) == [name.replace("Host", "Secure") for name in ALL]
    browser.host = "b.test.example"
    assert browser.get("/").status == 200 and len(told(usher)) == 400
    assert browser.form("/logout").status == 303 and not names_of(browser)


def test_without_tls(staged):
    usher = staged()
    browser = staged.browser(usher, tls=False)
    assert browser.log_in().status == 303 and names_of(browser) == ["usher", "usher-1", "usher-2", "usher-3", "usher-4"]
    assert browser.get("/").status == 200 and len(told(usher)) == 400


def test_by_http2(staged, authority):
    usher = staged()
    browser = staged.browser(usher)
    browser.log_in()
    context = authority.trusting()
    context.set_alpn_protocols(["h2"])
    # Browsers send each cookie as a field of its own (RFC 9113 section 8.2.3).
    with H2Client(usher.port, context) as client:
        answer = client.ask("GET", "/", *[f"cookie: {name}={value}" for name, value in browser.cookies.items()])
    assert answer.status == 200 and sorted(told(usher)) == sorted(GROUPS) and not usher.site.requests[-1].has("Cookie")


def test_with_a_second_factor(staged, tmp_path):
    uri = run_command("user", "second", tmp_path / "staff.second", "ann").stdout
    usher = staged(more=f"second: {tmp_path}/staff.second")
    browser = staged.browser(usher)
    asks = browser.log_in()
    assert asks.status == 401 and "__Host-usher" not in browser.cookies and "__Host-usher-second-4" in browser.cookies
    # A piece of it is missing: it is none.
    kept = browser.cookies.pop("__Host-usher-second-2")
    assert browser.form("/", token=token_of(asks), code=code_of(uri)).status == 401
    browser.cookies["__Host-usher-second-2"] = kept
    assert browser.form("/", token=browser.cookies["__Host-usher-form"], code=code_of(uri)).status == 303
    assert names_of(browser) == ALL and not [name for name in browser.cookies if "second" in name]
    assert browser.get("/").status == 200 and sorted(told(usher)) == sorted(GROUPS)


def test_a_token_for_servers(staged, tmp_path):
    usher = staged(rule="server_token: {secret: 0123456789abcdef0123456789abcdef, issuer: usher}")
    browser = staged.browser(usher)
    browser.log_in()
    tokens = set()
    for _ in range(2):
        assert browser.get("/").status == 200
        tokens.add(usher.site.requests[-1].get("X-Forwarded-Jwt"))
    claims = base64.urlsafe_b64decode(tokens.pop().split(".")[1] + "==")
    assert b"department-of-things-000" in claims and b"department-of-things-399" in claims
    assert not tokens  # it is made once


def test_a_provider_s_user(stage):
    provider = stage.add(OpenidProvider([f"http://test.example{CALLBACK}"]))
    origin = stage.origin()
    usher = stage.usher('listen: "127.0.0.1:$PORT"\nlogins:\n  staff: {openid: {issuer: $ISSUER, client_id: usher, client_secret: "$SECRET", user: preferred_username}}\n'
                        "access: {login: staff, logout: /logout}\nproxy: $ORIGIN\n", ISSUER=provider.issuer, SECRET=SECRET, ORIGIN=origin)
    visitor = Visitor(usher)
    assert visitor.log_in(person=Person("mia")).status == 303 and visitor.get().status == 200
    assert origin.requests[-1].get("X-Forwarded-Groups").split(",") == GROUPS and not origin.requests[-1].has("Cookie")


def test_a_provider_s_token_with_all_of_them(stage):
    """Where the ID token itself has them, it is long."""
    provider = stage.add(OpenidProvider([f"http://test.example{CALLBACK}"], conformIdTokenClaims=False, features={"userinfo": {"enabled": False}}))
    origin = stage.origin()
    usher = stage.usher('listen: "127.0.0.1:$PORT"\nlogins:\n  staff: {openid: {issuer: $ISSUER, client_id: usher, client_secret: "$SECRET", user: preferred_username}}\n'
                        "access: {login: staff}\nproxy: $ORIGIN\n", ISSUER=provider.issuer, SECRET=SECRET, ORIGIN=origin)
    visitor = Visitor(usher)
    assert visitor.log_in(person=Person("mia")).status == 303 and visitor.get().status == 200
    assert origin.requests[-1].get("X-Forwarded-Groups").split(",") == GROUPS


# --- Stale ones go

def test_logging_out_takes_all_back(staged):
    usher = staged()
    browser = staged.browser(usher)
    browser.log_in()
    before = dict(browser.cookies)
    out = browser.form("/logout")
    assert out.status == 303 and not names_of(browser)
    assert sorted(cookie.partition("=")[0] for cookie in out.all("Set-Cookie") if "Max-Age=0" in cookie) == ALL
    browser.cookies = before
    assert browser.get("/").status == 401


def test_using_it_sends_the_first_one_anew(staged):
    """The others stay what they are: so answers that are taken at once never mix."""
    usher = staged()
    browser = staged.browser(usher)
    browser.log_in()
    before = dict(browser.cookies)
    browser.cookies["__Host-usher"] = aged(before["__Host-usher"], 3 * 3600)
    answer = browser.get("/")
    assert answer.status == 200 and [cookie.partition("=")[0] for cookie in answer.all("Set-Cookie")] == ["__Host-usher"]
    assert {name: browser.cookies[name] for name in MORE} == {name: before[name] for name in MORE}
    assert browser.get("/").status == 200 and len(told(usher)) == 400 and not browser.get("/").all("Set-Cookie")
    # An answer that comes later than another's does no harm.
    browser.cookies["__Host-usher"] = before["__Host-usher"]
    assert browser.get("/").status == 200


def test_a_smaller_session_takes_back_what_a_larger_one_left(staged):
    usher = staged()
    browser = staged.browser(usher)
    browser.log_in()
    larger = {name: value for name, value in browser.cookies.items() if name in MORE}
    browser.form("/logout")
    browser.cookies.update(larger)  # as if they had stayed
    assert browser.log_in(user="few").status == 303 and names_of(browser) == ["__Host-usher"]
    # And while they are there, they are nothing to it.
    browser.cookies.update(larger)
    assert browser.get("/").status == 200 and told(usher) == ["small"] and not usher.site.requests[-1].has("Cookie")


# --- Doors that stay shut

def test_altered_and_missing_pieces(staged):
    usher = staged()
    browser = staged.browser(usher)
    browser.log_in()
    good = dict(browser.cookies)
    for name in ALL:
        value = good[name]
        spoilt = [value[:-1], value + "A", ("A" if value[0] != "A" else "B") + value[1:], value[:100] + ("A" if value[100] != "A" else "B") + value[101:],
                  value[:-1] + ("A" if value[-1] != "A" else "B"), "", "A" * len(value), value.swapcase(), f'"{value}"', value + "A" * 300, None]
        for other in spoilt:
            browser.cookies = {**good, name: other} if other is not None else {key: kept for key, kept in good.items() if key != name}
            assert browser.get("/").status == 401, (name, other)
        browser.cookies = dict(good)
        assert browser.get("/").status == 200
    for one in ALL:
        for other in ALL[:ALL.index(one)]:
            browser.cookies = {**good, one: good[other], other: good[one]}
            assert browser.get("/").status == 401, (one, other)


def test_pieces_of_different_sessions(staged):
    """Of two users with the same groups, of two sessions of one, and of one user at two hosts."""
    usher = staged()
    ann, again, bob, there = [staged.browser(usher) for _ in range(4)]
    there.host = "other.example"
    for browser, more in ((ann, {}), (again, {}), (bob, {"user": "bob", "password": "hidden"}), (there, {})):
        assert browser.log_in(**more).status == 303 and browser.get("/").status == 200
    good = dict(ann.cookies)
    for other in (again, bob, there):
        assert [len(other.cookies[name]) for name in MORE] == [len(good[name]) for name in MORE]
        for names in ([ALL[0]], MORE, *[[name] for name in MORE]):
            ann.cookies = {**good, **{name: other.cookies[name] for name in names}}
            assert ann.get("/").status == 401, names
    ann.cookies = good
    assert ann.get("/").status == 200


def test_a_pending_login_is_no_session(staged, tmp_path):
    run_command("user", "second", tmp_path / "staff.second", "ann")
    browser = staged.browser(staged(more=f"second: {tmp_path}/staff.second"))
    browser.log_in()
    browser.cookies = {name.replace("-second", ""): value for name, value in browser.cookies.items() if "second" in name}
    assert names_of(browser) == ALL and browser.get("/").status == 401


# --- With a browser

def test_chromium_keeps_and_sends_them(staged, browse):
    usher = staged()
    page = Page(browse(f"https://test.example:{usher.port}/private"))
    page.wait_for("document.querySelector('input[name=usher-user]') !== null", "the page to log in by")
    page.run("document.querySelector('input[name=usher-user]').value = 'ann'; document.querySelector('input[name=usher-password]').value = 'secret';"
             " document.querySelector('form').submit(); 1")
    page.wait_for("document.querySelector('form') === null && location.pathname === '/private'", "the page that was asked for")
    assert sorted(told(usher)) == sorted(GROUPS) and page.run("fetch('/other').then((answer) => answer.status)") == 200
    page.run("location.href = '/logout'; 1")
    page.wait_for("document.body.textContent.includes('Logged in as ann')", "the page to log out by")
    page.run("document.querySelector('button').click(); 1")
    page.wait_for("document.querySelector('input[name=usher-user]') !== null", "the page to log in by")
    count = len(usher.site.requests)
    page.run("location.href = '/other'; 1")
    page.wait_for("location.pathname === '/other' && document.querySelector('input[name=usher-user]') !== null", "the page to log in by")
    assert len(usher.site.requests) == count
