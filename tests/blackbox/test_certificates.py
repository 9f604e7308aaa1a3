"""Certificates that are replaced while usher runs: they are taken by themselves, however they are replaced, and no handshake fails."""

import os
import shutil
import signal
import ssl
import threading
import time

import pytest

from support.client import PATIENCE
from support.tls import TlsClient
from support.usher import eventually, run_command

CONFIG = """
listen: [{address: "127.0.0.1:$PORT", tls: true}]
access_log: off
sites:
  - host: [test.example, other.example]
    tls: %s
    respond: {status: 200, body: ok}
"""
PAIR = CONFIG % "{certificate: $LIVE/site.pem, key: $LIVE/site.key}"
FOLDER = CONFIG % "{folder: $LIVE}"

TAKEN = r"took the replaced files in \d+ ms"
NOT_TAKEN = r"the replaced files are not taken: the former ones stay in use"


class Handshakes:
    """Clients in threads that connect without a pause, each time with a full handshake and a request."""

    def __init__(self, port, context, clients=3):
        self.port, self.context = port, context
        self.ending = threading.Event()
        self.failures, self.serials, self.done = [], set(), [0] * clients
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        try:
            while not self.ending.is_set():
                with TlsClient(self.port, self.context) as client:
                    self.serials.add(client.serial)
                    assert client.ask().status == 200
                self.done[number] += 1
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(error)

    def progress(self):
        marks = list(self.done)
        eventually(lambda: self.failures or all(now > mark for now, mark in zip(self.done, marks)), "every client to shake hands")

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(PATIENCE)
        assert not self.failures, self.failures
        return self.serials


class Server:
    """usher with certificates in a folder, $LIVE."""

    def __init__(self, stage, authority, directory, config, prepare):
        self.authority = authority
        self.context, self.uncritical = authority.trusting(), authority.trusting()
        self.uncritical.check_hostname = False
        self.first = authority.issue("test.example")
        self.directory = directory
        self.live = directory / "live"
        prepare(self)
        self.usher = stage.usher(config, LIVE=self.live)

    def connect(self, name="test.example", context=None):
        return TlsClient(self.usher.port, context or self.context, name)

    def serial(self, name="test.example"):
        """Of the certificate that is shown to who asks for the name, be it for that name or not."""
        with self.connect(name, self.uncritical) as client:
            return client.serial

    def wait_for(self, certificate, name="test.example"):
        """Until new connections are shown this certificate."""
        eventually(lambda: self.serial(name) == certificate.serial, f"a new certificate to be shown; log:\n{self.usher.stderr[-2000:]}",
                   60 + PATIENCE)

    def count(self, pattern):
        return len(self.usher.stderr.split(pattern)) - 1


@pytest.fixture
def serve(stage, authority, tmp_path):
    """A function: usher with a first certificate, laid out by a function of this file."""
    return lambda config, prepare: Server(stage, authority, tmp_path, config, prepare)


# --- Ways to lay out files, and to replace them


def write_pair(folder, certificate, stem="site"):
    (folder / f"{stem}.pem").write_bytes(certificate.chain_pem)
    (folder / f"{stem}.key").write_bytes(certificate.key_pem)
    (folder / f"{stem}.key").chmod(0o600)


def plain(server):
    server.live.mkdir()
    write_pair(server.live, server.first)


def write_over(server, certificate):
    """As editors do that keep the file: there is a moment at which it is not whole."""
    write_pair(server.live, certificate)


def rename_over(server, certificate):
    """As most programs do; the certificate comes before its key."""
    scratch = server.directory / "scratch"
    scratch.mkdir(exist_ok=True)
    write_pair(scratch, certificate)
    os.replace(scratch / "site.pem", server.live / "site.pem")
    os.replace(scratch / "site.key", server.live / "site.key")


def delete_and_create(server, certificate):
    for name in ("site.pem", "site.key"):
        (server.live / name).unlink()
    write_pair(server.live, certificate)


def certbot(server):
    """live/ holds links to what is in archive/."""
    server.live.mkdir()
    server.archive = server.directory / "archive"
    server.archive.mkdir()
    write_pair(server.archive, server.first, "site1")
    for end in ("pem", "key"):
        (server.live / f"site.{end}").symlink_to(f"../archive/site1.{end}")


def switch_links(server, certificate):
    write_pair(server.archive, certificate, "site2")
    for end in ("pem", "key"):
        (server.live / f"site.{end}").unlink()
        (server.live / f"site.{end}").symlink_to(f"../archive/site2.{end}")


def volume(server):
    """As Kubernetes mounts a secret: files are links through a link to a folder."""
    server.live.mkdir()
    (server.live / "..1").mkdir()
    write_pair(server.live / "..1", server.first)
    (server.live / "..data").symlink_to("..1")
    for name in ("site.pem", "site.key"):
        (server.live / name).symlink_to(f"..data/{name}")


