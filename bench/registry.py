"""Pulls from a registry on this machine: against builds from the local layout and against skopeo."""
import os
import sys

from server import Rate, Server

# Bytes a second of the slow network.
RATE = 20_000_000

# What the project promises: what, and how much at most.
PROMISES = {
    "cold_to_local": 1.15,
    "tail_share": 0.05,
    "fetch_to_skopeo": 1.0,
    "fetch_cpu_to_skopeo": 1.0,
    "limited_to_transfer": 1.05,
}


class Registry:
    def __init__(self, bench):
        self.bench = bench
        self.layout = bench.layout("debian-dev")
        # Settings, credentials and proxies of whoever runs this have no part in it.
        os.environ["XDG_CONFIG_HOME"] = bench.at("no-settings")
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
        self.server = Server(self.layout, "debian-dev")
        self.server.start()
        for path in self.server.blobs.values():
            with open(path, "rb") as file:  # fills the page cache
                while file.read(1 << 20):
                    pass

    def round(self, number):
        bench = self.bench
        bench.banger("local", f"oci:{self.layout}")
        self.build("cold")
        self.pull("fetch", lambda: bench.take("fetch", [
            bench.program("banger"), "fetch", self.server.reference, "--cache", bench.at("cache"), "--quiet"]), "cache")
        self.pull("skopeo", lambda: bench.take("skopeo", [
            "skopeo", "copy", "-q", "--src-tls-verify=false",
            f"docker://{self.server.reference}", f"oci:{bench.at('copy')}:latest"]), "copy")
        if number < bench.options.slow_rounds:
            self.server.rate = Rate(RATE)
            self.build("limited")
            self.server.rate = None

    def build(self, name):
        source = self.server.reference
        self.pull(name, lambda: self.bench.banger(name, source, "--cache", self.bench.at("cache")), "cache")

    def pull(self, name, run, leaves):
        """Runs what pulls the image, sees that it did, and removes what it leaves."""
        self.server.begin()
        result = run()
        expected, sent = sum(self.server.layers.values()), self.server.layer_bytes
        if sent < expected:
            sys.exit(f"{name}: only {sent} of {expected} bytes of layers were asked for: this was no cold pull")
        result["tail_share"] = (result["ended"] - self.server.last_layer_byte) / result["seconds"]
        self.bench.remove(leaves)

    def summary(self):
        bench = self.bench
        found = {
            "cold_to_local": bench.ratio("cold", "local"),
            "tail_share": round(bench.median("cold", "tail_share"), 4),
            "fetch_to_skopeo": bench.ratio("fetch", "skopeo"),
            "fetch_cpu_to_skopeo": bench.ratio("fetch", "skopeo", "cpu"),
        }
        if "limited" in bench.results:
            transfer = self.server.image_bytes() / RATE
            found["limited_to_transfer"] = round(bench.median("limited") / transfer, 3)
            found["limited_tail_share"] = round(bench.median("limited", "tail_share"), 4)
        return found

    def peak_mib(self):
        names = [name for name in ("cold", "fetch", "limited") if name in self.bench.results]
        return max(self.bench.most(name, "peak_mib") for name in names)

    def show(self, found):
        bench, seconds = self.bench, found["seconds"]
        rows = [
            ("local", "banger build, the layout on the disk"),
            ("cold", "banger build, the cache empty"),
            ("fetch", "banger fetch"),
            ("skopeo", "skopeo copy docker://... oci:..."),
            ("limited", f"banger build, the cache empty, {RATE // 1_000_000} MB/s"),
        ]
        print("\ndebian-dev, from a registry on this machine                          seconds       CPU s   peak MiB")
        for name, text in rows:
            if name in seconds:
                peak = bench.most(name, "peak_mib")
                print(f"  {text:64}{seconds[name]:10.2f}{bench.median(name, 'cpu'):12.2f}{peak:11.0f}")
        print(f"cold: {found['cold_to_local']:.2f} times as long as from the disk; ", end="")
        print(f"{found['tail_share']:.1%} of it after the last byte of a layer was sent")
        print(f"fetch: {found['fetch_to_skopeo']:.2f} of skopeo's time, {found['fetch_cpu_to_skopeo']:.2f} of its CPU time")
        if "limited" in seconds:
            print(f"{RATE // 1_000_000} MB/s: {found['limited_to_transfer']:.3f} times as long as the transfer; ", end="")
            print(f"{found['limited_tail_share']:.1%} of it after the last byte of a layer was sent")
