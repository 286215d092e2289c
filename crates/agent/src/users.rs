//! Users and groups by the guest's own passwd(5) and group(5): what the image specification's `User` means, read as Docker reads it
//! (`GetExecUser` of github.com/moby/sys/user).
//!
//! - `USER[:GROUP]`. An empty part counts as missing; what follows a second colon is ignored.
//! - What Go's `Atoi` takes for a number is a number and never a name, so a user called `0` is not root.
//! - A number need not be in the files. Then it must be below 2^31, and its group is 0.
//! - Without a group the user has its group of passwd, and those of group that list its name. With a group it has that one alone.
//! - A line may lack its last fields.
//!
//! In two places this differs. Docker reads a number that is malformed as 0, so a broken line becomes root; here that line does not count.
//! And `root` needs no entry, as an image without /etc/passwd has that user, too.

use std::path::Path;

use crate::sys::Credentials;

/// Bytes that are read of either file.
const FILE_BYTES: u64 = 16 << 20;

/// Supplementary groups that a process may have (`NGROUPS_MAX`).
const GROUPS: usize = 65_536;

/// The greatest number of a user or group that is in neither file.
const GREATEST: u32 = i32::MAX.unsigned_abs();

/// The name of the user and of the group with the number 0.
const ROOT: &str = "root";

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

/// Why there is no such user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// A number that no user or group can have.
    #[error("user {0:?}: {1} is not in the range of users and groups, 0 to {GREATEST}")]
    Range(String, i64),
    /// No such name in /etc/passwd.
    #[error("there is no user {0:?} in /etc/passwd")]
    NoUser(String),
    /// No such name in /etc/group.
    #[error("there is no group {0:?} in /etc/group")]
    NoGroup(String),
}

/// Looks up `User` in the files below `root`. A file that is missing counts as empty.
///
/// # Errors
/// There is no such user or group.
pub fn look_up(root: &Path, user: Option<&str>) -> Result<User, UserError> {
    let read = |path| crate::file::read_at_most(&root.join(path), FILE_BYTES).unwrap_or_default();
    let (passwd, group) = (read("etc/passwd"), read("etc/group"));
    resolve(user.unwrap_or_default(), &String::from_utf8_lossy(&passwd), &String::from_utf8_lossy(&group))
}

/// Resolves `user` by the contents of passwd and group.
///
/// # Errors
/// There is no such user or group.
pub fn resolve(user: &str, passwd: &str, group: &str) -> Result<User, UserError> {
    let mut parts = user.split(':');
    let wanted_user = parts.next().filter(|part| !part.is_empty()).unwrap_or("0");
    let wanted_group = parts.next().filter(|part| !part.is_empty());
    let account = find_account(user, wanted_user, passwd)?;
    let (gid, mut groups) = match wanted_group {
        Some(wanted) => (find_group(user, wanted, group)?, Vec::new()),
        None => (account.gid, groups_of(account.name, group)),
    };
    // Docker lists the primary group among the others: a set-group-ID program must not get rid of it.
    groups.truncate(GROUPS - 1);
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    Ok(User {
        credentials: Credentials { uid: account.uid, gid, groups },
        home: if account.home.starts_with('/') { account.home.to_owned() } else { "/".to_owned() },
        shell: account.shell.to_owned(),
        name: Some(account.name).filter(|name| !name.is_empty()).map(str::to_owned),
    })
}

fn find_account<'a>(user: &str, wanted: &str, passwd: &'a str) -> Result<Account<'a>, UserError> {
    let mut accounts = passwd.lines().filter_map(Account::parse);
    let unknown = |uid| Account { name: "", uid, gid: 0, home: "", shell: "" };
    match wanted.parse::<i64>() {
        Ok(number) => match accounts.find(|account| i64::from(account.uid) == number) {
            Some(account) => Ok(account),
            None => in_range(user, number).map(unknown),
        },
        Err(_) => {
            let root = || (wanted == ROOT).then(|| unknown(0));
            accounts
                .find(|account| account.name == wanted)
                .or_else(root)
                .ok_or_else(|| UserError::NoUser(wanted.to_owned()))
        }
    }
}

