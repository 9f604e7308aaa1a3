"""The second factor of users whom a directory or the system knows; that of a file's users is in test_access_page.py."""

import re

import pytest

from support.access import basic, sha512
from support.directory import PEOPLE, SUFFIX, Directory, person
from support.usher import eventually, run_command
from test_access_page import Browser, code_of, token_of
from test_access_pam import made_services  # noqa: F401 (a fixture)

ENTRIES = "\n".join([
    person("ann", "secret", "mail: ann@example.com\n"), person("bob", "hidden"), person("Zoë", "schön"),
    person("dan", "many", "uid: daniel\n"), person("shy", "quiet", base=f"ou=hidden,{SUFFIX}"),
])
LDAP = "ldap: {servers: [$SERVERS], base: '%s', filter: '(|(uid=$user)(mail=$user))', user: uid}" % SUFFIX
HIDDEN = "ldap: {servers: [$SERVERS], bind: 'uid=$user,ou=hidden,%s'}" % SUFFIX
PAM = "pam: {service: usher, directory: $SERVICES}"
CONFIG = """
listen: [{address: "127.0.0.1:$PORT", tls: true}, "127.0.0.1:$PORT2"]
tls: {certificate: $CERTIFICATE, key: $KEY, redirect: false}
logins:
  staff: {$SOURCE, second: $DIR/staff.second, session: {secret: 0123456789abcdef}, $MORE}
access: {login: staff, logout: /logout}
proxy: $ORIGIN
"""


@pytest.fixture(scope="module", name="directory")
def made_directory(shared, authority, tmp_path_factory):
    return shared.add(Directory(tmp_path_factory.mktemp("slapd"), authority.issue("127.0.0.1", "localhost"), authority.ca, ENTRIES))


@pytest.fixture
def guarded(stage, authority, directory, services, tmp_path):
    """A function: usher whose users are there, with second factors for those who are named; and what makes browsers for it."""
    certificate = authority.issue("test.example")

    def start(source=LDAP, *names, more="realm: staff"):
        (tmp_path / "staff.second").touch()
        start.uris = {name: run_command("user", "second", tmp_path / "staff.second", name).stdout for name in names}
        origin = stage.origin()
        usher = stage.usher(CONFIG.replace("$SOURCE", source), ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key, SERVERS=directory.url,
                            SERVICES=services, DIR=tmp_path, MORE=more)
        usher.site = origin
        return usher
    start.path = tmp_path / "staff.second"
    start.browser = lambda usher: Browser(usher, authority)
    return start


def by_basic(usher, user, password):
    return usher.get("/", basic(user, password), port=usher.ports["PORT2"])


@pytest.mark.parametrize("source", [LDAP, PAM])
def test_a_second_factor(guarded, source):
    usher = guarded(source, "ann")
    browser = guarded.browser(usher)
    asks = browser.log_in("/private")
    assert asks.status == 401 and b"usher-code" in asks.body and b"usher-password" not in asks.body and "__Host-usher" not in browser.cookies
    assert browser.get("/private").status == 401 and not usher.site.requests  # the password alone opens nothing
    code = code_of(guarded.uris["ann"])
    wrong = browser.form("/private", token=browser.cookies["__Host-usher-form"], code="000000" if code != "000000" else "000001")
    assert wrong.status == 401 and b"The code is wrong." in wrong.body and 'login failed' in usher.stderr
    right = browser.form("/private", token=token_of(wrong), code=code_of(guarded.uris["ann"]))
    assert right.status == 303 and right.get("Location") == "https://test.example/private"
    assert browser.get("/private").status == 200 and usher.site.requests[-1].get("X-Forwarded-User") == "ann"
    assert browser.form("/logout").status == 303 and browser.get("/private").status == 401


@pytest.mark.parametrize("source", [LDAP, PAM])
def test_programs_do_not_get_by_it(guarded, source):
    usher = guarded(source, "ann")
    assert [by_basic(usher, "ann", "secret").status for _ in range(2)] == [401, 401] and not usher.site.requests


