//! What catalogs offer: images and kernels that can be fetched by name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What `catalog.list` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offers {
    /// What all catalogs offer, in the order in which they are looked through.
    pub offers: Vec<Offer>,
    /// What is odd: a catalog that cannot be read.
    pub warnings: Vec<String>,
}

/// What is offered under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    /// Whether it is an image or a kernel.
    pub what: What,
    /// Its name.
    pub name: String,
    /// The distribution that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distro: Option<String>,
    /// What it runs on, as image indexes name it.
    pub arch: String,
    /// Of an image: the name of the kernel that it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_ref: Option<String>,
    /// Of a kernel: its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where the file is.
    pub url: String,
    /// Bytes of the file; none for what is a part of banger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What it is, in words.
    pub description: String,
    /// The catalog that offers it.
    pub catalog: String,
    /// Whether that catalog's signature was checked, and is good.
    pub signed: bool,
    /// Of a kernel: whether it is here already by that name.
    pub here: bool,
}

/// What an entry of a catalog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An image, in a bundle.
    Image,
    /// A kernel, in an archive.
    Kernel,
}

/// `bundle.make`: writes an image into a file that a catalog can offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeBundle {
    /// The image's name or id.
    pub image: String,
    /// Where the file goes: the absolute path of a directory. Its name is made of the image's and of its digest.
    #[schema(value_type = String)]
    pub directory: PathBuf,
}

/// A file that a catalog can offer, and what to say of it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Archive {
    /// Where it is.
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// Whether it is an image or a kernel.
    pub what: What,
    /// Digest of the file: 64 hexadecimal digits.
    pub sha256: String,
    /// Bytes of the file.
    pub size: u64,
}
