"""Fields of answers that tell browsers to be careful."""

import pytest


def start(stage, rule, *fields):
    def script(connection):
        while connection.read_request() is not None:
            connection.answer("body", *fields)
    return stage.usher(f'listen: "127.0.0.1:$PORT"\nsecurity: {rule}\nproxy: $ORIGIN\n', ORIGIN=stage.origin(script))


def test_the_preset(stage):
    answer = start(stage, "true").get()
    assert answer.get("X-Content-Type-Options") == "nosniff" and answer.get("X-Frame-Options") == "SAMEORIGIN"
    assert answer.get("Referrer-Policy") == "strict-origin-when-cross-origin" and "camera=()" in answer.get("Permissions-Policy")
    assert answer.get("Cross-Origin-Opener-Policy") == "same-origin-allow-popups"
    assert not answer.has("Content-Security-Policy") and not answer.has("Cross-Origin-Resource-Policy")


def test_what_the_server_says_stands(stage):
    answer = start(stage, "true", "X-Frame-Options: DENY", "Content-Security-Policy: default-src 'self'").get()
    assert answer.all("X-Frame-Options") == ["DENY"] and answer.get("Content-Security-Policy") == "default-src 'self'"
    answer = start(stage, "{override: true, content: \"default-src 'none'\"}", "X-Frame-Options: DENY", "Content-Security-Policy: default-src 'self'").get()
    assert answer.all("X-Frame-Options") == ["SAMEORIGIN"] and answer.all("Content-Security-Policy") == ["default-src 'none'"]


def test_by_the_operator_s_word(stage):
    answer = start(stage, "{frame: off, referrer: no-referrer, resource: same-site}").get()
    assert not answer.has("X-Frame-Options") and answer.get("Referrer-Policy") == "no-referrer" and answer.get("Cross-Origin-Resource-Policy") == "same-site"
    assert not start(stage, "false").get().has("X-Content-Type-Options")


def test_a_line_break_is_refused(stage):
    with pytest.raises(AssertionError, match="control characters"):
        start(stage, '{content: "a\\nb"}')
