//! The users and groups of an image, by name.

use std::collections::HashMap;

/// Names of an image's users and groups with their numbers: `etc/passwd` and `etc/group`.
///
/// ```
/// # use banger_layers::attributes::Names;
/// let names = Names::new(b"root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n", b"staff:x:50:app\n");
/// assert_eq!(names.user(b"app"), Some(1000));
/// assert_eq!(names.group(b"staff"), Some(50));
/// assert_eq!(names.user(b"staff"), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Names {
    users: HashMap<Vec<u8>, u32>,
    groups: HashMap<Vec<u8>, u32>,
}

impl Names {
    /// Reads the two files. Lines that are no entries are passed over; of a name given twice the first counts, as for
    /// `getpwnam(3)`.
    pub fn new(passwd: &[u8], group: &[u8]) -> Self {
        Self { users: read(passwd), groups: read(group) }
    }

    /// The number of a user.
    pub fn user(&self, name: &[u8]) -> Option<u32> {
        self.users.get(name).copied()
    }

    /// The number of a group.
    pub fn group(&self, name: &[u8]) -> Option<u32> {
        self.groups.get(name).copied()
    }
}

/// Both files have the name first and the number third.
fn read(file: &[u8]) -> HashMap<Vec<u8>, u32> {
    let mut names = HashMap::new();
    for line in file.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b':');
        let (Some(name), Some(_password), Some(number)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let Some(number) = super::text::number(number) else { continue };
        if !name.is_empty() {
            names.entry(name.to_vec()).or_insert(number);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lines_are_passed_over() {
        let passwd =
            b"root:x:0:0\n\n# app:x:7\nno\n:x:5:5\nx:x:-1:1\ny:x:4294967295:1\nz:x::1\n+::::\nroot:x:9:9\nlast:x:12";
        let names = Names::new(passwd, b"");
        let found = [&b"root"[..], b"last", b"x", b"y", b"z", b"", b"+", b"app"].map(|name| names.user(name));
        assert_eq!(found, [Some(0), Some(12), None, None, None, None, None, None]);
    }
}
