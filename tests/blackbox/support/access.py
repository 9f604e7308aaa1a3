"""For the tests of access: usher with a rule, users, and who comes from where."""

import base64
import subprocess

import pytest

CONFIG = """
listen: "127.0.0.1:$PORT"
trusted_proxies: [127.0.0.1]
access_log: {path: $DIR/access.log, format: "$client $user $status"}
logins:
  staff: {users: $DIR/staff.htpasswd, groups: $DIR/staff.groups}
lists:
  office: [192.0.2.0/24, "2001:db8::/32"]
  blocked: {file: $DIR/blocked.txt}
access: $ACCESS
cache: $CACHE
proxy: $ORIGIN
"""


def made(command):
    line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return line if line.startswith("ann:") else f"ann:{line}"


def basic(user, password):
    return f"Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def sha512(user, password):
    done = subprocess.run(["openssl", "passwd", "-6", "-salt", "abcdefgh", password], capture_output=True, text=True, check=True)
    return f"{user}:{done.stdout.strip()}\n"


@pytest.fixture
def guarded(stage, tmp_path):
    """usher with a rule; clients say where they come from, as behind a trusted proxy."""
    (tmp_path / "staff.htpasswd").write_text(sha512("ann", "secret") + sha512("bob", "hidden") + sha512("Zoë", "schön"))
    (tmp_path / "staff.groups").write_text("# groups\nmakers: ann bob\nadmins: ann nobody\n")
    (tmp_path / "blocked.txt").write_text("198.51.100.7 # a comment\n\n203.0.113.0/24\n")

    def start(access, cache="false", origin=None, config=CONFIG):
        site = origin or stage.origin()
        usher = stage.usher(config, ORIGIN=site, ACCESS=access, CACHE=cache, DIR=tmp_path)
        usher.site = site
        return usher
    start.directory = tmp_path
    return start


def visit(usher, address, *fields, target="/", **more):
    return usher.get(target, f"X-Forwarded-For: {address}", *fields, **more)
