"""The gRPC implementation of npm's @grpc/grpc-js, as a server and as a client of usher."""

import json
import subprocess

from support import npm
from support.usher import ROOT

SCRIPTS = ROOT / "tests/blackbox/grpc"


class GrpcServer:
    def __init__(self, certificate=None):
        arguments = [certificate.chain, certificate.key] if certificate else []
        self.process = subprocess.Popen(["node", SCRIPTS / "server.js", *arguments], env=npm.environment("grpc"), text=True,
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
    return subprocess.Popen(["node", SCRIPTS / "client.js", *map(str, arguments)], env=npm.environment("grpc"), text=True,
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
