"""Reloads and new certificates while TLS connections go on: none is cut, no handshake fails, no request is lost."""

import threading

from support.client import PATIENCE
from support.refusal import echoed
from support.tls import TlsClient
from support.usher import eventually

CONFIG = """
listen: [{address: "127.0.0.1:$PORT", tls: true}]
access_log: off
sites:
  - host: test.example
    tls: {certificate: $LIVE/site.pem, key: $LIVE/site.key}
    routes:
      - {path: /version, respond: {status: 200, body: "%s"}}
      - {proxy: $ORIGIN}
"""


def put(folder, certificate):
    """Each file at once, the key after its certificate."""
    for name, content in (("site.pem", certificate.chain_pem), ("site.key", certificate.key_pem)):
        new = folder / f"{name}.new"
        new.write_bytes(content)
        new.chmod(0o600)
        new.rename(folder / name)


class Clients:
    """Threads that do something over and over; each returns whether to begin anew."""

    def __init__(self, actions):
        self.ending = threading.Event()
        self.failures, self.done = [], [0] * len(actions)
        self.threads = [threading.Thread(target=self.run, args=(number, action), daemon=True)
                        for number, action in enumerate(actions)]
        for thread in self.threads:
            thread.start()

    def run(self, number, action):
        try:
            while not self.ending.is_set():
                action()
                self.done[number] += 1
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(error)

    def progress(self):
        marks = list(self.done)
        eventually(lambda: self.failures or all(now > mark for now, mark in zip(self.done, marks)), "every client to get an answer")

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(PATIENCE)
        assert not self.failures, self.failures


def test_twenty_reloads_with_new_certificates(stage, authority, tmp_path):
    context = authority.trusting()
    put(tmp_path, authority.issue("test.example"))
    usher = stage.usher(CONFIG % 0, ORIGIN=stage.origin(), LIVE=tmp_path)
    lasting = [TlsClient(usher.port, context) for _ in range(3)]

    def ask_on(client):
        body = b"x" * 5000
        response = client.ask("POST", "/lasting", body=body)
        assert echoed(response)["target"] == "/lasting"
        assert "close" not in response.tokens("connection"), "connections stay open across a reload"

    def connect_and_ask():
        with TlsClient(usher.port, context) as client:
            assert echoed(client.ask("GET", "/new"))["target"] == "/new"

    actions = [lambda client=client: ask_on(client) for client in lasting] + [connect_and_ask] * 2
    clients = Clients(actions)
    for number in range(1, 21):
        certificate = authority.issue("test.example")
        put(tmp_path, certificate)
        usher.reload(CONFIG % number)
        with TlsClient(usher.port, context) as client:
            assert client.serial == certificate.serial, "when a reload is done, the new certificate is shown"
            assert client.ask("GET", "/version").body.decode() == str(number)
        clients.progress()
    clients.end()
    for client in lasting:
        assert client.ask("GET", "/version").body == b"20", "a lasting connection's requests follow the configuration"
        client.close()
    assert len(usher.workers()) == 1


def test_an_upload_and_a_download_through_certificates(stage, authority, tmp_path):
    """What is under way when a certificate is replaced, without a reload, ends as it began."""
    go = threading.Event()
    size = 300_000

    def script(connection):
        request = connection.read_head()
        if request.target == "/download":
            connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {2 * size}\r\n\r\n".encode() + b"a" * size)
            assert go.wait(120)
            connection.send(b"b" * size)
        else:
            connection.read_body(request)
            connection.answer(f"{len(request.body)}")

    context = authority.trusting()
    put(tmp_path, authority.issue("test.example"))
    usher = stage.usher(CONFIG % 0, ORIGIN=stage.origin(script), LIVE=tmp_path)
    with TlsClient(usher.port, context) as upload, TlsClient(usher.port, context) as download:
        upload.send(f"POST /upload HTTP/1.1\r\nHost: test.example\r\nContent-Length: {2 * size}\r\n\r\n".encode() + b"x" * size)
        download.request("GET", "/download")
        assert download.response_head().status == 200
        assert download.reader.exactly(size) == b"a" * size
        for number in range(1, 4):
            certificate = authority.issue("test.example")
            put(tmp_path, certificate)
            usher.wait_for_error(r"took the replaced files in \d+ ms", number)
            with TlsClient(usher.port, context) as client:
                assert client.serial == certificate.serial
        go.set()
        assert download.reader.exactly(size) == b"b" * size
        upload.send(b"x" * size)
        assert upload.response().body == str(2 * size).encode()
