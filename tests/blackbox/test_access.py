"""Who gets in: by address, and by user name and password."""

import base64
import collections
import re
import threading
import time

import pytest

from support.access import CONFIG, basic, made, visit
from support.usher import eventually, run_command


# --- By address

@pytest.mark.parametrize("address, status", [("10.1.2.3", 200), ("11.0.0.1", 403), ("192.0.2.9", 200), ("2001:db8::1", 200), ("2001:db9::1", 403), ("::ffff:10.0.0.1", 200)])
def test_allow(guarded, address, status):
    usher = guarded("{allow: [10.0.0.0/8, office]}")
    assert visit(usher, address).status == status


@pytest.mark.parametrize("address, status", [("10.1.2.3", 200), ("10.0.0.66", 403), ("198.51.100.7", 403), ("203.0.113.200", 403), ("8.8.8.8", 200), ("::ffff:10.0.0.66", 403)])
def test_deny_wins(guarded, address, status):
    usher = guarded("{allow: [all], deny: [10.0.0.66, blocked]}")
    assert visit(usher, address).status == status
    usher = guarded("{allow: [10.0.0.66, 203.0.113.0/24, all], deny: [10.0.0.66, blocked]}")
    assert visit(usher, address).status == status


def test_a_refused_visitor_learns_nothing(guarded):
    usher = guarded("{allow: [10.0.0.0/8]}")
    answer = visit(usher, "11.0.0.1")
    assert answer.status == 403 and b"10.0.0.0" not in answer.body and not usher.site.requests
    assert answer.get("Cache-Control") == "no-store"


def test_addresses_are_believed_of_trusted_proxies_only(stage, guarded):
    usher = guarded("{allow: [10.0.0.0/8]}", config=CONFIG.replace("trusted_proxies: [127.0.0.1]", ""))
    assert visit(usher, "10.0.0.1").status == 403
    assert usher.get("/", "Forwarded: for=10.0.0.1").status == 403
    assert usher.get("/", "X-Real-IP: 10.0.0.1").status == 403
    # Of several hops, the first one that is not a trusted proxy is the client.
    usher = guarded("{allow: [10.0.0.0/8]}")
    assert visit(usher, "10.0.0.1, 8.8.8.8").status == 403
    assert visit(usher, "8.8.8.8, 10.0.0.1").status == 200


# --- By user name and password


def test_who_does_not_log_in_is_asked_to(guarded):
    usher = guarded("{login: staff}")
    answer = visit(usher, "1.2.3.4")
    assert answer.status == 401 and answer.all("WWW-Authenticate") == ['Basic realm="staff", charset="UTF-8"']
    assert not usher.site.requests and answer.get("Cache-Control") == "no-store"


@pytest.mark.parametrize("value", ["", "Basic", "Basic ", "Basic ?", "Basic YW5u", "Basic YW5uOnNlY3JldA", "Basic YW5uOnNlY3JldA===", "Bearer YW5uOnNlY3JldA==",
                                   "YW5uOnNlY3JldA==", "Basic YW5uOnNlY3JldA==,x", "Basic OnNlY3JldA==", "Basic YW5uOnNlY3J\tldA==", "Basic " + "A" * 2000, "Basic YW4KOnNlY3JldA=="])
def test_what_is_no_basic_is_refused(guarded, value):
    usher = guarded("{login: staff}")
    assert visit(usher, "1.2.3.4", f"Authorization: {value}").status == 401
    assert not usher.site.requests


def test_the_scheme_is_in_any_case_and_names_are_utf8(guarded):
    usher = guarded("{login: staff}")
    assert visit(usher, "1.2.3.4", basic("ann", "secret").replace("Basic", "bASIC")).status == 200
    assert visit(usher, "1.2.3.4", basic("Zoë", "schön")).status == 200


