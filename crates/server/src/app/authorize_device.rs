//! Begins the device authorization grant (RFC 8628, section 3.1): a code for the device, and one for the person.

use std::sync::Arc;

use countersign_domain::{
    application::GrantType,
    authorization::Scope,
    device_code::{DeviceCode, State, USER_CODE_LENGTH, USER_CODE_LETTERS},
    id::Id,
    protected_resource::ScopeRefusal,
};
use countersign_protocol::{
    entropy::{Entropy, random},
    secret::Secret,
};
use countersign_store::{Tx, Work, device_code as codes};

use super::{
    App, Call, Fault, Realm,
    authenticate_client::{ClientCredentials, ClientError},
    fault::faults,
    protected_resource,
};

/// A device authorization request.
#[derive(Clone, Debug)]
pub struct AuthorizeDevice {
    /// Who asks.
    pub client: ClientCredentials,
    /// `scope`
    pub scope: Option<String>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// What the device is told (RFC 8628, section 3.2).
#[derive(Clone, Debug)]
pub struct DeviceAuthorization {
    /// What the device polls with.
    pub device_code: Secret<String>,
    /// What the person types, with a hyphen in the middle.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// Life of both codes.
    pub expires_in_seconds: u16,
    /// Seconds between two polls.
    pub interval_seconds: u8,
}

/// Why there are no codes.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeDeviceError {
    /// The client did not prove itself.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The client may not use this grant type.
    #[error("the application may not use device codes")]
    UnauthorizedClient,
    /// The client may not have what it asks for.
    #[error(transparent)]
    Scope(#[from] ScopeRefusal),
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(AuthorizeDeviceError);

impl App {
    /// Makes the codes.
    pub async fn authorize_device(
        self: &Arc<Self>,
        realm: &Arc<Realm>,
        request: AuthorizeDevice,
    ) -> Result<DeviceAuthorization, AuthorizeDeviceError> {
        let call = self.call(realm.environment, &request.correlation);
        let (id, user_code) = (call.new_id(), user_code(self.entropy.as_ref()));
        let (app, realm) = (Arc::clone(self), Arc::clone(realm));
        self.store.write(Authorize { app, realm, call, request, id, user_code }).await
    }
}

/// Letters drawn evenly: bytes above the last multiple of their number are drawn again.
fn user_code(entropy: &dyn Entropy) -> String {
    let even = u8::try_from(256 / USER_CODE_LETTERS.len() * USER_CODE_LETTERS.len());
    let even = even.unwrap_or(u8::MAX);
    let mut code = String::with_capacity(USER_CODE_LENGTH);
    while code.len() < USER_CODE_LENGTH {
        let drawn = random::<16>(entropy).into_iter().filter(|byte| *byte < even);
        let letters = drawn.filter_map(|byte| {
            USER_CODE_LETTERS.get(usize::from(byte) % USER_CODE_LETTERS.len()).copied()
        });
        code.extend(letters.take(USER_CODE_LENGTH - code.len()).map(char::from));
    }
    code
}

struct Authorize {
    app: Arc<App>,
    realm: Arc<Realm>,
    call: Call,
    request: AuthorizeDevice,
    id: Id<DeviceCode>,
    user_code: String,
}

impl Work for Authorize {
    type Output = DeviceAuthorization;
    type Error = AuthorizeDeviceError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<DeviceAuthorization, AuthorizeDeviceError> {
        let application =
            self.app.authenticate_client(tx, &self.realm, &self.request.client).await?;
        if !application.may(GrantType::DeviceCode) {
            return Err(AuthorizeDeviceError::UnauthorizedClient);
        }
        let scope = self.request.scope.as_deref();
        let rules = &application.oidc.device_grant;
        let now = self.call.now;
        let code = DeviceCode {
            id: self.id,
            environment: self.call.environment,
            application: application.id,
            scopes: Scope::parse_list(scope.unwrap_or_default()),
            access: protected_resource::access(tx, &application, scope).await??,
            issued_at: now,
            expires_at: now.plus_seconds(rules.timeout_seconds.into()),
            state: State::Pending {
                interval_seconds: rules.interval_seconds.into(),
                polled_at: None,
            },
        };
        codes::insert(tx, &code, &self.realm.user_code_hash(&self.user_code)).await?;
        let (first, second) = self.user_code.split_at(USER_CODE_LENGTH / 2);
        let own = || self.realm.device_page.clone();
        Ok(DeviceAuthorization {
            device_code: self.realm.device_code(self.id),
            user_code: format!("{first}-{second}"),
            verification_uri: rules.verification_uri.clone().unwrap_or_else(own),
            expires_in_seconds: rules.timeout_seconds,
            interval_seconds: rules.interval_seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use countersign_domain::device_code::normalized_user_code;
    use countersign_protocol::entropy::SystemEntropy;

    use super::*;

    #[test]
    fn a_user_code_is_in_its_normal_form() {
        for _ in 0..100 {
            let code = user_code(&SystemEntropy);
            assert_eq!(normalized_user_code(&code), Some(code));
        }
    }
}
