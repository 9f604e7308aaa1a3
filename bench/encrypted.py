"""The works over TLS: HTTP/2, HTTP/1.1, handshakes, large bodies, and connections that rest."""

from rig import idle_memory, per_gigabyte, per_request, run_h2load, run_handshakes, run_wrk

PROXIES = ("usher", "nginx", "haproxy", "h2o")
MEBIBYTE = 1024 * 1024


def names(bench):
    return [name for name in bench.names if name in PROXIES]


def small_h2(bench):
    seconds, rounds = (1, 3) if bench.quick else (3, 5)

    def measure(proxy):
        if not bench.quick:
            run_h2load(proxy, 16, 32, 1)
        before = proxy.cpu()
        return per_request(proxy, before, run_h2load(proxy, 16, 32, seconds))

    bench.interleaved("HTTP/2 over TLS, 1 KiB, 16 connections x 32 streams", rounds, names(bench), measure, tls=True)


def small_h1(bench):
    seconds, rounds = (1, 3) if bench.quick else (3, 5)

    def measure(proxy):
        if not bench.quick:
            run_wrk(proxy, 64, 1)
        before = proxy.cpu()
        return per_request(proxy, before, run_wrk(proxy, 64, seconds))

    bench.interleaved("HTTP/1.1 over TLS, 1 KiB, 64 connections", rounds, names(bench), measure, tls=True)


def handshakes(bench):
    count, rounds = (1500, 3) if bench.quick else (4000, 5)
    for kind in ("full", "resumed"):
        def measure(proxy, kind=kind):
            before = proxy.cpu()
            finished, took = run_handshakes(proxy, count, kind)
            user, system = (after - start for after, start in zip(proxy.cpu(), before))
            return {"cpu_us": (user + system) * 1e6 / finished, "user_us": user * 1e6 / finished,
                    "system_us": system * 1e6 / finished, "rate": finished / took}

        bench.interleaved(f"TLS 1.3 handshakes, {kind}", rounds, names(bench), measure, tls=True)


def large(bench):
    seconds, rounds = (1, 3) if bench.quick else (3, 5)

    def measure(proxy):
        run_wrk(proxy, 16, 1, path="/1m") if not bench.quick else None
        before = proxy.cpu()
        took = run_wrk(proxy, 16, seconds, path="/1m")
        return per_gigabyte(proxy, before, took["requests"] * MEBIBYTE, took["requests"] / took["rate"])

    bench.interleaved("1 MiB over TLS", rounds, names(bench), measure, tls=True)


def idle(bench):
    count = 2000 if bench.quick else 5000
    idle_memory(bench, "idle TLS connections", names(bench), count, True, "tls_load", lambda proxy: run_wrk(proxy, 16, 1))
