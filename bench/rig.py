"""What the works of the bench stand on: proxies as processes, loads, and what they cost."""

import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
BUILD = pathlib.Path(os.environ.get("USHER_BUILD", ROOT / "build"))
TICKS = os.sysconf("SC_CLK_TCK")
PROXY_CORE, LOAD_CORE = "0", "1"
BOTH_CORES = f"{PROXY_CORE},{LOAD_CORE}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port, tls):
    """Whether a proxy on that port answers a request."""
    request = b"GET /1k HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 1) as probe:
        probe.settimeout(5)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            probe = context.wrap_socket(probe, server_hostname="bench.example")
        with probe:
            probe.sendall(request)
            return probe.recv(9).startswith(b"HTTP/1.1")


def wait_for_port(name, port, process, log=None, tls=False, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            said = log.read_text(errors="replace") if log else ""
            sys.exit(f"bench: {name} ended with {process.returncode} before it answered\n{said}")
        try:
            if answers(port, tls):
                return
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit(f"bench: {name} does not answer on port {port}")


def on_core(core, *command):
    return ["taskset", "-c", core, *map(str, command)]


class Proxy:
    """One proxy under test, running on its core."""

    def __init__(self, name, directory, origin_port, certificate=None, sites=0, environment=None, connections=12000,
                 cached=False, guarded=None, threads=1, core=PROXY_CORE,
                 cache_mib=256):
        self.name = name
        self.port = free_port()
        self.tls = certificate is not None
        values = {"PORT": str(self.port), "ORIGIN": str(origin_port), "DIR": str(directory),
                  "CONNECTIONS": str(connections), "CERTIFICATE": str(certificate), "USERS": str(guarded), "THREADS": str(threads),
                  "CACHE_MIB": str(cache_mib)}

        def filled(template):
            lines = {"TLS" if self.tls else "PLAIN"} | ({"CACHED"} if cached else set()) | ({"GUARDED"} if guarded else set())
            return self.fill(template, directory, values, lines, sites)

        command = {
            "floor": lambda: [BUILD / "bench/floor", self.port, origin_port],
            "sends": lambda: [BUILD / "bench/origin", self.port, threads],
            "usher": lambda: [BUILD / "usher", "run", "-c", filled("usher.yaml")],
            "nginx": lambda: [shutil.which("nginx") or "/usr/sbin/nginx", "-p", directory, "-c", filled("nginx.conf")],
            "haproxy": lambda: [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", filled("haproxy.cfg")],
            "varnish": lambda: [shutil.which("varnishd") or "/usr/sbin/varnishd", "-F", "-a", f"127.0.0.1:{self.port}",
                                "-b", f"127.0.0.1:{origin_port}", "-n", directory / "varnish", "-s", f"malloc,{cache_mib}m", "-t", "3600",
                                "-T", "none", "-p", f"thread_pools={threads}"],
            "h2o": lambda: ["h2o", "-m", "worker", "-c", filled("h2o.conf")],
            "trafficserver": lambda: ["traffic_server", f"--run-root={self.traffic_server(filled, directory)}"],
        }[name]()
        output = directory / f"{name}.out"
        self.log = open(output, "wb")
        self.process = subprocess.Popen(on_core(core, *command), stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})},
                                        start_new_session=True)
        self.output = output

    def wait(self):
        wait_for_port(self.name, self.port, self.process, self.output, self.tls)

    @staticmethod
    def traffic_server(filled, directory):
        """It takes its many files from one folder, and gives up root's rights there."""
        for template in sorted((BENCH / "trafficserver").iterdir()):
            filled(f"trafficserver/{template.name}")
        for each in (directory, directory.parent):
            each.chmod(0o777)
        return directory / "runroot.yaml"

    @staticmethod
    def fill(name, directory, values, kept, sites=0):
        """A template's values, and those of its lines that are for what is kept: PLAIN, TLS, CACHED, GUARDED."""
        text = (BENCH / name).read_text()
        for lines in {"PLAIN", "TLS", "CACHED", "GUARDED"} - kept:
            text = re.sub(rf"(?m)^@{lines}@.*\n", "", text)
        text = re.sub(r"(?m)^@(PLAIN|TLS|CACHED|GUARDED)@ ?", "", text)
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        if sites:
            lines = text.splitlines()
            proxy = next(line for line in lines if line.startswith("proxy:"))
            lines.remove(proxy)
            lines.append("sites:")
            for number in range(sites):
                lines += [f"  - host: site{number}.example", f"    {proxy}"]
            lines += ["  - host: bench.example", f"    {proxy}"]
            text = "\n".join(lines) + "\n"
        path = directory / pathlib.PurePath(name).name
        path.write_text(text)
        return path

    def pids(self):
        """The process and all that came of it."""
        children = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
        found, next_ones = [], [self.process.pid]
        while next_ones:
            pid = next_ones.pop()
            found.append(pid)
            next_ones += children.get(pid, [])
        return found

    def thread_cpu(self):
        """Seconds so far of each thread, by its id."""
        seconds = {}
        for pid in self.pids():
            for entry in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
                try:
                    fields = entry.read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                seconds[entry.parent.name] = (int(fields[11]) + int(fields[12])) / TICKS
        return seconds

    def cpu(self):
        """(user, system) seconds so far."""
        user = system = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            user += int(fields[11])
            system += int(fields[12])
        return user / TICKS, system / TICKS

    def resident_bytes(self):
        total = 0
        for pid in self.pids():
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            match = re.search(r"VmRSS:\s*(\d+) kB", status)
            total += int(match.group(1)) * 1024 if match else 0
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def run_wrk(proxy, connections, seconds, script=None, path="/1k", threads=1, core=LOAD_CORE):
    command = on_core(core, "wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", "Host: bench.example")
    if script:
        command += ["-s", str(script)]
    done = subprocess.run(command + [f"{'https' if proxy.tls else 'http'}://127.0.0.1:{proxy.port}{path}"], capture_output=True, text=True, check=True)
    text = done.stdout
    if "Non-2xx" in text or "Socket errors" in text:
        print(f"bench: wrk saw errors:\n{text}", file=sys.stderr)
    return {
        "requests": int(re.search(r"(\d+) requests in", text).group(1)),
        "rate": float(re.search(r"Requests/sec:\s*([\d.]+)", text).group(1)),
        "p50_ms": milliseconds(re.search(r"50%\s+(\S+)", text).group(1)),
        "p99_ms": milliseconds(re.search(r"99%\s+(\S+)", text).group(1)),
        "errors": 1 if "Non-2xx" in text or "Socket errors" in text else 0,
    }


