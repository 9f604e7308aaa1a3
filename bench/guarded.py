"""What those who are inside notice of others who log in, or guess passwords."""

import base64
import multiprocessing
import os
import random
import re
import socket
import subprocess
import threading
import time

from rig import LOAD_CORE

INTERVAL = 0.004  # seconds between two requests of those who are inside
GUESSERS = 8


def request(*fields):
    return "\r\n".join(["GET /1k HTTP/1.1", "Host: bench.example", *fields, "", ""]).encode()


def read_status(client):
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    left = int(re.search(rb"(?i)content-length: (\d+)", head).group(1)) - len(body)
    while left > 0:
        left -= len(client.recv(65536))
    return int(head[9:12])


def latencies(proxy, seconds):
    """Of requests that come at their time, whatever became of those before."""
    taken, due = [], time.perf_counter()
    end = due + seconds
    with socket.create_connection(("127.0.0.1", proxy.port)) as client:
        while due < end:
            time.sleep(max(0, due - time.perf_counter()))
            client.sendall(request("X-Forwarded-For: 10.0.0.1"))
            assert read_status(client) == 200
            taken.append(time.perf_counter() - due)
            due += INTERVAL
    taken.sort()
    return {"p50_ms": taken[len(taken) // 2] * 1e3, "p99_ms": taken[len(taken) * 99 // 100] * 1e3}


def guess(port, users, until, count):
    with socket.create_connection(("127.0.0.1", port)) as client:
        while time.monotonic() < until:
            address = ".".join(str(random.randrange(20, 200)) for _ in range(3))
            credentials = base64.b64encode(f"user{random.randrange(users)}:{random.random()}".encode()).decode()
            client.sendall(request(f"X-Forwarded-For: {address}.1", f"Authorization: Basic {credentials}"))
            assert read_status(client) in (401, 429, 503)
            with count.get_lock():
                count.value += 1


def guess_all(port, users, seconds, count):
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    threads = [threading.Thread(target=guess, args=(port, users, time.monotonic() + seconds, count)) for _ in range(GUESSERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def guests(bench):
    """Logins that are each verified by bcrypt (whoever it is), and guesses at a few users, most of which are refused."""
    (bench.directory / "staff").write_text(subprocess.run(["htpasswd", "-nbB", "-C", "10", "ann", "secret"], capture_output=True, text=True, check=True).stdout)
    proxy = bench.start("usher", guarded=bench.directory / "staff")
    seconds, rounds = (3, 2) if bench.quick else (8, 5)

    def measure(users):
        if not users:
            return {"guesses": 0, **latencies(proxy, seconds)}
        count = multiprocessing.Value("Q")
        process = multiprocessing.Process(target=guess_all, args=(proxy.port, users, seconds + 1, count))
        process.start()
        time.sleep(0.5)
        taken = latencies(proxy, seconds)
        process.join()
        return {"guesses": count.value, **taken}

    bench.repeat("guests", rounds, [("quiet", 0), ("bcrypt", 10**9), ("guesses", 20)], measure)
    bench.stop([proxy])
