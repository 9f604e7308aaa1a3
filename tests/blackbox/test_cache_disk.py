"""The cache's disk: what is stored outlives usher, and whatever happens to its files, nothing wrong is ever served."""

import contextlib
import hashlib
import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time

import pytest

from support.cache import ADMIN, CONFIG, Site, cache_command, is_hit
from support.usher import eventually, free_port, run_command

DISK = 'cache_disk: {path: "$DISK", size: $SIZE}\nadmin: "unix:$DIR/$ADMIN"\n'
SMALL_MEMORY = "cache_memory: 1MiB\n"  # of which one answer may have about a fifth
LARGE = "{status: true, max_object: 8MiB}"
BLOCK = 64 * 1024


def content_of(length, seed=1):
    """Text that is no other's."""
    return "".join(hashlib.sha256(f"{seed}-{i}".encode()).hexdigest() for i in range(length // 64 + 1))[:length]


class Disk:
    """Starts usher with a disk; again with the same one by another call."""

    def __init__(self, stage, directory):
        self.stage, self.directory, self.path = stage, directory, directory / "disk"
        self.sites = []

    def start(self, *fields, cache="{status: true}", more="", size="64MiB", origin=None, **how):
        site = Site(*(fields or ["Cache-Control: max-age=600"]), **how)
        self.sites.append(site)
        usher = self.stage.usher(CONFIG + DISK + more, ORIGIN=origin or self.stage.origin(site), CACHE=cache, DISK=self.path,
                                 DIR=self.directory, SIZE=size, ADMIN=f"admin{len(self.sites)}.sock")
        return usher, site

    def files(self):
        return sorted(self.path.glob("??/*"))

    def wait_for_files(self, number):
        eventually(lambda: len(self.files()) == number, f"{number} files; there are {self.files()}")

    def one_file(self, end=""):
        found = [path for path in self.files() if path.name.endswith(".body") == (end == ".body")]
        assert len(found) == 1
        return found[0]

    def bytes(self):
        total = 0
        for path in self.files():
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
        return total


@pytest.fixture
def disk(stage, tmp_path):
    return Disk(stage, tmp_path)


def crash(usher):
    """All its processes end at once, as when the machine does, but for what the system has of their files."""
    usher.kill()
    usher.stopped = True


def spoil(path, at):
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


# --- Outliving usher

@pytest.mark.parametrize("end", ["stop", "crash"])
def test_what_is_stored_is_there_after_a_restart(disk, end):
    usher, _ = disk.start("Cache-Control: max-age=600", 'ETag: "a"', "X-Own: yes")
    first = usher.get("/page?x=1")
    disk.wait_for_files(1)
    usher.stop() if end == "stop" else crash(usher)
    again, site = disk.start()
    answer = again.get("/page?x=1")
    assert answer.body == first.body and answer.status == 200
    assert answer.get("Cache-Status") == "usher; hit" and answer.get("X-Own") == "yes" and answer.get("ETag") == '"a"'
    assert int(answer.get("Age")) >= 0 and not site.asked
    assert again.get("/page?x=1", 'If-None-Match: "a"').status == 304 and not site.asked
    assert not is_hit(again, "/page?x=2")


def test_what_is_stored_is_there_for_the_next_worker(disk):
    usher, site = disk.start()
    usher.get("/a")
    disk.wait_for_files(1)
    former = usher.workers()
    os.kill(former[0], signal.SIGKILL)
    eventually(lambda: usher.workers() and usher.workers() != former)
    assert is_hit(usher, "/a") and len(site.asked) == 1


def test_all_of_what_is_stored_is_found_at_once(disk):
    """While the directory is still being read, and after that."""
    usher, _ = disk.start()
    for i in range(300):
        usher.get(f"/{i}")
    disk.wait_for_files(300)
    usher.stop()
    again, site = disk.start()
    assert all(is_hit(again, f"/{i}") for i in random.sample(range(300), 300)) and not site.asked


def test_variants_are_told_apart(disk):
    usher, _ = disk.start("Cache-Control: max-age=600", "Vary: X-A")
    bodies = {value: usher.get("/", *([f"X-A: {value}"] if value else [])).body for value in ["1", "2", ""]}
    disk.wait_for_files(3)
    usher.stop()
    again, site = disk.start()
    for value, body in bodies.items():
        assert again.get("/", *([f"X-A: {value}"] if value else [])).body == body
    assert not site.asked and not is_hit(again, "/", "X-A: 3")


def test_the_newest_is_what_is_there(disk):
    usher, site = disk.start("Cache-Control: max-age=0", "ETag: \"a\"", cache="{status: true, stale: {if_error: 1d}}")
    for _ in range(5):
        usher.get("/")
        site.fields[1] = f'ETag: "{len(site.asked)}"'
    eventually(lambda: len(disk.files()) == 1)
    usher.stop()
    disk.wait_for_files(1)
    again, _ = disk.start(cache="{status: true, stale: {if_error: 1d}}", origin="http://127.0.0.1:1")
    answer = again.get("/")
    assert answer.body == b"5" and "stale-if-error" in answer.get("Cache-Status")


def test_what_is_of_no_use_for_long_is_not_written(disk):
    usher, _ = disk.start("Cache-Control: max-age=5")
    usher.get("/short")
    usher.stop()
    assert disk.files() == []


def test_the_memory_may_forget_it(disk):
    """With a megabyte of memory, most of them come from the disk."""
    usher, site = disk.start(more=SMALL_MEMORY, body=content_of(10_000))
    for i in range(200):
        usher.get(f"/{i}")
    disk.wait_for_files(200)
    assert all(is_hit(usher, f"/{i}") for i in range(200)) and len(site.asked) == 200
    stats = cache_command(usher, "stats").stdout
    assert int(re.search(r"found there +(\d+)", stats).group(1)) > 50, stats


# --- Large content

@pytest.mark.parametrize("size", [20_000, BLOCK - 8, BLOCK - 7, 1_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_content_goes_to_the_disk(disk, size, framing):
    body = content_of(size)

    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request)
            head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nETag: \"l\"\r\n"
            if framing == "length":
                connection.send(f"{head}Content-Length: {size}\r\n\r\n{body}")
            else:
                connection.send(f"{head}Transfer-Encoding: chunked\r\n\r\n")
                for at in range(0, size, 30_000):
                    piece = body[at:at + 30_000]
                    connection.send(f"{len(piece):x}\r\n{piece}\r\n")
                connection.send("0\r\n\r\n")
    asked = []
    origin = disk.stage.origin(script)
    usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, origin=origin)
    assert usher.get("/l").body.decode() == body
    eventually(lambda: disk.files())
    for _ in range(2):
        answer = usher.get("/l")
        assert answer.body.decode() == body and answer.get("Cache-Status") == "usher; hit"
        assert answer.get("Content-Length") == str(size)
        head = usher.ask("HEAD", "/l")
        assert head.get("Content-Length") == str(size) and head.get("Cache-Status") == "usher; hit"
        usher.stop()
        usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, origin=origin)
    assert len(asked) == 1
    for first, last in [(0, 0), (size - 1, size - 1), (10, size - 10), (BLOCK - 20, BLOCK + 20)]:
        answer = usher.get("/l", f"Range: bytes={first}-{last}")
        if first >= size:
            assert answer.status == 416
            continue
        assert answer.status == 206 and answer.body.decode() == body[first:last + 1]
    several = usher.get("/l", f"Range: bytes=0-9,{size // 2}-{size // 2 + 9},-10")
    assert several.status == 206 and several.get("Cache-Status") == "usher; hit"
    parts = re.findall(rb"\r\n\r\n(.*?)\r\n--", several.body)
    assert [part.decode() for part in parts] == [body[:10], body[size // 2:size // 2 + 10], body[-10:]]
    assert len(asked) == 1


def test_a_crowd_reads_large_content_while_it_comes(disk):
    body = content_of(2_000_000)
    gate = threading.Event()

    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request)
            connection.send(f"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: {len(body)}\r\n\r\n{body[:1_234_567]}")
            gate.wait(30)
            connection.send(body[1_234_567:])
    asked = []
    usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, origin=disk.stage.origin(script))
    answers, some = [], threading.Barrier(9)

    def visit():
        with usher.connect() as client:
            client.request("GET", "/l")
            while len(client.reader.buffer) < 1_000_000:
                assert client.reader.fill()
            some.wait(30)
            answers.append(client.response())
    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    some.wait(30)  # all have what came, though the rest has not come
    gate.set()
    for thread in threads:
        thread.join(60)
    assert [answer.body.decode() == body for answer in answers] == [True] * 8 and len(asked) == 1
    assert is_hit(usher, "/l")


def test_content_that_breaks_off_is_not_stored(disk):
    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request)
            connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 1000000\r\n\r\n" + content_of(500_000))
            connection.close()
            return
    asked = []
    usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, origin=disk.stage.origin(script))
    for _ in range(2):
        with usher.connect() as client:
            client.request("GET", "/l")
            with pytest.raises(Exception):
                client.response()
    assert disk.files() == [] and len(asked) == 2


