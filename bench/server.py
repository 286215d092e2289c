"""A registry that serves one layout straight from the page cache, and knows when it sent what.

It is as cheap as a server can be (`sendfile`, no TLS), because it runs on the processors of what is measured. It speaks as much
of the distribution specification as a pull needs: manifests by tag and digest, blobs, ranges. With `rate` set, all
connections together get so many bytes a second and no more.
"""
import http.server
import json
import os
import re
import socket
import threading
import time

# Bytes that are handed to the kernel at once.
PIECE = 1 << 20
# The same under a rate: 3 ms at 20 MB/s.
SMALL_PIECE = 64 << 10
# What may wait in a connection's send buffer. "Sent" is to mean "arrived, but for a little".
SEND_BUFFER = 256 << 10
# Seconds by which a sender that overslept may catch up; without this no rate would be reached.
CATCH_UP = 0.05
# The first byte of a TLS connection. Programs try that first, and must be told at once.
TLS_HANDSHAKE = b"\x16"

PATH = re.compile(r"/v2/(?P<name>[a-z0-9/_.-]+)/(?P<kind>manifests|blobs)/(?P<which>[A-Za-z0-9_.:-]+)")
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Rate:
    """Hands out permission to send, so many bytes a second."""

    def __init__(self, bytes_per_second):
        self.bytes_per_second = bytes_per_second
        self.lock = threading.Lock()
        self.free = 0.0  # when everything that was permitted will have been sent

    def wait(self, count):
        with self.lock:
            now = time.monotonic()
            self.free = max(self.free, now - CATCH_UP) + count / self.bytes_per_second
            delay = self.free - now
        if delay > 0:
            time.sleep(delay)


class Server(http.server.ThreadingHTTPServer):
    """Serves the first image of a layout as NAME:latest."""

    daemon_threads = True

    def __init__(self, layout, name):
        super().__init__(("127.0.0.1", 0), Handler)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # connections inherit it
        self.name = name
        self.rate = None
        self.lock = threading.Lock()
        self.begin()
        with open(os.path.join(layout, "index.json"), encoding="ascii") as file:
            self.manifest = json.load(file)["manifests"][0]
        path = lambda descriptor: os.path.join(layout, "blobs", *descriptor["digest"].split(":"))
        with open(path(self.manifest), encoding="ascii") as file:
            manifest = json.load(file)
        self.layers = {layer["digest"]: layer["size"] for layer in manifest["layers"]}
        self.blobs = {each["digest"]: path(each) for each in [self.manifest, manifest["config"], *manifest["layers"]]}

    @property
    def reference(self):
        return f"127.0.0.1:{self.server_port}/{self.name}:latest"

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def begin(self):
        """Forgets what was sent."""
        self.layer_bytes = 0
        self.last_layer_byte = None

    def sent(self, digest, count):
        if digest in self.layers:
            now = time.monotonic()
            with self.lock:
                self.layer_bytes += count
                self.last_layer_byte = now

    def image_bytes(self):
        """Of the manifest, the config and all layers: what a pull must transfer."""
        return sum(os.path.getsize(path) for path in self.blobs.values())

    def handle_error(self, request, client_address):
        """A client that closes its connection early is no error of the server's."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle(self):
        if self.connection.recv(1, socket.MSG_PEEK) != TLS_HANDSHAKE:
            super().handle()

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        if self.path == "/v2/":
            return self.short(200, b"{}", with_body)
        found = PATH.fullmatch(self.path)
        if found is None or found["name"] != self.server.name:
            return self.short(404, b'{"errors":[{"code":"NAME_UNKNOWN"}]}', with_body)
        digest = found["which"]
        if found["kind"] == "manifests" and digest == "latest":
            digest = self.server.manifest["digest"]
        if digest not in self.server.blobs:
            return self.short(404, b'{"errors":[{"code":"BLOB_UNKNOWN"}]}', with_body)
        is_manifest = found["kind"] == "manifests"
        media_type = self.server.manifest["mediaType"] if is_manifest else "application/octet-stream"
        with open(self.server.blobs[digest], "rb") as file:
            size = os.fstat(file.fileno()).st_size
            first, last = self.wanted(size)
            self.send_response(200 if (first, last) == (0, size - 1) else 206)
            if (first, last) != (0, size - 1):
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Docker-Content-Digest", digest)
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if with_body:
                self.send_file(file, digest, first, last + 1)

    def wanted(self, size):
        """The first and the last byte that are asked for."""
        asked = RANGE.fullmatch(self.headers.get("Range", ""))
        if asked is None or int(asked[1]) >= size:
            return 0, size - 1
        return int(asked[1]), min(int(asked[2] or size), size - 1)

    def send_file(self, file, digest, offset, end):
        rate = self.server.rate
        piece = SMALL_PIECE if rate else PIECE
        while offset < end:
            count = min(piece, end - offset)
            if rate:
                rate.wait(count)
            # Less than was asked for is nothing unusual; the permission for the rest is lost, and that is little.
            count = os.sendfile(self.connection.fileno(), file.fileno(), offset, count)
            self.server.sent(digest, count)
            offset += count

    def short(self, status, body, with_body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: what matters is counted."""
