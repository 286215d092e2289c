//! What the values of options look like. Each parser says what it wants when it does not get it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use banger_oci::{Platform, Source};
use banger_protocol::tuning::{Ulimit, check_sysctl};
use clap::builder::{OsStringValueParser, TypedValueParser};

pub(crate) use banger_config::hosts::registry as host;

/// Bytes of a volume label (`s_volume_name`).
const LABEL_LIMIT: usize = 16;

/// Bytes of a host name (`HOST_NAME_MAX`).
const HOSTNAME_LIMIT: usize = 64;

/// `--add SRC:DST`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) source: PathBuf,
    pub(crate) target: Vec<u8>,
}

/// `--add-owner UID[:GID]`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// `--creds USER[:PASSWORD]`
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: Option<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is shown of a command line must not tell a password.
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// `--to oci:DIR[:NAME]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) directory: PathBuf,
    pub(crate) name: Option<String>,
}

/// `--env NAME=VALUE`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// `--ulimit NAME=SOFT[:HARD]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) value: Ulimit,
}

/// `--env NAME[=VALUE]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Passed(pub(crate) Option<Variable>);

/// `--cmd WORDS`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Words(pub(crate) Vec<String>);

/// A size in bytes, or in powers of 1024 with `K`, `M`, `G`, `T` (`KiB` and so on are the same).
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        "kb" | "mb" | "gb" | "tb" => {
            let letter = unit.get(..1).unwrap_or_default().to_ascii_uppercase();
            return Err(format!("{unit} can mean two things; {letter} is a power of 1024"));
        }
        _ => return Err("wanted a number of bytes, or a number with K, M, G or T".to_owned()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("wanted a whole number, such as 512M or 2G".to_owned());
    }
    let number: u64 = digits.parse().map_err(|_| "the number is too large".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "the size is too large".to_owned())
}

/// `os/arch[/variant]`
pub(crate) fn platform(text: &str) -> Result<Platform, String> {
    text.parse().map_err(|error| format!("{error}; wanted os/arch[/variant], such as linux/amd64 or linux/arm/v7"))
}

/// At most 16 bytes, none of them zero.
pub(crate) fn label(text: &str) -> Result<String, String> {
    if text.len() > LABEL_LIMIT {
        return Err(format!("it has {} bytes, and a label has at most {LABEL_LIMIT}", text.len()));
    }
    if text.contains('\0') {
        return Err("a label has no zero bytes".to_owned());
    }
    Ok(text.to_owned())
}

/// 32 hexadecimal digits in groups of 8-4-4-4-12.
pub(crate) fn uuid(text: &str) -> Result<[u8; 16], String> {
    let wanted = || "wanted a UUID such as 0b0e7a1c-5f3d-4d7e-9a64-2f6c1d9be001".to_owned();
    if !text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) || !text.is_ascii() {
        return Err(wanted());
    }
    let digits: String = text.split('-').collect();
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wanted());
    }
    let number = u128::from_str_radix(&digits, 16).map_err(|_| wanted())?;
    if number == 0 {
        // e2fsck takes the nil UUID for a missing one and wants to replace it.
        return Err("the nil UUID means that there is none".to_owned());
    }
    Ok(number.to_be_bytes())
}

/// `UID:GID`, or `UID` for both.
pub(crate) fn owner(text: &str) -> Result<Owner, String> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| "wanted UID:GID or UID, as numbers".to_owned());
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    Ok(Owner { uid: number(uid)?, gid: number(gid)? })
}

/// `USER[:PASSWORD]`
pub(crate) fn user(text: &str) -> Result<User, &'static str> {
    let (name, password) = match text.split_once(':') {
        Some((name, password)) => (name, Some(password.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("wanted USER or USER:PASSWORD");
    }
    Ok(User { name: name.to_owned(), password })
}

/// A name as `sethostname` takes it, with labels of letters, digits and hyphens (RFC 1123, section 2.1).
pub(crate) fn hostname(text: &str) -> Result<String, &'static str> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > HOSTNAME_LIMIT || !text.split('.').all(is_label) {
        return Err("wanted a host name: at most 64 letters, digits, hyphens and dots");
    }
    Ok(text.to_owned())
}

/// `NAME=VALUE`
pub(crate) fn variable(text: &str) -> Result<Variable, &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains('\0') => {
            Ok(Variable { name: name.to_owned(), value: value.to_owned() })
        }
        _ => Err("wanted NAME=VALUE"),
    }
}

/// `KEY=VALUE` with a key of sysctl(8)
pub(crate) fn sysctl(text: &str) -> Result<Variable, String> {
    let (name, value) = text.split_once('=').ok_or("wanted KEY=VALUE, such as net.core.somaxconn=1024")?;
    check_sysctl(name, value)?;
    Ok(Variable { name: name.to_owned(), value: value.to_owned() })
}

/// `NAME=SOFT[:HARD]`
pub(crate) fn ulimit(text: &str) -> Result<Limit, String> {
    let (name, value) = text.split_once('=').ok_or("wanted NAME=SOFT[:HARD], such as nofile=1024:4096")?;
    Ok(Limit { name: name.to_owned(), value: Ulimit::named(name, value)? })
}

