//! How registries are to be spoken to, for one request. It goes before what the settings say.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is said about registries with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryAccess {
    /// When a registry is asked.
    pub pull: PullPolicy,
    /// Connections to a registry, and threads that work. 0 means what nothing means: as many as there are processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<usize>,
    /// What to show to whom, by the registry's domain. Nothing of it is stored.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<String, Credential>,
    /// Why there is nothing to show to whom, by the registry's domain, where that is because something failed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lapses: BTreeMap<String, Lapse>,
    /// Hosts that may do without certificates, and without encryption.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub insecure: Vec<String>,
    /// Files (PEM) with certificates of authorities that are trusted beside the system's: absolute paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub ca: Vec<PathBuf>,
    /// Another file of settings: an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub config: Option<PathBuf>,
    /// Another cache: an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cache: Option<PathBuf>,
}

/// When a registry is asked. What is in the cache by digest is never downloaded again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// What the reference means now is always asked.
    #[default]
    Always,
    /// Only where the image is not in the cache.
    Missing,
    /// Never.
    Never,
}

/// A place that could have credentials and could not be asked: a helper program that is missing, say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lapse {
    /// What failed, on what, why.
    pub reason: String,
    /// What can be done about it.
    pub hint: String,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Credential {
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// A token that stands for a login, which another one is had for (OAuth 2).
    Identity {
        /// The token.
        token: String,
    },
}

impl fmt::Debug for Credential {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => f.debug_struct("Basic").field("username", username).finish_non_exhaustive(),
            Self::Identity { .. } => f.debug_struct("Identity").finish_non_exhaustive(),
        }
    }
}
