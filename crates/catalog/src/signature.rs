//! Signatures of catalogs: those of minisign (Ed25519 over BLAKE2b), in a file beside the catalog.
//!
//! Signed is the document, byte for byte; through the digests in it, everything that it offers. Only what minisign makes by itself
//! today is accepted (prehashed, `ED`): the older form (`Ed`) has no use for documents of this size. Which of several keys
//! has signed does not matter.

use minisign_verify::{Error as MinisignError, PublicKey, Signature};

use crate::error::{Error, Result};

/// What the name of a signature has behind that of the catalog.
pub const SUFFIX: &str = ".minisig";

/// The first line of a key's file begins with this.
const COMMENT: &str = "untrusted comment:";

/// Keys whose signatures are good. At least one.
#[derive(Clone, Debug)]
pub struct Keys(Vec<PublicKey>);

impl Keys {
    /// Reads public keys: each the line of base64 that minisign shows, or the whole file. None where there are no keys.
    ///
    /// # Errors
    /// [`Error::Setting`]: one is no key. `catalog` names the catalog that it is set for.
    pub fn parse(keys: &[String], catalog: &str) -> Result<Option<Self>> {
        let parse = |text: &String| {
            let text = text.trim();
            let key = if text.starts_with(COMMENT) { PublicKey::decode(text) } else { PublicKey::from_base64(text) };
            key.map_err(|_| Error::Setting {
                what: format!("the catalog {catalog}"),
                reason: format!("{:?} is not a public key of minisign", text.chars().take(80).collect::<String>()),
            })
        };
        let keys = keys.iter().map(parse).collect::<Result<Vec<_>>>()?;
        Ok((!keys.is_empty()).then_some(Self(keys)))
    }

    /// Checks a signature of a catalog.
    ///
    /// # Errors
    /// [`Error::Signature`]: it is none of that document by one of these keys.
    pub fn verify(&self, document: &[u8], signature: &[u8], catalog: &str) -> Result<()> {
        let untrusted = |reason: String| Error::Signature { catalog: catalog.to_owned(), reason };
        let none = || untrusted("its signature is not one of minisign".to_owned());
        let text = std::str::from_utf8(signature).map_err(|_| none())?;
        let signature = Signature::decode(text).map_err(|_| none())?;
        let mut by_one_of_these = false;
        for key in &self.0 {
            match key.verify(document, &signature, false) {
                Ok(()) => return Ok(()),
                Err(MinisignError::UnexpectedKeyId) => {}
                Err(MinisignError::UnexpectedAlgorithm) => {
                    let reason = "its signature is of the old form; sign it again with a current minisign";
                    return Err(untrusted(reason.to_owned()));
                }
                Err(_) => by_one_of_these = true,
            }
        }
        Err(untrusted(match (by_one_of_these, self.0.len()) {
            (true, _) => "its signature is not of this document: one of both was changed".to_owned(),
            (false, 1) => "it was signed with another key than the one in the settings".to_owned(),
            (false, _) => "it was signed with none of the keys in the settings".to_owned(),
        }))
    }
}
