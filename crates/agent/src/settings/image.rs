//! Of the image's config (image specification, config.md) what concerns a guest.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Of an image's config what concerns a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Image {
    #[serde(default)]
    pub(super) config: Option<Config>,
}

/// `config` in it. Every field may be missing or null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Config {
    pub(super) env: Option<Vec<String>>,
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) cmd: Option<Vec<String>>,
    pub(super) working_dir: Option<String>,
    pub(super) user: Option<String>,
    pub(super) stop_signal: Option<String>,
}

impl Config {
    /// Its variables; what has no `=` is none.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let variables = self.env.iter().flatten().filter_map(|variable| variable.split_once('='));
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// The number of `StopSignal`: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`, `RTMAX-1`.
pub(super) fn signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    if let Some(rest) = name.strip_prefix("RTMIN") {
        let offset: i32 = if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse().ok()? };
        return RTMIN.checked_add(offset).filter(|number| (RTMIN..=RTMAX).contains(number));
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        let offset: i32 = if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse().ok()? };
        return RTMAX.checked_sub(offset).filter(|number| (RTMIN..=RTMAX).contains(number));
    }
    SIGNALS.iter().find(|(known, _)| *known == name).map(|&(_, number)| number)
}

/// The first and the last real-time signal, as C libraries count them: the first two belong to the library.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// signal(7).
const SIGNALS: [(&str, i32); 29] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, expected) in [
            ("SIGTERM", Some(15)),
            ("quit", Some(3)),
            ("9", Some(9)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX", Some(64)),
            ("SIGRTMAX-1", Some(63)),
            ("SIGRTMIN+31", None),
            ("SIGRTMIN3", None),
            ("RTMAX-64", None),
            ("0", None),
            ("65", None),
            ("-1", None),
            ("SIGNONE", None),
            ("", None),
        ] {
            assert_eq!(signal(text), expected, "{text}");
        }
    }

    #[test]
    fn a_config_may_have_nothing_or_nulls() {
        for text in ["{}", r#"{"config":null}"#, r#"{"config":{"Env":null,"Cmd":null,"Other":1}}"#] {
            let image: Image = serde_json::from_str(text).unwrap();
            assert_eq!(image.config.unwrap_or_default(), Config::default());
        }
        let text = r#"{"config":{"Env":["A=1","A=2","B=x=y","C","PATH="],"StopSignal":"SIGINT"}}"#;
        let image: Image = serde_json::from_str(text).unwrap();
        let variables: Vec<_> = image.config.unwrap().variables().into_iter().collect();
        let expected =
            [("A", "2"), ("B", "x=y"), ("PATH", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables, expected);
    }
}
