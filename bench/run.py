#!/usr/bin/env python3
"""Measures banger against the floor and against other tools, in one run.

usage: run.py --programs DIR --corpus DIR --kernel DIR [--only local|registry|boot] [--rounds N] [--slow-rounds N] [--no-history]

What is measured, and how, stands in bench/README.md. Prints tables and appends one line to bench/history.jsonl.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile

import boot
import local
import registry
from measure import Bench

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HISTORY = os.path.join(PROJECT, "bench", "history.jsonl")
os.environ["PATH"] += ":/usr/sbin:/sbin"

PARTS = {"local": local.Local, "registry": registry.Registry, "boot": boot.Boot}
# MiB; the other promises are those of the parts.
PEAK = {"peak_mib": 150}


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        names = [line.split(": ", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"cores": len(os.sched_getaffinity(0)), "cpu": names[0] if names else os.uname().machine}


def revision():
    git = lambda *command: subprocess.run(["git", "-C", PROJECT, *command], capture_output=True, text=True, check=True).stdout
    commit, date = git("log", "-1", "--format=%h %cI").split()
    # The history itself is no part of what is measured.
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/history.jsonl")
    return {"date": date, "commit": commit, "changed": bool(changed.strip())}


def run(options, scratch):
    """Everything that goes into the history."""
    bench = Bench(options, scratch)
    parts = [part(bench) for name, part in PARTS.items() if options.only in (None, name)]
    for number in range(options.rounds):
        print(f"round {number + 1}", file=sys.stderr)
        for part in parts:
            part.round(number)
    found = {"seconds": {name: round(bench.median(name), 3) for name in bench.results}}
    for part in parts:
        found |= part.summary()
    peaks = [peak for part in parts if (peak := part.peak_mib()) is not None]
    if peaks:
        found["peak_mib"] = round(max(peaks), 1)
    for part in parts:
        part.show(found)
    return found


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=3)
    parser.add_argument("--no-history", action="store_true")
    options = parser.parse_args()

    # So that a run that is stopped removes its outputs too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.corpus) as scratch:
        found = run(options, scratch)
    if "peak_mib" in found:
        print(f"\npeak memory: {found['peak_mib']:.0f} MiB")
    for name, most in (PEAK | local.PROMISES | registry.PROMISES).items():
        if found.get(name, 0) > most:
            print(f"MISSED: {name} is {found[name]}, promised is at most {most:.4g}")
    if not options.no_history:
        with open(HISTORY, "a", encoding="ascii") as file:
            file.write(json.dumps(revision() | machine() | {"rounds": options.rounds} | found) + "\n")
        print(f"appended to {os.path.relpath(HISTORY)}")


main()
