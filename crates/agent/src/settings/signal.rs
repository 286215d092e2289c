//! `StopSignal` of the image's config (image specification, config.md).

/// The number of `StopSignal`: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`, `RTMAX-1`.
pub(super) fn number(text: &str) -> Option<i32> {
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
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
