"""The PROXY protocol, versions 1 and 2, of balancers in front of usher."""

import ipaddress
import socket
import ssl
import struct
import time

import pytest

from support import wire
from support.client import RawClient
from support.h2 import H2Client
from support.usher import eventually

CONFIG = """
listen:
  - {address: "127.0.0.1:$PORT", proxy_protocol: [127.0.0.0/31]}
  - {address: "127.0.0.1:$PORT2", tls: true, proxy_protocol: [127.0.0.1]}
  - {address: "127.0.0.1:$PORT3", h2c: true, proxy_protocol: [127.0.0.1]}
tls: {certificate: $CERTIFICATE, key: $KEY, redirect: false}
timeouts: {header: 2s}
access: {allow: [192.0.2.0/24, "2001:db8::/32"]}
proxy: $ORIGIN
"""
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"


def v2(client="192.0.2.7", command=1, more=b"", family=None, transport=1):
    address = ipaddress.ip_address(client)
    family = family if family is not None else 1 if address.version == 4 else 2
    body = address.packed + bytes(len(address.packed)) + struct.pack(">HH", 56324, 443) + more
    return SIGNATURE + bytes([0x20 | command, family << 4 | transport]) + struct.pack(">H", len(body)) + body


@pytest.fixture(scope="module")
def balanced(shared, authority):
    certificate = authority.issue("test.example")
    origin = shared.origin()
    usher = shared.usher(CONFIG, ORIGIN=origin, CERTIFICATE=certificate.chain, KEY=certificate.key)
    usher.site = origin
    return usher


def ask(usher, header, source=None, pieces=None, fields=()):
    with RawClient(usher.port, source=source) as client:
        for piece in pieces or [header]:
            client.send(piece)
            if pieces:
                time.sleep(0.01)
        return client.ask("GET", "/", *fields)


TLVS = b"\x04\x00\x05hello" + b"\x20\x00\x05\x01\x00\x00\x00\x00"
GOOD = {"v1": V1, "v1 of IPv6": b"PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n", "v1 with a mapped address": b"PROXY TCP6 ::ffff:192.0.2.9 ::ffff:198.51.100.1 1 2\r\n",
        "v2": v2(), "v2 of IPv6": v2("2001:db8::9"), "v2 with more": v2(more=TLVS), "v2 with much more": v2(more=b"\x04\x01\xf4" + bytes(500))}


@pytest.mark.parametrize("header", GOOD.values(), ids=GOOD.keys())
def test_the_client_is_whom_the_balancer_tells(balanced, header):
    answer = ask(balanced, header)
    assert answer.status == 200
    assert balanced.site.requests[-1].get("X-Forwarded-For") in ("192.0.2.7", "2001:db8::7", "192.0.2.9", "2001:db8::9")


@pytest.mark.parametrize("header", GOOD.values(), ids=GOOD.keys())
def test_it_may_come_in_pieces(balanced, header):
    assert ask(balanced, None, pieces=[header[:1], header[1:5], header[5:20], header[20:]]).status == 200
    with RawClient(balanced.port) as client:  # with the request in the same write
        client.send(header + b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")
        assert client.response().status == 200


def test_another_client_is_another(balanced):
    assert ask(balanced, V1.replace(b"192.0.2.7", b"203.0.113.7")).status == 403
    assert ask(balanced, v2("203.0.113.7")).status == 403
    # What the client itself says in fields is hearsay as before.
    assert ask(balanced, V1.replace(b"192.0.2.7", b"203.0.113.7"), fields=["X-Forwarded-For: 192.0.2.7"]).status == 403


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", v2(command=0), v2(family=0), v2(transport=2)],
                         ids=["v1 unknown", "v1 unknown with more", "v2 local", "v2 unspecified", "v2 of datagrams"])
def test_a_balancer_that_speaks_for_itself(balanced, header):
    answer = ask(balanced, header)
    assert answer.status == 403  # 127.0.0.1 is not allowed


