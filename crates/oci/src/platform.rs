//! Platforms: which of an index's images is wanted.
//!
//! Platforms are compared in a normal form, so that `x86_64`, `amd64` and `amd64/v1` are one platform. The names are
//! Go's (image-index.md, "platform.architecture"), the aliases and variants those that containerd knows.
//!
//! An offered platform fits a wanted one when
//! - the operating system and the architecture are the same. An architecture that the wanted one could also run (386
//!   on amd64, arm on arm64) does *not* fit: a disk is for the kernel it will be booted with, and a silent change of
//!   architecture would only be noticed there;
//! - the variant is the wanted one or one below it: an image for amd64/v2 runs on v3, one for arm/v6 on v7. An
//!   architecture without a variant is its baseline: amd64 is v1, arm64 is v8, arm is v7.
//!
//! Of several that fit the one with the highest variant is chosen, and of equals the first.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// An operating system, an architecture and perhaps a variant of it, in normal form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// Why a text is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformError {
    /// There are not two or three parts, or one is empty or has characters that no platform has.
    #[error("{text:?} is not a platform: OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT is meant, as in linux/arm64")]
    Form {
        /// The text, shortened.
        text: String,
    },
    /// It is a single word, and not an architecture that is known.
    #[error("{text:?} is not an architecture that is known; name a platform as OS/ARCHITECTURE, as in linux/arm64")]
    Architecture {
        /// The text, shortened.
        text: String,
    },
}

/// Go's names of the architectures that a single word may name.
const ARCHITECTURES: [&str; 12] =
    ["386", "amd64", "arm", "arm64", "loong64", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x", "wasm"];

impl Platform {
    /// Makes a platform of its parts, in whatever spelling.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            os => os.to_owned(),
        };
        let (architecture, implied) = normal_architecture(architecture);
        let variant = variant.map(str::to_ascii_lowercase).filter(|v| !v.is_empty()).or(implied.map(str::to_owned));
        let variant = normal_variant(&architecture, variant);
        Platform { os, architecture, variant }
    }

    /// The platform of a disk for this machine: Linux on the machine's architecture.
    pub fn host() -> Self {
        // Rust names these two without saying which end comes first.
        let architecture = match std::env::consts::ARCH {
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "mips64" if cfg!(target_endian = "little") => "mips64le",
            architecture => architecture,
        };
        Platform::new("linux", architecture, None)
    }

    /// Parses `OS/ARCHITECTURE[/VARIANT]`. An architecture alone stands for Linux on it.
    ///
    /// ```
    /// use banger_oci::Platform;
    ///
    /// assert_eq!(Platform::parse("linux/aarch64")?, Platform::parse("arm64/v8")?);
    /// assert_eq!(Platform::parse("linux/armhf")?.to_string(), "linux/arm/v7");
    /// # Ok::<(), banger_oci::PlatformError>(())
    /// ```
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let form = || PlatformError::Form { text: crate::digest::shorten(text) };
        let parts: Vec<&str> = text.split('/').collect();
        let is_part = |part: &&str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        };
        if !parts.iter().all(is_part) {
            return Err(form());
        }
        let is_architecture = |part: &str| ARCHITECTURES.contains(&normal_architecture(part).0.as_str());
        match parts[..] {
            [architecture] if is_architecture(architecture) => Ok(Platform::new("linux", architecture, None)),
            [_] => Err(PlatformError::Architecture { text: crate::digest::shorten(text) }),
            [architecture, variant] if is_architecture(architecture) => {
                Ok(Platform::new("linux", architecture, Some(variant)))
            }
            [os, architecture] => Ok(Platform::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Platform::new(os, architecture, Some(variant))),
            _ => Err(form()),
        }
    }

    /// The operating system, as Go names it.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The architecture, as Go names it.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant, where it is not the architecture's baseline.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Whether an image for the offered platform will do where this one is wanted, by the rules of this module.
    pub fn accepts(&self, offered: &Platform) -> bool {
        self.rank(offered).is_some()
    }

    /// How well an offered platform fits this, the wanted one: the smaller the better, `None` not at all.
    pub(crate) fn rank(&self, offered: &Platform) -> Option<impl Ord + use<>> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        let wanted = Level::of(&self.architecture, self.variant());
        let level = Level::of(&offered.architecture, offered.variant());
        let fits = match (&wanted, &level) {
            (Some(wanted), Some(level)) => level.major <= wanted.major && level.features <= wanted.features,
            // Variants without an order: the same one, or the baseline.
            _ => self.variant == offered.variant || offered.variant.is_none(),
        };
        fits.then_some((Reverse(level), offered.variant.is_none()))
    }

    /// Whether another account of the same image contradicts this one. A variant that may only have been left out
    /// does not: for arm that is v7.
    pub(crate) fn contradicts(&self, other: &Platform) -> bool {
        let said = |platform: &Platform| match (platform.architecture(), platform.variant()) {
            ("arm", Some("v7")) | (_, None) => None,
            (_, Some(variant)) => Some(variant.to_owned()),
        };
        let variants = said(self).zip(said(other));
        (&self.os, &self.architecture) != (&other.os, &other.architecture)
            || variants.is_some_and(|(one, other)| one != other)
    }

    /// Whether this is how an index marks an entry that is not an image (attestations).
    pub(crate) fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

/// A variant's place in the order of its architecture's variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Level {
    /// The version of the instruction set.
    major: u32,
    /// What must be supported; comparable across versions.
    features: u32,
}

