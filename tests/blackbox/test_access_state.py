"""What logins must not forget: it outlives restarts, crashes and reloads."""

import os
import pathlib
import re
import signal
import stat
import time

import pytest

from support.usher import eventually, run_command
from test_access_page import SECRET, Browser, code_of, paged, token_of  # pylint: disable=unused-import

# pylint: disable=redefined-outer-name

CONFIG = """
listen: [{address: "127.0.0.1:$PORT", tls: true}]
tls: {certificate: $CERTIFICATE, key: $KEY, redirect: false}
$STATE
logins:
  staff: {users: $DIR/staff.htpasswd, session: {$SESSION}, $MORE}
access: {login: staff, logout: /logout}
proxy: $ORIGIN
admin: unix:$DIR/$ADMIN.sock
"""


@pytest.fixture
def kept(stage, authority, paged, tmp_path):
    """A function: usher with a state directory, its sessions by the secret that is there."""
    certificate = authority.issue("test.example")

    def start(session="idle: 1h", more="basic: true", state="state: $DIR/state", env=None, **values):
        origin = stage.origin()
        usher = stage.usher(CONFIG.replace("$STATE", state), env=env, ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key,
                            **{"DIR": tmp_path, "SESSION": session, "MORE": more, "ADMIN": "admin", **values})
        usher.site = origin
        return usher
    start.directory, start.state = tmp_path, tmp_path / "state"
    start.browser = lambda usher: Browser(usher, authority)
    return start


def crash_worker(usher):
    """Kills the worker as a crash would, and waits for the next one."""
    before = len(re.findall(r"worker \d+ serves", usher.stderr))
    os.kill(usher.workers()[0], signal.SIGKILL)
    usher.wait_for_error(r"worker \d+ serves", before + 1)


# --- Sessions

def test_without_a_secret_sessions_outlive_a_restart(kept):
    usher = kept()
    browser = kept.browser(usher)
    assert browser.log_in().status == 303
    usher.reload()
    assert browser.get("/").status == 200
    crash_worker(usher)
    assert browser.get("/").status == 200
    usher.stop()
    browser.usher = kept()
    assert browser.get("/").status == 200


@pytest.mark.parametrize("session", ["idle: 1h", SECRET])
@pytest.mark.parametrize("everywhere", [{}, {"everywhere": "yes"}])
def test_ended_sessions_stay_ended(kept, session, everywhere):
    """After a reload, a crash at once, and a restart: who logged out has an answer only when it is written."""
    usher = kept(session)
    browser, thief, other = (kept.browser(usher) for _ in range(3))
    browser.log_in()
    other.log_in(user="bob", password="hid&den=+ü")
    thief.cookies = dict(browser.cookies)
    assert browser.form("/logout", **everywhere).status == 303
    crash_worker(usher)
    assert thief.get("/").status == 401 and other.get("/").status == 200
    usher.reload()
    assert thief.get("/").status == 401 and other.get("/").status == 200
    usher.stop()
    thief.usher = other.usher = kept(session)
    assert thief.get("/").status == 401 and other.get("/").status == 200


def test_what_the_operator_ends_stays_ended(kept):
    usher = kept(SECRET)
    browser = kept.browser(usher)
    browser.log_in()
    assert run_command("access", "-c", usher.path, "log-out", "staff", "ann").returncode == 0
    crash_worker(usher)
    assert browser.get("/").status == 401


def test_two_ushers_with_one_directory(kept):
    """As when one is replaced by another while it finishes what is under way."""
    first, second = kept(), kept(ADMIN="second")
    browser, thief = kept.browser(first), kept.browser(second)
    browser.log_in()
    thief.cookies = dict(browser.cookies)
    assert thief.get("/").status == 200
    browser.form("/logout")
    eventually(lambda: thief.get("/").status == 401)


# --- Codes

