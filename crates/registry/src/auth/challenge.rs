//! Challenges: what a server wants to see before it answers (RFC 9110, section 11.6.1).
//!
//! ```text
//! WWW-Authenticate = challenge *( "," challenge )
//! challenge        = scheme [ 1*SP ( token68 / parameter *( "," parameter ) ) ]
//! parameter        = name "=" ( token / quoted-string )
//! ```
//!
//! A comma separates challenges and parameters alike: a name that is followed by `=` and a value is a parameter of the
//! challenge before it, any other begins a challenge. Two things are taken that the grammar does not have, since
//! registries send them: empty elements, and values without quotes that should have them (`realm=https://host/token`).

use std::fmt;

use crate::limits::CHALLENGES;
use crate::words::shown;

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme as written: `Bearer`, `Basic`.
    pub scheme: String,
    /// What stands in the place of parameters, in some schemes.
    pub token: Option<String>,
    /// Parameters in their order; names in lower case.
    pub parameters: Vec<(String, String)>,
}

/// Why a header cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// Neither the beginning of a challenge nor of a parameter.
    #[error("{rest:?} is neither a challenge nor a parameter")]
    Unexpected {
        /// What stands there, shortened.
        rest: String,
    },
    /// A parameter before any challenge.
    #[error("the parameter {name:?} belongs to no challenge")]
    Stray {
        /// The parameter's name, shortened.
        name: String,
    },
    /// A quoted value that does not end.
    #[error("the value of {name:?} has no closing quote")]
    Quote {
        /// The parameter's name, shortened.
        name: String,
    },
    /// A parameter that is there twice: one cannot know which is meant.
    #[error("the parameter {name:?} occurs twice")]
    Twice {
        /// The parameter's name, shortened.
        name: String,
    },
    /// More than anybody needs.
    #[error("there are more than {CHALLENGES} challenges or parameters")]
    TooMany,
}

impl Challenge {
    /// Whether it is of a scheme, which is given in any case.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter; the name in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// As it would stand in a header.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        if let Some(token) = &self.token {
            write!(f, " {token}")?;
        }
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            f.write_str(if index == 0 && self.token.is_none() { " " } else { ", " })?;
            write!(f, "{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?;
        }
        Ok(())
    }
}

/// Parses the value of one `WWW-Authenticate` header.
///
/// # Errors
/// The first thing that is no part of a challenge.
pub fn parse(header: &str) -> Result<Vec<Challenge>, ChallengeError> {
    let mut rest = header;
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(challenges);
        }
        let (word, after) = split_while(rest, is_token);
        if word.is_empty() {
            return Err(ChallengeError::Unexpected { rest: shown(rest) });
        }
        if let Some(value) = begins_value(after) {
            let challenge = challenges.last_mut().ok_or_else(|| ChallengeError::Stray { name: shown(word) })?;
            let (value, after) = parse_value(word, value)?;
            add(challenge, word.to_ascii_lowercase(), value)?;
            rest = after;
        } else {
            if !after.is_empty() && !after.starts_with([' ', '\t', ',']) {
                return Err(ChallengeError::Unexpected { rest: shown(rest) });
            }
            if challenges.len() >= CHALLENGES {
                return Err(ChallengeError::TooMany);
            }
            let (token, after) = parse_token68(after);
            challenges.push(Challenge { scheme: word.to_owned(), token, parameters: Vec::new() });
            rest = after;
        }
    }
}

fn add(challenge: &mut Challenge, name: String, value: String) -> Result<(), ChallengeError> {
    if challenge.parameter(&name).is_some() {
        return Err(ChallengeError::Twice { name: shown(&name) });
    }
    if challenge.parameters.len() >= CHALLENGES {
        return Err(ChallengeError::TooMany);
    }
    challenge.parameters.push((name, value));
    Ok(())
}

/// What follows the `=`, if there is one, behind the name of a parameter. `name=` without a value is none.
fn begins_value(after: &str) -> Option<&str> {
    let value = after.trim_start_matches([' ', '\t']).strip_prefix('=')?.trim_start_matches([' ', '\t']);
    (!value.is_empty() && !value.starts_with(['=', ','])).then_some(value)
}

