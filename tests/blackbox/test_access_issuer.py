"""Keys of tokens that are fetched by URL: at first, again, and not too often."""

import json
import threading
import time

import pytest

from support.openid import LyingProvider
from support.usher import eventually, free_port
from test_access_token import Keys, ask

CONFIG = """
listen: "127.0.0.1:$PORT"
logins:
  api: {tokens: {keys: "$URL", issuer: "$ISSUER", audience: shop, $MORE}, remember: $REMEMBER}
access: {login: api}
proxy: $ORIGIN
"""
PAUSE = 10  # PROVIDER_PAUSE_SECONDS


@pytest.fixture(scope="module")
def keys():
    return Keys()


@pytest.fixture
def source(stage, keys):
    return stage.add(LyingProvider(keys))


@pytest.fixture
def fetching(stage):
    def start(url, issuer, more="leeway: 1s", remember="1m"):
        origin = stage.origin()
        usher = stage.usher(CONFIG, ORIGIN=origin, URL=url, ISSUER=issuer, MORE=more, REMEMBER=remember)
        usher.site = origin
        return usher
    return start


def renamed(keys, kid):
    """The same set, in which the key for ES256 has another name."""
    return {"keys": [{**key, "kid": kid} if key.get("crv") == "P-256" else key for key in keys.set()["keys"]]}


def test_keys_come_by_url(fetching, source, keys):
    usher = fetching(f"{source.issuer}/jwks", source.issuer)
    for alg in ("ES256", "RS256", "EdDSA"):
        assert ask(usher, keys.token(alg, iss=source.issuer)).status == 200
    assert source.fetched() == 1 and usher.site.requests[-1].get("X-Forwarded-User") == "robot"
    assert source.fields[-1]["User-Agent"] == "usher"
    # Whoever can fetch a secret could sign by it.
    assert ask(usher, keys.token("HS256", iss=source.issuer)).status == 401
    assert ask(usher, keys.token(iss="https://another.example")).status == 401


def test_another_key_is_fetched_when_a_token_names_it(fetching, source, keys):
    usher = fetching(f"{source.issuer}/jwks", source.issuer)
    old, new = keys.token(header={"kid": "P-256"}, iss=source.issuer), keys.token(header={"kid": "next"}, iss=source.issuer)
    assert ask(usher, old).status == 200
    source.set = renamed(keys, "next")
    assert ask(usher, old).status == 200  # nobody has asked yet
    eventually(lambda: ask(usher, new).status == 200, "the next key", 3 * PAUSE)
    # The former one is gone, and so is what is remembered of its tokens.
    assert ask(usher, old).status == 401


def test_a_flood_of_unknown_keys_is_no_flood_of_fetches(fetching, source, keys):
    usher = fetching(f"{source.issuer}/jwks", source.issuer)
    assert ask(usher, keys.token(iss=source.issuer)).status == 200
    begun, asked = time.monotonic(), 0

    def flood():
        nonlocal asked
        number = 0
        while time.monotonic() < begun + PAUSE + 2:
            assert ask(usher, keys.token(header={"kid": f"{threading.get_ident()}-{number}"}, iss=source.issuer)).status == 401
            number += 1
        asked += number
    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked > 50 and 1 < source.fetched() <= 2 + (time.monotonic() - begun) / PAUSE
    assert ask(usher, keys.token(iss=source.issuer)).status == 200


def test_who_comes_first_after_a_change_waits_and_gets_in(fetching, source, keys):
    usher = fetching(f"{source.issuer}/jwks", source.issuer)
    assert ask(usher, keys.token(iss=source.issuer)).status == 200
    time.sleep(PAUSE + 1)
    source.set = renamed(keys, "next")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(usher, keys.token(header={"kid": "next"}, iss=source.issuer)).status)) for _ in range(8)]
    source.wait = threading.Event()
    for thread in threads:
        thread.start()
    eventually(lambda: source.fetched() == 2, "the fetch")
    source.wait.set()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8 and source.fetched() == 2


def test_keys_are_fetched_again_by_time(fetching, source, keys):
    usher = fetching(f"{source.issuer}/jwks", source.issuer, more="refresh: 1s")
    eventually(lambda: source.fetched() >= 3, "more fetches")
    # max-age makes it sooner, never later.
    source.cache_control = "public, max-age=86400"
    count = source.fetched()
    eventually(lambda: source.fetched() >= count + 3, "more fetches")
    assert ask(usher, keys.token(iss=source.issuer)).status == 200


