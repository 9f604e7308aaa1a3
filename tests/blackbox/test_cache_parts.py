"""Ranges, answered from the store: RFC 9110 section 14."""

import email

import pytest


@pytest.mark.parametrize("fields,status,body,content_range", [
    (("Range: bytes=2-4",), 206, b"234", "bytes 2-4/10"), (("Range: bytes=-3",), 206, b"789", "bytes 7-9/10"),
    (("Range: bytes=5-",), 206, b"56789", "bytes 5-9/10"), (("Range: bytes=20-",), 416, b"", "bytes */10"),
    (("Range: bytes=0-4,4-5",), 200, b"0123456789", None), (("Range: lines=1-2",), 200, b"0123456789", None),
    (("Range: bytes=2-4", 'If-Range: "a"'), 206, b"234", "bytes 2-4/10"), (("Range: bytes=2-4", 'If-Range: "b"'), 200, b"0123456789", None),
    (("Range: bytes=2-4", 'If-None-Match: "a"'), 304, b"", None),
])
def test_rfc_9110_section_14_parts_of_what_is_stored(cached, fields, status, body, content_range):
    usher, site = cached("Cache-Control: max-age=60", 'ETag: "a"', body="0123456789")
    usher.get()
    answer = usher.get("/", *fields)
    assert (answer.status, answer.body, answer.get("Content-Range")) == (status, body, content_range)
    assert len(site.asked) == 1


@pytest.mark.parametrize("more", [("Content-Type: text/plain; charset=utf-8",), ()])
def test_rfc_9110_section_14_6_several_parts(cached, more):
    usher, site = cached("Cache-Control: max-age=60", *more, body="0123456789")
    usher.get()
    answer = usher.get("/", "Range: bytes=6-7,0-1,-1")
    assert answer.status == 206 and not answer.has("Content-Range") and len(site.asked) == 1
    message = email.message_from_bytes(b"Content-Type: " + answer.get("Content-Type").encode() + b"\r\n\r\n" + answer.body)
    assert message.get_content_type() == "multipart/byteranges"
    parts = message.get_payload()
    assert [(part["Content-Range"], part.get_payload()) for part in parts] == [
        ("bytes 6-7/10", "67"), ("bytes 0-1/10", "01"), ("bytes 9-9/10", "9")]
    assert all(part["Content-Type"] == (more[0].removeprefix("Content-Type: ") if more else None) for part in parts)
    assert usher.get("/", "Range: bytes=6-7,0-1").get("Content-Type") != answer.get("Content-Type")


def test_parts_of_what_is_not_stored_are_asked_for(cached):
    """A server that knows no parts sends the whole, which is stored."""
    usher, site = cached("Cache-Control: max-age=60")
    assert usher.get("/", "Range: bytes=0-0").get("Cache-Status") == "usher; fwd=miss; stored"
    assert site.asked[0].get("Range") == "bytes=0-0"
    assert usher.get().body == b"1"


def test_several_parts_of_what_is_not_stored_pass(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert usher.get("/", "Range: bytes=0-0,2-2").get("Cache-Status") == "usher; fwd=miss"
    assert site.asked[0].get("Range") == "bytes=0-0,2-2"
    assert usher.get().body == b"2"


def test_rfc_9530_section_2_a_part_has_no_digest_of_the_whole(cached):
    usher, _ = cached("Cache-Control: max-age=60", "Content-Digest: sha-256=:YQ==:", "Content-MD5: YQ==", "Repr-Digest: sha-256=:YQ==:", body="0123456789")
    usher.get()
    for wanted in "bytes=0-1", "bytes=0-1,5-6":
        answer = usher.get("/", f"Range: {wanted}")
        assert answer.status == 206 and answer.has("Repr-Digest") and not answer.has("Content-Digest") and not answer.has("Content-MD5")
    assert usher.get().has("Content-Digest")
