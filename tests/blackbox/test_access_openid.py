"""Logging in through an OpenID Connect provider: a real one, and one that lies."""

import base64
import hashlib
import re
import struct
import threading
import time
import urllib.parse

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from support.browser import Page
from support.openid import CALLBACK, HTML, SECRET, LyingProvider, OpenidProvider, Person, Visitor, query_of
from support.usher import eventually, free_port, run_command
from test_access_token import Keys, ask, b64

CONFIG = """
listen: "127.0.0.1:$PORT"
logins:
  staff:
    openid: {issuer: $ISSUER, client_id: usher, client_secret: "$SECRET", $MORE}
    $LOGIN
access: {login: staff, logout: /logout, $RULE}
proxy: $ORIGIN
"""
BACK = [f"http://test.example{CALLBACK}"]
SESSION = 'session: {secret: "0123456789abcdef"}'


@pytest.fixture(scope="module")
def provider(shared):
    return shared.add(OpenidProvider(BACK))


@pytest.fixture
def staged(stage):
    def start(issuer, more="user: preferred_username", login=SESSION, rule="require: either", secret=SECRET, config=CONFIG, **values):
        origin = stage.origin()
        usher = stage.usher(config, ORIGIN=origin, ISSUER=getattr(issuer, "issuer", issuer), MORE=more, LOGIN=login, RULE=rule, SECRET=secret, **values)
        usher.site = origin
        return usher
    return start


def aged(text, scope, seconds, *offsets):
    """What usher sealed, as it would have so many seconds ago: its times stand at these offsets."""
    cipher = AESGCM(hashlib.sha256(b"usher: sessions of logins\0" + b"0123456789abcdef").digest())
    sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    plain = bytearray(cipher.decrypt(sealed[:12], sealed[12:], scope.encode()))
    for offset in offsets:
        struct.pack_into("<q", plain, offset, struct.unpack_from("<q", plain, offset)[0] - seconds)
    return b64(sealed[:12] + cipher.encrypt(sealed[:12], bytes(plain), scope.encode()))


def inside(usher, *fields):
    """What one gets whose address is allowed."""
    with usher.connect(source="127.0.0.2") as client:
        return client.ask("GET", "/", *fields)


# --- A real provider

def test_in_and_out(staged, provider):
    usher = staged(provider)
    visitor = Visitor(usher)
    url = visitor.begin("/private?x=1&y=%2F")
    asked = query_of(url)
    assert url.startswith(f"{provider.issuer}/auth?") and asked["redirect_uri"] == BACK[0] and asked["code_challenge_method"] == "S256"
    assert asked["scope"] == "openid profile email" and asked["client_id"] == "usher" and len(asked["nonce"]) == 43 and SECRET not in url
    back = Person().go(url)
    answer = visitor.come_back(back)
    assert answer.status == 303 and answer.get("Location") == "http://test.example/private?x=1&y=%2F" and answer.get("Cache-Control") == "no-store"
    assert not usher.site.requests and "usher-openid" not in visitor.cookies
    assert visitor.get("/private?x=1&y=%2F", "X-Forwarded-User: root").status == 200
    seen = usher.site.requests[-1]
    assert seen.get("X-Forwarded-User") == "ann.miller" and seen.get("X-Forwarded-Email") == "ann@example.com"
    assert seen.get("X-Forwarded-Groups") == "makers,admins" and not seen.has("Cookie")
    page = visitor.get("/logout")
    token = re.search(rb'name="usher-token" value="([0-9a-f]{32})"', page.body).group(1).decode()
    out = visitor.send("POST", "/logout", "Content-Type: application/x-www-form-urlencoded", body=f"usher-token={token}".encode())
    assert out.status == 303 and out.get("Location") == "http://test.example/"
    assert visitor.get("/private").status == 303


def test_programs_get_401(staged, provider):
    usher = staged(provider)
    for method, fields in (("GET", []), ("GET", ["Accept: application/json"]), ("POST", [HTML]), ("PUT", [HTML])):
        answer = usher.ask(method, "/", *fields)
        assert answer.status == 401 and answer.get("WWW-Authenticate") and not answer.has("Location")


