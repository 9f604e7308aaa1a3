"""Lists of addresses and networks, here and in files."""

from support.access import visit
from support.usher import eventually


def test_a_list_is_taken_when_it_is_replaced(guarded):
    usher = guarded("{allow: [all], deny: [blocked]}")
    assert visit(usher, "192.0.2.77").status == 200
    new = guarded.directory / "blocked.new"
    new.write_text("192.0.2.77\n")
    new.replace(guarded.directory / "blocked.txt")
    eventually(lambda: visit(usher, "192.0.2.77").status == 403)
    # For a moment, connections may still reach the former worker.
    eventually(lambda: visit(usher, "203.0.113.1").status == 200)


def test_a_hundred_thousand_networks(guarded):
    lines = "\n".join(f"{1 + i % 200}.{i // 200 % 250}.{i // 50_000}.{i % 250}" for i in range(100_000))
    (guarded.directory / "blocked.txt").write_text(lines)
    usher = guarded("{allow: [all], deny: [blocked]}")
    assert visit(usher, "1.0.0.0").status == 403 and visit(usher, "250.0.0.1").status == 200
