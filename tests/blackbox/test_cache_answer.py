"""What a stored answer says when it is reused: its age, its fields, to which requests."""

from support.cache import date, twice


def test_section_3_methods(cached):
    usher, site = cached("Cache-Control: max-age=60")
    assert usher.ask("POST", "/").body == b"1"
    assert usher.get().body == b"2"
    head = usher.ask("HEAD", "/")
    assert head.status == 200 and head.get("Content-Length") == "1" and head.get("Cache-Status") == "usher; hit"
    assert len(site.asked) == 2


def test_section_4_1_vary(cached):
    usher, _ = cached("Cache-Control: max-age=60", "Vary: X-A, x-b")
    assert twice(usher, "X-A: 1") == (b"1", b"1")
    assert twice(usher, "X-A: 2") == (b"2", b"2")
    assert twice(usher) == (b"3", b"3")
    assert twice(usher, "X-A: 1", "X-B: 1") == (b"4", b"4")
    assert usher.get("/", "X-A: 1").body == b"1"
    assert usher.get("/", "X-C: 9", "X-A: 1").body == b"1"
    # Several lines are one list (RFC 9110 section 5.3).
    assert usher.get("/", "X-A: 1", "X-A: 2").body == b"5"
    assert usher.get("/", "X-A: 1, 2").body == b"5"


def test_section_5_1_age_is_not_told_of_what_was_just_made(cached):
    usher, site = cached(f"Date: {date(3600)}", "Cache-Control: max-age=60")
    assert not usher.get().has("Age") and usher.get().has("Age")
    site.fields.append("Age: 20")
    assert 20 <= int(usher.get("/x").get("Age")) < 50


def test_section_4_2_3_age(cached):
    usher, _ = cached(f"Date: {date(-10)}", "Age: 20", "Cache-Control: max-age=60")
    usher.get()
    assert 20 <= int(usher.get().get("Age")) < 50
    usher, _ = cached(f"Date: {date(-70)}", "Cache-Control: max-age=60")
    assert twice(usher) == (b"1", b"2")


def test_section_5_2_2_4_no_cache_of_some_fields(cached):
    usher, _ = cached('Cache-Control: max-age=60, no-cache="X-Secret", private="X-Mine"', "X-Secret: 1", "X-Mine: 1", "X-All: 1")
    assert usher.get().get("X-Secret") == "1"
    reused = usher.get()
    assert (reused.get("X-Secret"), reused.get("X-Mine"), reused.get("X-All")) == (None, None, "1")