@pytest.mark.parametrize("client, secret", [({"token_endpoint_auth_method": "client_secret_basic", "client_secret": "a&b=c+d %/~"}, "a&b=c+d %/~"),
                                            ({"token_endpoint_auth_method": "client_secret_post", "client_secret": "a&b=c+d %/~"}, "a&b=c+d %/~"),
                                            ({"token_endpoint_auth_method": "none", "client_secret": None}, "")])
def test_ways_to_show_the_secret(stage, staged, client, secret):
    client = {name: value for name, value in client.items() if value is not None}
    provider = stage.add(OpenidProvider(BACK, client=client, clientAuthMethods=[client["token_endpoint_auth_method"]]))
    usher = staged(provider, secret=secret)
    assert Visitor(usher).log_in().status == 303


def test_claims_in_the_token_need_no_userinfo(stage, staged):
    provider = stage.add(OpenidProvider(BACK, conformIdTokenClaims=False, features={"userinfo": {"enabled": False}}))
    usher = staged(provider)
    visitor = Visitor(usher)
    assert visitor.log_in().status == 303 and visitor.get().status == 200
    assert usher.site.requests[-1].get("X-Forwarded-Groups") == "makers,admins"


def test_over_tls_by_a_ca(stage, staged, authority):
    certificate = authority.issue("127.0.0.1")
    provider = stage.add(OpenidProvider(BACK, tls=certificate))
    usher = staged(provider, more=f"ca: {authority.ca}")
    assert Visitor(usher).log_in(person=Person(context=authority.trusting())).status == 303
    stranger = staged(provider)
    assert Visitor(stranger).get().status == 503
    assert "nobody gets in through it until it answers" in stranger.stderr and "certificate" in stranger.stderr


def test_a_visitor_who_cancels(staged, provider):
    usher = staged(provider)
    visitor = Visitor(usher)
    answer = visitor.come_back(Person().go(visitor.begin(), cancel=True))
    assert answer.status == 403 and b"access_denied" not in answer.body and "access_denied" in usher.stderr


def test_a_replayed_callback_is_nothing(staged, provider):
    usher = staged(provider)
    visitor = Visitor(usher)
    back = Person().go(visitor.begin("/first"))
    assert visitor.come_back(back).status == 303
    # Who is in already goes where that led to.
    again = visitor.come_back(back)
    assert again.status == 303 and again.get("Location") == "http://test.example/first" and not again.all("Set-Cookie")
    # Without the session, it leads nowhere; and the provider has a second word on codes.
    session = visitor.cookies.pop("usher")
    assert visitor.come_back(back).status == 400 and "usher" not in visitor.cookies
    stranger = Visitor(usher)
    assert stranger.come_back(back).status == 400 and "usher" not in stranger.cookies
    assert session


def test_a_code_is_good_once_and_not_for_long(stage, staged):
    provider = stage.add(OpenidProvider(BACK, ttl={"AuthorizationCode": 1}))
    usher = staged(provider)
    visitor = Visitor(usher)
    back = Person().go(visitor.begin())
    time.sleep(2)
    answer = visitor.come_back(back)
    assert answer.status == 400 and "usher" not in visitor.cookies and "invalid_grant" in usher.stderr
    binding = dict(visitor.cookies)
    back = Person().go(visitor.begin())
    assert visitor.come_back(back).status == 303
    visitor.cookies = binding
    assert visitor.come_back(back).status == 400 and "usher" not in visitor.cookies


def test_state_of_another_browser(staged, provider):
    usher = staged(provider)
    visitor, other = Visitor(usher), Visitor(usher)
    back = Person().go(visitor.begin())
    other.begin()
    assert other.come_back(back).status == 400 and "usher" not in other.cookies
    # Two tabs of one browser do not disturb each other.
    second = Person().go(visitor.begin("/second"))
    assert visitor.come_back(back).get("Location") == "http://test.example/"
    assert visitor.come_back(second).get("Location") == "http://test.example/second"


