//! Logging in and out, at Debian's registry and on a terminal.

use std::io::{Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::program::PROGRAM;
use crate::support::registry::User;
use crate::support::registry::debian::{CREDENTIALS, Debian};
use crate::support::{Layout, Run, Tar, judge};
use crate::{args, judges};

/// Runs the program with something on its standard input; helpers are in `bin`, in the home directory.
fn with_input(user: &User, arguments: &[&str], input: &str) -> Run {
    let mut file = tempfile::tempfile_in(user.home()).unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    let path = format!("{}:/usr/bin:/bin", user.home().join("bin").display());
    Run::of(user.command().args(arguments).env("PATH", path).stdin(Stdio::from(file)))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Docker's file, below a home directory.
const DOCKER: &str = ".docker/config.json";

fn name_and_password() -> (&'static str, &'static str) {
    CREDENTIALS.split_once(':').unwrap()
}

/// A registry for those who know the password, with one image in it.
fn registry_with_image(layout: &Path) -> Debian {
    let registry = Debian::with_password();
    let layout = Layout::of(layout, [Tar::new().file("hello", "world")]);
    registry.push(layout.path(), "latest", "image:tag");
    registry
}

#[test]
fn what_was_logged_in_to_can_be_pulled_from_until_the_logout() {
    judges!("docker-registry", "skopeo");
    let user = User::new();
    let registry = registry_with_image(&user.path("layout"));
    let (host, reference) = (registry.host(), registry.reference("image:tag"));
    let (name, password) = name_and_password();
    let resolve = || user.run(["resolve", &reference]);
    resolve().expect(4);

    let run = with_input(&user, &["login", &host, "-u", name, "--password-stdin"], &format!("{password}\n")).ok();
    assert_eq!(run.stdout(), "");
    let file = user.home().join(DOCKER);
    let said = format!("logged in to {host} as {name} ({})\n", file.display());
    assert!(run.stderr().starts_with(&said), "{run}");
    run.says("unencrypted");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    resolve().ok();

    // Others read the same file.
    let image = format!("docker://{reference}");
    let authfile = file.to_str().unwrap();
    judge::ask("skopeo", ["inspect", "--tls-verify=false", "--authfile", authfile, &image]).ok();

    let run = user.run(["logout", &host]).ok();
    run.says(&format!("forgot the login to {host} ({authfile})"));
    resolve().expect(4);
    user.run(["logout", &host]).ok().says("there was nothing to forget");
}

/// What skopeo keeps is found here, and what is kept here skopeo removes.
#[test]
fn skopeo_and_banger_share_an_authfile() {
    judges!("docker-registry", "skopeo");
    let user = User::new();
    let registry = registry_with_image(&user.path("layout"));
    let (host, reference) = (registry.host(), registry.reference("image:tag"));
    let (name, password) = name_and_password();
    let authfile = user.path("auth.json");
    let authfile = authfile.to_str().unwrap();
    let skopeo = |arguments: &[&str]| judge::ask("skopeo", arguments);
    let resolve = || user.run(["resolve", &reference, "--authfile", authfile]);

    skopeo(&["login", "--tls-verify=false", "--authfile", authfile, "-u", name, "-p", password, &host]).ok();
    resolve().ok();
    user.run(["logout", &host, "--authfile", authfile]).ok();
    resolve().expect(4);

    with_input(&user, &["login", &host, "-u", name, "--password-stdin", "--authfile", authfile], password).ok();
    resolve().ok();
    skopeo(&["logout", "--authfile", authfile, &host]).ok();
    resolve().expect(4);
    assert!(!user.home().join(DOCKER).exists());
}

#[test]
fn a_wrong_password_is_not_kept() {
    judges!("docker-registry");
    let user = User::new();
    let registry = Debian::with_password();
    let run =
        with_input(&user, &["login", &registry.host(), "-u", "somebody", "--password-stdin"], "hunter2").expect(4);
    assert!(!run.stderr().contains("hunter2"), "{run}");
    run.says("nothing was kept");
    assert!(!user.home().join(DOCKER).exists());
}

#[test]
fn a_helper_keeps_the_password_where_one_is_configured() {
    judges!("docker-registry");
    let user = User::new();
    let registry = Debian::with_password();
    let host = registry.host();
    let (name, password) = name_and_password();
    user.write(DOCKER, json!({ "credsStore": "test", "psFormat": "x" }).to_string());
    let login = || with_input(&user, &["login", &host, "-u", name, "--password-stdin"], password);
    login().expect(4).says("install docker-credential-test").says(DOCKER);

    let kept = user.path("kept");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat > {kept} ;;\nget) cat {kept} ;;\nerase) rm {kept} ;;\nesac\n",
        kept = kept.display()
    );
    // Another process copies it: what this one has open for writing, a child of another test may still hold.
    let script = user.write("script", script);
    std::fs::create_dir(user.home().join("bin")).unwrap();
    judge::ask("install", args!["-m", "755", script, user.home().join("bin/docker-credential-test")]).ok();
    let run = login().ok().says("docker-credential-test");
    assert!(!run.stderr().contains("unencrypted"), "{run}");
    assert_eq!(json(&kept), json!({ "ServerURL": host, "Username": name, "Secret": password }));
    assert_eq!(
        json(&user.home().join(DOCKER)),
        json!({ "credsStore": "test", "psFormat": "x", "auths": { host: {} } })
    );

    with_input(&user, &["logout", "--all"], "").ok().says("docker-credential-test");
    assert!(!kept.exists());
}