fn parse_value<'a>(name: &str, text: &'a str) -> Result<(String, &'a str), ChallengeError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = split_while(text, |c| !matches!(c, ',' | ' ' | '\t' | '"'));
        return Ok((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next() {
            Some('"') => return Ok((value, characters.as_str())),
            Some('\\') => value.extend(characters.next()),
            Some(character) => value.push(character),
            None => return Err(ChallengeError::Quote { name: shown(name) }),
        }
    }
}

/// The `token68` behind a scheme, if that is what stands there, and the rest.
fn parse_token68(after: &str) -> (Option<String>, &str) {
    let text = after.trim_start_matches([' ', '\t']);
    let is_token68 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/');
    let (word, padding_and_rest) = split_while(text, is_token68);
    let rest = padding_and_rest.trim_start_matches('=');
    let ends = rest.trim_start_matches([' ', '\t']);
    if word.is_empty() || text.len() == after.len() || !(ends.is_empty() || ends.starts_with(',')) {
        return (None, after);
    }
    let length = text.len().saturating_sub(rest.len());
    (text.get(..length).map(str::to_owned), rest)
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Challenge { scheme: scheme.to_owned(), token: None, parameters }
    }

    #[test]
    fn challenges_as_registries_send_them() {
        let token = |scheme: &str, token: &str| Challenge { token: Some(token.to_owned()), ..challenge(scheme, &[]) };
        let cases = [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull""#,
                vec![challenge(
                    "Bearer",
                    &[
                        ("realm", "https://auth.docker.io/token"),
                        ("service", "registry.docker.io"),
                        ("scope", "repository:library/debian:pull"),
                    ],
                )],
            ),
            (r#"Basic realm="Registry Realm""#, vec![challenge("Basic", &[("realm", "Registry Realm")])]),
            ("Basic", vec![challenge("Basic", &[])]),
            ("Negotiate, Basic", vec![challenge("Negotiate", &[]), challenge("Basic", &[])]),
            (
                r#"Negotiate abc/+==, Bearer REALM = "a" , error=invalid_token"#,
                vec![token("Negotiate", "abc/+=="), challenge("Bearer", &[("realm", "a"), ("error", "invalid_token")])],
            ),
            (
                r#"Basic realm="a, b=\"c\" \\", bearer realm="d""#,
                vec![challenge("Basic", &[("realm", r#"a, b="c" \"#)]), challenge("bearer", &[("realm", "d")])],
            ),
            (
                "Bearer realm=https://a/token?x=y,service=s",
                vec![challenge("Bearer", &[("realm", "https://a/token?x=y"), ("service", "s")])],
            ),
            (",, Basic ,realm=x,,", vec![challenge("Basic", &[("realm", "x")])]),
            ("Basic realm=", vec![token("Basic", "realm=")]),
            ("Bearer scope=\"\"", vec![challenge("Bearer", &[("scope", "")])]),
            ("", vec![]),
        ];
        for (header, expected) in cases {
            assert_eq!(parse(header), Ok(expected), "{header}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        type IsExpected = fn(&ChallengeError) -> bool;
        let many = "Basic,".repeat(CHALLENGES + 1);
        let cases: &[(&str, IsExpected)] = &[
            ("realm=\"x\"", |e| matches!(e, ChallengeError::Stray { name } if name == "realm")),
            ("Bearer realm=\"x", |e| matches!(e, ChallengeError::Quote { .. })),
            ("Bearer realm=\"x\\", |e| matches!(e, ChallengeError::Quote { .. })),
            ("Bearer realm=a, Realm=b", |e| matches!(e, ChallengeError::Twice { .. })),
            ("\"\"", |e| matches!(e, ChallengeError::Unexpected { .. })),
            ("Bearer@x", |e| matches!(e, ChallengeError::Unexpected { .. })),
            ("Bearer =x", |e| matches!(e, ChallengeError::Stray { .. } | ChallengeError::Unexpected { .. })),
            ("\u{1b}[2J", |e| matches!(e, ChallengeError::Unexpected { rest } if !rest.contains('\u{1b}'))),
            (&many, |e| matches!(e, ChallengeError::TooMany)),
        ];
        for (header, is_expected) in cases {
            let error = parse(header).expect_err(header);
            assert!(is_expected(&error), "{header}: {error:?}");
        }
    }

    fn any_challenge() -> impl Strategy<Value = Challenge> {
        let names = proptest::collection::btree_map("[a-z][a-z0-9_]{0,8}", "[ -~äß]{0,20}", 0..5);
        ("[A-Za-z][A-Za-z0-9-]{0,8}", names, proptest::option::of("[A-Za-z0-9+/]{1,12}={0,2}")).prop_map(
            |(scheme, parameters, token)| {
                let parameters: Vec<_> = parameters.into_iter().collect();
                let token = token.filter(|_| parameters.is_empty());
                Challenge { scheme, token, parameters }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(challenges in proptest::collection::vec(any_challenge(), 0..5)) {
            let header = challenges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(parse(&header), Ok(challenges), "{}", header);
        }

        #[test]
        fn anything_is_parsed_or_refused(header in "\\PC{0,80}|[A-Za-z=\", \\\\]{0,60}") {
            if let Ok(challenges) = parse(&header) {
                let again = challenges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                prop_assert_eq!(parse(&again), Ok(challenges), "{}", again);
            }
        }
    }
}