/// `NAME=VALUE`, or `NAME` for a variable of this process; nothing, where that has none of this name.
pub(crate) fn passed_variable(text: &str) -> Result<Passed, String> {
    if text.contains('=') {
        return Ok(Passed(Some(variable(text)?)));
    }
    let named = |value| variable(&format!("{text}={value}")).map(|variable| Passed(Some(variable)));
    match std::env::var(text) {
        Ok(value) => Ok(named(value)?),
        Err(std::env::VarError::NotUnicode(_)) => Err("its value here is not UTF-8".to_owned()),
        Err(std::env::VarError::NotPresent) => named(String::new()).map(|_| Passed(None)).map_err(str::to_owned),
    }
}

/// Words between spaces, or a JSON array of them. What only a shell would understand is refused, as there is none to read it.
pub(crate) fn command(text: &str) -> Result<Words, String> {
    let words: Vec<String> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|error| format!("wanted a JSON array of strings: {error}"))?
    } else if let Some(character) = text.chars().find(|c| "\"'\\$`|&;<>(){}*?#~".contains(*c)) {
        return Err(format!(
            "{character} would mean something to a shell, and none reads this; write a JSON array, as in \
             '[\"sh\", \"-c\", \"...\"]'"
        ));
    } else {
        text.split_ascii_whitespace().map(str::to_owned).collect()
    };
    match words.first().map(String::as_str) {
        None | Some("") => Err("wanted at least one word".to_owned()),
        Some(_) if words.iter().any(|word| word.contains('\0')) => Err("an argument has no zero bytes".to_owned()),
        Some(_) => Ok(Words(words)),
    }
}

/// The same, or nothing at all.
pub(crate) fn entrypoint(text: &str) -> Result<Words, String> {
    if text.is_empty() { Ok(Words(Vec::new())) } else { command(text) }
}

/// A user of a guest. The guest knows which it has.
pub(crate) fn guest_user(text: &str) -> Result<String, &'static str> {
    match text.is_empty() || text.contains(char::is_control) {
        true => Err("wanted USER, UID, USER:GROUP or UID:GID"),
        false => Ok(text.to_owned()),
    }
}

/// A directory of a guest.
pub(crate) fn workdir(text: &str) -> Result<String, &'static str> {
    match text.starts_with('/') && !text.contains('\0') {
        true => Ok(text.to_owned()),
        false => Err("wanted an absolute path in the image"),
    }
}

/// A parser of [`target`] that takes any bytes.
pub(crate) fn target_parser() -> impl TypedValueParser<Value = Target> {
    OsStringValueParser::new().try_map(|text| target(&text))
}

/// A layout, and perhaps a name in it.
fn target(text: &OsStr) -> Result<Target, String> {
    match Source::parse(text) {
        Ok(Source::Oci { directory, image }) if image.digest.is_none() && image.position.is_none() => {
            Ok(Target { directory, name: image.name })
        }
        Ok(Source::Oci { .. }) => Err("a digest or a place cannot be chosen, only a name".to_owned()),
        _ => Err("wanted oci:DIR or oci:DIR:NAME, an OCI image layout in a directory".to_owned()),
    }
}

/// A parser of [`place`] that takes any bytes.
pub(crate) fn place_parser() -> impl TypedValueParser<Value = Place> {
    OsStringValueParser::new().try_map(|text| place(&text))
}

