"""usher as a daemon: stopping, signals, logs, the PID file, privileges, systemd."""

import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from support import wire
from support.refusal import echoed
from support.usher import BINARY, environment, eventually, free_port, run_command

PROXY = """
listen: "127.0.0.1:$PORT"
access_log: off
%s
proxy: $ORIGIN
"""


def slow_script(go):
    def script(connection):
        while (request := connection.read_request()) is not None:
            if request.target == "/slow":
                assert go.wait(60)
            connection.answer(request.target)
    return script


def test_drain_finishes_what_is_under_way(stage):
    go = threading.Event()
    origin = stage.origin(slow_script(go))
    usher = stage.usher(PROXY % "", ORIGIN=origin)
    with usher.connect() as slow, usher.connect() as idle:
        assert idle.ask("GET", "/fast").body == b"/fast"
        slow.request("GET", "/slow")
        origin.wait_until(lambda: "/slow" in origin.targets(), "the slow request")
        usher.signal(signal.SIGTERM)
        idle.expect_closed()
        assert usher.process.poll() is None
        go.set()
        response = slow.response()
        assert response.body == b"/slow"
        assert "close" in response.tokens("connection")
        slow.expect_closed()
    assert usher.process.wait(30) == 0


def test_drain_refuses_new_connections(stage):
    go = threading.Event()
    origin = stage.origin(slow_script(go))
    usher = stage.usher(PROXY % "", ORIGIN=origin)
    with usher.connect() as slow:
        slow.request("GET", "/slow")
        origin.next_request()
        usher.signal(signal.SIGTERM)

        def refused():
            try:
                socket.create_connection(("127.0.0.1", usher.port), 1).close()
                return False
            except OSError:
                return True
        eventually(refused, "the port to be closed")
        go.set()
        assert slow.response().body == b"/slow"


def test_drain_has_a_deadline(stage):
    go = threading.Event()
    origin = stage.origin(slow_script(go))
    usher = stage.usher(PROXY % "drain: 500ms", ORIGIN=origin)
    with usher.connect() as slow:
        slow.request("GET", "/slow")
        origin.next_request()
        usher.signal(signal.SIGTERM)
        assert usher.process.wait(30) == 0
    go.set()


def test_second_signal_ends_at_once(stage):
    go = threading.Event()
    origin = stage.origin(slow_script(go))
    usher = stage.usher(PROXY % "drain: 60s", ORIGIN=origin)
    with usher.connect() as slow, usher.connect() as idle:
        idle.ask("GET", "/fast")
        slow.request("GET", "/slow")
        origin.wait_until(lambda: "/slow" in origin.targets(), "the slow request")
        usher.signal(signal.SIGTERM)
        idle.expect_closed()
        usher.signal(signal.SIGTERM)
        assert usher.process.wait(20) == 0
    go.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_that_end(stage, number):
    usher = stage.usher(PROXY % "", ORIGIN=stage.origin())
    usher.get()
    usher.signal(number)
    assert usher.process.wait(30) == 0


def test_stop_command(stage):
    usher = stage.usher(PROXY % "", ORIGIN=stage.origin())
    done = run_command("stop", "-c", usher.path, env={"XDG_RUNTIME_DIR": usher.environment["XDG_RUNTIME_DIR"]})
    assert done.returncode == 0, done.stderr
    assert usher.process.wait(30) == 0


def test_logs_are_reopened(stage):
    usher = stage.usher((PROXY % "").replace("access_log: off", "access_log: access.log"), ORIGIN=stage.origin())
    usher.get("/before")
    usher.log_lines(count=1)
    os.rename(usher.directory / "access.log", usher.directory / "old.log")
    usher.signal(signal.SIGUSR1)
    eventually(lambda: (usher.directory / "access.log").exists(), "the new log")
    usher.get("/after")
    assert "/after" in usher.log_lines(count=1)[0]
    assert "/after" not in (usher.directory / "old.log").read_text()
    assert "/before" in (usher.directory / "old.log").read_text()


def test_log_is_complete_at_the_end(stage):
    usher = stage.usher((PROXY % "").replace("access_log: off", "access_log: access.log"), ORIGIN=stage.origin())
    for number in range(500):
        usher.get(f"/{number}")
    usher.stop()
    assert len(usher.log_lines(count=500)) == 500


def test_pid_file(stage):
    usher = stage.usher(PROXY % "pid_file: usher.pid", ORIGIN=stage.origin())
    path = usher.directory / "usher.pid"
    assert path.read_text().strip() == str(usher.pid)
    usher.stop()
    assert not path.exists()


def test_no_pid_file_unless_asked_for(stage):
    usher = stage.usher(PROXY % "", ORIGIN=stage.origin())
    usher.get()
    assert not list(usher.directory.glob("*.pid"))


# --- Starts that fail


def test_bad_configuration_does_not_start(tmp_path):
    path = tmp_path / "usher.yaml"
    path.write_text("listen: nonsense\nprxy: x\n")
    done = run_command("run", "-c", path)
    assert done.returncode == 1
    assert 'did you mean "proxy"' in done.stderr


def test_missing_configuration_does_not_start(tmp_path):
    done = run_command("run", "-c", tmp_path / "nothing.yaml")
    assert done.returncode == 1
    assert "nothing.yaml" in done.stderr


