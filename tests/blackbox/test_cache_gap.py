"""Parts of answers that are stored, and combined: RFC 9111 sections 3.3 and 3.4."""

import re
import threading

import pytest

from support.cache import ADMIN, CONFIG, Site, cache_command
from support.usher import eventually

BODY = "".join(f"{number:07d}\n" for number in range(1000))  # 8,000 bytes
TOTAL = len(BODY)


class Ranged(Site):
    """An origin that serves parts, by the book unless a test says otherwise."""

    def __init__(self, *fields, body=BODY, etag='"a"'):
        super().__init__(body=body)
        self.more = list(fields) or ["Cache-Control: max-age=60"]
        self.etag = etag
        self.lie = None
        self.fields = self.serve

    def serve(self, request, body):
        fields = [*self.more, f"ETag: {self.etag}"]
        if request.get("If-None-Match") == self.etag:
            return "304", fields, ""
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.get("Range") or "")
        if not asked or request.get("If-Range") not in (None, self.etag):
            return "200 OK", fields, body
        first, last = asked.groups()
        first, last = (int(first), min(int(last or TOTAL), len(body) - 1)) if first else (len(body) - int(last), len(body) - 1)
        if self.lie:
            return self.lie(first, last, fields, body)
        return "206 Partial Content", [*fields, f"Content-Range: bytes {first}-{last}/{len(body)}"], body[first:last + 1]

    def ranges(self):
        return [request.get("Range") for request in self.asked]


@pytest.fixture
def ranged(stage, tmp_path):
    def start(*fields, cache="{status: true}", more="", **site):
        made = Ranged(*fields, **site)
        return stage.usher(CONFIG + ADMIN + more, ORIGIN=stage.origin(made), CACHE=cache, DIR=tmp_path), made
    return start


def part(usher, first, last, *fields):
    answer = usher.get("/", f"Range: bytes={first}-{last}", *fields)
    end = TOTAL if last == "" else int(last) + 1
    assert answer.status == 206, (answer.status, answer.get("Cache-Status"))
    assert answer.body.decode() == BODY[first:end]
    assert answer.get("Content-Range") == f"bytes {first}-{end - 1}/{TOTAL}"
    assert int(answer.get("Content-Length")) == end - first
    return answer.get("Cache-Status")


def whole(usher, *fields):
    answer = usher.get("/", *fields)
    assert (answer.status, answer.body.decode(), answer.has("Content-Range")) == (200, BODY, False)
    return answer.get("Cache-Status")


@pytest.mark.parametrize("first, last", [(100, 299), (0, 499), (7000, "")])
def test_section_3_3_a_stored_part_serves_what_it_has(ranged, first, last):
    usher, site = ranged()
    end = TOTAL if last == "" else last + 1
    assert part(usher, first, last) == "usher; fwd=miss; stored"
    assert part(usher, first, last) == "usher; hit"
    assert part(usher, first + 10, end - 11) == "usher; hit"
    assert len(site.asked) == 1


def test_several_parts_of_a_stored_one(ranged):
    usher, site = ranged()
    part(usher, 100, 299)
    answer = usher.get("/", "Range: bytes=250-259,120-129")
    assert answer.status == 206 and not answer.has("Content-Range") and len(site.asked) == 1
    assert BODY[250:260].encode() in answer.body and f"Content-Range: bytes 120-129/{TOTAL}".encode() in answer.body
    assert usher.get("/", "Range: bytes=250-259,320-329").status == 200 and len(site.asked) == 2


def test_what_lies_behind_the_end_is_known(ranged):
    usher, site = ranged()
    part(usher, 100, 299)
    answer = usher.get("/", f"Range: bytes={TOTAL}-")
    assert answer.status == 416 and answer.get("Content-Range") == f"bytes */{TOTAL}" and len(site.asked) == 1


@pytest.mark.parametrize("second, asked", [((300, 499), "bytes=300-499"), ((200, 499), "bytes=300-499"), ((0, 99), "bytes=0-99"), ((0, 199), "bytes=0-99")])
def test_section_3_4_parts_that_touch_are_combined(ranged, second, asked):
    usher, site = ranged()
    part(usher, 100, 299)
    assert part(usher, *second) == "usher; fwd=partial; stored"
    assert site.asked[1].get("Range") == asked and site.asked[1].get("If-Range") == '"a"'
    first, last = min(100, second[0]), max(299, second[1])
    assert part(usher, first, last) == "usher; hit" and len(site.asked) == 2


