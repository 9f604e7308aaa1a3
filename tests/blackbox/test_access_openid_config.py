"""Mistakes in what is written of a provider."""

import pytest

from support.usher import run_command


@pytest.mark.parametrize("login, rule, words", [
    ("openid: {client_id: a}", "login: staff", "issuer"),
    ("openid: {issuer: https://id.example.com}", "login: staff", "client_id"),
    ("openid: {issuer: id.example.com, client_id: a}", "login: staff", "is no URL such as https://id.example.com"),
    ("openid: {issuer: 'https://user@id.example.com', client_id: a}", "login: staff", "is no URL"),
    ("openid: {issuer: https://id.example.com, client_id: a, callback: back}", "login: staff", "is no path such as"),
    ("openid: {issuer: https://id.example.com, client_id: a, callback: /a/../b}", "login: staff", "is no path such as"),
    ("openid: {issuer: https://id.example.com, client_id: a, fields: {Host: sub}}", "login: staff", "has a meaning of its own"),
    ("openid: {issuer: https://id.example.com, client_id: a, fields: {X-Forwarded-User: sub}}", "login: staff", "has a meaning of its own"),
    ("openid: {issuer: https://id.example.com, client_id: a, fields: {'X Y': sub}}", "login: staff", "is no name of a field"),
    ("openid: {issuer: https://id.example.com, client_id: a}, users: staff.htpasswd", "login: staff", "does not go together"),
    ("openid: {issuer: https://id.example.com, client_id: a}", "login: staff, server_login: own", "gives usher no password"),
    ("tokens: {issuer: a}", "login: staff", "`keys` is missing"),
    ("users: staff.htpasswd", "login: staff, claims: {a: b}", "has neither"),
    ("openid: {issuer: https://id.example.com, client_id: a}", "allow: [10.0.0.0/8], claims: {a: b}", "there is none here")])
def test_mistakes(tmp_path, login, rule, words):
    (tmp_path / "staff.htpasswd").write_text("")
    (tmp_path / "usher.yaml").write_text(f"logins: {{staff: {{{login}}}}}\naccess: {{{rule}}}\nproxy: http://127.0.0.1:1\n")
    done = run_command("check", tmp_path / "usher.yaml")
    assert done.returncode != 0 and words in done.stderr and ("usher.yaml:1:" in done.stderr or "usher.yaml:2:" in done.stderr)


def test_http_to_elsewhere_is_warned_of(tmp_path):
    (tmp_path / "usher.yaml").write_text("logins: {staff: {openid: {issuer: http://id.example.com, client_id: a}}}\naccess: {login: staff}\nproxy: http://127.0.0.1:1\n")
    done = run_command("check", tmp_path / "usher.yaml")
    assert done.returncode == 0 and "without TLS whoever stands in between" in done.stderr
