"""The tests for HTTP caches of cache-tests.fyi, of which each that fails stands here with its reason."""

import json
import subprocess

import pytest

from support import npm
from support.client import PATIENCE
from support.usher import ROOT

CONFIG = """
listen: "127.0.0.1:$PORT"
proxy: $ORIGIN
cache: {heuristic: {percent: 10}}
"""
ROUNDS = 3  # some give a second or two to what has to be fresh meanwhile, which a busy machine may take

# They are of 2021, before RFC 9111, or want what it does not.
IGNORED_AGE = "RFC 9111 section 5.1: of several values the first counts, and what is no number is ignored"
NO_ANSWER = "what is taken for a stored answer is the 502 or 504 for the server that closed"
PART_OF_ANOTHER_LENGTH = "its part has five bytes and says that it has six"
FAILING = {
    **dict.fromkeys(["age-parse-nonnumeric", "age-parse-negative", "age-parse-float", "age-parse-prefix-twoline", "age-parse-dup-0",
                     "age-parse-dup-0-twoline", "age-parse-dup-old", "age-parse-parameter", "age-parse-numeric-parameter"], IGNORED_AGE),
    **dict.fromkeys(["stale-close-must-revalidate", "stale-close-proxy-revalidate", "stale-close-no-cache", "stale-close-s-maxage=2"], NO_ANSWER),
    **dict.fromkeys(["partial-store-partial-reuse-partial", "partial-store-partial-reuse-partial-byterange",
                     "partial-store-partial-reuse-partial-absent", "partial-store-partial-reuse-partial-suffix"], PART_OF_ANOTHER_LENGTH),
    "partial-store-partial-complete": "RFC 9111 section 3.4: without a strong validator parts are not combined",
    "304-etag-update-response-ETag": "RFC 9111 section 4.3.4: a 304 with another strong ETag refreshes nothing",
    "304-etag-update-response-Set-Cookie": "answers that set cookies are not stored unless the operator says so",
    "headers-store-Set-Cookie": "the same", "other-set-cookie": "the same",
    "headers-store-Transfer-Encoding": "RFC 9112 section 6.1: the answer has a transfer coding that was not asked for",
    "conditional-lm-fresh-no-lm": "RFC 9111 section 4.3.2: it was made after the date that is asked for",
    "vary-normalise-lang-order": "servers may take the order of languages for what is preferred (RFC 9110 section 12.5.4)",
    "vary-normalise-lang-select": "the server chooses the language; `vary: {languages: ...}` does by the operator's word",
    "vary-normalise-space": "of a field that is not known nobody knows where blanks have a meaning",
    "method-POST": "answers to POST are not stored",
}


def run(stage, ids=None):
    process = subprocess.Popen(["node", "--no-warnings", ROOT / "tests/blackbox/cache_suite/run.mjs"], env=npm.environment("cache_suite"), text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        port = process.stdout.readline().strip()
        assert port, process.stderr.read()
        usher = stage.usher(CONFIG, ORIGIN=f"http://127.0.0.1:{port}")
        out, err = process.communicate(json.dumps({"base": f"http://127.0.0.1:{usher.port}", "ids": ids}) + "\n", timeout=PATIENCE * 10)
    finally:
        process.kill()
        process.wait()
    assert out, err
    return json.loads(out)


def failed(results):
    """Those that only ask how a cache behaves do not fail."""
    return {name: told["result"] for name, told in results.items() if told["kind"] != "check" and told["result"] is not True}


@pytest.mark.timeout(600)
def test_all_but_those_with_a_reason_pass(stage):
    results = run(stage)
    assert len(results) > 300 and FAILING.keys() <= results.keys()
    unexpected = {name: why for name, why in failed(results).items() if name not in FAILING}
    for _ in range(ROUNDS - 1):
        unexpected = failed(run(stage, list(unexpected))) if unexpected else {}
    assert not unexpected
    assert not FAILING.keys() - failed(results).keys(), "these pass: their reason is gone"
