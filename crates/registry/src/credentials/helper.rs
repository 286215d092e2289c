//! Programs that keep credentials: `docker-credential-NAME get|store|erase`, as Docker's documentation has their protocol.
//!
//! A program is asked on its standard input and answers on its standard output: `get` and `erase` read the server's name,
//! `get` answers with a JSON object, `store` reads one. What it does not know it says with an exit code and a fixed
//! sentence, where other programs would print an error.
//!
//! A name comes from a file, so it must not become a path; the program has half a minute, and its answer a limit.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Credential;
use super::file::credential;
use crate::Error;
use crate::limits::{HELPER_BYTES, HELPER_COMPLAINT, HELPER_TIME};
use crate::words::shown;

/// How the names of all these programs begin.
const PREFIX: &str = "docker-credential-";

/// What a program says when it has nothing for a server ("credentials not found in native keychain").
const NOT_FOUND: &str = "credentials not found";

/// How often to look whether a program has ended that leaves its outputs open: a daemon that it has started holds them.
const TICK: Duration = Duration::from_millis(20);

/// How long to wait for the rest of the answer of a program that has ended.
const GRACE: Duration = Duration::from_millis(500);

/// Where helpers are found, and what they are allowed.
#[derive(Clone, Debug)]
pub(super) struct Helpers {
    path: OsString,
    limit: Duration,
}

/// One program, and the file that names it.
#[derive(Debug)]
pub(super) struct Helper<'a> {
    helpers: &'a Helpers,
    program: String,
    file: &'a Path,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    #[serde(default, rename = "ServerURL")]
    server: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Helpers {
    /// Programs are looked for in the directories of `path`, which is like `PATH`.
    pub(super) fn new(path: Option<&OsStr>) -> Self {
        Self { path: path.unwrap_or_default().to_owned(), limit: HELPER_TIME }
    }

    /// The program that `file` calls `name`.
    pub(super) fn named<'a>(&'a self, name: &str, file: &'a Path) -> Result<Helper<'a>, Error> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with(['-', '.']) || !name.chars().all(is_plain) {
            let reason = format!("\"{}\" cannot be the name of a credential helper", shown(name));
            return Err(Error::Settings { what: file.display().to_string(), reason });
        }
        Ok(Helper { helpers: self, program: format!("{PREFIX}{name}"), file })
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        // A relative directory would let whoever owns the working directory choose the program.
        let directories = std::env::split_paths(&self.path).filter(|directory| directory.is_absolute());
        directories.map(|directory| directory.join(program)).find(|path| {
            path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
        })
    }
}

