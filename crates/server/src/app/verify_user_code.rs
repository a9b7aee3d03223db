//! Takes the code that a person types from a device, and begins the sign-on in which it is allowed (RFC 8628, section 3.3).

use std::sync::Arc;

use countersign_domain::{
    authorization::{Answer, AuthorizationRequest},
    device_code::{State, normalized_user_code},
};
use countersign_protocol::secret::Secret;
use countersign_store::{Tx, Work, application, device_code as codes, flow as flows};

use super::{
    App, Call, Fault, Realm, Started, fault::faults, read_flow::view, run_flow::Seen,
    start_flow::new_flow,
};

/// A user code as it was typed.
#[derive(Clone, Debug)]
pub struct VerifyUserCode {
    /// The code.
    pub user_code: String,
    /// The cookie of the browser, if it has one.
    pub cookie: Option<Secret<String>>,
    /// The name under which the request is logged.
    pub correlation: String,
}

/// Why no sign-on has begun.
#[derive(Debug, thiserror::Error)]
pub enum UserCodeError {
    /// No device waits with this code.
    #[error("the code is unknown or has expired")]
    Unknown,
    /// So many wrong codes came that somebody seems to guess.
    #[error("too many wrong codes; try again in a minute")]
    TooManyGuesses,
    /// It could not be decided.
    #[error(transparent)]
    Fault(Fault),
}

faults!(UserCodeError);

impl App {
    /// Begins the sign-on for the device that shows this code.
    pub async fn verify_user_code(
        &self,
        realm: &Arc<Realm>,
        request: VerifyUserCode,
    ) -> Result<Started, UserCodeError> {
        let call = self.call(realm.environment, &request.correlation);
        let now = call.now;
        if self.user_code_guesses.are_spent(realm.environment, now) {
            return Err(UserCodeError::TooManyGuesses);
        }
        let hash = normalized_user_code(&request.user_code).map(|code| realm.user_code_hash(&code));
        let hash = hash.ok_or(UserCodeError::Unknown)?;
        let cookie = request.cookie.unwrap_or_else(|| self.new_cookie());
        let browser = realm.browser_hash(cookie.expose());
        match self.store.write(Verify { call, hash, browser }).await {
            Ok(view) => Ok(Started { view, cookie }),
            Err(UserCodeError::Unknown) => {
                self.user_code_guesses.count(realm.environment, now);
                Err(UserCodeError::Unknown)
            }
            Err(error) => Err(error),
        }
    }
}

struct Verify {
    call: Call,
    hash: [u8; 32],
    browser: String,
}

impl Work for Verify {
    type Output = super::FlowView;
    type Error = UserCodeError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<super::FlowView, UserCodeError> {
        let Call { environment, now, .. } = self.call;
        let code = codes::find_by_user_code(tx, environment, &self.hash, now).await?;
        let code = code.filter(|code| matches!(code.state, State::Pending { .. }));
        let code = code.ok_or(UserCodeError::Unknown)?;
        let application = application::load(tx, environment, code.application).await?;
        let application = application.filter(|application| application.enabled);
        let application = application.ok_or(UserCodeError::Unknown)?;
        let answer = Answer::Device { device_code: code.id };
        let request = AuthorizationRequest {
            scopes: code.scopes.clone(),
            access: code.access.clone(),
            ..AuthorizationRequest::without_code(application.id, answer)
        };
        let flow = new_flow(tx, &self.call, &application, request, self.browser.clone()).await?;
        flows::insert(tx, &flow).await?;
        Ok(view(tx, flow, now, Seen::default()).await?)
    }
}
