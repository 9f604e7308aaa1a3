"""A browser (Chromium) that knows nothing of usher: pages, uploads, redirects and WebSockets over HTTPS."""

import json

from support import wire
from support.usher import eventually
from support.websocket import WebSocketServer

RESOURCES = 100

CONFIG = """
listen: ["127.0.0.1:$PORT2", {address: "127.0.0.1:$PORT", tls: true}]
access_log: {path: access.log, format: json}
tls: {certificate: $CERTIFICATE, key: $KEY}
routes:
  - {path: /chat, proxy: $CHAT}
  - {proxy: $ORIGIN}
"""

# Tells /result what it saw, whatever happens.
PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><link rel="stylesheet" href="/style.css"><script src="/script.js"></script></head><body>
<img src="/image.svg">
<script>
function chat() {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`wss://${location.host}/chat`);
    const said = [];
    socket.onopen = () => { socket.send('hello'); socket.send('x'.repeat(100000)); };
    socket.onmessage = (event) => {
      said.push(event.data.length);
      if (said.length === 2) socket.close();
    };
    socket.onclose = (event) => resolve({ said, clean: event.wasClean });
    socket.onerror = () => reject(new Error('the WebSocket failed'));
  });
}
async function play() {
  const bodies = await Promise.all(Array.from({ length: %d }, (_, number) => fetch(`/resource/${number}`).then((r) => r.text())));
  const upload = await fetch('/upload', { method: 'POST', body: new Uint8Array(3000000) });
  const missing = await fetch('/missing');
  const early = new AbortController();
  const aborted = fetch('/endless', { signal: early.signal }).then((r) => { early.abort(); return r.text(); }).catch((e) => e.name);
  return {
    right: bodies.filter((body, number) => body === `/resource/${number}`).length,
    protocols: [...new Set(performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol))],
    upload: await upload.text(),
    missing: missing.status,
    aborted: await aborted,
    style: getComputedStyle(document.body).color,
    script: window.fromScript,
    chat: await chat(),
  };
}
window.onload = () => play().catch((error) => ({ error: String(error) }))
  .then((seen) => fetch('/result', { method: 'POST', body: JSON.stringify(seen) }));
</script></body></html>
""" % RESOURCES

FIXED = {"/": ("text/html", PAGE), "/style.css": ("text/css", "body { color: rgb(1, 2, 3) }"),
         "/script.js": ("text/javascript", "window.fromScript = 42;"),
         "/image.svg": ("image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')}


def serve(connection):
    while (request := connection.read_request()) is not None:
        if request.target in FIXED:
            kind, content = FIXED[request.target]
            connection.answer(content.encode(), ("Content-Type", kind))
        elif request.target.startswith("/resource/"):
            connection.answer(request.target)
        elif request.target == "/endless":
            connection.send(wire.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
            while True:
                connection.send(b"1000\r\n" + b"e" * 4096 + b"\r\n")
        elif request.target in ("/upload", "/result"):
            connection.answer(str(len(request.body)))
        else:
            connection.answer(b"", status="404 Not Found")


def result_of(origin, log):
    def result():
        return next((request for request in list(origin.requests) if request.target == "/result"), None)
    try:
        return json.loads(eventually(result, "the page's result", 120).body)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{log.read_text(errors='replace')[-3000:]}") from None


def test_a_page(stage, browse, authority):
    origin, chat = stage.origin(serve), stage.add(WebSocketServer())
    certificate = authority.issue("test.example")
    usher = stage.usher(CONFIG, ORIGIN=origin, CHAT=chat, CERTIFICATE=certificate.chain, KEY=certificate.key)
    # By http://, as one would type it: the redirect leads to the port of TLS.
    log = browse(f"http://test.example:{usher.ports['PORT2']}/")
    seen = result_of(origin, log)
    assert "error" not in seen, seen
    assert seen["protocols"] == ["h2"]
    assert (seen["right"], seen["upload"], seen["missing"], seen["aborted"]) == (RESOURCES, "3000000", 404, "AbortError")
    assert (seen["style"], seen["script"]) == ("rgb(1, 2, 3)", 42)
    assert seen["chat"] == {"said": [5, 100000], "clean": True}
    # The WebSocket came on the connection of the page (RFC 8441).
    record = next(each for each in usher.log_records(count=RESOURCES + 8) if "/chat" in json.dumps(each))
    assert "HTTP/2" in json.dumps(record), record
