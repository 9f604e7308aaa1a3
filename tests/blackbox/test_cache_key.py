"""What tells stored answers apart: the target, chosen parameters, fields and cookies."""

from support.cache import ADMIN, CONFIG, Site, cache_command


def test_section_2_the_key_is_the_whole_target(cached):
    usher, site = cached("Cache-Control: max-age=60")
    targets = ["/a", "/b", "/a?x", "/a?y", "/a?"]
    first = [usher.get(target).body for target in targets]
    assert len(set(first)) == 5
    assert [usher.get(target).body for target in targets] == first
    assert usher.get("/a", host="other.example").body == b"6"
    assert len(site.asked) == 6


def test_key_of_chosen_parameters(cached):
    usher, site = cached("Cache-Control: max-age=60", cache="{key: {query: [b, a]}}")
    assert usher.get("/?a=1&b=2").body == b"1"
    for same in ("/?b=2&a=1", "/?b=2&utm=9&a=1", "/?%61=1&b=2", "/?b=2&a=1&", "/?b=2&aa=3&a=1"):
        assert usher.get(same).body == b"1", same
    others = ["/?a=1", "/", "/?a=1&a=1&b=2", "/?a=1&b", "/?a=1&b=", "/?a=%31&b=2", "/?ab=1"]
    bodies = [usher.get(other).body for other in others]
    # What has none of them is one.
    assert bodies == [b"2", b"3", b"4", b"5", b"6", b"7", b"3"]
    assert site.asked[0].target == "/?a=1&b=2"


def test_key_without_a_query(cached):
    usher, _ = cached("Cache-Control: max-age=60", cache="{key: {query: []}}")
    assert [usher.get(target).body for target in ("/?a", "/", "/?b=1", "/x?b")] == [b"1", b"1", b"1", b"2"]


def test_key_of_fields_and_cookies(stage, tmp_path):
    site = Site("Cache-Control: max-age=60")
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(site), CACHE="{key: {headers: [X-Device], cookies: [lang, town]}}", DIR=tmp_path)
    requests = [(), ("X-Device: a",), ("x-device: b",), ("Cookie: lang=en",), ("Cookie: x=y; lang=de; z=1",), ("Cookie: town=en",), ("Cookie: lang=en; town=en",),
                ("X-Device: en",), ("X-Device:",), ("Cookie: lang=",)]
    first = [usher.get("/", *fields).body for fields in requests]
    assert len(set(first)) == len(requests)
    assert [usher.get("/", *fields).body for fields in requests] == first
    assert usher.get("/", "Cookie: lang=de; other=1", "X-Other: 1").body == first[4]
    assert cache_command(usher, "purge", "http://test.example/").stdout == "10 stored answers forgotten\n"
