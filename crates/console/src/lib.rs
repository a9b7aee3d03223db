//! The pages of the console: what administrators see and press.
//!
//! The console is a client of the management API like any other. It asks an [`Api`] that the caller brings, in the name of the
//! person who is there, and shows what it is answered: so roles, rules and the audit log are those of the API, and whatever a
//! page shows or does can be had from a program too. A request and the person go in, HTML text comes out; there is no I/O here.

mod administrator;
mod api;
mod application;
mod audit;
mod chart;
mod environment;
mod form;
mod frame;
mod item;
mod key;
mod mfa_policy;
mod mfa_settings;
mod overview;
mod part;
mod qr;
mod reference;
mod sign_on;
mod sign_on_policy;
mod terraform;
mod user;
mod webhook;

use countersign_domain::{
    role::{Area, Authority, Permission},
    user::User,
};
use countersign_protocol::time::Timestamp;

use self::{api::Refused, frame::Frame};
pub use self::{
    api::{Api, ApiAnswer, ApiCall, Body, Method},
    reference::reference,
};

/// The looks of the pages.
pub const STYLESHEET: &str = include_str!("../assets/console.css");

/// What lets parts of pages renew themselves. Pages are whole without it.
pub const SCRIPT: &str = include_str!("../assets/htmx.js");

/// Where the files of the pages are, as paths of URLs.
#[derive(Clone, Debug)]
pub struct Assets {
    /// What a browser shows on the tab.
    pub icon: String,
    /// [`STYLESHEET`].
    pub stylesheet: String,
    /// [`SCRIPT`].
    pub script: String,
}

/// How a page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is looked at.
    Get,
    /// A form is sent.
    Post,
}

/// A request of a browser.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// How.
    pub verb: Verb,
    /// The path of the URL, which begins with `/console`.
    pub path: &'a str,
    /// The members of its query.
    pub query: Vec<(String, String)>,
    /// The members of the form, whose token the caller has checked.
    pub form: Vec<(String, String)>,
    /// Scheme and authority of the platform.
    pub base_url: &'a str,
    /// What each form must carry as its member `token`.
    pub token: &'a str,
    /// Where the files of the pages are.
    pub assets: &'a Assets,
    /// The time.
    pub now: Timestamp,
}

impl Request<'_> {
    /// A member of the query, unless it is empty.
    fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// A member of the form, unless it is empty.
    fn sent(&self, name: &str) -> Option<&str> {
        find(&self.form, name)
    }
}

fn find<'a>(members: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = members.iter().find(|(found, value)| found == name && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

/// The person at the console.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// Who it is.
    pub user: &'a User,
    /// What the roles of the user allow. The API decides; the pages leave out what it would refuse.
    pub authority: &'a Authority,
    /// Whether a device of the user is asked for at each sign-on.
    pub has_device: bool,
}

/// What a browser is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A page.
    Page {
        /// The status of HTTP.
        status: u16,
        /// The text.
        html: String,
    },
    /// Another page, by its path.
    See(String),
}

/// A request on its way to its page.
struct Visit<'a> {
    request: &'a Request<'a>,
    visitor: &'a Visitor<'a>,
    api: &'a dyn Api,
}

/// What a page makes of a visit, unless the API refuses.
type Outcome = Result<Reply, Refused>;

/// Answers a request.
pub async fn answer(request: &Request<'_>, visitor: &Visitor<'_>, api: &dyn Api) -> Reply {
    let visit = Visit { request, visitor, api };
    match visit.route().await {
        Ok(reply) => reply,
        Err(refused) => frame::refusal(&visit, &refused),
    }
}

impl Visit<'_> {
    async fn route(&self) -> Outcome {
        let path = self.request.path.trim_matches('/');
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments.as_slice() {
            [] | ["environments"] => environment::route(self).await,
            ["me"] => Ok(Reply::See(format!("/{}/account", self.visitor.user.environment))),
            ["sign-off"] => {
                Ok(Reply::See(format!("/{}/as/signoff", self.visitor.user.environment)))
            }
            [environment, rest @ ..] => {
                let frame = Frame::of(self, environment).await?;
                self.within(&frame, rest).await
            }
        }
    }

    async fn within(&self, frame: &Frame<'_>, segments: &[&str]) -> Outcome {
        match segments {
            [] => overview::route(self, frame).await,
            ["users", rest @ ..] => user::route(self, frame, rest).await,
            ["applications", rest @ ..] => application::route(self, frame, rest).await,
            ["mfa-policies", rest @ ..] => mfa_policy::route(self, frame, rest).await,
            ["sign-on-policies", rest @ ..] => sign_on_policy::route(self, frame, rest).await,
            ["mfa-settings"] => mfa_settings::route(self, frame).await,
            ["audit", rest @ ..] => audit::route(self, frame, rest).await,
            ["sign-ons", flow] => sign_on::route(self, frame, flow).await,
            ["webhooks", rest @ ..] => webhook::route(self, frame, rest).await,
            ["keys", rest @ ..] => key::route(self, frame, rest).await,
            ["administrators", rest @ ..] => administrator::route(self, frame, rest).await,
            _ => Err(Refused::not_found()),
        }
    }

    fn is_post(&self) -> bool {
        self.request.verb == Verb::Post
    }

    /// Whether the person may manage things of an area in an environment.
    fn may_manage(&self, environment: &str, area: Area) -> bool {
        self.may(environment, Permission::manage(area))
    }

    /// Whether the person may look at things of an area in an environment.
    fn may_read(&self, environment: &str, area: Area) -> bool {
        self.may(environment, Permission::read(area))
    }

    fn may(&self, environment: &str, permission: Permission) -> bool {
        let environment = environment.parse().ok();
        environment.is_some_and(|id| self.visitor.authority.allows(permission, Some(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_may_be_waited_for_on_any_thread() {
        fn is_send(_: &impl Send) {}
        fn answering<'a>(
            request: &'a Request<'a>,
            visitor: &'a Visitor<'a>,
            api: &'a dyn Api,
        ) -> impl Future<Output = Reply> + Send + 'a {
            answer(request, visitor, api)
        }
        is_send(&answering);
    }
}
