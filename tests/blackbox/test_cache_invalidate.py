"""What unsafe methods make forgotten: RFC 9111 section 4.4."""

import pytest

from support.cache import twice


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_section_4_4_unsafe_methods_invalidate(cached, method):
    usher, _ = cached("Cache-Control: max-age=60")
    assert twice(usher) == (b"1", b"1")
    usher.ask(method, "/")
    assert usher.get().body == b"3"


def test_section_4_4_only_where_they_succeed(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert twice(usher) == (b"1", b"1")
    site.status = "403 No"
    usher.ask("POST", "/")
    site.status = "200 OK"
    assert usher.get().body == b"1"


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize("reference,forgotten", [
    ("/other", True), ("/other#part", True), ("http://test.example/other", True), ("HTTP://Test.Example:80/other", True),
    ("http://elsewhere.example/other", False), ("//test.example/other", False), ("other", False), ("", False),
])
def test_section_4_4_what_the_answer_names(cached, name, reference, forgotten):
    usher, site = cached("Cache-Control: max-age=60")
    assert twice(usher, target="/other") == (b"1", b"1")
    site.fields.append(f"{name}: {reference}")
    usher.ask("POST", "/")
    assert usher.get("/other").body == (b"3" if forgotten else b"1")