def test_section_3_4_all_parts_are_the_whole(ranged):
    """Which serves everything: the whole, a crowd, HEAD, and conditions."""
    usher, site = ranged()
    for first in range(0, TOTAL, 2000):
        part(usher, first, first + 1999)
    assert site.ranges() == ["bytes=0-1999", "bytes=2000-3999", "bytes=4000-5999", "bytes=6000-7999"]
    assert whole(usher) == "usher; hit"
    assert usher.ask("HEAD", "/").get("Content-Length") == str(TOTAL)
    assert usher.get("/", 'If-None-Match: "a"').status == 304
    assert part(usher, 17, 4711) == "usher; hit" and len(site.asked) == 4
    assert "200," in cache_command(usher, "list").stdout


@pytest.mark.parametrize("first, last, asked", [(0, 499, "bytes=500-7999"), (7000, 7999, "bytes=0-6999"), (100, 299, None)])
def test_section_3_4_the_rest_is_fetched_for_the_whole(ranged, first, last, asked):
    usher, site = ranged()
    part(usher, first, last)
    assert whole(usher) == "usher; fwd=partial; stored"
    assert site.ranges()[1] == asked and site.asked[1].get("If-Range") == ('"a"' if asked else None)
    assert whole(usher) == "usher; hit" and len(site.asked) == 2


def test_section_3_4_new_fields_stand_in_the_place_of_stored_ones(ranged):
    usher, site = ranged("Cache-Control: max-age=60", "X-Old: 1")
    part(usher, 0, 99)
    site.more = ["Cache-Control: max-age=60", "X-Old: 2", "X-New: 3"]
    part(usher, 100, 199)
    answer = usher.get("/", "Range: bytes=0-9")
    assert (answer.get("X-Old"), answer.get("X-New"), len(site.asked)) == ("2", "3", 2)


def test_another_content_takes_the_place(ranged):
    usher, site = ranged()
    part(usher, 0, 499)
    site.etag, site.body = '"b"', BODY.replace("0", "x")
    answer = usher.get("/", "Range: bytes=500-599")
    assert (answer.status, answer.body.decode()) == (206, site.body[500:600])
    assert site.asked[1].get("If-Range") == '"a"'
    assert usher.get("/").body.decode() == site.body and len(site.asked) == 2


def wrong_total(first, last, fields, body):
    return "206 Partial Content", [*fields, f"Content-Range: bytes {first}-{last}/{len(body) + 1}"], body[first:last + 1]


def wrong_place(first, last, fields, body):
    return "206 Partial Content", [*fields, f"Content-Range: bytes {first + 1}-{last + 1}/{len(body) + 2}"], body[first:last + 1]


def shorter(first, last, fields, body):
    return "206 Partial Content", [*fields, f"Content-Range: bytes {first}-{last - 1}/{len(body)}"], body[first:last]


def other_etag(first, last, fields, body):
    return "206 Partial Content", [*fields[:-1], 'ETag: "z"', f"Content-Range: bytes {first}-{last}/{len(body)}"], "z" * (last + 1 - first)


def weak_etag(first, last, fields, body):
    return "206 Partial Content", [*fields[:-1], 'ETag: W/"a"', f"Content-Range: bytes {first}-{last}/{len(body)}"], "z" * (last + 1 - first)


def no_etag(first, last, fields, body):
    return "206 Partial Content", [*fields[:-1], f"Content-Range: bytes {first}-{last}/{len(body)}"], "z" * (last + 1 - first)


def other_coding(first, last, fields, body):
    return "206 Partial Content", [*fields, "Content-Encoding: x-z", f"Content-Range: bytes {first}-{last}/{len(body)}"], "z" * (last + 1 - first)


def no_range(first, last, fields, body):
    return "206 Partial Content", fields, "z" * (last + 1 - first)


def too_short(first, last, fields, body):
    return "206 Partial Content", [*fields, f"Content-Range: bytes {first}-{last}/{len(body)}"], body[first:last]


def not_satisfiable(first, last, fields, body):
    return "416 Range Not Satisfiable", [f"Content-Range: bytes */{len(body)}"], ""


LIES = [wrong_total, wrong_place, shorter, other_etag, weak_etag, no_etag, other_coding, no_range, too_short, not_satisfiable]


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_mixes_nothing_into_the_whole(ranged, lie):
    """It is asked once more, for all of it."""
    usher, site = ranged()
    part(usher, 0, 499)
    site.lie = lie
    assert "; stored" not in whole(usher)
    assert site.ranges() == ["bytes=0-499", "bytes=500-7999", None]
    assert whole(usher) == "usher; fwd=miss; stored" and whole(usher) == "usher; hit"


@pytest.mark.parametrize("lie", [each for each in LIES if each not in (too_short, not_satisfiable)])
def test_a_server_that_lies_mixes_nothing_into_a_part(ranged, lie):
    """What it answers to the visitor's own words is passed on, and not stored."""
    usher, site = ranged()
    part(usher, 0, 499)
    site.lie = lie
    answer = usher.get("/", "Range: bytes=400-599")
    assert site.ranges()[1:] == ["bytes=500-599", "bytes=400-599"] and answer.status == 206
    status, fields, body = lie(400, 599, ['ETag: "a"'], BODY)
    assert answer.body.decode() == body
    site.lie = None
    assert whole(usher) == "usher; fwd=miss; stored"