def test_state_of_another_host_and_login(staged, provider):
    usher = staged(provider)
    visitor = Visitor(usher)
    back = Person().go(visitor.begin())
    visitor.host = "other.example"
    assert visitor.come_back(back).status == 400
    other = staged(provider, login='session: {secret: "another one, long enough"}')
    visitor.usher, visitor.host = other, "test.example"
    assert visitor.come_back(back).status == 400


def test_forged_states(staged, provider):
    usher = staged(provider)
    visitor = Visitor(usher)
    parts = urllib.parse.urlsplit(Person().go(visitor.begin()))
    query = dict(urllib.parse.parse_qsl(parts.query))
    state = query["state"]
    altered = [state[:at] + ("A" if state[at] != "A" else "B") + state[at + 1:] for at in range(0, len(state), 37)]
    for forged in ["", "x", "A" * 400, "A" * 9000, state[:-4], state + "AAAA", visitor.cookies["usher-openid"], *altered]:
        answer = visitor.get(f"{CALLBACK}?{urllib.parse.urlencode({**query, 'state': forged})}")
        assert answer.status == 400 and "usher" not in visitor.cookies, forged
    for odd in ("", "?", "?state=x", "?code=x", f"?state={state}", f"?state={state}&code=", f"?state={state}&code=%00", f"?state={state}&code=a&error=b",
                f"?state={state}&code={'a' * 5000}", f"?state={state}&code=%0d%0aa", f"?state={state}&error={'a' * 100}", f"?state={state}&code=a&iss={'a' * 2000}"):
        assert visitor.get(f"{CALLBACK}{odd}").status == 400, odd
    assert visitor.send("POST", f"{CALLBACK}?{parts.query}", HTML).status == 400
    assert not usher.site.requests
    assert visitor.come_back(parts.geturl()).status == 303


def test_nobody_is_sent_to_another_host(staged, provider):
    usher = staged(provider)
    for target in ("//evil.example/", "/%2f%2fevil.example", "/@evil.example", "/?next=http://evil.example"):
        visitor = Visitor(usher)
        answer = visitor.log_in(target)
        assert answer.status == 303 and answer.get("Location").startswith(f"http://test.example{target[:2]}"), target
    visitor = Visitor(usher)
    assert visitor.log_in("/" + "a" * 2000).get("Location") == "http://test.example/"


def test_sessions_end(staged, provider, tmp_path):
    usher = staged(provider, login="session: {secret: 0123456789abcdef, idle: 1m, lifetime: 1m}", config=CONFIG + "admin: unix:$DIR/admin.sock\n", DIR=tmp_path)
    visitor, other = Visitor(usher), Visitor(usher)
    assert visitor.log_in().status == 303 and visitor.get().status == 200
    assert other.log_in(person=Person("bob")).status == 303
    assert run_command("access", "-c", usher.path, "log-out", "staff", "ann.miller").returncode == 0
    assert visitor.get().status == 303 and other.get().status == 200
    # And by themselves: after a minute, whatever was seen of them (the times stand behind the version, the lengths and the id).
    for back, moved in ((70, (24,)), (70, (32,)), (70, (24, 32)), (10, (24, 32))):
        other.cookies["usher"] = aged(other.cookies["usher"], "test.example", back, *moved)
        assert other.get().status == (303 if back == 70 else 200)
        other = Visitor(usher)
        assert other.log_in(person=Person("bob")).status == 303


def test_a_login_has_to_be_brought_to_its_end(staged, provider):
    usher = staged(provider)
    for back, status in ((700, 400), (500, 303)):
        visitor = Visitor(usher)
        parts = urllib.parse.urlsplit(Person().go(visitor.begin()))
        query = dict(urllib.parse.parse_qsl(parts.query))
        query["state"] = aged(query["state"], "OpenID Connect for staff at test.example", back, 8)
        assert visitor.get(f"{CALLBACK}?{urllib.parse.urlencode(query)}").status == status


