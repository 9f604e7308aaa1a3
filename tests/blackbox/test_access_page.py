"""Logging in by a page: with a browser, and with what would like to be one."""

import base64
import hashlib
import hmac
import re
import struct
import time
import urllib.parse

import pytest

from support.access import basic, sha512
from support.browser import Page
from support.tls import TlsClient
from support.usher import eventually, run_command

CONFIG = """
listen: [{address: "127.0.0.1:$PORT", tls: true}, "127.0.0.1:$PORT2"]
tls: {certificate: $CERTIFICATE, key: $KEY, redirect: false}
logins:
  staff: {users: $DIR/staff.htpasswd, realm: "the <staff>", session: {$SESSION}, $MORE}
access: {login: staff, logout: /logout, $RULE}
routes:
  - {path: /open, access: {allow: [all]}, proxy: $ORIGIN}
  - {proxy: $ORIGIN}
"""
HTML = "Accept: text/html,application/xhtml+xml"
SECRET = "secret: 0123456789abcdef"


class Browser:
    """Keeps cookies, sends forms, follows nothing; speaks TLS unless told otherwise."""

    def __init__(self, usher, authority, tls=True, host="test.example"):
        self.usher, self.authority, self.tls, self.host = usher, authority, tls, host
        self.cookies = {}

    def send(self, method, target, *fields, body=b""):
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        fields = [*([f"Cookie: {cookies}"] if cookies else []), *fields]
        if self.tls:
            with TlsClient(self.usher.port, self.authority.trusting(), self.host) as client:
                answer = client.ask(method, target, *fields, body=body, host=self.host)
        else:
            answer = self.usher.ask(method, target, *fields, body=body, host=self.host, port=self.usher.ports["PORT2"])
        for cookie in answer.all("Set-Cookie"):
            name, _, rest = cookie.partition("=")
            value = rest.partition(";")[0]
            self.cookies.pop(name, None)
            if "Max-Age=0" not in cookie:
                self.cookies[name] = value
        return answer

    def get(self, target="/", *fields):
        return self.send("GET", target, HTML, *fields)

    def form(self, target, *fields, token=None, **values):
        if token is None:
            token = re.search(rb'name="usher-token" value="([0-9a-f]{32})"', self.get(target).body).group(1).decode()
        body = urllib.parse.urlencode({"usher-token": token, **{f"usher-{name}": value for name, value in values.items()}}).encode()
        return self.send("POST", target, "Content-Type: application/x-www-form-urlencoded", *fields, body=body)

    def log_in(self, target="/", *fields, user="ann", password="secret", **more):
        return self.form(target, *fields, user=user, password=password, **more)


@pytest.fixture
def paged(stage, authority, tmp_path):
    (tmp_path / "staff.htpasswd").write_text(sha512("ann", "secret") + sha512("bob", "hid&den=+ü"))
    certificate = authority.issue("test.example", "other.example", "*.test.example")

    def start(session=SECRET, more="basic: true", rule="users: [ann, bob]"):
        origin = stage.origin()
        usher = stage.usher(CONFIG, ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key, DIR=tmp_path, SESSION=session, MORE=more, RULE=rule)
        usher.site = origin
        return usher
    start.directory, start.authority = tmp_path, authority
    start.browser = lambda usher, **more: Browser(usher, authority, **more)
    return start


# --- In and out