def test_inside_the_address_is_enough(guarded):
    usher = guarded("{allow: [10.0.0.0/8], login: staff}")
    assert visit(usher, "10.0.0.1").status == 200
    assert visit(usher, "8.8.8.8").status == 401
    assert visit(usher, "8.8.8.8", basic("ann", "secret")).status == 200
    # What somebody from inside says of himself to the application is not usher's.
    answer = visit(usher, "10.0.0.1", basic("eve", "x"))
    assert answer.status == 200 and usher.site.requests[-1].get("Authorization") == basic("eve", "x").partition(": ")[2]
    assert not usher.site.requests[-1].has("X-Forwarded-User")


def test_both_may_be_required(guarded):
    usher = guarded("{allow: [10.0.0.0/8], login: staff, require: both}")
    assert visit(usher, "10.0.0.1").status == 401
    assert visit(usher, "10.0.0.1", basic("ann", "secret")).status == 200
    assert visit(usher, "8.8.8.8", basic("ann", "secret")).status == 403


def test_the_server_learns_who_it_is_and_no_password(guarded):
    usher = guarded("{login: staff}")
    forged = ["X-Forwarded-User: root", "x_forwarded_user: root", "X-Forwarded-Groups: wheel", "Remote-User: root", "X-Remote-User: root", "X-Forwarded-Email: root@x"]
    visit(usher, "1.2.3.4", basic("ann", "secret"), *forged)
    asked = usher.site.requests[-1]
    assert asked.all("X-Forwarded-User") == ["ann"] and asked.all("X-Forwarded-Groups") == ["makers,admins"]
    assert not asked.has("Authorization") and not asked.has("Remote-User") and not asked.has("X-Remote-User")
    assert not asked.has("X-Forwarded-Email") and not asked.has("x_forwarded_user")
    usher = guarded("{login: staff, pass_password: true}")
    visit(usher, "1.2.3.4", basic("bob", "hidden"))
    assert usher.site.requests[-1].get("Authorization") == basic("bob", "hidden").partition(": ")[2]


def test_who_is_let_in_by_his_address_is_nobody(guarded):
    usher = guarded("{allow: [all]}")
    visit(usher, "1.2.3.4", "X-Forwarded-User: root")
    assert not usher.site.requests[-1].has("X-Forwarded-User")


def test_strangers_say_nothing_of_identity_anywhere(stage):
    """Also where no rule stands; a trusted proxy may."""
    site = stage.origin()
    config = 'listen: "127.0.0.1:$PORT"\nproxy: $ORIGIN\n'
    usher = stage.usher(config, ORIGIN=site)
    usher.get("/", "X-Forwarded-User: root", "Remote_User: root")
    assert not site.requests[-1].has("X-Forwarded-User") and not site.requests[-1].has("Remote_User")
    usher = stage.usher(config + "trusted_proxies: [127.0.0.1]\n", ORIGIN=site)
    usher.get("/", "X-Forwarded-User: ann")
    assert site.requests[-1].get("X-Forwarded-User") == "ann"


def test_the_log_tells_who_it_was(guarded):
    usher = guarded("{login: staff}")
    visit(usher, "1.2.3.4", basic("ann", "secret"))
    visit(usher, "1.2.3.4", basic("bob", "wrong"))
    lines = (eventually(lambda: len(text := (guarded.directory / "access.log").read_text().splitlines()) >= 2 and text))
    assert lines == ["1.2.3.4 ann 200", "1.2.3.4 - 401"]
    failed = usher.wait_for_error('access: login failed from 1.2.3.4 to staff: 1 time of late, user "bob"')
    assert failed and "secret" not in usher.stderr and base64.b64encode(b"bob:wrong").decode() not in usher.stderr


# --- Guessing

