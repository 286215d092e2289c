//! Users and groups by the guest's own passwd(5) and group(5): what the image specification's `User` means.
//!
//! Strict where others were not: what looks like a number is one and never a name (a user of the name `0` would be root for one reader and
//! somebody else for another); a name that is not there is an error; a line that is malformed is no line.

use std::path::Path;

use crate::sys::Credentials;

/// Bytes that are read of either file.
const FILE_BYTES: u64 = 16 << 20;

/// Supplementary groups that a process may have (`NGROUPS_MAX`).
const GROUPS: usize = 65_536;

/// A user as a process needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// What the process is given.
    pub credentials: Credentials,
    /// The home directory; `/` where passwd knows none.
    pub home: String,
    /// The login shell; empty where passwd knows none.
    pub shell: String,
    /// The name, where passwd knows one.
    pub name: Option<String>,
}

/// Why somebody is nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// Not what `User` may be.
    #[error("user {0:?}: this is not USER, UID, USER:GROUP or UID:GID")]
    Malformed(String),
    /// A number that no user or group can have.
    #[error("user {0:?}: {1} is not a number that a user or a group can have")]
    Number(String, String),
    /// No such name in /etc/passwd.
    #[error("there is no user {0:?} in /etc/passwd")]
    NoUser(String),
    /// No such name in /etc/group.
    #[error("there is no group {0:?} in /etc/group")]
    NoGroup(String),
}

/// Whom `User` means, by the files below `root`. Root where it is empty or not there.
///
/// # Errors
/// It means nobody.
pub fn look_up(root: &Path, user: Option<&str>) -> Result<User, UserError> {
    let read = |path| crate::file::read_at_most(&root.join(path), FILE_BYTES).unwrap_or_default();
    let (passwd, group) = (read("etc/passwd"), read("etc/group"));
    resolve(user.unwrap_or_default(), &String::from_utf8_lossy(&passwd), &String::from_utf8_lossy(&group))
}

/// Whom `user` means, by the contents of passwd and group.
///
/// # Errors
/// It means nobody.
pub fn resolve(user: &str, passwd: &str, group: &str) -> Result<User, UserError> {
    let malformed = || UserError::Malformed(user.to_owned());
    let (who, whose) = match user.split_once(':') {
        Some((who, whose)) if !who.is_empty() && !whose.is_empty() => (who, Some(whose)),
        Some(_) => return Err(malformed()),
        None if user.is_empty() => ("0", None),
        None => (user, None),
    };
    if user.contains(|c: char| c.is_control()) || whose.is_some_and(|whose| whose.contains(':')) {
        return Err(malformed());
    }
    let line = match number(user, who)? {
        Some(uid) => {
            let known = passwd.lines().filter_map(Account::parse).find(|line| line.uid == uid);
            known.unwrap_or(Account { name: None, uid, gid: 0, home: "", shell: "" })
        }
        None => {
            let known = passwd.lines().filter_map(Account::parse).find(|line| line.name == Some(who));
            known.ok_or_else(|| UserError::NoUser(who.to_owned()))?
        }
    };
    let groups = || group.lines().filter_map(Group::parse);
    let (gid, groups) = match whose {
        // Who names a group wants this one alone.
        Some(whose) => match number(user, whose)? {
            Some(gid) => (gid, Vec::new()),
            None => {
                let known = groups().find(|group| group.name == whose);
                (known.ok_or_else(|| UserError::NoGroup(whose.to_owned()))?.gid, Vec::new())
            }
        },
        None => {
            let mut groups: Vec<u32> = match line.name {
                Some(name) => {
                    groups().filter(|group| group.members.split(',').any(|m| m == name)).map(|g| g.gid).collect()
                }
                None => Vec::new(),
            };
            groups.truncate(GROUPS);
            groups.sort_unstable();
            groups.dedup();
            (line.gid, groups)
        }
    };
    Ok(User {
        credentials: Credentials { uid: line.uid, gid, groups },
        home: if line.home.starts_with('/') { line.home.to_owned() } else { "/".to_owned() },
        shell: line.shell.to_owned(),
        name: line.name.map(str::to_owned),
    })
}