def test_in_and_out(paged):
    usher = paged()
    browser = paged.browser(usher)
    page = browser.get("/private?x=1&y=%2F")
    assert page.status == 401 and page.get("Content-Type") == "text/html; charset=utf-8" and page.get("WWW-Authenticate") == "Form"
    assert b"the &lt;staff&gt;" in page.body and b"<label" in page.body and not usher.site.requests
    assert page.get("Cache-Control") == "no-store" and page.get("X-Frame-Options") == "DENY" and "frame-ancestors 'none'" in page.get("Content-Security-Policy")
    answer = browser.log_in("/private?x=1&y=%2F")
    assert answer.status == 303 and answer.get("Location") == "https://test.example/private?x=1&y=%2F" and not usher.site.requests
    cookie = next(each for each in answer.all("Set-Cookie") if each.startswith("__Host-usher="))
    assert all(attribute in cookie for attribute in ("; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax")) and "Domain" not in cookie
    answer = browser.get("/private?x=1&y=%2F", "Cookie: own=1")
    assert answer.status == 200
    asked = usher.site.requests[-1]
    assert asked.get("X-Forwarded-User") == "ann" and asked.get("Cookie") == "own=1" and not answer.all("Set-Cookie")
    asks = browser.get("/logout")
    assert asks.status == 200 and b"Logged in as ann" in asks.body
    out = browser.form("/logout", "X-A: b")
    assert out.status == 303 and out.get("Location") == "https://test.example/" and "__Host-usher" not in browser.cookies
    assert browser.get("/private").status == 401


def test_values_are_decoded(paged):
    usher = paged()
    browser = paged.browser(usher)
    assert browser.log_in(user="bob", password="hid&den=+ü").status == 303
    assert browser.get("/").status == 200 and usher.site.requests[-1].get("X-Forwarded-User") == "bob"


@pytest.mark.parametrize("user, password", [("ann", "wrong"), ("nobody", "secret"), ("ann", ""), ("", "secret"), ("ann", "x" * 300), ("a" * 200, "secret"), ("ann\0", "secret"), ("ann", "secret\0x")])
def test_the_page_does_not_say_what_was_wrong(paged, user, password):
    browser = paged.browser(paged())
    answer = browser.log_in(user=user, password=password)
    assert answer.status == 401 and b"The user name or the password is wrong." in answer.body
    assert "__Host-usher" not in browser.cookies and b"nobody" not in answer.body


def test_programs_get_a_challenge_and_browsers_a_page(paged):
    usher = paged()
    browser = paged.browser(usher)
    assert browser.send("GET", "/").get("WWW-Authenticate").startswith("Basic ")
    assert browser.send("GET", "/", "Accept: application/json").get("WWW-Authenticate").startswith("Basic ")
    assert browser.send("POST", "/", HTML, "Content-Type: application/json", body=b"{}").get("WWW-Authenticate").startswith("Basic ")
    assert browser.send("GET", "/", basic("ann", "secret")).status == 200
    usher = paged(more="basic: false")
    browser = paged.browser(usher)
    assert browser.send("GET", "/", basic("ann", "secret")).status == 401
    assert browser.send("GET", "/").get("WWW-Authenticate") == "Form"
    usher = paged(more="page: false")
    assert paged.browser(usher).get("/").get("WWW-Authenticate").startswith("Basic ")


def test_head_of_the_page(paged):
    browser = paged.browser(paged())
    answer = browser.send("HEAD", "/", HTML)
    assert answer.status == 401 and answer.body == b""


def test_without_tls_the_cookie_has_no_prefix(paged):
    usher = paged()
    browser = paged.browser(usher, tls=False)
    answer = browser.log_in()
    assert answer.status == 303 and answer.get("Location").startswith("http://test.example/")
    assert "usher" in browser.cookies and "Secure" not in next(each for each in answer.all("Set-Cookie") if each.startswith("usher="))
    assert browser.get("/").status == 200
    # What was sent in the clear is none with TLS.
    other = paged.browser(usher)
    other.cookies = {"__Host-usher": "x", **browser.cookies}
    assert other.get("/").status == 401


# --- Sessions

def test_sessions_outlive_a_restart_and_a_reload(paged):
    usher = paged()
    browser = paged.browser(usher)
    browser.log_in()
    usher.reload()
    assert browser.get("/").status == 200
    usher.stop()
    browser.usher = paged()
    assert browser.get("/").status == 200
    browser.usher = paged(session="secret: fedcba9876543210")
    assert browser.get("/").status == 401