def test_a_304_refreshes_large_content(disk):
    def answer(request, body):
        if request.get("If-None-Match") == '"l"':
            return "304 Not Modified", ["Cache-Control: max-age=700", "X-Now: second"], ""
        return "200 OK", ["Cache-Control: max-age=0", 'ETag: "l"', "X-Now: first"], body
    body = content_of(500_000)
    how = {"cache": "{status: true, max_object: 8MiB, stale: {if_error: 1h}}", "more": SMALL_MEMORY}
    usher, site = disk.start(body=body, **how)
    site.fields = answer
    assert usher.get("/l").get("X-Now") == "first"
    disk.wait_for_files(2)
    first = disk.one_file(".body").stat().st_ino
    answer = usher.get("/l")
    assert answer.body.decode() == body and answer.get("X-Now") == "second"
    eventually(lambda: is_hit(usher, "/l"))
    disk.wait_for_files(2)
    assert disk.one_file(".body").stat().st_ino == first  # the content was not written again
    usher.stop()
    again, site = disk.start(**how)
    answer = again.get("/l")
    assert answer.body.decode() == body and answer.get("X-Now") == "second" and not site.asked


# --- What a crash, or a bad disk, leaves

def test_a_crash_while_content_comes_leaves_nothing(disk):
    gate = threading.Event()

    def script(connection):
        while (request := connection.read_request()) is not None:
            asked.append(request)
            connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 1000000\r\n\r\n" + body[:500_000])
            if len(asked) == 1:
                gate.wait(30)
                return
            connection.send(body[500_000:])
    body, asked = content_of(1_000_000), []
    origin = disk.stage.origin(script)
    usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, origin=origin)
    with usher.connect() as client:
        client.request("GET", "/l")
        while len(client.reader.buffer) < 400_000:
            assert client.reader.fill()
        crash(usher)
    gate.set()
    assert disk.files() == []
    again, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, origin=origin)
    assert again.get("/l").body.decode() == body and len(asked) == 2