impl Helper<'_> {
    /// The program's name.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// What the program has for a server.
    pub(super) fn get(&self, server: &str) -> Result<Option<Credential>, Error> {
        let answer = self.run("get", server.as_bytes())?;
        if !answer.status.success() {
            return if answer.is_not_found() { Ok(None) } else { Err(self.refused("get", server, &answer)) };
        }
        // What the parser would say might quote the secret.
        let kept: Kept = serde_json::from_slice(&answer.output)
            .map_err(|_| self.error(format!("its answer for {server} is not what it should be")))?;
        Ok(credential(kept.username, kept.secret))
    }

    /// Has the program keep a password.
    pub(super) fn store(&self, server: &str, username: &str, secret: &str) -> Result<(), Error> {
        let kept = Kept { server: server.to_owned(), username: username.to_owned(), secret: secret.to_owned() };
        let input = serde_json::to_vec(&kept).map_err(|error| self.error(error.to_string()))?;
        let answer = self.run("store", &input)?;
        if answer.status.success() { Ok(()) } else { Err(self.refused("store", server, &answer)) }
    }

    /// Has the program forget what it has for a server. Says whether there was anything: not every program would say that
    /// when it is told to forget, so it is asked before. What it cannot give out it may still be able to forget.
    pub(super) fn erase(&self, server: &str) -> Result<bool, Error> {
        if let Ok(None) = self.get(server) {
            return Ok(false);
        }
        let answer = self.run("erase", server.as_bytes())?;
        if answer.status.success() || answer.is_not_found() {
            Ok(true)
        } else {
            Err(self.refused("erase", server, &answer))
        }
    }

    fn run(&self, action: &str, input: &[u8]) -> Result<Answer, Error> {
        let path = self.helpers.find(&self.program).ok_or_else(|| {
            let remedy = package_of(&self.program);
            self.error(format!("there is no such program on the PATH; {remedy}, or take it out of that file"))
        })?;
        let started = Instant::now();
        let mut child = Command::new(&path)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.error(format!("cannot run {}: {error}", path.display())))?;
        let answer = talk(&mut child, input, || self.helpers.limit.saturating_sub(started.elapsed()));
        if answer.is_err() {
            // It may have ended meanwhile. Without its end a dead process would stay in the list of processes.
            let _ = child.kill();
            let _ = child.wait();
        }
        answer.map_err(|stopped| {
            self.error(match stopped {
                Stopped::Late => format!("it did not answer within {} s and was stopped", self.helpers.limit.as_secs()),
                Stopped::Long => format!("its answer is longer than {} MiB", HELPER_BYTES >> 20),
                Stopped::Failed(error) => format!("cannot talk to it: {error}"),
            })
        })
    }

    fn refused(&self, action: &str, server: &str, answer: &Answer) -> Error {
        let said = answer.words();
        let colon = if said.is_empty() { "" } else { ": " };
        self.error(format!("`{action}` for {server} failed with {}{colon}{said}", answer.status))
    }

    fn error(&self, reason: String) -> Error {
        Error::Helper { program: self.program.clone(), file: self.file.display().to_string(), reason }
    }
}

/// What a program has answered.
struct Answer {
    status: ExitStatus,
    output: Vec<u8>,
    complaint: Vec<u8>,
}

impl Answer {
    fn is_not_found(&self) -> bool {
        [&self.output, &self.complaint]
            .into_iter()
            .any(|text| String::from_utf8_lossy(text).to_ascii_lowercase().contains(NOT_FOUND))
    }

    /// What a program says about its failure, on one line: reasons go to standard output by the protocol. What looks like
    /// an answer there might be a secret.
    fn words(&self) -> String {
        let output = if self.output.contains(&b'{') { &[][..] } else { &self.output };
        let words: Vec<String> = [output, &self.complaint]
            .map(|text| String::from_utf8_lossy(text).split_whitespace().collect::<Vec<_>>().join(" "))
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        shown(&words.join("; "))
    }
}

/// Why a program was not heard out.
enum Stopped {
    Late,
    Long,
    Failed(io::Error),
}

/// Gives a program its input and takes its outputs, all at the same time, for as long as there is time `left`.
fn talk(child: &mut Child, input: &[u8], left: impl Fn() -> Duration) -> Result<Answer, Stopped> {
    enum Piece {
        Output(Vec<u8>),
        Complaint(Vec<u8>),
    }
    // The threads end with the pipes, which a daemon may hold longer than the program lives: nobody waits for them.
    let (sender, pieces) = mpsc::sync_channel(4);
    if let Some(output) = child.stdout.take() {
        pump(output, sender.clone(), Piece::Output);
    }
    if let Some(complaint) = child.stderr.take() {
        pump(complaint, sender.clone(), Piece::Complaint);
    }
    drop(sender);
    if let Some(mut pipe) = child.stdin.take() {
        let input = input.to_owned();
        // A program that does not want to read all of it says so in its answer.
        std::thread::spawn(move || {
            let _ = pipe.write_all(&input);
        });
    }

    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let mut is_closed = false;
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        if left().is_zero() {
            return Err(Stopped::Late);
        }
        match pieces.recv_timeout(TICK.min(left())) {
            Ok(Piece::Output(bytes)) => {
                output.extend_from_slice(&bytes);
                if output.len() > HELPER_BYTES {
                    return Err(Stopped::Long);
                }
            }
            Ok(Piece::Complaint(bytes)) => {
                let room = HELPER_COMPLAINT.saturating_sub(complaint.len());
                complaint.extend(bytes.into_iter().take(room));
            }
            Err(RecvTimeoutError::Timeout) => {}
            // Both outputs are closed; the program is about to end.
            Err(RecvTimeoutError::Disconnected) => {
                is_closed = true;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if ended.is_none() {
            ended = child.try_wait().map_err(Stopped::Failed)?.map(|status| (status, Instant::now()));
        }
        if let Some((status, at)) = ended
            && (is_closed || at.elapsed() > GRACE)
        {
            return Ok(Answer { status, output, complaint });
        }
    }
}

/// Sends on what can be read, until there is no more or nobody listens.
fn pump<T: Send + 'static>(mut from: impl Read + Send + 'static, to: SyncSender<T>, wrap: fn(Vec<u8>) -> T) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let piece = buffer.get(..length).unwrap_or_default().to_owned();
            if to.send(wrap(piece)).is_err() {
                break;
            }
        }
    });
}

