#!/bin/bash
# The image's command: says what it was given, one line "row NAME: VALUE" for each row of the table in docs/guest.md that it can see
# by itself, and then becomes a PID 1 without any handler that reaps nothing.

row() { echo "row $1: $2"; }
mounted() { awk -v at="$1" '$2 == at { found = $3 " " $4 } END { print found == "" ? "not mounted" : found }' /proc/mounts; }
# The options that matter: how large a file system is and how its times are kept differ from kernel to kernel.
flags() { mounted "$1" | sed -E 's/,(relatime|seclabel|inode64|(size|nr_inodes)=[0-9a-z]+)//g'; }
status() { awk -v field="$1:" '$1 == field { $1 = ""; sub(/^ /, ""); print }' /proc/self/status; }
limit() { awk -v name="$1" 'index($0, name) == 1 { print $(NF-2), $(NF-1) }' /proc/1/limits; }

row 'PID' "$$"
row 'other processes' "$(ps -e -o pid= -o comm= | awk '$2 !~ /^(ps|awk|wc|container)/' | wc -l)"
row '/proc' "$(flags /proc)"
row 'masked paths' "$(awk '$2 ~ "^/(proc|sys/firmware)/"' /proc/mounts | wc -l)"
row 'read-only paths' "$(echo example.org >/proc/sys/kernel/domainname && cat /proc/sys/kernel/domainname)"
row '/sys' "$(flags /sys)"
row '/sys/fs/cgroup' "$(flags /sys/fs/cgroup), $(cat /proc/self/cgroup)"
row '/dev' "$(mounted /dev | grep -o '^devtmpfs rw,nosuid')"
row 'device nodes' "$(cd /dev && stat -c '%n %a %t:%T' null zero full random urandom tty | tr '\n' ' ')"
row '/dev/pts, /dev/ptmx' "$(flags /dev/pts), $(stat -L -c %a /dev/ptmx)"
row '/dev/console' "$(stat -c '%U %a' /dev/console)"
row 'links in /dev' "$(cd /dev && readlink fd stdin stdout stderr core | tr '\n' ' ')"
row '/dev/shm' "$(flags /dev/shm), $(df -k --output=size /dev/shm | tail -1 | awk '{ print ($1 >= 65536 ? "64 MiB or more" : "small") }')"
row '/dev/mqueue' "$(flags /dev/mqueue)"
row '/' "$(mounted / | grep -o '^ext4 rw'), $(grep -c ' / / .* shared:' /proc/self/mountinfo) shared"
row '/run' "$(mounted /run), $(stat -c '%u:%g %a' /run/app), $(cat /run/app/file)"
row '/tmp, /var/run, /var/lock' "$(mounted /tmp), $(stat -c %a /tmp), $(readlink /var/run /var/lock | tr '\n' ' ')"
row 'host name' "$(uname -n) $HOSTNAME $(cat /etc/hostname)"
row '/etc/hosts' "$(getent ahostsv4 "$(uname -n)" | awk 'NR == 1 { print $1 }'), $(getent ahostsv4 localhost | awk 'NR == 1 { print $1 }')"
row '/etc/resolv.conf' "$(grep -c ^nameserver /etc/resolv.conf)"
row 'environment' "$(tr '\0' '\n' </proc/1/environ | grep -v ^HOSTNAME= | sort | tr '\n' ' ')"
row 'directory, umask' "$(pwd) $(umask)"
row 'standard input' "$(readlink /proc/1/fd/0)"
sleep 1000 &
until grep -q sleep "/proc/$!/comm"; do :; done
row 'open files' "$(find "/proc/$!/fd" -mindepth 1 -printf '%f\n' | sort | tr '\n' ' ')"
kill $!
row 'session, process group' "$(awk '{ print $5, $6 }' /proc/1/stat)"
row 'signals' "blocked $(status SigBlk), ignored $(status SigIgn)"
row 'nofile' "$(limit 'Max open files') $(ulimit -Hn)"
row 'nproc, core' "$(limit 'Max processes') $(ulimit -Sc) $(ulimit -Hc)"
row 'memlock' "$(ulimit -Sl) $(ulimit -Hl)"
row 'other limits' "stack $(ulimit -Ss) $(ulimit -Hs), fsize $(ulimit -Hf)"
row 'oom_score_adj' "$(cat /proc/1/oom_score_adj)"
row 'capabilities' "$([ "$(status CapEff)" = "$(status CapBnd)" ] && echo 'all'), inheritable $(status CapInh), ambient $(status CapAmb)"
row 'no_new_privs, seccomp' "$(status NoNewPrivs) $(status Seccomp)"
row 'AppArmor, SELinux' "$(cat /proc/self/attr/current 2>/dev/null || echo none)"
row 'session keyring' "$(grep -o '_[a-z_]*ses[^:]*' /proc/keys | sort -u | tr '\n' ' ')"
row 'user namespace' "$(awk '{ print $1, $2, $3 }' /proc/self/uid_map)"
row 'IPv6' "$(grep -c 00000000000000000000000000000001 /proc/net/if_inet6)"
for name in net/ipv4/ip_unprivileged_port_start net/ipv4/ping_group_range vm/max_map_count vm/overcommit_memory \
    fs/inotify/max_user_watches fs/inotify/max_user_instances net/core/somaxconn vm/swappiness; do
    row "$(echo "$name" | tr / .)" "$(tr '\t' ' ' </proc/sys/$name)"
done
row 'sigpending' "$(limit 'Max pending')"
row '/.dockerenv' "$(test -e /.dockerenv && echo there || echo missing)"
(exec 3>>/var/log/app.log && echo 'through a link' >&3)
echo 'all rows'
exec sleep infinity
