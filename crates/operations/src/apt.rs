//! Packages by apt, on systems that have it: apt-cache(8) knows what there is, apt-get(8) downloads and checks it.
//!
//! Nothing is installed, and root is not needed. The package lists are the system's; where it has none, or they name files that the
//! mirror no longer has, current ones are fetched into a directory of our own, from the same sources and checked by the same keys.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use banger_api::{ErrorKind, Problem, Result};
use banger_kernel::control::Control;

use crate::problem::of_file;

/// Programs of apt.
const GET: &str = "apt-get";
const CACHE: &str = "apt-cache";
/// A package that every list of Debian's has.
const ANY: &str = "apt";
/// Bytes that are read of what a program writes: the record of a package has some kilobytes.
const OUTPUT_BYTES: u64 = 4 << 20;
/// How often a program that runs is looked at.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines of a program's complaint that are passed on.
const COMPLAINTS: usize = 3;
/// What the system does after an update of its own lists, which these are not (apt.conf(5)).
const CONFIG: &str =
    "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n";

/// The programs of apt, and the lists that they use.
#[derive(Clone, Debug)]
pub(crate) struct Apt {
    get: PathBuf,
    cache: PathBuf,
    /// Where lists of our own are, if those are used.
    lists: Option<PathBuf>,
}

/// A package that is to be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Download {
    /// The name of its file.
    pub(crate) name: String,
    /// Bytes of it.
    pub(crate) size: u64,
}

impl Apt {
    /// The programs, if this system has them, with the system's lists.
    pub(crate) fn find() -> Option<Self> {
        Self::find_in(&std::env::var_os("PATH")?)
    }

    fn find_in(path: &OsString) -> Option<Self> {
        let program = |name: &str| std::env::split_paths(path).map(|path| path.join(name)).find(|path| path.is_file());
        Some(Self { get: program(GET)?, cache: program(CACHE)?, lists: None })
    }

    /// Whether there are any package lists.
    pub(crate) fn has_lists(&self, go_on: &dyn Fn() -> bool) -> Result<bool> {
        let output = self.run(&self.cache, &["madison", ANY], None, go_on)?;
        Ok(!output.text.trim().is_empty())
    }

    /// Fetches current package lists into a directory, and uses them from now on.
    pub(crate) fn update(&mut self, directory: &Path, go_on: &dyn Fn() -> bool) -> Result<()> {
        for below in ["lists/partial", "archives/partial"] {
            let path = directory.join(below);
            fs::create_dir_all(&path).map_err(|error| of_file("create", &path, &error))?;
        }
        let path = directory.join("apt.conf");
        fs::write(&path, CONFIG).map_err(|error| of_file("write", &path, &error))?;
        self.lists = Some(directory.to_owned());
        let output = self.run(&self.get, &["-q", "update"], None, go_on)?;
        // One source that does not answer is no reason to do without the others.
        if output.status.success() || self.has_lists(go_on)? { Ok(()) } else { Err(output.failure("update its lists")) }
    }

    /// What a package says of itself, in the version that apt would install. None if apt knows no such package.
    pub(crate) fn show(&self, package: &str, go_on: &dyn Fn() -> bool) -> Result<Option<Control>> {
        let output = self.run(&self.cache, &["show", "--no-all-versions", package], None, go_on)?;
        Ok(Control::parse(&output.text))
    }

    /// The files of packages, which are named as `NAME:ARCHITECTURE=VERSION`.
    pub(crate) fn files(&self, packages: &[String], go_on: &dyn Fn() -> bool) -> Result<Vec<Download>> {
        let arguments = arguments(&["-q", "--print-uris", "download"], packages);
        let output = self.run(&self.get, &arguments, None, go_on)?;
        if output.status.success() { Ok(parse_uris(&output.text)) } else { Err(output.failure("find the packages")) }
    }

    /// Downloads packages into a directory. `progress` is given the bytes that are there, again and again.
    pub(crate) fn download(
        &self,
        packages: &[String],
        into: &Path,
        progress: &dyn Fn(u64),
        go_on: &dyn Fn() -> bool,
    ) -> Result<()> {
        let arguments = arguments(&["-q", "download"], packages);
        let go_on = || {
            progress(size_of(into));
            go_on()
        };
        let output = self.run(&self.get, &arguments, Some(into), &go_on)?;
        if output.status.success() { Ok(()) } else { Err(output.failure("download the packages")) }
    }

