"""Users of the system, by PAM: with modules that are there, and services of the test's own."""

import os
import pathlib
import re
import shutil
import tempfile
import threading
import time

import pytest

from support.access import basic, sha512
from support.usher import eventually, run_command

CONFIG = """
listen: "127.0.0.1:$PORT"
logins:
  staff: {pam: {service: $SERVICE, directory: $DIR}, $LOGIN}
access: {login: staff, $RULE}
proxy: $ORIGIN
"""

# What pam_exec runs: the password comes on standard input, a NUL behind it.
PASSWORD = """#!/bin/sh
password=$(tr -d '\\000')
echo "auth $PAM_USER" >> "$(dirname "$0")/asked"
case "$PAM_USER:$password" in
ann:secret | bob:hidden | root:secret) exit 0 ;;
*) exit 1 ;;
esac
"""
ACCOUNT = """#!/bin/sh
echo "account $PAM_USER" >> "$(dirname "$0")/asked"
[ "$PAM_USER" != bob ]
"""
SLOW = """#!/bin/sh
sleep 3
exit 1
"""
SERVICES = {
    "usher": ["auth required pam_exec.so quiet expose_authtok $DIR/password", "account required pam_exec.so quiet $DIR/account"],
    "slow": ["auth required pam_exec.so quiet expose_authtok $DIR/slow", "account required pam_permit.so"],
    "delays": ["auth optional pam_faildelay.so delay=20000000", "auth required pam_deny.so", "account required pam_permit.so"],
    "broken": ["auth required pam_no_such_module.so", "account required pam_permit.so"],
    "mapped": ["auth required pam_permit.so", "account required pam_deny.so"],
}


@pytest.fixture(name="services")
def made_services():
    """A directory that the worker's user may read, whoever that is."""
    directory = pathlib.Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    for name, text in {"password": PASSWORD, "account": ACCOUNT, "slow": SLOW}.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    for name, lines in SERVICES.items():
        (directory / name if name != "slow" else directory / "slowly").write_text("\n".join(lines).replace("$DIR", str(directory)) + "\n")
    (directory / "asked").touch()
    (directory / "asked").chmod(0o666)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def guarded(stage, services):
    """A function: usher that asks a service."""
    def start(service="usher", login="realm: staff", rule="users: []"):
        origin = stage.origin()
        usher = stage.usher(CONFIG, ORIGIN=origin, SERVICE=service, DIR=services, LOGIN=login, RULE=rule)
        usher.site = origin
        return usher
    return start


def asked(services):
    return (services / "asked").read_text().split("\n")[:-1]


def test_a_user_gets_in_and_the_server_learns_who_it_is(guarded, services):
    usher = guarded()
    assert usher.get("/", basic("ann", "secret")).status == 200
    told = usher.site.requests[-1]
    assert told.get("X-Forwarded-User") == "ann" and not told.all("Authorization")
    assert asked(services) == ["auth ann", "account ann"]
    # A right password is remembered.
    assert usher.get("/", basic("ann", "secret")).status == 200 and asked(services) == ["auth ann", "account ann"]


def test_groups_are_the_system_s(guarded):
    assert guarded(rule="groups: [root]").get("/", basic("root", "secret")).status == 200
    assert guarded(rule="groups: [root]").get("/", basic("ann", "secret")).status == 403


@pytest.mark.parametrize("user, password", [("ann", "not-the-word"), ("nobody", "secret"), ("ann ", "secret"), ("a" * 200, "secret")])
def test_who_stays_outside(guarded, user, password):
    usher = guarded()
    assert usher.get("/", basic(user, password)).status == 401 and not usher.site.requests
    assert password not in usher.stderr and "login failed" in usher.stderr


def test_an_empty_password_is_never_asked_about(guarded, services):
    usher = guarded("mapped")
    assert usher.get("/", basic("ann", "")).status == 401 and not asked(services)


def test_an_account_that_may_not_be_used(guarded, services):
    usher = guarded()
    assert usher.get("/", basic("bob", "hidden")).status == 401
    assert asked(services) == ["auth bob", "account bob"]
    assert guarded("mapped").get("/", basic("ann", "secret")).status == 401


def test_a_service_that_is_broken_lets_nobody_in(guarded):
    usher = guarded("broken")
    answer = usher.get("/", basic("ann", "secret"))
    assert answer.status in (401, 503) and not usher.site.requests


def test_modules_do_not_make_others_wait(guarded):
    """They may ask for a delay after what was wrong: that would keep places from others, and usher makes guessing slow itself."""
    usher = guarded("delays")
    begun = time.monotonic()
    assert usher.get("/", basic("ann", "wrong")).status == 401
    assert time.monotonic() - begun < 10


def test_a_slow_service_holds_up_nobody_of_the_file(guarded, tmp_path):
    (tmp_path / "local.htpasswd").write_text(sha512("root", "local"))
    usher = guarded("slowly", login=f"users: {tmp_path}/local.htpasswd")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(usher.get("/", basic("ann", "secret")).status)) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: os.path.exists(f"/proc/{usher.pid}"))
    assert usher.get("/", basic("root", "local")).status == 200 and not answers
    for thread in threads:
        thread.join()
    assert answers == [401] * 4


@pytest.mark.parametrize("login, says", [
    ("pam: {service: nothing, directory: $DIR}", 'there is no service "nothing"'),
    ("pam: nothing-of-this-name", 'there is no service "nothing-of-this-name" in /etc/pam.d'),
    ("pam: ../shadow", "is no name of a service"),
    ("pam: {directory: $DIR}", "service"),
    ("pam: {service: usher, directory: $DIR}, second: s.second, page: false", "a second factor is asked for by the page"),
    ("pam: {service: usher, directory: $DIR}, ldap: {servers: 'ldap://localhost', bind: 'uid=$user,dc=x'}", "do not go together"),
])
def test_mistakes(tmp_path, services, login, says):
    (tmp_path / "s.second").write_text("")
    (tmp_path / "usher.yaml").write_text(f"logins:\n  staff: {{{login}}}\naccess: {{login: staff}}\nproxy: http://127.0.0.1:1\n".replace("$DIR", str(services)))
    done = run_command("check", tmp_path / "usher.yaml")
    assert done.returncode != 0 and says in done.stderr and re.search(r"usher.yaml:[1-4]:\d+: ", done.stderr), done.stderr