def test_without_a_secret_sessions_are_this_process_s(paged):
    usher = paged(session="idle: 1h")
    browser = paged.browser(usher)
    browser.log_in()
    usher.reload()
    assert browser.get("/").status == 200
    browser.usher = paged(session="idle: 1h")
    assert browser.get("/").status == 401


def test_another_password_and_a_removed_user_end_sessions(paged):
    usher = paged()
    path = paged.directory / "staff.htpasswd"
    ann, bob = paged.browser(usher), paged.browser(usher)
    ann.log_in()
    bob.log_in(user="bob", password="hid&den=+ü")
    assert run_command("user", "add", path, "ann", stdin="another\n").returncode == 0
    eventually(lambda: ann.get("/").status == 401)
    assert bob.get("/").status == 200
    assert run_command("user", "remove", path, "bob").returncode == 0
    eventually(lambda: bob.get("/").status == 401)


def test_log_out_everywhere(paged):
    usher = paged()
    browsers = [paged.browser(usher) for _ in range(3)]
    for browser in browsers:
        browser.log_in()
    other = paged.browser(usher)
    other.log_in(user="bob", password="hid&den=+ü")
    assert browsers[0].form("/logout", everywhere="yes").status == 303
    assert [browser.get("/").status for browser in browsers] == [401] * 3 and other.get("/").status == 200
    eventually(lambda: browsers[1].log_in().status == 303 and browsers[1].get("/").status == 200, seconds=10)


def test_a_cookie_that_was_kept_ends_with_logging_out(paged):
    usher = paged()
    browser, thief = paged.browser(usher), paged.browser(usher)
    browser.log_in()
    thief.cookies = dict(browser.cookies)
    assert thief.get("/").status == 200
    browser.form("/logout")
    assert thief.get("/").status == 401


def test_one_login_for_a_domain(paged):
    usher = paged(session=f"{SECRET}, domain: test.example")
    browser = paged.browser(usher, host="a.test.example")
    answer = browser.log_in()
    cookie = next(each for each in answer.all("Set-Cookie") if "usher=" in each)
    assert cookie.startswith("__Secure-usher=") and "; Domain=test.example" in cookie
    browser.host = "b.test.example"
    assert browser.get("/").status == 200


def test_the_operator_forgives_and_logs_out(paged):
    usher = paged()
    usher.write(CONFIG + "admin: unix:$DIR/admin.sock\n")
    usher.reload()
    browser = paged.browser(usher)
    browser.log_in()
    assert run_command("access", "-c", usher.path, "log-out", "staff", "bob").returncode == 0 and browser.get("/").status == 200
    assert run_command("access", "-c", usher.path, "log-out", "staff", "ann").returncode == 0 and browser.get("/").status == 401
    while browser.log_in(password="wrong").status != 429:
        pass
    assert run_command("access", "-c", usher.path, "forgive").returncode == 0
    assert browser.log_in(password="wrong").status == 401
    assert run_command("access", "-c", usher.path, "log-out", "staff").returncode == 2


# --- A second factor

def code_of(uri, step=0):
    secret = re.search("secret=([A-Z2-7]+)", uri).group(1)
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30 + step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1_000_000:06d}"


@pytest.fixture
def second(paged):
    path = paged.directory / "staff.second"
    uri = run_command("user", "second", path, "ann").stdout
    usher = paged(more=f"second: {path}")
    return usher, paged.browser(usher), uri


def token_of(answer):
    return re.search(rb'name="usher-token" value="([0-9a-f]{32})"', answer.body).group(1).decode()


