//! Who may run machines, and who is answered in them.

use crate::args;
use crate::judges;
use crate::support::corpus::repository;
use crate::support::image::build;
use crate::support::judge::ask;
use crate::support::nobody::{self, NOBODY, open_to_all};
use crate::support::program::{PROGRAM, source};
use crate::support::{Corpus, Machines, Run};

/// Asks the agent from inside of the guest, where the context id is not that of the host. `sockaddr_vm` is what vsock(7) says.
const ASK_FROM_INSIDE: &str = r#"
/busybox modprobe vsock_loopback || exit 9
exec perl -e '
    socket(my $s, 40, 1, 0) or die "socket: $!";
    connect($s, pack("SSLLx4", 40, 0, 10240, 1)) or die "connect: $!";
    print "connected\n";
    $SIG{PIPE} = "IGNORE";
    syswrite($s, "GET /healthz HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n");
    my $count = sysread($s, my $answer, 100);
    print "answer ", length($answer // ""), "\n";
'"#;

/// The machine is told of over serial ports: vsock is there, and nobody on it is the host.
#[test]
fn who_is_not_the_host_is_not_answered() {
    judges!("busybox");
    let Some(machines) = Machines::without_vsock() else { return };
    let Some(corpus) = Corpus::get("debian-min") else { return };
    let image = machines.path("image");
    let modules = repository().join("target/kernel/modules");
    // The image has no modprobe.
    let busybox = ask("sh", args!["-c", "command -v busybox"]).ok().stdout();
    let add = format!("{}:/busybox", busybox.trim());
    build(source("oci", &corpus.layout), &image, args!["--modules", modules, "--add", add]);
    let out = machines.run(args!["--rm", image, "--", "sh", "-c", ASK_FROM_INSIDE]).ok().stdout();
    assert_eq!(out, "connected\nanswer 0\n");
}

#[test]
fn nobody_runs_a_machine() {
    judges!("root", "setpriv");
    let Some(machines) = Machines::without_vsock() else { return };
    // Where the build is may be closed to others.
    let scratch = tempfile::tempdir().unwrap();
    open_to_all(scratch.path());
    let [program, kernel, home] = ["banger", "kernel", "home"].map(|name| scratch.path().join(name));
    std::fs::copy(PROGRAM, &program).unwrap();
    open_to_all(&program);
    ask("cp", args!["-r", repository().join("target/kernel"), kernel]).ok();
    ask("chmod", args!["-R", "a+rX", kernel]).ok();
    std::fs::create_dir(&home).unwrap();
    ask("chown", args![NOBODY, home]).ok();

    let mut command = nobody::command();
    command.args(args![
        program,
        "run",
        "--rm",
        "--kernel",
        kernel.join("vmlinuz"),
        "--modules",
        kernel.join("modules")
    ]);
    command.args(["--channel", "serial", "--hostname", "nobodys", "demo:"]);
    command.env_clear().env("HOME", &home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let _permit = machines.permit();
    let out = Run::of(&mut command).ok().stdout();
    assert!(out.contains("host name   nobodys\n"), "{out}");
}
