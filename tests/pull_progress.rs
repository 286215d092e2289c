//! What is shown while something is pulled: in lines, and as bars on a terminal.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::args;
use crate::judges;
use crate::support::program::PROGRAM;
use crate::support::registry::{Answer, Content, Request, Server, User};
use crate::support::snapshot::check;
use crate::support::{Layout, Run, Tar, scratch};

/// A registry with an image of two layers. It asks to wait for a second before it gives out the first one.
fn server(bytes: usize, waits: bool) -> Server {
    let scratch = scratch();
    let [lower, upper] = [Tar::new().file("large", vec![b'x'; bytes]), Tar::new().file("small", "x")];
    let content = Content::of(Layout::of(scratch.path().join("layout"), [lower, upper]).path());
    let first = content.blobs_of("latest")[1].clone();
    let asked = AtomicBool::new(!waits);
    content.serve_with(move |request: &Request| {
        let wait = request.blob() == Some(&first) && !asked.swap(true, Ordering::SeqCst);
        wait.then(|| Answer::error(429, "TOOMANYREQUESTS", "slow down").header("Retry-After", "1"))
    })
}

/// What is the same for everybody of what a pull says.
fn told(run: &Run, server: &Server) -> String {
    let text = run.stderr().replace(&server.host(), "HOST");
    let same = |line: &str| match line {
        // Depends on the machine.
        line if line.starts_with("digest sha256:") => "digest [DIGEST]\n".to_owned(),
        line if line.starts_with("content id sha256:") => "content id [DIGEST]\n".to_owned(),
        line if line.starts_with("image: 1.0 GiB, ") => "image: 1.0 GiB, [SIZE, ENTRIES, TIME]\n".to_owned(),
        line => format!("{line}\n"),
    };
    text.lines().map(same).collect()
}

#[test]
fn where_nobody_watches_there_is_a_line_for_each_layer() {
    let server = server(50_000, true);
    let reference = server.reference("some/image");
    let user = User::new();
    let mut text = String::new();
    for arguments in [
        &["fetch", &reference, "--jobs", "1"][..],
        &["fetch", &reference],
        &["build", &reference, "-o", "image", "--no-sync", "--jobs", "1"],
        &["resolve", &reference],
    ] {
        let run = Run::of(user.command().args(arguments).current_dir(user.home())).ok();
        let is_resolve = arguments[0] == "resolve";
        assert_eq!(run.stdout().is_empty(), !is_resolve, "{run}");
        text += &format!("$ banger {}\n{}\n", arguments.join(" ").replace(&reference, "REF"), told(&run, &server));
    }
    check("progress-pull", &text);
    // Nothing is told to who wants to hear nothing.
    let quiet = user.fetch(&reference, &["--quiet"]).ok();
    assert_eq!((quiet.stderr().as_str(), quiet.stdout().lines().count()), ("", 1));
}

/// Runs the program on a terminal of 80 columns.
fn on_terminal(user: &User, line: &str) -> String {
    let mut script = Command::new("script");
    let line = format!("stty columns 80 rows 24; {PROGRAM} {line}");
    script.args(["-qec", &line, "/dev/null"]).env_clear().env("HOME", user.home()).env("TERM", "xterm");
    script.env("PATH", "/usr/bin:/bin");
    Run::of(script.current_dir(user.home()).stdin(Stdio::null())).ok().stdout()
}

#[test]
fn a_terminal_shows_rate_and_time_left() {
    judges!("script", "stty");
    const BYTES: usize = 6 << 20;
    for command in ["fetch", "build --no-sync -o image"] {
        let server = server(BYTES, true);
        server.limit_rate(4 << 20);
        let host = server.host();
        let shown = on_terminal(&User::new(), &format!("{command} {}", server.reference("some/image")));
        for text in [
            &format!("{host}/some/image:latest"),
            "2 layers, 6.0 MiB",
            "iB/s, ",
            "s left",
            "all layers",
            "layer 1/2 sha256:",
            "layer 2/2 sha256:",
            &format!("{host} asks to wait 1 s"),
        ] {
            assert!(shown.contains(text), "{command}: {text:?} is not in {shown:?}");
        }
        // No bar goes beyond its end: nothing counts twice.
        let mut last = 0.0;
        for drawn in shown.split("all layers").skip(1) {
            let bar = drawn.split_once("] ").map_or(drawn, |(_, rest)| rest);
            let (done, total) = bar.split_once('/').unwrap();
            assert!(total.starts_with("6.00 MiB"), "{drawn:?}");
            if let Some(done) = done.strip_suffix(" MiB") {
                last = f64::max(last, done.parse().unwrap());
            }
            assert!(last <= 6.0, "{drawn:?}");
        }
        assert!(last > 1.0, "{command}: {shown:?}");
    }
}

#[test]
fn a_build_of_what_is_in_the_cache_has_bars_too() {
    judges!("script", "stty");
    let server = server(20 << 20, false);
    let user = User::new();
    Run::of(user.command().args(args!["fetch", server.reference("some/image")])).ok();
    let shown = on_terminal(&user, &format!("build --no-sync -o image {} --offline", server.reference("some/image")));
    for text in ["2 layers, 20.0 MiB, in the cache", "layer 1/2 sha256:", "all layers", "content id sha256:"] {
        assert!(shown.contains(text), "{text:?} is not in {shown:?}");
    }
}
