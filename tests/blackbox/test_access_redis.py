"""Several ushers that share their logins by a Redis."""

import pytest

from support.redis import Redis
from support.usher import eventually, run_command
from test_access_page import SECRET, code_of, paged, token_of  # pylint: disable=unused-import
from test_access_state import crash_worker, kept, recovery_codes, use_code  # pylint: disable=unused-import

# pylint: disable=redefined-outer-name

DOWN = r"state: Redis at 127\.0\.0\.1: "


@pytest.fixture
def redis(stage, tmp_path_factory):
    return stage.add(Redis(tmp_path_factory.mktemp("redis")))


@pytest.fixture
def shared_by(kept, redis):
    """A function: an usher that shares its logins; with a file of its own where it is named."""
    def start(name, session=SECRET, with_file=False, more="basic: true"):
        path = f"path: $DIR/{name}, " if with_file else ""
        return kept(session, more, state=f"state: {{{path}redis: '127.0.0.1:{redis.port}'}}", ADMIN=name)
    start.browser, start.directory = kept.browser, kept.directory
    return start


def thief_of(shared_by, browser, usher):
    thief = shared_by.browser(usher)
    thief.cookies = dict(browser.cookies)
    return thief


@pytest.mark.parametrize("with_file", [False, True])
@pytest.mark.parametrize("everywhere", [{}, {"everywhere": "yes"}])
def test_what_ends_at_one_ends_at_all(shared_by, with_file, everywhere):
    first, second = (shared_by(name, with_file=with_file) for name in ("first", "second"))
    browser = shared_by.browser(first)
    browser.log_in()
    thief = thief_of(shared_by, browser, second)
    assert thief.get("/").status == 200
    assert browser.form("/logout", **everywhere).status == 303
    eventually(lambda: thief.get("/").status == 401)
    # Who comes later knows it, too, from the beginning.
    thief.usher = shared_by("third", with_file=with_file)
    assert thief.get("/").status == 401
    crash_worker(second)
    thief.usher = second
    assert thief.get("/").status == 401


@pytest.mark.parametrize("with_file", [False, True])
def test_without_a_secret_they_agree_on_one(shared_by, with_file):
    first, second = (shared_by(name, "idle: 1h", with_file) for name in ("first", "second"))
    browser = shared_by.browser(first)
    browser.log_in()
    thief = thief_of(shared_by, browser, second)
    assert thief.get("/").status == 200
    first.stop()
    browser.usher = shared_by("first", "idle: 1h", with_file)
    assert browser.get("/").status == 200


def test_codes_are_good_at_one_of_them(shared_by):
    """At once: the Redis says who was first."""
    path = shared_by.directory / "staff.second"
    done = run_command("user", "second", path, "ann").stdout
    first, second = (shared_by(name, more=f"second: {path}") for name in ("first", "second"))
    code, recovery = code_of(done), done.split()[-1]
    for each in (code, recovery):
        assert use_code(shared_by.browser(first), each) == 303
        assert use_code(shared_by.browser(second), each) == 401


@pytest.mark.parametrize("with_file", [False, True])
def test_logins_go_on_without_it(shared_by, redis, with_file):
    first, second = (shared_by(name, with_file=with_file) for name in ("first", "second"))
    browser, other = shared_by.browser(first), shared_by.browser(first)
    browser.log_in()
    thief = thief_of(shared_by, browser, second)
    def state():
        return run_command("access", "-c", first.path, "state").stdout.split("\n")[:2]
    assert state() == ["file works" if with_file else "file none", "redis works"]
    redis.stop()
    first.wait_for_error(DOWN)
    assert state() == ["file works" if with_file else "file none", "redis fails"]
    assert other.log_in().status == 303 and other.get("/").status == 200
    assert browser.form("/logout").status == 303 and thief_of(shared_by, thief, first).get("/").status == 401
    redis.start()
    second.wait_for_error(r"Redis at 127\.0\.0\.1 is there again")
    eventually(lambda: thief.get("/").status == 401)
    # One line, however long it was away.
    assert len(first.stderr.split("until it is there, other ushers")) == 2


def test_one_that_does_not_answer_keeps_nobody_waiting_for_long(shared_by, redis):
    usher = shared_by("first")
    browser = shared_by.browser(usher)
    browser.log_in()
    redis.pause()
    assert browser.form("/logout").status == 303
    usher.wait_for_error(DOWN + "read its answer: it took too long")
    assert shared_by.browser(usher).log_in().status == 303
    redis.resume()
    usher.wait_for_error("is there again")


