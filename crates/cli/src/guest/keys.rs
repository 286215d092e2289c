//! Files of public SSH keys: what `ssh-keygen` writes with `.pub` behind its name, or a whole `authorized_keys` (sshd(8)).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::exit::Exit;
use crate::failure::Failure;

/// Bytes of a file of keys, at most: hundreds of keys.
const FILE_BYTES: u64 = 256 << 10;

/// The kinds of public keys that an SSH server knows; certificates have more behind the name.
const KINDS: [&str; 8] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// What is wrong with a file of keys.
#[derive(Debug, Eq, PartialEq)]
enum Wrong {
    Private,
    NoKey,
    Line(usize),
}

/// The keys of some files, each a line of an `authorized_keys`.
pub(crate) fn authorized_keys(files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    for path in files {
        let found = parse(&read(path)?).map_err(|wrong| failure(path, &wrong))?;
        for key in found {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| Failure::file("open", path, &error))?;
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Failure::new(Exit::Usage, format!("{} is too long for a file of public keys", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| failure(path, &Wrong::NoKey))
}

fn failure(path: &Path, wrong: &Wrong) -> Failure {
    let path = path.display();
    let hint = format!("perhaps {path}.pub: that is what `ssh-keygen` calls the public key");
    match wrong {
        Wrong::Private => {
            Failure::new(Exit::Usage, format!("{path} is a private key, which stays where it is")).hint(hint)
        }
        Wrong::NoKey => Failure::new(Exit::Usage, format!("there is no public SSH key in {path}")).hint(hint),
        Wrong::Line(number) => Failure::new(Exit::Usage, format!("line {number} of {path} is no public SSH key")),
    }
}

fn parse(text: &str) -> Result<Vec<String>, Wrong> {
    if text.contains("PRIVATE KEY-----") || text.starts_with("PuTTY-User-Key-File") {
        return Err(Wrong::Private);
    }
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<String> = lines
        .map(|(number, line)| if is_key(line) { Ok(line.to_owned()) } else { Err(Wrong::Line(number)) })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(Wrong::NoKey) } else { Ok(keys) }
}

/// `[OPTIONS] KIND BASE64 [COMMENT]`, where the kind stands in the encoded key once more (RFC 4253, section 6.6). Options may have spaces in
/// them, between quotes.
fn is_key(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let printable = line.chars().all(|c| !c.is_control() || c == '\t');
    printable
        && words.windows(2).any(|pair| match pair {
            [kind, encoded] if KINDS.contains(kind) => holds(kind, encoded),
            _ => false,
        })
}

fn holds(kind: &str, encoded: &str) -> bool {
    let Ok(key) = STANDARD.decode(encoded) else { return false };
    let Some((length, rest)) = key.split_first_chunk::<4>() else { return false };
    u32::from_be_bytes(*length) as usize == kind.len() && rest.starts_with(kind.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIiG8bgS3qSBwbYYVx1q2w1c3tRdVfVxUFvWZ3MNp6Ql anna@home";

    #[test]
    fn public_keys_are_taken_with_their_options_and_comments() {
        let text = format!("# mine\n\n{KEY}\r\n  command=\"echo hi there\",no-pty {KEY}\n");
        let keys = parse(&text).unwrap();
        assert_eq!(keys, [KEY.to_owned(), format!("command=\"echo hi there\",no-pty {KEY}")]);
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, wrong) in [
            ("", Wrong::NoKey),
            ("# nothing\n", Wrong::NoKey),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", Wrong::Private),
            ("-----BEGIN RSA PRIVATE KEY-----\n", Wrong::Private),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n", Wrong::Private),
            ("\nhello\n", Wrong::Line(2)),
            ("ssh-ed25519 not-base64\n", Wrong::Line(1)),
            // The kind is another than the one in the key.
            ("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIIiG8bgS3qSBwbYYVx1q2w1c3tRdVfVxUFvWZ3MNp6Ql\n", Wrong::Line(1)),
            ("ssh-ed25519 AAAA\n", Wrong::Line(1)),
            (&format!("{KEY}\x1b[2J"), Wrong::Line(1)),
        ] {
            assert_eq!(parse(text), Err(wrong), "{text}");
        }
    }
}
