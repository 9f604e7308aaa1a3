"""Reading a fetch as it comes."""

import threading
import time

import pytest

from support.cache import CONFIG, Crowd


def test_all_read_a_fetch_as_it_comes(cached):
    """What has come is there for all before the rest is, whoever came when."""
    rest, sent = threading.Event(), threading.Event()

    def script(connection):
        site.asked.append(connection.read_request())
        connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nfirst")
        sent.set()
        rest.wait(30)
        connection.send("later")
    usher, site = cached()
    usher = cached.stage.usher(CONFIG, ORIGIN=cached.stage.origin(script), CACHE="{status: true}")
    crowd = Crowd(usher, 5)
    sent.wait(30)
    late = Crowd(usher, 5)
    for client in crowd.clients + late.clients:
        while b"first" not in client.reader.buffer:
            assert client.reader.fill()
        assert b"later" not in client.reader.buffer
    rest.set()
    assert {each.body for each in crowd.answers() + late.answers()} == {b"firstlater"}
    assert usher.get().get("Cache-Status") == "usher; hit" and len(site.asked) == 1
    crowd.close()
    late.close()


@pytest.mark.parametrize("size", [70_000, 3_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_crowd_reads_large_answers_together(cached, size, framing):
    """Those of a length that is told too late turn out to be too large while they are read: they come whole, and nothing is
    stored."""
    body = bytes(number * 7 % 251 for number in range(size))

    def script(connection):
        while (request := connection.read_request()) is not None:
            site.asked.append(request)
            time.sleep(0.3)
            if framing == "length":
                connection.send(f"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {size}\r\n\r\n".encode() + body)
            else:
                connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n")
                for at in range(0, size, 50_000):
                    piece = body[at:at + 50_000]
                    connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                connection.send(b"0\r\n\r\n")
    _, site = cached()
    usher = cached.stage.usher(CONFIG, ORIGIN=cached.stage.origin(script), CACHE="{status: true}")
    crowd = Crowd(usher, 8)
    answers = [None] * 8

    def read(number):
        answers[number] = crowd.clients[number].response().body
    readers = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert all(answer == body for answer in answers)
    if size < 1_000_000:
        assert len(site.asked) == 1
        assert usher.get().get("Cache-Status") == "usher; hit"
    else:
        before = len(site.asked)
        assert before == (8 if framing == "length" else 1)
        assert usher.get().body == body and len(site.asked) == before + 1
    crowd.close()


def test_one_who_reads_slowly_holds_up_nobody(cached):
    """As long as the answer may be stored."""
    body = b"x" * 900_000
    usher, _ = cached("Cache-Control: max-age=60", body=body)
    with usher.connect() as slow:
        slow.request()
        for _ in range(5):
            assert usher.get().body == body
