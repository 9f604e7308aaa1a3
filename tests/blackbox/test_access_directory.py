"""Users of a directory: LDAP, against OpenLDAP's slapd."""

import re
import threading
import time

import pytest

from support.access import basic, sha512
from support.directory import GROUPS, PEOPLE, READER, READER_PASSWORD, SUFFIX, Babbler, Directory, Mute, group, person
from support.tls import Authority
from support.usher import eventually, run_command
from test_access_page import Browser, code_of, token_of

ENTRIES = "\n".join([
    person("ann", "secret", "mail: ann@example.com\n"),
    person("bob", "hidden"),
    person("Zoë", "schön"),
    person("o,brien+(x)*", "comma"),
    person("twin", "same"),
    person("twin", "same", base=f"ou=lists,{SUFFIX}"),
    person("shy", "quiet", base=f"ou=hidden,{SUFFIX}"),
    f"dn: uid=locked,{PEOPLE}\nobjectClass: inetOrgPerson\ncn: locked\nsn: locked\n",
    f"dn: uid=elsewhere,{PEOPLE}\nobjectClass: referral\nobjectClass: extensibleObject\nref: ldap://127.0.0.1:1/uid=elsewhere,{PEOPLE}\n",
    group("makers", f"uid=ann,{PEOPLE}", f"uid=bob,{PEOPLE}"),
    group("admins", f"uid=ann,{PEOPLE}"),
    group("admins", f"uid=bob,{PEOPLE}", base=f"ou=lists,{SUFFIX}"),
]).replace("uid=o,brien+(x)*", "uid=o\\,brien\\+(x)*")

CONFIG = """
listen: [{address: "127.0.0.1:$PORT", tls: true}, "127.0.0.1:$PORT2"]
tls: {certificate: $CERTIFICATE, key: $KEY, redirect: false}
logins:
  staff: {ldap: {servers: [$SERVERS], $LDAP}, $LOGIN}
access: {login: staff, $RULE}
proxy: $ORIGIN
"""
BIND = f"bind: 'uid=$user,{PEOPLE}'"
SEARCH = f"reader: '{READER}', password: '{READER_PASSWORD}', base: '{SUFFIX}', filter: '(&(objectClass=inetOrgPerson)(uid=$user))'"
WAYS = {"bind": BIND, "search": SEARCH}
NO_MEMORY = "remember: off"


@pytest.fixture(scope="module", name="directory")
def made_directory(shared, authority, tmp_path_factory):
    certificate = authority.issue("127.0.0.1", "localhost")
    return shared.add(Directory(tmp_path_factory.mktemp("slapd"), certificate, authority.ca, ENTRIES))


@pytest.fixture
def guarded(stage, authority, directory):
    """A function: usher that asks the directory."""
    certificate = authority.issue("test.example")

    def start(ldap=BIND, servers=None, login="realm: staff", rule="users: [], groups: []"):
        origin = stage.origin()
        usher = stage.usher(CONFIG, ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key, SERVERS=servers or directory.url, LDAP=ldap,
                            LOGIN=login, RULE=rule)
        usher.site = origin
        return usher
    return start


def visit(usher, user, password, **more):
    return usher.get("/", basic(user, password), port=usher.ports["PORT2"], **more)


# --- Who gets in

@pytest.mark.parametrize("way", WAYS)
def test_a_program_gets_in_and_the_server_learns_who_it_is(guarded, way):
    usher = guarded(WAYS[way])
    assert visit(usher, "ann", "secret").status == 200
    asked = usher.site.requests[-1]
    assert asked.get("X-Forwarded-User") == "ann" and asked.get("X-Forwarded-Email") == "ann@example.com"
    assert sorted(asked.get("X-Forwarded-Groups").split(",")) == ["admins", "makers"]
    assert not asked.all("Authorization")
    assert visit(usher, "bob", "hidden").status == 200 and not usher.site.requests[-1].all("X-Forwarded-Email")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("user, password", [
    ("ann", "wrong"), ("ann", "Secret"), ("ann", "hidden"), ("nobody", "secret"), ("locked", "x"), ("*", "secret"), ("a*", "secret"),
    ("ann)(uid=*", "secret"), ("ann)(|(uid=*", "secret"), ("*)(userPassword=*", "secret"), ("ann,ou=people", "secret"), (f"ann,{PEOPLE}", "secret"),
    ("ann+cn=ann", "secret"), ("ann\\2a", "secret"), ("ann\\", "secret"), (" ann", "secret"), ("ann ", "secret"), ("#ann", "secret"), ("\"ann\"", "secret"),
    ("(uid=ann)", "secret"), ("$user", "secret"), ("a" * 200, "secret")])