def test_a_second_factor(second):
    usher, browser, uri = second
    asks = browser.log_in("/private")
    assert asks.status == 401 and b"usher-code" in asks.body and b"usher-password" not in asks.body and "__Host-usher" not in browser.cookies
    assert browser.get("/private").status == 401 and not usher.site.requests  # the password alone opens nothing
    wrong = browser.form("/private", token=browser.cookies["__Host-usher-form"], code="000000" if code_of(uri) != "000000" else "000001")
    assert wrong.status == 401 and b"The code is wrong." in wrong.body
    right = browser.form("/private", token=token_of(wrong), code=code_of(uri))
    assert right.status == 303 and right.get("Location") == "https://test.example/private"
    assert browser.get("/private").status == 200 and usher.site.requests[-1].get("X-Forwarded-User") == "ann"
    assert "usher" not in usher.site.requests[-1].get("Cookie", "")


def test_a_code_is_good_once(second, paged):
    usher, browser, uri = second
    code = code_of(uri)
    assert browser.form("/", token=token_of(browser.log_in()), code=code).status == 303
    thief = paged.browser(usher)
    assert thief.form("/", token=token_of(thief.log_in()), code=code).status == 401


def test_codes_cannot_be_guessed(second):
    """Neither at once, nor by giving the right password again and again."""
    _, browser, uri = second
    right, statuses = {code_of(uri, step) for step in (-1, 0, 1, 2)}, []
    for number in range(12):
        asks = browser.log_in()
        if asks.status == 429:
            statuses.append(429)
            continue
        code = next(f"{guess:06d}" for guess in range(number * 10, number * 10 + 10) if f"{guess:06d}" not in right)
        statuses.append(browser.form("/", token=token_of(asks), code=code).status)
    assert statuses[:6] == [401] * 6 and 429 in statuses[6:]


def test_programs_do_not_get_by_a_second_factor(second):
    usher, browser, _ = second
    assert browser.send("GET", "/", basic("ann", "secret")).status == 401
    assert browser.send("GET", "/", basic("bob", "hid&den=+ü")).status == 200 and len(usher.site.requests) == 1


def test_a_pending_login_is_no_session(second):
    _, browser, _ = second
    browser.log_in()
    browser.cookies["__Host-usher"] = browser.cookies["__Host-usher-second"]
    assert browser.get("/").status == 401


def test_who_has_none_is_not_asked(second):
    _, browser, _ = second
    assert browser.log_in(user="bob", password="hid&den=+ü").status == 303


def test_a_code_without_a_password(second, paged):
    usher, _, uri = second
    browser = paged.browser(usher)
    assert browser.form("/", code=code_of(uri)).status == 401 and browser.get("/").status == 401


# --- Doors that stay shut

def test_altered_and_foreign_cookies(paged):
    usher = paged()
    browser = paged.browser(usher)
    browser.log_in()
    good = browser.cookies["__Host-usher"]
    raw = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    spoilt = [good[:-1], good + "A", good[:10] + ("A" if good[10] != "A" else "B") + good[11:], "", "A" * 80, "A" * 4000, good.swapcase(), good + "=", " ", '"' + good + '"']
    spoilt += [base64.urlsafe_b64encode(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1:]).decode().rstrip("=") for at in range(0, len(raw), 7)]
    for value in spoilt:
        browser.cookies["__Host-usher"] = value
        assert browser.get("/").status == 401, value
    browser.cookies["__Host-usher"] = good
    assert browser.get("/").status == 200
    # Of another host, it is none.
    browser.host = "other.example"
    assert browser.get("/").status == 401


def test_a_session_is_made_by_logging_in_only(paged):
    """Fixation: whatever a visitor had before, what he gets is new."""
    usher = paged()
    browser, attacker = paged.browser(usher), paged.browser(usher)
    attacker.log_in(user="bob", password="hid&den=+ü")
    browser.cookies = dict(attacker.cookies)
    before = browser.cookies["__Host-usher"]
    browser.form("/logout")
    browser.log_in()
    assert browser.cookies["__Host-usher"] != before
    attacker.cookies["__Host-usher"] = before
    assert attacker.get("/").status == 401


