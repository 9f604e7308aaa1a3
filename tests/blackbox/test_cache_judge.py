"""What may be stored, and for how long it is fresh: RFC 9111 sections 3 and 4.2, and the operator's `ttl`."""

import time

import pytest

from support.cache import date, twice


@pytest.mark.parametrize("fields", [
    ("Cache-Control: max-age=60",), ("Cache-Control: s-maxage=60, max-age=0",), ("Cache-Control: public, max-age=60",),
    ("CDN-Cache-Control: max-age=60", "Cache-Control: no-store"), ("Surrogate-Control: max-age=60", "Cache-Control: no-store"), ("Cache-Control: max-age=\"60\"",),
    ("Cache-Control: must-understand, no-store, max-age=60",),
])
def test_section_3_fresh_answers_are_reused(cached, fields):
    usher, site = cached(*fields)
    assert twice(usher) == (b"1", b"1")
    answer = usher.get()
    assert answer.get("Cache-Status") == "usher; hit"
    assert 0 <= int(answer.get("Age")) <= 30
    assert len(site.asked) == 1


def test_section_5_3_expires(cached):
    usher, _ = cached(f"Date: {date()}", f"Expires: {date(60)}")
    assert twice(usher) == (b"1", b"1")


@pytest.mark.parametrize("fields,rule", [
    (("Cache-Control: no-store, max-age=60",), "5.2.2.5"), (("Cache-Control: private, max-age=60",), "5.2.2.7"),
    (("Cache-Control: max-age=60", "Set-Cookie: a=b"), "RFC 6265"), (("Cache-Control: max-age=60", "Vary: *"), "4.1"),
    (("X: nothing said",), "4.2"), (("Cache-Control: max-age=0",), "4.2"), (("Cache-Control: max-age=x",), "4.2"),
    (("Expires: 0",), "4.2"),
])
def test_section_3_others_are_not_stored(cached, fields, rule):
    usher, _ = cached(*fields)
    answer = usher.get()
    assert answer.body == b"1" and rule in answer.get("Cache-Status")
    assert usher.get().body == b"2"


def test_section_3_5_authorization(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert twice(usher, "Authorization: Basic eA==") == (b"1", b"2")
    site.fields = ["Cache-Control: max-age=60, public"]
    assert twice(usher, "Authorization: Basic eA==") == (b"3", b"3")


@pytest.mark.parametrize("status,stored", [("404 Not Found", True), ("301 Moved Permanently", True), ("500 Oh", True), ("302 Found", True)])
def test_section_3_statuses_that_say_how_long(cached, status, stored):
    usher, _ = cached("Cache-Control: max-age=60", status=status)
    assert (twice(usher) == (b"1", b"1")) == stored


def test_section_5_2_1_5_a_request_that_says_no_store(cached):
    usher, _ = cached("Cache-Control: max-age=60")
    assert twice(usher, "Cache-Control: no-store", second=()) == (b"1", b"2")


def test_an_endless_stream_is_each_visitors_own(cached):
    usher, site = cached("Content-Type: text/event-stream; charset=utf-8", cache="{status: true, ttl: 1m}")
    assert twice(usher) == (b"1", b"2")
    assert "HTML" in usher.get().get("Cache-Status")


@pytest.mark.parametrize("fields", [
    "Cache-Control: max-age=0, must-revalidate", "Cache-Control: s-maxage=0", "Cache-Control: no-cache",
])
def test_section_4_2_4_what_may_not_be_used_meanwhile(cached, fields):
    usher, _ = cached(fields, 'ETag: "a"', cache="{stale: {while_revalidate: 1h}}")
    assert twice(usher) == (b"1", b"2")


@pytest.mark.parametrize("fields", [
    "Cache-Control: max-age=0, must-revalidate", "Cache-Control: max-age=0, proxy-revalidate", "Cache-Control: s-maxage=0",
    "Cache-Control: no-cache", "Cache-Control: max-age=0, stale-if-error=0",
])
def test_section_4_2_4_what_may_not_be_used_stale(cached, fields):
    cache = "{status: true}" if "stale-if-error" in fields else "{status: true, stale: {if_error: 1h}}"
    usher, site = cached(fields, 'ETag: "a"', cache=cache)
    assert usher.get().status == 200
    site.status = "503 Busy"
    assert usher.get().status == 503


def test_ttl_where_the_server_says_nothing(cached):
    usher, site = cached(cache="{ttl: 1m}")
    assert twice(usher) == (b"1", b"1")
    site.fields = ["Cache-Control: max-age=0"]
    assert twice(usher, target="/x") == (b"2", b"3")


def test_section_4_2_2_heuristic_freshness(cached):
    usher, site = cached(f"Last-Modified: {date(-100000)}", cache="{status: true, heuristic: {percent: 10}}")
    assert twice(usher) == (b"1", b"1")
    site.fields = ["X: never modified"]
    assert twice(usher, target="/x") == (b"2", b"3")
    site.fields = [f"Last-Modified: {date(-100000)}", "Cache-Control: max-age=0"]
    usher.get("/y")
    assert usher.get("/y").get("Cache-Status").startswith("usher; fwd=stale")


def test_ttl_whatever_the_server_says(cached):
    usher, site = cached("Cache-Control: max-age=0", cache="{ttl: 1m, override: true}")
    assert twice(usher) == (b"1", b"1")
    site.fields = ["Cache-Control: private"]
    assert twice(usher, target="/x") == (b"2", b"3")


def test_cookies_are_left_out_where_the_operator_says_so(cached):
    usher, _ = cached("Cache-Control: max-age=60", "Set-Cookie: a=b", cache="{ignore_set_cookie: true}")
    assert usher.get().get("Set-Cookie") == "a=b"
    again = usher.get()
    assert again.body == b"1" and not again.has("Set-Cookie")


@pytest.mark.parametrize("status,stored", [("200 OK", True), ("404 No", True), ("500 Oh", False), ("302 Found", False), ("403 No", False)])
def test_ttl_is_not_for_errors(cached, status, stored):
    usher, _ = cached(cache="{ttl: 1m}", status=status)
    assert (twice(usher) == (b"1", b"1")) == stored


@pytest.mark.parametrize("status,stored", [("404 No", True), ("500 Oh", True), ("503 Busy", True), ("505 Oh", False), ("200 OK", False), ("302 Found", True)])
def test_ttl_by_status(cached, status, stored):
    usher, _ = cached(cache='{ttl_by_status: {404: 10m, "500-504": 10m, 302: 5m}}', status=status)
    assert (twice(usher) == (b"1", b"1")) == stored


def test_ttl_by_status_is_in_the_place_of_ttl(cached):
    usher, _ = cached(cache="{ttl: 1m, ttl_by_status: {404: 1s}}", status="404 No")
    assert twice(usher) == (b"1", b"1")
    time.sleep(1.1)
    assert usher.get().body == b"2"


def test_large_answers_are_not_stored(cached):
    usher, site = cached("Cache-Control: max-age=60", cache="{max_object: 1000}")
    site.body = "x" * 1001
    usher.get(), usher.get()
    assert len(site.asked) == 2
    site.body = "x" * 1000
    usher.get("/small"), usher.get("/small")
    assert len(site.asked) == 3
