"""The key `cache` as the operator writes it: conditions, counts, and mistakes."""

import pytest

from support.cache import Site, twice
from support.usher import run_command


def test_routes_that_share_a_target_do_not_share_answers(stage):
    """What a request is matched by beside its path is no part of its target."""
    origins = {name: stage.origin(Site("Cache-Control: max-age=60", body=name)) for name in ("beta", "post", "usual")}
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
cache: true
routes:
  - {match: {header: {X-Beta: "1"}}, proxy: $BETA}
  - {match: {header: {X-Beta: "2"}}, proxy: $POST}
  - proxy: $USUAL
""", BETA=origins["beta"], POST=origins["post"], USUAL=origins["usual"])
    for _ in range(2):
        assert usher.get("/").body == b"usual"
        assert usher.get("/", "X-Beta: 1").body == b"beta"
        assert usher.get("/", "X-Beta: 2").body == b"post"
    assert all(len(origin.requests) == 1 for origin in origins.values())


def test_bypass(cached):
    usher, site = cached("Cache-Control: max-age=60", cache=r'{status: true, bypass: [{header: {Cookie: "~ (^|; )session="}}, {query: {fresh: "*"}}]}')
    assert usher.get().body == b"1"
    for number, request in enumerate([("/", "Cookie: a=b; session=1"), ("/", "Cookie: session=2"), ("/?fresh",)]):
        answer = usher.get(*request)
        assert answer.body == str(number + 2).encode() and answer.get("Cache-Status") == 'usher; fwd=bypass; detail="bypass"'
    assert usher.get("/", "Cookie: mysession=1").body == b"1"
    assert usher.get("/?fresh").body == b"5"


def test_no_store(cached):
    usher, _ = cached("Cache-Control: max-age=60", cache='{status: true, no_store: {header: {X-Trial: "1"}}}')
    assert twice(usher, "X-Trial: 1") == (b"1", b"2")
    assert usher.get().body == b"3"
    assert usher.get("/", "X-Trial: 1").body == b"3"
    assert usher.get("/x", "X-Trial: 1").get("Cache-Status") == 'usher; fwd=miss; detail="no_store"'


def test_min_uses(cached):
    usher, _ = cached("Cache-Control: max-age=60", cache="{status: true, min_uses: 3}")
    assert usher.get().get("Cache-Status") == 'usher; fwd=miss; detail="min_uses"'
    assert [usher.get().body for _ in range(4)] == [b"2", b"3", b"3", b"3"]


def test_methods_without_head(cached):
    usher, site = cached("Cache-Control: max-age=60", 'ETag: "a"', cache="{status: true, methods: GET}", body="body")
    usher.get()
    for _ in range(2):
        head = usher.ask("HEAD", "/")
        assert head.get("Cache-Status").startswith("usher; fwd=method") and head.get("Content-Length") == "4"
    assert [request.method for request in site.asked] == ["GET", "HEAD", "HEAD"]
    assert usher.get().get("Cache-Status") == "usher; hit"
    site.fields[1] = 'ETag: "b"'  # RFC 9111 section 4.3.5
    usher.ask("HEAD", "/")
    assert usher.get().get("Cache-Status").startswith("usher; fwd=stale")


@pytest.mark.parametrize("cache", ["true", "{status: true, methods: [HEAD, GET]}"])
def test_methods_with_head(cached, cache):
    usher, site = cached("Cache-Control: max-age=60", cache=cache, body="body")
    usher.get()
    assert usher.ask("HEAD", "/").get("Content-Length") == "4" and len(site.asked) == 1


def test_off_and_absent(cached):
    usher, _ = cached("Cache-Control: max-age=60", cache="false")
    assert twice(usher) == (b"1", b"2")


@pytest.mark.parametrize("cache,says", [("{tll: 1m}", 'did you mean "ttl"'), ("maybe", "cache"), ("{max_object: 0}", "max_object"),
    ("{ttl_by_status: {99: 1s}}", "is no status"), ("{ttl_by_status: {404: 1ms}}", "no time to be fresh"), ("{ttl_by_status: {404: x}}", "no time to be fresh"),
    ("{methods: [GET, POST]}", "has to reach the server each time"), ("{methods: [GET, QUERY]}", "no part of the key"), ("{methods: DELETE}", "used again"),
    ("{methods: [get]}", "in capitals"), ("{methods: HEAD}", "without GET"), ("{methods: []}", "without GET"),
    ("{purge: [10.0.0.0/33]}", "10.0.0.0/33"), ("{bypass: {}}", "says nothing"), ("{no_store: [{}]}", "says nothing"), ("{min_uses: 0}", "min_uses")])
def test_mistakes_are_named(tmp_path, cache, says):
    path = tmp_path / "usher.yaml"
    path.write_text(f"proxy: 127.0.0.1:1\ncache: {cache}\n")
    done = run_command("check", path)
    assert done.returncode == 1 and says in done.stderr, done.stderr
