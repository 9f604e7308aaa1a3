"""No spelling of a path escapes a rule, and what is sent on is decided by a rule, too."""

import pytest

from support.refusal import echoed

GUARDED = """
listen: "127.0.0.1:$PORT"
access_log: off
merge_slashes: true
routes:
  - {path: /admin/, respond: {status: 403, body: "guarded"}}
  - {path: /admin, respond: {status: 403, body: "guarded"}}
  - {proxy: $ORIGIN}
"""


@pytest.fixture(scope="module")
def guarded(shared):
    return shared.usher(GUARDED, ORIGIN=shared.origin())


INSIDE = [
    "/admin/", "/admin", "/admin/x", "/admin?x", "/admin/?x=/../",
    "/./admin/", "/x/../admin/", "/x/y/../../admin/", "/../admin/", "/../../admin/", "/x/./../admin",
    "/%61dmin/", "/%61%64%6d%69%6e/", "/%61%64%6D%69%6E/", "/adm%69n",
    "/%2e/admin/", "/%2E/admin/", "/x/%2e%2e/admin/", "/x/.%2e/admin/", "/x/%2E./admin/", "/x/%2e%2E/%61dmin",
    "//admin/", "///admin/", "/.//admin/", "//x/..//admin/", "/x//../admin/",
    "/admin/..%2f", "/admin/../admin/", "/admin/%2e%2e/admin/", "/admin/./", "/admin/.",
]

OUTSIDE = ["/", "/x", "/adminx", "/Admin/", "/x/admin/", "/admin/..", "/admin/../x", "/admin%2Fx", "/admin%2fx", "/%2561dmin/",
           "/admin;x", "/admin%20", "/adminn", "/x/..%2fadmin/", "/admin%5c..", "/~admin/"]


@pytest.mark.parametrize("target", INSIDE)
def test_no_spelling_escapes(guarded, target):
    assert guarded.get(target).status == 403, target


@pytest.mark.parametrize("target", OUTSIDE)
def test_what_is_another_path_is_not_guarded(guarded, target):
    assert guarded.get(target).status == 200


@pytest.mark.parametrize("target", ["/admin%00", "/%00", "/admin%zz", "/admin%", "/a%2"])
def test_what_is_no_path_is_refused(guarded, target):
    assert guarded.get(target).status == 400


def test_slashes_are_merged_by_choice_only(stage):
    usher = stage.usher(GUARDED.replace("merge_slashes: true\n", ""), ORIGIN=stage.origin())
    assert usher.get("/admin/").status == 403
    assert usher.get("//admin/").status == 200
    assert usher.get("/x/../admin/").status == 403


EXACT = ["/a/b?c=d", "/%7Euser", "/a%2Fb", "/a/%2e/b", "/x/../y", "/a;b=c", "/a?x=/../y", "/a?%61", "/a??b", "/?", "/a//b",
         "/a,b", "/a:b@c", "/%E4%BD%A0", "/a!$&'()*+,;=:@b", "/.", "/a/."]


@pytest.mark.parametrize("target", EXACT)
def test_client_s_exact_bytes_are_sent_on(guarded, target):
    """Where no rule rewrites the path."""
    assert echoed(guarded.get(target))["target"] == target


def test_rewritten_path_is_the_normal_one(stage):
    usher = stage.usher("""
listen: "127.0.0.1:$PORT"
access_log: off
routes:
  - {path: /app/, strip: /app, proxy: $ORIGIN}
  - {proxy: $ORIGIN}
""", ORIGIN=stage.origin())
    expected = {
        "/app/x?y=%7E": "/x?y=%7E",
        "/app/%7Euser": "/~user",
        "/app/a/../b": "/b",
        "/x/../app/b": "/b",
        "/app/a%2fb": "/a%2Fb",
        "/%61pp/x": "/x",
        "/app/": "/",
        "/app/?q": "/?q",
    }
    for target, sent in expected.items():
        assert echoed(usher.get(target))["target"] == sent, target
