#!/usr/bin/env python3
"""Starts machines again and again while the host is busy, and counts those that lose a command's output or status.

    tests/boot/stress.py [OPTION...] N

N is the number of starts. They take turns with three commands: one that ends at once, one that prints 10 MiB, one that fails.
Each line of standard output is a conversation or a start that went wrong; the last two lines have the counts. Exit status 1
where anything was lost.

    --banger FILE      the program (target/release/banger, else target/debug/banger)
    --kernel DIR       a directory from fetch-kernel.sh (target/kernel)
    --channel NAME     how the agent is reached (serial)
    --exec             the command is run by the agent of a machine that holds its own (`banger run IMAGE -- CMD`)
    --jobs J           machines at the same time (2)
    --load L           processes that do nothing but keep the CPUs busy (2)
    --conversations C  before the starts, without load, one machine of two processors is asked so often how it is, over one serial
                       port and each time at once after the last answer (0)
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Long enough for any start on a busy host: what takes longer hangs.
LIMIT = 600
# Seconds until an answer is lost.
SILENCE = 10
# Every piece of it differs from the others, so that what is missing or comes twice shows.
MUCH = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(10 * (1 << 20) // 32))
COMMANDS = {
    "instant": (["/bin/busybox", "echo", "up"], b"up\n", b"", 0),
    "much": (["/bin/busybox", "cat", "/much"], MUCH, b"", 0),
    "failing": (["/bin/busybox", "sh", "-c", "echo out; echo err >&2; exit 7"], b"out\n", b"err\n", 7),
}
# What a machine runs that is asked how it is.
SLEEP = "/bin/busybox sleep 3600"


def image(top, command):
    """An OCI layout whose command is `command`."""
    os.makedirs(f"{top}/blobs/sha256")

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{top}/blobs/sha256/{digest}", "wb") as file:
            file.write(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        with open("/bin/busybox", "rb") as file:
            content = file.read()
        for name, data, mode in [("bin/busybox", content, 0o755), ("much", MUCH, 0o644)]:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    layer = archive.getvalue()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": command},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    manifest = {
        "schemaVersion": 2,
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [blob(gzip.compress(layer, 1, mtime=0), "layer.v1.tar+gzip")],
    }
    index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), "manifest.v1+json")]}
    with open(f"{top}/index.json", "w") as file:
        json.dump(index, file)
    with open(f"{top}/oci-layout", "w") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)


def ask(port, name):
    """Has a conversation over a port: whether the agent has answered."""
    number = hashlib.sha256(name.encode()).hexdigest()[:16]
    with socket.socket(socket.AF_UNIX) as host:
        host.settimeout(SILENCE)
        try:
            host.connect(str(port))
            for request, end in [(f"sync/{number}", f"Sync: {number}\r\n\r\n".encode()), ("healthz", b"}")]:
                host.sendall(f"GET /{request} HTTP/1.1\r\nHost: guest\r\n\r\n".encode())
                answer = b""
                while not answer.endswith(end):
                    piece = host.recv(4096)
                    if not piece:
                        return False
                    answer += piece
        except (TimeoutError, ConnectionError, FileNotFoundError):
            return False
        return True


class Stress:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.lock = threading.Lock()
        self.started = self.lost = 0
        self.environment = {"PATH": os.environ["PATH"], "HOME": directory, "BANGER_NO_DAEMON": "1"}
        for name in ["BANGER_VHOST_DEVICE_VSOCK"]:
            if name in os.environ:
                self.environment[name] = os.environ[name]
        # Sockets must have short paths.
        self.environment["XDG_RUNTIME_DIR"] = directory

    def build(self):
        for name, (command, *_) in COMMANDS.items():
            image(f"{self.directory}/{name}", command)
            build = [self.options.banger, "build", f"oci:{self.directory}/{name}", "-o", f"{self.directory}/{name}.ext4"]
            subprocess.run(build, env=self.environment, check=True, stderr=subprocess.DEVNULL)

    def work(self):
        while True:
            with self.lock:
                if self.started >= self.options.starts:
                    return
                number = self.started
                self.started += 1
            name = list(COMMANDS)[number % len(COMMANDS)]
            wrong = self.start(name)
            with self.lock:
                self.lost += bool(wrong)
                if wrong:
                    print(f"start {number} ({name}): {wrong}", flush=True)

    def run(self, image, channel, cpus):
        kernel = self.options.kernel
        run = [self.options.banger, "run", "--quiet", "--rm", "--accel", "tcg", "--channel", channel]
        run += ["--kernel", f"{kernel}/vmlinuz", "--modules", f"{kernel}/modules", "--cpus", cpus, "--memory", "256M"]
        return [*run, "--boot-timeout", str(LIMIT), f"{self.directory}/{image}.ext4"]

    def converse(self):
        """Asks one machine again and again how it is: how many answers were lost."""
        run = [*self.run("instant", "serial", "2"), "--entrypoint", SLEEP]
        machine = subprocess.Popen(run, env=self.environment, stdin=subprocess.DEVNULL)
        try:
            port = None
            deadline = time.monotonic() + LIMIT
            while not (port and ask(port, "first")):
                if machine.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the machine does not answer")
                time.sleep(0.2)
                # The last one: the first is in use while the machine starts.
                port = next(pathlib.Path(self.directory).glob(".local/state/banger/machines/*/sockets/s3"), None)
            lost = [number for number in range(self.options.conversations) if not ask(port, f"{number:x}")]
            for number in lost:
                print(f"conversation {number}: no answer in {SILENCE} s", flush=True)
            return len(lost)
        finally:
            machine.terminate()
            machine.wait()

    def start(self, name):
        """Starts one machine: what is wrong with what came of it."""
        command, stdout, stderr, status = COMMANDS[name]
        run = self.run(name, self.options.channel, "1")
        if self.options.exec:
            run += ["--", *command]
        try:
            got = subprocess.run(run, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return f"it hangs: nothing in {LIMIT} s"
        found = (got.returncode, got.stdout, got.stderr)
        if found == (status, stdout, stderr):
            return None
        return f"status {got.returncode}, {len(got.stdout)} bytes of output, {got.stderr[-2000:].decode(errors='replace')!r}"


def main():
    parser = argparse.ArgumentParser(usage="tests/boot/stress.py [OPTION...] N")
    built = [f"{REPOSITORY}/target/{profile}/banger" for profile in ["release", "debug"]]
    parser.add_argument("--banger", default=next(filter(os.path.exists, built), built[0]))
    parser.add_argument("--kernel", default=f"{REPOSITORY}/target/kernel")
    parser.add_argument("--channel", default="serial")
    parser.add_argument("--exec", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--load", type=int, default=2)
    parser.add_argument("--conversations", type=int, default=0)
    parser.add_argument("starts", type=int)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stress.") as directory:
        stress = Stress(options, directory)
        stress.build()
        lost = stress.converse() if options.conversations else 0
        load = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(options.load)]
        try:
            threads = [threading.Thread(target=stress.work) for _ in range(options.jobs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for process in load:
                process.kill()
                process.wait()
    seconds = round(time.monotonic() - begun)
    print(f"{options.conversations} conversations, {lost} lost an answer", flush=True)
    print(f"{stress.started} starts in {seconds} s, {stress.lost} lost something", flush=True)
    sys.exit(1 if lost or stress.lost else 0)


main()
