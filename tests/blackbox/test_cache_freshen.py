"""RFC 9111 section 4.3.5: what HEAD tells of a stored answer to GET."""

import pytest

from support.cache import is_hit


def answers(get, head):
    def fields(request, body):
        return "200 OK", list(head if request.method == "HEAD" else get), body
    return fields


@pytest.mark.parametrize("same", [["ETag: \"a\""], ["Last-Modified: Mon, 07 Sep 2026 10:00:00 GMT"], []])
def test_head_freshens_a_stored_get(cached, same):
    usher, site = cached(body="12345")
    site.fields = answers(["Cache-Control: max-age=10", "Age: 20", "X-A: old", *same], ["Cache-Control: max-age=100", "X-A: new", *same])
    usher.get("/")
    head = usher.ask("HEAD", "/")
    assert head.get("X-A") == "new" and len(site.asked) == 2
    again = usher.get("/")
    assert again.get("Cache-Status") == "usher; hit" and again.get("X-A") == "new" and again.body == b"12345"


@pytest.mark.parametrize("other", [["ETag: \"b\""], ["ETag: W/\"a\""], ["Last-Modified: Mon, 07 Sep 2026 11:00:00 GMT"]])
def test_head_makes_another_get_stale(cached, other):
    """Here the stored one may be used stale; it has been found to be another one, and is stale all the same."""
    usher, site = cached(body="12345", cache="{status: true, obey: true}")
    site.fields = answers(["Cache-Control: max-age=100", "ETag: \"a\"", "Last-Modified: Mon, 07 Sep 2026 10:00:00 GMT"], ["Cache-Control: max-age=100", *other])
    usher.get("/")
    assert is_hit(usher, "/")
    usher.ask("HEAD", "/", "Cache-Control: no-cache")
    assert not is_hit(usher, "/") and len(site.asked) == 3


def test_head_of_another_length_makes_it_stale(cached):
    usher, site = cached("Cache-Control: max-age=100", "ETag: \"a\"", body="12345", cache="{status: true, obey: true}")
    usher.get("/")
    site.body = "123456"
    usher.ask("HEAD", "/", "Cache-Control: no-cache")
    assert not is_hit(usher, "/")


def test_a_head_that_failed_tells_nothing(cached):
    usher, site = cached("Cache-Control: max-age=100", "ETag: \"a\"", body="12345", cache="{status: true, obey: true}")
    usher.get("/")
    site.status = "503 Service Unavailable"
    usher.ask("HEAD", "/", "Cache-Control: no-cache")
    assert is_hit(usher, "/")
