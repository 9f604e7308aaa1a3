"""The gRPC implementation of npm's @grpc/grpc-js, as a server and as a client of usher."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess

from support.usher import ROOT

SCRIPTS = ROOT / "tests/blackbox/grpc"
INSTALLED = ROOT / "build-grpc"


def environment():
    """Installs what package-lock.json names, once, and returns the environment in which scripts find it."""
    INSTALLED.mkdir(exist_ok=True)
    with open(INSTALLED / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256((SCRIPTS / "package-lock.json").read_bytes()).hexdigest()
        stamp = INSTALLED / "installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(SCRIPTS / name, INSTALLED)
            done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=INSTALLED, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=170, check=False)
            assert done.returncode == 0, f"npm ci failed:\n{done.stdout}"
            stamp.write_text(wanted)
    return {**os.environ, "NODE_PATH": str(INSTALLED / "node_modules")}


class GrpcServer:
    def __init__(self, certificate=None):
        arguments = [certificate.chain, certificate.key] if certificate else []
        self.process = subprocess.Popen(["node", SCRIPTS / "server.js", *arguments], env=environment(), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line.strip().isdigit(), f"the gRPC server did not start: {line!r}"
        self.port = int(line)
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"{'h2' if certificate else 'h2c'}://{self.address}"

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.process.stdout.close()


def start_scenario(name, port, ca=None, server_name="test.example"):
    """A client that is under way; its standard input may be what ends it."""
    arguments = [name, f"127.0.0.1:{port}", server_name] + ([ca] if ca else [])
    return subprocess.Popen(["node", SCRIPTS / "client.js", *map(str, arguments)], env=environment(), text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def scenario(name, port, ca=None, server_name="test.example"):
    """What a client saw in one of the scenarios of client.js."""
    with start_scenario(name, port, ca, server_name) as process:
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{name} did not end: {out} {err}") from None
    assert process.returncode == 0, f"{name}: {out} {err}"
    return json.loads(out)
