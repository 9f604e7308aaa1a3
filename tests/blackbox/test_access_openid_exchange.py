"""What a provider that lies says for a code: no word of it lets anybody in."""

import base64
import hashlib
import urllib.parse

import pytest

from support.openid import SECRET, LyingProvider, Visitor
from test_access_openid import BACK, come_back, keys, liar, staged  # noqa: F401


def test_what_the_provider_is_told(staged, liar):
    usher = staged(liar, more="user: sub")
    visitor = Visitor(usher)
    answer, asked = come_back(visitor, liar)
    assert answer.status == 303 and visitor.get().status == 200 and usher.site.requests[-1].get("X-Forwarded-User") == "ann"
    form = liar.forms[-1]
    digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
    assert digest == asked["code_challenge"] and form["grant_type"] == "authorization_code" and form["code"] == "a-code" and form["redirect_uri"] == BACK[0]
    sent = base64.b64decode(liar.fields[-1]["Authorization"].split()[1]).decode()
    assert sent == f"usher:{urllib.parse.quote(SECRET)}" and "client_secret" not in form
    assert SECRET not in usher.stderr and "a-code" not in usher.stderr


@pytest.mark.parametrize("change", [
    {"claims": {"nonce": "another"}}, {"claims": {"nonce": None}}, {"claims": {"iss": "https://another.example"}}, {"claims": {"aud": "another"}},
    {"claims": {"aud": ["usher", "another"]}}, {"claims": {"aud": ["usher", "another"], "azp": "another"}}, {"claims": {"azp": "another"}},
    {"claims": {"exp": 1_700_000_000}}, {"claims": {"exp": None}}, {"claims": {"sub": ""}}, {"claims": {"sub": None}}, {"claims": {"sub": 5}},
    {"claims": {"sub": "a\nb"}}, {"claims": {"sub": "a" * 300}}, {"alg": "HS256", "header": {"kid": "secret"}}, {"alg": "none", "header": {}},
    {"header": {"kid": "unknown"}}, {"header": {"crit": ["b64"]}}], ids=str)
def test_tokens_that_do_not_hold(staged, liar, change):
    usher = staged(liar, more="user: sub")
    for name, value in change.items():
        setattr(liar, name, value)
    visitor = Visitor(usher)
    answer, _ = come_back(visitor, liar)
    assert answer.status == 403 and "usher" not in visitor.cookies
    assert "login from 127.0.0.1 through staff failed" in usher.stderr and liar.url.encode() not in answer.body


def test_several_audiences_with_the_right_azp(staged, liar):
    usher = staged(liar, more="user: sub")
    liar.claims = {"aud": ["another", "usher"], "azp": "usher"}
    assert come_back(Visitor(usher), liar)[0].status == 303


@pytest.mark.parametrize("answer, status", [
    (({"error": "invalid_grant"}, 400), 400), (({"error": "invalid_client"}, 401), 502), ((b"not json", 200), 502), (({}, 200), 502), (({"id_token": 5}, 200), 502),
    (({"id_token": "x.y.z"}, 200), 403), (({}, 500), 502), (({}, 302), 502), ((b"{" * 600000, 200), 503)])
def test_answers_that_are_none(staged, liar, answer, status):
    usher = staged(liar, more="user: sub")
    liar.answer = answer
    visitor = Visitor(usher)
    assert come_back(visitor, liar)[0].status == status and "usher" not in visitor.cookies


def test_the_issuer_in_the_answer(staged, liar):
    usher = staged(liar, more="user: sub")
    assert come_back(Visitor(usher), liar, iss=liar.issuer)[0].status == 303
    liar.nonce = None
    assert come_back(Visitor(usher), liar, iss="https://another.example")[0].status == 400
    assert come_back(Visitor(usher), liar, iss="")[0].status == 400
    liar.metadata = {"authorization_response_iss_parameter_supported": True}
    usher = staged(liar, more="user: sub, refresh: 1d")
    liar.nonce = None
    assert come_back(Visitor(usher), liar, iss=liar.issuer)[0].status == 303
    assert come_back(Visitor(usher), liar)[0].status == 400


def test_userinfo_about_somebody_else(staged, liar):
    liar.metadata = {"userinfo_endpoint": f"{liar.issuer}/userinfo"}
    usher = staged(liar, more="user: sub, groups: teams")
    visitor = Visitor(usher)
    liar.info = {"sub": "bob", "teams": ["admins"]}
    assert come_back(visitor, liar)[0].status == 403
    liar.nonce, liar.info = None, {"sub": "ann", "teams": ["makers"], "email": "root@example.com"}
    assert come_back(visitor, liar)[0].status == 303 and visitor.get().status == 200
    seen = usher.site.requests[-1]
    # What the token says stands.
    assert seen.get("X-Forwarded-Groups") == "makers" and seen.get("X-Forwarded-Email") == "ann@example.com"
    assert liar.fields[-1]["Authorization"] == "Bearer an access token"
    liar.nonce, liar.info = None, None
    assert come_back(Visitor(usher), liar)[0].status == 502


@pytest.mark.parametrize("metadata, word", [({"issuer": "https://another.example"}, "another issuer"), ({"token_endpoint": "file:///etc/passwd"}, "no URL"),
                                            ({"jwks_uri": None}, "no URL"), ({"authorization_endpoint": "https://a b"}, "no URL")])
def test_discovery_that_does_not_do(staged, liar, metadata, word):
    liar.metadata = metadata
    usher = staged(liar)
    answer = Visitor(usher).get()
    assert answer.status == 503 and word in usher.stderr and not usher.site.requests and not answer.has("Location")


def test_https_leads_to_https_alone(stage, staged, keys, authority):
    provider = stage.add(LyingProvider(keys, tls=authority.issue("127.0.0.1")))
    provider.metadata = {"token_endpoint": "http://127.0.0.1:1/token"}
    usher = staged(provider, more=f"ca: {authority.ca}")
    assert Visitor(usher).get().status == 503 and "no URL of https" in usher.stderr


def test_a_redirect_is_no_answer(staged, liar):
    liar.status = 302
    usher = staged(liar)
    assert Visitor(usher).get().status == 503 and "status 302" in usher.stderr and "/elsewhere" not in liar.asked