def switch_volume(server, certificate):
    (server.live / "..2").mkdir()
    write_pair(server.live / "..2", certificate)
    (server.live / "..data_tmp").symlink_to("..2")
    os.replace(server.live / "..data_tmp", server.live / "..data")
    shutil.rmtree(server.live / "..1")


def switch_folder(server, certificate):
    """The whole folder is another one."""
    new = server.directory / "new"
    new.mkdir()
    write_pair(new, certificate)
    server.live.rename(server.directory / "former")
    new.rename(server.live)


@pytest.mark.parametrize("config, prepare, replace", [
    pytest.param(config, prepare, replace, id=f"{kind}-{replace.__name__}")
    for kind, config, ways in (
        ("files", PAIR, [(plain, write_over), (plain, rename_over), (plain, delete_and_create), (plain, switch_folder),
                         (certbot, switch_links), (volume, switch_volume)]),
        ("folder", FOLDER, [(plain, rename_over), (certbot, switch_links), (volume, switch_volume)]))
    for prepare, replace in ways])
def test_replaced(serve, config, prepare, replace):
    server = serve(config, prepare)
    second = server.authority.issue("test.example")
    load = Handshakes(server.usher.port, server.context)
    load.progress()
    replace(server, second)
    server.wait_for(second)
    load.progress()
    assert load.end() == {server.first.serial, second.serial}


# --- What is not taken


def replace_file(path, content):
    scratch = path.with_name(path.name + "~")
    scratch.write_bytes(content)
    os.replace(scratch, path)


@pytest.mark.parametrize("broken", [b"", b"no certificate\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
                         ids=["empty", "text", "cut"])
def test_broken_certificate(serve, broken):
    server = serve(PAIR, plain)
    load = Handshakes(server.usher.port, server.context)
    replace_file(server.live / "site.pem", broken)
    server.usher.wait_for_error(NOT_TAKEN)
    # The same words as `check` has for it.
    checked = run_command("check", server.usher.path)
    assert checked.returncode == 1
    reason = next(line for line in checked.stderr.splitlines() if "site.pem" in line and "cannot" in line)
    assert reason.split("site.pem", 1)[1] in server.usher.stderr
    assert server.serial() == server.first.serial
    load.progress()
    # Once for each change, however long it stays broken.
    time.sleep(4)
    assert server.count("are not taken") == 1
    # A worker that takes over has the certificate that ruled last.
    load.end()
    worker = server.usher.workers()[0]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: server.usher.workers() not in ([], [worker]), "another worker")
    assert server.serial() == server.first.serial
    # And the next change is taken.
    second = server.authority.issue("test.example")
    rename_over(server, second)
    server.wait_for(second)


def test_certificate_before_its_key(serve):
    server = serve(PAIR, plain)
    second = server.authority.issue("test.example")
    load = Handshakes(server.usher.port, server.context)
    replace_file(server.live / "site.pem", second.chain_pem)
    server.usher.wait_for_error(NOT_TAKEN)
    load.progress()
    assert server.serial() == server.first.serial
    assert "is not that of the certificate" in server.usher.stderr
    replace_file(server.live / "site.key", second.key_pem)
    server.wait_for(second)
    assert load.end() == {server.first.serial, second.serial}


def test_removed_and_back(serve):
    server = serve(PAIR, plain)
    second = server.authority.issue("test.example")
    (server.live / "site.key").unlink()
    server.usher.wait_for_error(NOT_TAKEN)
    assert "No such file" in server.usher.stderr
    assert server.serial() == server.first.serial
    write_pair(server.live, second)
    server.wait_for(second)