def test_who_stays_outside(guarded, directory, way, user, password):
    usher = guarded(WAYS[way])
    assert visit(usher, user, password).status == 401 and not usher.site.requests


@pytest.mark.parametrize("way", WAYS)
def test_an_empty_password_is_never_sent(guarded, directory, way):
    """This server takes a bind without a password for one of nobody in particular, and says yes (RFC 4513 section 5.1.2)."""
    usher = guarded(WAYS[way])
    before = directory.count(' BIND dn=')
    assert visit(usher, "ann", "").status == 401
    assert directory.count(' BIND dn=') == before and not usher.site.requests
    assert visit(usher, "ann", "secret").status == 200 and directory.count(' BIND dn=') > before


@pytest.mark.parametrize("way", WAYS)
def test_names_with_what_is_special_to_ldap(guarded, way):
    usher = guarded(WAYS[way])
    for user, password in [("o,brien+(x)*", "comma"), ("Zoë", "schön")]:
        assert visit(usher, user, password).status == 200
        assert usher.site.requests[-1].get("X-Forwarded-User").encode("latin-1").decode() == user


def test_one_user_has_one_name(guarded):
    usher = guarded(SEARCH)
    assert visit(usher, "ANN", "secret").status == 200 and usher.site.requests[-1].get("X-Forwarded-User") == "ann"
    usher = guarded(BIND, rule="users: [ann]")
    assert visit(usher, "Ann", "secret").status == 200 and usher.site.requests[-1].get("X-Forwarded-User") == "ann"


def test_who_is_found_twice_stays_outside(guarded):
    usher = guarded(SEARCH)
    assert visit(usher, "twin", "same").status == 401
    assert "several users of one name" in usher.stderr
    assert visit(guarded(BIND), "twin", "same").status == 200


def test_a_template_that_is_no_distinguished_name(guarded):
    usher = guarded(f"bind: '$user@corp.example.com', base: '{SUFFIX}', filter: '(uid=$user)'", rule="groups: [makers]")
    assert visit(usher, "ann", "secret").status == 401  # slapd knows no such names
    for user in ["uid=ann,ou=people", "ann@other.example", "CORP\\ann"]:
        assert visit(usher, user, "secret").status == 401
    assert not usher.site.requests


def test_a_user_who_may_not_read_his_own_entry(guarded):
    usher = guarded(f"bind: 'uid=$user,ou=hidden,{SUFFIX}'")
    assert visit(usher, "shy", "quiet").status == 200
    asked = usher.site.requests[-1]
    assert asked.get("X-Forwarded-User") == "shy" and not asked.all("X-Forwarded-Groups")


def test_without_a_reader(guarded):
    usher = guarded(f"base: '{PEOPLE}', filter: '(uid=$user)'")
    assert visit(usher, "ann", "secret").status == 200 and visit(usher, "ann", "hidden").status == 401


# --- Groups

@pytest.mark.parametrize("way", WAYS)
def test_rules_name_groups(guarded, way):
    usher = guarded(WAYS[way], rule="groups: [admins]")
    assert visit(usher, "ann", "secret").status == 200
    assert visit(usher, "Zoë", "schön").status == 403


def test_only_groups_below_a_base_count(guarded):
    """Who may make groups elsewhere must not make himself an administrator."""
    assert visit(guarded(SEARCH, rule="groups: [admins]"), "bob", "hidden").status == 200
    usher = guarded(f"{SEARCH}, groups: {{base: '{GROUPS}'}}", rule="groups: [admins]")
    assert visit(usher, "bob", "hidden").status == 403 and visit(usher, "ann", "secret").status == 200


@pytest.mark.parametrize("way", WAYS)
def test_groups_by_a_search(guarded, way):
    usher = guarded(f"{WAYS[way]}, groups: {{base: '{GROUPS}', filter: '(&(objectClass=groupOfNames)(member=$dn))'}}", rule="groups: [admins, makers]")
    assert visit(usher, "ann", "secret").status == 200
    assert sorted(usher.site.requests[-1].get("X-Forwarded-Groups").split(",")) == ["admins", "makers"]
    assert visit(usher, "bob", "hidden").status == 200 and usher.site.requests[-1].get("X-Forwarded-Groups") == "makers"
    assert visit(usher, "o,brien+(x)*", "comma").status == 403


