//! Finds who is at the console: a user of the administrators who has signed on there, and what that user may do.

use countersign_domain::{
    audit::{Actors, Mentionable},
    console,
    environment::Environment,
    id::Id,
    role::{Authority, Holder},
    session::Session,
    user::User,
};
use countersign_protocol::time::Timestamp;
use countersign_store::{Tx, Work, role_assignment};

use super::{App, Fault, Origin, holdings::Holdings, read_account::present};

/// A user who has signed on at the console.
#[derive(Clone, Debug)]
pub struct Attendant {
    /// Who it is.
    pub user: User,
    /// What the roles of the user allow.
    pub authority: Authority,
    /// Whether a device of the user is asked for at each sign-on.
    pub has_device: bool,
}

impl Attendant {
    /// Makes calls in the name of the user: the audit log tells who it was, and that it was at the console.
    pub async fn act<F: Future>(&self, calls: F) -> F::Output {
        let client = console::application(self.user.environment).mention();
        let by = Actors { client, user: (&self.user).mention(), platform: None };
        Origin::current().by(by).scope(calls).await
    }
}

impl App {
    /// Who has signed on at the console in this session of the administrators' environment. Nobody if the session is over, the
    /// user may no longer sign in, or somebody has switched the console off.
    pub async fn enter_console(
        &self,
        administrators: Id<Environment>,
        session: Id<Session>,
    ) -> Result<Option<Attendant>, Fault> {
        self.store.read(Enter { administrators, session, now: self.now() }).await
    }
}

struct Enter {
    administrators: Id<Environment>,
    session: Id<Session>,
    now: Timestamp,
}

impl Work for Enter {
    type Output = Option<Attendant>;
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Attendant>, Fault> {
        let environment = self.administrators;
        let page = console::application(environment);
        let at_page = present(tx, page, (environment, self.session), self.now).await?;
        let Some((_, user)) = at_page else { return Ok(None) };
        let roles = role_assignment::of(tx, Holder::User(user.id)).await?;
        let has_device = Holdings::load(tx, user.id).await?.count() > 0;
        let authority = Authority::of(roles.iter().map(|given| &**given));
        Ok(Some(Attendant { user: user.into_value(), authority, has_device }))
    }
}
