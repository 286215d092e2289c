#!/usr/bin/env python3
"""Says what must come out of an image, independently of banger.

usage: oracle.py layout LAYOUT OUT    what the image in an OCI image layout must become
       oracle.py tree DIR OUT         what is in a directory (a mounted image; as root)
       oracle.py diff EXPECTED FOUND  compares two listings; exit status 1 if they differ

A listing has one JSON object a line, sorted by the bytes of the path:

  path      from the image's root, "/" the root itself. In path, link and hardlink every byte outside the printable
            ASCII characters, and "%", stands as %XX: any name is a plain string, and equal strings are equal names
  type      directory, file, symlink, char, block, fifo or socket
  mode      twelve bits, four octal digits           uid, gid   numbers
  mtime_ns  nanoseconds since 1970                   links      number of names (not of directories)
  size, sha256   of a file's content                 link       target of a symlink
  rdev      [major, minor] of a device               xattrs     {name: value in hexadecimal}
  hardlink  the first path of the same inode, if it has several
  implied   true for a directory that no layer has an entry for: its time is not specified, and not compared

The layer rules are those of docs/layers.md. Layers are read by Python's tarfile and gzip and by the zstd program.
Digests, sizes and diff IDs are checked.
"""
import gzip
import hashlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import tarfile
from decimal import Decimal

NANO = 1_000_000_000
PIECE = 1 << 20
MAX_HOPS = 40
WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
XATTR = "SCHILY.xattr."
# Notes of an overlay mount's own about its upper directory.
DROPPED_XATTRS = ("trusted.overlay.", "user.overlay.")


class Refused(Exception):
    """The image breaks a rule."""


class Inode:
    """One file of any type; a directory's children are `names`."""

    def __init__(self, kind, mode=0o755, uid=0, gid=0, mtime=None):
        self.kind, self.mode, self.uid, self.gid, self.mtime = kind, mode, uid, gid, mtime
        self.xattrs = {}
        self.size = self.sha256 = self.target = self.device = self.links = None
        self.names = {} if kind == "directory" else None


def raw(text):
    """The bytes that tarfile decoded."""
    return text.encode("utf-8", "surrogateescape")