def test_groups_that_are_kept(guarded):
    usher = guarded(f"{SEARCH}, groups: {{keep: [make*, none]}}")
    assert visit(usher, "ann", "secret").status == 200 and usher.site.requests[-1].get("X-Forwarded-Groups") == "makers"


def test_more_groups_than_a_session_holds(guarded, directory):
    directory.add("\n".join(group(f"many-{'x' * 60}-{i:03}", f"uid=locked,{PEOPLE}") for i in range(200)))
    directory.modify(f"dn: uid=locked,{PEOPLE}\nchangetype: modify\nadd: userPassword\nuserPassword: open\n")
    try:
        usher = guarded(SEARCH)
        assert visit(usher, "locked", "open").status == 200
        groups = usher.site.requests[-1].get("X-Forwarded-Groups")
        assert 10100 < len(groups) <= 10240 and all(re.fullmatch(r"many-x{60}-\d{3}", each) for each in groups.split(","))
        assert re.search(r'\d+ groups of the user "locked" are left out.*ldap.groups.keep', usher.stderr)
    finally:
        directory.modify(f"dn: uid=locked,{PEOPLE}\nchangetype: modify\ndelete: userPassword\n")


# --- The page

@pytest.mark.parametrize("way", WAYS)
def test_the_page_and_a_session(guarded, authority, directory, way):
    usher = guarded(WAYS[way], rule="groups: [admins], logout: /logout", login="session: {secret: 0123456789abcdef}")
    browser = Browser(usher, authority)
    assert browser.get("/").status == 401
    for user, password in [("ann", "wrong"), ("nobody", "secret"), ("ann", "")]:
        answer = browser.log_in(user=user, password=password)
        assert answer.status == 401 and b"The user name or the password is wrong." in answer.body
    assert browser.log_in("/private", password="secret").status == 303
    before = directory.count(' BIND dn=')
    for _ in range(3):
        assert browser.get("/private").status == 200
    asked = usher.site.requests[-1]
    assert asked.get("X-Forwarded-User") == "ann" and asked.get("X-Forwarded-Email") == "ann@example.com"
    assert sorted(asked.get("X-Forwarded-Groups").split(",")) == ["admins", "makers"]
    assert directory.count(' BIND dn=') == before
    assert browser.form("/logout").status == 303 and browser.get("/private").status == 401


# --- Asking

def test_a_right_password_is_remembered_with_what_was_said(guarded, directory):
    usher = guarded(SEARCH, rule="groups: [admins]")
    assert visit(usher, "ann", "secret").status == 200
    before = directory.count(' BIND dn=')
    for _ in range(5):
        assert visit(usher, "ann", "secret").status == 200
    asked = usher.site.requests[-1]
    assert asked.get("X-Forwarded-Email") == "ann@example.com" and sorted(asked.get("X-Forwarded-Groups").split(",")) == ["admins", "makers"]
    assert directory.count(' BIND dn=') == before
    assert visit(usher, "ann", "wrong").status == 401 and directory.count(' BIND dn=') > before


def test_a_connection_for_searching_is_kept(guarded, directory):
    usher = guarded(SEARCH, login=NO_MEMORY)
    line = f'BIND dn="{READER}" method'
    before = directory.count(line)
    for _ in range(5):
        assert visit(usher, "ann", "secret").status == 200
    assert directory.count(line) == before + 1


def test_a_user_who_is_not_there_takes_the_same_steps(guarded, directory):
    """Otherwise the time would tell who is."""
    usher = guarded(SEARCH, login=NO_MEMORY)
    assert visit(usher, "ann", "secret").status == 200  # and the connection for searching is made
    steps = []
    for user in ["ann", "nobody"]:
        before = [directory.count(word) for word in ("ACCEPT", "method=128", "SRCH base=")]
        assert visit(usher, user, "wrong").status == 401
        steps.append([directory.count(word) - count for word, count in zip(("ACCEPT", "method=128", "SRCH base="), before)])
    assert steps[0] == steps[1] and steps[0][:2] == [1, 1]


def test_guessing_becomes_slow(guarded):
    usher = guarded(BIND)
    spellings = ["ann", "Ann", "aNn", "anN", "ANN", "ANn", "AnN"]
    answers = [visit(usher, user, "wrong").status for user in spellings]
    assert answers[:5] == [401] * 5 and 429 in answers
    assert re.search(r'access: login failed from 127.0.0.1 to staff: 5 times of late, user "ann"', usher.stderr)