def test_a_code_cannot_be_replayed_after_a_crash(kept):
    path = kept.directory / "staff.second"
    uri = run_command("user", "second", path, "ann").stdout
    usher = kept(more=f"second: {path}")
    browser, thief = kept.browser(usher), kept.browser(usher)
    code = code_of(uri)
    assert browser.form("/", token=token_of(browser.log_in()), code=code).status == 303
    crash_worker(usher)
    assert thief.form("/", token=token_of(thief.log_in()), code=code).status == 401
    usher.stop()
    thief.usher = kept(more=f"second: {path}")
    assert thief.form("/", token=token_of(thief.log_in()), code=code).status == 401
    assert thief.form("/", token=token_of(thief.log_in()), code=code_of(uri, 1)).status == 303


def recovery_codes(*arguments):
    return re.findall("^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$", run_command("user", *arguments).stdout, re.MULTILINE)


def use_code(browser, code):
    return browser.form("/", token=token_of(browser.log_in()), code=code).status


def test_recovery_codes(kept):
    path = kept.directory / "staff.second"
    codes = recovery_codes("second", path, "ann")
    assert len(set(codes)) == 10 and not any(code in path.read_text() or code.replace("-", "") in path.read_text() for code in codes)
    usher = kept(more=f"second: {path}")
    browser = kept.browser(usher)
    assert use_code(browser, codes[0]) == 303 and browser.get("/").status == 200
    usher.wait_for_error(r'access: a recovery code was used from 127.0.0.1 to log in to staff: 9 are left, user "ann"')
    assert use_code(kept.browser(usher), codes[0]) == 401
    assert use_code(kept.browser(usher), codes[1].lower().replace("-", " ")) == 303
    usher.wait_for_error(r"8 are left")
    # Used ones stay so.
    crash_worker(usher)
    assert use_code(kept.browser(usher), codes[0]) == 401
    usher.stop()
    usher = kept(more=f"second: {path}")
    assert [use_code(kept.browser(usher), code) for code in codes[:3]] == [401, 401, 303]
    usher.wait_for_error(r"7 are left")


def test_other_recovery_codes_take_the_place_of_the_former(kept):
    path = kept.directory / "staff.second"
    done = run_command("user", "second", path, "ann")
    old = re.findall("^.{5}-.{5}$", done.stdout, re.MULTILINE)
    usher = kept(more=f"second: {path}")
    assert use_code(kept.browser(usher), old[0]) == 303
    codes = recovery_codes("recovery", path, "ann")
    assert len(codes) == 10 and not set(codes) & set(old)
    usher.wait_for_error("took the replaced files")
    assert use_code(kept.browser(usher), old[1]) == 401
    assert use_code(kept.browser(usher), codes[0]) == 303
    assert use_code(kept.browser(usher), code_of(done.stdout)) == 303  # the authenticator is the same
    assert run_command("user", "recovery", path, "bob").returncode == 1


def test_recovery_codes_cannot_be_guessed(kept):
    path = kept.directory / "staff.second"
    recovery_codes("second", path, "ann")
    usher = kept(more=f"second: {path}")
    statuses = []
    for number in range(12):
        asks = (browser := kept.browser(usher)).log_in()
        statuses.append(asks.status if asks.status == 429 else browser.form("/", token=token_of(asks), code=f"ABCDE-{number:05d}").status)
    assert statuses[:6] == [401] * 6 and 429 in statuses[6:]


def test_a_damaged_file_makes_recovery_codes_useless(kept):
    """Which of them were used is not known any more."""
    path = kept.directory / "staff.second"
    codes = recovery_codes("second", path, "ann")
    usher = kept(more=f"second: {path}")
    assert use_code(kept.browser(usher), codes[0]) == 303
    usher.stop()
    (kept.state / "state.db").write_bytes(b"no database" * 1000)
    usher = kept(more=f"second: {path}")
    assert [use_code(kept.browser(usher), code) for code in codes[:2]] == [401, 401]
    time.sleep(1.1)  # what was made in the second of the damage is as old
    codes = recovery_codes("recovery", path, "ann")
    usher.wait_for_error("took the replaced files")
    assert use_code(kept.browser(usher), codes[0]) == 303


