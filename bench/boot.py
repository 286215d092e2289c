"""From `banger run` to the agent's first answer, in the stages that the program itself tells of (`--timings`)."""
import json
import os
import shutil
import statistics
import sys

# The image that is a part of the program, and one with systemd; a command that ends at once, where the image has none.
IMAGES = {"demo": (["demo:"], []), "debian-boot": (["oci:{corpus}/debian-boot"], ["--", "true"])}
STAGES = {
    "build": "the image is built",
    "prepare": "the initial RAM disk is made, KVM is tried",
    "qemu": "QEMU starts, and its firmware loads the kernel",
    "kernel": "the kernel, until it starts the first program",
    "agent": "all programs, until the agent answers that it is ready",
    "total": "from `banger run` to that answer",
}


class Boot:
    def __init__(self, bench):
        self.bench = bench
        self.stages = {}  # image -> list of stages
        self.images = IMAGES
        kernel = bench.options.kernel
        self.kernel = ["--kernel", os.path.join(kernel, "vmlinuz"), "--modules", os.path.join(kernel, "modules")]
        if not shutil.which("qemu-system-x86_64"):
            print("there is no QEMU here: no machine is booted", file=sys.stderr)
            self.images = {}
        # Machines of the benchmark are nobody else's.
        os.environ["XDG_STATE_HOME"] = bench.at("state")

    def round(self, _number):
        bench, timings = self.bench, self.bench.at("timings.json")
        for name, (source, command) in self.images.items():
            source = [word.format(corpus=bench.options.corpus) for word in source]
            options = ["--rm", "--quiet", "--memory", "768M", "--timings", timings, *self.kernel]
            bench.take("run_" + name, [bench.program("banger"), "run", *options, *source, *command])
            with open(timings, encoding="utf-8") as file:
                self.stages.setdefault(name, []).append(json.load(file))

    def median(self, name, stage):
        """None where the kernel did not say when it was done."""
        found = [stages[stage] for stages in self.stages[name] if stages[stage] is not None]
        return round(statistics.median(found), 3) if found else None

    def summary(self):
        return {"boot": {name: {stage: self.median(name, stage) for stage in STAGES} for name in self.stages}}

    def peak_mib(self):
        """None: the largest process of these runs is QEMU."""

    def show(self, found):
        names = list(found["boot"])
        print(f"\n{'seconds until the agent answers':70}" + "".join(f"{name:>14}" for name in names))
        for stage, text in STAGES.items():
            values = [found["boot"][name][stage] for name in names]
            print(f"  {stage:10}{text:58}" + "".join(f"{'-' if value is None else f'{value:.2f}':>14}" for value in values))
