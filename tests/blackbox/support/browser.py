"""Chromium, which trusts the tests' authority; and what a person does in its page, by its debugging protocol."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import urllib.request

import pytest
import websockets

from support.client import PATIENCE
from support.usher import eventually


@pytest.fixture
def browse(authority, tmp_path):
    """A function: Chromium, which trusts the tests' authority, opens a page and stays until the test is over."""
    home = tmp_path / "home"
    store = home / ".pki/nssdb"
    store.mkdir(parents=True)
    for arguments in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "tests", "-i", authority.ca]):
        subprocess.run(["certutil", "-d", f"sql:{store}", *map(str, arguments)], check=True, capture_output=True, timeout=PATIENCE)
    started = []

    def start(url):
        with open(tmp_path / "chromium.log", "ab") as log:
            started.append(subprocess.Popen(
                ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-breakpad",
                 "--no-proxy-server", "--remote-debugging-port=0", "--host-resolver-rules=MAP test.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                 f"--user-data-dir={tmp_path / 'profile'}", url],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}))
        return tmp_path / "chromium.log"
    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


class Page:
    """The page that a browser started by `browse` shows."""

    def __init__(self, log):
        self.numbers = itertools.count(1)
        self.log = log
        port_file = log.parent / "profile/DevToolsActivePort"
        eventually(lambda: port_file.exists() and port_file.read_text().count("\n") >= 1, "Chromium's debugging port", 120)
        self.port = int(port_file.read_text().splitlines()[0])
        self.url = eventually(self.find, "a page", 120)

    def find(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json/list", timeout=PATIENCE) as answer:
            pages = [each for each in json.load(answer) if each["type"] == "page"]
        return pages[0]["webSocketDebuggerUrl"] if pages else None

    async def ask(self, expression):
        async with websockets.connect(self.url, max_size=None) as socket:
            number = next(self.numbers)
            await socket.send(json.dumps({"id": number, "method": "Runtime.evaluate",
                                          "params": {"expression": expression, "returnByValue": True, "awaitPromise": True}}))
            while True:
                answer = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
                if answer.get("id") == number:
                    return answer["result"]["result"].get("value")

    def run(self, expression):
        """The value of an expression of JavaScript in the page; None while it is being left."""
        try:
            return asyncio.run(self.ask(expression))
        except (KeyError, OSError, asyncio.TimeoutError, websockets.WebSocketException):
            return None

    def wait_for(self, expression, what):
        return eventually(lambda: self.run(expression), what, 60)
