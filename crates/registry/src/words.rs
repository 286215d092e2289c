//! The words of servers: read from the bodies of their errors, and made fit to be shown.
//!
//! What comes from a server may hold control characters that would do things to a terminal, may be as long as it likes,
//! and may repeat what it was sent. Nothing of it is shown before it went through here.

use serde::Deserialize;

use crate::limits::SHOWN;

/// The beginning of a foreign text, with everything escaped that a terminal would not simply show.
pub(crate) fn shown(text: &str) -> String {
    let mut result = String::new();
    for (count, character) in text.trim().chars().enumerate() {
        if count >= SHOWN {
            result.push_str("...");
            break;
        }
        if is_plain(character) { result.push(character) } else { result.extend(character.escape_default()) }
    }
    result
}

fn is_plain(character: char) -> bool {
    // Besides control characters: those that turn the direction of text, or that take no place.
    !character.is_control()
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What a server says of its refusal: the messages of the distribution specification's `errors`, the fields that token
/// servers use, or a short plain text. Empty where there is nothing of that kind.
/// A server may send back the secrets that it was sent: they are taken out.
pub(crate) fn of_error(body: &[u8], secrets: &[&str]) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return String::new() };
    if let Ok(parsed) = serde_json::from_str::<Errors>(text) {
        return shown(&without(&parsed.words(), secrets));
    }
    let line = text.trim();
    // Pages are for browsers.
    let is_text = !line.starts_with(['<', '{', '[']) && !line.contains('\n');
    if is_text { shown(&without(line, secrets)) } else { String::new() }
}

fn without(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    text
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Errors {
    errors: Vec<Message>,
    error: Option<serde_json::Value>,
    error_description: Option<String>,
    message: Option<String>,
    details: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    code: Option<String>,
    message: Option<String>,
}

impl Errors {
    fn words(self) -> String {
        let listed: Vec<String> = self
            .errors
            .into_iter()
            .filter_map(|error| error.message.filter(|message| !message.is_empty()).or(error.code))
            .collect();
        if !listed.is_empty() {
            return listed.join("; ");
        }
        let text = |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
        self.error_description
            .or(self.message)
            .or_else(|| text(self.details))
            .or_else(|| text(self.error))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_all_kinds_have_words() {
        let cases = [
            (r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#, "requested access is denied"),
            (r#"{"errors":[{"code":"DENIED"},{"code":"X","message":"two"}]}"#, "DENIED; two"),
            (r#"{"errors":[{"code":"A","message":"m","detail":[{"x":1}]}]}"#, "m"),
            (r#"{"details":"incorrect username or password"}"#, "incorrect username or password"),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, "expired"),
            (r#"{"error":"invalid_grant"}"#, "invalid_grant"),
            (r#"{"error":{"code":1}}"#, ""),
            (r#"{"message":"no"}"#, "no"),
            ("404 page not found\n", "404 page not found"),
            ("<html>nginx</html>", ""),
            ("{", ""),
            ("", ""),
        ];
        for (body, expected) in cases {
            assert_eq!(of_error(body.as_bytes(), &[]), expected, "{body}");
        }
        assert_eq!(of_error(b"\xff\xfe", &[]), "");
    }

    #[test]
    fn what_is_shown_does_nothing_to_a_terminal() {
        assert_eq!(shown("a\x1b[2Jb\0"), "a\\u{1b}[2Jb\\u{0}");
        assert_eq!(shown("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(shown("straße"), "straße");
        assert_eq!(shown(&"x".repeat(1000)).len(), SHOWN + 3);
    }

    #[test]
    fn secrets_are_taken_out() {
        assert_eq!(of_error(b"user anna with hunter2", &["", "hunter2"]), "user anna with ***");
        assert_eq!(of_error(br#"{"message":"no \"a\\nb\""}"#, &["a\\nb"]), "no \"***\"");
    }
}