/// The number that `text` looks like; `None` where it does not look like one.
fn number(user: &str, text: &str) -> Result<Option<u32>, UserError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    // The greatest of all means "leave it as it is" to setuid(2).
    let number = text.parse().ok().filter(|&number| digits == text && number != u32::MAX);
    number.map(Some).ok_or_else(|| UserError::Number(user.to_owned(), text.to_owned()))
}

/// A line of passwd(5).
#[derive(Debug)]
struct Account<'a> {
    name: Option<&'a str>,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Account<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let _password = fields.next()?;
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let _gecos = fields.next()?;
        let (home, shell) = (fields.next()?, fields.next()?);
        fields.next().is_none().then_some(Self { name: Some(name), uid, gid, home, shell })
    }
}

/// A line of group(5).
#[derive(Debug)]
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> Group<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let _password = fields.next()?;
        let gid = fields.next()?.parse().ok()?;
        let members = fields.next()?;
        fields.next().is_none().then_some(Self { name, gid, members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        app:x:1000:1001:,,,:/home/app:/bin/sh\n\
        1234:x:0:0:a trap:/root:/bin/sh\n\
        short:x:7:7\n\
        bad:x:-1:5:::\n\
        web:x:33:33::relative:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\naudio:x:29:app\nweb:x:33:\nbroken:x:y:app\n5:x:0:app\n";

    fn ids(user: &str) -> Result<(u32, u32, Vec<u32>), UserError> {
        let credentials = resolve(user, PASSWD, GROUP)?.credentials;
        Ok((credentials.uid, credentials.gid, credentials.groups))
    }

    #[test]
    fn whom_a_user_means() {
        for (user, expected) in [
            ("", (0, 0, vec![10])),
            ("root", (0, 0, vec![10])),
            ("0", (0, 0, vec![10])),
            ("app", (1000, 1001, vec![0, 10, 29])),
            ("1000", (1000, 1001, vec![0, 10, 29])),
            ("app:audio", (1000, 29, vec![])),
            ("app:5", (1000, 5, vec![])),
            ("4711", (4711, 0, vec![])),
            ("4711:4712", (4711, 4712, vec![])),
            // A number, whoever has it for a name (CVE-2024-40635).
            ("1234", (1234, 0, vec![])),
            ("4294967294", (4_294_967_294, 0, vec![])),
            ("web", (33, 33, vec![])),
        ] {
            assert_eq!(ids(user), Ok(expected), "{user}");
        }
    }

    #[test]
    fn whom_a_user_cannot_mean() {
        for user in [":", "app:", ":app", "a:b:c", "app\n", "app:1\0"] {
            assert_eq!(ids(user), Err(UserError::Malformed(user.into())));
        }
        for user in ["4294967295", "4294967296", "65536000000000000000", "-1", "+5", "app:4294967295"] {
            assert!(matches!(ids(user), Err(UserError::Number(..))), "{user}");
        }
        for user in ["nobody", "short", "bad", "root "] {
            assert_eq!(ids(user), Err(UserError::NoUser(user.into())));
        }
        for group in ["nogroup", "broken"] {
            assert_eq!(ids(&format!("app:{group}")), Err(UserError::NoGroup(group.into())));
        }
    }

    #[test]
    fn home_and_shell() {
        let user = resolve("app", PASSWD, GROUP).unwrap();
        assert_eq!((&*user.home, &*user.shell, user.name.as_deref()), ("/home/app", "/bin/sh", Some("app")));
        assert_eq!(resolve("web", PASSWD, GROUP).unwrap().home, "/");
        let nobody_knows = resolve("4711", "", "").unwrap();
        assert_eq!((&*nobody_knows.home, nobody_knows.name), ("/", None));
    }

    proptest! {
        #[test]
        fn a_number_is_never_looked_for_as_a_name(uid in 0..u32::MAX, passwd in "([a-z0-9:]{0,20}\n){0,5}") {
            let passwd = format!("{uid}:x:77:77:::\n{passwd}");
            prop_assert_eq!(resolve(&uid.to_string(), &passwd, "").unwrap().credentials.uid, uid);
        }

        #[test]
        fn any_text_means_somebody_or_is_an_error(user in any::<String>(), passwd in any::<String>(), group in any::<String>()) {
            let _ = resolve(&user, &passwd, &group);
        }
    }
}
