"""Hits of the cache: everything that is asked for is stored."""

import json
import subprocess
import sys

from rig import BENCH, LOAD_CORE, free_port, on_core, per_gigabyte, per_request, run_h2load, run_many, run_wrk

PROXIES = ("usher", "nginx", "haproxy", "varnish", "trafficserver")
KIBIBYTE = 1024
CROWD = 1000
MANY = (1000, 1000000)
MANY_PROXIES = ("usher", "haproxy", "varnish")  # nginx would make a million files
CROWD_MS = 1100  # the longest wait, where the origin takes a second


def names(bench, tls=False):
    return [name for name in bench.names if name in PROXIES and not (tls and name in ("varnish", "trafficserver"))]


def small(bench):
    seconds, rounds = (1, 3) if bench.quick else (3, 5)
    for connections in (64, 512):
        def measure(proxy, connections=connections):
            run_wrk(proxy, connections, 1)  # whatever is asked for is stored then
            before = proxy.cpu()
            return per_request(proxy, before, run_wrk(proxy, connections, seconds))

        bench.interleaved(f"hits, 1 KiB, {connections} connections", rounds, names(bench), measure, cached=True)


def large(bench):
    """Beside "sends": the origin in the place of a proxy, which writes each answer from one buffer. What that costs is the kernel's copying."""
    seconds, rounds = (1, 3) if bench.quick else (3, 5)
    for work, path, size in (("100 KiB", "/100k", 100 * KIBIBYTE), ("1 MiB", "/1m", KIBIBYTE * KIBIBYTE)):
        def measure(proxy, path=path, size=size):
            run_wrk(proxy, 16, 1, path=path)
            before = proxy.cpu()
            took = run_wrk(proxy, 16, seconds, path=path)
            return per_gigabyte(proxy, before, took["requests"] * size, took["requests"] / took["rate"])

        sends = ["sends"] if "sends" in bench.names else []
        bench.interleaved(f"hits, {work}", rounds, names(bench) + sends, measure, cached=True)


def small_h2(bench):
    seconds, rounds = (1, 3) if bench.quick else (3, 5)

    def measure(proxy):
        run_h2load(proxy, 16, 32, 1)
        before = proxy.cpu()
        return per_request(proxy, before, run_h2load(proxy, 16, 32, seconds))

    bench.interleaved("hits, HTTP/2 over TLS, 1 KiB, 16 connections x 32 streams", rounds, names(bench, True), measure, tls=True, cached=True)


def million(bench):
    """Hits of a thousand small answers that are stored, and of a million: what finding one of them costs a visitor."""
    seconds, rounds = (1, 5) if bench.quick else (3, 7)
    running = []
    for name in (name for name in bench.names if name in MANY_PROXIES):
        for count in MANY:
            proxy = bench.start(name, cached=True, cache_mib=3072)
            running.append((f"{name} {count}", (proxy, count)))
            run_many(proxy, "/100", 64, 0, count)

    def measure(each):
        proxy, count = each
        before = proxy.cpu()
        return per_request(proxy, before, run_many(proxy, "/100", 64, seconds, count))

    bench.repeat("hits of many", rounds, running, measure)
    for name, (proxy, _) in running:
        bench.results["hits of many"][name]["resident_mb"] = proxy.resident_bytes() / 1e6
    bench.stop([proxy for _, (proxy, _) in running])


def crowd(bench):
    """1,000 clients at once, who miss a page that takes the origin a second."""
    origin_port = free_port()
    process = subprocess.Popen(on_core(LOAD_CORE, sys.executable, BENCH / "crowd.py", origin_port, CROWD),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if process.stdout.readline().strip() != "ready":
        sys.exit("bench: the crowd did not come")

    def measure(proxy):
        process.stdin.write(f"{proxy.port}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    bench.interleaved(f"a crowd of {CROWD}", 3, names(bench), measure, cached=True, origin_port=origin_port)
    process.stdin.close()
    process.wait()