    fn run(
        &self,
        program: &Path,
        arguments: &[&str],
        directory: Option<&Path>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Output> {
        let mut command = Command::new(program);
        if let Some(lists) = &self.lists {
            command.arg("-c").arg(lists.join("apt.conf"));
            for (key, below) in
                [("Dir::State::Lists", "lists"), ("Dir::Cache", "."), ("Dir::Cache::archives", "archives")]
            {
                command.arg("-o").arg(option(key, &lists.join(below)));
            }
        }
        command.args(arguments).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        let child = command.spawn().map_err(|error| of_file("run", program, &error))?;
        finish(child, go_on, program)
    }
}

fn arguments<'a>(first: &[&'a str], packages: &'a [String]) -> Vec<&'a str> {
    first.iter().copied().chain(packages.iter().map(String::as_str)).collect()
}

fn option(key: &str, path: &Path) -> OsString {
    let mut option = OsString::from(key);
    option.push("=");
    option.push(path);
    option
}

/// Bytes of all files in a directory. What cannot be seen has none.
fn size_of(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let sizes = entries.flatten().filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file);
    sizes.fold(0, |sum, metadata| sum.saturating_add(metadata.len()))
}

/// The files in what `--print-uris` writes: `'URI' NAME SIZE CHECKSUM`.
fn parse_uris(text: &str) -> Vec<Download> {
    let line = |line: &str| {
        let (_, rest) = line.strip_prefix('\'')?.split_once("' ")?;
        let mut words = rest.split_ascii_whitespace();
        let name = words.next()?.to_owned();
        Some(Download { name, size: words.next()?.parse().ok()? })
    };
    text.lines().filter_map(line).collect()
}

/// How a program has ended, and what it wrote.
struct Output {
    status: ExitStatus,
    text: String,
    complaint: String,
}

impl Output {
    /// What it means that it failed: apt's own words are the causes.
    fn failure(&self, doing: &str) -> Problem {
        let mut problem = Problem::new(ErrorKind::Other, format!("apt cannot {doing}"));
        let errors = self.complaint.lines().filter_map(|line| line.strip_prefix("E: "));
        problem.causes = errors.take(COMPLAINTS).map(|line| line.trim().to_owned()).collect();
        problem
    }
}

/// Waits for a program, and ends it when nobody waits for its result any more.
fn finish(mut child: Child, go_on: &dyn Fn() -> bool, program: &Path) -> Result<Output> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let (text, complaint) = (scope.spawn(|| read(stdout)), scope.spawn(|| read(stderr)));
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if go_on() => std::thread::sleep(PAUSE),
                Ok(None) => {
                    // Its methods end with their pipes.
                    let _ = child.kill();
                    let _ = child.wait();
                    break Err(Problem::new(ErrorKind::Cancelled, "cancelled"));
                }
                Err(error) => break Err(of_file("wait for", program, &error)),
            }
        };
        let text = text.join().unwrap_or_default();
        let complaint = complaint.join().unwrap_or_default();
        status.map(|status| Output { status, text, complaint })
    })
}

/// Reads all that a program writes, and keeps as much as is looked at.
fn read(pipe: Option<impl Read>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut bytes = Vec::new();
    // What could be read of a pipe that breaks is as good as what could be read before.
    let _ = (&mut pipe).take(OUTPUT_BYTES).read_to_end(&mut bytes);
    let _ = io::copy(&mut pipe, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_from_their_addresses() {
        let text = "Reading package lists...\n\
            'http://mirror.example/debian/pool/a%2bb_1_amd64.deb' a+b_1_amd64.deb 1916 SHA256:00\n\
            'file:/srv/it's/b_2_all.deb' b_2_all.deb 12\n\
            'broken' c\n";
        let expected = [("a+b_1_amd64.deb", 1916), ("b_2_all.deb", 12)];
        let expected = expected.map(|(name, size)| Download { name: name.to_owned(), size });
        assert_eq!(parse_uris(text), expected);
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let child = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let script = "echo text; echo 'W: odd' >&2; echo 'E: no such thing' >&2; exit 100";
        let output = finish(child(script), &|| true, Path::new("/bin/sh")).unwrap();
        assert_eq!((output.text.as_str(), output.status.code()), ("text\n", Some(100)));
        let problem = output.failure("do it");
        assert_eq!(
            (problem.message.as_str(), &problem.causes[..]),
            ("apt cannot do it", &["no such thing".to_owned()][..])
        );
        let cancelled = finish(child("exec sleep 100"), &|| false, Path::new("/bin/sh")).err().unwrap();
        assert_eq!(cancelled.kind, ErrorKind::Cancelled);
    }
}
