"""What README, docs and examples say is true: configurations pass `usher check`, commands run as written.

A block of ```yaml is a whole configuration unless the line before it is <!-- part -->. A
block of ```sh or ```console whose line before is <!-- run --> is run, in a copy of
examples/; lines behind "$ " are commands there, and the others what they print.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from support import mmdb
from support.tls import Authority
from support.usher import BINARY, ROOT, environment, free_port, run_command

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
BLOCK = re.compile(r"^(?:<!-- *(?P<mark>\w+) *-->\n)?```(?P<kind>\w+)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def blocks(kinds, mark=None):
    found = []
    for page in PAGES:
        if page.name in ("configuration.md", "DESIGN.md", "STYLE.md"):
            continue
        text = page.read_text()
        for match in BLOCK.finditer(text):
            if match["kind"] in kinds and (match["mark"] or "") == (mark or ""):
                line = text[:match.start("text")].count("\n")
                found.append(pytest.param(match["text"], id=f"{page.relative_to(ROOT)}:{line}"))
    return found


@pytest.fixture
def directory(tmp_path):
    """A copy of the examples, on ports that are free."""
    copy = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", copy) if (ROOT / "examples").is_dir() else copy.mkdir()
    return copy


def on_free_ports(text):
    """The same configuration, on other ports: those written there may be in use here."""
    ports = {}

    def replaced(match):
        return match.group(1) + str(ports.setdefault(match.group(2), free_port()))
    lines = []
    within = False
    for line in text.split("\n"):
        within = line.startswith("listen:") or (within and line[:1] in (" ", "-"))
        lines.append(re.sub(r"(:)(\d{2,5})\b(?=[\"'\],}\s]|$)", replaced, line) if within else line)
    text = "\n".join(lines)
    return text if ports else f'listen: "127.0.0.1:{free_port()}"\n' + text if "listen:" not in text else text


def make_certificates(directory, text):
    """The files that a configuration names, for the hosts that it has."""
    if not re.search(r"\b(tls|server_token|ca):", text):
        return
    authority = Authority(directory)
    made = authority.issue(*re.findall(r"[a-z.]*\bexample\.(?:com|org)", text) or ["example.com"])
    folders = [f"{folder}/all.pem" for folder in re.findall(r"folder: ([\w./-]+)", text)]
    for name in [*folders, *re.findall(r"[\w./-]+\.(?:pem|crt|key)\b", text)]:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pathlib.Path(authority.ca).read_bytes() if "ca" in re.split(r"\W", name) else made.both.read_bytes())
        path.chmod(0o600)


def check(directory, name, text):
    path = directory / name
    make_certificates(directory, text)
    for database in re.findall(r"[\w./-]+\.mmdb", text):
        (directory / database).write_bytes(mmdb.make({"192.0.2.0/24": "CH"}))
    for second in re.findall(r"[\w./-]+\.second\b", text):
        (directory / second).write_text("")
    for _ in range(5):  # another test may take a port that was free
        path.write_text(on_free_ports(text))
        done = run_command("check", path, cwd=directory, env={"DOMAIN": "example.org", "PORT": "3000"})
        if "Address already in use" not in done.stderr:
            break
    return done


@pytest.mark.parametrize("text", blocks(["yaml"]))
def test_configurations_in_docs(directory, text):
    done = check(directory, "from-docs.yaml", text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples(directory, path):
    done = check(directory, path.name, path.read_text())
    assert done.returncode == 0, done.stderr


def test_there_are_examples():
    assert EXAMPLES
    assert (ROOT / "README.md").exists()


@pytest.mark.parametrize("text", blocks(["sh", "console"], mark="run"))
def test_commands_in_docs(directory, tmp_path, text):
    programs = tmp_path / "bin"
    programs.mkdir()
    os.symlink(BINARY, programs / "usher")
    lines = text.split("\n")
    commands = [line[2:] for line in lines if line.startswith("$ ")] if any(line.startswith("$ ") for line in lines) else [text]
    expected = [line for line in lines if line and not line.startswith("$ ")] if commands != [text] else []
    env = environment(PATH=f"{programs}:{os.environ['PATH']}")
    done = subprocess.run(["sh", "-eu", "-c", "\n".join(commands)], cwd=directory, env=env, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in expected:
        assert line in done.stdout + done.stderr


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_man_page_names_every_command():
    text = pathlib.Path(ROOT / "docs/usher.1").read_text()
    for command in ("run", "proxy", "check", "reload", "stop", "schema", "demo-origin", "version", "help"):
        assert re.search(rf"\b{command.replace('-', '.{0,2}-')}\b", text), command


def test_variables_are_documented():
    page = (ROOT / "docs/variables.md").read_text()
    texts = re.findall(r'^\t\[VARIABLE_\w+\] = "([a-z_]+)"', (ROOT / "src/exchange/variables.c").read_text(), re.MULTILINE)
    logs = re.findall(r'^\t(?:TEXT|NUMBER)_VARIABLE\("(\w+)".*\),$', (ROOT / "src/observe/access_format.c").read_text(), re.MULTILINE)
    assert len(texts) > 10 and len(logs) > 30
    table, rest = page.split("Formats of the access log")
    assert sorted(texts) == sorted(re.findall(r"^\| `\$([a-z_]+)` ", table, re.MULTILINE))
    assert sorted(logs) == sorted(re.findall(r"`\$(\w+)`", rest))