@pytest.mark.parametrize("target", ["//evil.example/", "/\\evil.example", "///evil.example/x", "/%2f%2fevil.example", "/@evil.example", "/?next=https://evil.example"])
def test_nobody_is_sent_to_another_host(paged, target):
    browser = paged.browser(paged())
    if browser.get(target).status == 400:
        return  # no path at all
    answer = browser.log_in(target)
    assert answer.status == 303
    location = answer.get("Location")
    assert location.startswith("https://test.example/") and urllib.parse.urlsplit(location).hostname == "test.example"


@pytest.mark.parametrize("fields", [["Origin: https://evil.example"], ["Origin: null"], ["Origin: http://test.example"], ["Sec-Fetch-Site: cross-site"]])
def test_forms_of_other_sites_do_nothing(paged, fields):
    usher = paged()
    browser = paged.browser(usher)
    answer = browser.log_in("/", *fields)
    assert answer.status == 401 and "__Host-usher" not in browser.cookies
    browser.log_in()
    assert browser.form("/logout", *fields).status == 200 and browser.get("/").status == 200


def test_a_form_without_its_token_does_nothing(paged):
    usher = paged()
    browser = paged.browser(usher)
    assert browser.log_in(token="0" * 32).status == 401
    browser.get("/")
    assert browser.log_in(token="0" * 32).status == 401
    token = browser.cookies.pop("__Host-usher-form")
    assert browser.log_in(token=token).status == 401
    assert "__Host-usher" not in browser.cookies and not usher.site.requests


def test_who_is_logged_in_sends_forms_to_the_application(paged):
    usher = paged()
    browser = paged.browser(usher)
    browser.log_in()
    answer = browser.send("POST", "/save", "Content-Type: application/x-www-form-urlencoded", body=b"usher-user=x&a=b")
    assert answer.status == 200 and usher.site.requests[-1].body == b"usher-user=x&a=b"


def test_a_form_that_is_too_large(paged):
    usher = paged()
    browser = paged.browser(usher)
    browser.get("/")
    answer = browser.send("POST", "/", "Content-Type: application/x-www-form-urlencoded", body=b"a=" + b"x" * 100_000)
    assert answer.status == 401 and not usher.site.requests


def test_guessing_by_the_page_becomes_slow(paged):
    browser = paged.browser(paged())
    statuses = [browser.log_in(password=f"guess{i}").status for i in range(8)]
    assert statuses[:6] == [401] * 6 and statuses[6:] == [429] * 2
    assert browser.log_in().status == 429


def test_a_session_is_not_for_whom_the_rule_does_not_mean(paged):
    browser = paged.browser(paged(rule="users: [bob]"))
    assert browser.log_in().status == 303 and browser.get("/").status == 403


@pytest.mark.parametrize("session, says", [("secret: short", "is guessed easily"), ("domain: example", "is no domain"), ("domain: .example.com", "is no domain"), ("idle: 1s", "idle")])
def test_mistakes_are_named(paged, session, says):
    with pytest.raises(AssertionError) as caught:
        paged(session=session)
    assert says in str(caught.value)


# --- Pages of one's own

LOGIN = """<!doctype html><html lang="de"><title>Anmelden bei $realm</title>
<style>.wrong, .wait { display: none } [data-reason=wrong] .wrong { display: block }</style>
<div data-reason="$reason"><p class="wrong">Name oder Passwort falsch.</p><p class="wait">Bitte warten.</p></div>
<form method="post"><input type="hidden" name="usher-token" value="$token">
Name <input name="usher-user"> Passwort <input name="usher-password" type="password"> f&uuml;r $5 $$ <button>Anmelden</button></form>
"""
LOGOUT = '<p>$user/$message/$reason<form method="post"><input name="usher-token" value="$token"><button>Abmelden</button></form>'


