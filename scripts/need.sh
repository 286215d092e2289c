#!/usr/bin/env bash
# need.sh COMMAND...: sees that these commands are here, and installs the Debian packages of those that are not.
#
# Says what it installs. Uses sudo when not root; where there is no apt-get it names what is missing and fails.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin

package_of() { # COMMAND
    case $1 in
        e2fsck | mke2fs | debugfs | dumpe2fs | resize2fs | tune2fs) echo e2fsprogs ;;
        qemu-system-x86_64) echo qemu-system-x86 ;;
        qemu-img | qemu-io) echo qemu-utils ;;
        mkfs.btrfs) echo btrfs-progs ;;
        ip) echo iproute2 ;;
        chroot) echo coreutils ;;
        ldd) echo libc-bin ;;
        busybox) echo busybox-static ;;
        depmod | modprobe) echo kmod ;;
        getfattr | setfattr) echo attr ;;
        getfacl | setfacl) echo acl ;;
        bsdtar) echo libarchive-tools ;;
        script) echo bsdutils ;;
        ssh | ssh-keygen) echo openssh-client ;;
        mount | losetup) echo mount ;;
        findmnt | flock | nsenter | prlimit | setpriv | unshare) echo util-linux ;;
        cmp) echo diffutils ;;
        kill) echo procps ;;
        systemd-socket-activate | systemd-analyze) echo systemd ;;
        venv) echo python3-venv ;;
        ar) echo binutils ;;
        dpkg-deb) echo dpkg ;;
        xz) echo xz-utils ;;
        cc) echo 'gcc libc6-dev' ;;
        c++) echo 'g++' ;;
        cpio | curl | docker-registry | fish | gzip | jq | make | mandoc | minisign | mmdebstrap | openssl | python3 | shellcheck | skopeo | socat | strace | tar | umoci | zsh | zstd) echo "$1" ;;
        *) echo "need: no package known for $1" >&2; return 1 ;;
    esac
}

here_already() { # COMMAND
    # Python's environments: no program, but a part that Debian has in a package of its own.
    [ "$1" != venv ] || { python3 -c 'import ensurepip, venv' 2>/dev/null; return; }
    type -P "$1" >/dev/null || return 1 # a program, not a builtin of this shell
    # The busybox of most systems needs the system's libraries: of no use in an initial RAM disk.
    [ "$1" != busybox ] || ! ldd "$(type -P busybox)" >/dev/null 2>&1
}

missing_of() { # COMMAND...: sets `missing` to those that are not here
    local name
    missing=()
    for name; do
        here_already "$name" || missing+=("$name")
    done
}

install() { # PACKAGE...
    local apt=("$here/as-root.sh" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    echo "need: installing $* (for ${missing[*]})"
    "${apt[@]}" update >/dev/null
    "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null
    # The tests start registries of their own; that of the package would listen on port 5000 from now on.
    if [[ " $* " = *' docker-registry '* ]] && [ -d /run/systemd/system ]; then
        "$here/as-root.sh" systemctl disable --now docker-registry
    fi
}

# Twice: a package that is installed may replace another that was here, as Debian's qemu-system-x86 does with
# the qemu-utils of its backports.
for _ in 1 2; do
    missing_of "$@"
    [ ${#missing[@]} -gt 0 ] || exit 0
    packages=()
    for name in "${missing[@]}"; do
        read -ra more <<<"$(package_of "$name")"
        packages+=("${more[@]}")
    done
    mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
    if ! command -v apt-get >/dev/null; then
        echo "need: missing: ${missing[*]} (Debian's packages: ${packages[*]})" >&2
        exit 1
    fi
    install "${packages[@]}"
done
missing_of "$@"
[ ${#missing[@]} -eq 0 ] || { echo "need: still no ${missing[*]}" >&2; exit 1; }