# --- The file

def test_nobody_else_reads_it(kept):
    usher = kept()
    kept.browser(usher).log_in()
    files = list(kept.state.iterdir())
    assert {each.name for each in files} >= {"state.db", "state.db-wal"}
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in files), files
    assert stat.S_IMODE(kept.state.stat().st_mode) == 0o700


@pytest.mark.parametrize("session", ["idle: 1h", SECRET])
@pytest.mark.parametrize("damage", ["all", "middle", "cut"])
def test_a_damaged_file_ends_all_sessions(kept, session, damage):
    usher = kept(session)
    browser, thief = kept.browser(usher), kept.browser(usher)
    browser.log_in()
    thief.cookies = dict(browser.cookies)
    browser.form("/logout")
    browser.log_in()
    usher.stop()
    path = kept.state / "state.db"
    content = bytearray(path.read_bytes())
    assert not (kept.state / "state.db-wal").exists() and len(content) > 8192
    content[0 if damage == "all" else 4096:] = b"" if damage == "cut" else b"\xa5" * (len(content) - (0 if damage == "all" else 4096))
    path.write_bytes(content)
    usher = kept(session)
    usher.wait_for_error(r"state: \S+/state/state.db was damaged, and was moved aside")
    browser.usher = thief.usher = usher
    assert thief.get("/").status == 401 and browser.get("/").status == 401
    assert [each.read_bytes() for each in kept.state.glob("damaged-*.db")] == [content]
    eventually(lambda: browser.log_in().status == 303 and browser.get("/").status == 200)
    # And so it stays.
    crash_worker(usher)
    assert thief.get("/").status == 401 and browser.get("/").status == 200


def test_a_directory_that_cannot_be_had(kept):
    (kept.directory / "state").write_text("a file")
    config = kept.directory / "usher.yaml"
    config.write_text(f"listen: 127.0.0.1:0\nstate: {kept.directory}/state\nproxy: 127.0.0.1:9\n")
    done = run_command("run", "-c", config)
    assert done.returncode == 1 and re.search(rf"usher.yaml:2:8: state: {kept.directory}/state: Not a directory", done.stderr)
    config.write_text(f"listen: 127.0.0.1:0\nstate: {kept.directory}/no/state\nproxy: 127.0.0.1:9\n")
    done = run_command("run", "-c", config)
    assert done.returncode == 1 and "no/state: No such file or directory" in done.stderr


def test_state_and_cache_need_directories_of_their_own(kept):
    config = kept.directory / "usher.yaml"
    config.write_text("state: here\ncache_disk: here\nproxy: 127.0.0.1:9\n")
    done = run_command("check", config)
    assert done.returncode == 1 and "usher.yaml:2:13: `cache_disk` and `state` need a directory each of their own" in done.stderr


def test_systemd_names_a_directory(kept):
    directory = kept.directory / "systemd"
    usher = kept(state="", env={"STATE_DIRECTORY": f"{directory}:/elsewhere"})
    browser = kept.browser(usher)
    browser.log_in()
    assert (directory / "state.db").exists()
    usher.stop()
    browser.usher = kept(state="", env={"STATE_DIRECTORY": directory})
    assert browser.get("/").status == 200


def test_without_a_directory_usher_says_what_it_forgets(kept):
    usher = kept(state="", env={"STATE_DIRECTORY": ""})
    usher.wait_for_error(r"without `state`, what was logged out, codes that were used, and sessions whose key is not configured are forgotten")
    browser = kept.browser(usher)
    browser.log_in()
    crash_worker(usher)
    assert browser.get("/").status == 401
    assert pathlib.Path(usher.directory).exists() and not kept.state.exists()


def test_another_directory_is_taken_at_a_restart(kept):
    usher = kept()
    usher.reload(pathlib.Path(usher.path).read_text().replace(f"{kept.state}", f"{kept.state}2"))
    usher.wait_for_error(rf"state: {kept.state} stays in use until usher is restarted")