def test_max_age_makes_it_sooner(fetching, source):
    source.cache_control = "max-age=1"
    fetching(f"{source.issuer}/jwks", source.issuer, more="refresh: 1h")
    time.sleep(3)
    assert source.fetched() == 1  # but no sooner than a minute


def test_old_keys_stay_while_the_source_is_away(fetching, source, keys):
    usher = fetching(f"{source.issuer}/jwks", source.issuer, more="refresh: 1s", remember="off")
    assert ask(usher, keys.token(iss=source.issuer)).status == 200
    for bad in (500, 404, 302):
        source.status = bad
        usher.wait_for_error("what is known of it goes on")
        assert ask(usher, keys.token(iss=source.issuer)).status == 200
    source.status, source.set = 200, {"keys": []}
    time.sleep(2)
    assert ask(usher, keys.token(iss=source.issuer)).status == 200
    source.set = keys.set()
    usher.wait_for_error("answers again")
    assert usher.stderr.count("what is known of it goes on") <= 3


def test_without_keys_nobody_gets_in_and_usher_runs(stage, fetching, keys):
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    usher = fetching(f"{issuer}/jwks", issuer)
    for _ in range(20):
        answer = ask(usher, keys.token(iss=issuer))
        assert answer.status == 503 and not usher.site.requests
    assert usher.get("/").status == 401
    assert usher.stderr.count("nobody gets in through it until it answers") == 1
    assert usher.stop() is None


def test_a_source_that_hangs(stage, fetching, keys):
    silent = stage.silent_port()
    usher = fetching(f"http://127.0.0.1:{silent.port}/jwks", "a")
    assert usher.get("/").status == 401
    assert ask(usher, keys.token(iss="a")).status == 503
    usher.stop()


def test_keys_outlive_reloads(fetching, source, keys):
    usher = fetching(f"{source.issuer}/jwks", source.issuer)
    assert ask(usher, keys.token(iss=source.issuer)).status == 200
    for number in range(5):
        usher.values["REMEMBER"] = f"{number + 2}m"
        usher.write(CONFIG)
        usher.reload()
        assert ask(usher, keys.token(iss=source.issuer)).status == 200
    assert source.fetched() == 1
    # Another URL is another source; the former one is left alone.
    usher.values["URL"] = f"{source.issuer}/elsewhere"
    usher.write(CONFIG)
    usher.reload()
    eventually(lambda: ask(usher, keys.token(iss=source.issuer)).status == 200, "the keys")
    assert source.fetched() == 1 and source.asked.count("/elsewhere") == 1


def test_proxies_of_the_environment_are_not_asked(stage, source, keys):
    dead = stage.dead_port()
    origin = stage.origin()
    proxies = {name: f"http://127.0.0.1:{dead.port}" for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")}
    usher = stage.usher(CONFIG, env=proxies, ORIGIN=origin, URL=f"{source.issuer}/jwks", ISSUER=source.issuer, MORE="leeway: 1s", REMEMBER="1m")
    assert ask(usher, keys.token(iss=source.issuer)).status == 200


@pytest.mark.parametrize("content, words", [(b"", "JWK set"), (b"[]", "JWK set"), (b"x" * 600000, "more than 524288 bytes"), ({"keys": [{"kty": "oct", "k": "A" * 43}]}, "none of its keys")],
                         ids=["nothing", "a list", "too much", "a secret"])
def test_what_is_no_set_is_not_taken(fetching, source, keys, content, words):
    source.set = content
    usher = fetching(f"{source.issuer}/jwks", source.issuer)
    assert ask(usher, keys.token(iss=source.issuer)).status == 503
    usher.wait_for_error(words)


def test_tls_by_a_ca_alone(stage, fetching, authority, keys):
    source = stage.add(LyingProvider(keys, tls=authority.issue("127.0.0.1")))
    other = stage.add(LyingProvider(keys, tls=authority.issue("another.example")))
    assert ask(fetching(f"{source.issuer}/jwks", source.issuer, more=f"ca: {authority.ca}"), keys.token(iss=source.issuer)).status == 200
    assert ask(fetching(f"{source.issuer}/jwks", source.issuer), keys.token(iss=source.issuer)).status == 503
    assert ask(fetching(f"{other.issuer}/jwks", other.issuer, more=f"ca: {authority.ca}"), keys.token(iss=other.issuer)).status == 503
    assert not other.asked and json.dumps(source.asked) == '["/jwks"]'
