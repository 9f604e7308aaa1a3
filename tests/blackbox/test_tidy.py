"""tools/tidy finds what it says that it finds."""

import subprocess

import pytest

from support.usher import ROOT

GOOD = {
    "src/base/a.h": "#ifndef A_H\n#define A_H\nint a(void);\n#endif\n",
    "src/base/a.c": '#include "base/a.h"\n\nint a(void)\n{\n\treturn 0; // not a TO DO\n}\n',
    "src/http/b.h": '#ifndef B_H\n#define B_H\n#include "base/a.h"\n#endif\n',
    "src/handlers/respond.c": '#include "http/b.h"\n\nconst struct handler_type respond_handler = {0};\n',
    "tests/blackbox/test_respond.py": "",
    "tools/tidy.exceptions": "# none\n",
    "docs/life-of-a-request.md": "First `a()` runs.\n",
}
TO_DO = "TO" + "DO"

BAD = {
    "file-length": {"src/base/a.c": "int x;\n" * 601},
    "function-length": {"src/base/a.c": "int a(void);\nint a(void)\n{\n" + "\ta();\n" * 70 + "\treturn 0;\n}\n"},
    "folder-order": {"src/base/a.c": '#include "http/b.h"\n'},
    "banned-call": {"src/base/a.c": "void a(char *to)\n{\n\tstrcpy(to, to);\n}\n"},
    "unfinished": {"src/base/a.c": f"// {TO_DO}: more\n"},
    "handler-test": {"src/handlers/other.c": "const struct handler_type other_handler = {0};\n"},
    "life-of-a-request": {"docs/life-of-a-request.md": "Then `no_such_thing()` runs.\n"},
    "self-contained": {"src/http/b.h": "struct s { uint32_t x; };\n"},
    "exceptions": {"tools/tidy.exceptions": "file-length src/base/a.c\n"},
}


def tidy(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return subprocess.run([ROOT / "tools/tidy", "--root", root], capture_output=True, text=True, check=False)


def test_good_tree(tmp_path):
    done = tidy(tmp_path, GOOD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("rule", BAD)
def test_rule(tmp_path, rule):
    done = tidy(tmp_path, {**GOOD, **BAD[rule]})
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"[{rule}]" in done.stdout


def test_exception_silences_one_finding(tmp_path):
    done = tidy(tmp_path, {**GOOD, **BAD["file-length"], "tools/tidy.exceptions": "file-length src/base/a.c  # a table\n"})
    assert done.returncode == 0, done.stdout


def test_words_in_comments_and_strings_are_no_calls(tmp_path):
    done = tidy(tmp_path, {**GOOD, "src/base/a.c": '// strcpy(a, b)\nconst char *x = "strcpy(a, b)"; /* gets(x) */\n'})
    assert done.returncode == 0, done.stdout
