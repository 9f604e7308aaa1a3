"""usher itself, as a process: started with a configuration, stopped, and held to account."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from support import language
from support.client import PATIENCE, RawClient

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("USHER", ROOT / "build-san/usher")).resolve()

SANITIZERS = {
    # Without a quarantine of its usual size: tests look at the memory that usher needs.
    "ASAN_OPTIONS": "exitcode=99:detect_stack_use_after_return=0:quarantine_size_mb=8:allocator_release_to_os_interval_ms=100",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
}
REPORT = re.compile(r"Sanitizer|runtime error:|check failed|core dumped|Segmentation fault")


def environment(**more):
    base = {key: value for key, value in os.environ.items() if not key.startswith(("USHER", "NOTIFY_SOCKET"))}
    return {**base, **SANITIZERS, **{key: str(value) for key, value in more.items()}}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(condition, what="a condition", seconds=PATIENCE):
    """Waits until condition() is true, and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.01)


def stalled(counter):
    """Waits until the number in counter[0] has not grown for half a second, and returns it."""
    last, since = -1, time.monotonic()

    def quiet():
        nonlocal last, since
        if counter[0] != last:
            last, since = counter[0], time.monotonic()
        return time.monotonic() - since > 0.5
    eventually(quiet, "the sender to stall")
    return last


def run_command(*arguments, stdin=None, cwd=None, env=None, timeout=120):
    """A command of usher that ends by itself."""
    done = subprocess.run([BINARY, *map(str, arguments)], input=stdin, capture_output=True, text=True, cwd=cwd,
                          env=environment(**(env or {})), timeout=timeout, check=False)
    assert not REPORT.search(done.stderr), done.stderr
    return done


class Usher:
    """A running usher. $PORT, $PORT2, ... in the configuration become free ports."""

    def __init__(self, directory, config, env=None, arguments=None, values=None, serving=True, descriptors=None):
        self.directory = pathlib.Path(directory)
        self.path = self.directory / "usher.yaml"
        # Of its own, so that several can run side by side.
        self.environment = environment(XDG_RUNTIME_DIR=self.directory, **(env or {}))
        self.arguments = arguments
        self.wrapper = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
        self.values = {key: str(value) for key, value in (values or {}).items()}
        self.ports = {}
        self.process = None
        self.stopped = False
        try:
            self.start(config, serving)
        except BaseException:
            self.kill()
            raise

    def start(self, config, serving):
        """Launches it, once more when a port that was free has been taken meanwhile."""
        for attempt in range(5):
            self.ports = {}
            self.write(config)
            self.launch()
            if self.wait_until_up():
                if serving:
                    self.wait_until_serving()
                return
            self.process.wait()
            assert attempt < 4 and re.search(r"(?i)in use", self.stderr), (
                f"usher ended with {self.process.returncode} before it answered:\n{self.stderr}")

    def fill(self, text):
        def value(match):
            name = match.group(1)
            if name in self.values:
                return self.values[name]
            if re.fullmatch(r"PORT\d*", name):
                return str(self.ports.setdefault(name, free_port()))
            return match.group()
        return re.sub(r"\$([A-Z][A-Z0-9_]*)", value, text)

    def write(self, config):
        """Writes the configuration whole: a reader sees the old one or the new one."""
        new = self.path.with_suffix(".new")
        new.write_text(self.fill(config))
        os.replace(new, self.path)

    def launch(self):
        arguments = [self.fill(str(word)) for word in (self.arguments or ["run", "-c", self.path])]
        with open(self.directory / "stdout", "wb") as out, open(self.directory / "stderr", "wb") as err:
            self.process = subprocess.Popen([*self.wrapper, BINARY, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            cwd=self.directory, env=self.environment, start_new_session=True)

    def wait_until_up(self):
        """False when it ended instead."""
        end = time.monotonic() + PATIENCE
        waiting = list(self.ports.values())
        while waiting:
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < end, f"usher does not listen on {waiting}:\n{self.stderr}"
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", waiting[0]), 1).close()
                waiting.pop(0)
                continue
            time.sleep(0.01)
        return True

    def wait_until_serving(self):
        """The ports listen before there is a worker; from here on there is one."""
        self.wait_for_error(language.SERVING)

    # --- what it said

    @property
    def stderr(self):
        return (self.directory / "stderr").read_text(errors="replace")

    @property
    def stdout(self):
        return (self.directory / "stdout").read_text(errors="replace")

    def wait_for_error(self, pattern, count=1):
        """Waits until its error output has (so many) matches, and returns the last one."""
        return eventually(lambda: len(found := list(re.finditer(pattern, self.stderr))) >= count and found[-1],
                          f"{pattern!r} in stderr; it has:\n{self.stderr[-2000:]}")

    def log_lines(self, name="access.log", count=1):
        """The lines of a log in its directory; waits until there are so many."""
        path = self.directory / name

        def lines():
            text = path.read_text() if path.exists() else ""
            found = [line for line in text.split("\n")[:-1] if line]
            return found if len(found) >= count else None
        return eventually(lines, f"{count} lines in {name}")

    def log_records(self, name="access.log", count=1):
        return [json.loads(line) for line in self.log_lines(name, count)]

    # --- talking to it

    @property
    def port(self):
        return self.ports["PORT"]

    def connect(self, port=None, **more):
        return RawClient(port or self.port, **more)

    def ask(self, method="GET", target="/", *fields, port=None, **more):
        """One request on a connection of its own."""
        with self.connect(port) as client:
            return client.ask(method, target, *fields, **more)

    def get(self, target="/", *fields, **more):
        return self.ask("GET", target, *fields, **more)

    # --- processes

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        try:
            text = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except OSError:
            return []
        return [int(word) for word in text.split()]

    def resident_bytes(self):
        total = 0
        for pid in [self.pid, *self.workers()]:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += int(re.search(r"VmRSS:\s*(\d+)", status).group(1)) * 1024
        return total

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, config=None):
        """Loads the configuration anew, and returns when it rules."""
        if config is not None:
            self.write(config)
        before = len(re.findall(language.RELOADED, self.stderr))
        self.signal(signal.SIGHUP)
        self.wait_for_error(language.RELOADED, before + 1)

    def stop(self, expect=0):
        """Ends it, and asserts that it ended well and left nothing behind."""
        if self.stopped:
            return
        self.stopped = True
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"usher did not end within {PATIENCE} s of SIGTERM:\n{self.stderr[-3000:]}") from None
        left = self.group_is_alive()
        if left:
            self.kill()
        assert not REPORT.search(self.stderr), self.stderr[-6000:]
        assert code == expect, f"usher ended with {code}:\n{self.stderr[-3000:]}"
        assert not left, "processes of usher were left running"

    def group_is_alive(self):
        """Whether any process of it goes on; one that is just ending gets a moment."""
        for _ in range(200):
            try:
                os.killpg(self.process.pid, 0)
            except OSError:
                return False
            time.sleep(0.01)
        return True

    def kill(self):
        if not self.process:
            return
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
