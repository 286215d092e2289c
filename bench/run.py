#!/usr/bin/env python3
"""Measures banger against the floor and against other tools, in one run.

usage: run.py --programs DIR --corpus DIR [--rounds N] [--slow-rounds N] [--no-history]

What is measured, and how, stands in bench/README.md. Prints a table and appends one line to bench/history.jsonl.
"""
import argparse
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HISTORY = os.path.join(PROJECT, "bench", "history.jsonl")
os.environ["PATH"] += ":/usr/sbin:/sbin"

# What the project promises, as (what, most).
PROMISES = {
    "no_sync_to_floor": 1.25,
    "sync_to_floor": 1.5,
    "banger_to_reference": 1 / 12,
    "peak_mib": 150,
}


def measure(command):
    """Runs a command: wall seconds, peak resident MiB of it or any of its children, its own write calls."""
    os.sync()  # what the last one left to be written must not slow this one
    begun = time.monotonic()
    with open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=nowhere, stderr=subprocess.PIPE)
    try:
        # Kept as a zombie until its counters have been read. What it complains of is little: a pipe holds it.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except BaseException:
        process.kill()
        process.wait()
        raise
    seconds = time.monotonic() - begun
    with open(f"/proc/{process.pid}/io", encoding="ascii") as file:
        calls = dict(line.split(": ") for line in file.read().splitlines())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    errors = process.stderr.read().decode(errors="replace")
    process.stderr.close()
    if process.returncode != 0:
        sys.exit(f"{shlex.join(command)[:300]}: exit status {process.returncode}\n{errors}")
    return {"seconds": seconds, "peak_mib": usage.ru_maxrss / 1024, "writes": int(calls["syscw"])}