/// How to get the well-known programs.
fn package_of(program: &str) -> String {
    let package = match program.strip_prefix(PREFIX).unwrap_or_default() {
        "pass" | "secretservice" => "golang-docker-credential-helpers (Debian, Ubuntu)",
        "ecr-login" => "amazon-ecr-credential-helper (Debian, Ubuntu)",
        "gcloud" => "Google Cloud's command line",
        "desktop" => "Docker Desktop",
        _ => return format!("install {program}"),
    };
    format!("it comes with {package}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A directory with a program `docker-credential-fake` that is this shell script.
    ///
    /// Another process writes it: if this one did, a child that another test starts meanwhile would hold it open for
    /// writing, and it could not be run.
    fn fake(script: &str) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let mut install = Command::new("install")
            .args(["-m", "755", "/dev/stdin"])
            .arg(directory.path().join("docker-credential-fake"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        write!(install.stdin.take().unwrap(), "#!/bin/sh\n{script}\n").unwrap();
        assert!(install.wait().unwrap().success());
        directory
    }

    fn with<T>(script: &str, ask: impl FnOnce(&Helper<'_>) -> T) -> T {
        let directory = fake(script);
        let helpers = Helpers { path: directory.path().into(), limit: Duration::from_secs(10) };
        ask(&helpers.named("fake", Path::new("/config.json")).unwrap())
    }

    fn get(script: &str) -> Result<Option<Credential>, String> {
        with(script, |helper| helper.get("q.io").map_err(|error| error.to_string()))
    }

    #[test]
    fn answers_are_credentials() {
        let basic = |username: &str, password: &str| {
            Ok(Some(Credential::Basic { username: username.to_owned(), password: password.to_owned() }))
        };
        let answer = |username: &str, secret: &str| {
            format!(r#"echo '{{"ServerURL":"q.io","Username":"{username}","Secret":"{secret}"}}'"#)
        };
        assert_eq!(get(&answer("anna", "se:cret")), basic("anna", "se:cret"));
        assert_eq!(get(&answer("<token>", "abc")), Ok(Some(Credential::IdentityToken("abc".to_owned()))));
        assert_eq!(get(&answer("", "")), Ok(None));
        assert_eq!(get("echo '{}'"), Ok(None));
        // The server's name comes without a newline, and the action as an argument.
        let echo = r#"read -r server; printf '{"Username":"%s","Secret":"%s"}' "$1" "$server""#;
        assert_eq!(get(echo), basic("get", "q.io"));
        // Nobody has to read the input, and noise on standard error does not matter.
        assert_eq!(get(&format!("echo noise >&2; exec <&-; {}", answer("anna", "x"))), basic("anna", "x"));
    }

    #[test]
    fn nothing_found_is_no_error() {
        assert_eq!(get("echo 'credentials not found in native keychain'; exit 1"), Ok(None));
        assert_eq!(get("echo 'Error: Credentials not found' >&2; exit 1"), Ok(None));
    }

    #[test]
    fn errors_name_the_program_and_its_file_and_no_secret() {
        for (script, expected) in [
            ("echo 'the keychain is locked'; exit 1", "exit status: 1: the keychain is locked"),
            ("echo 'not now' >&2; exit 3", "exit status: 3: not now"),
            ("kill -9 $$", "signal: 9"),
            (r#"echo '{"Secret":"hunter2"}'; exit 1"#, "exit status: 1"),
            (r#"echo '{"Secret":"hunter2'"#, "not what it should be"),
            (r#"echo '{"Username":"hunter2", "Secret":["hunter2"]}'"#, "not what it should be"),
            ("echo hunter2", "not what it should be"),
            ("true", "not what it should be"),
        ] {
            let error = get(script).expect_err(script);
            assert!(error.contains("docker-credential-fake") && error.contains("/config.json"), "{error}");
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
        let error = get("yes 'no way' | head -n 100000 >&2; exit 1").unwrap_err();
        assert!(error.len() < 500 && error.contains("no way") && error.ends_with("..."), "{error}");
    }

    #[test]
    fn time_and_answers_are_limited() {
        let directory = fake("exec sleep 100");
        let helpers = Helpers { path: directory.path().into(), limit: Duration::from_millis(300) };
        let started = Instant::now();
        let error = helpers.named("fake", Path::new("/f")).unwrap().get("q.io").unwrap_err().to_string();
        assert!(error.contains("did not answer"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));

        let error = get("exec yes").unwrap_err();
        assert!(error.contains("longer than 1 MiB"), "{error}");
    }

    #[test]
    fn a_daemon_that_stays_is_not_waited_for() {
        let started = Instant::now();
        let found = get(r#"sleep 8 & echo '{"Username":"anna","Secret":"x"}'"#).unwrap();
        assert!(found.is_some());
        assert!(started.elapsed() < Duration::from_secs(6));
    }

    #[test]
    fn a_large_secret_goes_both_ways() {
        let secret = "x".repeat(300_000);
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().join("kept").display().to_string();
        let script = format!(
            r#"case $1 in store) cat > {kept};; get) cat {kept} 2>/dev/null || {{ echo 'credentials not found'; exit 1; }};;
               erase) rm {kept};; esac"#
        );
        with(&script, |helper| {
            assert!(!helper.erase("q.io").unwrap());
            helper.store("q.io", "anna", &secret).unwrap();
            let expected = Credential::Basic { username: "anna".to_owned(), password: secret.clone() };
            assert_eq!(helper.get("q.io").unwrap(), Some(expected));
            assert!(helper.erase("q.io").unwrap());
            assert_eq!(helper.get("q.io").unwrap(), None);
        });
    }

    #[test]
    fn what_cannot_be_given_out_can_be_forgotten() {
        let script = "[ $1 = erase ] || { echo 'the keychain is locked'; exit 1; }";
        with(script, |helper| assert!(helper.erase("q.io").unwrap()));
        with("exit 1", |helper| assert!(helper.erase("q.io").is_err()));
    }

    #[test]
    fn names_do_not_become_paths() {
        let helpers = Helpers::new(None);
        for name in ["", "-x", "../x", "a/b", "/bin/sh", ".", "a b", "a\nb", "a\0"] {
            let error = helpers.named(name, Path::new("/config.json")).expect_err(name).to_string();
            assert!(error.starts_with("/config.json: ") && !error.contains('\n'), "{error}");
        }
        assert!(helpers.named("desktop.exe", Path::new("/f")).is_ok());
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_its_remedy() {
        let directory = fake("true");
        let not_to_be_run = directory.path().join("docker-credential-data");
        std::fs::write(not_to_be_run, "").unwrap();
        let helpers = Helpers::new(Some(directory.path().as_os_str()));
        for (name, remedy) in
            [("nosuch", "install docker-credential-nosuch"), ("data", "install"), ("ecr-login", "amazon")]
        {
            let error = helpers.named(name, Path::new("/config.json")).unwrap().get("q.io").unwrap_err().to_string();
            assert!(error.contains("/config.json") && error.contains(remedy), "{error}");
        }
        // The working directory is no place for programs.
        let helpers = Helpers::new(Some(OsStr::new(".:")));
        assert!(helpers.named("fake", Path::new("/f")).unwrap().get("q.io").is_err());
    }
}
