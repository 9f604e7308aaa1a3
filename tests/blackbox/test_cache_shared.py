"""What the operator sees of the cache, and makes it forget: `usher cache`, the method PURGE left out."""

import threading

import pytest

from support.cache import ADMIN, CONFIG, Site, cache_command, date, is_hit
from support.usher import eventually


def test_purge_by_url(administered):
    for target in ("/a", "/b", "/a?x"):
        administered.get(target)
    administered.get("/a", "X-A: 1")
    assert is_hit(administered, "/a") and is_hit(administered, "/a", "X-A: 1")
    done = cache_command(administered, "purge", "HTTP://Test.Example:8080/a")
    assert (done.returncode, done.stdout) == (0, "2 stored answers forgotten\n"), done.stderr
    assert not is_hit(administered, "/a") and is_hit(administered, "/b") and is_hit(administered, "/a?x")
    assert cache_command(administered, "purge", "http://test.example/a?x", "http://test.example/nothing").returncode == 0
    assert not is_hit(administered, "/a?x")
    administered.wait_for_error("cache: 2 stored answers forgotten by the operator's word: HTTP://Test.Example:8080/a")


def test_purge_everything(administered):
    for number in range(20):
        administered.get(f"/{number}")
    assert cache_command(administered, "purge", "--all").stdout == "20 stored answers forgotten\n"
    assert not any(is_hit(administered, f"/{number}") for number in range(20))


@pytest.mark.parametrize("words,gone", [
    (["--prefix", "http://test.example/shop/"], ["/shop/a", "/shop/b", "/shop/a?x"]), (["--prefix", "http://TEST.example/"], None),
    (["--prefix", "http://other.example/"], []), (["--prefix", "http://test.example/shop/a"], ["/shop/a", "/shop/a?x"]),
    (["--tag", "a"], ["/shop/a", "/shop/a?x", "/a"]), (["--tag", "page"], None), (["--tag", "sho"], []), (["--tag", "b", "a"], ["/shop/b", "/shop/a", "/shop/a?x", "/a"]),
    (["--tag", "two"], None), (["--all"], None),
])
@pytest.mark.parametrize("soft", [False, True])
def test_purge_of_many(tagged, words, gone, soft):
    targets = ["/shop/a", "/shop/b", "/shop/a?x", "/shop", "/a"]
    gone = targets if gone is None else gone
    for target in targets:
        assert not tagged.get(target).has("Cache-Tag")
    assert all(is_hit(tagged, target) for target in targets)
    done = cache_command(tagged, "purge", *(["--soft"] if soft else []), *words)
    counts = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and sum(counts) == len(gone), done.stdout + done.stderr
    assert ("made stale" if soft else "forgotten") in done.stdout
    for target in targets:
        says = tagged.get(target).get("Cache-Status")
        assert says == ("usher; hit" if target not in gone else "usher; hit; detail=stale-while-revalidate" if soft else "usher; fwd=miss; stored"), target


def test_a_purge_means_what_is_being_fetched(stage, tmp_path):
    """What was asked for before the purge is not stored after it."""
    go = threading.Event()

    def answer(request, body):
        go.wait(30)
        return "200 OK", ["Cache-Control: max-age=600", "Surrogate-Key: x"], body
    site = Site()
    site.fields = answer
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(site), CACHE="{status: true}", DIR=tmp_path)
    with usher.connect() as client:
        client.request()
        eventually(lambda: len(site.asked) == 1, "the request")
        assert cache_command(usher, "purge", "--tag", "x").stdout == "0 stored answers forgotten\n"
        go.set()
        assert client.response().body == b"1"
    assert usher.get().body == b"2" and is_hit(usher, "/")


def test_soft_purge_by_url(tagged):
    tagged.get("/a")
    assert cache_command(tagged, "purge", "--soft", "http://test.example/a").stdout == "1 stored answers made stale\n"
    assert tagged.get("/a").get("Cache-Status") == "usher; hit; detail=stale-while-revalidate"
    eventually(lambda: is_hit(tagged, "/a"), "another fetch")


def test_show_tells_why(administered):
    administered.get("/a")
    administered.get("/a", "X-A: 1")
    administered.get("/a", "X-A: 1")
    shown = cache_command(administered, "show", "http://test.example/a").stdout
    assert shown.count("http://test.example/a\n") == 2 and shown.count("of 600 s that it is fresh (max-age)") == 2
    assert "  for X-A: 1\n" in shown and "used 1 times" in shown and "used 0 times" in shown
    assert cache_command(administered, "show", "http://test.example/b").stdout == "nothing is stored\n"
    cache_command(administered, "purge", "--soft", "--all")
    assert "not reused as it is" in (shown := cache_command(administered, "show", "http://test.example/a").stdout) and "a purge made it stale" in shown