fn find_group(user: &str, wanted: &str, group: &str) -> Result<u32, UserError> {
    let mut groups = group.lines().filter_map(Group::parse);
    match wanted.parse::<i64>() {
        Ok(number) => match groups.find(|group| i64::from(group.gid) == number) {
            Some(group) => Ok(group.gid),
            None => in_range(user, number),
        },
        Err(_) => {
            let root = || (wanted == ROOT).then_some(0);
            let found = groups.find(|group| group.name == wanted).map(|group| group.gid);
            found.or_else(root).ok_or_else(|| UserError::NoGroup(wanted.to_owned()))
        }
    }
}

/// The groups that list a user's name.
fn groups_of(name: &str, group: &str) -> Vec<u32> {
    let lists = |group: &Group<'_>| !name.is_empty() && group.members.split(',').any(|member| member == name);
    group.lines().filter_map(Group::parse).filter(lists).map(|group| group.gid).collect()
}

/// The number of a user or group that is in neither file.
fn in_range(user: &str, number: i64) -> Result<u32, UserError> {
    let in_range = u32::try_from(number).ok().filter(|&number| number <= GREATEST);
    in_range.ok_or_else(|| UserError::Range(user.to_owned(), number))
}

/// The number of a field of either file. The greatest of all means "leave it as it is" to setuid(2).
fn number(field: &str) -> Option<u32> {
    field.parse().ok().filter(|&number| number != u32::MAX)
}

