"""Commands to a running usher, and what surrounds them: who may run, what a reload may change, sockets in files."""

import os
import re
import signal
import socket
import stat

import pytest

from support.usher import BINARY, Usher, environment, eventually, run_command

TEXT = """
listen: "127.0.0.1:$PORT"
access_log: off
respond: {status: 200, body: "%s"}
"""


def runtime(usher):
    return {"XDG_RUNTIME_DIR": usher.environment.get("XDG_RUNTIME_DIR", "")}


def command(usher, *words):
    return run_command(*words, env=runtime(usher))


def test_status(stage):
    usher = stage.usher(TEXT % 1)
    usher.wait_for_error("serving")
    done = command(usher, "status", "-c", usher.path)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said["pid"] == str(usher.pid)
    assert said["worker"] == str(usher.workers()[0])
    assert said["listen"].split() == [f"127.0.0.1:{usher.port}"] * 2


def test_status_of_nobody(stage, tmp_path):
    path = tmp_path / "usher.yaml"
    path.write_text("respond: 204\n")
    done = run_command("status", "-c", path, env={"XDG_RUNTIME_DIR": tmp_path})
    assert done.returncode == 1
    assert "no usher of yours runs" in done.stderr
    assert run_command("status", "-c", tmp_path / "nothing.yaml").returncode == 1


def test_only_one_runs_with_a_configuration(stage):
    usher = stage.usher(TEXT % 1)
    done = command(usher, "run", "-c", usher.path)
    assert done.returncode == 1
    assert "runs already" in done.stderr
    assert usher.get().body == b"1"
    assert command(usher, "reload", "-c", usher.path).returncode == 0


def test_control_socket_of_ones_own(stage, tmp_path):
    path = tmp_path / "control"
    usher = stage.usher(TEXT % 1, arguments=["run", "-c", "usher.yaml", "--control", path])
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    usher.write(TEXT % 2)
    done = command(usher, "reload", "--control", path)
    assert done.returncode == 0, done.stderr
    assert usher.get().body == b"2"
    assert command(usher, "stop", "--control", path).returncode == 0
    assert usher.process.wait(30) == 0
    assert not path.exists()


def test_socket_of_a_killed_usher_is_in_nobodys_way(stage):
    usher = stage.usher(TEXT % 1)
    usher.kill()
    assert not usher.group_is_alive()
    usher.launch()
    assert usher.wait_until_up()
    assert usher.get().body == b"1"
    assert command(usher, "reload", "-c", usher.path).returncode == 0


def test_check_while_it_runs(stage):
    """Its own addresses are in use, but not by a stranger."""
    usher = stage.usher(TEXT % 1)
    done = command(usher, "check", usher.path)
    assert done.returncode == 0, done.stderr
    other = usher.directory / "other.yaml"
    other.write_text(usher.path.read_text())
    done = command(usher, "check", other)
    assert done.returncode == 1
    assert re.search(rf"other\.yaml:\d+:\d+: .*{usher.port}.*in use", done.stderr)


def test_check_of_log_files(stage, tmp_path):
    path = tmp_path / "usher.yaml"
    path.write_text('listen: "127.0.0.1:0"\naccess_log: missing/access.log\nrespond: 204\n')
    done = run_command("check", path)
    assert done.returncode == 1
    assert "missing/access.log" in done.stderr
    assert not (tmp_path / "missing").exists()


