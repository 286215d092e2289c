#!/usr/bin/env bash
# Linux's virtio_console: poll(2) of a serial port, though it asks for POLLOUT alone, takes the wake-up of a thread that waits for input.
#
# Version: Linux 6.1.0-50-cloud-amd64 (6.1.176-1) of Debian 12, as the guest of Debian 12's QEMU 7.2; all from a tree that mmdebstrap makes.
# Input: a host writes a line to a virtserialport and waits for the answer, 2,000 times. In the guest a thread waits with
# epoll_wait(2) (EPOLLIN | EPOLLET), reads until EAGAIN and answers; in the second run another thread calls poll(2) with
# POLLOUT on the same descriptor over and over.
# Behaviour: the driver's poll looks whether there is input whatever it is asked for, and for that takes the buffer out of the
# virtqueue. The interrupt that comes for this buffer finds the queue empty, so the driver's callback, which wakes the sleepers,
# is not called. The line lies in the port, and the thread in epoll_wait sleeps until its time is over, though it has been
# promised an event. Readers that sleep must be the only ones to poll, or must ask level-triggered and again.
# Output seen:
#   alone: 2000 lines, 0 slept through
#   beside poll: 2000 lines, 45 slept through
# Exits with 0 while this holds. Needs root, mmdebstrap and Debian's mirror; QEMU emulates.
set -euo pipefail
release=${RELEASE:-6.1.0-50-cloud-amd64}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mmdebstrap --quiet --mode=root --variant=apt --include="linux-image-$release,qemu-system-x86,busybox-static,kmod,cpio,gcc,libc6-dev,python3" \
    bookworm "$tree" >/dev/null 2>&1
chroot "$tree" qemu-system-x86_64 --version | head -n 1

mkdir -p "$tree/probe/root/bin"
cat >"$tree/probe/probe.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int port;

static void *watch_output(void *nothing) {
    for (;;) {
        struct pollfd output = {.fd = port, .events = POLLOUT};
        poll(&output, 1, 0);
    }
    return nothing;
}

int main(int count, char **arguments) {
    int slept = 0, lines = 0;
    while ((port = open("/dev/vport0p1", O_RDWR | O_NONBLOCK)) < 0) usleep(10000);
    int queue = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    epoll_ctl(queue, EPOLL_CTL_ADD, port, &event);
    pthread_t thread;
    if (count > 1 && !strcmp(arguments[1], "poll")) pthread_create(&thread, NULL, watch_output, NULL);
    for (;;) {
        int events = epoll_wait(queue, &event, 1, 300);
        char byte, last = 0;
        int bytes = 0;
        while (read(port, &byte, 1) == 1) last = byte, bytes++;
        if (bytes && !events) slept++;
        if (last == '\n') {
            char answer[32];
            int length = snprintf(answer, sizeof answer, "%d %d\n", ++lines, slept);
            if (write(port, answer, length) != length) return 1;
        }
    }
}
C
chroot "$tree" gcc -O1 -static -pthread -o /probe/root/probe /probe/probe.c
cp "$tree/bin/busybox" "$tree/probe/root/bin/busybox"
{
    echo '#!/bin/busybox sh'
    echo '/bin/busybox mkdir -p /dev /proc; /bin/busybox mount -t devtmpfs none /dev; /bin/busybox mount -t proc none /proc'
    for module in virtio_pci virtio_console; do
        chroot "$tree" modprobe -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++' | while read -r file; do
        cp "$tree/$file" "$tree/probe/root/"
        echo "/bin/busybox insmod /${file##*/}"
    done
    # shellcheck disable=SC2016 # the guest's own
    echo 'for word in $(/bin/busybox cat /proc/cmdline); do case $word in mode=*) exec /probe "${word#mode=}";; esac; done'
} >"$tree/probe/root/init"
chmod 755 "$tree/probe/root/init"
(cd "$tree/probe/root" && find . | chroot "$tree" sh -c 'cd /probe/root && cpio --quiet -o -H newc') >"$tree/probe/initrd"
cat >"$tree/probe/host.py" <<'P'
import socket, subprocess, sys
release, mode = sys.argv[1:]
here = socket.socket(socket.AF_UNIX)
here.bind(f"/probe/{mode}")
here.listen()
machine = subprocess.Popen(["qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none",
    "-smp", "2", "-m", "256", "-kernel", f"/boot/vmlinuz-{release}", "-initrd", "/probe/initrd", "-append", f"quiet panic=-1 no_timer_check mode={mode}",
    "-device", "virtio-serial-pci", "-chardev", f"socket,id=c,path=/probe/{mode}", "-device", "virtserialport,chardev=c,nr=1"])
host, _ = here.accept()
host.settimeout(300)
for _ in range(2000):
    host.sendall(b"a line\n")
    answer = b""
    while not answer.endswith(b"\n"):
        piece = host.recv(4096)
        assert piece, "the machine ended"
        answer += piece
machine.kill()
lines, slept = map(int, answer.split())
print(lines, slept)
P
slept() { chroot "$tree" python3 /probe/host.py "$release" "$1"; }
read -r lines alone < <(slept alone)
echo "alone: $lines lines, $alone slept through"
read -r lines beside < <(slept poll)
echo "beside poll: $lines lines, $beside slept through"
[ "$alone" = 0 ] && [ "$beside" -gt 0 ]
