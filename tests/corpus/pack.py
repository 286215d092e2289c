#!/usr/bin/env python3
"""Packs a directory as the tar archive of an image's layer.

usage: pack.py [--overlay] [--built-since SECONDS --stamp SECONDS] DIR OUT.tar

Entries are sorted by name, owners are numbers, times have nanoseconds, extended attributes are kept; the root
itself has no entry, and sockets have none either: tar knows no such type.

--overlay      DIR is the upper directory of an overlay mount. Its character device 0/0 becomes `.wh.NAME`, a directory
               marked opaque gets `.wh..wh..opq` as its first child.
--built-since  A time between this one and now was made by the build, not by a package: it becomes --stamp, in DIR
               too, so that two builds of the same thing are equal.
"""
import argparse
import os
import stat
import tarfile
import time

NANO = 1_000_000_000
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--overlay", action="store_true")
    parser.add_argument("--built-since", type=int)
    parser.add_argument("--stamp", type=int, default=0)
    parser.add_argument("directory")
    parser.add_argument("out")
    return parser.parse_args()


class Packer:
    def __init__(self, archive, overlay, built, stamp):
        self.archive = archive
        self.overlay = overlay
        self.built = built
        self.stamp = stamp
        self.names = {}  # (device, inode) of a file with several names -> the first of them

    def time_of(self, path, status):
        nanoseconds = status.st_mtime_ns
        if self.built and self.built[0] <= nanoseconds <= self.built[1]:
            nanoseconds = self.stamp * NANO
            # The layers above see this directory: what they copy from it must have this time too.
            os.utime(path, ns=(nanoseconds, nanoseconds), follow_symlinks=False)
        return nanoseconds

    def header(self, path, name, status):
        header = tarfile.TarInfo(name)
        header.mode = stat.S_IMODE(status.st_mode)
        header.uid, header.gid = status.st_uid, status.st_gid
        nanoseconds = self.time_of(path, status)
        header.mtime = nanoseconds // NANO
        if nanoseconds % NANO:
            sign = "-" if nanoseconds < 0 else ""
            whole, fraction = divmod(abs(nanoseconds), NANO)
            header.pax_headers["mtime"] = f"{sign}{whole}.{fraction:09d}"
        return header

    def add(self, header, file=None):
        self.archive.addfile(header, file)
        self.archive.members = []  # or every header stays in memory

    def marker(self, name):
        header = tarfile.TarInfo(name)
        header.mode = 0
        header.mtime = self.stamp
        self.add(header)

    def add_attributes(self, header, path):
        for key in sorted(os.listxattr(path, follow_symlinks=False)):
            if not key.startswith("trusted.overlay."):
                value = os.getxattr(path, key, follow_symlinks=False)
                header.pax_headers["SCHILY.xattr." + key] = value.decode("utf-8", "surrogateescape")

    def is_opaque(self, path):
        try:
            return os.getxattr(path, "trusted.overlay.opaque") == b"y"
        except OSError:
            return False

    def directory(self, directory, prefix):
        for entry in sorted(os.listdir(directory), key=os.fsencode):
            path = os.path.join(directory, entry)
            status = os.lstat(path)
            if self.overlay and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                self.marker(prefix + WHITEOUT + entry)
            else:
                self.entry(path, prefix + entry, status)

    def entry(self, path, name, status):
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFSOCK:
            return
        header = self.header(path, name, status)
        if kind != stat.S_IFDIR and status.st_nlink > 1:
            first = self.names.setdefault((status.st_dev, status.st_ino), name)
            if first != name:
                header.type, header.linkname = tarfile.LNKTYPE, first
                self.add(header)
                return
        self.add_attributes(header, path)
        if kind == stat.S_IFREG:
            header.size = status.st_size
            with open(path, "rb") as file:
                self.add(header, file)
            return
        if kind == stat.S_IFDIR:
            header.type = tarfile.DIRTYPE
        elif kind == stat.S_IFLNK:
            header.type, header.linkname = tarfile.SYMTYPE, os.readlink(path)
        elif kind == stat.S_IFIFO:
            header.type = tarfile.FIFOTYPE
        else:
            header.type = tarfile.CHRTYPE if kind == stat.S_IFCHR else tarfile.BLKTYPE
            header.devmajor, header.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        self.add(header)
        if kind == stat.S_IFDIR:
            if self.overlay and self.is_opaque(path):
                self.marker(f"{name}/{OPAQUE}")
            self.directory(path, name + "/")


def main():
    options = arguments()
    built = None
    if options.built_since is not None:
        built = (options.built_since * NANO, time.time_ns())
    with tarfile.open(
        options.out, "w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        Packer(archive, options.overlay, built, options.stamp).directory(options.directory, "")


main()
