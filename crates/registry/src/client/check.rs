//! Whether a registry takes a credential, which a login wants to know before it keeps one.

use banger_oci::Reference;

use super::Client;
use super::conversation::Ask;
use crate::auth::cache::Purpose;
use crate::endpoint::Endpoint;
use crate::error::Error;

impl Client {
    /// Asks the registry itself, no mirror, to be let in with the credential for this name. Nothing is asked for a
    /// repository: a user who may see none of that name can log in all the same.
    ///
    /// Says whether the registry wanted to know who asks. If not, nothing is known of the credential.
    ///
    /// # Errors
    /// The registry or its token server refuses the credential, cannot be reached, or makes no sense.
    pub fn check(&self, registry: &Reference) -> Result<bool, Error> {
        let endpoint = Endpoint::upstream(&self.settings, registry);
        self.persist(&endpoint, |endpoint| self.converse(endpoint, &Ask::version("a login")))?;
        let slot = self.grants.slot(&endpoint.authority, &endpoint.repository, Purpose::Pull);
        Ok(slot.get(self.clock.now()).is_some())
    }
}
