"""Visitors' own conditions, answered from the store: RFC 9110 section 13."""

import pytest

from support.cache import date


@pytest.mark.parametrize("condition,status", [
    ('If-None-Match: "a"', 304), ('If-None-Match: W/"a"', 304), ('If-None-Match: "b", "a"', 304), ("If-None-Match: *", 304),
    ('If-None-Match: "b"', 200), ('If-None-Match: "a', 200), (f"If-Modified-Since: {date(-100)}", 304),
    (f"If-Modified-Since: {date(-5000)}", 200), ("If-Modified-Since: yesterday", 200),
], ids=[str(number) for number in range(9)])
def test_rfc_9110_section_13_conditions_are_answered_from_the_store(cached, condition, status):
    usher, site = cached("Cache-Control: max-age=60", 'ETag: "a"', f"Last-Modified: {date(-1000)}", "Content-Language: en")
    usher.get()
    answer = usher.get("/", condition)
    assert answer.status == status and len(site.asked) == 1
    assert answer.body == (b"" if status == 304 else b"1")
    assert answer.get("ETag") == '"a"' and answer.has("Age")
    assert answer.has("Content-Language") == (status == 200)


def test_rfc_9110_section_13_2_2_the_etag_comes_first(cached):
    usher, _ = cached("Cache-Control: max-age=60", 'ETag: "a"', f"Last-Modified: {date(-1000)}")
    usher.get()
    assert usher.get("/", 'If-None-Match: "b"', f"If-Modified-Since: {date()}").status == 200


def test_rfc_9111_section_4_3_2_without_last_modified_the_date_counts(cached):
    usher, site = cached("Cache-Control: max-age=60", f"Date: {date(-10)}")
    usher.get()
    assert usher.get("/", f"If-Modified-Since: {date(-5)}").status == 304
    assert usher.get("/", f"If-Modified-Since: {date(-60)}").status == 200
    assert len(site.asked) == 1