def test_a_recovery_code_is_good_once(guarded):
    usher = guarded(LDAP, "ann")
    recovery = re.findall("^[0-9A-Z]{5}-[0-9A-Z]{5}$", guarded.uris["ann"], re.M)
    assert len(recovery) == 10
    browser, thief = guarded.browser(usher), guarded.browser(usher)
    assert browser.form("/", token=token_of(browser.log_in()), code=recovery[0]).status == 303 and browser.get("/").status == 200
    assert 'to log in to staff: 9 are left, user "ann"' in usher.stderr
    assert thief.form("/", token=token_of(thief.log_in()), code=recovery[0]).status == 401


def test_who_has_none_is_not_asked_and_another_s_code_is_none(guarded):
    usher = guarded(LDAP, "ann", "Zoë")
    browser = guarded.browser(usher)
    assert browser.log_in(user="bob", password="hidden").status == 303 and browser.get("/").status == 200
    assert by_basic(usher, "bob", "hidden").status == 200
    browser = guarded.browser(usher)
    assert browser.form("/", token=token_of(browser.log_in()), code=code_of(guarded.uris["Zoë"])).status == 401


@pytest.mark.parametrize("source", [LDAP, PAM])
def test_where_it_is_required_nobody_gets_in_without_one(guarded, source):
    usher = guarded(source, "ann", more="second_required: true")
    browser = guarded.browser(usher)
    user = "bob" if source == LDAP else "root"
    password = "hidden" if source == LDAP else "secret"
    answer = browser.log_in(user=user, password=password)
    assert answer.status == 403 and "__Host-usher" not in browser.cookies and browser.get("/").status == 401
    assert f'to staff: no second factor, user "{user}"' in usher.stderr
    assert by_basic(usher, user, password).status == 401 and not usher.site.requests
    # As soon as he has one, he gets in with it.
    uri = run_command("user", "second", guarded.path, user).stdout
    eventually(lambda: b"usher-code" in browser.log_in(user=user, password=password).body)
    assert browser.form("/", token=token_of(browser.log_in(user=user, password=password)), code=code_of(uri)).status == 303


def test_where_it_is_required_of_a_file_s_users(guarded, tmp_path):
    (tmp_path / "staff.htpasswd").write_text(sha512("ann", "secret") + sha512("root", "local"))
    usher = guarded(f"users: {tmp_path}/staff.htpasswd", "ann", more="second_required: true")
    browser = guarded.browser(usher)
    assert browser.log_in(user="root", password="local").status == 403 and by_basic(usher, "root", "local").status == 401
    assert browser.log_in(user="root", password="wrong").status == 401
    assert browser.form("/", token=token_of(browser.log_in()), code=code_of(guarded.uris["ann"])).status == 303


def test_other_ways_to_write_a_name_do_not_get_by(guarded):
    """Letters of either size, an address of mail, and a second name in the directory."""
    usher = guarded(LDAP, "ann", "DAN")
    for user, password in [("ANN", "secret"), ("Ann", "secret"), ("ann@example.com", "secret"), ("ANN@example.com", "secret"), ("dan", "many"), ("Dan", "many")]:
        browser = guarded.browser(usher)
        assert b"usher-code" in browser.log_in(user=user, password=password).body, user
        assert by_basic(usher, user, password).status == 401
    assert guarded.browser(usher).log_in(user="daniel", password="many").status == 403
    assert by_basic(usher, "daniel", "many").status == 401 and not usher.site.requests
    assert 'no other name that is his for sure, user "daniel"' in usher.stderr


def test_a_code_is_good_once_however_the_name_is_written(guarded):
    usher = guarded(LDAP, "DAN")
    browser, thief = guarded.browser(usher), guarded.browser(usher)
    asks, also = browser.log_in(user="dan", password="many"), thief.log_in(user="Dan", password="many")
    code = code_of(guarded.uris["DAN"])
    assert browser.form("/", token=token_of(asks), code=code).status == 303
    assert thief.form("/", token=token_of(also), code=code).status == 401


