"""Compressed and plain answers are kept once: who accepts no content coding gets what is stored without it."""

import gzip
import random
import subprocess
import threading

import pytest

from support.cache import ADMIN, CONFIG, Site, cache_command, is_hit
from support.usher import eventually

TEXT = "".join(random.Random(1).choices("abcdef \n", k=200_000)) + "end"


def compress(coding, text):
    if coding == "gzip":
        return gzip.compress(text.encode())
    tool = ["brotli", "-c"] if coding == "br" else ["zstd", "-c", "-q"]
    return subprocess.run(tool, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


class Coded(Site):
    """An origin that chooses the first coding that it knows among those that are accepted, or none."""

    def __init__(self, *fields, codings=("br", "gzip"), body=TEXT, vary="Accept-Encoding", garbage=None):
        super().__init__(body=body)
        self.more = list(fields) or ["Cache-Control: max-age=600"]
        self.codings = {coding: garbage or compress(coding, body) for coding in codings}
        self.vary = vary
        self.etags = True
        self.instead = None

    def __call__(self, connection):
        while (request := connection.read_request()) is not None:
            self.asked.append(request)
            if self.instead:
                connection.answer(*self.instead(request))
                continue
            accepted = [member.split(";")[0].strip() for member in (request.get("Accept-Encoding") or "").split(",")]
            coding = next((coding for coding in self.codings if coding in accepted), None)
            content = self.codings[coding] if coding else self.body.encode()
            etag = f'"{coding or "plain"}"'
            fields = [f"Vary: {self.vary}", *self.more, *([f"Content-Encoding: {coding}"] if coding else []), *([f"ETag: {etag}"] if self.etags else [])]
            head = "".join(f"{field}\r\n" for field in fields)
            if self.etags and request.get("If-None-Match") == etag:
                connection.send(f"HTTP/1.1 304 Not Modified\r\n{head}\r\n")
            elif request.method == "HEAD":
                connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n{head}\r\n")
            else:
                connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n{head}\r\n".encode() + content)


@pytest.fixture
def coded(stage):
    def start(*fields, cache="{status: true}", more="", **site):
        made = Coded(*fields, **site)
        return stage.usher(CONFIG + more, ORIGIN=stage.origin(made), CACHE=cache), made
    start.stage = stage
    return start


def accepting(coding):
    return f"Accept-Encoding: {coding}"


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_who_accepts_none_gets_it_plain(coded, coding):
    usher, site = coded("Cache-Control: max-age=600", "Accept-Ranges: bytes", "Content-Digest: sha-256=:YQ==:", "Repr-Digest: sha-256=:YQ==:", codings=[coding])
    first = usher.get("/", accepting(coding))
    assert first.get("Content-Encoding") == coding and first.get("ETag") == f'"{coding}"' and first.body == site.codings[coding]
    for accepts in [], ["Accept-Encoding:"], [accepting("identity")], [accepting(f"{coding};q=0")]:
        answer = usher.get("/", *accepts)
        assert answer.get("Cache-Status") == "usher; hit" and answer.body.decode() == TEXT
        assert not answer.has("Content-Encoding") and answer.get("ETag") == f'W/"{coding}"' and answer.get("Vary") == "Accept-Encoding"
        assert not answer.has("Accept-Ranges") and not answer.has("Content-Digest") and not answer.has("Repr-Digest") and not answer.has("Content-Length")
    again = usher.get("/", accepting(coding))
    assert again.get("Cache-Status") == "usher; hit" and again.body == site.codings[coding] and len(site.asked) == 1


@pytest.mark.parametrize("accepts", ["deflate", "gzip;q=0, br", "identity;q=0", "*;q=0", "gzip, deflate"])
def test_others_are_told_apart_as_before(coded, accepts):
    """Who accepts another coding may get that one; and who refuses plain content gets none."""
    usher, site = coded(codings=["gzip"])
    usher.get("/", accepting("gzip"))
    usher.get("/", accepting(accepts))
    assert len(site.asked) == 2


def test_the_plain_one_goes_when_the_compressed_one_comes(coded, tmp_path):
    site = Coded()
    usher = coded.stage.usher(CONFIG + ADMIN, ORIGIN=coded.stage.origin(site), CACHE="{status: true}", DIR=tmp_path)
    assert usher.get().body.decode() == TEXT and is_hit(usher, "/")
    assert usher.get("/", accepting("gzip")).body == site.codings["gzip"]
    answer = usher.get()
    assert answer.get("ETag") == 'W/"gzip"' and answer.body.decode() == TEXT and len(site.asked) == 2
    shown = cache_command(usher, "show", "http://test.example/").stdout
    assert shown.count("bytes of content") == 1 and "for Accept-Encoding: gzip" in shown


def test_what_the_server_leaves_plain_is_kept_once(coded):
    usher, site = coded(codings=[])
    usher.get("/", accepting("gzip, br"))
    for accepts in ["gzip"], ["br"], None:
        assert is_hit(usher, "/", *([accepting(*accepts)] if accepts else []))
    assert not is_hit(usher, "/", accepting("gzip, zstd")) and len(site.asked) == 2


def test_no_transform_keeps_them_apart(coded):
    usher, site = coded("Cache-Control: max-age=600, no-transform")
    usher.get("/", accepting("gzip"))
    for _ in range(2):
        answer = usher.get()
        assert answer.body.decode() == TEXT and answer.get("ETag") == '"plain"'
    assert len(site.asked) == 2


def test_other_fields_of_vary_count(coded):
    usher, site = coded(vary="X-A, Accept-Encoding")
    usher.get("/", "X-A: 1", accepting("gzip"))
    assert is_hit(usher, "/", "X-A: 1") and not is_hit(usher, "/", "X-A: 2")
    usher.get("/", "X-A: 1", accepting("br"))
    assert is_hit(usher, "/", "X-A: 2") and len(site.asked) == 3


def test_conditions_are_of_the_weak_tag(coded):
    usher, _ = coded()
    usher.get("/", accepting("gzip"))
    answer = usher.get("/", 'If-None-Match: W/"gzip"')
    assert answer.status == 304 and answer.get("ETag") == 'W/"gzip"'
    assert usher.get("/", 'If-None-Match: "plain"').status == 200


def test_parts_are_not_taken_from_it(coded):
    """RFC 9110 section 14.2: Range may be ignored."""
    usher, site = coded()
    usher.get("/", accepting("gzip"))
    answer = usher.get("/", "Range: bytes=0-9")
    assert answer.status == 200 and answer.body.decode() == TEXT and len(site.asked) == 1
    assert usher.get("/", "Range: bytes=0-9", accepting("gzip")).body == site.codings["gzip"][:10]


def test_head_of_it(coded):
    usher, site = coded()
    usher.get("/", accepting("gzip"))
    head = usher.ask("HEAD", "/")
    assert head.status == 200 and not head.has("Content-Encoding") and not head.has("Content-Length") and head.body == b"" and len(site.asked) == 1


def test_a_head_that_asks_the_server_tells_nothing_of_it(coded):
    usher, site = coded(cache="{status: true, methods: [GET]}")
    usher.get("/", accepting("gzip"))
    assert usher.ask("HEAD", "/").get("ETag") == '"plain"'
    assert is_hit(usher, "/", accepting("gzip")) and len(site.asked) == 2


def test_http_1_0_gets_it_until_the_connection_ends(coded):
    usher, _ = coded()
    usher.get("/", accepting("gzip"))
    with usher.connect() as client:
        client.request("GET", "/", version="HTTP/1.0")
        assert client.reader.rest().endswith(TEXT.encode())


def test_a_stale_one_is_validated_for_those_who_accept_it(coded):
    usher, site = coded("Cache-Control: max-age=0")
    usher.get("/", accepting("gzip"))
    site.more = ["Cache-Control: max-age=600"]
    answer = usher.get()
    assert answer.get("Cache-Status") == "usher; fwd=stale; fwd-status=304; stored" and answer.body.decode() == TEXT
    assert site.asked[1].get("If-None-Match") == '"gzip"' and site.asked[1].get("Accept-Encoding") == "gzip"
    assert is_hit(usher, "/", accepting("gzip")) and is_hit(usher, "/") and len(site.asked) == 2


def test_another_one_is_fetched_for_those_who_accept_it(coded):
    usher, site = coded("Cache-Control: max-age=0")
    usher.get("/", accepting("gzip"))
    site.more, site.body = ["Cache-Control: max-age=600"], TEXT[::-1]
    site.codings = {"gzip": compress("gzip", site.body)}
    site.etags = False
    answer = usher.get()
    assert answer.get("Cache-Status") == "usher; fwd=stale; stored" and answer.body.decode() == site.body
    assert is_hit(usher, "/", accepting("gzip")) and is_hit(usher, "/") and len(site.asked) == 2


def test_what_comes_for_one_alone_is_asked_for_again(coded):
    """What the server answers to those who accept the coding is nothing for who does not."""
    usher, site = coded("Cache-Control: max-age=0")
    usher.get("/", accepting("gzip"))
    site.more, site.etags = ["Cache-Control: private"], False
    answer = usher.get()
    assert answer.body.decode() == TEXT and not answer.has("Content-Encoding")
    assert [request.get("Accept-Encoding") for request in site.asked] == ["gzip", "gzip", None]


@pytest.mark.parametrize("now", ["Content-Encoding: x-z", "Cache-Control: no-transform", "Content-Encoding: gzip"])
def test_what_cannot_be_decoded_any_more_is_asked_for_again(coded, now):
    usher, site = coded("Cache-Control: max-age=0", codings=["gzip"])
    usher.get("/", accepting("gzip"))

    def answer(request):
        if not request.get("Accept-Encoding"):
            return "plain", "Cache-Control: max-age=600", "Vary: Accept-Encoding"
        return "of another kind", "Cache-Control: max-age=600", "Vary: Accept-Encoding", "Content-Encoding: gzip", now
    site.instead = answer
    got = usher.get()
    assert got.body == b"plain" and not got.has("Content-Encoding")
    assert [request.get("Accept-Encoding") for request in site.asked] == ["gzip", "gzip", None]


def test_it_is_read_as_it_comes(coded):
    going, content = threading.Event(), compress("gzip", TEXT)

    def answer(connection):
        while connection.read_request() is not None:
            asked.append(1)
            connection.send(f"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\nContent-Length: {len(content)}\r\n\r\n".encode()
                            + content[:60_000])
            assert going.wait(30)
            connection.send(content[60_000:])
    asked = []
    usher = coded.stage.usher(CONFIG, ORIGIN=coded.stage.origin(answer), CACHE="{status: true}")
    with usher.connect() as first, usher.connect() as second:
        first.request("GET", "/", accepting("gzip"))
        first.response_head()
        assert first.reader.exactly(60_000) == content[:60_000]
        second.request("GET", "/")
        assert not second.response_head().has("Content-Encoding")
        got = [second.reader.exactly(int(second.reader.line(), 16))]
        assert TEXT.startswith(got[0].decode())
        going.set()
        while got[-1]:
            assert second.reader.line() == b""
            got.append(second.reader.exactly(int(second.reader.line(), 16)))
        assert b"".join(got).decode() == TEXT
    assert len(asked) == 1


@pytest.mark.parametrize("garbage", [b"this is no gzip", gzip.compress(TEXT.encode())[:-30], gzip.compress(TEXT.encode())[:-8] + b"12345678"], ids=["no gzip", "cut", "another checksum"])
def test_what_is_not_what_it_says_is_cut(coded, garbage):
    usher, _ = coded(codings=["gzip"], garbage=garbage)
    usher.get("/", accepting("gzip"))
    with usher.connect() as client:
        client.request("GET", "/")
        got = client.reader.rest()
    assert not got.endswith(b"0\r\n\r\n") and TEXT.encode() not in got
    usher.wait_for_error("decode a response body")


def test_one_member_behind_another(coded):
    """RFC 1952 section 2.2; what else stands behind them is passed over."""
    usher, _ = coded(codings=["gzip"], garbage=gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0")
    usher.get("/", accepting("gzip"))
    assert usher.get().body == b"one two"


def test_over_http_2(coded):
    site = Coded()
    usher = coded.stage.usher("""
listen: [{address: "127.0.0.1:$PORT", h2c: true}]
cache: true
proxy: $ORIGIN
""", ORIGIN=coded.stage.origin(site))
    usher.get("/", accepting("gzip"))
    done = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", f"http://127.0.0.1:{usher.port}/", "-H", "Host: test.example"], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode() == TEXT and len(site.asked) == 1


def test_who_decodes_at_once_has_a_bound(coded):
    """16 with 64 KiB each have all that a store of 1 MiB has. Others ask the server, and what is stored stays."""
    usher, site = coded(cache="{status: true, max_object: 16MiB}", more="cache_memory: 1MiB\n", codings=["gzip"], body="x" * 9_000_000)
    usher.get("/", accepting("gzip"))
    slow = [usher.connect(receive_buffer=4096) for _ in range(20)]
    answers = []
    for client in slow:
        client.request("GET", "/")
        answers.append(client.response_head())
    assert [answer.get("Cache-Status") for answer in answers] == ["usher; hit"] * 16 + ["usher; fwd=miss"] * 4
    assert {answer.get("ETag") for answer in answers[16:]} == {'"plain"'}
    for client in slow:
        client.close()
    eventually(lambda: is_hit(usher, "/"))
    assert is_hit(usher, "/", accepting("gzip"))


@pytest.mark.parametrize("size", [1000, 500_000])
def test_from_the_disk(coded, tmp_path, size):
    text = (TEXT * 4)[:size]
    more = f'cache_memory: 1MiB\ncache_disk: "{tmp_path}/disk"\n'
    usher, site = coded(cache="{status: true, max_object: 8MiB}", more=more, body=text, codings=["gzip"])
    usher.get("/", accepting("gzip"))
    eventually(lambda: list((tmp_path / "disk").glob("??/*-*")))
    usher.stop()
    again = coded.stage.usher(CONFIG + more, ORIGIN="http://127.0.0.1:1", CACHE="{status: true, max_object: 8MiB}")
    assert again.get().body.decode() == text and again.get("/", accepting("gzip")).body == site.codings["gzip"]