def test_crashes_under_load_leave_nothing_wrong(disk):
    """Killed at any moment while it writes and replaces: what is served then is what the origin sent for that target."""
    def script(connection):
        while (request := connection.read_request()) is not None:
            number = int(request.target[1:])
            connection.answer(content_of(number * 997 % 90_000 + 1, number), "Cache-Control: max-age=600")
    origin = disk.stage.origin(script)
    chance = random.Random(7)
    hits = 0
    for _ in range(6):
        usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, origin=origin)
        until = time.monotonic() + chance.uniform(0.2, 1.5)
        ended, wrong, found = threading.Event(), [], []

        def visit(seed, usher=usher, ended=ended, wrong=wrong, found=found):
            own = random.Random(seed)
            while not ended.is_set():
                number = own.randrange(200)
                try:
                    answer = usher.get(f"/{number}")
                except Exception:  # killed
                    continue
                if answer.body.decode() != content_of(number * 997 % 90_000 + 1, number):
                    wrong.append(number)
                found.append(answer.get("Cache-Status") == "usher; hit")
        threads = [threading.Thread(target=visit, args=(chance.random(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(max(0, until - time.monotonic()))
        crash(usher)
        ended.set()
        for thread in threads:
            thread.join(60)
        assert not wrong
        hits += sum(found)
    assert hits > 0 and disk.files()


@pytest.mark.parametrize("size", [100, 100_000])
@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.999])
def test_a_small_file_that_was_changed_is_dropped(disk, size, where):
    usher, _ = disk.start(body=content_of(size))
    usher.get("/")
    disk.wait_for_files(1)
    usher.stop()
    path = disk.one_file()
    spoil(path, int(path.stat().st_size * where))
    again, site = disk.start(body="new")
    assert again.get("/").body == b"new" and len(site.asked) == 1
    again.wait_for_error("cache_disk: a file is not what was written")
    assert not path.exists() and is_hit(again, "/")


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_a_file_that_was_cut_is_dropped(disk, length):
    usher, _ = disk.start(body=content_of(1000))
    usher.get("/")
    disk.wait_for_files(1)
    usher.stop()
    os.truncate(disk.one_file(), length if length >= 0 else disk.one_file().stat().st_size - 1)
    again, site = disk.start(body="new")
    assert again.get("/").body == b"new" and len(site.asked) == 1


@pytest.mark.parametrize("change", ["first", "last", "cut", "gone", "other"])
def test_large_content_that_was_changed_is_never_served(disk, change):
    """Of what is found wrong at once, nothing goes out; what is found wrong later breaks off, and is fetched the next time."""
    body, other = content_of(300_000), content_of(300_000, 2)
    usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, body=body)
    usher.get("/l")
    if change == "other":
        disk.sites[-1].body = other
        usher.get("/other")
    disk.wait_for_files(4 if change == "other" else 2)
    usher.stop()
    bodies = [path for path in disk.files() if path.name.endswith(".body")]
    if change == "first":
        spoil(bodies[0], 5)
    elif change == "last":
        spoil(bodies[0], bodies[0].stat().st_size - 20)
    elif change == "cut":
        os.truncate(bodies[0], BLOCK)
    elif change == "gone":
        bodies[0].unlink()
    else:  # the content of the one in the place of the other's
        moved = [path.read_bytes() for path in bodies]
        bodies[0].write_bytes(moved[1])
        bodies[1].write_bytes(moved[0])
    again, site = disk.start(cache=LARGE, more=SMALL_MEMORY, body="new")
    with again.connect() as client:
        client.request("GET", "/l")
        try:
            first = client.response().body
        except Exception:  # it broke off
            first = bytes(client.reader.buffer)
    assert first == b"new" or body.encode().startswith(first.rpartition(b"\r\n\r\n")[2])
    assert again.get("/l").body == b"new" and len(site.asked) == 1


def test_what_usher_did_not_write_is_left_alone(disk):
    usher, _ = disk.start()
    usher.get("/")
    disk.wait_for_files(1)
    usher.stop()
    foreign = disk.path / "00" / "readme.txt"
    foreign.write_text("not usher's")
    lone = disk.path / "00" / ("0" * 16 + "-" + "0" * 16 + "-" + "0" * 16 + ".body")
    lone.write_text("content without a head, as a crash may leave it")
    again, _ = disk.start()
    assert is_hit(again, "/")
    eventually(lambda: not lone.exists())
    assert foreign.read_text() == "not usher's"


# --- Full

@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    path = tmp_path / "small"
    path.mkdir()
    sudo = [] if os.getuid() == 0 else ["sudo"]
    subprocess.run([*sudo, "mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "none", path], check=True)
    yield path
    subprocess.run([*sudo, "umount", "-l", path], check=True)


@pytest.mark.parametrize("size", [50_000, 900_000])
def test_a_full_disk_costs_no_answer(small_disk, disk, size):
    disk.path = small_disk / "disk"
    body = content_of(size)
    usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, size="1GiB", body=body)
    for i in range(4_000_000 // size * 2):
        assert usher.get(f"/{i}").body.decode() == body
    usher.wait_for_error("No space left on device")
    assert usher.get("/again").body.decode() == body
    # Older ones went for newer ones. The last one may have been what was too much.
    assert any(is_hit(usher, f"/{i}") for i in reversed(range(4_000_000 // size * 2 - 3, 4_000_000 // size * 2)))
    usher.stop()


def test_it_keeps_to_its_size(disk):
    usher, site = disk.start(size="1MiB", more=SMALL_MEMORY, body=content_of(30_000))
    for i in range(100):
        usher.get(f"/{i}")
        usher.get("/often")
    eventually(lambda: 0 < disk.bytes() <= 1 << 20 and len(disk.files()) > 20)
    usher.stop()
    assert disk.bytes() <= 1 << 20
    again, site = disk.start(size="1MiB", more=SMALL_MEMORY)
    assert is_hit(again, "/99")
    again.stop()
    smaller, site = disk.start(size="1MiB", more=SMALL_MEMORY, body=content_of(900_000), cache=LARGE)
    for i in range(3):
        assert smaller.get(f"/large{i}").body.decode() == content_of(900_000)
    assert disk.bytes() <= 1 << 20


def test_more_than_all_of_the_disk_is_not_stored(disk):
    body = content_of(3_000_000)
    usher, site = disk.start(size="1MiB", more=SMALL_MEMORY, cache=LARGE, body=body)
    for _ in range(2):
        assert usher.get("/").body.decode() == body
    assert len(site.asked) == 2 and disk.bytes() <= 1 << 20


# --- Forgetting

@pytest.mark.parametrize("how", ["POST", "url", "prefix", "tag", "all"])
@pytest.mark.parametrize("size", [10, 400_000])
def test_what_was_forgotten_stays_so(disk, how, size):
    """Whatever happens then, at once."""
    usher, _ = disk.start("Cache-Control: max-age=600", "Cache-Tag: one", cache=LARGE, more=SMALL_MEMORY, body=content_of(size))
    usher.get("/shop/a")
    disk.wait_for_files(1 if size == 10 else 2)
    if how == "POST":
        usher.ask("POST", "/shop/a", "Content-Length: 0")
    else:
        words = {"url": ["http://test.example/shop/a"], "prefix": ["--prefix", "http://test.example/shop/"], "tag": ["--tag", "one"], "all": ["--all"]}[how]
        done = cache_command(usher, "purge", *words)
        assert done.returncode == 0, done.stderr
    crash(usher)
    again, site = disk.start(cache=LARGE, more=SMALL_MEMORY)
    assert not is_hit(again, "/shop/a") and len(site.asked) == 1


def test_section_4_3_5_what_head_tells_is_not_forgotten(disk):
    """Another answer than the stored one is at the server: it is so on the disk, too."""
    usher, site = disk.start("Cache-Control: max-age=600", 'ETag: "a"', cache="{status: true, methods: GET}")
    usher.get("/a")
    disk.wait_for_files(1)
    site.fields[1] = 'ETag: "b"'
    usher.ask("HEAD", "/a")
    crash(usher)
    again, site = disk.start("Cache-Control: max-age=600", 'ETag: "b"')
    assert again.get("/a").get("Cache-Status").startswith("usher; fwd=stale") and len(site.asked) == 1


@pytest.mark.parametrize("size", [10, 400_000])
@pytest.mark.parametrize("how", [["http://test.example/shop/a"], ["--tag", "one"]])
def test_what_was_made_stale_stays_so(disk, size, how):
    cache = "{status: true, max_object: 8MiB, stale: {if_error: 1h}}"
    usher, _ = disk.start("Cache-Control: max-age=600", "Cache-Tag: one", cache=cache, more=SMALL_MEMORY, body=content_of(size))
    usher.get("/shop/a")
    disk.wait_for_files(1 if size == 10 else 2)
    assert cache_command(usher, "purge", "--soft", *how).returncode == 0
    crash(usher)
    again, _ = disk.start(cache=cache, more=SMALL_MEMORY, origin="http://127.0.0.1:1")
    answer = again.get("/shop/a")
    assert answer.body.decode() == content_of(size) and "stale-if-error" in answer.get("Cache-Status")


@pytest.mark.parametrize("size", [10, 400_000])
def test_what_is_on_the_disk_is_shown(disk, size):
    usher, _ = disk.start("Cache-Control: max-age=600", "Vary: X-A", cache=LARGE, more=SMALL_MEMORY, body=content_of(size))
    usher.get("/a", "X-A: 1")
    usher.get("/a", "X-A: 2")
    disk.wait_for_files(2 if size == 10 else 4)
    assert cache_command(usher, "show", "http://test.example/a").stdout.count("for X-A: ") == 2
    usher.stop()
    again, _ = disk.start(cache=LARGE, more=SMALL_MEMORY)
    again.get("/a", "X-A: 2")
    shown = cache_command(again, "show", "http://test.example/a").stdout
    assert sorted(re.findall("for X-A: (.)", shown)) == ["1", "2"] and f"200, {size} bytes of content" in shown
    stats = cache_command(again, "stats").stdout
    assert re.search("on the disk +2$", stats, re.M) and re.search("found there +1,", stats), stats


@pytest.mark.parametrize("size", [10, 400_000])
def test_the_list_tells_what_is_on_the_disk(disk, size):
    usher, _ = disk.start("Cache-Control: max-age=600", "Vary: X-A", cache=LARGE, more=SMALL_MEMORY, body=content_of(size))
    for target in ("/a/1", "/a/2", "/b"):
        usher.get(target)
    usher.get("/b", "X-A: 1")
    disk.wait_for_files(4 if size == 10 else 8)
    for again in range(2):
        listed = cache_command(usher, "list").stdout
        assert sorted(re.findall(r"^http://test.example(.*)$", listed, re.M)) == ["/a/1", "/a/2", "/b", "/b"], listed
        assert f"{size} bytes of content" in listed and ("on the disk" in listed) == (again or size > 10)
        part = cache_command(usher, "list", "http://test.example/a/").stdout
        assert sorted(re.findall(r"^http://test.example(.*)$", part, re.M)) == ["/a/1", "/a/2"] and "there may be more" not in part
        usher.stop()
        usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY)
        if not again:
            usher.get("/b", "X-A: 1")  # in memory and on the disk, it is listed once


def test_top_counts_what_is_found_on_the_disk(disk):
    usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, body=content_of(400_000))
    for number in range(30):
        for _ in range(1 + (number == 7) * 9 + (number == 3) * 4):
            usher.get(f"/{number}")
            eventually(lambda: len(disk.files()) == 2 * number + 2)
    top = cache_command(usher, "top").stdout
    assert re.findall(r"^http://test.example(.*)$", top, re.M) == ["/7", "/3"], top
    assert re.findall(r"used (\d+) times", top) == ["9", "4"]


@pytest.mark.parametrize("soft", [[], ["--soft"]])
def test_a_purge_says_that_the_disk_is_swept_behind_it(disk, soft):
    usher, _ = disk.start("Cache-Control: max-age=600", "Cache-Tag: one", cache=LARGE, more=SMALL_MEMORY, body=content_of(400_000))
    for number in range(20):
        usher.get(f"/{number}")
    disk.wait_for_files(40)
    told = cache_command(usher, "purge", *soft, "--tag", "one").stdout
    assert told.startswith("0 stored answers ") and " in memory; those on the disk are, too" in told
    eventually(lambda: re.search("purged +20$", cache_command(usher, "stats").stdout, re.M))
    if not soft:
        disk.wait_for_files(0)
    url = cache_command(usher, "purge", "http://test.example/3").stdout
    assert url == f"{1 if soft else 0} stored answers forgotten\n"


def test_purges_that_cannot_be_read_count_for_all(disk):
    usher, _ = disk.start("Cache-Control: max-age=600", "Cache-Tag: one")
    usher.get("/a")
    disk.wait_for_files(1)
    assert cache_command(usher, "purge", "--tag", "other").returncode == 0
    usher.stop()
    spoil(disk.path / "purges", 30)
    again, _ = disk.start()
    assert not is_hit(again, "/a") and is_hit(again, "/a")


def test_purges_from_before_do_not_mean_what_came_after(disk):
    usher, _ = disk.start("Cache-Control: max-age=600", "Cache-Tag: one")
    for _ in range(70):
        assert cache_command(usher, "purge", "--tag", "one").returncode == 0
    usher.get("/a")
    disk.wait_for_files(1)
    usher.stop()
    again, _ = disk.start()
    assert is_hit(again, "/a")


# --- The configuration

def test_two_ushers_do_not_share_a_directory(disk, tmp_path):
    disk.start()
    second = tmp_path / "second.yaml"
    second.write_text(f'listen: "127.0.0.1:{free_port()}"\nproxy: http://127.0.0.1:1\ncache_disk: {disk.path}\n')
    done = run_command("run", "-c", second, env={"XDG_RUNTIME_DIR": tmp_path})
    assert done.returncode != 0
    assert re.search(r"second.yaml:3:13: cache_disk: .*/disk: another usher uses it", done.stderr), done.stderr


def test_a_directory_that_cannot_be_is_told(disk):
    disk.path = pathlib.Path("/proc/none/disk")
    with pytest.raises(AssertionError, match=r"usher.yaml:\d+:\d+: cache_disk: /proc/none/disk: No such file or directory"):
        disk.start()


def test_a_reload_keeps_the_disk_and_takes_its_size(disk):
    usher, site = disk.start(body=content_of(30_000))
    for i in range(100):
        usher.get(f"/{i}")
    disk.wait_for_files(100)
    usher.values["SIZE"] = "1MiB"
    usher.reload(CONFIG + DISK)
    usher.get("/more")
    eventually(lambda: disk.bytes() <= 1 << 20)


def test_a_reload_takes_another_disk(disk, tmp_path):
    """What is in memory stays; what is on the former disk is not used again, as it hears of no purge any more."""
    usher, site = disk.start(cache=LARGE, more=SMALL_MEMORY, body=content_of(400_000))
    usher.get("/large")
    disk.wait_for_files(2)
    former, disk.path = disk.path, tmp_path / "other"
    usher.values["DISK"] = str(disk.path)
    usher.reload(CONFIG + DISK + SMALL_MEMORY)
    assert not is_hit(usher, "/large")
    disk.wait_for_files(2)
    assert is_hit(usher, "/large") and len(site.asked) == 2
    disk.path, usher.values["DISK"] = former, str(former)
    usher.reload(CONFIG + DISK + SMALL_MEMORY)
    assert not is_hit(usher, "/large")
    eventually(lambda: is_hit(usher, "/large"))
    usher.stop()
    again, site = disk.start(cache=LARGE, more=SMALL_MEMORY)
    assert is_hit(again, "/large") and not site.asked


def test_a_reload_leaves_the_disk(disk):
    usher, site = disk.start()
    usher.get("/a")
    disk.wait_for_files(1)
    usher.reload(CONFIG + ADMIN)
    assert is_hit(usher, "/a")  # in memory
    assert "on the disk" not in cache_command(usher, "stats").stdout
    usher.get("/b")
    usher.stop()
    again, _ = disk.start()
    assert not is_hit(again, "/a") and not is_hit(again, "/b")


def test_a_fetch_for_the_former_disk_goes_on(disk, tmp_path):
    """Its file is written to where it began; the answer is whole."""
    go, body = threading.Event(), content_of(500_000)

    def script(connection):
        while (request := connection.read_request()) is not None:
            head = f"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.send(head + body[:250_000])
            go.wait(30)
            connection.send(body[250_000:])
    usher, _ = disk.start(cache=LARGE, more=SMALL_MEMORY, origin=disk.stage.origin(script))
    with usher.connect() as client:
        client.request("GET", "/large")
        while len(client.reader.buffer) < 200_000:
            assert client.reader.fill()
        usher.values["DISK"] = str(tmp_path / "other")
        usher.reload(CONFIG + DISK + SMALL_MEMORY)
        go.set()
        assert client.response().body.decode() == body
    usher.stop()


def test_a_purge_made_without_the_disk_means_what_is_there(disk, tmp_path):
    usher, _ = disk.start("Cache-Control: max-age=600", "Cache-Tag: one")
    usher.get("/a")
    disk.wait_for_files(1)
    usher.stop()
    other = disk.stage.usher(CONFIG + ADMIN, ORIGIN="http://127.0.0.1:1", CACHE="{status: true}", DIR=tmp_path, DISK=disk.path, SIZE="1GiB")
    assert cache_command(other, "purge", "--tag", "one").returncode == 0
    other.values["ADMIN"] = "admin.sock"
    other.reload(CONFIG + DISK)
    assert other.get("/a").status == 502


def test_a_reload_that_fails_keeps_the_disk(disk):
    usher, site = disk.start(more=SMALL_MEMORY, cache=LARGE, body=content_of(400_000))
    usher.get("/large")
    disk.wait_for_files(2)
    usher.values["DISK"] = "/proc/none/disk"
    usher.write(CONFIG + DISK + SMALL_MEMORY)
    usher.signal(signal.SIGHUP)
    usher.wait_for_error("/proc/none/disk")
    assert is_hit(usher, "/large") and len(site.asked) == 1


def test_it_may_come_by_a_reload(disk):
    disk.path.parent.mkdir(exist_ok=True)
    site = Site("Cache-Control: max-age=600")
    usher = disk.stage.usher(CONFIG, ORIGIN=disk.stage.origin(site), CACHE="{status: true}", DISK=disk.path, DIR=disk.directory, SIZE="1GiB", ADMIN="admin.sock")
    usher.get("/before")
    usher.reload(CONFIG + DISK)
    usher.get("/after")
    disk.wait_for_files(1)
    assert is_hit(usher, "/before") and is_hit(usher, "/after")
