#!/usr/bin/env python3
"""Runs a command on a terminal, as a person at it would.

usage: terminal.py COMMAND...

Standard input has one step a line, as JSON: {"size": [ROWS, COLUMNS]}, {"send": TEXT}, {"expect": TEXT}. Text is expected after
what was expected before. What the terminal shows is printed. The exit status is the command's; 99 when a text does not come
within four minutes, when the command does not end, or when it leaves the terminal in another state than it found it in.
"""
import errno
import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time

LIMIT = 240


class Terminal:
    def __init__(self, command):
        self.fd, slave = os.openpty()
        self.slave = slave  # held open: its state is looked at in the end
        self.before = termios.tcgetattr(slave)
        self.shown = b""
        self.deadline = time.monotonic() + LIMIT
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def size(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.fd, text.encode())

    def read(self):
        ready, _, _ = select.select([self.fd], [], [], 0.2)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        self.shown += data
        return bool(data)

    def expect(self, text):
        wanted = text.encode()
        while wanted not in self.shown:
            if time.monotonic() > self.deadline or (not self.read() and self.process.poll() is not None):
                self.fail(f"not shown: {text!r}")
        self.shown = self.shown.split(wanted, 1)[1]

    def fail(self, why):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        print(f"\nterminal: {why}", file=sys.stderr)
        sys.exit(99)

    def end(self):
        while self.process.poll() is None:
            if time.monotonic() > self.deadline:
                self.fail("the command does not end")
            self.read()
        while self.read():
            pass
        if termios.tcgetattr(self.slave) != self.before:
            self.fail("the terminal is not as it was")
        return self.process.returncode


def main():
    terminal = Terminal(sys.argv[1:])
    for line in sys.stdin:
        for step, value in json.loads(line).items():
            if step == "size":
                terminal.size(*value)
            else:
                {"send": terminal.send, "expect": terminal.expect}[step](value)
    sys.exit(terminal.end())


main()
