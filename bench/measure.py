"""Running programs and keeping what they cost, for all parts of the benchmark."""
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time


def measure(command):
    """Runs a command and says what it cost.

    `begun` and `ended` are of the monotonic clock, `seconds` lies between them; `cpu` is user and system time of the command
    and of its children, in seconds; `peak_mib` the largest resident set of any of them; `writes` its own write calls.
    """
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
    ended = time.monotonic()
    with open(f"/proc/{process.pid}/io", encoding="ascii") as file:
        calls = dict(line.split(": ") for line in file.read().splitlines())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    errors = process.stderr.read().decode(errors="replace")
    process.stderr.close()
    if process.returncode != 0:
        sys.exit(f"{shlex.join(command)[:300]}: exit status {process.returncode}\n{errors}")
    return {
        "begun": begun,
        "ended": ended,
        "seconds": ended - begun,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
        "writes": int(calls["syscw"]),
    }


class Bench:
    """Where programs and inputs are, a place for what they write, and all measurements."""

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
        """Measures a command under a name; parts of the benchmark may add to what is given back."""
        result = measure(command)
        self.results.setdefault(name, []).append(result)
        print(f"  {name}: {result['seconds']:.2f} s", file=sys.stderr, flush=True)
        return result

    def banger(self, name, source, *flags):
        """One build, whose result is removed again; the measurement, with the result's size in bytes."""
        image = self.at("banger.ext4")
        result = self.take(name, [self.program("banger"), "build", source, "-o", image, "--quiet", *flags])
        result["size"] = os.path.getsize(image)
        os.remove(image)
        return result

    def median(self, name, field="seconds"):
        return statistics.median(result[field] for result in self.results[name])

    def most(self, name, field):
        return max(result[field] for result in self.results[name])

    def ratio(self, name, other, field="seconds", digits=3):
        """Of the medians of two names."""
        return round(self.median(name, field) / self.median(other, field), digits)

    def remove(self, *names):
        for name in names:
            path = self.at(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.remove(path)