def test_a_file_and_a_directory(guarded, directory, tmp_path):
    (tmp_path / "local.htpasswd").write_text(sha512("root", "local") + sha512("bob", "other"))
    usher = guarded(BIND, login=f"users: {tmp_path}/local.htpasswd")
    assert visit(usher, "root", "local").status == 200 and visit(usher, "ann", "secret").status == 200
    before = directory.count(' BIND dn=')
    # Who stands in the file is the file's.
    assert visit(usher, "bob", "hidden").status == 401 and visit(usher, "bob", "other").status == 200
    assert directory.count(' BIND dn=') == before


def test_several_directories_are_asked_in_turn(stage, directory, tmp_path):
    config = f"""
listen: "127.0.0.1:$PORT"
logins:
  lists: {{ldap: {{servers: {directory.url}, bind: "uid=$user,ou=lists,{SUFFIX}"}}}}
  people: {{ldap: {{servers: {directory.url}, {BIND}}}}}
access: {{login: [lists, people]}}
proxy: $ORIGIN
"""
    usher = stage.usher(config, ORIGIN=stage.origin())
    assert usher.get("/", basic("ann", "secret")).status == 200
    assert usher.get("/", basic("ann", "wrong")).status == 401
    assert len(re.findall("login failed", usher.stderr)) == 1


# --- Servers that are away, slow, or somebody else

def absent(usher, answer, *words):
    assert answer.status == 503 and answer.get("Retry-After") and not usher.site.requests
    for word in words:
        assert re.search(word, usher.stderr), usher.stderr


def test_a_dead_first_server_is_passed_over(guarded, stage, directory):
    dead = stage.dead_port()
    usher = guarded(BIND, servers=f'"ldap://127.0.0.1:{dead.port}", "{directory.url}"', login=NO_MEMORY)
    for _ in range(3):
        assert visit(usher, "ann", "secret").status == 200
    assert visit(usher, "ann", "wrong").status == 401
    assert re.search(rf"ldap://127.0.0.1:{dead.port} cannot be asked: connect: .*, after \d+ ms", usher.stderr)


def test_without_a_server_nobody_gets_in(guarded, stage, authority):
    dead = stage.dead_port()
    for way in WAYS.values():
        usher = guarded(way, servers=f"ldap://127.0.0.1:{dead.port}")
        absent(usher, visit(usher, "ann", "secret"), rf"ldap://127.0.0.1:{dead.port} cannot be asked: connect: .*, after \d+ ms")
        absent(usher, visit(usher, "ann", "secret"), "neither it nor another server of the directory answered")
        answer = Browser(usher, authority).log_in(password="secret")
        assert answer.status == 503 and b"Try again" in answer.body and not usher.site.requests
        assert "login failed" not in usher.stderr


def test_a_server_that_comes_back(guarded, stage, authority, tmp_path):
    other = stage.add(Directory(tmp_path / "slapd", authority.issue("127.0.0.1"), authority.ca, person("ann", "secret")))
    usher = guarded(SEARCH, servers=other.url, login=NO_MEMORY)
    assert visit(usher, "ann", "secret").status == 200
    other.stop()
    assert visit(usher, "ann", "secret").status == 503
    other.start()
    eventually(lambda: visit(usher, "ann", "secret").status == 200)
    # What was kept has ended with the server, and nobody notices.
    other.stop()
    other.start()
    assert visit(usher, "ann", "secret").status == 200


@pytest.mark.parametrize("scheme, more, step", [("ldap", "", "bind"), ("ldaps", "", "connect"), ("ldap", "starttls: true,", "StartTLS")])
def test_a_silent_server_ends_in_time_and_holds_up_nobody(stage, guarded, authority, directory, tmp_path, scheme, more, step):
    silent = stage.add(Mute())
    (tmp_path / "local.htpasswd").write_text(sha512("root", "local"))
    usher = guarded(f"{more} ca: {authority.ca}, connect_timeout: 2s, timeout: 2s, {BIND}", servers=f'"{scheme}://127.0.0.1:{silent.port}"',
                    login=f"users: {tmp_path}/local.htpasswd, {NO_MEMORY}")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(visit(usher, "ann", "secret").status)) for _ in range(12)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    # Those of the file are not behind them.
    asked = time.monotonic()
    assert visit(usher, "root", "local").status == 200
    waited = time.monotonic() - asked
    for thread in threads:
        thread.join()
    assert answers == [503] * 12
    lasted = time.monotonic() - begun
    assert waited < lasted / 2, (waited, lasted)
    assert re.search(rf"{scheme}://127.0.0.1:{silent.port} cannot be asked: {step}.*: no answer in time, after \d{{4}} ms", usher.stderr), usher.stderr


