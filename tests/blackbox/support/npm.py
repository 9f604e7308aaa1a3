"""Packages of npm that tests need: installed once for each folder of tests that has a package-lock.json."""

import fcntl
import hashlib
import os
import shutil
import subprocess

from support.usher import ROOT


def environment(name):
    """Installs what package-lock.json of tests/blackbox/NAME names, once, and returns the environment in which scripts find it."""
    scripts, installed = ROOT / "tests/blackbox" / name, ROOT / f"build-{name}"
    installed.mkdir(exist_ok=True)
    with open(installed / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256((scripts / "package-lock.json").read_bytes()).hexdigest()
        stamp = installed / "installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            for file in ("package.json", "package-lock.json"):
                shutil.copy(scripts / file, installed)
            done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=installed, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=170, check=False)
            assert done.returncode == 0, f"npm ci failed:\n{done.stdout}"
            stamp.write_text(wanted)
    return {**os.environ, "NODE_PATH": str(installed / "node_modules")}
