"""Visitors whom an authentication service has let in are known for a while."""

import pytest

from support.usher import eventually, run_command
from test_access_forward import GOOD, send, served  # noqa: F401 (a fixture)


def asked(usher, *fields, times=1, address="8.8.8.8", target="/private", host="test.example"):
    """The statuses of visits, and how often the service was asked for them."""
    before = len(usher.service.asked)
    statuses = [usher.ask("GET", target, f"X-Forwarded-For: {address}", *fields, host=host).status for _ in range(times)]
    return statuses, len(usher.service.asked) - before


def test_the_service_is_asked_each_time_unless_told_otherwise(served):
    assert asked(served(), GOOD, times=3) == ([200] * 3, 3)


def test_who_was_let_in_is_known_for_a_while(served):
    usher = served("remember: 2s")
    assert asked(usher, GOOD, times=4) == ([200] * 4, 1)
    last = usher.site.last()
    assert last.get("X-Forwarded-User") == "ann" and last.get("X-Forwarded-Groups") == "makers,admins"
    assert last.get("Remote-Email") == "ann@example.com" and not last.has("X-Token")
    eventually(lambda: asked(usher, GOOD)[1] == 1, "the service to be asked again")


def test_the_known_are_told_from_others(served):
    usher = served("remember: 1h")
    assert asked(usher, GOOD) == ([200], 1)
    assert asked(usher, GOOD, address="8.8.4.4")[1] == 1
    assert asked(usher, GOOD, target="/other")[1] == 1
    assert asked(usher, GOOD, host="other.example")[1] == 1
    assert asked(usher, "Cookie: good=1; a=b")[1] == 1
    assert asked(usher, GOOD, "Authorization: Basic eDp5")[1] == 1
    assert asked(usher, GOOD, "Remote-Email: forged@example.com") == ([200], 0)
    assert usher.site.last().all("Remote-Email") == ["ann@example.com"]


def test_by_what_a_visitor_is_known(served):
    usher = served("remember: 1h, remember_by: [cookie]")
    assert asked(usher, GOOD) == ([200], 1)
    assert asked(usher, GOOD, address="8.8.4.4", target="/other", host="other.example") == ([200], 0)
    assert asked(usher, "Cookie: other=1", times=2) == ([302, 302], 2)


def test_refusals_and_strangers_are_not_remembered(served):
    usher = served("remember: 1h")
    assert asked(usher, "Cookie: bad=1", times=2) == ([302, 302], 2)
    assert asked(usher, times=2) == ([302, 302], 2)


def test_what_the_service_says_of_a_body_is_of_that_body(served):
    usher = served("remember: 1h, body: 1KiB")
    assert [send(usher, GOOD, body=b"x").status for _ in range(2)] == [200, 200]
    assert len(usher.service.asked) == 2


@pytest.mark.parametrize("more, said", [
    ("remember_by: [host, client]", "everybody would be taken for one visitor"), ("remember_by: [Cookie, 'a b']", "no name of a field"),
    ("remember: 2h", "remember"),
])
def test_mistakes_in_remembering(tmp_path, more, said):
    config = tmp_path / "usher.yaml"
    config.write_text(f"access: {{forward: {{to: http://127.0.0.1:1, {more}}}}}\nproxy: http://127.0.0.1:2\n")
    done = run_command("check", config)
    assert done.returncode == 1 and said in done.stderr and "usher.yaml:1:" in done.stderr