def test_in_doubt_until_it_is_there(shared_by, redis):
    """Who cannot know what has ended elsewhere takes no session from before; new ones are good."""
    usher = shared_by("first")
    browser = shared_by.browser(usher)
    browser.log_in()
    thief = thief_of(shared_by, browser, usher)
    browser.form("/logout")
    browser.log_in()
    redis.pause()
    usher.stop()
    usher = browser.usher = thief.usher = shared_by("first")
    usher.wait_for_error(DOWN)
    assert browser.get("/").status == 401 and thief.get("/").status == 401
    fresh = shared_by.browser(usher)
    eventually(lambda: fresh.log_in().status == 303 and fresh.get("/").status == 200)
    redis.resume()
    usher.wait_for_error("is there again")
    eventually(lambda: browser.get("/").status == 200)
    assert thief.get("/").status == 401 and fresh.get("/").status == 200


def test_an_empty_one_gets_what_files_have(shared_by, redis):
    first = shared_by("first", with_file=True)
    browser = shared_by.browser(first)
    browser.log_in()
    thief = thief_of(shared_by, browser, first)
    browser.form("/logout")
    redis.stop()
    first.wait_for_error(DOWN)
    redis.start()
    first.wait_for_error("is there again")
    thief.usher = shared_by("second")
    assert thief.get("/").status == 401


def test_what_is_not_usher_s_does_no_harm(shared_by, redis):
    redis.ask("HSET", "usher:kept", "", "", "x", "y", "9 a", "1 2", "0 b", "-1 2", "0", "1 2", "0 " + "c" * 1000, "1 2", "1 5:staff3:ann", "99999999999999999999 5")
    usher = shared_by("first")
    browser = shared_by.browser(usher)
    assert browser.log_in().status == 303 and browser.get("/").status == 200
    redis.ask("XADD", "usher:log", "*", "", "x", "0 a", "b")
    redis.ask("XADD", "usher:log", "*", "only", "one")
    browser.form("/logout")
    assert browser.log_in().status == 303 and browser.get("/").status == 200
    # What is of another type is a failure, and no more.
    redis.ask("DEL", "usher:log")
    redis.ask("SET", "usher:log", "text")
    usher.wait_for_error(DOWN + "it answers: WRONGTYPE")
    assert browser.get("/").status == 200


def test_by_tls_with_a_password(kept, stage, authority, tmp_path_factory):
    certificate = authority.issue("localhost", "127.0.0.1")
    redis = stage.add(Redis(tmp_path_factory.mktemp("redis"), "--requirepass", "open sesame", tls=certificate))

    def start(more, name):
        return kept(SECRET, state=f"state: {{redis: {{address: 'localhost:{redis.port}', tls: true, {more}}}}}", ADMIN=name, CA=authority.ca)
    first, second = (start("ca: $CA, password: open sesame", name) for name in ("first", "second"))
    browser = kept.browser(first)
    browser.log_in()
    thief = thief_of(kept, browser, second)
    browser.form("/logout")
    eventually(lambda: thief.get("/").status == 401)
    assert "Redis at" not in first.stderr
    start("ca: $CA, password: wrong", "third").wait_for_error(r"Redis at localhost: it answers: WRONGPASS")
    start("password: open sesame", "fourth").wait_for_error(r"Redis at localhost: TLS: (self-signed certificate|unable to get local issuer)")


@pytest.mark.parametrize("rule, error", [
    ("{redis: 'a b'}", '"a b" is no address such as 10.0.0.5:6379'),
    ("{redis: {address: '10.0.0.5', user: ann}}", "a user without a `password`"),
    ("{redis: {address: '10.0.0.5', ca: ca.pem}}", "`ca` has no meaning without `tls: true`"),
    ("{redis: {address: 'unix:/run/redis.sock', tls: true}}", "a UNIX socket has no TLS"),
    ("{redis: {prefix: a}}", "address"),
    ("{}", "expected a `path`, a `redis`, or both"),
])
def test_mistakes(tmp_path, rule, error):
    (tmp_path / "usher.yaml").write_text(f"state: {rule}\nproxy: 127.0.0.1:9\n")
    (tmp_path / "ca.pem").write_text("")
    done = run_command("check", tmp_path / "usher.yaml")
    assert done.returncode == 1 and error in done.stderr