def test_guessing_becomes_slow(guarded):
    usher = guarded("{login: staff}")
    statuses = [visit(usher, "1.2.3.4", basic("ann", f"guess{i}")).status for i in range(8)]
    assert statuses[:6] == [401] * 6 and statuses[6:] == [429] * 2
    answer = visit(usher, "1.2.3.4", basic("ann", "secret"))
    assert answer.status == 429 and int(answer.get("Retry-After")) >= 1
    # Elsewhere, and to others from there, it is as before.
    assert visit(usher, "4.3.2.1", basic("ann", "secret")).status == 200
    assert visit(usher, "1.2.3.4", basic("bob", "hidden")).status == 200
    # Known already, it is right.
    time.sleep(1.2)
    assert visit(usher, "1.2.3.4", basic("ann", "secret")).status == 200


def test_an_address_that_guesses_at_many_waits_with_all(guarded):
    usher = guarded("{login: staff}")
    statuses = [visit(usher, "2001:db8:9::%x" % i, basic(f"user{i}", "x")).status for i in range(1, 30)]
    assert statuses[:21] == [401] * 21 and 429 in statuses[21:]
    assert visit(usher, "2001:db8:8::1", basic("bob", "hidden")).status == 200


def test_a_user_that_many_guess_at_is_not_kept_out_for_long(guarded):
    usher = guarded("{login: staff}")
    assert visit(usher, "7.7.7.7", basic("ann", "secret")).status == 200
    for i in range(55):
        visit(usher, f"20.0.{i}.1", basic("ann", "x"))
    answer = visit(usher, "8.8.8.8", basic("ann", "secret"))
    assert answer.status == 200 or int(answer.get("Retry-After")) <= 60
    assert visit(usher, "7.7.7.7", basic("ann", "secret")).status == 200  # who is known goes on


