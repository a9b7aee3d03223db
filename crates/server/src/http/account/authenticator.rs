//! What a person adds to the own account beside paired phones: authenticator apps, addresses, numbers, recovery codes.

use axum::{http::StatusCode, response::Response};
use countersign_domain::{account, device::Device, flow::Flow, id::Id};

use super::{
    super::{
        authorize::see,
        form::Members,
        page::{AddAuthenticator, AddTarget, Done, Form, Page, Problem, Qr, RecoveryCodes, Screen},
        sign_on::{fault_page, html},
    },
    Stay, account_url, in_groups,
};
use crate::app::{ActivateError, AddOwnDeviceError, NewAuthenticator, NewKind, Shown};

impl Stay {
    /// Makes an authenticator, and goes where it is activated.
    pub(super) async fn add_authenticator(&self, flow: Id<Flow>, new: NewKind) -> Response {
        let new = (self.visit(flow), new);
        let added = self.app.add_authenticator(&self.realm, new, &self.correlation);
        match added.await {
            Ok(id) => {
                let url = format!("{}&authenticator={id}", account_url(&self.realm, flow));
                see(StatusCode::SEE_OTHER, &url)
            }
            Err(error) => self.refuse_addition(flow, error).await,
        }
    }

    /// The page that shows a seed, for as long as it may be activated.
    pub(super) async fn authenticator(
        &self,
        flow: Id<Flow>,
        id: Id<Device>,
        problem: Option<Problem>,
    ) -> Response {
        let found = self.app.read_new_authenticator(&self.realm, (self.visit(flow), id)).await;
        let NewAuthenticator { id, shown } = match found {
            Ok(Some(found)) => found,
            Ok(None) => return self.read(flow, problem).await,
            Err(fault) => return fault_page(&fault, &self.correlation),
        };
        let action = format!("{}&authenticator={id}", self.action(flow));
        let (token, back) = (self.token(flow), account_url(&self.realm, flow));
        let form = Form { action: &action, token: &token };
        let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let page = |screen| html(status, &Page::new(account::NAME, screen), None);
        match shown {
            Shown::Seed { secret, uri } => {
                let qr = Qr::new(uri.expose(), "QR code for the authenticator app");
                let (qr, secret) = (qr.as_ref(), in_groups(secret.expose()));
                let (secret, link, back) = (secret.as_str(), uri.expose().as_str(), back.as_str());
                let addition = AddAuthenticator { form, qr, secret, link, back, problem };
                page(Screen::AddAuthenticator(addition))
            }
            Shown::Sent { to } => {
                page(Screen::AddTarget(AddTarget { form, to: &to, back: &back, problem }))
            }
        }
    }

    /// Sends another passcode to the address or number that is to be added.
    pub(super) async fn send_activation(&self, flow: Id<Flow>) -> Response {
        let Some(id) = self.named.authenticator() else { return self.read(flow, None).await };
        let visit = (self.visit(flow), id);
        match self.app.send_activation(&self.realm, visit, &self.correlation).await {
            Ok(()) => {
                let url = format!("{}&authenticator={id}", account_url(&self.realm, flow));
                see(StatusCode::SEE_OTHER, &url)
            }
            Err(ActivateError::Refused(AddOwnDeviceError::TooManyPasscodes)) => {
                self.authenticator(flow, id, Some(Problem::TooManyPasscodes)).await
            }
            Err(ActivateError::Refused(error)) => self.refuse_addition(flow, error).await,
            Err(ActivateError::Gone | ActivateError::WrongPasscode) => {
                self.read(flow, Some(Problem::ActivationOver)).await
            }
            Err(ActivateError::Fault(fault)) => self.fault(flow, &fault).await,
        }
    }

    /// Activates it by the passcode that it shows.
    pub(super) async fn activate(&self, flow: Id<Flow>, members: &Members) -> Response {
        let Some(id) = self.named.authenticator() else { return self.read(flow, None).await };
        let Some(passcode) = members.secret("passcode") else {
            return self.authenticator(flow, id, Some(Problem::Required("passcode"))).await;
        };
        let request = (self.visit(flow), id, passcode);
        let activated =
            self.app.activate_authenticator(&self.realm, request, &self.correlation).await;
        match activated {
            Ok(()) => self.back(flow, Done::Added),
            Err(ActivateError::WrongPasscode) => {
                self.authenticator(flow, id, Some(Problem::WrongPasscode)).await
            }
            Err(ActivateError::Gone) => self.read(flow, Some(Problem::ActivationOver)).await,
            Err(ActivateError::Refused(error)) => self.refuse_addition(flow, error).await,
            Err(ActivateError::Fault(fault)) => self.fault(flow, &fault).await,
        }
    }

    /// Makes recovery codes, and shows them this once.
    pub(super) async fn make_codes(&self, flow: Id<Flow>) -> Response {
        let made = self.app.make_recovery_codes(&self.realm, self.visit(flow), &self.correlation);
        let codes = match made.await {
            Ok(codes) => codes,
            Err(error) => return self.refuse_addition(flow, error).await,
        };
        let codes: Vec<&str> = codes.iter().map(|code| code.expose().as_str()).collect();
        let back = account_url(&self.realm, flow);
        let screen = Screen::RecoveryCodes(RecoveryCodes { codes: &codes, back: &back });
        html(StatusCode::OK, &Page::new(account::NAME, screen), None)
    }

    pub(super) async fn refuse_addition(
        &self,
        flow: Id<Flow>,
        error: AddOwnDeviceError,
    ) -> Response {
        let problem = match error {
            AddOwnDeviceError::Refused(error) => return self.refuse(flow, error).await,
            AddOwnDeviceError::NoPairing => Problem::NotOffered,
            AddOwnDeviceError::LimitReached => Problem::TooManyDevices,
            AddOwnDeviceError::BadAddress => Problem::BadAddress,
            AddOwnDeviceError::TooManyPasscodes => Problem::TooManyPasscodes,
            AddOwnDeviceError::TooMany => Problem::TooManyKeys,
            AddOwnDeviceError::Fault(fault) => return self.fault(flow, &fault).await,
        };
        self.read(flow, Some(problem)).await
    }
}