def milliseconds(text):
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if not match:  # wrk says "-nan" where it has too few samples
        return float("nan")
    value, unit = match.groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


def run_load(port, path, connections, seconds):
    command = on_core(LOAD_CORE, BUILD / "bench/load", "get", port, path, connections, seconds)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: load failed: {done.stderr}")
    requests, moved, took, _ = done.stdout.split()
    return int(requests), int(moved), float(took)


def run_many(proxy, path, connections, seconds, count):
    """Asks for one of so many, over and over; for 0 seconds: for each once."""
    command = on_core(LOAD_CORE, BUILD / "bench/load", "many", proxy.port, path, connections, seconds, count)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: load with {proxy.name} failed: {done.stderr}")
    requests, _, took, stored = done.stdout.split()
    return {"requests": int(requests), "rate": int(requests) / float(took), "hits": int(stored) / int(requests)}


def run_h2load(proxy, connections, streams, seconds):
    command = on_core(LOAD_CORE, "h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}",
                      "--header=:authority: bench.example", f"https://127.0.0.1:{proxy.port}/1k")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    match = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
    if not match or "Application protocol: h2" not in done.stdout or int(match.group(2)) == 0:
        sys.exit(f"bench: h2load failed with {proxy.name}:\n{done.stdout}{done.stderr}")
    finished, succeeded, *_ = map(int, match.groups())
    times = re.search(r"time for request: +\S+ +(\S+) +(\S+)", done.stdout)
    return {"requests": finished, "rate": finished / seconds, "max_ms": milliseconds(times.group(1)),
            "mean_ms": milliseconds(times.group(2)), "errors": finished - succeeded}


def run_handshakes(proxy, count, kind):
    command = on_core(LOAD_CORE, BUILD / "bench/tls_load", "handshakes", proxy.port, count, kind)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: handshakes with {proxy.name} failed: {done.stderr}")
    finished, resumed, took = done.stdout.split()
    if int(resumed) != (int(finished) if kind == "resumed" else 0):
        sys.exit(f"bench: {resumed} of {finished} handshakes with {proxy.name} were resumed, in a run of {kind} ones")
    return int(finished), float(took)


