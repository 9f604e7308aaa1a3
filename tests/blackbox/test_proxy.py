"""The handler `proxy`: its keys, and what the origin sees."""

import pytest

from support import wire
from support.origin import named
from support.refusal import echoed
from support.usher import run_command

TEXT = """
listen: "127.0.0.1:$PORT"
access_log: off
proxy: %s
"""


def fields(usher, **more):
    return [(name.lower(), value) for name, value in echoed(usher.get(**more))["headers"]]


@pytest.mark.parametrize("form", ["$ORIGIN", "[$ORIGIN]", "{to: $ORIGIN}", "{to: [$ORIGIN]}"])
def test_forms(stage, form):
    usher = stage.usher(TEXT % form, ORIGIN=stage.origin(named("here")))
    assert usher.get().body == b"here"


def test_address_without_scheme(stage):
    usher = stage.usher(TEXT % "$ORIGIN", ORIGIN=stage.origin(named("here")).address)
    assert usher.get().body == b"here"


def test_host_of_one_s_own(stage):
    usher = stage.usher(TEXT % "{to: $ORIGIN, host: inside.example}", ORIGIN=stage.origin())
    assert ("host", "inside.example") in fields(usher)


@pytest.mark.parametrize("choice,x_forwarded,forwarded", [("both", True, True), ("x-forwarded", True, False), ("forwarded", False, True),
                                                          ("off", False, False)])
def test_forwarded_fields_by_choice(stage, choice, x_forwarded, forwarded):
    usher = stage.usher(TEXT % f"{{to: $ORIGIN, forwarded: {choice}}}", ORIGIN=stage.origin())
    names = [name for name, _ in fields(usher)]
    assert ("x-forwarded-for" in names) == x_forwarded
    assert ("forwarded" in names) == forwarded


def test_unknown_choice_is_an_error(tmp_path):
    path = tmp_path / "usher.yaml"
    path.write_text("proxy: {to: http://127.0.0.1:1, forwarded: sometimes}\n")
    done = run_command("check", path)
    assert done.returncode == 1
    assert "both" in done.stderr


def test_options_that_may_go_no_further(stage):
    """RFC 9110 section 7.6.2."""
    origin = stage.origin()
    usher = stage.usher(TEXT % "$ORIGIN", ORIGIN=origin)
    assert usher.ask("OPTIONS", "/", "Max-Forwards: 0").status in (200, 204)
    assert not origin.requests
    got = echoed(usher.ask("OPTIONS", "/", "Max-Forwards: 3"))
    assert ["max-forwards", "2"] in [[name.lower(), value] for name, value in got["headers"]]


def test_loop_is_cut(stage):
    """usher in front of itself."""
    usher = stage.usher('listen: "127.0.0.1:$PORT"\naccess_log: off\nproxy: "http://127.0.0.1:$PORT"\n')
    response = usher.get()
    assert response.status in (502, 503, 508)


def test_request_arrives_with_one_write(stage):
    """Head and body together: the origin gets them in the same read where they were there together."""
    origin = stage.origin()
    usher = stage.usher(TEXT % "$ORIGIN", ORIGIN=origin)
    with usher.connect() as client:
        client.send(wire.head("POST /x HTTP/1.1", "Host: a.example", "Content-Length: 5") + b"hello")
        assert echoed(client.response())["body"] == "hello"
