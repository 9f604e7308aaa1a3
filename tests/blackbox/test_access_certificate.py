"""Who gets in by a client certificate."""

import subprocess

import pytest

from support.tls import Authority, TlsClient
from support.usher import run_command

SITES = """
listen: {address: "127.0.0.1:$PORT", tls: true}
logins:
  staff: {users: $USERS}
tls: {certificate: $CERTIFICATE}
proxy: $ORIGIN
sites:
  - host: any.example
    tls: {client_certificate: {mode: optional, ca: $CA}}
    access: {certificate: {verified: true}}
  - host: ann.example
    tls: {client_certificate: {mode: optional, ca: $CA}}
    access: {allow: [192.0.2.0/24], certificate: {subject: "~ (^|,)CN=ann(,|$)"}}
  - host: pinned.example
    tls: {client_certificate: {mode: optional, ca: $CA}}
    access: {certificate: {fingerprint: $FINGERPRINT}, deny: [192.0.2.0/24]}
  - host: both.example
    tls: {client_certificate: {mode: optional, ca: $CA}}
    access: {certificate: {verified: true}, login: staff, require: both}
  - host: login.example
    tls: {client_certificate: {mode: optional, ca: $CA}}
    access: {certificate: {verified: true}, login: staff}
  - host: open.example
"""
SITES_NAMES = [f"{name}.example" for name in ("any", "ann", "pinned", "both", "login", "open")]


@pytest.fixture(scope="module")
def certificates(authority, tmp_path_factory):
    """Of ann and bob, whom the authority knows; a stranger says that it is ann."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "Stranger")
    return {"ann": authority.issue("ann@example.com", purpose="client", common_name="ann"),
            "bob": authority.issue("bob@example.com", purpose="client", common_name="bob"),
            "stranger": stranger.issue("ann@example.com", purpose="client", common_name="ann"),
            "nobody": None}


@pytest.fixture(scope="module")
def running(shared, authority, certificates, tmp_path_factory):
    server = authority.issue(*SITES_NAMES)
    users = tmp_path_factory.mktemp("users") / "staff.htpasswd"
    made = subprocess.run(["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True).stdout
    users.write_text(f"ann:{made}")
    return shared.usher(SITES, ORIGIN=shared.origin(), CERTIFICATE=server.both, CA=authority.ca,
                        FINGERPRINT=certificates["stranger"].fingerprint, USERS=str(users))



@pytest.mark.parametrize("site, answers", [
    ("any.example", {"ann": 200, "bob": 200, "stranger": 403, "nobody": 403}),
    ("ann.example", {"ann": 200, "bob": 403, "stranger": 403, "nobody": 403}),
    ("pinned.example", {"ann": 403, "bob": 403, "stranger": 200, "nobody": 403}),
    ("both.example", {"ann": 401, "bob": 401, "stranger": 403, "nobody": 403}),
    ("login.example", {"ann": 200, "bob": 200, "stranger": 401, "nobody": 401}),
])
def test_who_gets_in(running, authority, certificates, site, answers):
    got = {}
    for name, certificate in certificates.items():
        with TlsClient(running.ports["PORT"], authority.trusting(certificate=certificate), site) as client:
            got[name] = client.ask("GET", "/", host=site).status
    assert got == answers


def test_a_login_after_the_certificate(running, authority, certificates):
    for name, status in ("ann", 200), ("stranger", 403):
        with TlsClient(running.ports["PORT"], authority.trusting(certificate=certificates[name]), "both.example") as client:
            assert client.ask("GET", "/", "Authorization: Basic YW5uOnNlY3JldA==", host="both.example").status == status


# A connection of another site, where the certificate was not asked for or not verified alike, says nothing here.
def test_a_certificate_is_taken_only_of_the_site_it_was_shown_to(running, authority, certificates):
    with TlsClient(running.ports["PORT"], authority.trusting(certificate=certificates["ann"]), "open.example") as client:
        assert client.ask("GET", "/", host="any.example").status == 421


def test_check_says_the_rules_in_words(running):
    said = run_command("check", running.path).stdout
    assert "any.example *: visitors with a verified certificate get in; anyone else gets 403\n" in said
    assert ("ann.example *: visitors from 192.0.2.0/24 or with a verified certificate with the subject \"~ (^|,)CN=ann(,|$)\" get in; "
            "anyone else gets 403\n") in said
    assert ("pinned.example *: visitors from 192.0.2.0/24 never get in; visitors with the pinned certificate get in; "
            "anyone else gets 403\n") in said
    assert "both.example *: visitors with a verified certificate log in through staff; anyone else gets 403\n" in said


@pytest.mark.parametrize("rule, says", [
    ("{certificate: {verified: false}}", "would let in everybody who shows no certificate"),
    ("{allow: [all], certificate: {verified: true}}", "nobody needs a certificate"),
    ("{certificate: {subjet: x}}", 'did you mean "subject"'), ("{certificate: {fingerprint: 12}}", "is no fingerprint"),
])
def test_a_mistake_never_opens_a_door(stage, rule, says):
    with pytest.raises(AssertionError) as caught:
        stage.usher('listen: "127.0.0.1:$PORT"\naccess: $RULE\nrespond: {body: x}\n', RULE=rule)
    assert says in str(caught.value)
