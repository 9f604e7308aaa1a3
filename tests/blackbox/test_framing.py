"""What is refused, and what is not: RFC 9112 read strictly.

A request that two servers could read differently gets 400 and a closed connection, and
nothing of it reaches the origin.
"""

import pytest

from support.refusal import assert_refused, echoed
from support.wire import chunked


@pytest.fixture(scope="module")
def running(shared):
    origin = shared.origin()
    return shared.usher(ORIGIN=origin), origin


def post(*fields, body=b"hello"):
    lines = [b"POST / HTTP/1.1", b"Host: a.example", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(*fields, line=b"GET / HTTP/1.1", host=b"Host: a.example"):
    return b"\r\n".join([line, *([host] if host else []), *fields]) + b"\r\n\r\n"


LENGTHS = {
    "length-and-coding": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=chunked(b"hello")),
    "coding-and-length": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=chunked(b"hello")),
    "length-zero-and-coding": post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=chunked(b"hello")),
    "two-lengths-that-differ": post(b"Content-Length: 5", b"Content-Length: 6"),
    "two-lengths-the-same": post(b"Content-Length: 5", b"Content-Length: 5"),
    "list-that-differs": post(b"Content-Length: 5, 6"),
    "list-of-the-same": post(b"Content-Length: 5,5"),
    "list-with-an-empty-member": post(b"Content-Length: 5,"),
    "plus": post(b"Content-Length: +5"),
    "minus": post(b"Content-Length: -5"),
    "hexadecimal": post(b"Content-Length: 0x5"),
    "empty": post(b"Content-Length:"),
    "blank": post(b"Content-Length: \t "),
    "a-blank-inside": post(b"Content-Length: 1 0"),
    "fraction": post(b"Content-Length: 5.0"),
    "exponent": post(b"Content-Length: 5e0"),
    "quoted": post(b'Content-Length: "5"'),
    "parameter": post(b"Content-Length: 5;q=1"),
    "letters": post(b"Content-Length: five"),
    "underscore": post(b"Content-Length: 1_0"),
    "other-digits": post("Content-Length: \u0665".encode()),
    "two-to-the-63": post(b"Content-Length: 9223372036854775808"),
    "two-to-the-64": post(b"Content-Length: 18446744073709551616"),
    "two-to-the-64-and-five": post(b"Content-Length: 18446744073709551621"),
    "forty-digits": post(b"Content-Length: " + b"9" * 40),
}

CODINGS = {
    "gzip": post(b"Transfer-Encoding: gzip"),
    "identity": post(b"Transfer-Encoding: identity"),
    "gzip-then-chunked": post(b"Transfer-Encoding: gzip, chunked", body=chunked(b"hello")),
    "chunked-then-gzip": post(b"Transfer-Encoding: chunked, gzip", body=chunked(b"hello")),
    "chunked-then-identity": post(b"Transfer-Encoding: chunked, identity", body=chunked(b"hello")),
    "identity-then-chunked": post(b"Transfer-Encoding: identity, chunked", body=chunked(b"hello")),
    "chunked-twice": post(b"Transfer-Encoding: chunked, chunked", body=chunked(b"hello")),
    "two-fields": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=chunked(b"hello")),
    "two-fields-that-differ": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=chunked(b"hello")),
    "empty": post(b"Transfer-Encoding:"),
    "prefix": post(b"Transfer-Encoding: xchunked", body=chunked(b"hello")),
    "suffix": post(b"Transfer-Encoding: chunkedx", body=chunked(b"hello")),
    "parameter": post(b"Transfer-Encoding: chunked;q=1", body=chunked(b"hello")),
    "quoted": post(b'Transfer-Encoding: "chunked"', body=chunked(b"hello")),
    "vertical-tab": post(b"Transfer-Encoding: \x0bchunked", body=chunked(b"hello")),
    "form-feed": post(b"Transfer-Encoding: chunked\x0c", body=chunked(b"hello")),
    "nul": post(b"Transfer-Encoding: chunked\0", body=chunked(b"hello")),
    "non-ascii": post(b"Transfer-Encoding: chunked\xa0", body=chunked(b"hello")),
    "version-1.0": b"POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello"),
}

