//! Requests that are made again after a while, in words.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::text::Line;

/// What is being waited for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Until when, by what was said about it.
    until: HashMap<String, Instant>,
}

impl Waits {
    /// The line of a wait; nothing where the same has been said and goes on: several connections to a host are often told the same
    /// at once.
    pub(super) fn line(&mut self, host: &str, delay: Duration, asked: bool, reason: &str) -> Option<String> {
        let now = Instant::now();
        self.until.retain(|_, until| *until > now);
        let line = line(host, delay, asked, reason);
        let until = now.checked_add(delay).unwrap_or(now);
        self.until.insert(line.clone(), until).is_none().then_some(line)
    }
}

fn line(host: &str, delay: Duration, asked: bool, reason: &str) -> String {
    // Rounded up: who counts along is not disappointed.
    let seconds = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
    let (host, reason) = (Line(host), Line(reason));
    if asked {
        format!("{host} asks to wait {seconds} s ({reason})")
    } else {
        format!("trying {host} again in {seconds} s ({reason})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_in_words() {
        for (milliseconds, asked, expected) in [
            (42_000, true, "docker.io asks to wait 42 s (429 Too Many Requests)"),
            (1_700, false, "trying docker.io again in 2 s (429 Too Many Requests)"),
            (10, false, "trying docker.io again in 1 s (429 Too Many Requests)"),
        ] {
            let delay = Duration::from_millis(milliseconds);
            assert_eq!(line("docker.io", delay, asked, "429 Too Many Requests"), expected);
        }
        assert_eq!(line("a\x1b", Duration::ZERO, true, "b\nc"), "a\\u{1b} asks to wait 0 s (b\\nc)");
    }

    #[test]
    fn the_same_is_said_once() {
        let mut waits = Waits::default();
        let mut say = |host, seconds| waits.line(host, Duration::from_secs(seconds), true, "busy").is_some();
        assert!(say("a", 60));
        assert!(!say("a", 60));
        assert!(say("b", 60));
        assert!(say("a", 30));
        assert!(say("c", 0));
        assert!(say("c", 0), "the first has passed");
    }
}
