//! Key stores in software, for desktops and tests. Phones use the one of their hardware.

mod memory;
mod person;
mod software;

pub use memory::MemoryKeyStore;
pub use software::SoftwareKeyStore;

use countersign_protocol::entropy::Entropy;
use countersign_protocol::private_key::EcPrivateKey;

use crate::platform::PublicKeys;

/// All keys of an installation.
#[derive(Debug)]
struct PrivateKeys {
    possession: EcPrivateKey,
    agreement: EcPrivateKey,
    verification: EcPrivateKey,
}

impl PrivateKeys {
    fn generate(entropy: &dyn Entropy) -> Self {
        Self {
            possession: EcPrivateKey::generate(entropy),
            agreement: EcPrivateKey::generate(entropy),
            verification: EcPrivateKey::generate(entropy),
        }
    }

    const fn public(&self) -> PublicKeys {
        PublicKeys {
            possession: self.possession.public(),
            agreement: self.agreement.public(),
            verification: Some(self.verification.public()),
        }
    }
}