ENTRY = b"\x30\x0b\x02\x01\x01\x64\x06\x04\x02cn\x30\x00"  # of a search that nobody began; and as an answer, no end of them
BABBLE = {
    "a message that comes byte by byte": (b"\x30\x84\x00\x0f\xff\xff" + b"\x00" * 64, 0.05),
    "a message that is too long": (b"\x30\x84\x7f\xff\xff\xff" + b"\x00" * 4096, 0),
    "entries without end": (ENTRY * 1000, 0),
    "what is no LDAP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", 0),
    "an answer to another message": (b"\x30\x0c\x02\x01\x63\x61\x07\x0a\x01\x00\x04\x00\x04\x00", 0),
}


@pytest.mark.parametrize("what", BABBLE)
@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_babbles_lets_nobody_in_and_ends_in_time(stage, guarded, way, what):
    babbler = stage.add(Babbler(*BABBLE[what]))
    usher = guarded(f"connect_timeout: 2s, timeout: 2s, {WAYS[way]}", servers=f"ldap://127.0.0.1:{babbler.port}")
    before = usher.resident_bytes()
    begun = time.monotonic()
    absent(usher, visit(usher, "ann", "secret"), r"cannot be asked: (bind|search)")
    assert time.monotonic() - begun < 15 and usher.resident_bytes() - before < 64 << 20


def test_a_wrong_password_of_the_reader(guarded, directory):
    usher = guarded(SEARCH.replace(READER_PASSWORD, "wrong"))
    absent(usher, visit(usher, "ann", "secret"), "cannot be asked: bind as `reader`: Invalid credentials")
    assert "login failed" not in usher.stderr


def test_referrals_are_not_followed(guarded):
    usher = guarded(BIND)
    answer = visit(usher, "elsewhere", "secret")
    assert answer.status in (401, 503) and not usher.site.requests
    usher = guarded(f"base: '{PEOPLE}', filter: '(|(uid=$user)(objectClass=referral))'")
    assert visit(usher, "ann", "secret").status == 200 and visit(usher, "elsewhere", "secret").status == 401


# --- TLS

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["ldaps", "starttls"])
def test_tls(guarded, authority, directory, way, kind):
    more, server = ("", directory.secure_url) if kind == "ldaps" else ("starttls: true,", directory.url)
    usher = guarded(f"{more} ca: {authority.ca}, {WAYS[way]}", servers=f'"{server}"')
    assert visit(usher, "ann", "secret").status == 200 and visit(usher, "ann", "wrong").status == 401


@pytest.mark.parametrize("kind", ["ldaps", "starttls"])
def test_a_server_that_another_authority_vouches_for(guarded, directory, tmp_path, kind):
    other = Authority(tmp_path, "Another Root")
    more, server, step = ("", directory.secure_url, "connect") if kind == "ldaps" else ("starttls: true,", directory.url, "StartTLS")
    before = directory.count(' BIND dn=')
    usher = guarded(f"{more} ca: {other.ca}, {BIND}", servers=f'"{server}"')
    absent(usher, visit(usher, "ann", "secret"), rf"cannot be asked: {step}: ")
    assert directory.count(' BIND dn=') == before


def test_a_certificate_for_another_name(stage, guarded, authority, tmp_path):
    other = stage.add(Directory(tmp_path / "slapd", authority.issue("other.example"), authority.ca, person("ann", "secret")))
    usher = guarded(f"ca: {authority.ca}, {BIND}", servers=f'"{other.secure_url}"')
    absent(usher, visit(usher, "ann", "secret"), "cannot be asked: connect: ")


def test_no_password_reaches_a_log(guarded, directory):
    usher = guarded(SEARCH)
    for user, password in [("ann", "secret"), ("ann", "a-wrong-one"), ("nobody", "for-nobody")]:
        visit(usher, user, password)
    for word in ["secret", "a-wrong-one", "for-nobody", READER_PASSWORD]:
        assert word not in usher.stderr and word not in usher.stdout


# --- What is configured

