"""What servers learn of visitors: logging in to them by Basic, and tokens that usher signs."""

import base64
import hashlib
import hmac
import json
import re
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from support.access import basic, sha512, visit
from support.usher import eventually, run_command
from test_access_page import SECRET, paged  # noqa: F401 (fixtures)

OWN = SECRET + ", password: true"


def authorization(site):
    return site.requests[-1].get("Authorization")


# --- Logging in to servers


def test_own_name_and_password_of_those_who_log_in_by_the_page(paged):
    """As an Outlook Web Access behind the page wants it."""
    usher = paged(session=OWN, rule="server_login: own")
    browser = paged.browser(usher)
    assert browser.log_in(user="bob", password="hid&den=+ü").status == 303
    assert browser.get("/mail").status == 200
    assert authorization(usher.site) == basic("bob", "hid&den=+ü").partition(": ")[2]
    assert usher.site.requests[-1].get("X-Forwarded-User") == "bob"
    assert "hid&den" not in str(browser.cookies) and base64.b64encode("hid&den=+ü".encode()).decode() not in str(browser.cookies)


def test_own_name_and_password_of_those_who_log_in_by_basic(paged):
    usher = paged(session=OWN, rule="server_login: {user: 'CORP\\$user', password: own}")
    browser = paged.browser(usher)
    assert browser.send("GET", "/", basic("ann", "secret")).status == 200
    assert authorization(usher.site) == basic("CORP\\ann", "secret").partition(": ")[2]


def test_a_password_is_not_kept_unless_it_is_wanted(paged):
    usher = paged(rule="server_login: {user: proxy, password: fixed}")
    browser = paged.browser(usher)
    assert browser.log_in().status == 303
    short = len(browser.cookies["__Host-usher"])
    assert browser.get().status == 200
    assert authorization(usher.site) == basic("proxy", "fixed").partition(": ")[2]
    kept = paged(session=OWN, rule="server_login: own")
    other = paged.browser(kept)
    assert other.log_in().status == 303
    assert len(other.cookies["__Host-usher"]) > short


def test_nothing_of_the_visitors_own_reaches_the_server_in_its_place(guarded):
    usher = guarded("{allow: [10.0.0.0/8], login: staff, server_login: {password: fixed}}")
    assert visit(usher, "10.0.0.1", basic("admin", "guessed")).status == 200
    assert not usher.site.last().has("Authorization")
    assert visit(usher, "1.2.3.4", basic("ann", "secret")).status == 200
    assert authorization(usher.site) == basic("ann", "fixed").partition(": ")[2]


def test_what_fits_into_no_credentials_is_not_sent(guarded):
    """RFC 7617 section 2: a colon would end the name."""
    usher = guarded("{login: staff, server_login: {user: 'a:$user', password: fixed}}")
    assert visit(usher, "1.2.3.4", basic("ann", "secret")).status == 200
    assert not usher.site.last().has("Authorization")


def test_the_password_is_in_no_log(paged):
    usher = paged(session=OWN, rule="server_login: own")
    browser = paged.browser(usher)
    browser.log_in(password="wrong-one")
    browser.log_in()
    browser.get()
    assert "secret" not in usher.stderr and "wrong-one" not in usher.stderr and basic("ann", "secret").split()[-1] not in usher.stderr


# --- Tokens


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def verify(key, algorithm, signature, message):
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(algorithm[-3:])
    if algorithm == "RS256":
        key.public_key().verify(signature, message, padding.PKCS1v15(), digest)
    elif algorithm == "EdDSA":
        key.public_key().verify(signature, message)
    else:
        size = (key.curve.key_size + 7) // 8
        assert len(signature) == 2 * size
        numbers = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
        key.public_key().verify(utils.encode_dss_signature(*numbers), message, ec.ECDSA(digest))


def read(token):
    head, body, signature = token.split(".")
    return json.loads(unb64(head)), json.loads(unb64(body)), unb64(signature), f"{head}.{body}".encode()


