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
    run_on_terminal(user, 80, &format!("{PROGRAM} {line}")).ok().stdout()
}

/// Runs a command line on a terminal of so many columns.
fn run_on_terminal(user: &User, columns: usize, line: &str) -> Run {
    let mut script = Command::new("script");
    let line = format!("stty columns {columns} rows 24; {line}");
    script.args(["-qec", &line, "/dev/null"]).env_clear().env("HOME", user.home()).env("TERM", "xterm");
    script.env("PATH", "/usr/bin:/bin");
    Run::of(script.current_dir(user.home()).stdin(Stdio::null()))
}

/// What has been drawn on a terminal of so many columns, line by line, without what moves the cursor.
fn drawn(shown: &str, columns: usize) -> Vec<String> {
    let mut text = String::new();
    let mut characters = shown.chars();
    while let Some(character) = characters.next() {
        if character != '\x1b' {
            text.push(character);
            continue;
        }
        // CSI, parameters, a letter.
        characters.next();
        characters.find(|character| character.is_ascii_alphabetic());
    }
    // A line that is as long as the terminal is wide needs nothing to begin the next one.
    let wrap = |line: &str| -> Vec<String> {
        let characters: Vec<char> = line.chars().collect();
        characters.chunks(columns).map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect()
    };
    text.split(['\r', '\n']).flat_map(wrap).filter(|line| !line.is_empty()).collect()
}

/// Two layers at once, on terminals of several widths: each bar fits, says how much of how much, and no two have one name.
#[test]
fn bars_fit_into_narrow_terminals_in_the_order_of_the_layers() {
    judges!("script", "stty");
    for columns in [40, 56, 80] {
        let scratch = scratch();
        // The second begins first: it is asked for while the first has to wait.
        let layers = [1_u8, 2].map(|number| Tar::new().file("large", vec![number; 3 << 20]));
        let content = Content::of(Layout::of(scratch.path().join("layout"), layers).path());
        let first = content.blobs_of("latest")[1].clone();
        let asked = AtomicBool::new(false);
        let server = content.serve_with(move |request: &Request| {
            let wait = request.blob() == Some(&first) && !asked.swap(true, Ordering::SeqCst);
            wait.then(|| Answer::error(429, "TOOMANYREQUESTS", "slow down").header("Retry-After", "1"))
        });
        server.limit_rate(2 << 20);
        let line = format!("{PROGRAM} fetch {}", server.reference("some/image"));
        let shown = run_on_terminal(&User::new(), columns, &line).ok().stdout();
        let lines = drawn(&shown, columns);
        let bars: Vec<&String> = lines.iter().filter(|line| line.contains('[')).collect();
        assert!(bars.len() > 3, "{columns}: {lines:#?}");
        for bar in &bars {
            let whole = if columns < 50 {
                bar.ends_with('%')
            } else {
                bar.contains("B/") && bar.contains("/3.00 MiB") || bar.contains("/6.00 MiB")
            };
            assert!(whole, "{columns}: {bar:?}");
            let is_known = ["1/2 ", "2/2 ", "all layers"].iter().any(|name| bar.starts_with(name));
            assert!(is_known, "{columns}: {bar:?}");
        }
        // Where both are drawn, the lower layer is above.
        let both = bars.windows(2).filter(|pair| pair[0].starts_with("1/2 ") && pair[1].starts_with("2/2 ")).count();
        let swapped = bars.windows(3).filter(|three| {
            three[0].starts_with("2/2 ") && three[1].starts_with("1/2 ") && three[2].starts_with("all layers")
        });
        assert!(both > 0, "{columns}: {lines:#?}");
        assert_eq!(swapped.count(), 0, "{columns}: {lines:#?}");
    }
}

/// Ctrl-C ends the process as it always does; before that the bars go, and the last line says what is left.
#[test]
fn the_last_word_after_an_interrupt() {
    judges!("script", "stty", "timeout");
    for (command, says) in [("fetch", "the next fetch goes on"), ("build -o image", "the image was not written")] {
        let server = server(20 << 20, false);
        server.limit_rate(1 << 20);
        let user = User::new();
        let line = format!("timeout --foreground -s INT 3 {PROGRAM} {command} {}", server.reference("some/image"));
        let run = run_on_terminal(&user, 80, &line);
        assert_ne!(run.code(), Some(0), "{run}");
        let shown = run.stdout();
        let lines = drawn(&shown, 80);
        // It may be longer than the terminal is wide; no bar follows.
        let first = lines.iter().position(|line| line.starts_with("interrupted: "));
        let last = first.map(|first| lines[first..].concat()).unwrap_or_default();
        assert!(last.contains(says) && !last.contains('['), "{command}: {lines:#?}");
        assert!(!shown.contains("\x1b[?25l"), "the cursor is hidden: {shown:?}");
        assert!(!user.home().join("image").exists());
    }
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