@pytest.mark.parametrize("excess", [1, -1])
def test_a_part_of_another_length_than_it_says_is_cut(stage, excess):
    """In chunks its length is not told before."""
    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request.get("Range"))
            first, last = (int(each) for each in request.get("Range").removeprefix("bytes=").split("-"))
            content = BODY[first:last + 1] if len(asked) == 1 else BODY[first:last + 1 + excess]
            connection.send("HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\nTransfer-Encoding: chunked\r\n"
                            f"Content-Range: bytes {first}-{last}/{TOTAL}\r\n\r\n{len(content):x}\r\n{content}\r\n0\r\n\r\n")
    asked = []
    usher = stage.usher(CONFIG, ORIGIN=stage.origin(script), CACHE="{status: true}")
    part(usher, 100, 199)
    with usher.connect() as client:  # the missing part stands before what is stored
        client.request("GET", "/", "Range: bytes=0-149", "Connection: close")
        got = client.reader.rest()
    assert asked == ["bytes=100-199", "bytes=0-99"]
    assert BODY[100:150].encode() not in got and (BODY[:99].encode() in got or b" 502 " in got)


@pytest.mark.parametrize("etag", ['W/"a"', ""])
def test_parts_without_a_strong_validator_are_not_combined(ranged, etag):
    """What lies within one is taken from it; what touches it may be of another one. The newest stays."""
    usher, site = ranged(etag=etag)
    assert part(usher, 10, 29) == "usher; fwd=miss; stored"
    assert part(usher, 12, 19) == "usher; hit" and part(usher, 10, 29) == "usher; hit"
    assert part(usher, 25, 34) == "usher; fwd=partial; stored"
    assert part(usher, 30, 34) == "usher; hit"
    assert part(usher, 10, 29) == "usher; fwd=partial; stored"
    assert whole(usher) == "usher; fwd=partial; stored"
    assert site.ranges() == ["bytes=10-29", "bytes=25-34", "bytes=10-29", None]
    assert not any(request.has("If-Range") for request in site.asked)


def test_digests_of_a_part_are_not_told_of_others(ranged):
    """RFC 9530 section 2: Content-Digest is of the very bytes of a message, Repr-Digest of the representation."""
    digests = ["Content-Digest: sha-256=:YQ==:", "Content-MD5: YQ==", "Repr-Digest: sha-256=:YQ==:"]
    usher, _ = ranged("Cache-Control: max-age=60", *digests)
    part(usher, 0, 99)
    for wanted in "bytes=0-9", "bytes=0-99":
        answer = usher.get("/", f"Range: {wanted}")
        assert answer.get("Cache-Status") == "usher; hit" and answer.has("Repr-Digest")
        assert not answer.has("Content-Digest") and not answer.has("Content-MD5")
    part(usher, 100, 7999)
    answer = usher.get("/")
    assert answer.get("Cache-Status") == "usher; hit" and answer.has("Repr-Digest") and not answer.has("Content-Digest")


@pytest.mark.parametrize("field, rule", [("Cache-Control: private, max-age=60", "5.2.2.7"), ("Cache-Control: no-store", "5.2.2.5"), ("Set-Cookie: a=b", "6265")])
def test_parts_that_are_not_for_all_are_not_stored(ranged, field, rule):
    usher, site = ranged(field)
    for _ in range(2):
        assert rule in part(usher, 0, 9)
    assert len(site.asked) == 2


def test_section_4_3_a_stale_part_is_validated(ranged):
    usher, site = ranged("Cache-Control: max-age=0")
    part(usher, 100, 299)
    site.more = ["Cache-Control: max-age=60"]
    assert part(usher, 150, 199) == "usher; fwd=stale; fwd-status=304; stored"
    assert site.asked[1].get("If-None-Match") == '"a"' and site.asked[1].get("Range") == "bytes=150-199"
    assert part(usher, 100, 299) == "usher; hit" and len(site.asked) == 2


def test_section_4_3_a_stale_whole_is_validated_for_a_part(ranged):
    usher, site = ranged("Cache-Control: max-age=0")
    whole(usher)
    site.more = ["Cache-Control: max-age=60"]
    assert part(usher, 7000, 7099) == "usher; fwd=stale; fwd-status=304; stored"
    assert whole(usher) == "usher; hit" and len(site.asked) == 2