#[test]
fn a_login_that_cannot_be_is_a_usage_error() {
    let user = User::new();
    for (arguments, said) in [
        (&["login", "q.io", "-u", "anna"][..], "--password-stdin"),
        (&["login", "q.io"], "--username"),
        (&["login", "q.io", "--password-stdin"], "--username"),
        (&["login", "q.io", "-u", "anna", "-p", "x", "--password-stdin"], "cannot be used with"),
        (&["login", "q.io", "-u", "anna", "--password-stdin"], "the password is empty"),
        (&["login", "q.io", "-u", "", "-p", "x"], "the user name is empty"),
        (&["login", "quay.io/team", "-u", "anna", "-p", "x"], "host alone"),
        (&["login", "quay", "-u", "anna", "-p", "x"], "a dot or a port"),
        (&["logout", "quay", "--all"], "cannot be used with"),
        (&["logout", "q.io", "--authfile", "/nonexistent"], "/nonexistent"),
    ] {
        with_input(&user, arguments, "").expect(2).says(said);
    }
    user.write(DOCKER, "{");
    with_input(&user, &["logout", "q.io"], "").expect(2).says(DOCKER);
    assert_eq!(std::fs::read(user.home().join(DOCKER)).unwrap(), b"{");
}

#[test]
fn a_password_on_the_command_line_is_warned_of() {
    judges!("docker-registry");
    let user = User::new();
    let registry = Debian::with_password();
    let (name, password) = name_and_password();
    let run = user.run(["login", &registry.host(), "-u", name, "-p", password]).ok();
    run.says("warning: a password on the command line");
}

/// A terminal on which the program is run, after which the shell says how it ended and what the terminal is like.
struct Terminal {
    script: Child,
    shown: String,
}

impl Terminal {
    fn new(user: &User, arguments: &str) -> Self {
        let line = format!(
            "trap : INT; stty -a > {before}; {PROGRAM} {arguments}; echo ended with $?; stty -a > {after}; echo it is over",
            before = user.path("before").display(),
            after = user.path("after").display()
        );
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]).env_clear().env("HOME", user.home()).env("PATH", "/usr/bin:/bin");
        let script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { script, shown: String::new() }
    }

    /// Waits until this is shown.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> &mut Self {
        let mut byte = [0];
        while !self.shown.contains(text) {
            let length = self.script.stdout.as_mut().unwrap().read(&mut byte).unwrap();
            assert_eq!(length, 1, "{text:?} is not in {:?}", self.shown);
            self.shown.push(char::from(byte[0]));
        }
        self
    }

    fn type_in(&mut self, text: &str) -> &mut Self {
        let input = self.script.stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).unwrap();
        self
    }

    /// What was shown, and whether the terminal is as it was.
    fn end(mut self, user: &User) -> String {
        self.wait_for("it is over");
        drop(self.script.stdin.take());
        let _ = self.script.wait();
        let settings = |name: &str| std::fs::read_to_string(user.path(name)).unwrap();
        assert_eq!(settings("before"), settings("after"));
        self.shown
    }
}

#[test]
fn a_terminal_is_asked_and_does_not_show_the_password() {
    judges!("docker-registry", "script", "stty");
    let user = User::new();
    let registry = Debian::with_password();
    let host = registry.host();
    let (name, password) = name_and_password();
    let mut terminal = Terminal::new(&user, &format!("login {host}"));
    terminal.wait_for(&format!("User name for {host}: ")).type_in(&format!("{name}\n"));
    terminal.wait_for(&format!("Password of {name} for {host}: ")).type_in(&format!("x\x7f{password}\r"));
    let shown = terminal.end(&user);
    assert!(shown.contains("logged in to") && shown.contains("ended with 0"), "{shown:?}");
    assert!(!shown.contains(password), "{shown:?}");
    assert!(user.home().join(DOCKER).exists());
}

#[test]
fn a_terminal_is_as_it_was_after_ctrl_c() {
    judges!("script", "stty");
    let user = User::new();
    let mut terminal = Terminal::new(&user, "login q.io -u anna");
    terminal.wait_for("Password of anna for q.io: ").type_in("secr\x03");
    let shown = terminal.end(&user);
    // 128 and the number of SIGINT.
    assert!(shown.contains("ended with 130"), "{shown:?}");
    assert!(!shown.contains("secr"), "{shown:?}");
    assert!(!user.home().join(DOCKER).exists());
}
