//! A registry's `WWW-Authenticate`.
//!
//! - What was understood, written down again, is understood as the same.
//! - There are never more challenges and parameters than the limit, and no parameter twice in one challenge.

use banger_registry::challenge::{Challenge, parse};
use banger_registry::limits::CHALLENGES;

use crate::check_messages;

/// Takes the bytes for the value of a header.
pub fn check(data: &[u8]) {
    let challenges = match parse(&String::from_utf8_lossy(data)) {
        Ok(challenges) => challenges,
        Err(error) => return check_messages(&error),
    };
    assert!(challenges.len() <= CHALLENGES);
    for challenge in &challenges {
        assert!(challenge.parameters.len() <= CHALLENGES);
        for (name, value) in &challenge.parameters {
            assert_eq!(challenge.parameter(name), Some(value.as_str()), "{name} twice");
        }
    }
    let header = challenges.iter().map(Challenge::to_string).collect::<Vec<_>>().join(", ");
    assert_eq!(parse(&header), Ok(challenges), "{header:?}");
}