def make_certificate(directory):
    """A P-256 certificate with its key behind it, in one file."""
    path = directory / "bench.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90",
               "-subj", "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example,IP:127.0.0.1", "-keyout", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    path.write_text(done.stdout + path.read_text())
    return path


class Bench:
    """One run: the origin, the proxies that are running, and what was measured."""

    def __init__(self, proxies, quick):
        self.quick = quick
        self.names = proxies
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="usher-bench-"))
        self.certificate = make_certificate(self.directory)
        self.origin_port = free_port()
        self.origin = subprocess.Popen(on_core(LOAD_CORE, BUILD / "bench/origin", self.origin_port))
        self.running = []
        self.results = {}
        wait_for_port("origin", self.origin_port, self.origin)

    def close(self):
        self.stop(list(self.running))
        self.origin.kill()
        self.origin.wait()
        shutil.rmtree(self.directory)

    def start(self, name, tls=False, origin_port=None, **more):
        directory = self.directory / f"{name}{len(list(self.directory.iterdir()))}"
        directory.mkdir()
        proxy = Proxy(name, directory, origin_port or self.origin_port, self.certificate if tls else None, **more)
        self.running.append(proxy)
        proxy.wait()
        return proxy

    def stop(self, proxies):
        for proxy in proxies:
            self.running.remove(proxy)
            proxy.stop()

    def interleaved(self, work, rounds, names, measure, tls=False, **more):
        """Runs measure(proxy) for all proxies in turn, and keeps the medians of its numbers."""
        proxies = [self.start(name, tls, **more) for name in names]
        self.repeat(work, rounds, [(proxy.name, proxy) for proxy in proxies], measure)
        self.stop(proxies)

    def repeat(self, work, rounds, named, measure):
        samples = {name: [] for name, _ in named}
        for _ in range(rounds):
            for name, proxy in named:
                samples[name].append(measure(proxy))
        self.results[work] = {
            name: {key: statistics.median(sample[key] for sample in taken) for key in taken[0]}
            for name, taken in samples.items()}
        for name, values in self.results[work].items():
            values["samples"] = samples[name]
        self.show(work)

    def show(self, work):
        for name, values in self.results[work].items():
            numbers = "  ".join(f"{key} {value:.4g}" for key, value in values.items() if key != "samples")
            print(f"{work:26} {name:10} {numbers}", flush=True)


def per_request(proxy, before, took):
    """What run_wrk or run_h2load took, and the CPU of the proxy for each request."""
    user, system = (after - start for after, start in zip(proxy.cpu(), before))
    requests = took.pop("requests")
    return {"cpu_us": (user + system) * 1e6 / requests, "user_us": user * 1e6 / requests,
            "system_us": system * 1e6 / requests, **took}


def per_gigabyte(proxy, before, moved, took):
    user, system = (after - start for after, start in zip(proxy.cpu(), before))
    return {"cpu_s_per_gb": (user + system) * 1e9 / moved, "user_s_per_gb": user * 1e9 / moved,
            "system_s_per_gb": system * 1e9 / moved, "gb_per_s": moved / took / 1e9}


def idle_memory(bench, work, names, count, tls, load, warm):
    """Memory of idle keep-alive connections, told in three ways.

    growth_bytes sees only what is taken when they come, and not what a proxy took at its
    start for connections to come (nginx: worker_connections); bytes counts from the same
    proxy set up for 64 connections, and so sees both; whole_bytes is all that is resident.
    """
    measured = bench.results[work] = {}
    for name in names:
        small = bench.start(name, tls, connections=64)
        warm(small)
        base = small.resident_bytes()
        bench.stop([small])
        proxy = bench.start(name, tls)
        warm(proxy)
        before = proxy.resident_bytes()
        process = subprocess.Popen(on_core(LOAD_CORE, BUILD / "bench" / load, "idle", proxy.port, "/1k", count),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if process.stdout.readline().strip() != "ready":
            sys.exit(f"bench: {name} did not hold {count} idle connections")
        time.sleep(0.5)
        resident = proxy.resident_bytes()
        process.communicate()
        bench.stop([proxy])
        measured[name] = {"bytes": (resident - base) / count, "growth_bytes": (resident - before) / count,
                          "whole_bytes": resident / count, "connections": count, "resident_mb": resident / 1e6}
    bench.show(work)