def components(name):
    """The path in the image that an entry's name means."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise Refused(f"{name!r} climbs")
    return parts


class Image:
    """The tree that layers are put on, one after another."""

    def __init__(self):
        self.root = Inode("directory")

    def directory(self, parts, create, replaced=frozenset()):
        """The directory at `parts`, symlinks followed inside the image; None if there is none and it is not created.

        A symlink at one of the paths in `replaced` is not followed: a directory is about to stand there.
        """
        trail, ahead, hops = [self.root], list(parts), 0
        while ahead:
            part = ahead.pop(0)
            if part in (b"", b"."):
                continue
            if part == b"..":
                trail = trail[:-1] or [self.root]
                continue
            found = trail[-1].names.get(part)
            if found is not None and found.kind == "symlink":
                if hops == 0 and tuple(parts[: len(parts) - len(ahead)]) in replaced:
                    return None
                hops += 1
                if hops > MAX_HOPS:
                    raise Refused(f"more than {MAX_HOPS} symlinks in {parts!r}")
                if found.target.startswith(b"/"):
                    trail = [self.root]
                ahead = found.target.split(b"/") + ahead
                continue
            if found is None or found.kind != "directory":
                if not create:
                    return None
                if found is not None:
                    raise Refused(f"{part!r} in {parts!r} is no directory")
                found = trail[-1].names[part] = Inode("directory")
            trail.append(found)
        return trail[-1]

    def apply(self, layer):
        """One layer: what it takes away from those below first, wherever in the layer that stands."""
        entries = list(read_entries(layer))
        markers = [parts for parts, _, _ in entries if parts and parts[-1].startswith(WHITEOUT)]
        directories = {tuple(parts) for parts, header, _ in entries if header.isdir()}
        for *parent, name in markers:
            directory = self.directory(parent, create=False, replaced=directories)
            if directory is None:
                continue
            if name == OPAQUE:
                directory.names.clear()
            elif not name.startswith(WHITEOUT + WHITEOUT):
                directory.names.pop(name.removeprefix(WHITEOUT), None)
        for parts, header, sha256 in entries:
            if not parts or not parts[-1].startswith(WHITEOUT):
                self.put(parts, header, sha256)
        # A marker stands in a directory of this layer. Looked for last: where the layer has an entry for the directory,
        # something else may have been there below.
        for *parent, name in markers:
            if name == OPAQUE or not name.startswith(WHITEOUT + WHITEOUT):
                self.directory(parent, create=True)

    def put(self, parts, header, sha256):
        if not parts:
            if not header.isdir():
                raise Refused("the root is no directory")
            dress(self.root, header)
            return
        parent, name = self.directory(parts[:-1], create=True), parts[-1]
        if header.islnk():
            parent.names[name] = self.link_target(header)
            return
        old = parent.names.get(name)
        if header.isdir() and old is not None and old.kind == "directory":
            dress(old, header)
            return
        parent.names[name] = dress(new_inode(header, sha256), header)

    def link_target(self, header):
        parts = components(raw(header.linkname))
        directory = self.directory(parts[:-1], create=False) if parts else None
        found = directory.names.get(parts[-1]) if directory else None
        if found is None or found.kind == "directory":
            raise Refused(f"{header.name!r} is a hardlink to {header.linkname!r}: no such file")
        return found


def new_inode(header, sha256):
    if header.isreg():
        inode = Inode("file")
        inode.size, inode.sha256 = header.size, sha256
    elif header.isdir():
        inode = Inode("directory")
    elif header.issym():
        inode = Inode("symlink")
        inode.target = raw(header.linkname)
    elif header.ischr() or header.isblk():
        inode = Inode("char" if header.ischr() else "block")
        inode.device = [header.devmajor, header.devminor]
    elif header.isfifo():
        inode = Inode("fifo")
    else:
        raise Refused(f"{header.name!r} has the unknown type {header.type!r}")
    return inode


def dress(inode, header):
    """Gives the inode what the entry says of it, and takes away what an older entry said."""
    inode.mode = 0o777 if inode.kind == "symlink" else header.mode & 0o7777
    inode.uid, inode.gid = header.uid, header.gid
    exact = header.pax_headers.get("mtime")
    inode.mtime = int((Decimal(exact) * NANO).to_integral_value("ROUND_FLOOR")) if exact else int(header.mtime) * NANO
    inode.xattrs = {
        key.removeprefix(XATTR): raw(value)
        for key, value in header.pax_headers.items()
        if key.startswith(XATTR) and not key.removeprefix(XATTR).startswith(DROPPED_XATTRS)
    }
    return inode


def read_entries(layer):
    """(path, header, sha256 of the content) of each entry of an archive that is read once, to its end."""
    with tarfile.open(fileobj=layer, mode="r|", encoding="utf-8", errors="surrogateescape", bufsize=PIECE) as archive:
        for header in archive:
            digest = None
            if header.isreg():
                digest = hashlib.sha256()
                content = archive.extractfile(header)
                while piece := content.read(PIECE):
                    digest.update(piece)
                digest = digest.hexdigest()
            yield components(raw(header.name)), header, digest
            archive.members = []
    while layer.read(PIECE):
        pass  # the padding belongs to the diff ID


class Hashed(io.RawIOBase):
    """A stream that computes the digest of what is read from it."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.sha256 = inner, hashlib.sha256()

    def read(self, size=-1):
        data = self.inner.read(size)
        self.sha256.update(data)
        return data


def decompressed(path):
    """The stream inside, by its first bytes."""
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")
    if magic == b"\x28\xb5\x2f\xfd":
        return subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE).stdout
    return open(path, "rb")


def blob(layout, descriptor):
    """The path of a blob whose size and digest are those of its descriptor."""
    path = os.path.join(layout, "blobs", *descriptor["digest"].split(":"))
    with open(path, "rb") as file:
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    if digest != descriptor["digest"] or os.path.getsize(path) != descriptor["size"]:
        raise Refused(f"{path} is not what its descriptor says")
    return path


def document(path):
    with open(path, "rb") as file:
        return json.load(file)


def of_layout(layout):
    """The tree that the first image of a layout must become."""
    index = document(os.path.join(layout, "index.json"))
    manifest = document(blob(layout, index["manifests"][0]))
    config = document(blob(layout, manifest["config"]))
    image = Image()
    for descriptor, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        stream = Hashed(decompressed(blob(layout, descriptor)))
        image.apply(stream)
        if "sha256:" + stream.sha256.hexdigest() != diff_id:
            raise Refused(f"{descriptor['digest']} does not have the diff ID {diff_id}")
    return image.root