KEYS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048), "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()), "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_tells_who_it_is(guarded, algorithm):
    key = KEYS[algorithm]()
    (guarded.directory / "token.pem").write_text(pem(key))
    usher = guarded(f"{{allow: [10.0.0.0/8], login: staff, server_token: {{key: {guarded.directory}/token.pem, key_id: k1}}}}")
    now = time.time()
    assert visit(usher, "1.2.3.4", basic("ann", "secret"), "X-Forwarded-Jwt: forged").status == 200
    head, claims, signature, message = read(usher.site.last().get("X-Forwarded-Jwt"))
    assert head == {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    verify(key, algorithm, signature, message)
    with pytest.raises(InvalidSignature):
        verify(key, algorithm, signature, message + b"x")
    assert claims["sub"] == "ann" and claims["groups"] == ["makers", "admins"] and claims["iss"] == "usher"
    assert claims["aud"] == "test.example" and claims["exp"] == claims["iat"] + 60 and now - 2 < claims["iat"] < now + 60
    assert visit(usher, "10.0.0.1", "X-Forwarded-Jwt: forged").status == 200
    assert not usher.site.last().has("X-Forwarded-Jwt")


def test_a_token_by_a_secret_in_authorization(guarded):
    secret = "0123456789abcdef0123456789abcdef"
    usher = guarded(f"{{login: staff, server_token: {{secret: {secret}, field: Authorization, audience: 'the \"shop\"', issuer: edge}}}}")
    assert visit(usher, "1.2.3.4", basic("Zoë", "schön")).status == 200
    scheme, _, token = authorization(usher.site).partition(" ")
    head, claims, signature, message = read(token)
    assert scheme == "Bearer" and head == {"alg": "HS256", "typ": "JWT"}
    assert hmac.new(secret.encode(), message, hashlib.sha256).digest() == signature
    assert claims["sub"] == "Zoë" and claims["aud"] == 'the "shop"' and claims["iss"] == "edge" and claims["groups"] == []


def test_a_token_is_sent_again_but_to_nobody_else_and_not_for_long(guarded):
    (guarded.directory / "token.pem").write_text(pem(KEYS["ES256"]()))
    usher = guarded(f"{{login: staff, server_token: {{key: {guarded.directory}/token.pem, lifetime: 4s}}}}")

    def token(user, password):
        assert visit(usher, "1.2.3.4", basic(user, password)).status == 200
        return usher.site.last().get("X-Forwarded-Jwt")
    tokens = [token("ann", "secret") for _ in range(20)]
    assert len(set(tokens)) < 20  # ECDSA never makes the same signature twice
    assert read(token("bob", "hidden"))[1]["sub"] == "bob"
    eventually(lambda: read(token("ann", "secret"))[1]["iat"] >= read(tokens[0])[1]["iat"] + 2, "a new token")
    assert read(token("ann", "secret"))[1]["exp"] > time.time()


def test_another_key_is_taken_without_a_reload(guarded):
    (guarded.directory / "token.pem").write_text(pem(KEYS["ES256"]()))
    usher = guarded(f"{{login: staff, server_token: {guarded.directory}/token.pem}}")
    assert visit(usher, "1.2.3.4", basic("ann", "secret")).status == 200
    (guarded.directory / "new.pem").write_text(pem(KEYS["EdDSA"]()))
    (guarded.directory / "new.pem").rename(guarded.directory / "token.pem")

    def algorithm():
        visit(usher, "1.2.3.4", basic("ann", "secret"))
        return read(usher.site.last().get("X-Forwarded-Jwt"))[0]["alg"]
    eventually(lambda: algorithm() == "EdDSA", "a token by the new key")


def test_the_user_is_a_variable(guarded):
    usher = guarded("{allow: [10.0.0.0/8], login: staff}\nheaders: {request: {set: {X-Who: 'user=$user'}}}")
    assert visit(usher, "1.2.3.4", basic("ann", "secret")).status == 200
    assert usher.site.last().get("X-Who") == "user=ann"
    assert visit(usher, "10.0.0.1").status == 200
    assert usher.site.last().get("X-Who") == "user="


# --- Mistakes


@pytest.mark.parametrize("rule, said", [
    ("login: page, server_login: own", r"forgets passwords .*session: \{password: true\}"),
    ("allow: [10.0.0.0/8], server_login: own", "there is no `login` here"),
    ("login: page, server_login: {user: '$nobody', password: x}", "nobody"),
    ("login: page, server_token: {}", "either a `key` or a `secret`"),
    ("login: page, server_token: {key: $DIR/ec.pem, secret: 0123456789abcdef0123456789abcdef}", "either a `key` or a `secret`"),
    ("login: page, server_token: {secret: short}", "32 to 256 bytes"),
    ("login: page, server_token: $DIR/absent.pem", "absent.pem"),
    ("login: page, server_token: $DIR/staff", "no private key"),
    ("login: page, server_token: $DIR/small.pem", "none that tokens are signed with"),
    ("login: page, server_token: $DIR/x.pem", "none that tokens are signed with"),
    ("login: page, server_token: {key: $DIR/ec.pem, field: 'X Y'}", "no name of a field"),
    ("login: page, server_token: {key: $DIR/ec.pem, key_id: 'a\"b'}", "no name of a key"),
])
def test_mistakes(tmp_path, rule, said):
    (tmp_path / "staff").write_text(sha512("ann", "secret"))
    (tmp_path / "ec.pem").write_text(pem(KEYS["ES256"]()))
    (tmp_path / "small.pem").write_text(pem(rsa.generate_private_key(65537, 1024)))
    (tmp_path / "x.pem").write_text(pem(ec.generate_private_key(ec.SECP256K1())))
    config = tmp_path / "usher.yaml"
    config.write_text(f"listen: 127.0.0.1:8080\nlogins: {{page: {{users: {tmp_path}/staff}}}}\naccess: {{{rule}}}\nproxy: http://127.0.0.1:1\n".replace("$DIR", str(tmp_path)))
    done = run_command("check", config)
    assert done.returncode == 1
    assert re.search(said, done.stderr), done.stderr
    assert "usher.yaml:3:" in done.stderr
    assert "0123456789abcdef" not in done.stderr


# --- Strangers

OWN_FIELDS = """
listen: "127.0.0.1:$PORT"
trusted_proxies: $TRUSTED
logins:
  api: {tokens: {keys: $DIR/keys.json, fields: {X-Department: department}}}
routes:
  - {path: /guarded, access: {login: api, server_token: {key: $DIR/token.pem, field: X-Who}}, proxy: $ORIGIN}
  - {path: /asked, access: {forward: {to: "http://127.0.0.1:1", take: [X-Mail, Cookie]}}, proxy: $ORIGIN}
  - {proxy: $ORIGIN}
"""
FORGED = ["X-Department: it", "x_department: it", "X-Who: root", "X-MAIL: root@example.com", "X-Other: stays", "Cookie: stays=1"]


@pytest.mark.parametrize("trusted, taken", [("[]", False), ("[127.0.0.1]", True)])
def test_fields_that_some_rule_tells_are_usher_s_everywhere(stage, tmp_path, trusted, taken):
    (tmp_path / "token.pem").write_text(pem(KEYS["EdDSA"]()))
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQ"}]}))
    origin = stage.origin()
    usher = stage.usher(OWN_FIELDS, ORIGIN=origin, DIR=tmp_path, TRUSTED=trusted)
    assert usher.get("/open", *FORGED).status == 200
    seen = origin.last()
    assert [seen.has(name) for name in ("X-Department", "x_department", "X-Who", "X-Mail")] == [taken] * 4
    assert seen.get("X-Other") == "stays" and seen.get("Cookie") == "stays=1"
