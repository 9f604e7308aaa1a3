"""testssl.sh, as an auditor would run it: nothing to complain about but what docs/tls.md explains."""

import json
import re
import subprocess

import pytest

from support import language
from support.usher import ROOT

COMPLAINTS = ("LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL")
HSTS = "hsts: {max_age: 365d}\n"

# Its check of tickets ends its connection as soon as the handshake is done. Where it does so before the ticket of TLS 1.3 has come
# (RFC 8446 section 4.6.1: after the client's Finished), it has no session to resume and calls that a connect problem.
UNREACHED = "check failed because of connect problem"
UNLUCKY = 10  # times at most that this is tried again


@pytest.fixture(scope="module")
def findings(shared, authority, tmp_path_factory):
    """What it finds on the default configuration, with a certificate of each kind: by id."""
    directory = tmp_path_factory.mktemp("testssl")
    ecdsa, rsa = authority.issue("test.example"), authority.issue("test.example", key="rsa")
    config = language.TLS.replace("$CERTIFICATE", f"[{ecdsa.chain}, {rsa.chain}]").replace("$KEY", f"[{ecdsa.key}, {rsa.key}]")
    usher = shared.usher(config + HSTS, ORIGIN=shared.origin())
    found = scan(usher, authority, directory / "report.json")
    for turn in range(UNLUCKY):
        if not any(UNREACHED in each["finding"] for group in found.values() for each in group):
            break
        found |= scan(usher, authority, directory / f"again-{turn}.json", "--server-defaults")
    assert len(found) > 100, sorted(found)
    return found


def scan(usher, authority, report, *only):
    done = subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", report, "--add-ca", authority.ca,
                           "--ip", "127.0.0.1", *only, f"test.example:{usher.port}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=report.parent, timeout=900, check=False)
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    found = {}
    for finding in json.loads(report.read_text()):
        found.setdefault(finding["id"], []).append(finding)
    return found


def explained():
    """The findings in the table of docs/tls.md."""
    page = (ROOT / "docs/tls.md").read_text()
    return set(re.findall(r"(?m)^\| `([\w-]+)` \|", page))


def said(findings, name):
    return findings[name][0]["finding"]


@pytest.mark.timeout(1000)
def test_nothing_to_complain_about(findings):
    complaints = [each for group in findings.values() for each in group if each["severity"] in COMPLAINTS]
    unexplained = [each for each in complaints if each["id"].split(" ")[0] not in explained()]
    assert not unexplained, json.dumps(unexplained, indent=1)


@pytest.mark.timeout(1000)
def test_grade(findings):
    """By the rules of SSL Labs (Server Rating Guide): what would take the A away is not there."""
    for version in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert said(findings, version) == "not offered", version
    assert said(findings, "TLS1_2").startswith("offered") and said(findings, "TLS1_3").startswith("offered")
    for suites in ("NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA"):
        assert said(findings, f"cipherlist_{suites}") == "not offered", suites
    assert said(findings, "PFS") == "offered"
    for attack in ("heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_client_renego", "CRIME_TLS", "POODLE_SSL", "SWEET32", "FREAK", "DROWN",
                   "LOGJAM", "BEAST", "LUCKY13", "RC4"):
        assert said(findings, attack).lower().startswith(("not vulnerable", "likely not vulnerable", "supported")), (attack, findings[attack])
    for each in findings["cert_keySize <cert#1>"] if "cert_keySize <cert#1>" in findings else findings["cert_keySize"]:
        assert each["severity"] in ("OK", "INFO"), each
    assert said(findings, "HSTS_time").startswith("365 days")
