"""Classes of devices and languages in the place of what browsers say."""

import pytest

from support.cache import Site, is_hit

ANDROID = "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Mobile Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1"
IPAD = "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1"
ANDROID_TABLET = "Mozilla/5.0 (Linux; Android 12; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0.3987.119 Safari/537.36"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/116.0"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Safari/537.36"


@pytest.mark.parametrize("vary", [(), ("Vary: User-Agent",), ("Vary: X-Device",), ("Vary: X-Device, User-Agent",)])
def test_devices(cached, vary):
    usher, site = cached("Cache-Control: max-age=60", *vary, cache="{status: true, vary: {device: true}}")
    first = [usher.get("/", f"User-Agent: {agent}").body for agent in (LINUX, IPHONE, IPAD)]
    assert first == [b"1", b"2", b"3"]
    assert [usher.get("/", f"User-Agent: {agent}").body for agent in (WINDOWS, ANDROID, ANDROID_TABLET)] == first
    assert usher.get("/").body == b"1"
    assert usher.get("/", "Sec-CH-UA-Mobile: ?1").body == b"2" if not vary else True
    assert [request.get("X-Device") for request in site.asked[:3]] == ["desktop", "mobile", "tablet"]
    assert site.asked[0].get("User-Agent") == LINUX


def test_nobody_says_what_device_he_is(cached):
    usher, site = cached("Cache-Control: max-age=60", cache="{status: true, vary: {device: true}}")
    usher.get("/", f"User-Agent: {LINUX}", "X-Device: mobile")
    assert site.asked[0].all("X-Device") == ["desktop"]
    assert is_hit(usher, "/", f"User-Agent: {LINUX}", "x-device: tablet")


@pytest.mark.parametrize("vary", [(), ("Vary: Accept-Language",)])
@pytest.mark.parametrize("accepts, language", [
    ("", "en"), ("de", "de"), ("de-CH, de;q=0.9, en;q=0.8", "de"), ("fr", "en"), ("fr;q=1, de;q=0.3", "de"), ("en;q=0.1, de;q=0.2", "de"),
    ("pt", "pt-BR"), ("pt-PT", "en"), ("pt-br", "pt-BR"), ("de;q=0, en;q=0.5", "en"), ("*", "en"), ("fr, *;q=0.1", "en"), ("d", "en"), ("den", "en"),
    ("de;q=0.001", "de"), ("en;q=0.5, de; q=0.500", "en"), ("en;q=0.5, de; Q=0.501", "de"), ("de;q=x", "en"), (",;=, de", "de"), ("DE", "de"),
])
def test_languages(cached, accepts, language, vary):
    usher, site = cached("Cache-Control: max-age=60", *vary, cache='{status: true, vary: {languages: [en, de, pt-BR]}}')
    usher.get("/", *([f"Accept-Language: {accepts}"] if accepts else []))
    assert site.asked[0].all("Accept-Language") == [language]
    assert is_hit(usher, "/", f"Accept-Language: {language}")
    assert not is_hit(usher, "/", f"Accept-Language: {'de' if language != 'de' else 'en'}")


def test_languages_and_devices_together(cached):
    usher, _ = cached("Cache-Control: max-age=60", "Vary: User-Agent, Accept-Language", cache="{status: true, vary: {languages: [en, de], device: true}}")
    bodies = {usher.get("/", f"User-Agent: {agent}", f"Accept-Language: {language}").body for agent in (LINUX, IPHONE) for language in ("de", "en")}
    assert len(bodies) == 4
    assert usher.get("/", f"User-Agent: {WINDOWS}", "Accept-Language: de-AT").body in bodies


def test_classes_are_kept_while_an_answer_passes(cached):
    usher, site = cached("Cache-Control: private", cache="{status: true, vary: {languages: [en, de], device: true}}")
    for _ in range(2):
        usher.get("/", f"User-Agent: {IPHONE}", "Accept-Language: de-CH")
    assert [(request.get("X-Device"), request.get("Accept-Language"), request.get("User-Agent")) for request in site.asked] == [("mobile", "de", IPHONE)] * 2


