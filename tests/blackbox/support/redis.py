"""A redis-server of the test's own, that can be stopped and started again on the same port."""

import signal
import subprocess

from support.usher import eventually, free_port

READY = "Ready to accept connections"


class Redis:
    """Keeps nothing on disk: when it is started again, it is empty."""

    def __init__(self, directory, *arguments, tls=None):
        self.port, self.directory, self.arguments, self.tls = free_port(), directory, arguments, tls
        self.process = None
        self.start()

    def start(self):
        listen = ["--port", self.port]
        if self.tls:
            listen = ["--port", "0", "--tls-port", self.port, "--tls-cert-file", self.tls.chain, "--tls-key-file", self.tls.key, "--tls-auth-clients", "no"]
        before = self.log.count(READY)
        words = [*listen, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.directory, *self.arguments]
        with open(self.directory / "redis.log", "ab") as log:
            self.process = subprocess.Popen(["redis-server", *map(str, words)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(lambda: self.log.count(READY) > before, "redis-server")

    @property
    def log(self):
        path = self.directory / "redis.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def ask(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def pause(self):
        """It goes on to listen, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(60)