impl Level {
    fn of(architecture: &str, variant: Option<&str>) -> Option<Level> {
        let baseline = match architecture {
            "amd64" => "v1",
            "arm" => "v7",
            "arm64" => "v8",
            _ => return None,
        };
        let version = variant.unwrap_or(baseline).strip_prefix('v')?;
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        let features = match (architecture, major) {
            ("arm64", 8) => minor,
            // Armv9.n includes all of Armv8.(n + 5).
            ("arm64", 9) => minor.checked_add(5)?,
            ("amd64" | "arm", _) if minor == 0 => major,
            _ => return None,
        };
        Some(Level { major, features })
    }
}

/// Go's name of an architecture, and the variant that the given name implies.
fn normal_architecture(name: &str) -> (String, Option<&'static str>) {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "x86_64" | "x86-64" => ("amd64".into(), None),
        "x86" | "i386" | "i486" | "i586" | "i686" => ("386".into(), None),
        "aarch64" => ("arm64".into(), None),
        "armhf" | "armv7l" => ("arm".into(), Some("v7")),
        "armel" | "armv6l" => ("arm".into(), Some("v6")),
        "ppc64el" | "powerpc64le" => ("ppc64le".into(), None),
        "powerpc64" => ("ppc64".into(), None),
        "loongarch64" => ("loong64".into(), None),
        "mips64el" => ("mips64le".into(), None),
        _ => (name, None),
    }
}

fn normal_variant(architecture: &str, variant: Option<String>) -> Option<String> {
    match architecture {
        "amd64" | "arm" | "arm64" => {}
        _ => return variant,
    }
    let variant = match variant {
        Some(variant) if variant.starts_with(|c: char| c.is_ascii_digit()) => Some(format!("v{variant}")),
        variant => variant,
    };
    let variant = variant.map(|variant| variant.strip_suffix(".0").map_or(variant.clone(), str::to_owned));
    match (architecture, variant.as_deref()) {
        ("amd64", Some("v1")) | ("arm64", Some("v8")) => None,
        ("arm", None) => Some("v7".to_owned()),
        _ => variant,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        Platform::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn spellings_of_one_platform() {
        let cases = [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/arm64/v8.0", "linux/arm64"),
            ("linux/arm64/v8.2", "linux/arm64/v8.2"),
            ("linux/arm64/9.0", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/i686", "linux/386"),
            ("linux/ppc64el", "linux/ppc64le"),
            ("macos/arm64", "darwin/arm64"),
            ("arm64", "linux/arm64"),
            ("arm64/v8", "linux/arm64"),
            ("armhf", "linux/arm/v7"),
            ("linux/riscv64", "linux/riscv64"),
            ("freebsd/amd64", "freebsd/amd64"),
        ];
        for (text, expected) in cases {
            assert_eq!(platform(text).to_string(), expected, "{text}");
            assert_eq!(platform(expected), platform(text), "{expected} again");
        }
    }

    #[test]
    fn what_is_not_a_platform() {
        for text in ["", "/", "linux/", "/amd64", "linux//v1", "a/b/c/d", "linux/am d64", "linux/\u{e9}", "../x"] {
            assert!(matches!(Platform::parse(text), Err(PlatformError::Form { .. })), "{text:?}");
        }
        for text in ["linux", "debian", "amd65"] {
            assert!(matches!(Platform::parse(text), Err(PlatformError::Architecture { .. })), "{text:?}");
        }
    }

    #[test]
    fn the_host_is_a_linux() {
        assert_eq!(Platform::host().os(), "linux");
        assert!(ARCHITECTURES.contains(&Platform::host().architecture()));
    }

    #[test]
    fn the_best_variant_that_fits_is_chosen() {
        // What is wanted, what is offered, and the place of the one to choose.
        let cases: &[(&str, &[&str], Option<usize>)] = &[
            ("linux/amd64", &["linux/arm64", "linux/amd64"], Some(1)),
            ("linux/amd64", &["linux/386"], None),
            ("linux/amd64", &["windows/amd64"], None),
            ("linux/amd64", &["linux/amd64/v2", "linux/amd64"], Some(1)),
            ("linux/amd64", &["linux/amd64/v2"], None),
            ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], Some(1)),
            ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v3", "linux/amd64/v3"], Some(1)),
            ("linux/arm", &["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], Some(1)),
            ("linux/arm/v5", &["linux/arm/v6", "linux/arm/v7"], None),
            ("linux/arm/v6", &["linux/arm/v7", "linux/arm/v5", "linux/arm/v6"], Some(2)),
            ("linux/arm64", &["linux/arm/v7", "linux/arm64/v8"], Some(1)),
            ("linux/arm64", &["linux/arm/v8"], None),
            ("linux/arm64", &["linux/arm64/v8.2"], None),
            ("linux/arm64/v9", &["linux/arm64", "linux/arm64/v8.5", "linux/arm64/v8.6"], Some(1)),
            ("linux/arm64/v8.5", &["linux/arm64/v9"], None),
            ("linux/arm64/v9.1", &["linux/arm64/v8.6", "linux/arm64/v9"], Some(1)),
            ("linux/s390x", &["linux/s390x"], Some(0)),
            ("linux/ppc64le/power9", &["linux/ppc64le", "linux/ppc64le/power9"], Some(1)),
            ("linux/ppc64le/power9", &["linux/ppc64le", "linux/ppc64le/power10"], Some(0)),
            ("linux/ppc64le", &["linux/ppc64le/power9"], None),
            ("linux/amd64/strange", &["linux/amd64/strange", "linux/amd64/v2"], Some(0)),
        ];
        for (wanted, offered, expected) in cases {
            let wanted = platform(wanted);
            let chosen = offered
                .iter()
                .enumerate()
                .filter_map(|(place, offered)| Some((wanted.rank(&platform(offered))?, place)))
                .min()
                .map(|(_, place)| place);
            assert_eq!(chosen, *expected, "{wanted} of {offered:?}");
        }
    }
}