def test_many_who_guess_are_no_burden_to_others(guarded):
    """Those who are inside go on while passwords are verified; too many get 503, not a queue without end."""
    (guarded.directory / "staff.htpasswd").write_text(made(["htpasswd", "-nbB", "-C", "10", "ann", "secret"]) + "\n")
    usher = guarded("{allow: [10.0.0.0/8], login: staff}")
    statuses = []

    def guess(number):
        statuses.append(visit(usher, f"30.0.{number}.1", basic("ann", f"x{number}")).status)
    threads = [threading.Thread(target=guess, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    assert all(visit(usher, "10.0.0.1").status == 200 for _ in range(20))
    for thread in threads:
        thread.join(60)
    assert set(statuses) <= {401, 429, 503} and statuses.count(401) >= 10


def guess_in_crowds(usher, first, results):
    """A share of 10,000 addresses, ten passwords each, a few requests on their way at a time."""
    with usher.connect() as client:
        for address in range(first, 10_000, 4):
            origin = f"X-Forwarded-For: 20.{address >> 8}.{address & 255}.1"
            for number in range(10):
                client.request("GET", "/", origin, basic(f"user{address % 50}" if number % 2 else "ann", f"x{address}-{number}"))
            results.update(client.response().status for _ in range(10))


def test_a_hundred_thousand_wrong_passwords(guarded):
    """From ten thousand addresses: memory is bounded, and people inside, and those who are known, notice nothing."""
    usher = guarded("{allow: [10.0.0.0/8], login: staff}")
    assert visit(usher, "7.7.7.7", basic("bob", "hidden")).status == 200
    before, results = usher.resident_bytes(), [collections.Counter() for _ in range(4)]
    threads = [threading.Thread(target=guess_in_crowds, args=(usher, first, results[first])) for first in range(4)]
    for thread in threads:
        thread.start()
    served = 0
    while any(thread.is_alive() for thread in threads):
        assert visit(usher, "10.0.0.1").status == 200
        assert visit(usher, "7.7.7.7", basic("bob", "hidden")).status == 200
        served += 1
    for thread in threads:
        thread.join()
    counts = sum(results, collections.Counter())
    assert counts.total() == 100_000 and set(counts) <= {401, 429, 503} and counts[429] > 50_000
    assert served > 0 and usher.resident_bytes() - before < 64 << 20
    assert visit(usher, "10.0.0.2").status == 200
    assert visit(usher, "6.6.6.6", basic("Zoë", "schön")).status == 200  # whom nobody guessed at


# --- Doors that stay shut

ADMIN = CONFIG.replace("access: $ACCESS\n", "").replace("proxy: $ORIGIN", "") + """
routes:
  - {path: /admin/, access: {login: staff}, proxy: $ORIGIN}
  - {path: /secret, access: {login: staff, users: [bob]}, proxy: $ORIGIN}
  - {path: /inside/, access: {allow: [10.0.0.0/8]}, proxy: $ORIGIN}
  - {path: /inside/open/, proxy: $ORIGIN}
  - {path: /public/, access: {allow: [all]}, proxy: $ORIGIN}
  - {proxy: $ORIGIN}
"""
SPELLINGS = ["/admin", "/admin/", "/admin/x", "/a/../admin/", "//admin/", "///admin//x", "/%61dmin/", "/./admin/", "/admin/.", "/admin%2f", "/admin%2Fx", "/x/%2e%2e/admin/",
             "/admin/../admin/x", "/admin;x", "/admin;x/y", "/;/admin/", "/a;b/../admin/", "/Admin/", "/ADMIN", "/aDmin/x", "/admin%5cx", "/admin\\x", "/\\admin/", "/admin./x", "/admin%20/x",
             "/%2561dmin/", "/%252561dmin/x", "/admin%00/", "/%2e/admin/", "/x/..%2fadmin/", "/x%2f..%2fadmin/", "/x/..;/admin/", "/admin%3bx/", "/./%2e//Admin%2F", "/admin/%2e%2e/admin/"]


@pytest.mark.parametrize("target", SPELLINGS)
def test_spellings_of_a_path_do_not_get_by(guarded, target):
    usher = guarded("", config=ADMIN)
    assert visit(usher, "1.2.3.4", target=target).status in (400, 401)
    assert not usher.site.requests
    assert visit(usher, "1.2.3.4", basic("ann", "secret"), target=target).status in (400, 200)


@pytest.mark.parametrize("target", ["/", "/administration", "/x/admin/", "/admin2/", "/public/Admin", "/Public/x", "/PUBLIC/", "/a%20b;c", "/files/A.B..C"])
def test_other_paths_are_open(guarded, target):
    usher = guarded("", config=ADMIN)
    assert visit(usher, "1.2.3.4", target=target).status == 200
    assert usher.site.requests[-1].target == target


@pytest.mark.parametrize("target", ["/Secret", "/secret;x", "/%73ecret/", "//secret", "/inside/../Secret"])
def test_of_two_rules_both_would_have_to_hold(guarded, target):
    usher = guarded("", config=ADMIN.replace("  - {proxy: $ORIGIN}", "  - {access: {login: staff}, proxy: $ORIGIN}"))
    assert visit(usher, "1.2.3.4", basic("ann", "secret"), target=target).status in (400, 403)
    assert visit(usher, "1.2.3.4", basic("ann", "secret"), target="/other").status == 200
    assert visit(usher, "1.2.3.4", basic("bob", "hidden"), target="/secret").status == 200


def test_a_rule_for_the_path_itself_is_the_one(guarded):
    usher = guarded("", config=CONFIG.replace("access: $ACCESS\n", "").replace("proxy: $ORIGIN", "") + """
routes:
  - {path: /a, access: {login: staff, users: [bob]}, proxy: $ORIGIN}
  - {path: /a/, access: {login: staff, users: [ann]}, proxy: $ORIGIN}
  - {path: /b, proxy: $ORIGIN}
  - {path: /b/, access: {login: staff}, proxy: $ORIGIN}
""")
    ann, bob = basic("ann", "secret"), basic("bob", "hidden")
    assert [visit(usher, "1.2.3.4", ann, target=target).status for target in ("/a", "/a/", "/a/x")] == [403, 200, 200]
    assert [visit(usher, "1.2.3.4", bob, target=target).status for target in ("/a", "/a/", "/a/x")] == [200, 403, 403]
    assert [visit(usher, "1.2.3.4", target=target).status for target in ("/b", "/b/", "/b/x")] == [200, 401, 401]


@pytest.mark.parametrize("cached", ["true", "{ttl: 1h}", "{ttl: 1h, override: true}"])
def test_answers_are_not_shared_between_who_logged_in_and_others(guarded, stage, cached):
    def script(connection):
        while (request := connection.read_request()) is not None:
            connection.answer(f"for {request.get('X-Forwarded-User', 'nobody')}", "Cache-Control: max-age=60")
    usher = guarded("{allow: [10.0.0.0/8], login: staff}", cache=cached, origin=stage.origin(script))
    for _ in range(2):
        assert visit(usher, "1.2.3.4", basic("ann", "secret")).body == b"for ann"
        assert visit(usher, "1.2.3.4", basic("bob", "hidden")).body == b"for bob"
        assert visit(usher, "10.0.0.1").body == b"for nobody"
        assert visit(usher, "1.2.3.4").status == 401
        assert visit(usher, "1.2.3.4", basic("ann", "wrong")).status == 401
    assert len(usher.site.requests) == 3


@pytest.mark.parametrize("user_field, groups_field", [("X-Webauth-User", "X-Webauth-Groups"), ("Remote-User", "X-Forwarded-Groups")])
def test_who_it_is_in_the_field_that_the_server_expects(guarded, user_field, groups_field):
    usher = guarded(f"{{allow: [10.0.0.0/8], login: staff, user_field: {user_field}, groups_field: {groups_field}}}")
    visit(usher, "1.2.3.4", basic("ann", "secret"), f"{user_field}: root", f"{groups_field.replace('-', '_')}: wheel", "X-Forwarded-User: root")
    asked = usher.site.last()
    assert asked.all(user_field) == ["ann"] and asked.all(groups_field) == ["makers,admins"]
    assert not asked.has("X-Forwarded-User") and not asked.has(groups_field.replace("-", "_"))
    # Who is let in by his address is nobody, whatever he says.
    visit(usher, "10.0.0.1", f"{user_field.upper()}: root", f"{groups_field}: wheel")
    assert not usher.site.last().has(user_field) and not usher.site.last().has(groups_field)


# --- usher user

def test_user_command(tmp_path):
    path = tmp_path / "users"
    assert run_command("user", "add", path, "ann", stdin="secret\n").returncode == 0
    assert run_command("user", "add", path, "bob", stdin="hidden\n").returncode == 0
    assert path.stat().st_mode & 0o777 == 0o640
    assert run_command("user", "list", path).stdout == "ann\nbob\n"
    assert run_command("user", "verify", path, "ann", stdin="secret\n").returncode == 0
    assert run_command("user", "verify", path, "ann", stdin="hidden\n").returncode == 1
    before = path.read_text()
    assert run_command("user", "add", path, "ann", stdin="new\n").returncode == 0
    assert run_command("user", "verify", path, "ann", stdin="secret\n").returncode == 1
    assert re.search("^bob:.*$", path.read_text(), re.M).group() in before
    assert run_command("user", "remove", path, "ann").returncode == 0
    assert run_command("user", "remove", path, "ann").returncode == 1
    assert run_command("user", "list", path).stdout == "bob\n"
    for name in ("a:b", "", "#x", "x" * 129, "a\nb"):
        assert run_command("user", "add", path, name, stdin="secret\n").returncode == 1
    assert run_command("user", "add", path, "eve", stdin="\n").returncode == 1
    assert run_command("user", "add", path, "eve", stdin="x" * 300 + "\n").returncode == 1
    assert run_command("user", "add", path).returncode == 2
    assert run_command("user", "list", path).stdout == "bob\n"
    assert not list(tmp_path.glob("*.new"))
