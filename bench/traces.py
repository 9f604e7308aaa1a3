"""Hit ratios on traces of real work, which is done while they are taken: nothing of them is kept.

    headers    the files that the compiler opens, in order, as usher's sources are compiled (cc -H)
    objects    what git looks up in a pack as it shows usher's history, and who wrote which line (GIT_TRACE_PACK_ACCESS)
    compiler   the blocks of 64 bytes of memory that a compiler touches, runs of one block as one (valgrind's lackey)
    python     the same of Python that reads and writes JSON

They are not those of visitors of sites, whose logs nobody may publish; what they have in common with them is that programs
made them, with what changes over time, loops and scans, and no formula. All objects count as of one size.

What sites are asked for follows Zipf's law, as a rule (Breslau, Cao, Fan, Phillips and Shenker, "Web Caching and Zipf-like
Distributions", INFOCOM 1999): of that there are traces by the formula, one of them with runs of what is asked for once.
"""

import array
import bisect
import itertools
import json
import os
import random
import shlex
import shutil
import subprocess
import sys

from rig import BUILD, ROOT

POLICIES = ("lru", "arc", "lirs", "tinylfu", "s3fifo")
BLOCK_BITS = 6  # of an address: 64 bytes


def headers(directory, most):
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    asked = 0
    for entry in entries:
        words = shlex.split(entry["command"])
        end = words.index("-MD") if "-MD" in words else words.index("-o")
        words = [word for word in words[:end] if not word.endswith("ccache") and not word.startswith("-flto")]
        done = subprocess.run([*words, "-w", "-fsyntax-only", "-H", entry["file"]], cwd=entry["directory"], capture_output=True,
                              text=True, check=False)
        yield entry["file"]
        for line in done.stderr.splitlines():
            if line.startswith("."):
                yield line.lstrip(".").strip()
                asked += 1
        if asked >= most:
            return


def objects(directory, most):
    clone, trace = directory / "trace.git", directory / "pack.trace"
    shutil.rmtree(clone, ignore_errors=True)
    trace.unlink(missing_ok=True)
    subprocess.run(["git", "clone", "-q", "--bare", "--no-local", ROOT, clone], check=True)
    environment = {**os.environ, "GIT_TRACE_PACK_ACCESS": str(trace)}

    def git(*words):
        return subprocess.run(["git", "-C", clone, *words], env=environment, capture_output=True, check=True).stdout

    git("log", "-p", "--no-renames", "-2000")
    for path in git("ls-tree", "-r", "--name-only", "HEAD", "src/net", "src/cache", "docs", "tests/blackbox").decode().split():
        git("blame", "-s", "HEAD", "--", path)
    git("log", "--stat", "--no-renames", "-2000")
    with open(trace, encoding="utf-8") as lines:
        for line in lines:
            yield line.rpartition(" ")[2]
    trace.unlink()
    shutil.rmtree(clone)


def memory(*command):
    def run(directory, most):
        process = subprocess.Popen(["valgrind", "--tool=lackey", "--trace-mem=yes", "--log-fd=1", *command], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
        last = None
        try:
            for line in process.stdout:
                if line[0] != " ":  # instructions, and what is not of the trace
                    continue
                block = int(line[3:line.find(",")], 16) >> BLOCK_BITS
                if block != last:
                    yield block
                last = block
        finally:
            process.kill()
            process.wait()
    return run


def compiler(directory, most):
    words = ["-quiet", "-O2", "-w", "-I", ROOT / "src", ROOT / "src/handlers/rate.c", "-o", os.devnull]
    cc1 = subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True, check=True).stdout.strip()
    return memory(cc1, *words)(directory, most)


ZIPF_NUMBER = 200000
SCAN_EVERY, SCAN_LENGTH = 100000, 30000


def zipf(exponent, scans=False):
    def run(directory, most):
        sums = list(itertools.accumulate((number + 1) ** -exponent for number in range(ZIPF_NUMBER)))
        chance = random.Random(1)  # the same in each run
        for at in range(most):
            if scans and at % SCAN_EVERY < SCAN_LENGTH:
                yield -at
            else:
                yield bisect.bisect_left(sums, chance.random() * sums[-1])
    return run


WRITES_JSON = "import json; a = [{'id': i, 'name': 'n%d' % (i * 7919 % 1000), 'of': [i % 7] * (i % 11)} for i in range(40000)]\n" \
              "for i in range(3): a = json.loads(json.dumps(a)); a.sort(key=lambda each: (each['name'], -each['id']))"

TRACES = {"Zipf 0.7": (zipf(0.7), "python3"), "Zipf 0.9": (zipf(0.9), "python3"), "Zipf 1.1": (zipf(1.1), "python3"),
          "Zipf 0.9 and scans": (zipf(0.9, scans=True), "python3"), "headers": (headers, "gcc"), "objects": (objects, "git"), "compiler": (compiler, "valgrind"),
          "python": (memory("/usr/bin/python3", "-c", WRITES_JSON), "valgrind")}


def take(name, directory, most):
    """Numbers in the place of what was asked for; None where the tool is not there."""
    source, tool = TRACES[name]
    if shutil.which(tool) is None:
        print(f"traces: {name} is left out: no {tool}", file=sys.stderr)
        return None
    numbers = {}
    trace = array.array("I", (numbers.setdefault(key, len(numbers)) for key in itertools.islice(source(directory, most), most)))
    path = directory / f"{name}.trace"
    path.write_bytes(trace.tobytes())
    return path, len(trace), len(numbers)


def traces(bench):
    most = 2000000 if bench.quick else 6000000
    check = subprocess.run([BUILD / "bench/bench_policies", "check"], capture_output=True, text=True, check=False)
    if check.returncode != 0:
        sys.exit(f"bench: the policies are wrong: {check.stdout}")
    for name in TRACES:
        taken = take(name, bench.directory, most)
        if not taken:
            continue
        path, requests, distinct = taken
        done = subprocess.run([BUILD / "bench/bench_policies", path], capture_output=True, text=True, check=True, timeout=600)
        path.unlink()
        for line in done.stdout.splitlines():
            percent, capacity, *pairs = line.split()
            work = f"hit ratio, {name}, {percent}% ({capacity} objects)"
            hits = {pairs[i]: {"hit_percent": float(pairs[i + 1])} for i in range(0, len(pairs), 2)}
            hits["usher"].update({"requests": requests, "distinct": distinct, "capacity": int(capacity)})
            bench.results[work] = hits
            bench.show(work)
