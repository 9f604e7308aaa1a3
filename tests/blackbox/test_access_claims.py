"""Claims of an OpenID Connect provider, as fields for servers and as conditions."""

from support.openid import Person, Visitor
from support.usher import run_command
from test_access_openid import inside, provider, staged  # noqa: F401


def test_claims_as_fields_and_conditions(staged, provider):
    usher = staged(provider, more="user: preferred_username, fields: {X-Department: department, X-Staff: staff, X-None: nothing, X-Teams: groups}",
                   rule="allow: [127.0.0.2], claims: {department: [it, sales], staff: 7}")
    visitor = Visitor(usher)
    assert visitor.log_in().status == 303
    assert visitor.get("/", "X-Department: root", "x_department: root", "X-None: root").status == 200
    seen = usher.site.requests[-1]
    assert seen.all("X-Department") == ["sales"] and not seen.has("x_department") and not seen.has("X-None")
    assert seen.get("X-Staff") == "7" and seen.get("X-Teams") == "makers,admins"
    # Who gets in by his address tells nothing of himself, either.
    assert inside(usher, "X-Department: root", "X_Department: root", "X-Teams: admins").status == 200
    seen = usher.site.requests[-1]
    assert not any(seen.has(name) for name in ("X-Department", "X_Department", "X-Teams"))
    other = Visitor(usher)
    assert other.log_in(person=Person("bob")).status == 303 and other.get().status == 403


def test_control_characters_never_pass(staged, provider):
    usher = staged(provider, more="user: preferred_username, fields: {X-Department: department}")
    visitor = Visitor(usher)
    assert visitor.log_in(person=Person("bob")).status == 303 and visitor.get().status == 200
    seen = usher.site.requests[-1]
    assert seen.get("X-Forwarded-User") == "bob" and not seen.has("X-Department") and not seen.has("X-Evil")
    # What the provider has not verified is nobody's address.
    assert not seen.has("X-Forwarded-Email")


def test_an_address_that_is_not_verified_names_nobody(staged, provider):
    usher = staged(provider, more="user: email")
    assert Visitor(usher).log_in().status == 303
    visitor = Visitor(usher)
    assert visitor.log_in(person=Person("bob")).status == 403 and "usher" not in visitor.cookies


def test_check_says_claims_in_words(tmp_path):
    (tmp_path / "usher.yaml").write_text("logins: {staff: {openid: {issuer: https://id.example.com, client_id: a}}}\n"
                                         "access: {login: staff, users: [ann], claims: {department: [sales, it], tier: gold}}\nproxy: http://127.0.0.1:1\n")
    done = run_command("check", tmp_path / "usher.yaml")
    assert done.returncode == 0
    assert "everybody logs in through staff, only user ann, only with department sales or it, and with tier gold; anyone else gets 403" in done.stdout