def test_what_is_kept_of_users_is_asked_anew_when_it_changes(staged, provider):
    usher = staged(provider)
    visitor = Visitor(usher)
    assert visitor.log_in().status == 303 and visitor.get().status == 200
    usher.values["MORE"] = "user: preferred_username, fields: {X-Department: department}"
    usher.write(CONFIG)
    usher.reload()
    assert visitor.get().status == 303
    assert visitor.log_in().status == 303 and visitor.get().status == 200
    assert usher.site.requests[-1].get("X-Department") == "sales"


def test_too_much_for_a_cookie_is_no_session(staged, provider):
    usher = staged(provider)
    visitor = Visitor(usher)
    answer = visitor.log_in(person=Person("eve"))
    assert answer.status == 500 and "usher" not in visitor.cookies and "too much for a cookie" in usher.stderr


# --- A provider that lies

@pytest.fixture(scope="module")
def keys():
    return Keys()


@pytest.fixture
def liar(stage, keys):
    return stage.add(LyingProvider(keys))


def come_back(visitor, provider, code="a-code", target="/", **more):
    asked = query_of(visitor.begin(target))
    provider.nonce = asked["nonce"] if provider.nonce is None else provider.nonce
    return visitor.get(f"{CALLBACK}?{urllib.parse.urlencode({'code': code, 'state': asked['state'], **more})}"), asked


# --- A provider that is away

def test_the_provider_is_away(stage, staged):
    port = free_port()
    usher = staged(f"http://127.0.0.1:{port}")
    visitor = Visitor(usher)
    answer = visitor.get()
    assert answer.status == 503 and not usher.site.requests and str(port).encode() not in answer.body
    assert usher.ask("GET", "/").status == 401
    assert usher.stderr.count("nobody gets in through it until it answers") == 1
    provider = stage.add(OpenidProvider(BACK, port=port))
    eventually(lambda: visitor.get().status == 303, "the provider to be found", 60)
    assert visitor.log_in().status == 303 and visitor.get().status == 200
    session = dict(visitor.cookies)
    back = Person().go(Visitor(usher).begin())
    provider.stop()
    # Who is in stays in; nobody else comes in.
    assert visitor.get().status == 200
    late = Visitor(usher)
    query = query_of(late.begin())
    answer = late.get(f"{CALLBACK}?{urllib.parse.urlencode({'code': query_of(back)['code'], 'state': query['state'], 'iss': provider.issuer})}")
    assert answer.status == 503 and "usher" not in late.cookies and session