def test_of_whom_no_name_is_known_for_sure(guarded):
    """This directory does not let users read their own entry: what they write is all that is known."""
    usher = guarded(HIDDEN, "ann")
    browser = guarded.browser(usher)
    assert browser.log_in(user="shy", password="quiet").status == 403 and by_basic(usher, "shy", "quiet").status == 401
    uri = run_command("user", "second", guarded.path, "shy").stdout
    eventually(lambda: b"usher-code" in browser.log_in(user="Shy", password="quiet").body)
    assert browser.form("/", token=token_of(browser.log_in(user="SHY", password="quiet")), code=code_of(uri)).status == 303


def test_codes_cannot_be_guessed(guarded):
    """Neither at once, nor by giving the right password again and again, in letters of either size."""
    usher = guarded(LDAP, "ann")
    browser = guarded.browser(usher)
    right, statuses = {code_of(guarded.uris["ann"], step) for step in (-1, 0, 1, 2)}, []
    for number in range(12):
        asks = browser.log_in(user=["ann", "ANN"][number % 2])
        if asks.status == 429:
            statuses.append(429)
            continue
        code = next(f"{guess:06d}" for guess in range(number * 10, number * 10 + 10) if f"{guess:06d}" not in right)
        statuses.append(browser.form("/", token=token_of(asks), code=code).status)
    assert statuses[:6] == [401] * 6 and 429 in statuses[6:]


def test_who_loses_it_meanwhile_does_not_get_in_by_the_code(guarded):
    usher = guarded(LDAP, "ann")
    browser = guarded.browser(usher)
    asks = browser.log_in()
    assert run_command("user", "remove", guarded.path, "ann").returncode == 0
    other = guarded.browser(usher)
    eventually(lambda: other.log_in().status == 303)
    assert browser.form("/", token=token_of(asks), code=code_of(guarded.uris["ann"])).status == 401


def test_the_command(tmp_path):
    """It makes, shows, tries and removes them, whatever users there are."""
    path = tmp_path / "staff.second"
    made = run_command("user", "second", path, "ann").stdout
    assert run_command("user", "second", path, "bob").returncode == 0
    assert path.stat().st_mode & 0o777 == 0o640 and run_command("user", "list", path).stdout == "ann\nbob\n"
    assert run_command("user", "verify", path, "ann", stdin=code_of(made) + "\n").returncode == 0
    assert run_command("user", "verify", path, "bob", stdin=code_of(made) + "\n").returncode == 1
    assert run_command("user", "recovery", path, "ann").returncode == 0
    assert run_command("user", "verify", path, "ann", stdin=code_of(made) + "\n").returncode == 0
    for name in ("a:b", "", "#x", "x" * 129, "a\nb"):
        assert run_command("user", "second", path, name).returncode == 1
    assert run_command("user", "remove", path, "ann").returncode == 0
    assert run_command("user", "remove", path, "ann").returncode == 1
    assert run_command("user", "list", path).stdout == "bob\n"


@pytest.mark.parametrize("login, says", [
    ("tokens: {keys: keys.json}, second: s.second", "this login takes none"),
    ("openid: {issuer: 'http://127.0.0.1:1', client_id: a}, second_required: true", "this login takes none"),
    ("users: s.htpasswd, second_required: true", "`second` is missing"),
    ("users: s.htpasswd, second: bad.second", "bad.second:1: expected USER:SECRET"),
    ("users: s.htpasswd, second: twice.second", "a user is named twice"),
])
def test_mistakes(tmp_path, login, says):
    (tmp_path / "s.htpasswd").write_text(sha512("ann", "secret"))
    (tmp_path / "s.second").write_text("")
    (tmp_path / "bad.second").write_text("ann:short\n")
    (tmp_path / "twice.second").write_text("ann:GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n" * 2)
    (tmp_path / "keys.json").write_text('{"keys": []}')
    (tmp_path / "usher.yaml").write_text(f"logins:\n  staff: {{{login}}}\naccess: {{login: staff}}\nproxy: http://127.0.0.1:1\n")
    done = run_command("check", tmp_path / "usher.yaml")
    assert done.returncode != 0 and says in done.stderr, done.stderr
