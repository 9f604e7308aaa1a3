"""Reloads and killed workers: what is under way goes on, and no request fails."""

import asyncio
import os
import pathlib
import signal
import socket
import threading
import time

import pytest
import websockets

from support import wire
from support.origin import echo, named
from support.refusal import echoed
from support.usher import eventually, run_command
from support.websocket import WebSocketServer

TEXT = """
listen: "127.0.0.1:$PORT"
access_log: off
routes:
  - {path: /version, respond: {status: 200, body: "%s"}}
  - {proxy: $ORIGIN}
"""


class Load:
    """Clients in threads that ask without a pause, on connections that stay open."""

    def __init__(self, usher, clients=8):
        self.usher = usher
        self.ending = threading.Event()
        self.failures = []
        self.done = [0] * clients
        self.reconnects = 0
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        client = self.usher.connect()
        try:
            while not self.ending.is_set():
                target = f"/{number}/{self.done[number]}"
                body = b"x" * (self.done[number] % 5 * 1000)
                response = client.ask("POST" if body else "GET", target, body=body)
                assert echoed(response)["target"] == target
                if "close" in response.tokens("connection"):
                    self.reconnects += 1
                    client.close()
                    client = self.usher.connect()
                self.done[number] += 1
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(error)
        finally:
            client.close()

    def wait_for_progress(self):
        marks = list(self.done)
        eventually(lambda: self.failures or all(now > mark for now, mark in zip(self.done, marks)), "every client to get an answer")

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.failures, self.failures


def test_no_request_fails_through_a_hundred_reloads(stage):
    usher = stage.usher(TEXT % 0, ORIGIN=stage.origin())
    load = Load(usher)
    for number in range(1, 101):
        usher.reload(TEXT % number)
        assert usher.get("/version").body.decode() == str(number), "when a reload is done, the new configuration rules"
        if number % 10 == 0:
            load.wait_for_progress()
    load.end()
    assert sum(load.done) > 100
    assert load.reconnects == 0, "connections stay open across a reload"
    assert len(usher.workers()) <= 1, "and no worker stays behind"


def test_connections_stay_open(stage):
    usher = stage.usher(TEXT % 0, ORIGIN=stage.origin())
    with usher.connect() as client:
        for number in range(1, 6):
            usher.reload(TEXT % number)
            assert client.ask("GET", "/version").body.decode() == str(number)


def test_what_is_under_way_ends_as_it_began(stage):
    """An upload, a download, a slow answer, and a tunnel, each across a reload."""
    go = threading.Event()
    data = os.urandom(100_000)

    def script(connection):
        request = connection.read_head()
        if request.target == "/download":
            connection.send(wire.head("HTTP/1.1 200 OK", f"Content-Length: {2 * len(data)}") + data)
            assert go.wait(60)
            connection.send(data)
        elif request.target == "/slow":
            assert go.wait(60)
            connection.answer("slow")
        else:
            connection.read_body(request)
            connection.answer(f"{len(request.body)}")

    usher = stage.usher(TEXT % 0, ORIGIN=stage.origin(script))
    with usher.connect() as upload, usher.connect() as download, usher.connect() as slow:
        upload.send(wire.head("POST /upload HTTP/1.1", "Host: a.example", f"Content-Length: {2 * len(data)}") + data)
        download.request("GET", "/download")
        assert download.response_head().status == 200
        slow.request("GET", "/slow")
        assert download.reader.exactly(len(data)) == data
        for number in range(1, 4):
            usher.reload(TEXT % number)
        go.set()
        upload.send(data)
        assert upload.response().body.decode() == str(2 * len(data))
        assert download.reader.exactly(len(data)) == data
        assert slow.response().body == b"slow"


def test_websocket_under_way(stage):
    server = stage.add(WebSocketServer())
    usher = stage.usher(TEXT % 0, ORIGIN=server)

    async def main():
        async with websockets.connect(f"ws://127.0.0.1:{usher.port}/") as tunnel:
            for number in range(1, 11):
                await asyncio.get_running_loop().run_in_executor(None, usher.reload, TEXT % number)
                await tunnel.send(str(number))
                assert await tunnel.recv() == str(number)
    asyncio.run(main())


def test_failed_reload_changes_nothing(stage):
    usher = stage.usher(TEXT % 1, ORIGIN=stage.origin())
    with usher.connect() as client:
        assert client.ask("GET", "/version").body == b"1"
        usher.write("listen: [\nnonsense: {")
        usher.signal(signal.SIGHUP)
        usher.wait_for_error(r"usher\.yaml:\d+:\d+: ")
        usher.write((TEXT % 2).replace("respond", "repsond"))
        usher.signal(signal.SIGHUP)
        usher.wait_for_error(r'did you mean "respond"')
        assert client.ask("GET", "/version").body == b"1"
        usher.reload(TEXT % 3)
        assert client.ask("GET", "/version").body == b"3"