/// `SRC:DST`, where DST is absolute: what follows the last `:/` belongs to it, so that SRC may contain colons.
fn place(text: &OsString) -> Result<Place, &'static str> {
    let bytes = text.as_bytes();
    let colon = bytes.windows(2).rposition(|pair| pair == b":/").ok_or("wanted SRC:DST, with an absolute DST")?;
    let (source, target) = bytes.split_at(colon);
    if source.is_empty() {
        return Err("wanted SRC:DST, with a SRC");
    }
    let target = target.get(1..).unwrap_or_default();
    Ok(Place { source: OsStr::from_bytes(source).into(), target: target.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("67108864b", 64 << 20),
            ("3K", 3 << 10),
            ("512M", 512 << 20),
            ("2G", 2 << 30),
            ("2g", 2 << 30),
            ("2GiB", 2 << 30),
            ("1T", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "G", "-1", "+1", "1.5G", "2GB", "2 G", "2X", "1G2", "99999999999999999999", "99999999999T", "٣"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_fit_into_the_superblock() {
        assert_eq!(label("sixteen-bytes-ok"), Ok("sixteen-bytes-ok".to_owned()));
        assert!(label("seventeen-bytes-x").is_err());
        assert!(label("nine-éééé").is_ok());
        assert!(label("eight-éééééé").is_err());
        assert!(label("a\0b").is_err());
    }

    #[test]
    fn uuids_are_canonical() {
        let mut expected: [u8; 16] = std::array::from_fn(|index| index as u8);
        expected[0] = 0xAB;
        assert_eq!(uuid("ab010203-0405-0607-0809-0a0b0c0d0e0f"), Ok(expected));
        assert_eq!(uuid("AB010203-0405-0607-0809-0A0B0C0D0E0F"), Ok(expected));
        for text in [
            "",
            "ab010203040506070809-0a0b0c0d0e0f",
            "ab010203-0405-0607-0809-0a0b0c0d0e0",
            "ab010203-0405-0607-0809-0a0b0c0d0e0g",
            "+b010203-0405-0607-0809-0a0b0c0d0e0f",
            "00000000-0000-0000-0000-000000000000",
            "éé0203-0405-0607-0809-0a0b0c0d0e0f",
        ] {
            assert!(uuid(text).is_err(), "{text}");
        }
    }

    #[test]
    fn owners_are_numbers() {
        assert_eq!(owner("0:0"), Ok(Owner { uid: 0, gid: 0 }));
        assert_eq!(owner("1000"), Ok(Owner { uid: 1000, gid: 1000 }));
        assert_eq!(owner("1:4294967295"), Ok(Owner { uid: 1, gid: u32::MAX }));
        for text in ["", ":", "1:", ":1", "root", "1:4294967296", "-1", "1:2:3"] {
            assert!(owner(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_split_before_the_absolute_path() {
        let split = |text: &str| place(&text.into()).map(|place| (place.source, place.target));
        let ok = |source: &str, target: &str| Ok((source.into(), target.as_bytes().to_owned()));
        assert_eq!(split("a:/b"), ok("a", "/b"));
        assert_eq!(split("./a:b:/c/d:e"), ok("./a:b", "/c/d:e"));
        assert_eq!(split("/a:/b/"), ok("/a", "/b/"));
        for text in ["", "a", "a:b", ":/b", "a:"] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn passwords_are_optional_and_not_shown() {
        let user =
            |name: &str, password: Option<&str>| User { name: name.into(), password: password.map(str::to_owned) };
        assert_eq!(super::user("anna"), Ok(user("anna", None)));
        assert_eq!(super::user("anna:"), Ok(user("anna", Some(""))));
        assert_eq!(super::user("anna:a:b"), Ok(user("anna", Some("a:b"))));
        assert!(super::user("").is_err() && super::user(":x").is_err());
        assert!(!format!("{:?}", user("anna", Some("hunter2"))).contains("hunter2"));
    }

    #[test]
    fn targets_are_layouts() {
        let ok = |directory: &str, name: Option<&str>| {
            Ok(Target { directory: directory.into(), name: name.map(str::to_owned) })
        };
        assert_eq!(target(OsStr::new("oci:d")), ok("d", None));
        assert_eq!(target(OsStr::new("oci:/a/d:x:1")), ok("/a/d", Some("x:1")));
        for text in ["d", "oci:", "oci:d:@0", "oci-archive:x", "debian", ""] {
            assert!(target(OsStr::new(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn host_names_have_labels() {
        for text in ["a", "web-1", "web.example.com", "1a", &"a".repeat(64)] {
            assert_eq!(hostname(text), Ok(text.to_owned()));
        }
        for text in ["", ".", "a.", ".a", "-a", "a-", "a_b", "a b", "a/b", "ä", "a\n", &"a".repeat(65)] {
            assert!(hostname(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variables_have_names() {
        let ok = |name: &str, value: &str| Ok(Variable { name: name.into(), value: value.into() });
        assert_eq!(variable("A=b=c"), ok("A", "b=c"));
        assert_eq!(variable("A="), ok("A", ""));
        for text in ["", "A", "=b", "A=\0"] {
            assert!(variable(text).is_err(), "{text}");
        }
    }

    #[test]
    fn kernel_settings_and_limits_have_known_names() {
        let setting = |text: &str| sysctl(text).map(|variable| (variable.name, variable.value));
        let ok = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(setting("net.core.somaxconn=1024"), ok("net.core.somaxconn", "1024"));
        assert_eq!(setting("kernel.core_pattern=|/bin/x a=b"), ok("kernel.core_pattern", "|/bin/x a=b"));
        for text in ["", "net.core.somaxconn", "=1", "somaxconn=1", "../x=1", "a.b=1\n2"] {
            assert!(sysctl(text).is_err(), "{text}");
        }
        let expected = Limit { name: "nofile".into(), value: Ulimit { soft: 5, hard: 6 } };
        assert_eq!(ulimit("nofile=5:6"), Ok(expected));
        for text in ["", "nofile", "nofile=", "files=5", "nofile=6:5", "NOFILE=5"] {
            assert!(ulimit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn commands_are_words_or_json() {
        let ok = |words: &[&str]| Ok(Words(words.iter().map(|&word| word.to_owned()).collect()));
        assert_eq!(command("/app  --port 80 "), ok(&["/app", "--port", "80"]));
        assert_eq!(command(r#"["sh", "-c", "echo $HOME"]"#), ok(&["sh", "-c", "echo $HOME"]));
        assert_eq!(command(r#" ["a", ""]"#), ok(&["a", ""]));
        for text in ["", "  ", "[]", "[\"\"]", "[1]", "[\"a\"", "sh -c 'a b'", "echo $HOME", "a | b", r#"["\u0000"]"#] {
            assert!(command(text).is_err(), "{text}");
        }
    }
}
