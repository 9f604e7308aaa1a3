"""Doors that stay shut, tried over HTTP/2: the same rules, whatever the frames."""

import pytest

from support.access import CONFIG, basic, sha512
from support.h2 import H2Client
from support.origin import echo
from support.refusal import echoed
from test_access import ADMIN, SPELLINGS

LISTEN = 'listen: {address: "127.0.0.1:$PORT", h2c: true}'


@pytest.fixture
def guarded(stage, tmp_path):
    """A client of usher by prior knowledge, and the origin; `trusted` as behind a proxy."""
    (tmp_path / "staff.htpasswd").write_text(sha512("ann", "secret") + sha512("bob", "hidden"))
    (tmp_path / "staff.groups").write_text("makers: ann bob\n")
    (tmp_path / "blocked.txt").write_text("198.51.100.7\n")
    clients = []

    def start(config, access="", cache="false", trusted=True):
        origin = stage.origin(echo)
        config = config.replace('listen: "127.0.0.1:$PORT"', LISTEN)
        if not trusted:
            config = config.replace("trusted_proxies: [127.0.0.1]\n", "")
        usher = stage.usher(config, ORIGIN=origin, ACCESS=access, CACHE=cache, DIR=tmp_path)
        clients.append(H2Client(usher.port))
        return clients[-1], origin
    yield start
    for client in clients:
        client.close()


def as_h2(field):
    name, _, value = field.partition(": ")
    return f"{name.lower()}: {value}"


ANN, BOB = as_h2(basic("ann", "secret")), as_h2(basic("bob", "hidden"))


def test_spellings_of_a_path_do_not_get_by(guarded):
    client, origin = guarded(ADMIN)
    more = ["/admin/#x", "/admin/?x=/../..", "/admin/x/..;/", "/%41dmin/"]
    got = {target: client.outcome(client.request("GET", target)) for target in [*SPELLINGS, *more]}
    assert all(outcome in (400, 401, ("reset", "PROTOCOL_ERROR")) for outcome in got.values()), got
    assert list(got.values()).count(401) > 25 and not origin.requests
    assert client.ask("GET", "/admin/", ANN).status == 200 and client.ask("GET", "/other").status == 200


# What is no path of this site is no way around a rule about paths.
@pytest.mark.parametrize("path", ["http://test.example/admin/", "admin/", "*", "", "?/admin/"])
def test_targets_of_other_forms(guarded, path):
    client, origin = guarded(ADMIN)
    assert client.outcome(client.request("GET", path)) in (400, 401, ("reset", "PROTOCOL_ERROR"))
    assert not origin.requests


def test_identity_cannot_be_forged(guarded):
    client, _ = guarded(CONFIG, "{allow: [10.0.0.0/8], login: staff}")
    forged = ["x-forwarded-user: root", "x_forwarded_user: root", "remote-user: root", "x-remote-user: root", "x-forwarded-groups: wheel",
              "x-webauth-user: root", "x-forwarded-email: root@x"]
    heard = echoed(client.ask("GET", "/", ANN, *forged))["headers"]
    told = {name: value for name, value in heard if "user" in name.lower() or "groups" in name.lower() or "email" in name.lower()}
    assert {name for name in told if told[name] in ("root", "wheel", "root@x")} == set()
    assert told["X-Forwarded-User"] == "ann" and not any(name.lower() == "authorization" for name, _ in heard)
    heard = echoed(client.ask("GET", "/", "x-forwarded-for: 10.0.0.1", *forged))["headers"]
    assert not any(value in ("root", "wheel", "root@x") for _, value in heard)


@pytest.mark.parametrize("field", ["x-forwarded-for: 10.0.0.1", "forwarded: for=10.0.0.1", "x-real-ip: 10.0.0.1", "x-forwarded-for: 127.0.0.1, 10.0.0.1"])
def test_a_client_cannot_choose_its_address(guarded, field):
    client, origin = guarded(CONFIG, "{allow: [10.0.0.0/8]}", trusted=False)
    assert client.ask("GET", "/", field).status == 403
    assert not origin.requests


# One connection carries requests of many: who one stream was says nothing of the next.
def test_streams_of_one_connection_are_apart(guarded):
    client, _ = guarded(CONFIG, "{login: staff}", cache="{ttl: 1m}")
    streams = [client.request("GET", "/", *fields) for fields in ([ANN], [], [BOB], [as_h2(basic("ann", "hidden"))], [ANN])]
    assert [client.response(stream).status for stream in streams] == [200, 401, 200, 401, 200]
    users = [dict(echoed(streams[i])["headers"])["X-Forwarded-User"] for i in (0, 2, 4)]
    assert users == ["ann", "bob", "ann"]


def test_two_authorizations_are_none(guarded):
    client, origin = guarded(CONFIG, "{login: staff}")
    outcome = client.outcome(client.request("GET", "/", as_h2(basic("ann", "wrong")), ANN))
    assert outcome in (400, 401, ("reset", "PROTOCOL_ERROR")), outcome
    assert not origin.requests