def test_reload_command(stage):
    usher = stage.usher(TEXT % 1, ORIGIN=stage.origin())
    usher.write(TEXT % 2)
    done = run_command("reload", "-c", usher.path, env={"XDG_RUNTIME_DIR": usher.environment["XDG_RUNTIME_DIR"]})
    assert done.returncode == 0, done.stderr
    assert usher.get("/version").body == b"2"
    usher.write((TEXT % 3).replace("respond", "repsond"))
    done = run_command("reload", "-c", usher.path, env={"XDG_RUNTIME_DIR": usher.environment["XDG_RUNTIME_DIR"]})
    assert done.returncode == 1
    assert 'did you mean "respond"' in done.stderr
    assert usher.get("/version").body == b"2"


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def test_listeners_come_and_go(stage):
    usher = stage.usher(TEXT % 1, ORIGIN=stage.origin())
    two = (TEXT % 2).replace('"127.0.0.1:$PORT"', '["127.0.0.1:$PORT", "127.0.0.1:$PORT2"]')
    usher.reload(two)
    assert usher.get("/version", port=usher.ports["PORT2"]).body == b"2"
    with usher.connect(usher.ports["PORT2"]) as client:
        assert client.ask("GET", "/version").body == b"2"
        usher.reload(TEXT % 3)
        eventually(lambda: not listens(usher.ports["PORT2"]), "the port to be given up")
        assert client.ask("GET", "/version").body == b"3", "a connection that was accepted goes on"
    assert usher.get("/version").body == b"3"


def test_connections_to_unchanged_servers_survive(stage):
    origin = stage.origin()
    usher = stage.usher((TEXT % 1).replace("access_log", "workers: 1\naccess_log"), ORIGIN=origin)
    for number in range(2, 8):
        assert usher.get(f"/{number}").status == 200
        usher.reload((TEXT % number).replace("access_log", "workers: 1\naccess_log"))
    assert usher.get("/last").status == 200
    assert len(origin.connections) == 1


def test_servers_can_be_exchanged_under_load(stage):
    origins = [stage.origin() for _ in range(2)]
    usher = stage.usher(TEXT % 0, ORIGIN=origins[0])
    load = Load(usher, clients=4)
    for number in range(1, 11):
        usher.values["ORIGIN"] = origins[number % 2].url
        usher.reload(TEXT % number)
        load.wait_for_progress()
    load.end()
    assert all(origin.requests for origin in origins)


def test_included_file_and_environment_are_read_anew(stage):
    usher = stage.usher(TEXT % 1, ORIGIN=stage.origin())
    (usher.directory / "more.yaml").write_text('routes:\n  - {respond: {status: 200, body: "included one"}}\n')
    usher.reload('listen: "127.0.0.1:$PORT"\naccess_log: off\ninclude: more.yaml\n')
    assert usher.get().body == b"included one"
    (usher.directory / "more.yaml").write_text('routes:\n  - {respond: {status: 200, body: "included two"}}\n')
    usher.reload()
    assert usher.get().body == b"included two"


# --- Killed workers


def one_worker(usher):
    return eventually(lambda: len(pids := usher.workers()) == 1 and pids[0], "a worker")


def test_killed_workers_are_replaced(stage):
    usher = stage.usher(TEXT % 1, ORIGIN=stage.origin())
    for _ in range(10):
        worker = one_worker(usher)
        os.kill(worker, signal.SIGKILL)
        # Nothing in the accept queue is lost: a connection made at this very moment is served.
        assert usher.get("/version").body == b"1"
        eventually(lambda worker=worker: worker not in usher.workers(), "the worker to be gone")
    assert usher.get("/x").status == 200


def test_port_answers_again_soon(stage):
    """Within 100 ms by itself; the sanitizers and a loaded machine get ten times that."""
    usher = stage.usher(TEXT % 1, ORIGIN=stage.origin())
    took = []
    for _ in range(5):
        os.kill(one_worker(usher), signal.SIGKILL)
        started = time.monotonic()
        assert usher.get("/version").body == b"1"
        took.append(time.monotonic() - started)
        time.sleep(0.3)
    assert sorted(took)[len(took) // 2] < 1.0, took


def test_killed_worker_after_a_failed_reload(stage):
    """The last good configuration comes back, not the file as it is now."""
    usher = stage.usher(TEXT % 1, ORIGIN=stage.origin())
    usher.reload(TEXT % 2)
    usher.write("nonsense: 1\n")
    usher.signal(signal.SIGHUP)
    usher.wait_for_error("nonsense")
    os.kill(one_worker(usher), signal.SIGKILL)
    assert usher.get("/version").body == b"2"
    usher.path.unlink()
    os.kill(one_worker(usher), signal.SIGKILL)
    assert usher.get("/version").body == b"2"


def test_worker_ends_with_its_master(stage):
    usher = stage.usher(TEXT % 1, ORIGIN=stage.origin())
    worker = one_worker(usher)
    usher.process.kill()
    usher.process.wait()
    eventually(lambda: not pathlib.Path(f"/proc/{worker}").exists() or
               " Z " in pathlib.Path(f"/proc/{worker}/stat").read_text(), "the worker to end")
    usher.stopped = True


def test_reload_and_kill_together(stage):
    usher = stage.usher(TEXT % 0, ORIGIN=stage.origin(echo))
    for number in range(1, 6):
        usher.reload(TEXT % number)
        os.kill(one_worker(usher), signal.SIGKILL)
        assert usher.get("/version").body.decode() == str(number)


@pytest.mark.parametrize("change", ["pool", "site"])
def test_new_things_work_after_a_reload(stage, change):
    usher = stage.usher(TEXT % 1, ORIGIN=stage.origin())
    added = stage.origin(named("added"))
    if change == "pool":
        usher.reload(f'listen: "127.0.0.1:$PORT"\naccess_log: off\nproxy: new\npools: {{new: {{servers: [{added.address}]}}}}\n')
    else:
        usher.reload(f'listen: "127.0.0.1:$PORT"\naccess_log: off\nsites: [{{host: test.example, proxy: "{added.url}"}}]\n')
    assert usher.get().body == b"added"
