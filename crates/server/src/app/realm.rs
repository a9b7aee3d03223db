//! A realm: an environment as an issuer, with its addresses and its keys in memory.

use std::sync::Arc;

use countersign_domain::{
    device_code::DeviceCode, environment::Environment, flow::Flow, grant::Grant, id::Id,
    pairing::Ticket,
};
use countersign_protocol::{encoding, secret::Secret};
use countersign_store::{StoreError, Tx, Work, environment};

use super::{App, Fault};
use crate::keys::{EnvironmentKeys, KeyError, KeyMaterial, Place, Purpose, Vault};

/// An environment as an issuer.
pub struct Realm {
    /// The environment.
    pub environment: Id<Environment>,
    /// `iss` of its tokens.
    pub issuer: String,
    /// Address of its device API.
    pub device_base: String,
    /// Address at which people type the codes of their devices.
    pub device_page: String,
    /// Address of the platform API, which all environments share.
    pub platform_base: String,
    /// What it signs and hashes with.
    pub keys: EnvironmentKeys,
}

impl App {
    /// The realm of an environment, or nothing if there is no such environment.
    pub async fn realm(&self, id: Id<Environment>) -> Result<Option<Arc<Realm>>, Fault> {
        if let Some(realm) = self.known_realm(id) {
            return Ok(Some(realm));
        }
        let Some(sealed) = self.store.read(LoadKeys { id }).await? else { return Ok(None) };
        let open = |column, sealed| self.vault.open(Place { column, row: id.as_bytes() }, sealed);
        let material = KeyMaterial {
            rs256: open(RS256, &sealed.rs256)?,
            es256: open(ES256, &sealed.es256)?,
            mac: open(MAC, &sealed.mac)?,
        };
        let keys = EnvironmentKeys::open(&material)?;
        let base = format!("{}/{id}", self.settings.base_url);
        let (issuer, device_base) = (format!("{base}/as"), format!("{base}/device/v1"));
        let platform_base = format!("{}/v1", self.settings.base_url);
        let device_page = format!("{base}/device");
        let realm =
            Realm { environment: id, issuer, device_base, device_page, platform_base, keys };
        Ok(Some(self.remember_realm(realm)))
    }
}

const RS256: &str = "environment_keys.rs256";
const ES256: &str = "environment_keys.es256";
const MAC: &str = "environment_keys.mac";

/// New keys of an environment, sealed for its row.
pub(super) fn seal_keys(
    vault: &Vault,
    id: Id<Environment>,
    material: &KeyMaterial,
    entropy: &dyn countersign_protocol::entropy::Entropy,
) -> Result<environment::SealedKeys, KeyError> {
    let seal = |column, plain: &Secret<Vec<u8>>| {
        vault.seal(Place { column, row: id.as_bytes() }, plain.expose(), entropy)
    };
    Ok(environment::SealedKeys {
        rs256: seal(RS256, &material.rs256)?,
        es256: seal(ES256, &material.es256)?,
        mac: seal(MAC, &material.mac)?,
    })
}

struct LoadKeys {
    id: Id<Environment>,
}

impl Work for LoadKeys {
    type Output = Option<environment::SealedKeys>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, StoreError> {
        environment::load_keys(tx, self.id).await
    }
}

/// Bytes of an id, which every handle begins with.
const ID_BYTES: usize = 16;

impl Realm {
    /// Who a client may say that its assertion is for: the issuer, or an endpoint at which it proves itself (RFC 7523,
    /// section 3; RFC 9126, section 2).
    #[must_use]
    pub fn audiences_of_clients(&self) -> Vec<String> {
        let endpoints = ["token", "par", "introspect", "revoke", "device_authorization"];
        let at = |endpoint| format!("{}/{endpoint}", self.issuer);
        std::iter::once(self.issuer.clone()).chain(endpoints.map(at)).collect()
    }

    /// The code of a grant: its id, and a keyed hash of it that nobody else can make. So a code need not be stored, and
    /// asking for the result of a flow again gives the same one.
    #[must_use]
    pub fn code(&self, grant: Id<Grant>) -> Secret<String> {
        let proof = self.keys.mac(Purpose::Code, grant.as_bytes());
        Secret::new(encoding::encode([grant.as_bytes().as_slice(), &proof].concat()))
    }

    /// The grant that a code names, if this realm made the code.
    #[must_use]
    pub fn grant_of(&self, code: &str) -> Option<Id<Grant>> {
        let (id, proof) = split_handle(code)?;
        self.keys.verify_mac(Purpose::Code, &id, &proof).then_some(Id::from_bytes(id))
    }

    /// The refresh token of one generation of a grant, made like a code.
    #[must_use]
    pub fn refresh_token(&self, grant: Id<Grant>, generation: u32) -> Secret<String> {
        let named = refresh_bytes(grant, generation);
        let proof = self.keys.mac(Purpose::Refresh, &named);
        Secret::new(encoding::encode([named.as_slice(), &proof].concat()))
    }

