"""JSON Web Tokens that programs send: what holds, and what never does."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from support.access import basic, sha512
from support.usher import eventually

CONFIG = """
listen: "127.0.0.1:$PORT"
logins:
  api: {tokens: {keys: $DIR/keys.json, issuer: https://issuer.example, audience: shop, $MORE}, $USERS}
access: {login: api, $RULE}
proxy: $ORIGIN
"""
SECRET = b"0123456789abcdef0123456789abcdef"


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def number(value, length):
    return b64(value.to_bytes(length, "big"))


class Keys:
    def __init__(self):
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = {name: ec.generate_private_key(curve) for name, curve in (("P-256", ec.SECP256R1()), ("P-384", ec.SECP384R1()), ("P-521", ec.SECP521R1()))}
        self.ed = ed25519.Ed25519PrivateKey.generate()

    def set(self):
        public = self.rsa.public_key().public_numbers()
        keys = [{"kty": "RSA", "kid": "rsa", "use": "sig", "n": number(public.n, 256), "e": number(public.e, 3)}]
        for name, key in self.ec.items():
            point, size = key.public_key().public_numbers(), (key.curve.key_size + 7) // 8
            keys.append({"kty": "EC", "kid": name, "crv": name, "x": number(point.x, size), "y": number(point.y, size)})
        raw = self.ed.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        keys += [{"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": b64(raw)}, {"kty": "oct", "kid": "secret", "alg": "HS256", "k": b64(SECRET)},
                 {"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}, {"kty": "unknown"}]
        return {"keys": keys}

    def sign(self, alg, message):
        digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(alg[-3:])
        if alg.startswith("RS"):
            return self.rsa.sign(message, padding.PKCS1v15(), digest)
        if alg.startswith("PS"):
            return self.rsa.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        if alg.startswith("ES"):
            key = self.ec[{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg]]
            r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
            size = (key.curve.key_size + 7) // 8
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if alg == "EdDSA":
            return self.ed.sign(message)
        return hmac.new(SECRET, message, getattr(hashlib, f"sha{alg[-3:]}")).digest()

    def token(self, alg="ES256", header=None, signature=None, raw=None, **claims):
        claims = {"iss": "https://issuer.example", "aud": "shop", "sub": "robot", "exp": int(time.time()) + 300, "groups": ["makers", "admins"], **claims}
        claims = {name: value for name, value in claims.items() if value is not ...}
        message = f"{b64(json.dumps({'alg': alg, **(header or {})}).encode())}.{b64(raw if raw is not None else json.dumps(claims).encode())}"
        return f"{message}.{b64(self.sign(alg, message.encode()) if signature is None else signature)}"


@pytest.fixture(scope="module")
def keys():
    return Keys()


@pytest.fixture
def tokened(stage, tmp_path, keys):
    (tmp_path / "keys.json").write_text(json.dumps(keys.set()))
    (tmp_path / "staff").write_text(sha512("ann", "secret"))

    def start(more="leeway: 1s", users="remember: 1m", rule="require: either"):
        origin = stage.origin()
        usher = stage.usher(CONFIG, ORIGIN=origin, DIR=tmp_path, MORE=more, USERS=users, RULE=rule)
        usher.site = origin
        return usher
    start.directory = tmp_path
    return start


def ask(usher, token, *fields):
    return usher.get("/", f"Authorization: Bearer {token}", *fields)


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256"])
def test_algorithms(tokened, keys, alg):
    usher = tokened()
    assert ask(usher, keys.token(alg)).status == 200
    asked = usher.site.requests[-1]
    assert asked.get("X-Forwarded-User") == "robot" and asked.get("X-Forwarded-Groups") == "makers,admins" and not asked.has("Authorization")
    good = keys.token(alg)
    head, body, signature = good.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[len(raw) // 2] ^= 1
    other = b64(json.dumps({"iss": "https://issuer.example", "aud": "shop", "sub": "root", "exp": int(time.time()) + 300}).encode())
    for bad in (f"{head}.{body}.{b64(bytes(raw))}", f"{head}.{other}.{signature}", f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{signature}A", f"{head}.{body}.{signature}.x"):
        assert ask(usher, bad).status == 401
    assert ask(usher, good).status == 200


def test_none_is_no_algorithm(tokened, keys):
    usher = tokened()
    for alg in ("none", "None", "NONE", "", "HS1", "RSA", "ES256K"):
        head = b64(json.dumps({"alg": alg}).encode())
        body = keys.token().split(".")[1]
        assert ask(usher, f"{head}.{body}.").status == 401 and ask(usher, f"{head}.{body}.AAAA").status == 401
    assert not usher.site.requests


def test_a_public_key_is_no_secret(tokened, keys):
    """Key confusion: HS256 with whatever form of a public key as the secret."""
    usher = tokened()
    forms = [keys.rsa.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo) for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER)]
    forms += [json.dumps(keys.set()["keys"][0]).encode(), keys.set()["keys"][0]["n"].encode(), b"", b"\0" * 32]
    for form in forms:
        for kid in ({}, {"kid": "rsa"}):
            message = ".".join(keys.token("HS256", header=kid).split(".")[:2])
            assert ask(usher, f"{message}.{b64(hmac.new(form, message.encode(), hashlib.sha256).digest())}").status == 401
    # A key that is for one algorithm is for no other of its kind.
    assert ask(usher, keys.token("HS512")).status == 401


def test_keys_are_chosen_by_their_id(tokened, keys):
    usher = tokened()
    assert ask(usher, keys.token("ES256", header={"kid": "P-256"})).status == 200
    for kid in ("rsa", "P-384", "unknown", ""):
        assert ask(usher, keys.token("ES256", header={"kid": kid})).status == 401
    own = {"jwk": {"kty": "oct", "k": b64(b"mine" * 8)}, "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/x"}
    assert ask(usher, keys.token("ES256", header=own)).status == 200  # what the token says of keys counts nothing
    assert ask(usher, keys.token("ES256", header={"crit": ["exp"]})).status == 401


NOW = time.time


@pytest.mark.parametrize("claims, status", [
    ({"exp": ...}, 401), ({"exp": 1}, 401), ({"exp": "soon"}, 401), ({"exp": None}, 401), ({"exp": -5}, 401), ({"exp": 4102444800.5}, 200), ({"nbf": 4102444800}, 401), ({"nbf": 1}, 200), ({"nbf": "x"}, 401),
    ({"iss": "https://evil.example"}, 401), ({"iss": ...}, 401), ({"iss": ["https://issuer.example"]}, 401), ({"aud": "other"}, 401), ({"aud": ["other", "shop"]}, 200), ({"aud": ...}, 401),
    ({"aud": "shopping"}, 401), ({"sub": ...}, 401), ({"sub": ""}, 401), ({"sub": 5}, 401), ({"sub": "a\r\nX-Evil: 1"}, 401), ({"sub": "x" * 129}, 401), ({"groups": "one"}, 200), ({"groups": 5}, 200),
    ({"groups": ["a,b", "c", 7]}, 200), ({"groups": ["a\nb"]}, 200)])
def test_claims(tokened, keys, claims, status):
    usher = tokened()
    assert ask(usher, keys.token(**claims)).status == status
    if isinstance(claims.get("groups"), list):  # what is no name of a group is none
        assert usher.site.requests[-1].get("X-Forwarded-Groups") == {7: "c,7", "a\nb": None}[claims["groups"][-1]]


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b'{"exp":4102444800,"exp":1,"iss":"https://issuer.example","aud":"shop","sub":"a"}', b'{"a":"\xff"}', b"[" * 3000])
def test_what_is_no_object(tokened, keys, raw):
    assert ask(tokened(), keys.token(raw=raw)).status == 401


@pytest.mark.parametrize("token", ["", "x", "a.b", "a.b.c", "..", "...", "e30.e30.e30", "=.=.=", "A" * 9000, "A" * 3000 + "." + "A" * 3000 + ".A", "eyJhbGciOiJFUzI1NiJ9..x"])
def test_what_is_no_token(tokened, token):
    answer = ask(tokened(), token)
    assert answer.status == 401


def test_time_ends_a_token_that_is_remembered(tokened, keys):
    usher = tokened(more="leeway: off")
    token = keys.token(exp=int(time.time()) + 3)
    assert ask(usher, token).status == 200 and ask(usher, token).status == 200
    eventually(lambda: ask(usher, token).status == 401, seconds=20)


def test_keys_are_taken_when_the_file_is_replaced(tokened, keys):
    """Rotation: what was signed by a key that is gone does not hold any more, though it was remembered."""
    usher = tokened()
    old = keys.token("ES256")
    assert ask(usher, old).status == 200
    fresh = Keys()
    new = tokened.directory / "keys.new"
    new.write_text(json.dumps(fresh.set()))
    new.replace(tokened.directory / "keys.json")
    eventually(lambda: ask(usher, old).status == 401)
    assert ask(usher, fresh.token("ES256")).status == 200


def test_users_and_groups(tokened, keys):
    usher = tokened(rule="groups: [admins]")
    assert ask(usher, keys.token()).status == 200
    assert ask(usher, keys.token(groups=["makers"])).status == 403
    usher = tokened(rule="users: [robot]", more="user: client_id")
    assert ask(usher, keys.token(client_id="robot", sub="x")).status == 200 and ask(usher, keys.token(client_id="other")).status == 403


def test_beside_users(tokened, keys):
    usher = tokened(users=f"users: {tokened.directory / 'staff'}")
    assert ask(usher, keys.token()).status == 200 and usher.get("/", basic("ann", "secret")).status == 200
    assert usher.get("/").get("WWW-Authenticate") == 'Basic realm="api", charset="UTF-8", Bearer realm="api"'
    usher = tokened()
    assert usher.get("/").get("WWW-Authenticate") == 'Bearer realm="api"' and usher.get("/", basic("ann", "secret")).status == 401
    assert ask(usher, "x.y.z").get("WWW-Authenticate") == 'Bearer error="invalid_token"'
    assert usher.get("/", "Accept: text/html").status == 401 and b"usher-password" not in usher.get("/", "Accept: text/html").body


@pytest.mark.parametrize("content, says", [("{}", "expected a JWK set"), ("", "expected a JWK set"), ('{"keys": []}', "expected a JWK set"), ('{"keys": [{"kty": "oct", "k": "AA"}]}', "none of its keys"),
                                           ('{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}', "none of its keys"), ('{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}', "none of its keys")])
def test_mistakes_in_keys_are_named(tokened, content, says):
    (tokened.directory / "keys.json").write_text(content)
    with pytest.raises(AssertionError) as caught:
        tokened()
    assert says in str(caught.value)


def test_a_login_needs_something(stage):
    with pytest.raises(AssertionError, match="needs `users`, `ldap`, `pam`, `openid`, `tokens` or `api_keys`"):
        stage.usher('listen: "127.0.0.1:$PORT"\nlogins: {a: {realm: x}}\naccess: {login: a}\nproxy: http://127.0.0.1:1\n')
