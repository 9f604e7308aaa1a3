"""The works over plain connections."""

import concurrent.futures
import signal
import subprocess
import sys
import time

from rig import BUILD, idle_memory, per_gigabyte, per_request, run_load, run_wrk

PROXIES = ("floor", "usher", "nginx", "haproxy")


def names(bench):
    return [name for name in bench.names if name in PROXIES]


def small(bench):
    seconds, rounds = (1, 2) if bench.quick else (3, 5)
    for connections in (64, 512):
        def measure(proxy, connections=connections):
            if not bench.quick:
                run_wrk(proxy, connections, 1)
            before = proxy.cpu()
            return per_request(proxy, before, run_wrk(proxy, connections, seconds))

        bench.interleaved(f"1 KiB, {connections} connections", rounds, names(bench), measure)


def large(bench):
    seconds, rounds = (1, 1) if bench.quick else (3, 3)
    for work, path, connections in (("1 MiB", "/1m", 16), ("100 MiB", "/100m", 4)):
        def measure(proxy, path=path, connections=connections):
            run_load(proxy.port, path, connections, 0.3)
            before = proxy.cpu()
            _, moved, took = run_load(proxy.port, path, connections, seconds)
            return per_gigabyte(proxy, before, moved, took)

        bench.interleaved(work, rounds, names(bench), measure)


def idle(bench):
    idle_memory(bench, "idle connections", names(bench), 2000 if bench.quick else 10000, False, "load",
                lambda proxy: run_wrk(proxy, 16, 1))


def sites(bench):
    seconds, rounds = (1, 2) if bench.quick else (3, 5)
    script = bench.directory / "hosts.lua"
    counts = (1, 1000, 10000)
    proxies = [(f"usher {count}", bench.start("usher", sites=count), count) for count in counts]
    by_proxy = {proxy: count for _, proxy, count in proxies}

    def measure(proxy):
        # Always 500 different requests, so that only the number of sites differs.
        count = by_proxy[proxy]
        script.write_text("local all = {}\nlocal next_one = 0\ninit = function()\n for i = 0, 499 do\n"
                          f"  all[i] = wrk.format('GET', '/1k', {{Host = 'site' .. (i * 7919 % {count}) .. '.example'}})\n"
                          " end\nend\nrequest = function()\n next_one = (next_one + 1) % 500\n return all[next_one]\nend\n")
        before = proxy.cpu()
        return per_request(proxy, before, run_wrk(proxy, 64, seconds, script))

    bench.repeat("sites", rounds, [(name, proxy) for name, proxy, _ in proxies], measure)
    bench.stop([proxy for _, proxy, _ in proxies])


def allocations(bench):
    results = bench.results.setdefault("allocations per request", {})
    for name in names(bench):
        counter = bench.directory / f"malloc-{name}"
        proxy = bench.start(name, environment={"LD_PRELOAD": str(BUILD / "bench/libcount_malloc.so"),
                                              "COUNT_MALLOC": str(counter)})
        run_wrk(proxy, 64, 1)  # until everything that is kept has been taken
        # Counted in the midst of a run: its connections are there, and none ends.
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            run = executor.submit(run_wrk, proxy, 64, 3)
            time.sleep(1)
            before = int.from_bytes(counter.read_bytes()[:8], sys.byteorder)
            time.sleep(1)
            made = int.from_bytes(counter.read_bytes()[:8], sys.byteorder) - before
            rate = run.result()["rate"]
        results[name] = {"allocations": made / rate, "in_all": made, "requests": rate}
        bench.stop([proxy])
    bench.show("allocations per request")


def picks(bench):
    """What choosing a server costs: a program of its own, without a proxy."""
    done = subprocess.run([BUILD / "bench/bench_pools"], capture_output=True, text=True, check=True, timeout=300)
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) == 13 and words[1] in ("3", "100", "1000"):
            results = bench.results.setdefault(f"picks of a server, of {words[1]}", {})
            results[words[0]] = {"one_thread_ns": max(float(words[4]), float(words[7])), "two_threads_ns": float(words[11])}
    for servers in (3, 100, 1000):
        bench.show(f"picks of a server, of {servers}")


def system_calls(bench):
    results = bench.results.setdefault("system calls per request", {})
    for name in names(bench):
        proxy = bench.start(name)
        summary = bench.directory / f"strace-{name}"
        run_wrk(proxy, 64, 1)
        pids = [word for pid in proxy.pids() for word in ("-p", str(pid))]
        tracer = subprocess.Popen(["strace", "-f", "-c", "-o", str(summary), *pids], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        took = run_wrk(proxy, 64, 1)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
        calls = {}
        for line in summary.read_text().splitlines():
            fields = line.split()
            if len(fields) >= 5 and fields[0][0].isdigit() and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3]) / took["requests"]
        results[name] = {"calls": sum(calls.values())}
        results[name].update({call: each for call, each in calls.items() if each >= 0.005})
        bench.stop([proxy])
    bench.show("system calls per request")