@pytest.mark.parametrize("ldap, says", [
    ("servers: 'http://a.example', bind: 'uid=$user,dc=x'", "is no server such as"),
    ("servers: 'ldap://a.example/dc=x', bind: 'uid=$user,dc=x'", "is no server such as"),
    ("servers: 'ldaps://localhost', starttls: true, bind: 'uid=$user,dc=x'", "has TLS from the start"),
    ("servers: 'ldap://localhost'", "does not say how users are found"),
    ("servers: [], bind: 'uid=$user,dc=x'", "servers"),
    ("bind: 'uid=$user,dc=x'", "servers"),
    ("servers: 'ldap://localhost', bind: 'uid=ann,dc=x'", "one name for all users"),
    ("servers: 'ldap://localhost', bind: 'uid=$name,dc=x'", r"\$user"),
    ("servers: 'ldap://localhost', bind: 'uid=$user,ou=$place,dc=x'", r"\$place"),
    ("servers: 'ldap://localhost', base: 'dc=x'", "go together"),
    ("servers: 'ldap://localhost', base: 'dc', filter: '(uid=$user)'", "is no name such as ou=people"),
    ("servers: 'ldap://localhost', base: 'dc=x', filter: '(uid=ann)'", "finds the same whoever logs in"),
    ("servers: 'ldap://localhost', base: 'dc=x', filter: '(uid=$user'", "is no filter"),
    ("servers: 'ldap://localhost', base: 'dc=x', filter: 'uid=$user'", "is no filter"),
    ("servers: 'ldap://localhost', base: 'dc=x', filter: '(uid=$user)', reader: 'cn=r,dc=x'", "needs a `password`"),
    ("servers: 'ldap://localhost', base: 'dc=x', filter: '(uid=$user)', reader: 'cn=r,dc=x', password: ''", "needs a `password`"),
    ("servers: 'ldap://localhost', base: 'dc=x', filter: '(uid=$user)', password: abc", "is of a `reader`"),
    ("servers: 'ldap://localhost', bind: 'uid=$user,dc=x', reader: 'cn=r,dc=x', password: abc", "leave out"),
    ("servers: 'ldap://localhost', bind: 'uid=$user,dc=x', groups: {filter: '(member=$dn)'}", "needs `base`"),
    ("servers: 'ldap://localhost', bind: 'uid=$user,dc=x', groups: {base: 'dc=x', filter: '(cn=all)'}", "whoever logs in"),
    ("servers: 'ldap://localhost', bind: '$user@x.example', groups: {base: 'dc=x', filter: '(member=$dn)'}", "needs the user's entry"),
    ("servers: 'ldap://localhost', bind: 'uid=$user,dc=x', at_once: 17", "at_once"),
    ("servers: 'ldaps://localhost', bind: 'uid=$user,dc=x', ca: $DIR/nothing.pem", "nothing.pem"),
    ("servers: 'ldaps://localhost', bind: 'uid=$user,dc=x', ca: $DIR/empty.pem", "cannot be used"),
])
def test_mistakes(tmp_path, ldap, says):
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "usher.yaml").write_text(f"logins:\n  staff:\n    ldap: {{{ldap}}}\naccess: {{login: staff}}\nproxy: http://127.0.0.1:1\n".replace("$DIR", str(tmp_path)))
    done = run_command("check", tmp_path / "usher.yaml")
    assert done.returncode != 0 and re.search(says, done.stderr) and len(re.findall(r"usher.yaml:[1-4]:\d+: ", done.stderr)) == 1, done.stderr


@pytest.mark.parametrize("more, says", [("second: s.second, page: false", "a second factor is asked for by the page"), ("second_required: true", "`second` is missing"), ("groups: s.groups", "of users who stand in `users`")])
def test_files_that_a_directory_cannot_use(tmp_path, more, says):
    (tmp_path / "s.second").write_text("ann:GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n")
    (tmp_path / "s.groups").write_text("makers: ann\n")
    (tmp_path / "usher.yaml").write_text(f"logins:\n  staff: {{ldap: {{servers: 'ldap://localhost', {BIND}}}, {more}}}\naccess: {{login: staff}}\nproxy: http://127.0.0.1:1\n")
    done = run_command("check", tmp_path / "usher.yaml")
    assert done.returncode != 0 and says in done.stderr, done.stderr


def test_a_server_without_tls_is_warned_of(tmp_path):
    text = f"logins:\n  staff: {{ldap: {{servers: 'ldap://ldap.example.com', {BIND}}}}}\naccess: {{login: staff}}\nproxy: http://127.0.0.1:1\n"
    (tmp_path / "usher.yaml").write_text(text)
    done = run_command("check", tmp_path / "usher.yaml")
    assert done.returncode == 0 and "for everybody in between to read" in done.stderr
    assert "everybody logs in through staff" in done.stdout
