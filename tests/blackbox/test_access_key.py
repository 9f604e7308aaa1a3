"""API keys that programs send."""

import hashlib

import pytest

from support.access import basic, sha512
from support.origin import echo
from support.refusal import echoed
from support.usher import eventually, run_command

CONFIG = """
listen: "127.0.0.1:$PORT"
logins:
  api: {api_keys: $KEYS, groups: $DIR/groups, $USERS}
access: {login: api, $RULE}
cache: {ttl: 1m}
proxy: $ORIGIN
"""


@pytest.fixture
def guarded(stage, tmp_path):
    """usher with the keys of two programs, as the command makes them."""
    file = tmp_path / "programs.keys"
    keys = {name: run_command("user", "key", file, name).stdout.strip() for name in ("reports", "backup")}
    (tmp_path / "groups").write_text("readers: reports ann\n")
    (tmp_path / "users").write_text(sha512("ann", "secret"))

    def start(rule="", users="", api_keys=str(file)):
        origin = stage.origin(echo)
        usher = stage.usher(CONFIG, ORIGIN=origin, KEYS=api_keys, DIR=tmp_path, RULE=rule, USERS=users)
        usher.site, usher.keys, usher.file = origin, keys, file
        return usher
    start.directory = tmp_path
    return start


def key(usher, name, header="X-Api-Key"):
    return f"{header}: {usher.keys[name]}"


def test_a_key_lets_in_and_goes_no_further(guarded):
    usher = guarded()
    assert all(len(made) == 48 for made in usher.keys.values()) and usher.keys["reports"] != usher.keys["backup"]
    answer = usher.get("/", key(usher, "reports"))
    heard = dict(echoed(answer)["headers"])
    assert answer.status == 200 and heard["X-Forwarded-User"] == "reports" and heard["X-Forwarded-Groups"] == "readers"
    assert "X-Api-Key" not in heard
    # What is stored for one is not another's.
    assert dict(echoed(usher.get("/", key(usher, "backup")))["headers"])["X-Forwarded-User"] == "backup"
    assert usher.get("/").status == 401
    usher.stop()
    assert not any(made in usher.stderr for made in usher.keys.values())


@pytest.mark.parametrize("field", [
    "X-Api-Key: ", "X-Api-Key: 0", "X-Api-Key: $DIGEST", "X-Api-Key: reports", "Authorization: Bearer $KEY", "X-Other: $KEY",
    "X-Api-Key: $KEY0", "X-Api-Key: x$KEY", f"X-Api-Key: {'a' * 4000}", "X_Api_Key: $KEY"])
def test_what_is_no_key(guarded, field):
    usher = guarded()
    made = usher.keys["reports"]
    refused = usher.get("/", field.replace("$DIGEST", hashlib.sha256(made.encode()).hexdigest()).replace("$KEY", made))
    assert (refused.status, refused.get("WWW-Authenticate")) == (401, 'ApiKey realm="api"')
    assert not usher.site.requests


def test_groups_and_users_are_asked_for(guarded):
    usher = guarded("groups: [readers]")
    assert [usher.get("/", key(usher, name)).status for name in usher.keys] == [200, 403]


def test_another_field_beside_users(guarded):
    usher = guarded("pass_password: true", f"users: {guarded.directory}/users", f"{{file: {guarded.directory}/programs.keys, header: X-Token}}")
    heard = dict(echoed(usher.get("/", key(usher, "reports", "X-Token")))["headers"])
    assert heard["X-Token"] == usher.keys["reports"]
    assert usher.get("/", basic("ann", "secret")).status == 200
    # A key that is wrong is not made good by a password.
    assert usher.get("/", "X-Token: wrong", basic("ann", "secret")).status == 401
    assert usher.get("/").get("WWW-Authenticate") == 'Basic realm="api", charset="UTF-8", ApiKey realm="api"'


def test_a_key_ends_with_its_line(guarded):
    usher = guarded()
    assert usher.get("/", key(usher, "reports")).status == 200
    assert run_command("user", "list", usher.file).stdout == "backup\nreports\n"
    assert run_command("user", "verify", usher.file, "reports", stdin=usher.keys["reports"] + "\n").returncode == 0
    assert run_command("user", "verify", usher.file, "reports", stdin=usher.keys["backup"] + "\n").returncode == 1
    assert run_command("user", "remove", usher.file, "reports").returncode == 0
    eventually(lambda: usher.get("/", key(usher, "reports")).status == 401, "the file to be taken")
    assert usher.get("/", key(usher, "backup")).status == 200


@pytest.mark.parametrize("content, says", [
    ("reports\n", "programs.keys:1: expected NAME:SHA-256"), ("\nreports:12\n", "programs.keys:2: expected NAME:SHA-256"),
    (f"a:{'0' * 64}\nb:{'0' * 64}\n", "two have the same key"), (f"a:{'0' * 64}\na:{'1' * 64}\n", "named twice"), (f"a:{'A' * 64}\n", "lower case"),
])
def test_mistakes_in_the_file(guarded, content, says):
    (guarded.directory / "programs.keys").write_text(content)
    with pytest.raises(AssertionError) as caught:
        guarded()
    assert says in str(caught.value)
    assert "0" * 64 not in str(caught.value)


def test_no_name_for_a_key(tmp_path):
    for name in ("", "a:b", "#a", "a\nb", "a" * 129):
        assert run_command("user", "key", tmp_path / "keys", name).returncode == 1
    assert not (tmp_path / "keys").exists()
