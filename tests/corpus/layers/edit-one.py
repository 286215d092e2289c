"""Every kind of entry and of change that a layer can make, on top of a minimal Debian."""
import os
import shutil
import socket
import struct

ROOT = os.fsencode(os.environ["M"])
SECOND = 1_000_000_000


def at(path):
    """The path inside the image, as bytes."""
    return os.path.join(ROOT, os.fsencode(path).lstrip(b"/"))


def write(path, data, mode=0o644):
    os.makedirs(os.path.dirname(at(path)), exist_ok=True)
    with open(at(path), "wb") as file:
        file.write(data)
    os.chmod(at(path), mode)


def set_time(path, nanoseconds):
    os.utime(at(path), ns=(nanoseconds, nanoseconds), follow_symlinks=False)


def acl(user_permissions, named_user):
    """A POSIX ACL as the system call takes it: version 2, then (tag, permissions, id) of each entry."""
    no_id = 0xFFFFFFFF
    entries = [(0x01, user_permissions, no_id), (0x02, 4, named_user), (0x04, 5, no_id), (0x10, 5, no_id), (0x20, 0, no_id)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def deletions():
    """Files, links and whole directories that Debian's layer has."""
    os.remove(at("etc/motd"))
    os.remove(at("usr/bin/mawk"))
    shutil.rmtree(at("usr/share/doc"))
    shutil.rmtree(at("usr/share/man"))
    shutil.rmtree(at("var/cache"))
    os.remove(at("etc/alternatives/awk"))


def replacements():
    """Other content, and every other kind of entry, under a name that exists."""
    write("etc/issue", b"replaced by a longer text\n" * 500)
    write("etc/debian_version", b"")
    shutil.rmtree(at("usr/share/bash-completion"))
    write("usr/share/bash-completion", b"a file where a directory was\n")
    os.remove(at("etc/host.conf"))
    write("etc/host.conf/nested/deep", b"a directory where a file was\n")
    os.remove(at("etc/os-release"))
    write("etc/os-release", b"NAME=edited\n")
    os.remove(at("etc/shells"))
    os.symlink("/etc/passwd", at("etc/shells"))
    os.remove(at("var/run"))  # a link to /run, whose own content stays
    write("var/run/own", b"a directory where a link to one was\n")
    os.chmod(at("usr/bin/chfn"), 0o755)
    os.chown(at("usr/bin/wall"), 12, 34)


def opaque_directories():
    """Made anew where the lower layer has one."""
    for directory, files in (("usr/share/zoneinfo", 3), ("etc/pam.d", 1), ("usr/share/perl5", 0)):
        shutil.rmtree(at(directory))
        os.mkdir(at(directory), 0o750)
        for number in range(files):
            write(f"{directory}/new-{number}", b"new %d\n" % number)


def hardlinks():
    write("srv/links/first", b"one inode, four names\n" * 1000)
    os.makedirs(at("srv/links/far/away"))
    os.link(at("srv/links/first"), at("srv/links/second"))
    os.link(at("srv/links/first"), at("srv/links/far/away/third"))
    os.link(at("srv/links/first"), at("srv/another-name"))
    os.link(at("usr/bin/true"), at("usr/bin/truth"))  # with a lower layer's file
    os.symlink("first", at("srv/links/symbolic"))
    os.link(at("srv/links/symbolic"), at("srv/links/symbolic-too"), follow_symlinks=False)
    os.mkfifo(at("srv/links/fifo"))
    os.link(at("srv/links/fifo"), at("srv/links/fifo-too"))


def attributes():
    write("srv/xattrs/user", b"x\n")
    os.setxattr(at("srv/xattrs/user"), "user.text", b"plain")
    os.setxattr(at("srv/xattrs/user"), "user.binary", b"\x00\xff\n=\n12 user.fake=1\n")
    os.setxattr(at("srv/xattrs/user"), "user.empty", b"")
    os.setxattr(at("srv/xattrs/user"), "user.\u00e9t\u00e9", "\u2600".encode())
    write("srv/xattrs/large", b"x\n")
    for number in range(20):
        os.setxattr(at("srv/xattrs/large"), f"user.value-{number:02d}", bytes([number]) * 120)
    write("srv/xattrs/trusted", b"x\n")
    os.setxattr(at("srv/xattrs/trusted"), "trusted.banger", b"kept")
    write("srv/xattrs/capability", b"x\n", 0o755)
    # vfs_cap_data, revision 2, effective: CAP_NET_RAW permitted.
    os.setxattr(at("srv/xattrs/capability"), "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))
    write("srv/xattrs/acl", b"x\n")
    os.setxattr(at("srv/xattrs/acl"), "system.posix_acl_access", acl(6, 1000))
    os.mkdir(at("srv/xattrs/directory"))
    os.setxattr(at("srv/xattrs/directory"), "system.posix_acl_access", acl(7, 70_000))
    os.setxattr(at("srv/xattrs/directory"), "system.posix_acl_default", acl(7, 1000))
    os.setxattr(at("srv/xattrs/directory"), "user.on-a-directory", b"yes")


def special_files():
    os.makedirs(at("srv/special"))
    for name, kind, major, minor in (
        ("null", 0o020666, 1, 3),
        ("disk", 0o060660, 8, 17),
        ("large", 0o060600, 259, 70_000),
        ("largest", 0o020600, 4095, 1_048_575),
    ):
        os.mknod(at(f"srv/special/{name}"), kind, os.makedev(major, minor))
        os.chmod(at(f"srv/special/{name}"), kind & 0o7777)
    os.mkfifo(at("srv/special/fifo"), 0o640)
    # A tar archive cannot hold a socket: it must be missing from the layer, and nothing else with it.
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(at("srv/special"))
        server.bind("socket")
    os.remove(at("srv/special/socket"))


def owners_and_modes():
    for name, mode, uid, gid in (
        ("setuid", 0o4755, 0, 0),
        ("setgid", 0o2755, 0, 42),
        ("none", 0o000, 1, 2),
        ("high", 0o644, 70_000, 4_000_000_000),
    ):
        write(f"srv/owners/{name}", b"#!/bin/sh\n")
        os.chown(at(f"srv/owners/{name}"), uid, gid)
        os.chmod(at(f"srv/owners/{name}"), mode)
    os.symlink("nowhere", at("srv/owners/link"))
    os.chown(at("srv/owners/link"), 1234, 5678, follow_symlinks=False)
    os.mkdir(at("srv/owners/sticky"))
    os.chmod(at("srv/owners/sticky"), 0o3777)


def names():
    for name in ("with space", "new\nline", "100%", "back\\slash", "\u00fcml\u00e4ut", ".hidden", "..double", "x" * 255):
        write(f"srv/names/{name}", os.fsencode(name))
    write(b"srv/names/not-utf8-\xff\xfe", b"raw bytes\n")
    os.symlink(b"target-\xff", at("srv/names/raw-link"))
    os.symlink("a" * 59, at("srv/names/link-59"))
    os.symlink("a" * 60, at("srv/names/link-60"))
    os.symlink("/" + "b" * 4094, at("srv/names/link-4095"))
    os.symlink("../../../../etc/passwd", at("srv/names/link-up"))
    deep = "srv/names/" + "/".join(f"level-{number:02d}-{'d' * 40}" for number in range(20))
    write(f"{deep}/bottom", b"deep\n")


def contents():
    """Sizes around a block, holes, and enough entries in one directory for an index."""
    for size in (0, 1, 59, 60, 4095, 4096, 4097, 65_536, 1_000_003):
        write(f"srv/contents/{size}", bytes(number * 31 % 251 for number in range(size)))
    write("srv/contents/zeros", bytes(300_000))
    write("srv/contents/hole-inside", b"a" * 5000 + bytes(100_000) + b"b" * 5000)
    with open(at("srv/contents/sparse"), "wb") as file:
        file.seek(8 << 20)
        file.write(b"end")
    for number in range(1500):
        write(f"srv/many/entry-with-a-longish-name-{number:05d}", b"%d\n" % number)


def times():
    for name, nanoseconds in (
        ("nanoseconds", 1_600_000_000 * SECOND + 123_456_789),
        ("one-nanosecond", 1_600_000_000 * SECOND + 1),
        ("before-1970", -1_000_000_000 * SECOND),
        ("fraction-before-1970", -1_000_000_000 * SECOND + 250_000_000),
        ("after-2038", 3_000_000_000 * SECOND + 999_999_999),
        ("after-2106", 5_000_000_000 * SECOND),
        ("epoch", 0),
    ):
        write(f"srv/times/{name}", b"x\n")
        set_time(f"srv/times/{name}", nanoseconds)
    os.symlink("nanoseconds", at("srv/times/link"))
    set_time("srv/times/link", 1_234_567_890 * SECOND + 987_654_321)
    os.mkdir(at("srv/times/directory"))
    set_time("srv/times/directory", 1_234_567_890 * SECOND + 5)


os.umask(0o022)
for change in (
    deletions,
    replacements,
    opaque_directories,
    hardlinks,
    attributes,
    special_files,
    owners_and_modes,
    names,
    contents,
    times,
):
    change()
