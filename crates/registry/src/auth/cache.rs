//! What has been got from token servers and from the user, by host, repository and purpose: what may be read need not be
//! written.
//!
//! Several threads ask one host at the same time, and their tokens end at the same time: whoever comes first gets a new
//! one, the others wait for it and share it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::Grant;
use crate::lock::lock;

/// Grants by host, repository and purpose.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    slots: Mutex<HashMap<(String, String, Purpose), Arc<Slot>>>,
}

/// What a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// To read.
    Pull,
    /// To write, and to look whether that is needed.
    Push,
}

impl Purpose {
    /// As scopes have it (distribution project, "Token Scope Documentation").
    pub(crate) fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// The grant for one repository.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    grant: Mutex<Option<Grant>>,
    /// Held by whoever gets a new one.
    renewal: Mutex<()>,
}

impl Grants {
    pub(crate) fn slot(&self, host: &str, repository: &str, purpose: Purpose) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        Arc::clone(slots.entry((host.to_owned(), repository.to_owned(), purpose)).or_default())
    }
}

impl Slot {
    /// The grant, if it has not ended.
    pub(crate) fn get(&self, now: Instant) -> Option<Grant> {
        lock(&self.grant).clone().filter(|grant| grant.until.is_none_or(|until| now < until))
    }

    /// Another grant than the one that was refused: one that somebody else has got meanwhile, or what `get_new` gets.
    ///
    /// # Errors
    /// Those of `get_new`.
    pub(crate) fn renew<E>(
        &self,
        refused: Option<&Grant>,
        now: Instant,
        get_new: impl FnOnce() -> Result<Grant, E>,
    ) -> Result<Grant, E> {
        let _renewal = lock(&self.renewal);
        let other = self.get(now).filter(|grant| refused.is_none_or(|refused| refused.serial < grant.serial));
        if let Some(grant) = other {
            return Ok(grant);
        }
        let mut grant = get_new()?;
        let mut current = lock(&self.grant);
        grant.serial = current.as_ref().map_or(1, |old| old.serial.saturating_add(1));
        *current = Some(grant.clone());
        Ok(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn threads_share_one_renewal() {
        let grants = Grants::default();
        let count = AtomicUsize::new(0);
        let now = Instant::now();
        let old = || Ok::<_, ()>(Grant::basic("a", "old", now));
        let refused = grants.slot("h", "r", Purpose::Pull).renew(None, now, old).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let slot = grants.slot("h", "r", Purpose::Pull);
                    let renewed = slot.renew(Some(&refused), now, || {
                        count.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(20));
                        Ok::<_, ()>(Grant::basic("a", "new", now))
                    });
                    assert_eq!(renewed.unwrap().header(), Grant::basic("a", "new", now).header());
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn grants_end_and_are_kept_apart() {
        let grants = Grants::default();
        let now = Instant::now();
        let mut grant = Grant::basic("a", "b", now);
        grant.until = Some(now + Duration::from_secs(10));
        grants.slot("h", "r", Purpose::Pull).renew(None, now, || Ok::<_, ()>(grant)).unwrap();
        assert!(grants.slot("h", "r", Purpose::Pull).get(now + Duration::from_secs(9)).is_some());
        assert!(grants.slot("h", "r", Purpose::Pull).get(now + Duration::from_secs(10)).is_none());
        assert!(grants.slot("h", "other", Purpose::Pull).get(now).is_none());
        assert!(grants.slot("other", "r", Purpose::Pull).get(now).is_none());
        assert!(grants.slot("h", "r", Purpose::Push).get(now).is_none());
    }
}
