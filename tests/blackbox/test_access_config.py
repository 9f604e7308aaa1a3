"""The rule in words, and mistakes in it."""

import pytest

from support.access import CONFIG
from support.usher import run_command


@pytest.mark.parametrize("rule, words", [
    ("{allow: [10.0.0.0/8], login: staff}", "visitors from 10.0.0.0/8 get in; others log in through staff; anyone else gets 403"),
    ("{allow: [10.0.0.0/8, office, 192.0.2.1]}", "visitors from 10.0.0.0/8, office and 192.0.2.1 get in; anyone else gets 403"),
    ("{login: staff, groups: [admins], users: [bob]}", "everybody logs in through staff, only user bob or group admins; anyone else gets 403"),
    ("{allow: [office], login: staff, require: both}", "visitors from office log in through staff; anyone else gets 403"),
    ("{allow: [all], deny: [blocked]}", "visitors from blocked never get in; anyone else gets in"),
    ("{allow: []}", "everybody gets 403"),
])
def test_check_says_the_rule_in_words(guarded, rule, words):
    usher = guarded("{allow: [all]}")
    usher.values["ACCESS"] = rule
    usher.write(CONFIG)
    done = run_command("check", usher.path)
    assert f"default *: {words}\n" in done.stdout, done.stdout + done.stderr
    assert words not in run_command("check", "-q", usher.path).stdout


@pytest.mark.parametrize("rule, says", [
    ("{}", "does not say who gets in"), ("{deny: [blocked]}", "does not say who gets in"), ("{allow: [10.0.0.1/8]}", "is neither an address, nor a network"),
    ("{allow: [ofice]}", 'did you mean "office"'), ("{login: staf}", 'did you mean "staff"'), ("{allow: [office], users: [ann]}", "known by a `login`"),
    ("{login: staff, require: both}", "needs `allow` or `certificate`, and `login`"), ("{allow: [all], login: staff}", "nobody is asked to log in"), ("{alow: [all]}", 'did you mean "allow"'),
    ("true", ""), ("{login: staff, user_field: X-User}", "user_field"), ("{allow: [10.0.0.0/33]}", "is neither an address"),
])
def test_a_mistake_never_opens_a_door(guarded, rule, says):
    with pytest.raises(AssertionError) as caught:
        guarded(rule)
    assert says in str(caught.value)


@pytest.mark.parametrize("name, text, says", [
    ("staff.htpasswd", "ann\n", r"staff.htpasswd:1: this is no hash"), ("staff.htpasswd", "ann:secret\n", r"staff.htpasswd:1: this is no hash"),
    ("staff.htpasswd", "\n# x\n:$6$a$b\n", r"staff.htpasswd:3: expected NAME:HASH"), ("staff.htpasswd", "ann:$6$a$b\nann:$6$a$c\n", "a user is named twice"),
    ("staff.groups", "makers ann\n", r"staff.groups:1: expected GROUP: USER USER"), ("blocked.txt", "1.2.3.4\n1.2.3\n", r'blocked.txt:2: "1.2.3" is no network'),
])
def test_mistakes_in_files_are_named(guarded, name, text, says):
    (guarded.directory / name).write_text(text)
    with pytest.raises(AssertionError, match=says) as caught:
        guarded("{allow: [office], deny: [blocked], login: staff}")
    assert "secret" not in str(caught.value).replace(str(guarded.directory), "")
