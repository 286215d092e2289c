"""Changes to what edit-one.py made: names of one inode part, what was replaced is replaced again."""
import os
import shutil


def at(path):
    return os.path.join(os.environ["M"], path)


def write(path, text):
    os.makedirs(os.path.dirname(at(path)), exist_ok=True)
    with open(at(path), "w", encoding="utf-8") as file:
        file.write(text)


os.umask(0o022)

# One name of a hardlinked file goes, one is replaced: the others keep the content.
os.remove(at("srv/links/first"))
os.remove(at("srv/links/second"))
write("srv/links/second", "a file of its own now\n")

# What a lower layer deleted comes back.
write("etc/motd", "back again\n")
write("usr/share/doc/readme", "only this\n")

# Kinds change once more.
os.remove(at("usr/share/bash-completion"))
write("usr/share/bash-completion/again", "a directory again\n")
shutil.rmtree(at("etc/host.conf"))
write("etc/host.conf", "multi on\n")

# An opaque directory on an opaque directory, and one inside it.
shutil.rmtree(at("usr/share/zoneinfo"))
write("usr/share/zoneinfo/new-1", "newer\n")
shutil.rmtree(at("srv/xattrs/directory"))
os.mkdir(at("srv/xattrs/directory"))

# Most of a large directory goes.
for number in range(0, 1500, 2):
    os.remove(at(f"srv/many/entry-with-a-longish-name-{number:05d}"))

# A secret, deleted in the layer above the one that brought it, must be nowhere in the image.
os.remove(at("srv/contents/1000003"))

# The extended attributes of a directory and of a file change without their content.
os.setxattr(at("srv/xattrs/user"), "user.text", b"changed")
os.removexattr(at("srv/xattrs/user"), "user.binary")
os.chmod(at("srv/owners/sticky"), 0o700)