def test_address_in_use_does_not_start(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = tmp_path / "usher.yaml"
        path.write_text(f'listen: "127.0.0.1:{port}"\nrespond: 204\n')
        done = run_command("run", "-c", path)
    assert done.returncode == 1
    assert re.search(rf"(?i){port}.*in use", done.stderr)


# --- Privileges


@pytest.fixture
def as_root():
    if os.getuid() != 0:
        # Not skipped: without root there is nothing to drop, and that is what is asserted.
        return False
    return True


def test_privileges_are_dropped(stage, as_root):
    if not as_root:
        usher = stage.usher(PROXY % "", ORIGIN=stage.origin())
        assert usher.get().status == 200
        return
    usher = stage.usher(PROXY % "user: nobody", ORIGIN=stage.origin())
    assert usher.get().status == 200
    status = pathlib.Path(f"/proc/{usher.workers()[0]}/status").read_text()
    nobody = pwd.getpwnam("nobody")
    assert re.search(r"^Uid:\s*(.*)$", status, re.MULTILINE).group(1).split() == [str(nobody.pw_uid)] * 4
    assert re.search(r"^Gid:\s*(.*)$", status, re.MULTILINE).group(1).split() == [str(nobody.pw_gid)] * 4
    assert re.search(r"^Groups:[ \t]*(.*)$", status, re.MULTILINE).group(1).split() in ([], [str(nobody.pw_gid)])
    assert re.search(r"^NoNewPrivs:\s*1$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE)


def test_worker_without_rights_survives_reload_and_rotation(stage, as_root):
    if not as_root:
        return
    usher = stage.usher((PROXY % "user: nobody").replace("access_log: off", "access_log: access.log"), ORIGIN=stage.origin())
    os.chmod(usher.directory, 0o700)
    os.chmod(usher.path, 0o600)
    usher.get("/one")
    usher.reload()
    usher.get("/two")
    usher.log_lines(count=2)
    os.rename(usher.directory / "access.log", usher.directory / "old.log")
    usher.signal(signal.SIGUSR1)
    eventually(lambda: (usher.directory / "access.log").exists(), "the new log")
    usher.get("/three")
    assert "/three" in usher.log_lines(count=1)[0]
    os.kill(usher.workers()[0], signal.SIGKILL)
    assert usher.get("/four").status == 200
    assert "/four" in usher.log_lines(count=2)[1]


# --- systemd


def test_systemd_is_told(stage, tmp_path):
    """Type=notify: READY, RELOADING with its time, READY again, STOPPING (sd_notify(3))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = str(tmp_path / "notify")
        manager.bind(address)
        os.chmod(address, 0o777)
        manager.settimeout(30)
        said = []

        def hear(pattern):
            while not any(re.search(pattern, text, re.MULTILINE) for text in said):
                said.append(manager.recv(4096).decode())
            return next(text for text in said if re.search(pattern, text, re.MULTILINE))

        usher = stage.usher(PROXY % "", env={"NOTIFY_SOCKET": address}, ORIGIN=stage.origin())
        hear(r"^READY=1$")
        said.clear()
        usher.reload()
        assert re.search(r"^MONOTONIC_USEC=\d+$", hear(r"^RELOADING=1$"), re.MULTILINE)
        hear(r"^READY=1$")
        usher.signal(signal.SIGTERM)
        hear(r"^STOPPING=1$")
        assert usher.process.wait(30) == 0


# --- Command `proxy`


def test_proxy_command(stage):
    origin = stage.origin()
    usher = stage.usher("", arguments=["proxy", "127.0.0.1:$PORT", origin.address], serving=False)
    assert echoed(usher.get("/x"))["target"] == "/x"


def test_proxy_command_balances(stage):
    origins = [stage.origin() for _ in range(3)]
    targets = [origin.address for origin in origins]
    usher = stage.usher("", arguments=["proxy", "127.0.0.1:$PORT", *targets], serving=False)
    with usher.connect() as client:
        for number in range(30):
            client.ask("GET", f"/{number}")
    assert all(len(origin.requests) >= 5 for origin in origins)


def test_demo_origin():
    port = free_port()
    with subprocess.Popen([BINARY, "demo-origin", f"127.0.0.1:{port}", "--name", "one"], env=environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            def ask():
                try:
                    with socket.create_connection(("127.0.0.1", port), 5) as client:
                        client.settimeout(30)
                        client.sendall(wire.head("GET /x HTTP/1.1", "Host: a.example"))
                        return wire.read_response(wire.Reader(client.recv))
                except ConnectionRefusedError:
                    return None
            response = eventually(ask, "the demo origin")
            assert response.status == 200
            assert b"one" in response.body
        finally:
            process.terminate()
            code = process.wait(30)
        assert code == 0, process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM])
def test_signals_while_it_starts(stage, number):
    """The ports listen already, the worker does not serve yet."""
    for _ in range(5):
        usher = stage.usher(PROXY % "", serving=False, ORIGIN=stage.origin())
        usher.signal(number)
        if number == signal.SIGTERM:
            assert usher.process.wait(30) == 0
        else:
            assert usher.get().status == 200


def test_starts_and_stops_quickly(stage):
    started = time.monotonic()
    usher = stage.usher(PROXY % "", ORIGIN=stage.origin())
    usher.get()
    usher.stop()
    assert time.monotonic() - started < 20
