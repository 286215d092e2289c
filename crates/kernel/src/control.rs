//! What a Debian package says of itself (deb-control(5)): a paragraph of fields, as in the package and in the lists of apt.

/// The fields of a package that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: Option<String>,
    /// The packages that it depends on: of alternatives the first.
    pub depends: Vec<Dependency>,
}

/// A package that another one depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub package: String,
    /// The one version that will do, where there is only one.
    pub version: Option<String>,
}

impl Control {
    /// Reads the first paragraph of fields (deb822(5)); none where it has no name.
    pub fn parse(text: &str) -> Option<Self> {
        let paragraph = text.trim_start_matches('\n').split("\n\n").next()?;
        let package = field(paragraph, "Package").filter(|name| is_name(name))?;
        let depends = field(paragraph, "Depends").unwrap_or_default();
        Some(Self {
            package,
            version: field(paragraph, "Version").filter(|version| is_version(version)),
            depends: depends.split(',').filter_map(Dependency::parse).collect(),
        })
    }
}

impl Dependency {
    /// Reads one dependency, such as `linux-base (= 4.12) | other`.
    fn parse(group: &str) -> Option<Self> {
        let first = group.split('|').next()?;
        let name = first.split(['(', ':', '[']).next()?.trim();
        let version = first.split_once('(').and_then(|(_, rest)| rest.split_once(')')).and_then(|(range, _)| {
            let version = range.trim().strip_prefix('=')?.trim();
            is_version(version).then(|| version.to_owned())
        });
        is_name(name).then(|| Self { package: name.to_owned(), version })
    }
}

/// The value of a field, with the lines that continue it.
fn field(paragraph: &str, name: &str) -> Option<String> {
    let mut lines = paragraph
        .lines()
        .skip_while(|line| !line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name)));
    let mut value = lines.next()?.split_once(':')?.1.to_owned();
    for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        value.push_str(more);
    }
    Some(value.trim().to_owned())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether this can be the version of a package (deb-version(7)).
fn is_version(version: &str) -> bool {
    version.starts_with(|first: char| first.is_ascii_alphanumeric())
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_says_of_itself() {
        type Names = &'static [(&'static str, Option<&'static str>)];
        type Case = (&'static str, Option<(&'static str, Option<&'static str>, Names)>);
        let table: [Case; 8] = [
            ("Package: linux-image-6.1.0\n", Some(("linux-image-6.1.0", None, &[]))),
            (
                "Package: meta\nVersion: 1\nDepends: linux-image-6.1.0:amd64 (= 6.1.1-1), a (>= 2) | b,\n c [amd64]\nDescription: x\n",
                Some(("meta", Some("1"), &[("linux-image-6.1.0", Some("6.1.1-1")), ("a", None), ("c", None)])),
            ),
            ("package:  x \ndepends:\n y,\n z(=1:2~b)\n", Some(("x", None, &[("y", None), ("z", Some("1:2~b"))]))),
            ("Package: a\nVersion: 7\n\nPackage: b\nDepends: c\n", Some(("a", Some("7"), &[]))),
            ("Package: x\nVersion: 1 2\nDepends: -y, z (= $(id))\n", Some(("x", None, &[("z", None)]))),
            ("Description: none\n Package: hidden\n", None),
            ("Package: a b\n", None),
            ("", None),
        ];
        for (text, expected) in table {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let expected = expected.map(|(package, version, depends)| Control {
                package: package.to_owned(),
                version: owned(version),
                depends: depends
                    .iter()
                    .map(|(name, version)| Dependency { package: (*name).to_owned(), version: owned(*version) })
                    .collect(),
            });
            assert_eq!(Control::parse(text), expected, "{text:?}");
        }
    }
}
