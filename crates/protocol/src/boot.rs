//! How an image boots.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What becomes of process 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootMode {
    /// The image's init is systemd.
    Systemd,
    /// The image's init starts OpenRC.
    Openrc,
    /// The image has an init of another sort, which knows nothing of the agent.
    Init,
    /// The image has none: the agent is process 1, and runs the image's command.
    Workload,
}

impl BootMode {
    /// Its name, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Openrc => "openrc",
            Self::Init => "init",
            Self::Workload => "workload",
        }
    }
}

impl fmt::Display for BootMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How an image boots, and why: decided from its merged tree and its command when it is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// What becomes of process 1.
    pub mode: BootMode,
    /// What that was seen from, in words: `/sbin/init leads to /usr/lib/systemd/systemd`.
    pub why: String,
    /// The image's own init: an absolute path in the guest. None in [`BootMode::Workload`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Arguments of the init, where it is the image's command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Whether `init` is an entrypoint of the image that prepares something and then becomes the init that its arguments name: it gets
    /// the image's variables and directory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entrypoint: bool,
}

impl Boot {
    /// A boot whose process 1 is the agent, which runs the image's command.
    pub fn workload(why: String) -> Self {
        Self { mode: BootMode::Workload, why, init: None, args: Vec::new(), entrypoint: false }
    }
}

/// Which init an image is to boot with: the value of `--init`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Init {
    /// The one that the image's config and files ask for.
    #[default]
    Auto,
    /// systemd
    Systemd,
    /// An init that starts OpenRC.
    Openrc,
    /// None: the agent runs the image's command.
    None,
    /// The program at this absolute path.
    Path(String),
}

/// Why a text does not name an init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wanted auto, systemd, openrc, none, or an absolute path in the image")]
pub struct InitError;

impl FromStr for Init {
    type Err = InitError;

    fn from_str(text: &str) -> Result<Self, InitError> {
        match text {
            "auto" => Ok(Self::Auto),
            "systemd" => Ok(Self::Systemd),
            "openrc" => Ok(Self::Openrc),
            "none" => Ok(Self::None),
            path if path.starts_with('/') && !path.ends_with('/') && !path.contains('\0') => {
                Ok(Self::Path(path.to_owned()))
            }
            _ => Err(InitError),
        }
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Systemd => "systemd",
            Self::Openrc => "openrc",
            Self::None => "none",
            Self::Path(path) => path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_init_is_a_word_or_a_path() {
        for text in ["auto", "systemd", "openrc", "none", "/sbin/init"] {
            assert_eq!(text.parse::<Init>().map(|init| init.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "Systemd", "init", "sbin/init", "/", "/sbin/", "/a\0b"] {
            assert_eq!(text.parse::<Init>(), Err(InitError), "{text}");
        }
    }
}