def test_check_leaves_nothing_behind(stage, tmp_path):
    path = tmp_path / "usher.yaml"
    path.write_text('listen: ["127.0.0.1:0", "unix:a.sock"]\naccess_log: access.log\npid_file: usher.pid\nrespond: 204\n')
    done = run_command("check", path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["usher.yaml"]


def test_reload_tells_what_takes_a_restart(stage):
    usher = stage.usher(TEXT.replace("access_log", "workers: 1\naccess_log") % 1)
    usher.write(TEXT.replace("access_log", "workers: 2\naccess_log") % 2)
    done = command(usher, "reload", "-c", usher.path)
    assert done.returncode == 0
    assert "workers: 2 takes effect with the next start" in done.stderr
    assert usher.get().body == b"2"


def test_reload_onto_an_address_in_use(stage):
    usher = stage.usher(TEXT % 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        usher.write(TEXT.replace('"127.0.0.1:$PORT"', f'["127.0.0.1:$PORT", "127.0.0.1:{port}"]') % 2)
        done = command(usher, "reload", "-c", usher.path)
        assert done.returncode == 1
        assert re.search(rf"usher\.yaml:\d+:\d+: cannot listen on 127\.0\.0\.1:{port}: .*in use", done.stderr)
        assert usher.get().body == b"1"
    assert command(usher, "reload", "-c", usher.path).returncode == 0
    assert usher.get().body == b"2"
    assert usher.get(port=port).body == b"2"


def test_reload_changes_the_log_file(stage):
    usher = stage.usher(TEXT.replace("off", "one.log") % 1)
    usher.get("/one")
    usher.reload(TEXT.replace("off", "two.log") % 2)
    usher.get("/two")
    assert "/two" in usher.log_lines("two.log")[0]
    assert "/one" in usher.log_lines("one.log")[0]
    usher.reload(TEXT % 3)
    assert usher.get("/three").body == b"3"


def test_reloads_leave_no_descriptors_behind(stage):
    usher = stage.usher(TEXT.replace("off", "0.log") % 0)
    usher.get()

    def count():
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in [usher.pid, *usher.workers()])
    for number in range(60):
        usher.reload(TEXT.replace("off", f"{number}.log") % number)
    before = count()
    for number in range(60, 100):
        usher.reload(TEXT.replace("off", f"{number}.log") % number)
        usher.get()
    eventually(lambda: count() <= before + 2, "descriptors to be closed")


def test_error_log(stage):
    usher = stage.usher(TEXT.replace("access_log", "error_log: errors.log\naccess_log") % 1, serving=False)
    path = usher.directory / "errors.log"
    eventually(lambda: "serving" in path.read_text(), "the first line")
    os.rename(path, usher.directory / "old.log")
    usher.signal(signal.SIGUSR1)
    eventually(lambda: path.exists() and "reopened" in path.read_text(), "the new file")


def test_stop_now(stage):
    usher = stage.usher(TEXT.replace("access_log", "drain: 60s\naccess_log") % 1)
    with usher.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a")
        assert command(usher, "stop", "--now", "-c", usher.path).returncode == 0
    assert usher.process.wait(30) == 0


def test_unix_socket(stage):
    usher = stage.usher('listen: ["127.0.0.1:$PORT", "unix:usher.sock"]\naccess_log: off\nrespond: {status: 200, body: local}\n')
    path = usher.directory / "usher.sock"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := client.recv(4096):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"local")
    usher.stop()
    assert not path.exists()


def test_reloads_asked_for_while_it_starts(tmp_path_factory):
    """None gets lost, and none is in the way of the start."""
    directory = tmp_path_factory.mktemp("usher")
    usher = Usher(directory, TEXT % 1)
    try:
        for number in range(2, 7):
            os.kill(eventually(lambda: usher.workers() and usher.workers()[0], "a worker"), signal.SIGKILL)
            usher.reload(TEXT % number)
            assert usher.get().body.decode() == str(number)
    finally:
        usher.stop()


def test_many_reloads_at_once(stage):
    usher = stage.usher(TEXT % 1)
    usher.write(TEXT % 2)
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(lambda _: command(usher, "reload", "-c", usher.path).returncode, range(16)))
    assert codes == [0] * 16
    assert usher.get().body == b"2"


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_standard_descriptors_may_be_closed(stage, closed, tmp_path):
    """What is printed must not go into a connection that got its number."""
    path = tmp_path / "start"
    path.write_text(f'#!/bin/sh\nexec {BINARY} run -c usher.yaml {closed}>&-\n')
    path.chmod(0o755)
    usher = Usher.__new__(Usher)
    usher.binary = path
    text = (TEXT % 1).replace("$PORT", "0")
    config = tmp_path / "usher.yaml"
    config.write_text(text + "pid_file: usher.pid\n")
    import subprocess
    with subprocess.Popen([str(path)], cwd=tmp_path, env=environment(XDG_RUNTIME_DIR=tmp_path), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        eventually((tmp_path / "usher.pid").exists, "the PID file")
        done = eventually(lambda: (said := run_command("status", "-c", config, env={"XDG_RUNTIME_DIR": tmp_path})).returncode
                          == 0 and said, "its status")
        port = int(re.search(r"listen \S+ 127\.0\.0\.1:(\d+)", done.stdout).group(1))
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(30)
            client.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
            answer = b""
            while data := client.recv(4096):
                answer += data
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\n1")
        process.terminate()
        assert process.wait(30) == 0