@pytest.mark.parametrize("first, same", [("gzip, br", "gzip,br"), ("gzip, br", "GZIP ,\tbr"), ("gzip;q=1.0, br", "gzip; q=1.0,br"), ("a,b", ",a, ,b,")])
@pytest.mark.parametrize("name", ["Accept-Encoding", "Accept", "Accept-Language"])
def test_section_4_1_lists_match_however_they_are_written(cached, name, first, same):
    usher, _ = cached("Cache-Control: max-age=60", f"Vary: {name}", "Content-Encoding: x-z")
    usher.get("/", f"{name}: {first}")
    assert is_hit(usher, "/", f"{name}: {same}")
    assert is_hit(usher, "/", *[f"{name}: {member}" for member in first.split(",")])
    for other in ("gzip", "br, gzip", "gzip, br, zstd", "gzip;q=0.5, br", "", "a"):
        assert not is_hit(usher, "/", f"{name}: {other}"), other
    assert not is_hit(usher, "/")


def test_section_4_1_other_fields_match_as_they_are_written(cached):
    usher, _ = cached("Cache-Control: max-age=60", "Vary: X-A")
    usher.get("/", "X-A: a, b")
    assert not is_hit(usher, "/", "X-A: a,b") and not is_hit(usher, "/", "X-A: A, b") and is_hit(usher, "/", "X-A: a, b")


# --- obey: what visitors ask for


def age(site, seconds):
    site.fields.append(f"Age: {seconds}")


@pytest.mark.parametrize("says, hit", [
    ("no-cache", False), ("max-age=0", False), ("max-age=50", False), ("max-age=100", True), ("min-fresh=30", True), ("min-fresh=60", False),
    ("max-stale", True), ("max-age=100, min-fresh=60", False), ("max-age=10, max-stale", False), ("", True)])
def test_section_5_2_1_visitors_are_obeyed_where_the_operator_says_so(cached, says, hit):
    fields = ["Cache-Control: max-age=100", "Age: 60"]
    asks = [f"Cache-Control: {says}"] if says else []
    usher, _ = cached(*fields, cache="{status: true, obey: true}")
    usher.get("/")
    assert is_hit(usher, "/", *asks) == hit
    usher, _ = cached(*fields)
    usher.get("/")
    assert is_hit(usher, "/", *asks)


def test_section_5_4_pragma_is_obeyed(cached):
    usher, site = cached("Cache-Control: max-age=100", cache="{status: true, obey: true}")
    usher.get("/")
    assert not is_hit(usher, "/", "Pragma: no-cache") and is_hit(usher, "/") and len(site.asked) == 2


@pytest.mark.parametrize("says, fields, hit", [
    ("max-stale", "max-age=10", True), ("max-stale=100", "max-age=10", True), ("max-stale=40", "max-age=10", False), ("max-stale", "max-age=10, must-revalidate", False),
    ("max-stale", "max-age=10, proxy-revalidate", False), ("max-stale", "s-maxage=10", False), ("max-stale", "max-age=10, no-cache", False),
    ("max-stale, max-age=30", "max-age=10", False), ("", "max-age=10", False)])
def test_section_5_2_1_2_max_stale(cached, says, fields, hit):
    usher, _ = cached(f"Cache-Control: {fields}", "Age: 60", 'ETag: "a"', cache="{status: true, obey: true}")
    usher.get("/")
    assert is_hit(usher, "/", *([f"Cache-Control: {says}"] if says else [])) == hit


def test_who_asks_for_fresh_gets_nothing_stale_meanwhile(cached):
    usher, site = cached("Cache-Control: max-age=1, stale-while-revalidate=100", "Age: 5", cache="{status: true, obey: true}")
    usher.get("/")
    assert usher.get("/", "Cache-Control: no-cache").body == b"2"
    assert "stale-while-revalidate" in usher.get("/").get("Cache-Status")


def test_hosts_of_a_site_may_share(stage):
    site = Site("Cache-Control: max-age=60")
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
sites:
  - host: [a.example, b.example]
    cache: {status: true, key: {host: false}}
    proxy: $ORIGIN
  - host: [c.example]
    cache: {status: true, key: {host: false}}
    proxy: $ORIGIN
""", ORIGIN=stage.origin(site))
    bodies = [usher.get("/", host=host).body for host in ("a.example", "b.example", "c.example", "b.example")]
    assert bodies == [b"1", b"1", b"2", b"1"]