    /// Grant and generation that a refresh token names, if this realm made it.
    #[must_use]
    pub fn refresh_of(&self, token: &str) -> Option<(Id<Grant>, u32)> {
        let bytes = encoding::decode(token).ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
        let (generation, proof) = rest.split_first_chunk::<4>()?;
        let (grant, generation) = (Id::from_bytes(*id), u32::from_be_bytes(*generation));
        let named = refresh_bytes(grant, generation);
        self.keys.verify_mac(Purpose::Refresh, &named, proof).then_some((grant, generation))
    }

    /// The device code that stands for a request of a device, made like a code.
    #[must_use]
    pub fn device_code(&self, id: Id<DeviceCode>) -> Secret<String> {
        let proof = self.keys.mac(Purpose::DeviceCode, id.as_bytes());
        Secret::new(encoding::encode([id.as_bytes().as_slice(), &proof].concat()))
    }

    /// The request that a device code names, if this realm made the code.
    #[must_use]
    pub fn device_code_of(&self, code: &str) -> Option<Id<DeviceCode>> {
        let (id, proof) = split_handle(code)?;
        self.keys.verify_mac(Purpose::DeviceCode, &id, &proof).then_some(Id::from_bytes(id))
    }

    /// What is stored of a user code in its normal form.
    #[must_use]
    pub fn user_code_hash(&self, normalized: &str) -> [u8; 32] {
        self.keys.mac(Purpose::UserCode, normalized.as_bytes())
    }

    /// The token of the form that asks this browser for a user code.
    #[must_use]
    pub fn user_code_form(&self, cookie: &str) -> String {
        encoding::encode(self.keys.mac(Purpose::UserCodeForm, cookie.as_bytes()))
    }

    /// Whether that form carries its token, in constant time.
    #[must_use]
    pub fn owns_user_code_form(&self, cookie: &str, token: &str) -> bool {
        let token = encoding::decode(token).unwrap_or_default();
        self.keys.verify_mac(Purpose::UserCodeForm, cookie.as_bytes(), &token)
    }

    /// The value of a ticket: its id and its secret.
    #[must_use]
    pub fn ticket_value(&self, ticket: Id<Ticket>, secret: &[u8; 32]) -> Secret<String> {
        Secret::new(encoding::encode([ticket.as_bytes().as_slice(), secret].concat()))
    }

    /// What is stored of the secret of a ticket.
    #[must_use]
    pub fn ticket_hash(&self, ticket: Id<Ticket>, secret: &[u8]) -> String {
        let bound = [ticket.as_bytes().as_slice(), secret].concat();
        encoding::encode(self.keys.mac(Purpose::Ticket, &bound))
    }

    /// Whether this is the secret of a ticket whose hash is stored, in constant time.
    #[must_use]
    pub fn owns_ticket(&self, ticket: Id<Ticket>, secret: &[u8], stored: &str) -> bool {
        let stored = encoding::decode(stored).unwrap_or_default();
        let bound = [ticket.as_bytes().as_slice(), secret].concat();
        self.keys.verify_mac(Purpose::Ticket, &bound, &stored)
    }

    /// What is stored of the cookie of a browser.
    #[must_use]
    pub fn browser_hash(&self, cookie: &str) -> String {
        encoding::encode(self.keys.mac(Purpose::Browser, cookie.as_bytes()))
    }

    /// Whether this is the cookie whose hash is stored, in constant time.
    #[must_use]
    pub fn owns_browser(&self, cookie: &str, stored: &str) -> bool {
        let stored = encoding::decode(stored).unwrap_or_default();
        self.keys.verify_mac(Purpose::Browser, cookie.as_bytes(), &stored)
    }

    /// The token that forms of a flow carry, so that another site cannot post them (CSRF).
    #[must_use]
    pub fn form_token(&self, flow: Id<Flow>, cookie: &str) -> String {
        encoding::encode(self.keys.mac(Purpose::Form, &form_bytes(flow, cookie)))
    }

    /// Whether a form carries the token of its flow, in constant time.
    #[must_use]
    pub fn owns_form(&self, flow: Id<Flow>, cookie: &str, token: &str) -> bool {
        let token = encoding::decode(token).unwrap_or_default();
        self.keys.verify_mac(Purpose::Form, &form_bytes(flow, cookie), &token)
    }
}

fn refresh_bytes(grant: Id<Grant>, generation: u32) -> Vec<u8> {
    [grant.as_bytes().as_slice(), &generation.to_be_bytes()].concat()
}

fn form_bytes(flow: Id<Flow>, cookie: &str) -> Vec<u8> {
    [flow.as_bytes().as_slice(), cookie.as_bytes()].concat()
}

/// Id and secret of a handle, or nothing if it cannot be one.
pub(super) fn split_handle(handle: &str) -> Option<([u8; ID_BYTES], Vec<u8>)> {
    let bytes = encoding::decode(handle).ok()?;
    let (id, secret) = bytes.split_first_chunk::<ID_BYTES>()?;
    (secret.len() == 32).then(|| (*id, secret.to_vec()))
}