LINES = {
    "bare-lf-request-line": b"GET / HTTP/1.1\nHost: a.example\r\n\r\n",
    "bare-lf-field": b"GET / HTTP/1.1\r\nHost: a.example\nX: 1\r\n\r\n",
    "bare-lf-last-field": b"GET / HTTP/1.1\r\nHost: a.example\n\r\n",
    "bare-lf-at-the-end": b"GET / HTTP/1.1\r\nHost: a.example\r\n\n",
    "bare-lf-everywhere": b"GET / HTTP/1.1\nHost: a.example\n\n",
    "bare-cr-request-line": b"GET / HTTP/1.1\rHost: a.example\r\n\r\n",
    "bare-cr-in-target": b"GET /\r HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "bare-cr-in-value": get(b"X: a\rb"),
    "bare-cr-in-name": get(b"X\ra: b"),
    "bare-cr-before-crlf": get(b"X: a\r"),
    "bare-cr-as-line-end": b"GET / HTTP/1.1\r\nHost: a.example\rX: 1\r\n\r\n",
    "fold-with-blank": get(b"X: a", b" b"),
    "fold-with-tab": get(b"X: a", b"\tb"),
    "fold-of-length": get(b"Content-Length:", b" 5"),
    "fold-of-blank-line": get(b"X: a", b" "),
    "blank-before-first-field": b"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n",
    "blank-line-before-first-field": b"GET / HTTP/1.1\r\n X: 1\r\nHost: a.example\r\n\r\n",
    "blank-before-colon": get(b"X : a"),
    "tab-before-colon": get(b"X\t: a"),
    "blank-before-colon-of-length": post(b"Content-Length : 5"),
    "blank-before-colon-of-coding": post(b"Transfer-Encoding : chunked", body=chunked(b"hello")),
    "blank-before-colon-of-host": get(host=b"Host : a.example"),
    "no-colon": get(b"nonsense"),
    "no-name": get(b": value"),
    "blank-in-name": get(b"X Y: 1"),
    "blank-in-length-name": post(b"Content Length: 5"),
    "bracket-in-name": get(b"X(Y): 1"),
    "quote-in-name": get(b'X"Y": 1'),
    "slash-in-name": get(b"X/Y: 1"),
    "at-in-name": get(b"X@Y: 1"),
    "comma-in-name": get(b"X,Y: 1"),
    "non-ascii-in-name": get(b"X\xe4: 1"),
    "nul-in-name": get(b"X\0Y: 1"),
    "del-in-name": get(b"X\x7f: 1"),
}

CONTROLS = {f"control-{byte:02x}": get(b"X: a" + bytes([byte]) + b"b") for byte in [*range(9), 11, 12, *range(14, 32), 127]}

HOSTS = {
    "missing": get(host=None),
    "twice-the-same": get(b"Host: a.example"),
    "twice-that-differ": get(b"Host: b.example"),
    "twice-in-other-case": get(b"hOST: b.example"),
    "list": get(host=b"Host: a.example, b.example"),
    "blank-inside": get(host=b"Host: a b"),
    "slash": get(host=b"Host: a/b"),
    "question-mark": get(host=b"Host: a?b"),
    "hash": get(host=b"Host: a#b"),
    "user": get(host=b"Host: user@a.example"),
    "two-ports": get(host=b"Host: a.example:80:80"),
    "port-of-letters": get(host=b"Host: a.example:http"),
    "port-with-letters": get(host=b"Host: a.example:80x"),
    "port-too-large": get(host=b"Host: a.example:65536"),
    "port-negative": get(host=b"Host: a.example:-1"),
    "bracket-open": get(host=b"Host: [::1"),
    "bracket-close": get(host=b"Host: ::1]"),
    "address-without-brackets": get(host=b"Host: ::1"),
    "no-address-in-brackets": get(host=b"Host: [zz]"),
    "behind-brackets": get(host=b"Host: [::1]x"),
    "quotes": get(host=b'Host: "a.example"'),
    "angle": get(host=b"Host: <a>"),
    "backslash": get(host=b"Host: a\\b"),
    "non-ascii": get(host=b"Host: \xc3\xa4.example"),
    "nul": get(host=b"Host: a\0.example"),
    "empty-with-absolute-target": get(line=b"GET http://a.example/ HTTP/1.1", host=b"Host: a@b"),
}

