"""`usher check`: every error, each with its place, what was expected, and a suggestion."""

import re
import socket
import time

import pytest

from support.usher import free_port, run_command


def check(tmp_path, text, name="shop.yaml", **files):
    for other, content in files.items():
        (tmp_path / other.replace("_yaml", ".yaml")).write_text(content)
    path = tmp_path / name
    path.write_text(text)
    return run_command("check", path, cwd=tmp_path)


def errors(tmp_path, text, **more):
    """(line, column, message) of each error; also asserts that check failed."""
    done = check(tmp_path, text, **more)
    assert done.returncode == 1, done.stdout + done.stderr
    return [(int(line), int(column), message)
            for line, column, message in re.findall(r"shop\.yaml:(\d+):(\d+): (.*)", done.stderr)]


def test_unknown_key_with_suggestion(tmp_path):
    (line, column, message), = errors(tmp_path, "proxy: http://127.0.0.1:3000\naccess_lgo: off\n")
    assert (line, column) == (2, 1)
    assert 'unknown key "access_lgo"' in message
    assert 'did you mean "access_log"?' in message


def test_line_with_a_caret(tmp_path):
    done = check(tmp_path, "sites:\n  - host: a.example\n    prxy: http://127.0.0.1:3000\n")
    lines = done.stderr.split("\n")
    at = next(number for number, line in enumerate(lines) if "shop.yaml:3:5:" in line)
    source = lines[at + 1]
    assert "    prxy: http://127.0.0.1:3000" in source
    caret = lines[at + 2]
    assert caret.strip().startswith("^")
    assert caret.index("^") == source.index("prxy")


def test_all_errors_in_one_go_and_in_order(tmp_path):
    text = """listen: nonsense:99999
workers: many
timeouts: {connect: soon}
sites:
  - host: a.example
    prxy: x
  - host: a.example
    proxy: nosuchpool
"""
    found = errors(tmp_path, text)
    assert [line for line, _, _ in found] == sorted(line for line, _, _ in found)
    assert {1, 2, 3, 6} <= {line for line, _, _ in found}
    assert len(found) >= 5