def test_pages_of_ones_own(paged):
    (paged.directory / "login.html").write_text(LOGIN)
    (paged.directory / "logout.html").write_text(LOGOUT)
    browser = paged.browser(paged(more=f"pages: {{login: {paged.directory}/login.html, logout: {paged.directory}/logout.html}}"))
    asked = browser.get("/x")
    page = asked.body.decode()
    assert asked.status == 401 and "bei the &lt;staff&gt;</title>" in page and 'data-reason=""' in page and "$5 $ " in page
    wrong = browser.log_in(password="wrong")
    assert wrong.status == 401 and 'data-reason="wrong"' in wrong.body.decode() and "default-src 'none'" in wrong.get("Content-Security-Policy")
    assert browser.log_in("/x").status == 303 and browser.get("/x").status == 200
    assert re.fullmatch('<p>ann//<form method="post"><input name="usher-token" value="[0-9a-f]{32}">.*', browser.get("/logout").body.decode())


@pytest.mark.parametrize("text, says", [("<form></form>", "without which usher takes it from nobody"), (None, "cannot read")])
def test_a_page_without_a_token_is_a_mistake(paged, text, says):
    if text:
        (paged.directory / "code.html").write_text(text)
    with pytest.raises(AssertionError) as caught:
        paged(more=f"pages: {{code: {paged.directory}/code.html}}")
    assert says in str(caught.value)


# --- A browser

def test_chromium_shows_pages_of_ones_own(paged, browse):
    (paged.directory / "login.html").write_text(LOGIN)
    usher = paged(more=f"pages: {{login: {paged.directory}/login.html}}")
    page = Page(browse(f"https://test.example:{usher.port}/"))
    page.wait_for("document.querySelector('form input[name=usher-user]') !== null", "the page to log in by")
    shown = "getComputedStyle(document.querySelector('.wrong')).display"
    assert page.run(shown) == "none"
    page.run("document.querySelector('[name=usher-user]').value = 'ann'; document.forms[0].submit(); 1")
    page.wait_for(f"document.querySelector('[data-reason=wrong]') !== null && {shown} === 'block'", "what was wrong, by the page's own style")


def test_chromium_logs_in_and_out(paged, browse):
    usher = paged()
    page = Page(browse(f"https://test.example:{usher.port}/private?x=1"))
    page.wait_for("document.querySelector('form input[name=usher-user]') !== null", "the page to log in by")
    assert page.run("document.activeElement.id") == "user"
    page.run("user.value = 'ann'; password.value = 'wrong'; document.forms[0].submit(); 1")
    page.wait_for("document.querySelector('p[role=alert]') && document.querySelector('p[role=alert]').textContent.includes('wrong')", "what was wrong")
    assert page.run("getComputedStyle(document.querySelector('main')).borderRadius") == "8px"  # its own style is allowed
    page.run("user.value = 'ann'; password.value = 'secret'; document.querySelector('button').click(); 1")
    page.wait_for("document.body.textContent.includes('X-Forwarded-User') && location.search === '?x=1'", "the application")
    assert page.run("document.cookie") == ""
    page.run("location.href = '/logout'; 1")
    page.wait_for("document.body.textContent.includes('Logged in as ann')", "the page to log out by")
    page.run("document.querySelector('button').click(); 1")
    page.wait_for("location.pathname === '/' && document.querySelector('form input[name=usher-user]') !== null", "to be out")


def test_time_ends_a_session(paged):
    """The shortest time that can be configured is a minute: the cookie is kept, and its key makes an older one."""
    usher = paged(session=f"{SECRET}, idle: 1m, lifetime: 1m")
    browser = paged.browser(usher)
    browser.log_in()
    began = time.monotonic()
    assert browser.get("/").status == 200
    # Half way, it is sent anew; at the end, it is none.
    renewed = eventually(lambda: browser.get("/").all("Set-Cookie"), "another cookie", 30)
    assert renewed and time.monotonic() - began >= 2
