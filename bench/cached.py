"""Hits of the cache: everything that is asked for is stored."""

from rig import per_gigabyte, per_request, run_h2load, run_wrk

PROXIES = ("usher", "nginx", "haproxy", "varnish")
KIBIBYTE = 1024


def names(bench, tls=False):
    return [name for name in bench.names if name in PROXIES and not (tls and name == "varnish")]


def small(bench):
    seconds, rounds = (1, 3) if bench.quick else (3, 5)
    for connections in (64, 512):
        def measure(proxy, connections=connections):
            run_wrk(proxy, connections, 1)  # whatever is asked for is stored then
            before = proxy.cpu()
            return per_request(proxy, before, run_wrk(proxy, connections, seconds))

        bench.interleaved(f"hits, 1 KiB, {connections} connections", rounds, names(bench), measure, cached=True)


def large(bench):
    seconds, rounds = (1, 3) if bench.quick else (3, 5)
    for work, path, size in (("100 KiB", "/100k", 100 * KIBIBYTE), ("1 MiB", "/1m", KIBIBYTE * KIBIBYTE)):
        def measure(proxy, path=path, size=size):
            run_wrk(proxy, 16, 1, path=path)
            before = proxy.cpu()
            took = run_wrk(proxy, 16, seconds, path=path)
            return per_gigabyte(proxy, before, took["requests"] * size, took["requests"] / took["rate"])

        bench.interleaved(f"hits, {work}", rounds, names(bench), measure, cached=True)


def small_h2(bench):
    seconds, rounds = (1, 3) if bench.quick else (3, 5)

    def measure(proxy):
        run_h2load(proxy, 16, 32, 1)
        before = proxy.cpu()
        return per_request(proxy, before, run_h2load(proxy, 16, 32, seconds))

    bench.interleaved("hits, HTTP/2 over TLS, 1 KiB, 16 connections x 32 streams", rounds, names(bench, True), measure, tls=True, cached=True)