@pytest.mark.parametrize("fields,cache,says", [
    (["Cache-Control: private"], "true", "not stored: the answer is private: for one visitor alone (RFC 9111 section 5.2.2.7)"),
    (["Cache-Control: no-cache", 'ETag: "a"'], "true", "no-cache: the server is asked each time (RFC 9111 section 5.2.2.4)"),
    (["Cache-Control: max-age=0", 'ETag: "a"'], "true", "stale: the server is asked first"),
    (["Cache-Control: s-maxage=60"], "true", "fresh (s-maxage)"), ([f"Expires: {date(600)}"], "true", "fresh (Expires)"),
    ([], "{ttl: 1m}", "of 60 s that it is fresh (ttl)"), ([f"Last-Modified: {date(-10000)}"], "{heuristic: {percent: 10}}", "fresh (heuristic)"),
], ids=["private", "no-cache", "stale", "s-maxage", "expires", "ttl", "heuristic"])
def test_show_names_the_rule(stage, tmp_path, fields, cache, says):
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(Site(*fields)), CACHE=cache, DIR=tmp_path)
    usher.get("/a")
    assert says in cache_command(usher, "show", "http://test.example/a").stdout


def test_show_tells_of_what_was_too_large_in_the_end(stage, tmp_path):
    def script(connection):
        while connection.read_request() is not None:
            connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: X-A\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(40):
                connection.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
            connection.send(b"0\r\n\r\n")
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(script), CACHE="{max_object: 64KiB}", DIR=tmp_path)
    assert len(usher.get("/a", "X-A: one").body) == 40 * 0x8000
    eventually(lambda: "not stored: the answer is larger than max_object" in cache_command(usher, "show", "http://test.example/a").stdout, "a mark")


def test_list_and_top(administered):
    for number in range(30):
        for _ in range(number + 1):
            administered.get(f"/{number:02}")
    everything = cache_command(administered, "list").stdout
    assert all(f"http://test.example/{number:02}\n" in everything for number in range(30))
    some = cache_command(administered, "list", "http://test.example/1").stdout
    assert [f"http://test.example/{number:02}\n" in some for number in range(30)] == [10 <= number < 20 for number in range(30)]
    top = [line for line in cache_command(administered, "top").stdout.splitlines() if line.startswith("http")]
    assert top == [f"http://test.example/{number:02}" for number in range(29, 9, -1)]
    assert cache_command(administered, "list", "nothing").returncode == 1


def test_stats(administered):
    for _ in range(4):
        administered.get("/a")
    done = cache_command(administered, "stats")
    assert done.returncode == 0
    assert "stored answers  1\n" in done.stdout and "of 67108864\n" in done.stdout and "found           3 of 4 (75.0%)" in done.stdout


def test_stats_do_not_count_what_is_not_stored_as_found(stage, tmp_path):
    usher = stage.usher(CONFIG + ADMIN, ORIGIN=stage.origin(Site("Cache-Control: private")), CACHE="true", DIR=tmp_path)
    for _ in range(4):
        usher.get("/a")
    assert "found           0 of 4 (0.0%)" in cache_command(usher, "stats").stdout


@pytest.mark.parametrize("words,code,says", [
    (["purge"], 2, "usage"), (["purge", "--all", "http://x/"], 2, "usage"), (["stats", "x"], 2, "usage"), (["fly"], 2, "usage"), (["show"], 2, "usage"), (["top", "x"], 2, "usage"),
    (["show", "x"], 1, "is no URL"),
    (["purge", "--all", "--tag", "x"], 2, "usage"), (["purge", "--tag", "a,b"], 1, "is no tag"), (["purge", "--prefix", "x"], 1, "is no URL"),
    (["purge", "not-a-url"], 1, "is no URL"), (["purge", "http://test.example"], 1, "is no URL"), (["purge", "http://a b/"], 1, "is no URL"),
])
def test_wrong_words(administered, words, code, says):
    done = cache_command(administered, *words)
    assert done.returncode == code and says in done.stderr, done.stderr


def test_stats_by_site_and_route(stage, tmp_path):
    site = Site("Cache-Control: max-age=60")
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
admin: "unix:$DIR/admin.sock"
sites:
  - host: a.example
    routes:
      - {path: /p, cache: true, proxy: $ORIGIN}
      - {path: /q, cache: {no_store: [{query: {x: "*"}}]}, proxy: $ORIGIN}
  - {host: b.example, cache: true, proxy: $ORIGIN}
""", ORIGIN=stage.origin(site), DIR=tmp_path)
    for target in ("/p", "/p", "/p", "/q", "/q?x=1"):
        usher.get(target, host="a.example")
    usher.get("/", host="b.example")
    for _ in range(2):
        stats = cache_command(usher, "stats").stdout
        assert "a.example /p  2 of 3 (66.7%): 2 hits, 0 stale, 1 misses, 0 passed\n" in stats, stats
        assert "a.example /q  0 of 2 (0.0%): 0 hits, 0 stale, 1 misses, 1 passed\n" in stats
        assert "b.example *  0 of 1 (0.0%)" in stats
        usher.reload()  # they are found again
