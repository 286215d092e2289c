//! When a failed request is made again, and how long it waits until then.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::time::{Duration, SystemTime};

use crate::clock::Clock;
use crate::error::Error;
use crate::limits::{RETRY_AFTER, RETRY_DELAY, RETRY_DELAY_MAX, TRIES};
use crate::progress::{Event, Progress};
use crate::words::shown;

/// The tries of one piece of work.
pub(crate) struct Attempts<'a> {
    clock: &'a dyn Clock,
    progress: &'a dyn Progress,
    /// How often the work may be tried.
    tries: u32,
    failures: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(clock: &'a dyn Clock, progress: &'a dyn Progress) -> Self {
        Self { clock, progress, tries: TRIES, failures: 0 }
    }

    /// One try, where somebody else can be asked instead.
    pub(crate) fn single(clock: &'a dyn Clock, progress: &'a dyn Progress) -> Self {
        Self { tries: 1, ..Self::new(clock, progress) }
    }

    /// Waits until the next try, which is begun when this returns. Work that got further than before may fail as often
    /// anew.
    ///
    /// # Errors
    /// The error itself, when there is no next try.
    pub(crate) fn wait(&mut self, error: Error, progressed: bool) -> Result<(), Error> {
        // Whatever became of the work: it may be the end itself that shows as a failure.
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.failures = if progressed { 1 } else { self.failures.saturating_add(1) };
        if !error.is_temporary() {
            return Err(error);
        }
        let asked = match &error {
            Error::Status { retry_after, .. } => retry_after.filter(|delay| !delay.is_zero()),
            _ => None,
        };
        // Also at the last try: that it is hours is what there is to know.
        if let Some(wait) = asked.filter(|delay| *delay > RETRY_AFTER) {
            return Err(too_long(error, wait));
        }
        if self.failures >= self.tries {
            return Err(error);
        }
        let delay = asked.unwrap_or_else(|| own_delay(self.failures, RandomState::new().hash_one(self.failures)));
        self.progress.event(Event::Waiting {
            host: error.host().unwrap_or_default(),
            delay,
            asked: asked.is_some(),
            reason: &shown(&error.reason()),
        });
        self.clock.sleep(delay, &|| self.progress.is_cancelled());
        if self.progress.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl fmt::Debug for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").field("tries", &self.tries).field("failures", &self.failures).finish_non_exhaustive()
    }
}

fn too_long(error: Error, wait: Duration) -> Error {
    match error {
        Error::Status { host, status, what, detail, .. } => Error::Busy { host, status, what, wait, detail },
        other => other,
    }
}

/// Doubles with each failure, and is spread by half in both directions: clients that failed at one moment do not come back
/// at one moment.
fn own_delay(failures: u32, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let delay = RETRY_DELAY.saturating_mul(1 << doublings).min(RETRY_DELAY_MAX);
    let thousandths = u32::try_from(random % 1000).unwrap_or(500);
    delay.mul_f64(f64::from(thousandths.saturating_add(500)) / 1000.0)
}

/// What `Retry-After` says: seconds, or a date (RFC 9110, section 10.2.3). `None` where it says nothing that can be
/// understood.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than a number holds are more than anybody waits.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use std::sync::Mutex;
    use std::time::Instant;

    #[derive(Debug, Default)]
    struct Recorder {
        slept: Mutex<Vec<Duration>>,
        events: Mutex<Vec<String>>,
    }

    impl Clock for Recorder {
        fn now(&self) -> Instant {
            SystemClock.now()
        }
        fn date(&self) -> SystemTime {
            SystemClock.date()
        }
        fn sleep(&self, delay: Duration, _is_over: &dyn Fn() -> bool) {
            self.slept.lock().unwrap().push(delay);
        }
    }

    impl Progress for Recorder {
        fn event(&self, event: Event<'_>) {
            if let Event::Waiting { host, asked, reason, .. } = event {
                self.events.lock().unwrap().push(format!("{host} {asked} {reason}"));
            }
        }
    }

    fn status(status: u16, retry_after: Option<u64>) -> Error {
        let retry_after = retry_after.map(Duration::from_secs);
        Error::Status { host: "h".into(), status, what: "w".into(), detail: "busy".into(), retry_after }
    }

    #[test]
    fn three_tries_with_growing_delays() {
        let recorder = Recorder::default();
        let mut attempts = Attempts::new(&recorder, &recorder);
        attempts.wait(status(503, None), false).expect("again");
        attempts.wait(status(503, None), false).expect("again");
        assert!(matches!(attempts.wait(status(503, None), false), Err(Error::Status { status: 503, .. })));
        let slept = recorder.slept.lock().unwrap().clone();
        assert_eq!(slept.len(), 2);
        assert!((500..1500).contains(&slept[0].as_millis()), "{slept:?}");
        assert!((1000..3000).contains(&slept[1].as_millis()), "{slept:?}");
        assert_eq!(
            *recorder.events.lock().unwrap(),
            ["h false it answered 503: busy", "h false it answered 503: busy"]
        );
    }

    #[test]
    fn progress_forgives() {
        let recorder = Recorder::default();
        let mut attempts = Attempts::new(&recorder, &recorder);
        for _ in 0..20 {
            attempts.wait(status(503, None), true).expect("again");
        }
        attempts.wait(status(503, None), false).expect("again");
        attempts.wait(status(503, None), false).expect_err("enough");
    }

    #[test]
    fn a_server_that_asks_is_left_alone_for_a_minute_at_most() {
        let recorder = Recorder::default();
        let mut attempts = Attempts::new(&recorder, &recorder);
        attempts.wait(status(429, Some(60)), false).expect("again");
        assert_eq!(*recorder.slept.lock().unwrap(), [Duration::from_secs(60)]);
        assert_eq!(*recorder.events.lock().unwrap(), ["h true it answered 429: busy"]);
        let error = attempts.wait(status(429, Some(259_200)), false).expect_err("too long");
        let expected = "h answered 429 and asks not to be asked for w again for 3 days: busy";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        for code in [400, 401, 404, 405, 410, 501] {
            let recorder = Recorder::default();
            Attempts::new(&recorder, &recorder).wait(status(code, None), true).expect_err("final");
            assert!(recorder.slept.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn delays_are_spread_and_bounded() {
        for failures in 0..70 {
            for random in [0, 1, 499, 999, u64::MAX] {
                let delay = own_delay(failures, random);
                assert!(delay >= RETRY_DELAY / 2 && delay < RETRY_DELAY_MAX * 3 / 2, "{failures} {random} {delay:?}");
            }
        }
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let cases = [
            ("42", Some(42)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::from(u32::MAX))),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in cases {
            assert_eq!(retry_after(value, now), expected.map(Duration::from_secs), "{value}");
        }
    }
}
