//! Signing on at a page by an authentication code that a paired phone reads.

use countersign_domain::sign_on_policy::NoDevicesMode;
use countersign_sdk::{AuthenticationObject, CodeRefusal, CodeStatus, Error};
use countersign_server::app::DeviceChange;
use serde_json::{Value, json};

use crate::world::{Client, MFA_BYPASS, PASSWORD, Page, Phone, SITE_ADDRESS, Step, World};

mod attacks;
mod chromium;
mod flows;
mod pages;

/// A world whose web site lets people sign on with the bank's app, which ann has on a phone.
async fn offering(w: &mut World) -> Phone {
    let phone = w.phone_paired_to("ann").await;
    w.bank.require(&w.server, &[Step::Login, Step::Mfa(NoDevicesMode::Block)]).await;
    w.offer_phone_sign_on().await;
    phone
}

/// The page with a code for a new visitor.
async fn shown(w: &World) -> (Client, Page) {
    let mut site = w.site();
    let page = site.browser.open(&site.authorize_url(&site.request())).await;
    let page = site.browser.press(&page, "phone", &[]).await;
    (site, page)
}

/// What reading the page again does.
async fn refreshed(site: &mut Client, page: &Page) -> Page {
    site.browser.open(&page.url).await
}

async fn read(phone: &Phone, page: &Page) -> AuthenticationObject {
    phone.sdk.authenticate(&page.code()).await.unwrap()
}

/// Who is signed in at the end of a flow, and how.
async fn signed_in_by(site: &Client, end: &Page) -> (String, Value) {
    let code = end.returned("code").unwrap_or_else(|| panic!("no code: {end:?}"));
    let claims = site.tokens(&code).await.id_claims();
    (claims["sub"].as_str().unwrap().to_owned(), claims["amr"].clone())
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> CodeRefusal {
    match result {
        Err(Error::CodeRefused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}