/// A line of passwd(5).
#[derive(Debug)]
struct Account<'a> {
    /// Empty where it has none.
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Account<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim().split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let uid = number(fields.next()?)?;
        let gid = fields.next().map_or(Some(0), number)?;
        let _gecos = fields.next();
        let (home, shell) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        Some(Self { name, uid, gid, home, shell })
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
        let line = line.trim();
        let mut fields = line.split(':');
        let (name, _password) = (fields.next().filter(|_| !line.starts_with('#'))?, fields.next()?);
        let gid = number(fields.next()?)?;
        Some(Self { name, gid, members: fields.next().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        app:x:1000:1001:,,,:/home/app:/bin/sh\n\
        1234:x:0:0:a trap:/root:/bin/sh\n\
        short:x:7:8\n\
        \t  shorter:x:6\r\n\
        shortest:x\n\
        bad:x:-1:5:::\n\
        worse:x:many:5:::\n\
        worst:x:4294967295:0:::\n\
        app:x:0:0:not the first:/root:/bin/sh\n\
        :x:12:13::/nameless:\n\
        99999999999999999999:x:14:15::/:\n\
        large:x:4294967294:4294967294::/:\n\
        long:x:16:17::/long:/bin/sh:more\n\
        web:x:33:33::relative:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\n audio:x:29:app\nweb:x:33:\nbroken:x:y:app\n5:x:6:app\n\
        #comment:x:77:app\nempty:x:44\nagain:x:29:app\nspaced:x:45: app\nlast:x:46:short,\n";

    fn ids(user: &str) -> Result<(u32, u32, Vec<u32>), UserError> {
        let credentials = resolve(user, PASSWD, GROUP)?.credentials;
        Ok((credentials.uid, credentials.gid, credentials.groups))
    }

    #[test]
    fn users_are_those_that_docker_finds() {
        for (user, expected) in [
            ("", (0, 0, vec![0, 10])),
            (":", (0, 0, vec![0, 10])),
            ("root", (0, 0, vec![0, 10])),
            ("0", (0, 0, vec![0, 10])),
            ("0:", (0, 0, vec![0, 10])),
            ("app", (1000, 1001, vec![6, 10, 29, 1001])),
            ("app:", (1000, 1001, vec![6, 10, 29, 1001])),
            ("1000", (1000, 1001, vec![6, 10, 29, 1001])),
            ("1000:", (1000, 1001, vec![6, 10, 29, 1001])),
            // A group that is named is the only one.
            ("app:audio", (1000, 29, vec![29])),
            ("app:44", (1000, 44, vec![44])),
            ("app:empty", (1000, 44, vec![44])),
            ("1000:wheel", (1000, 10, vec![10])),
            (":wheel", (0, 10, vec![10])),
            (":44", (0, 44, vec![44])),
            ("app:root", (1000, 0, vec![0])),
            ("app:web:ignored", (1000, 33, vec![33])),
            ("app::ignored", (1000, 1001, vec![6, 10, 29, 1001])),
            // Numbers that no file has.
            ("4711", (4711, 0, vec![0])),
            ("4711:", (4711, 0, vec![0])),
            ("4711:4712", (4711, 4712, vec![4712])),
            ("2147483647:2147483647", (2_147_483_647, 2_147_483_647, vec![2_147_483_647])),
            // A number is a number though a user or a group is called so (CVE-2024-40635).
            ("1234", (1234, 0, vec![0])),
            ("app:5", (1000, 5, vec![5])),
            // As Go's Atoi takes numbers.
            ("007", (7, 8, vec![8, 46])),
            ("+1000", (1000, 1001, vec![6, 10, 29, 1001])),
            ("-0", (0, 0, vec![0, 10])),
            // What is no number of 64 bits is a name.
            ("99999999999999999999", (14, 15, vec![15])),
            ("4294967294", (4_294_967_294, 4_294_967_294, vec![4_294_967_294])),
            ("short", (7, 8, vec![8, 46])),
            ("shorter", (6, 0, vec![0])),
            ("12", (12, 13, vec![13])),
            ("long", (16, 17, vec![17])),
            ("web", (33, 33, vec![33])),
        ] {
            assert_eq!(ids(user), Ok(expected), "{user}");
        }
    }

    #[test]
    fn users_that_docker_does_not_find_are_errors() {
        for user in ["4294967295", "4294967296", "2147483648", "-1", "app:4294967295", "app:-5", ":2147483648"] {
            assert!(matches!(ids(user), Err(UserError::Range(..))), "{user}: {:?}", ids(user));
        }
        for user in ["nobody", "shortest", "bad", "worse", "worst", "root ", " root", "1000 ", "app\n", "0x0", "1_0"] {
            assert_eq!(ids(user), Err(UserError::NoUser(user.into())));
        }
        assert_eq!(ids("65536000000000000000"), Err(UserError::NoUser("65536000000000000000".into())));
        for group in ["nogroup", "broken", "#comment", "comment", "65536000000000000000"] {
            assert_eq!(ids(&format!("app:{group}")), Err(UserError::NoGroup(group.into())));
        }
    }

    #[test]
    fn images_without_the_files_have_root_and_numbers() {
        let root = tempfile::tempdir().unwrap();
        let ids = |user| {
            let credentials = look_up(root.path(), user)?.credentials;
            Ok((credentials.uid, credentials.gid))
        };
        for (user, expected) in [
            (None, Ok((0, 0))),
            (Some(""), Ok((0, 0))),
            (Some("root"), Ok((0, 0))),
            (Some("root:root"), Ok((0, 0))),
            (Some("1000"), Ok((1000, 0))),
            (Some("65532:65532"), Ok((65_532, 65_532))),
            (Some("app"), Err(UserError::NoUser("app".into()))),
            (Some("1000:app"), Err(UserError::NoGroup("app".into()))),
        ] {
            assert_eq!(ids(user), expected, "{user:?}");
        }
    }

    #[test]
    fn home_and_shell() {
        let user = resolve("app", PASSWD, GROUP).unwrap();
        assert_eq!((&*user.home, &*user.shell, user.name.as_deref()), ("/home/app", "/bin/sh", Some("app")));
        assert_eq!(resolve("web", PASSWD, GROUP).unwrap().home, "/");
        assert_eq!(resolve("long", PASSWD, GROUP).unwrap().shell, "/bin/sh");
        let nameless = resolve("12", PASSWD, GROUP).unwrap();
        assert_eq!((&*nameless.home, nameless.name), ("/nameless", None));
        let unknown = resolve("4711", "", "").unwrap();
        assert_eq!((&*unknown.home, unknown.name), ("/", None));
    }

    proptest! {
        #[test]
        fn a_number_is_never_looked_for_as_a_name(uid in 0..GREATEST, passwd in "([a-z0-9:]{0,20}\n){0,5}") {
            let passwd = format!("{uid}:x:77:77:::\n{passwd}");
            prop_assert_eq!(resolve(&uid.to_string(), &passwd, "").unwrap().credentials.uid, uid);
        }

        #[test]
        fn any_text_means_a_user_or_is_an_error(user in any::<String>(), passwd in any::<String>(), group in any::<String>()) {
            let _ = resolve(&user, &passwd, &group);
        }
    }
}