def test_half_edited_configuration_is_left_alone(serve):
    """A new certificate is no reason to take the configuration that somebody is working on."""
    server = serve(PAIR, plain)
    second, third = server.authority.issue("test.example"), server.authority.issue("test.example")
    whole = server.usher.path.read_text()
    server.usher.path.write_text(whole.replace("body: ok", "body: other"))
    rename_over(server, second)
    server.wait_for(second)
    server.usher.path.write_text(whole[:len(whole) // 2] + "{")
    rename_over(server, third)
    server.wait_for(third)
    with server.connect() as client:
        assert client.ask().body == b"ok"
    assert " error: " not in server.usher.stderr


def test_touched_is_not_replaced(serve):
    """Nor is a file that is written with what it held; the worker hears nothing of either."""
    server = serve(PAIR, plain)
    os.utime(server.live / "site.pem")
    write_pair(server.live, server.first)
    time.sleep(4)
    assert server.count("took the") == 0
    second = server.authority.issue("test.example")
    rename_over(server, second)
    server.wait_for(second)


# --- What else is watched


def test_one_more_in_the_folder(serve):
    server = serve(FOLDER, plain)
    other = server.authority.issue("other.example")
    write_pair(server.live, other, "other")
    server.wait_for(other, "other.example")
    assert server.serial() == server.first.serial


def test_gone_from_the_folder(serve):
    server = serve(FOLDER, plain)
    both = server.authority.issue("test.example", "other.example")
    write_pair(server.live, both, "both")
    server.wait_for(both, "other.example")
    for end in ("pem", "key"):
        (server.live / f"site.{end}").unlink()
    server.wait_for(both)


def test_revocation_list(serve, authority):
    """Who is revoked while usher runs gets in no more."""
    visitor = authority.issue("visitor@test.example", purpose="client")
    other = authority.issue("other@test.example", purpose="client")

    def prepare(server):
        plain(server)
        shutil.copy(authority.ca, server.live / "ca.pem")
        shutil.copy(authority.revoke(other), server.live / "list.pem")

    server = serve(CONFIG % ("{certificate: $LIVE/site.pem, key: $LIVE/site.key, client_certificate: "
                             "{mode: required, ca: $LIVE/ca.pem, crl: $LIVE/list.pem}}"), prepare)
    context = authority.trusting(certificate=visitor)

    def gets_in():
        # In TLS 1.3 a client hears of it only after its own side is done.
        try:
            with server.connect(context=context) as client:
                return client.ask().status == 200
        except (ssl.SSLError, OSError, EOFError, AssertionError):
            return False

    assert gets_in()
    os.replace(shutil.copy(authority.revoke(visitor), server.live / "list.new"), server.live / "list.pem")
    eventually(lambda: not gets_in(), "the visitor to be refused", 60 + PATIENCE)


# --- Reloads


def test_reload_takes_them_at_once(serve):
    server = serve(PAIR, plain)
    for _ in range(3):
        second = server.authority.issue("test.example")
        rename_over(server, second)
        server.usher.reload()
        assert server.serial() == second.serial


def test_reload_with_a_broken_one_changes_nothing(serve):
    server = serve(PAIR, plain)
    done = run_command("reload", "-c", server.usher.path, env={"XDG_RUNTIME_DIR": server.usher.directory})
    assert done.returncode == 0, done.stderr
    replace_file(server.live / "site.key", b"no key\n")
    done = run_command("reload", "-c", server.usher.path, env={"XDG_RUNTIME_DIR": server.usher.directory})
    assert done.returncode == 1
    assert "site.key" in done.stderr
    assert server.serial() == server.first.serial


def test_nothing_is_left_open(serve):
    """Neither descriptors nor watches pile up, in master or worker."""
    server = serve(PAIR, plain)

    def descriptors():
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (server.usher.pid, *server.usher.workers())]

    def replace():
        certificate = server.authority.issue("test.example")
        rename_over(server, certificate)
        server.wait_for(certificate)

    replace()
    eventually(lambda: server.count("took the") == 1)
    before = descriptors()  # perhaps with one for the client that has just left: fewer than one for each replacement
    for _ in range(4):
        replace()
    eventually(lambda: all(now <= was for now, was in zip(descriptors(), before)), f"no more descriptors than {before}")


# --- What is said


def check(directory, certificate, key):
    path = directory / "usher.yaml"
    path.write_text("listen: [{address: \"unix:" + str(directory / "socket") + "\", tls: true}]\n"
                    "sites: [{host: test.example, respond: 204, tls: {certificate: " + str(certificate) + ", key: " + str(key) + "}}]\n")
    return run_command("check", path)


def test_check_warns(authority, tmp_path):
    soon, late = authority.issue("test.example", days=(-80, 10)), authority.issue("test.example", days=(-80, -1))
    elsewhere = authority.issue("other.example")
    for certificate, words in ((soon, "expires in"), (late, "HAS EXPIRED"), (elsewhere, "test.example")):
        done = check(tmp_path, certificate.chain, certificate.key)
        assert done.returncode == 0, done.stderr
        assert "usher.yaml:2:" in done.stderr and "warning: " in done.stderr and words in done.stderr
    good = authority.issue("test.example")
    done = check(tmp_path, good.chain, good.key)
    assert done.returncode == 0 and done.stderr == ""
    good.key.chmod(0o644)
    done = check(tmp_path, good.chain, good.key)
    assert done.returncode == 0
    assert "warning: everybody on this machine may read the private key" in done.stderr


def test_keys_are_not_told(serve):
    """Whatever is wrong with a key, no line of it is in the log."""
    server = serve(PAIR, plain)
    second = server.authority.issue("test.example")
    lines = second.key_pem.splitlines()
    for broken in (lines[:-1], lines[:1] + lines[2:], lines[1:]):
        before = server.count("are not taken")
        replace_file(server.live / "site.key", b"\n".join(broken))
        server.usher.wait_for_error(NOT_TAKEN, before + 1)
    log = server.usher.stderr
    assert not any(line.decode() in log for line in lines[1:-1])


def test_expired_at_start_serves_all_the_same(stage, authority):
    """A certificate that has expired is for the client to refuse: a worker that is replaced must not fail for it."""
    late = authority.issue("test.example", days=(-80, -1))
    usher = stage.usher(CONFIG % f"{{certificate: {late.chain}, key: {late.key}}}")
    assert "HAS EXPIRED" in usher.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with TlsClient(usher.port, context) as client:
        assert client.serial == late.serial