def test_a_provider_that_hangs_delays_nobody_else(stage, staged, liar):
    usher = staged(liar, more="user: sub", rule="allow: [127.0.0.2]")
    visitor = Visitor(usher)
    asked = query_of(visitor.begin())
    silent = stage.silent_port()
    liar.metadata = {"token_endpoint": f"http://127.0.0.1:{silent.port}/token"}
    usher.values["MORE"] = "user: sub, refresh: 2h"
    usher.write(CONFIG)
    usher.reload()
    eventually(lambda: liar.fetched() == 2, "the new endpoint")
    asked = query_of(eventually(lambda: visitor.get().get("Location"), "the provider"))
    answers = []

    def come():
        answers.append(visitor.usher.get(f"{CALLBACK}?code=x&state={asked['state']}", HTML, f"Cookie: usher-openid={visitor.cookies['usher-openid']}", host="test.example").status)
    threads = [threading.Thread(target=come) for _ in range(40)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert inside(usher).status == 200
    for thread in threads:
        thread.join()
    # No more than so many wait for it at once.
    assert len(answers) == 40 and set(answers) == {503}


def test_an_error_of_the_provider(staged, liar):
    usher = staged(liar)
    for error, status in (("access_denied", 403), ("login_required", 403), ("temporarily_unavailable", 503), ("server_error", 503), ("<script>alert(1)</script>", 403)):
        visitor = Visitor(usher)
        state = query_of(visitor.begin())["state"]
        answer = visitor.get(f"{CALLBACK}?{urllib.parse.urlencode({'error': error, 'error_description': 'a secret reason', 'state': state})}")
        assert answer.status == status and error.encode() not in answer.body and b"secret" not in answer.body


# --- Logging out at the provider

def test_logging_out_at_the_provider(stage, staged):
    provider = stage.add(OpenidProvider(BACK, client={"post_logout_redirect_uris": ["http://test.example/"]}))
    usher = staged(provider, more="user: preferred_username, end_session: true")
    visitor, person = Visitor(usher), Person()
    assert visitor.log_in(person=person).status == 303
    page = visitor.get("/logout")
    assert f"form-action 'self' {provider.issuer};" in page.get("Content-Security-Policy")
    token = re.search(rb'name="usher-token" value="([0-9a-f]{32})"', page.body).group(1).decode()
    out = visitor.send("POST", "/logout", "Content-Type: application/x-www-form-urlencoded", body=f"usher-token={token}".encode())
    assert out.status == 303 and out.get("Location").startswith(f"{provider.issuer}/session/end?") and "usher" not in visitor.cookies
    assert person.go(out.get("Location")) == "http://test.example/"


# --- Tokens of the same issuer

def test_tokens_of_the_same_issuer(staged, liar, keys):
    usher = staged(liar, more="user: sub", login="tokens: {audience: shop, fields: {X-Department: department}}", rule="claims: {tier: gold}")
    good = {"iss": liar.issuer, "department": ["it", "sales"], "tier": ["silver", "gold"], "email": "robot@example.com"}
    assert ask(usher, keys.token(**good), "X-Department: root").status == 200
    seen = usher.site.requests[-1]
    assert seen.all("X-Department") == ["it,sales"] and seen.get("X-Forwarded-Email") == "robot@example.com"
    assert ask(usher, keys.token(**{**good, "tier": "silver"})).status == 403
    assert ask(usher, keys.token(**{**good, "iss": "https://another.example"})).status == 401
    # What the set keeps secret is no key when anybody may fetch it.
    assert ask(usher, keys.token("HS256", {"kid": "secret"}, **good)).status == 401


# --- A browser

def test_chromium_logs_in_and_out(stage, authority, browse):
    certificate, provider_port = authority.issue("test.example", "127.0.0.1"), free_port()
    config = CONFIG.replace('listen: "127.0.0.1:$PORT"', 'listen: {address: "127.0.0.1:$PORT", tls: true}\ntls: {certificate: $CERTIFICATE, key: $KEY}')
    usher = stage.usher(config, ORIGIN=stage.origin(), CERTIFICATE=certificate.chain, KEY=certificate.key, ISSUER=f"https://127.0.0.1:{provider_port}", SECRET=SECRET,
                        MORE=f"user: preferred_username, end_session: true, ca: {authority.ca}", LOGIN=SESSION, RULE="require: either")
    site = f"https://test.example:{usher.port}"
    stage.add(OpenidProvider([f"{site}{CALLBACK}"], tls=certificate, port=provider_port, client={"post_logout_redirect_uris": [f"{site}/"]}))
    # It was not there when usher began to ask for it.
    usher.wait_for_error("answers again")
    page = Page(browse(f"{site}/private?x=1#there"))
    page.wait_for("document.querySelector('input[name=login]') !== null", "the provider's form")
    page.run("document.querySelector('input[name=login]').value = 'ann'; document.querySelector('input[name=password]').value = 'any'; document.querySelector('form').submit(); 1")
    page.wait_for("document.querySelector('input[name=prompt][value=consent]') !== null", "what one agrees to")
    page.run("document.querySelector('form').submit(); 1")
    page.wait_for("location.host.startsWith('test.example') && location.pathname === '/private' && location.search === '?x=1'", "the page that was asked for")
    assert page.run("document.cookie") == "" and page.run("fetch('/other').then((answer) => answer.status)") == 200
    page.run("location.href = '/logout'; 1")
    page.wait_for("document.body.textContent.includes('Logged in as ann.miller')", "the page to log out by")
    page.run("document.querySelector('button').click(); 1")
    page.wait_for("document.querySelector('button[name=logout]') !== null", "the provider's page to log out by")
    page.run("document.querySelector('button[name=logout]').click(); 1")
    page.wait_for("document.querySelector('input[name=login]') !== null", "the provider's form, since nobody is logged in there")