BAD = {"nothing of the kind": b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n", "v1 with another protocol": b"PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n", "v1 too short": b"PROXY TCP4 192.0.2.7\r\n",
       "v1 without CR": V1.replace(b"\r", b""), "v1 with a bad port": V1.replace(b"56324", b"65536"), "v1 with a zero before": V1.replace(b"56324", b"056324"), "v1 with two blanks": V1.replace(b"TCP4 ", b"TCP4  "),
       "v1 with one word more": V1.replace(b" 443", b" 443 1"), "v1 with the wrong family": V1.replace(b"192.0.2.7", b"::1"), "v1 too long": b"PROXY TCP4 " + b"1" * 120 + b"\r\n",
       "v1 with a tab": V1.replace(b" ", b"\t"), "v1 in lower case": V1.lower(), "v2 of version 1": SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12), "v2 of command 2": SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),
       "v2 too short for its family": SIGNATURE + b"\x21\x11\x00\x04" + bytes(4), "v2 too long": SIGNATURE + b"\x21\x11\xff\xff" + bytes(100), "v2 of another family": v2(family=5), "TLS": b"\x16\x03\x01\x02\x00" + bytes(20)}


@pytest.mark.parametrize("header", BAD.values(), ids=BAD.keys())
def test_what_is_no_header_ends_the_connection(balanced, header):
    before = len(balanced.site.requests)
    with RawClient(balanced.port) as client:
        client.send(header)
        with pytest.raises((wire.Ended, ConnectionError, AssertionError, wire.ProtocolError)):
            client.send(b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n")
            client.response()
    assert len(balanced.site.requests) == before
    balanced.wait_for_error("sent no PROXY header: what came is none")


def test_strangers_are_clients_themselves(balanced):
    with RawClient(balanced.port, source="127.0.0.9") as client:
        assert client.ask("GET", "/").status == 403
    with RawClient(balanced.port, source="127.0.0.9") as client:
        client.send(V1 + b"Host: test.example\r\n\r\n")
        assert client.response().status in (400, 505)


def test_a_balancer_that_says_nothing(balanced):
    count = balanced.stderr.count("it did not come in time")
    with RawClient(balanced.port) as client:
        client.send(V1[:20])
        client.expect_closed()
    eventually(lambda: balanced.stderr.count("it did not come in time") > count)
    # A look whether somebody is there is not worth a line.
    lines = balanced.stderr.count("PROXY header")
    socket.create_connection(("127.0.0.1", balanced.port)).close()
    assert ask(balanced, V1).status == 200 and balanced.stderr.count("PROXY header") == lines


def test_with_tls(balanced, authority):
    raw = socket.create_connection(("127.0.0.1", balanced.ports["PORT2"]))
    raw.sendall(v2())
    with authority.trusting().wrap_socket(raw, server_hostname="test.example") as secured:
        secured.sendall(b"GET / HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := secured.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200") and balanced.site.requests[-1].get("X-Forwarded-Proto") == "https"
    raw = socket.create_connection(("127.0.0.1", balanced.ports["PORT2"]))
    raw.settimeout(20)
    with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
        authority.trusting().wrap_socket(raw, server_hostname="test.example")


def test_with_http2(balanced):
    """By prior knowledge: the preface comes behind the header."""
    raw = RawClient(balanced.ports["PORT3"])
    raw.send(V1)
    client = H2Client(balanced.ports["PORT3"], raw=raw)
    assert client.ask("GET", "/").status == 200
    client.close()


def test_many_connections(balanced):
    clients = []
    for i in range(200):
        client = RawClient(balanced.port)
        client.send(v2(f"192.0.2.{i}"))
        client.request("GET", "/")
        clients.append(client)
    assert all(client.response().status == 200 for client in clients)
    for client in clients:
        client.close()


def test_a_stop_does_not_wait_for_headers(stage, authority):
    certificate = authority.issue("test.example")
    usher = stage.usher(CONFIG.replace("header: 2s", "header: 1h") + "drain: 1h\n", ORIGIN=stage.origin(), CERTIFICATE=certificate.chain, KEY=certificate.key)
    with RawClient(usher.port) as client:
        client.send(V1[:10])
        time.sleep(0.2)
        usher.stop()