KINDS = {
    stat.S_IFDIR: "directory",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def of_directory(path, known):
    """The tree at `path`; `known` are the inodes seen so far that have several names."""
    status = os.lstat(path)
    key = (status.st_dev, status.st_ino)
    if key in known:
        return known[key]
    kind = KINDS[stat.S_IFMT(status.st_mode)]
    inode = Inode(kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns)
    for name in os.listxattr(path, follow_symlinks=False):
        inode.xattrs[name] = os.getxattr(path, name, follow_symlinks=False)
    if kind == "directory":
        for name in os.listdir(path):
            inode.names[name] = of_directory(os.path.join(path, name), known)
        return inode
    inode.links = status.st_nlink
    if status.st_nlink > 1:
        known[key] = inode
    if kind == "file":
        inode.size = status.st_size
        with open(path, "rb") as file:
            inode.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    elif kind == "symlink":
        inode.target = os.readlink(path)
    elif kind in ("char", "block"):
        inode.device = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    return inode


def escaped(name):
    return re.sub(rb"[^ -$&-~]", lambda byte: b"%%%02X" % byte.group()[0], name).decode("ascii")


def listing(root):
    """The lines of a tree's listing."""
    paths, waiting = [], [(b"", root)]
    while waiting:
        path, inode = waiting.pop()
        paths.append((path or b"/", inode))
        if inode.names:
            waiting.extend((path + b"/" + name, child) for name, child in inode.names.items())
    paths.sort(key=lambda pair: pair[0])
    groups = {}
    for path, inode in paths:
        groups.setdefault(id(inode), []).append(path)
    for path, inode in paths:
        record = {"path": escaped(path), "type": inode.kind, "mode": f"{inode.mode:04o}"}
        record |= {"uid": inode.uid, "gid": inode.gid, "mtime_ns": inode.mtime}
        if inode.mtime is None:
            record["implied"] = True
        if inode.kind != "directory":
            group = groups[id(inode)]
            # What a file system counts is compared with the names that the layers gave.
            record["links"] = len(group) if inode.links is None else inode.links
            if len(group) > 1:
                record["hardlink"] = escaped(group[0])
        if inode.kind == "file":
            record |= {"size": inode.size, "sha256": inode.sha256}
        if inode.target is not None:
            record["link"] = escaped(inode.target)
        if inode.device is not None:
            record["rdev"] = inode.device
        if inode.xattrs:
            record["xattrs"] = {escaped(os.fsencode(name)): value.hex() for name, value in sorted(inode.xattrs.items())}
        yield json.dumps(record)


def write_listing(root, out):
    with open(out + ".part", "w", encoding="ascii") as file:
        for line in listing(root):
            file.write(line + "\n")
    os.rename(out + ".part", out)


def differences(expected, found):
    """One line for each difference between two listings."""
    for path in sorted(expected.keys() | found.keys()):
        if path not in found:
            yield f"{path}: missing"
        elif path not in expected:
            # Every ext4 file system has this one; an image need not bring it.
            if path != "/lost+found":
                yield f"{path}: should not be there"
        else:
            left, right = expected[path], found[path]
            implied = left.get("implied") or right.get("implied")
            for field in sorted(left.keys() | right.keys()):
                if field == "implied" or (field == "mtime_ns" and implied):
                    continue
                if left.get(field) != right.get(field):
                    yield f"{path}: {field} is {right.get(field)}, should be {left.get(field)}"


def compare(expected, found):
    listings = []
    for path in (expected, found):
        with open(path, encoding="ascii") as file:
            records = {record["path"]: record for record in map(json.loads, file)}
        if "/" not in records:
            sys.exit(f"{path}: not a listing")
        listings.append(records)
    lines = list(differences(*listings))
    for line in lines[:50]:
        print(line)
    print(f"{len(listings[0])} entries expected, {len(listings[1])} found, {len(lines)} differences")
    return 1 if lines else 0


def main(arguments):
    sys.setrecursionlimit(100_000)
    match arguments:
        case ["layout", layout, out]:
            try:
                write_listing(of_layout(layout), out)
            except Refused as refused:
                sys.exit(f"oracle: {layout}: {refused}")
        case ["tree", directory, out]:
            write_listing(of_directory(os.fsencode(directory), {}), out)
        case ["diff", expected, found]:
            return compare(expected, found)
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