class Bench:
    def __init__(self, options, scratch):
        self.options = options
        self.scratch = scratch
        self.results = {}  # name -> list of measurements

    def program(self, name):
        return os.path.join(self.options.programs, name)

    def layout(self, image):
        return os.path.join(self.options.corpus, image)

    def at(self, name):
        return os.path.join(self.scratch, name)

    def take(self, name, command):
        self.results.setdefault(name, []).append(measure(command))
        print(f"  {name}: {self.results[name][-1]['seconds']:.2f} s", file=sys.stderr, flush=True)

    def median(self, name, field="seconds"):
        return statistics.median(result[field] for result in self.results[name])

    def most(self, name, field):
        return max(result[field] for result in self.results[name])

    def banger(self, name, source, *flags):
        """One build, whose result is removed again; the result's size in bytes."""
        image = self.at("banger.ext4")
        self.take(name, [self.program("banger"), "build", source, "-o", image, "--quiet", *flags])
        size = os.path.getsize(image)
        os.remove(image)
        return size

    def reference(self, size):
        """What one would do with tools that exist; owners and modes are set once more, as without root."""
        script = self.at("owners.debugfs")
        if not os.path.exists(script):
            write_debugfs_script(os.path.join(self.options.corpus, "debian-dev.expected.jsonl"), script)
        self.take("reference", ["bash", "-euc", f"""
            skopeo copy -q oci:{shlex.quote(self.layout('debian-dev'))}:latest oci:{self.at('copy')}:latest
            umoci --log=error unpack --image {self.at('copy')}:latest {self.at('bundle')}
            mkfs.ext4 -q -F -b 4096 -d {self.at('bundle')}/rootfs {self.at('reference.ext4')} {size // 1024}k 2>&1
            debugfs -w -f {script} {self.at('reference.ext4')} >{self.at('debugfs.log')} 2>&1
        """])
        self.remove("copy", "bundle", "reference.ext4", "debugfs.log")

    def tar_and_mke2fs(self, size):
        """The quickest that a script can do: tar and mke2fs, digests not checked."""
        with open(os.path.join(self.layout("debian-dev"), "index.json"), encoding="ascii") as file:
            manifest = json.load(file)["manifests"][0]
        blob = lambda descriptor: os.path.join(self.layout("debian-dev"), "blobs", *descriptor["digest"].split(":"))
        with open(blob(manifest), encoding="ascii") as file:
            layers = [blob(layer) for layer in json.load(file)["layers"]]
        self.take("tar_mke2fs", ["bash", "-euc", f"""
            tree={self.at('tree')} layer={self.at('layer.tar')}
            mkdir $tree
            for blob; do
                gzip -dc "$blob" >$layer
                tar -tf $layer | {{ grep -E '(^|/)[.]wh[.]' || true; }} | while read -r marker; do
                    case $marker in
                        *.wh..wh..opq) find "$tree/${{marker%.wh..wh..opq}}" -mindepth 1 -delete 2>/dev/null || true ;;
                        *) rm -rf "$tree/${{marker/.wh./}}" ;;
                    esac
                done
                tar --xattrs --xattrs-include='*' --numeric-owner --exclude='.wh.*' -xpf $layer -C $tree
            done
            mke2fs -q -F -t ext4 -b 4096 -d $tree {self.at('tar.ext4')} {size // 1024}k 2>&1
        """, "bash", *layers])
        self.remove("tree", "layer.tar", "tar.ext4")

    def remove(self, *names):
        for name in names:
            path = self.at(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.remove(path)


def write_debugfs_script(listing, out):
    kinds = {"directory": 0o040000, "file": 0o100000, "symlink": 0o120000, "char": 0o020000, "block": 0o060000, "fifo": 0o010000}
    with open(listing, encoding="ascii") as lines, open(out, "w", encoding="ascii") as script:
        for record in map(json.loads, lines):
            path = record["path"]
            if "%" in path or '"' in path:
                continue  # debugfs cannot be told such names
            mode = kinds[record["type"]] | int(record["mode"], 8)
            script.write(f'sif "{path}" uid {record["uid"]}\nsif "{path}" gid {record["gid"]}\nsif "{path}" mode 0{mode:o}\n')


def write_wide(path, count, kind):
    """An archive with `count` entries in one directory."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number in range(count):
            header = tarfile.TarInfo(f"wide/entry-{number:06d}")
            header.type = kind
            archive.addfile(header)
            archive.members = []


def wide_cases():
    """(name, entries, type): a directory at a size where quadratic work shows, and at half of it."""
    for name, count, kind in (("files", 70_000, tarfile.REGTYPE), ("directories", 65_100, tarfile.DIRTYPE)):
        yield f"{count}_{name}", count, kind
        yield f"{count // 2}_{name}", count // 2, kind


def run(options, scratch):
    bench = Bench(options, scratch)
    for name, count, kind in wide_cases():
        write_wide(bench.at(name + ".tar"), count, kind)
    small = newest(os.path.join(options.corpus, "layers"), "small-")

    floor = [bench.program("floor")]
    dev, zstd = bench.layout("debian-dev"), bench.layout("debian-dev-zstd")
    for layout in (dev, zstd):
        measure(floor + [layout])  # fills the page cache
    for number in range(options.rounds):
        print(f"round {number + 1}", file=sys.stderr)
        bench.take("floor", floor + [dev])
        size = bench.banger("no_sync", f"oci:{dev}", "--no-sync")
        bench.banger("sync", f"oci:{dev}")
        bench.take("zstd_floor", floor + [zstd])
        bench.banger("zstd_no_sync", f"oci:{zstd}", "--no-sync")
        bench.banger("small", f"tar:{small}", "--no-sync")
        for name, _, _ in wide_cases():
            bench.banger(name, f"tar:{bench.at(name + '.tar')}", "--no-sync")
        if number < options.slow_rounds:
            bench.reference(size)
            bench.tar_and_mke2fs(size)
    return bench


def newest(directory, prefix):
    paths = [entry.path for entry in os.scandir(directory) if entry.name.startswith(prefix) and entry.name.endswith(".tar")]
    return max(paths, key=os.path.getmtime)


def summary(bench):
    """Everything that goes into the history."""
    seconds = {name: round(bench.median(name), 3) for name in bench.results}
    of_floor = lambda name: round(bench.median(name) / bench.median("floor"), 3)
    found = {
        "seconds": seconds,
        "no_sync_to_floor": of_floor("no_sync"),
        "sync_to_floor": of_floor("sync"),
        "zstd_no_sync_to_floor": round(bench.median("zstd_no_sync") / bench.median("zstd_floor"), 3),
        "peak_mib": round(max(bench.most(name, "peak_mib") for name in ("no_sync", "sync", "zstd_no_sync")), 1),
        "small_files_writes": int(bench.median("small", "writes")),
        "files_70000_to_35000": round(bench.median("70000_files") / bench.median("35000_files"), 2),
        "directories_65100_to_32550": round(bench.median("65100_directories") / bench.median("32550_directories"), 2),
    }
    if "reference" in bench.results:
        found["banger_to_reference"] = round(bench.median("sync") / bench.median("reference"), 4)
        found["banger_to_tar_mke2fs"] = round(bench.median("sync") / bench.median("tar_mke2fs"), 4)
    return found


def show(found):
    seconds = found["seconds"]
    floor = seconds["floor"]
    rows = [
        ("floor", "inflate and check both digests of every layer, write nothing"),
        ("no_sync", "banger build --no-sync"),
        ("sync", "banger build"),
        ("tar_mke2fs", "gzip, tar, mke2fs -d (no digest checked)"),
        ("reference", "skopeo, umoci, mkfs.ext4 -d, debugfs for owners and modes"),
    ]
    print("\ndebian-dev, gzip                                                     seconds   of the floor")
    for name, text in rows:
        if name in seconds:
            print(f"  {text:64}{seconds[name]:10.2f}{seconds[name] / floor:12.2f}")
    print(f"debian-dev, zstd: floor {seconds['zstd_floor']:.2f} s, banger build --no-sync {seconds['zstd_no_sync']:.2f} s, ", end="")
    print(f"{found['zstd_no_sync_to_floor']:.2f} of the floor")
    print(f"60,000 small files: {seconds['small']:.2f} s, {found['small_files_writes']} write calls")
    print(f"70,000 files in one directory: {seconds['70000_files']:.2f} s, ", end="")
    print(f"{found['files_70000_to_35000']:.2f} times as long as half of them")
    print(f"65,100 directories in one directory: {seconds['65100_directories']:.2f} s, ", end="")
    print(f"{found['directories_65100_to_32550']:.2f} times as long as half of them")
    print(f"peak memory: {found['peak_mib']:.0f} MiB")
    if "reference" in seconds:
        print(f"times faster: {1 / found['banger_to_reference']:.1f} than skopeo, umoci, mkfs.ext4 and debugfs, ", end="")
        print(f"{1 / found['banger_to_tar_mke2fs']:.1f} than tar and mke2fs")
    for name, most in PROMISES.items():
        if found.get(name, 0) > most:
            print(f"MISSED: {name} is {found[name]}, promised is at most {most:.4g}")


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


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=3)
    parser.add_argument("--no-history", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0 and options.slow_rounds:
        print("not root: the other tools would lose owners, they are left out", file=sys.stderr)
        options.slow_rounds = 0

    # So that a run that is stopped removes its outputs too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.corpus) as scratch:
        found = summary(run(options, scratch))
    show(found)
    if not options.no_history:
        with open(HISTORY, "a", encoding="ascii") as file:
            file.write(json.dumps(revision() | machine() | {"rounds": options.rounds} | found) + "\n")
        print(f"appended to {os.path.relpath(HISTORY)}")


main()