# text: (line, words that the message has)
WRONG = {
    "duration": ("timeouts: {connect: soon}\nproxy: http://127.0.0.1:1\n", 1, ["duration", "250ms"]),
    "duration-without-unit": ("timeouts: {connect: 10}\nproxy: http://127.0.0.1:1\n", 1, ["duration"]),
    "size": ("limits: {header: big}\nproxy: http://127.0.0.1:1\n", 1, ["size"]),
    "integer": ("workers: many\nproxy: http://127.0.0.1:1\n", 1, ["number"]),
    "integer-out-of-range": ("workers: -1\nproxy: http://127.0.0.1:1\n", 1, []),
    "map-instead-of-text": ("proxy: {nonsense: 1}\n", 1, ["nonsense"]),
    "list-instead-of-map": ("timeouts: [1, 2]\nproxy: http://127.0.0.1:1\n", 1, []),
    "address": ("listen: nonsense\nproxy: http://127.0.0.1:1\n", 1, ["nonsense"]),
    "port": ('listen: "127.0.0.1:99999"\nproxy: http://127.0.0.1:1\n', 1, ["99999"]),
    "host-twice": ("sites:\n  - {host: a.example, proxy: http://127.0.0.1:1}\n  - {host: A.example, proxy: http://127.0.0.1:1}\n",
                   3, ["a.example"]),
    "host-invalid": ("sites:\n  - {host: 'a b', proxy: http://127.0.0.1:1}\n", 2, ["a b"]),
    "regex": ("routes:\n  - {path: '~ (', proxy: http://127.0.0.1:1}\n", 2, []),
    "pool-unknown": ("proxy: apii\npools: {api: {servers: [127.0.0.1:1]}}\n", 1, ["apii", '"api"']),
    "balance-unknown": ("proxy: a\npools: {a: {servers: [127.0.0.1:1], balance: round-robin}}\n", 2, ["round_robin"]),
    "network": ("trusted_proxies: [10.0.0.0/99]\nproxy: http://127.0.0.1:1\n", 1, ["10.0.0.0/99"]),
    "key-twice": ("proxy: http://127.0.0.1:1\nproxy: http://127.0.0.1:2\n", 2, ["proxy"]),
    "two-endings": ("routes:\n  - {path: /a, proxy: http://127.0.0.1:1, respond: 204}\n", 2, []),
    "route-without-ending": ("routes:\n  - {path: /a}\n", 2, []),
    "nothing-to-do": ("listen: ':8080'\n", 1, []),
    "file-missing": ("error_pages: {html: nothing.html}\nproxy: http://127.0.0.1:1\n", 1, ["nothing.html"]),
    "include-missing": ("include: nothing.yaml\nproxy: http://127.0.0.1:1\n", 1, ["nothing.yaml"]),
    "environment-missing": ("proxy: http://${USHER_NO_SUCH_NAME}\n", 1, ["USHER_NO_SUCH_NAME"]),
    "yaml-syntax": ("proxy: [a, b\nlisten: x\n", None, []),
    "yaml-tab": ("sites:\n\t- host: a\n", None, []),
    "header-name": ("headers: {request: {set: {'X Y': 1}}}\nproxy: http://127.0.0.1:1\n", 1, ["X Y"]),
    "header-framing": ("headers: {request: {set: {Content-Length: 1}}}\nproxy: http://127.0.0.1:1\n", 1, ["Content-Length"]),
    "log-format": ("access_log: {path: a.log, format: '$nonsense'}\nproxy: http://127.0.0.1:1\n", 1, ["nonsense"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_error(tmp_path, name):
    text, line, words = WRONG[name]
    found = errors(tmp_path, text)
    assert found
    if line is not None:
        assert line in [at for at, _, _ in found], found
    said = " ".join(message for _, _, message in found).lower()
    for word in words:
        assert word.lower() in said, found


def test_empty_file(tmp_path):
    done = check(tmp_path, "")
    assert done.returncode == 1
    assert "shop.yaml" in done.stderr


def test_missing_file(tmp_path):
    done = run_command("check", tmp_path / "nothing.yaml")
    assert done.returncode == 1
    assert "nothing.yaml" in done.stderr
    assert "No such file" in done.stderr


def test_address_in_use(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = errors(tmp_path, f'proxy: http://127.0.0.1:1\nlisten: "127.0.0.1:{port}"\n')
    assert any("in use" in message and line == 2 for line, _, message in found)


def test_addresses_in_each_other_s_way(tmp_path):
    port = free_port()
    found = errors(tmp_path, f'proxy: http://127.0.0.1:1\nlisten:\n  - ":{port}"\n  - "127.0.0.1:{port}"\n')
    assert [line for line, _, message in found if "in use" in message] == [4]


def test_error_in_an_included_file(tmp_path):
    done = check(tmp_path, "include: sites.yaml\n", sites_yaml="sites:\n  - host: a.example\n    prxy: x\n")
    assert done.returncode == 1
    assert re.search(r"sites\.yaml:3:5: ", done.stderr)


def test_include_cycle(tmp_path):
    done = check(tmp_path, "include: other.yaml\nproxy: http://127.0.0.1:1\n", other_yaml="include: shop.yaml\n")
    assert done.returncode == 1
    assert "other.yaml:1" in done.stderr


def test_billion_laughs(tmp_path):
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]\n" for number in range(1, 12))
    done = check(tmp_path, text)
    assert done.returncode == 1


GOOD = {
    "shortest": "proxy: http://127.0.0.1:3000\n",
    "environment": "proxy: http://${USHER_NO_SUCH_NAME:-127.0.0.1:3000}\n",
    "anchors": "sites:\n  - &a {host: a.example, proxy: http://127.0.0.1:1}\n  - {<<: *a, host: b.example}\n",
}


@pytest.mark.parametrize("name", GOOD)
def test_good(tmp_path, name):
    done = check(tmp_path, f'listen: "127.0.0.1:{free_port()}"\n' + GOOD[name])
    assert done.returncode == 0, done.stderr


def test_large_configuration_is_checked_quickly(tmp_path):
    sites = "".join(f"  - {{host: site{number}.example, proxy: http://127.0.0.1:3000}}\n" for number in range(10_000))
    started = time.monotonic()
    done = check(tmp_path, f'listen: "127.0.0.1:{free_port()}"\nsites:\n{sites}')
    assert done.returncode == 0, done.stderr[:1000]
    assert time.monotonic() - started < 60, "well below a second by itself; the sanitizers and a loaded machine get more"
