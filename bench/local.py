"""Builds from local layouts and archives: against the floor and against other tools."""
import json
import os
import shlex
import sys
import tarfile

from measure import measure

# What the project promises: what, and how much at most.
PROMISES = {
    "no_sync_to_floor": 1.25,
    "sync_to_floor": 1.5,
    "banger_to_reference": 1 / 12,
}


class Local:
    def __init__(self, bench):
        self.bench = bench
        self.floor = [bench.program("floor")]
        self.dev, self.zstd = bench.layout("debian-dev"), bench.layout("debian-dev-zstd")
        for name, count, kind in wide_cases():
            write_wide(bench.at(name + ".tar"), count, kind)
        self.small = newest(os.path.join(bench.options.corpus, "layers"), "small-")
        for layout in (self.dev, self.zstd):
            measure(self.floor + [layout])  # fills the page cache
        self.slow_rounds = bench.options.slow_rounds
        if os.geteuid() != 0 and self.slow_rounds:
            print("not root: the other tools would lose owners, they are left out", file=sys.stderr)
            self.slow_rounds = 0

    def round(self, number):
        bench = self.bench
        bench.take("floor", self.floor + [self.dev])
        size = bench.banger("no_sync", f"oci:{self.dev}", "--no-sync")["size"]
        bench.banger("sync", f"oci:{self.dev}")
        bench.take("zstd_floor", self.floor + [self.zstd])
        bench.banger("zstd_no_sync", f"oci:{self.zstd}", "--no-sync")
        bench.banger("small", f"tar:{self.small}", "--no-sync")
        for name, _, _ in wide_cases():
            bench.banger(name, f"tar:{bench.at(name + '.tar')}", "--no-sync")
        if number < self.slow_rounds:
            self.reference(size)
            self.tar_and_mke2fs(size)

    def reference(self, size):
        """What one would do with tools that exist; owners and modes are set once more, as without root."""
        bench = self.bench
        script = bench.at("owners.debugfs")
        if not os.path.exists(script):
            write_debugfs_script(os.path.join(bench.options.corpus, "debian-dev.expected.jsonl"), script)
        bench.take("reference", ["bash", "-euc", f"""
            skopeo copy -q oci:{shlex.quote(self.dev)}:latest oci:{bench.at('copy')}:latest
            umoci --log=error unpack --image {bench.at('copy')}:latest {bench.at('bundle')}
            mkfs.ext4 -q -F -b 4096 -d {bench.at('bundle')}/rootfs {bench.at('reference.ext4')} {size // 1024}k 2>&1
            debugfs -w -f {script} {bench.at('reference.ext4')} >{bench.at('debugfs.log')} 2>&1
        """])
        bench.remove("copy", "bundle", "reference.ext4", "debugfs.log")

    def tar_and_mke2fs(self, size):
        """The quickest that a script can do: tar and mke2fs, digests not checked."""
        bench = self.bench
        with open(os.path.join(self.dev, "index.json"), encoding="ascii") as file:
            manifest = json.load(file)["manifests"][0]
        blob = lambda descriptor: os.path.join(self.dev, "blobs", *descriptor["digest"].split(":"))
        with open(blob(manifest), encoding="ascii") as file:
            layers = [blob(layer) for layer in json.load(file)["layers"]]
        bench.take("tar_mke2fs", ["bash", "-euc", f"""
            tree={bench.at('tree')} layer={bench.at('layer.tar')}
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
            mke2fs -q -F -t ext4 -b 4096 -d $tree {bench.at('tar.ext4')} {size // 1024}k 2>&1
        """, "bash", *layers])
        bench.remove("tree", "layer.tar", "tar.ext4")

    def summary(self):
        bench = self.bench
        found = {
            "no_sync_to_floor": bench.ratio("no_sync", "floor"),
            "sync_to_floor": bench.ratio("sync", "floor"),
            "zstd_no_sync_to_floor": bench.ratio("zstd_no_sync", "zstd_floor"),
            "small_files_writes": int(bench.median("small", "writes")),
            "files_70000_to_35000": bench.ratio("70000_files", "35000_files", digits=2),
            "directories_65100_to_32550": bench.ratio("65100_directories", "32550_directories", digits=2),
        }
        if "reference" in bench.results:
            found["banger_to_reference"] = bench.ratio("sync", "reference", digits=4)
            found["banger_to_tar_mke2fs"] = bench.ratio("sync", "tar_mke2fs", digits=4)
        return found

    def peak_mib(self):
        return max(self.bench.most(name, "peak_mib") for name in ("no_sync", "sync", "zstd_no_sync"))

    def show(self, found):
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
        print(f"debian-dev, zstd: floor {seconds['zstd_floor']:.2f} s, banger build --no-sync ", end="")
        print(f"{seconds['zstd_no_sync']:.2f} s, {found['zstd_no_sync_to_floor']:.2f} of the floor")
        print(f"60,000 small files: {seconds['small']:.2f} s, {found['small_files_writes']} write calls")
        print(f"70,000 files in one directory: {seconds['70000_files']:.2f} s, ", end="")
        print(f"{found['files_70000_to_35000']:.2f} times as long as half of them")
        print(f"65,100 directories in one directory: {seconds['65100_directories']:.2f} s, ", end="")
        print(f"{found['directories_65100_to_32550']:.2f} times as long as half of them")
        if "reference" in seconds:
            print(f"times faster: {1 / found['banger_to_reference']:.1f} than skopeo, umoci, mkfs.ext4 and debugfs, ", end="")
            print(f"{1 / found['banger_to_tar_mke2fs']:.1f} than tar and mke2fs")


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


def newest(directory, prefix):
    paths = [entry.path for entry in os.scandir(directory) if entry.name.startswith(prefix) and entry.name.endswith(".tar")]
    return max(paths, key=os.path.getmtime)
