"""One and the same hit from one thread and from two: what a second core brings.

Two cores have to carry the load as well, so hits per second of a clock show nothing. What counts is hits per second of CPU:

    cpu_scaling = 2 * CPU of a hit with one thread / CPU of a hit with two

All else is the same for both: on each core one wrk with half of the connections; and the threads of the proxy, one or two,
have a core each. share is what the less busy of the two did, of what the other one did: near 1, both were at work at once.
"""

import concurrent.futures
import os

from rig import BOTH_CORES, LOAD_CORE, PROXY_CORE, per_request, run_wrk

PROXIES = ("usher", "nginx", "haproxy", "varnish", "trafficserver", "sends")
CONNECTIONS = (64, 512)


def load(proxy, connections, seconds):
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        runs = [executor.submit(run_wrk, proxy, connections // 2, seconds, core=core) for core in (PROXY_CORE, LOAD_CORE)]
        both = [run.result() for run in runs]
    return {"requests": sum(each["requests"] for each in both), "rate": sum(each["rate"] for each in both),
            "errors": sum(each["errors"] for each in both)}


def busiest(before, after):
    """The threads, by what they did meanwhile: [(seconds, id)]."""
    return sorted(((seconds - before.get(thread, 0), thread) for thread, seconds in after.items()), reverse=True)


def give_cores(proxy):
    """A core for each of the two threads that take the load. Varnish has many, and no two of them."""
    before = proxy.thread_cpu()
    load(proxy, 64, 1)
    if proxy.name != "varnish":
        for core, (_, thread) in zip((PROXY_CORE, LOAD_CORE), busiest(before, proxy.thread_cpu())):
            os.sched_setaffinity(int(thread), {int(core)})


def measure(proxy, threads, connections, seconds):
    before, threads_before = proxy.cpu(), proxy.thread_cpu()
    took = per_request(proxy, before, load(proxy, connections, seconds))
    first, second = (did for did, _ in busiest(threads_before, {**proxy.thread_cpu(), "none": 0})[:2])
    return {**took, "share": second / first if threads == 2 else 1.0}


def threads(bench):
    seconds, rounds = (1, 3) if bench.quick else (3, 7)
    names = [name for name in bench.names if name in PROXIES]
    running = []
    for name in names:
        one = bench.start(name, cached=True, threads=1)
        two = bench.start(name, cached=True, threads=2, core=BOTH_CORES)
        load(one, 64, 1)  # what is asked for is stored then
        give_cores(two)
        running += [(f"{name} 1", (one, 1)), (f"{name} 2", (two, 2))]
    for connections in CONNECTIONS:
        work = f"one hit from threads, {connections} connections"
        bench.repeat(work, rounds, running, lambda each, connections=connections: measure(*each, connections, seconds))
        results = bench.results[work]
        for name in names:
            one, two = results[f"{name} 1"], results[f"{name} 2"]
            two["cpu_scaling"] = 2 * one["cpu_us"] / two["cpu_us"]
            print(f"{work:26} {name:10} scaling {two['cpu_scaling']:.3f}", flush=True)
    bench.stop([proxy for _, (proxy, _) in running])
