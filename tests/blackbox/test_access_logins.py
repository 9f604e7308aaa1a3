"""Users and groups of files: what hashes count, and when a file is replaced."""

import subprocess

import pytest

from support.access import CONFIG, basic, made, visit
from support.usher import eventually, run_command

# Of "secret": what each kind of hash is made with.
KINDS = {
    "bcrypt": ["htpasswd", "-nbB", "-C", "4", "ann", "secret"],
    "sha512": ["openssl", "passwd", "-6", "-salt", "abcdefgh", "secret"],
    "sha256": ["openssl", "passwd", "-5", "-salt", "abcdefgh", "secret"],
}
OLD_KINDS = {
    "apr1": ["htpasswd", "-nbm", "ann", "secret"],
    "sha1": ["htpasswd", "-nbs", "ann", "secret"],
    "md5": ["openssl", "passwd", "-1", "-salt", "abcdefgh", "secret"],
}


@pytest.mark.parametrize("kind", [*KINDS, "usher", "argon2"])
def test_hashes(guarded, kind):
    path = guarded.directory / "staff.htpasswd"
    if kind == "usher":
        path.unlink()
        assert run_command("user", "add", path, "ann", stdin="secret\n").returncode == 0
        assert "$y$" in path.read_text()
    elif kind == "argon2":
        done = subprocess.run(["argon2", "somesalt", "-id", "-e", "-t", "1", "-m", "10"], input="secret", capture_output=True, text=True, check=True)
        path.write_text(f"ann:{done.stdout.strip()}\n")
    else:
        path.write_text(made(KINDS[kind]) + "\n")
    usher = guarded("{login: staff}")
    assert visit(usher, "1.2.3.4", basic("ann", "secret")).status == 200
    for user, password in [("ann", "Secret"), ("ann", "secret "), ("ann", ""), ("Ann", "secret"), ("bob", "secret")]:
        assert visit(usher, "1.2.3.4", basic(user, password)).status == 401


@pytest.mark.parametrize("kind", OLD_KINDS)
def test_old_hashes_are_refused_unless_they_are_allowed(guarded, kind):
    line = made(OLD_KINDS[kind])
    (guarded.directory / "staff.htpasswd").write_text(line + "\n")
    with pytest.raises(AssertionError, match=r"staff.htpasswd:1: a hash of this old kind is guessed within hours") as caught:
        guarded("{login: staff}")
    assert line.partition(":")[2] not in str(caught.value)
    if kind == "apr1":
        return  # Apache's own
    usher = guarded("{login: staff}", config=CONFIG.replace("groups:", "old_hashes: true, groups:"))
    assert visit(usher, "1.2.3.4", basic("ann", "secret")).status == 200
    assert visit(usher, "1.2.3.4", basic("ann", "wrong")).status == 401


@pytest.mark.parametrize("rule, ann, bob", [("users: [ann]", 200, 403), ("groups: [admins]", 200, 403), ("groups: [makers]", 200, 200), ("users: [bob], groups: [admins]", 200, 200),
                                            ("users: [nobody]", 403, 403)])
def test_users_and_groups(guarded, rule, ann, bob):
    usher = guarded("{login: staff, %s}" % rule)
    assert visit(usher, "1.2.3.4", basic("ann", "secret")).status == ann
    assert visit(usher, "1.2.3.4", basic("bob", "hidden")).status == bob
    assert visit(usher, "1.2.3.4", basic("bob", "secret")).status == 401


def test_users_are_taken_when_the_file_is_replaced(guarded):
    usher = guarded("{login: staff}")
    path = guarded.directory / "staff.htpasswd"
    assert visit(usher, "1.2.3.4", basic("ann", "secret")).status == 200
    assert run_command("user", "remove", path, "ann").returncode == 0
    eventually(lambda: visit(usher, "1.2.3.4", basic("ann", "secret")).status in (401, 429))
    assert visit(usher, "5.6.7.8", basic("bob", "hidden")).status == 200
    assert run_command("user", "add", path, "bob", stdin="another\n").returncode == 0
    eventually(lambda: visit(usher, "9.9.9.9", basic("bob", "another")).status == 200)
    assert visit(usher, "9.9.9.10", basic("bob", "hidden")).status == 401
