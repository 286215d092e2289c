#!/usr/bin/env python3
"""Makes an OCI image layout of layer archives.

usage: layout.py [--compression gzip|zstd|none] [--config FILE] LAYOUT LAYER.tar...

The compressed layers are kept beside the archives and shared between layouts by hard links. The one image in the layout
has the name `latest`. FILE is the `config` of its config, as JSON: its command, user, environment. Same archives, same bytes.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import shutil
import subprocess

# What container engines write: one gzip member at level 6, one zstd frame at level 3.
COMPRESSIONS = {
    "gzip": ("+gzip", [["gzip", "-n", "-6", "-c"], ".gz"]),
    "zstd": ("+zstd", [["zstd", "-q", "-3", "-c", "--single-thread"], ".zst"]),
    "none": ("", None),
}
CREATED = "2025-01-01T00:00:00Z"
OCI = "application/vnd.oci.image"
SHELL = {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["/bin/sh"]}


def digest_of(path):
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def compressed(archive, compression):
    """The compressed archive's path, made if it is not there yet."""
    _, how = COMPRESSIONS[compression]
    if how is None:
        return archive
    command, suffix = how
    path = archive + suffix
    if not os.path.exists(path):
        with open(path + ".part", "wb") as out:
            subprocess.run([*command, archive], stdout=out, check=True)
        os.rename(path + ".part", path)
    return path


def layer(blobs, archive, compression):
    """Puts one layer among the blobs: its descriptor and its diff ID."""
    source = compressed(archive, compression)
    digest = digest_of(source)
    target = os.path.join(blobs, digest.removeprefix("sha256:"))
    if not os.path.exists(target):
        os.link(source, target)
    media_type = f"{OCI}.layer.v1.tar{COMPRESSIONS[compression][0]}"
    descriptor = {"mediaType": media_type, "digest": digest, "size": os.path.getsize(source)}
    return descriptor, digest_of(archive)


def document(blobs, media_type, content):
    """Puts a JSON document among the blobs: its descriptor."""
    data = json.dumps(content, separators=(",", ":")).encode()
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as file:
        file.write(data)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--compression", choices=COMPRESSIONS, default="gzip")
    parser.add_argument("--config")
    parser.add_argument("layout")
    parser.add_argument("archives", nargs="+")
    options = parser.parse_args()
    command = SHELL
    if options.config:
        with open(options.config, encoding="utf-8") as file:
            command = json.load(file)

    part = options.layout + ".part"
    shutil.rmtree(part, ignore_errors=True)
    blobs = os.path.join(part, "blobs", "sha256")
    os.makedirs(blobs)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        layers = list(pool.map(lambda archive: layer(blobs, archive, options.compression), options.archives))
    config = document(
        blobs,
        f"{OCI}.config.v1+json",
        {
            "created": CREATED,
            "architecture": "amd64",
            "os": "linux",
            "config": command,
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
            "history": [
                {"created": CREATED, "created_by": os.path.basename(archive).rsplit("-", 1)[0]}
                for archive in options.archives
            ],
        },
    )
    manifest = document(
        blobs,
        f"{OCI}.manifest.v1+json",
        {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": config,
            "layers": [descriptor for descriptor, _ in layers],
        },
    )
    manifest["platform"] = {"architecture": "amd64", "os": "linux"}
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [manifest]}
    with open(os.path.join(part, "index.json"), "w", encoding="ascii") as file:
        json.dump(index, file, separators=(",", ":"))
    with open(os.path.join(part, "oci-layout"), "w", encoding="ascii") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')
    shutil.rmtree(options.layout, ignore_errors=True)
    os.rename(part, options.layout)


main()
