"""OpenID Connect providers: a real one (npm's oidc-provider), and one that lies; and visitors who log in through them."""

import http.cookiejar
import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from support import npm
from support.client import PATIENCE
from support.usher import ROOT

SECRET = "the secret of the client, which is long enough"
CALLBACK = "/.usher/openid/callback"
HTML = "Accept: text/html,application/xhtml+xml"
ACCOUNTS = {
    "ann": {"preferred_username": "ann.miller", "email": "ann@example.com", "email_verified": True, "groups": ["makers", "admins", "a,b"],
            "department": "sales", "staff": 7},
    "bob": {"preferred_username": "bob", "email": "root@example.com", "email_verified": False, "department": "kitchen\r\nX-Evil: 1"},
    "eve": {"preferred_username": "eve", "groups": [f"group-{number}-{'x' * 60}" for number in range(200)]},
    "mia": {"preferred_username": "mia", "groups": [f"department-of-things-{number:03}" for number in range(400)]},
}


class OpenidProvider:
    """oidc-provider, for a client named usher that is sent back to these addresses."""

    def __init__(self, back, accounts=None, tls=None, host=None, port=None, client=None, **more):
        settings = {
            "client": {"client_id": "usher", "client_secret": SECRET, "redirect_uris": back, **(client or {})},
            "accounts": accounts or ACCOUNTS, "host": host, "port": port, "provider": more,
            "tls": tls and {"key": str(tls.key), "cert": str(tls.chain)},
        }
        self.process = subprocess.Popen(["node", ROOT / "tests/blackbox/openid/provider.js", json.dumps(settings)], env=npm.environment("openid"),
                                        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        while line and not line.strip().isdigit():  # it warns of what is fit for tests only
            line = self.process.stdout.readline()
        assert line, "the provider did not start"
        self.port = int(line)
        self.issuer = f"{'https' if tls else 'http'}://{host or '127.0.0.1'}:{self.port}"

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stdout.close()


class Elsewhere(Exception):
    """A redirect that leads away from the provider."""


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if urllib.parse.urlsplit(newurl).netloc != urllib.parse.urlsplit(req.full_url).netloc:
            raise Elsewhere(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Person:
    """Who logs in at the provider, by its forms, and agrees to all; as a browser would."""

    def __init__(self, name="ann", context=None):
        self.name = name
        handlers = [urllib.request.HTTPSHandler(context=context)] if context else []
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), Stay(), *handlers)

    def go(self, url, cancel=False):
        """From the provider's page to where it leads in the end."""
        form = None
        try:
            for _ in range(8):
                with self.opener.open(url, form, PATIENCE) as answer:
                    page, url = answer.read().decode(), answer.url
                if cancel:
                    url, form = f"{url}/abort", None
                elif 'name="login"' in page:
                    form = urllib.parse.urlencode({"prompt": "login", "login": self.name, "password": "any"}).encode()
                elif "/session/end/confirm" in page:
                    xsrf = page.partition('name="xsrf" value="')[2].partition('"')[0]
                    url, form = f"{url.partition('/session/end')[0]}/session/end/confirm", urllib.parse.urlencode({"xsrf": xsrf, "logout": "yes"}).encode()
                else:
                    form = b"prompt=consent"
        except Elsewhere as led:
            return str(led)
        raise AssertionError(f"the provider goes on asking: {page}")


class Visitor:
    """Keeps usher's cookies, follows nothing; speaks without TLS."""

    def __init__(self, usher, host="test.example"):
        self.usher, self.host, self.cookies = usher, host, {}

    def send(self, method, target, *fields, body=b""):
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.usher.ask(method, target, *([f"Cookie: {cookies}"] if cookies else []), *fields, body=body, host=self.host)
        for cookie in answer.all("Set-Cookie"):
            name, _, rest = cookie.partition("=")
            self.cookies.pop(name, None)
            if "Max-Age=0" not in cookie:
                self.cookies[name] = rest.partition(";")[0]
        return answer

    def get(self, target="/", *fields):
        return self.send("GET", target, HTML, *fields)

    def begin(self, target="/"):
        """Asks for it, and is sent to the provider: to which address."""
        answer = self.get(target)
        assert answer.status == 303, answer
        return answer.get("Location")

    def come_back(self, url, *fields):
        parts = urllib.parse.urlsplit(url)
        return self.get(f"{parts.path}?{parts.query}", *fields)

    def log_in(self, target="/", person=None):
        return self.come_back((person or Person()).go(self.begin(target)))


def query_of(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


class LyingProvider:
    """One that says whatever a test wants. `keys` signs (test_access_token.Keys); what it does is in attributes."""

    def __init__(self, keys, tls=None):
        provider = self
        self.keys, self.asked, self.fields, self.forms, self.cache_control = keys, [], [], [], None
        self.claims, self.header, self.alg, self.metadata, self.info, self.answer = {}, {}, "ES256", {}, None, None
        self.set, self.status, self.nonce, self.wait = keys.set(), 200, None, None

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def reply(self, content, status=200):
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if provider.cache_control:
                    self.send_header("Cache-Control", provider.cache_control)
                if status // 100 == 3:
                    self.send_header("Location", f"{provider.issuer}/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                provider.asked.append(self.path)
                provider.fields.append(self.headers)
                if provider.wait:
                    provider.wait.wait(PATIENCE)
                if provider.status != 200:
                    self.reply({}, provider.status)
                elif self.path == "/.well-known/openid-configuration":
                    self.reply(provider.document())
                elif self.path in ("/jwks", "/elsewhere"):
                    self.reply(provider.set)
                elif self.path == "/userinfo" and provider.info is not None:
                    self.reply(provider.info)
                else:
                    self.reply({}, 404)

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                provider.asked.append(self.path)
                provider.fields.append(self.headers)
                provider.forms.append(form)
                if provider.answer:
                    self.reply(*provider.answer)
                else:
                    self.reply({"token_type": "Bearer", "access_token": "an access token", "id_token": provider.id_token()})

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.chain, tls.key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.issuer = self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def document(self):
        return {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/auth", "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks", **self.metadata}

    def id_token(self):
        claims = {"iss": self.issuer, "aud": "usher", "sub": "ann", "groups": [], "email": "ann@example.com", "nonce": self.nonce,
                  "exp": int(time.time()) + 60, **self.claims}
        signature = b"" if self.alg == "none" else None
        return self.keys.token(self.alg, {"kid": "P-256", **self.header}, signature, **claims)

    def fetched(self):
        """How often its keys were asked for."""
        return self.asked.count("/jwks")

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