TARGETS = {
    "none": get(line=b"GET HTTP/1.1"),
    "two-blanks": get(line=b"GET  / HTTP/1.1"),
    "two-blanks-behind": get(line=b"GET /  HTTP/1.1"),
    "tab": get(line=b"GET\t/\tHTTP/1.1"),
    "blank-before": get(line=b" GET / HTTP/1.1"),
    "blank-behind": get(line=b"GET / HTTP/1.1 "),
    "blank-inside": get(line=b"GET /a b HTTP/1.1"),
    "no-slash": get(line=b"GET index HTTP/1.1"),
    "star-for-get": get(line=b"GET * HTTP/1.1"),
    "query-alone": get(line=b"GET ?a=b HTTP/1.1"),
    "fragment": get(line=b"GET /a#b HTTP/1.1"),
    "no-authority": get(line=b"GET http:///a HTTP/1.1"),
    "user": get(line=b"GET http://user@a.example/ HTTP/1.1"),
    "authority-for-get": get(line=b"GET a.example:80 HTTP/1.1"),
    "path-for-connect": get(line=b"CONNECT /a HTTP/1.1"),
    "connect-without-port": get(line=b"CONNECT a.example HTTP/1.1"),
    "non-ascii": get(line=b"GET /\xc3\xa4 HTTP/1.1"),
    "control": get(line=b"GET /\x01 HTTP/1.1"),
    "nul": get(line=b"GET /\0 HTTP/1.1"),
    "del": get(line=b"GET /\x7f HTTP/1.1"),
    "encoded-nul": get(line=b"GET /a%00b HTTP/1.1"),
    "bad-encoding": get(line=b"GET /%zz HTTP/1.1"),
    "cut-encoding": get(line=b"GET /a% HTTP/1.1"),
    "half-encoding": get(line=b"GET /a%2 HTTP/1.1"),
    "authority-unlike-host": get(line=b"GET http://b.example/ HTTP/1.1"),
}

METHODS_AND_VERSIONS = {
    "method-no-token": get(line=b"G(T / HTTP/1.1"),
    "method-with-colon": get(line=b"GET: / HTTP/1.1"),
    "method-with-nul": get(line=b"GE\0T / HTTP/1.1"),
    "method-non-ascii": get(line=b"G\xc4T / HTTP/1.1"),
    "method-missing": get(line=b" / HTTP/1.1"),
    "version-missing": get(line=b"GET /"),
    "version-empty": get(line=b"GET / "),
    "version-lower-case": get(line=b"GET / http/1.1"),
    "version-other-name": get(line=b"GET / HTTQ/1.1"),
    "version-no-minor": get(line=b"GET / HTTP/1"),
    "version-no-dot": get(line=b"GET / HTTP/11"),
    "version-leading-zero": get(line=b"GET / HTTP/01.1"),
    "version-two-digits": get(line=b"GET / HTTP/1.10"),
    "version-with-more": get(line=b"GET / HTTP/1.1x"),
    "version-with-a-fourth-word": get(line=b"GET / HTTP/1.1 HTTP/1.1"),
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}

HEADS = {f"{group}:{name}": data
         for group, table in (("length", LENGTHS), ("coding", CODINGS), ("line", LINES), ("value", CONTROLS), ("host", HOSTS),
                              ("target", TARGETS), ("start", METHODS_AND_VERSIONS))
         for name, data in table.items()}


@pytest.mark.parametrize("name", HEADS)
def test_head_is_refused(running, name):
    assert_refused(*running, HEADS[name])


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.0"])
def test_other_major_versions_are_refused(running, version):
    assert_refused(*running, get(line=b"GET / " + version), statuses=(505, 400))


def post_chunked(body):
    return post(b"Transfer-Encoding: chunked", body=body)


