"""The command line: every command, its help, its exit codes."""

import json
import re
import subprocess

import jsonschema
import pytest
import yaml

from support.usher import BINARY, ROOT, environment, free_port, run_command

COMMANDS = ["run", "proxy", "check", "reload", "stop", "schema", "demo-origin", "version", "help"]


def test_version():
    for arguments in (["version"], ["--version"]):
        done = run_command(*arguments)
        assert done.returncode == 0
        assert re.match(r"usher \d+\.\d+\.\d+", done.stdout)


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["-h"]])
def test_help_names_every_command(arguments):
    done = run_command(*arguments)
    assert done.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", done.stdout), command


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command):
    said = run_command("help", command)
    assert said.returncode == 0
    assert "usage" in said.stdout.lower()
    assert run_command(command, "--help").stdout == said.stdout


@pytest.mark.parametrize("command", ["help", "schema", "reference", "version"])
@pytest.mark.parametrize("output", [">/dev/full", ">&-"])
def test_output_that_cannot_be_written(command, output):
    done = subprocess.run(["/bin/sh", "-c", f'"$0" {command} {output}', BINARY], capture_output=True, text=True,
                          env=environment(), timeout=120, check=False)
    assert done.returncode == 1
    assert "standard output" in done.stderr


def test_without_a_command():
    done = run_command()
    assert done.returncode == 2
    assert "usage" in done.stderr.lower()


def test_unknown_command_suggests_the_nearest():
    done = run_command("chekc")
    assert done.returncode == 2
    assert '"check"' in done.stderr


@pytest.mark.parametrize("arguments", [["check"], ["proxy"], ["proxy", ":8080"], ["run", "--nonsense"], ["version", "extra"],
                                       ["check", "--nonsense", "x"]])
def test_wrong_usage(arguments):
    done = run_command(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert not done.stdout


def test_the_configuration_may_be_an_argument(tmp_path):
    for command in "run", "reload", "stop", "status":
        done = run_command(command, tmp_path / "none.yaml")
        assert done.returncode == 1 and "none.yaml" in done.stderr
        done = run_command(command, tmp_path / "one.yaml", "-c", tmp_path / "other.yaml")
        assert done.returncode == 2 and "two configurations are named" in done.stderr and not done.stdout


def test_check_of_a_good_file(tmp_path):
    path = tmp_path / "good.yaml"
    path.write_text(f'listen: "127.0.0.1:{free_port()}"\nproxy: http://127.0.0.1:3000\n')
    done = run_command("check", path)
    assert done.returncode == 0, done.stderr
    assert "good.yaml" in done.stdout
    assert "ok" in done.stdout


def test_check_of_a_bad_file(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("prxy: http://127.0.0.1:3000\n")
    done = run_command("check", path)
    assert done.returncode == 1
    assert "bad.yaml:1:1:" in done.stderr


def test_no_colours_but_on_a_terminal(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("prxy: x\n")
    for arguments in (["check", path], ["help"], ["chekc"]):
        done = run_command(*arguments)
        assert "\x1b" not in done.stdout + done.stderr


def test_reload_and_stop_without_anybody_running(tmp_path):
    path = tmp_path / "usher.yaml"
    path.write_text(f'listen: "127.0.0.1:{free_port()}"\nrespond: 204\n')
    for command in ("reload", "stop"):
        done = run_command(command, "-c", path, env={"XDG_RUNTIME_DIR": tmp_path})
        assert done.returncode == 1
        assert done.stderr


def schema():
    done = run_command("schema")
    assert done.returncode == 0
    return json.loads(done.stdout)


def test_schema_is_one():
    made = schema()
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(made)


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").glob("*.yaml")))
def test_schema_takes_the_examples(example):
    document = yaml.safe_load((ROOT / "examples" / example).read_text())
    jsonschema.Draft202012Validator(schema()).validate(document)


@pytest.mark.parametrize("document", [
    {"prxy": "http://127.0.0.1:3000"},
    {"listen": {"address": ":8080", "nonsense": 1}},
    {"sites": [{"hosts": "a.example", "respond": 204}]},
    {"timeouts": {"connect": "soon"}},
    {"pools": {"a": {"servers": ["127.0.0.1:1"], "balance": "nonsense"}}},
])
def test_schema_refuses_what_check_refuses(document, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(document))
    assert run_command("check", path).returncode == 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(document)


def test_reference_names_every_top_level_key():
    done = run_command("reference")
    assert done.returncode == 0
    for key in schema()["properties"]:
        assert f"`{key}`" in done.stdout or key in done.stdout, key