def test_section_4_3_a_stale_part_that_is_extended_is_fresh_again(ranged):
    usher, site = ranged("Cache-Control: max-age=0")
    part(usher, 100, 299)
    site.more = ["Cache-Control: max-age=60"]
    assert part(usher, 100, 399) == "usher; fwd=partial; stored"
    assert site.ranges()[1] == "bytes=300-399"
    assert part(usher, 100, 399) == "usher; hit" and len(site.asked) == 2


def test_of_two_parts_that_do_not_touch_the_larger_stays(ranged):
    usher, site = ranged()
    part(usher, 0, 999)
    part(usher, 5000, 5099)
    assert part(usher, 0, 999) == "usher; hit" and len(site.asked) == 2
    part(usher, 5000, 6999)
    assert part(usher, 5000, 6999) == "usher; hit" and len(site.asked) == 3


def test_rfc_9110_section_13_1_5_if_range_of_the_visitor(ranged):
    usher, site = ranged()
    part(usher, 0, 499)
    assert part(usher, 0, 99, 'If-Range: "a"') == "usher; hit"
    assert part(usher, 0, 599, 'If-Range: "a"') == "usher; fwd=partial; stored"
    assert whole(usher, "Range: bytes=0-99", 'If-Range: "b"') == "usher; fwd=partial; stored"
    assert site.asked[-1].get("If-Range") == '"b"' and whole(usher) == "usher; hit"


def test_head_goes_to_the_server_while_there_is_a_part(ranged):
    usher, site = ranged()
    part(usher, 0, 499)
    assert usher.ask("HEAD", "/").get("Content-Length") == str(TOTAL) and site.asked[-1].method == "HEAD"
    assert part(usher, 0, 499) == "usher; hit"
    site.etag = '"b"'
    usher.ask("HEAD", "/")
    assert part(usher, 0, 499) == "usher; fwd=stale; stored"


def test_section_4_4_what_is_changed_is_not_there_any_more(ranged):
    usher, site = ranged()
    part(usher, 0, 499)
    usher.ask("POST", "/")
    assert part(usher, 0, 499) == "usher; fwd=miss; stored"
    assert len(site.asked) == 3
    assert "1 stored" in cache_command(usher, "purge", "http://test.example/").stdout
    assert part(usher, 0, 499) == "usher; fwd=miss; stored"


@pytest.mark.parametrize("range_", ["bytes=0-499", None])
def test_section_3_3_what_broke_off_is_kept_as_a_part(stage, range_):
    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request.get("Range"))
            first, last = (int(each) for each in (request.get("Range") or f"bytes=0-{TOTAL - 1}").removeprefix("bytes=").split("-"))
            status = f"206 Partial Content\r\nContent-Range: bytes {first}-{last}/{TOTAL}" if request.get("Range") else "200 OK"
            content = BODY[first:last + 1]
            connection.send(f"HTTP/1.1 {status}\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Length: {len(content)}\r\n\r\n")
            connection.send(content[:100] if len(asked) == 1 else content)
            if len(asked) == 1:
                return
    asked = []
    usher = stage.usher(CONFIG, ORIGIN=stage.origin(script), CACHE="{status: true}")
    with usher.connect() as client:
        client.request("GET", "/", "Connection: close", *([f"Range: {range_}"] if range_ else []))
        client.reader.rest()
    eventually(lambda: part(usher, 0, 99) == "usher; hit")
    asked_before = len(asked)
    assert whole(usher) == "usher; fwd=partial; stored"
    assert asked[asked_before:] == [f"bytes=100-{TOTAL - 1}"]


def test_parts_that_are_too_large_pass(ranged):
    usher, site = ranged(cache="{status: true, max_object: 1000}")
    for _ in range(2):
        assert 'detail="max_object"' in part(usher, 0, 1999)
    part(usher, 0, 599)
    assert 'fwd=partial; detail="max_object"' in part(usher, 0, 1199)
    assert part(usher, 0, 599) == "usher; hit"


def test_section_4_4_what_is_changed_while_it_comes_is_not_stored(ranged):
    usher, site = ranged()
    asked, go = threading.Event(), threading.Event()

    def slow(first, last, fields, body):
        asked.set()
        go.wait(30)
        return "206 Partial Content", [*fields, f"Content-Range: bytes {first}-{last}/{len(body)}"], body[first:last + 1]
    site.lie = slow
    with usher.connect() as client:
        client.request("GET", "/", "Range: bytes=0-499")
        assert asked.wait(30)
        usher.ask("POST", "/")
        go.set()
        assert client.response().body.decode() == BODY[:500]
    assert part(usher, 0, 499) == "usher; fwd=miss; stored"


def test_a_visitor_who_leaves_leaves_his_part(ranged):
    usher, site = ranged()
    with usher.connect() as client:
        client.request("GET", "/", "Range: bytes=0-999")
        client.reset()
    eventually(lambda: part(usher, 0, 999) == "usher; hit")