CHUNKS = {
    "size-empty": b"\r\nhello\r\n0\r\n\r\n",
    "size-no-digit": b"g\r\nhello\r\n0\r\n\r\n",
    "size-with-0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size-with-plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size-with-minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "size-with-blank-before": b" 5\r\nhello\r\n0\r\n\r\n",
    "size-with-blank-behind": b"5 \r\nhello\r\n0\r\n\r\n",
    "size-with-tab-behind": b"5\t\r\nhello\r\n0\r\n\r\n",
    "size-with-underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "size-of-17-digits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size-of-16-digits-too-large": b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "size-two-to-the-63": b"8000000000000000\r\nhello\r\n0\r\n\r\n",
    "size-line-ends-with-lf": b"5\nhello\r\n0\r\n\r\n",
    "size-line-ends-with-cr": b"5\rhello\r\n0\r\n\r\n",
    "size-line-ends-with-cr-cr-lf": b"5\r\r\nhello\r\n0\r\n\r\n",
    "size-with-nul": b"5\0\r\nhello\r\n0\r\n\r\n",
    "data-too-long": b"5\r\nhello!\r\n0\r\n\r\n",
    "data-too-short": b"6\r\nhello\r\n0\r\n\r\n",
    "data-ends-with-lf": b"5\r\nhello\n0\r\n\r\n",
    "data-ends-with-cr": b"5\r\nhello\r0\r\n\r\n",
    "data-without-end": b"5\r\nhello0\r\n\r\n",
    "last-ends-with-lf": b"5\r\nhello\r\n0\n\r\n",
    "end-with-lf": b"5\r\nhello\r\n0\r\n\n",
    "extension-with-control": b"5;a\x01b\r\nhello\r\n0\r\n\r\n",
    "extension-with-nul": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "extension-with-lf": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "extension-with-cr": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension-quote-not-closed": b'5;a="b\r\nhello\r\n0\r\n\r\n',
    "extension-without-semicolon": b"5 a=b\r\nhello\r\n0\r\n\r\n",
    "extension-out-of-bounds": b"5;a=" + b"b" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
    "extensions-out-of-bounds": b"".join(b"1;%s\r\nx\r\n" % (b"b" * 200) for _ in range(2000)) + b"0\r\n\r\n",
    "trailer-without-colon": b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n",
    "trailer-with-blank-before-colon": b"5\r\nhello\r\n0\r\nX : 1\r\n\r\n",
    "trailer-folded": b"5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n",
    "trailer-with-lf": b"5\r\nhello\r\n0\r\nX: 1\n\r\n",
    "trailer-with-nul": b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunked_body_is_refused(running, name):
    assert_refused(*running, post_chunked(CHUNKS[name]), head_only=False)


# --- What is right stays right, so that the refusals above mean something.

GOOD_HEADS = {
    "plain": (get(), "GET", "/"),
    "empty-line-before": (b"\r\n" + get(), "GET", "/"),
    "blanks-around-a-value": (get(b"X:  \t a \t "), "GET", "/"),
    "no-blank-before-a-value": (get(b"X:a"), "GET", "/"),
    "empty-value": (get(b"X:"), "GET", "/"),
    "tab-inside-a-value": (get(b"X: a\tb"), "GET", "/"),
    "non-ascii-value": (get(b"X: \xe4\xff"), "GET", "/"),
    "every-token-character": (get(b"!#$%&'*+-.^_`|~09AZaz: 1"), "GET", "/"),
    "own-method": (get(line=b"BREW /pot HTTP/1.1"), "BREW", "/pot"),
    "query": (get(line=b"GET /a?b=c&d=%2F HTTP/1.1"), "GET", "/a?b=c&d=%2F"),
    "absolute-form": (get(line=b"GET http://a.example/x?y HTTP/1.1"), "GET", "/x?y"),
    "host-with-port": (get(host=b"Host: a.example:8080"), "GET", "/"),
    "host-address": (get(host=b"Host: [::1]:8080"), "GET", "/"),
    "version-1.0-without-host": (b"GET / HTTP/1.0\r\n\r\n", "GET", "/"),
    "lower-case-names": (b"GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n", "GET", "/"),
}


@pytest.mark.parametrize("name", GOOD_HEADS)
def test_good_head_is_passed_on(running, name):
    usher, _ = running
    data, method, target = GOOD_HEADS[name]
    with usher.connect() as client:
        client.send(data)
        got = echoed(client.response(method))
    assert (got["method"], got["target"]) == (method, target)


GOOD_BODIES = {
    "length": post(b"Content-Length: 5"),
    "length-with-zeros": post(b"Content-Length: 0005"),
    "chunked": post_chunked(b"5\r\nhello\r\n0\r\n\r\n"),
    "chunked-in-capitals": post(b"Transfer-Encoding: CHUNKED", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "two-chunks": post_chunked(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
    "size-with-zeros": post_chunked(b"0005\r\nhello\r\n000\r\n\r\n"),
    "extension": post_chunked(b"5;a=b\r\nhello\r\n0;c\r\n\r\n"),
    "extension-quoted": post_chunked(b'5;a="b;c\\"d"\r\nhello\r\n0\r\n\r\n'),
    "trailer": post_chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
}


@pytest.mark.parametrize("name", GOOD_BODIES)
def test_good_body_is_passed_on(running, name):
    usher, _ = running
    with usher.connect() as client:
        client.send(GOOD_BODIES[name])
        assert echoed(client.response())["body"] == "hello"
        assert echoed(client.ask())["method"] == "GET", "the connection goes on behind the body"


@pytest.mark.parametrize("name", ["length:two-lengths-that-differ", "line:bare-lf-field", "host:missing"])
def test_refused_also_byte_by_byte(running, name):
    usher, origin = running
    before = len(origin.received)
    with usher.connect() as client:
        try:
            client.drip(HEADS[name])
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may refuse before all has come
        assert client.response().status == 400
        client.expect_closed()
    assert len(origin.received) == before


def test_good_byte_by_byte(running):
    usher, _ = running
    with usher.connect() as client:
        client.drip(GOOD_BODIES["trailer"])
        assert echoed(client.response())["body"] == "hello"


def test_what_follows_a_refused_request_is_not_served(running):
    usher, origin = running
    before = len(origin.received)
    with usher.connect() as client:
        client.send(LENGTHS["length-and-coding"] + get(line=b"GET /second HTTP/1.1"))
        assert client.response().status == 400
        client.expect_closed()
    assert len(origin.received) == before
