//! Reads the own account for the person who is signed in at this browser: devices, and the sign-ons of late.

use std::sync::Arc;

use countersign_domain::{
    account::{self, Standing},
    application::Application,
    audit::{Action, Record},
    authenticator::AnyDevice,
    authorization::{Answer, Prompt},
    environment::Environment,
    flow::{Failure, Flow, Identity, State},
    id::Id,
    mfa_policy::{Messages, MfaPolicy},
    session::Session,
    sign_on_policy::ActionKind,
    user::User,
};
use countersign_protocol::{secret::Secret, time::Timestamp};
use countersign_store::{
    Tx, Versioned, Work, application,
    audit::{ENDS, list_sign_ons},
    mfa_policy, session as sessions, user,
};

use super::{
    App, Fault, FlowHandle, Realm,
    holdings::Holdings,
    run_flow::{is_outdated, load_own},
    seen_device::SeenDevice,
};

/// A browser at the page of the own account.
#[derive(Clone, Debug)]
pub struct AccountVisit {
    /// The sign-on that has led there.
    pub flow: Id<Flow>,
    /// The cookie that shows that the sign-on was at this browser.
    pub cookie: Option<Secret<String>>,
    /// The cookie of its session.
    pub session: Option<Secret<String>>,
}

/// What there is to show.
#[derive(Debug)]
pub enum AccountView {
    /// The page.
    Open(Box<Account>),
    /// The person has not signed in yet.
    SigningOn(Box<Flow>),
    /// The person has given up before being signed in.
    Cancelled,
    /// Nobody is signed in here any more, or the sign-on came to nothing.
    Over,
}

/// The own account.
#[derive(Debug)]
pub struct Account {
    /// Whose it is.
    pub user: User,
    /// Whether the devices may be changed now.
    pub standing: Standing,
    /// Whether this sign-on was made to prove anew who is there.
    pub confirms: bool,
    /// The devices, in their order.
    pub devices: Vec<OwnDevice>,
    /// What can be added beside a phone.
    pub offers: Offers,
    /// How sign-ons ended, newest first: one page.
    pub sign_ons: Vec<Record>,
    /// Where the next page goes on; none: there are no more.
    pub next: Option<Id<Record>>,
}

/// A device, as its user sees it.
#[derive(Debug)]
pub struct OwnDevice {
    /// The device.
    pub device: SeenDevice,
    /// What a change must name, so that nobody changes what has changed meanwhile.
    pub version: i64,
    /// When it last vouched in a sign-on, if that is not too many sign-ons ago.
    pub used_at: Option<Timestamp>,
}

/// Sign-ons of one page.
const PAGE: u32 = 10;

/// How many sign-ons are looked through for the last use of a device.
const LOOK_BACK: u32 = 100;

impl App {
    /// Reads the account, with the sign-ons from before this record.
    pub async fn read_account(
        &self,
        realm: &Arc<Realm>,
        visit: AccountVisit,
        before: Option<Id<Record>>,
    ) -> Result<AccountView, Fault> {
        let (realm, now) = (Arc::clone(realm), self.now());
        self.store.read(Read { realm, visit, before, now }).await
    }
}

struct Read {
    realm: Arc<Realm>,
    visit: AccountVisit,
    before: Option<Id<Record>>,
    now: Timestamp,
}

impl Work for Read {
    type Output = AccountView;
    type Error = Fault;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<AccountView, Fault> {
        let entered = enter(tx, &self.realm, &self.visit, self.now).await?;
        let Present { user, identity, confirms, mfa_policy } = match entered {
            Entered::Present(present) => *present,
            Entered::SigningOn(flow) => return Ok(AccountView::SigningOn(flow)),
            Entered::Cancelled => return Ok(AccountView::Cancelled),
            Entered::Over => return Ok(AccountView::Over),
        };
        let (of, id) = ((self.realm.environment, user.id), user.id);
        let all = Holdings::load(tx, id).await?;
        let newest = list_sign_ons(tx, of, ENDS.1, LOOK_BACK).await?;
        let devices = all.all().into_iter().filter_map(|device| own(device, &all, &newest));
        let devices: Vec<OwnDevice> = devices.collect();
        let mut sign_ons = match self.before {
            Some(before) => list_sign_ons(tx, of, before, PAGE + 1).await?,
            None => newest,
        };
        let more = sign_ons.len() > PAGE as usize;
        sign_ons.truncate(PAGE as usize);
        let next = sign_ons.last().filter(|_| more).map(|record| record.id);
        let standing = account::standing(&identity, &all.all(), self.now);
        let policy = policy_of(tx, self.realm.environment, mfa_policy).await?;
        let offers = Offers::of(&policy, &user, &all);
        let user = user.into_value();
        Ok(AccountView::Open(Box::new(Account {
            user,
            standing,
            confirms,
            devices,
            offers,
            sign_ons,
            next,
        })))
    }
}

fn own(device: AnyDevice<'_>, all: &Holdings, newest: &[Record]) -> Option<OwnDevice> {
    let id = device.id();
    let vouched = |record: &&Record| {
        let event = &record.event;
        let mentioned = event.device.as_ref().map(|mention| mention.id);
        event.action == Action::AccessAllowed && mentioned == Some(id)
    };
    let used_at = newest.iter().find(vouched).map(|record| record.recorded_at);
    let version = all.find(id)?.version();
    Some(OwnDevice { device: SeenDevice::of(device)?, version, used_at })
}

/// What a person can add beside a phone.
#[expect(clippy::struct_excessive_bools, reason = "each is a kind of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers {
    /// An authenticator app.
    pub totp: bool,
    /// A mail address.
    pub email: bool,
    /// A phone number for text messages.
    pub sms: bool,
    /// A phone number for calls.
    pub voice: bool,
    /// Recovery codes, for whoever has something else to lose.
    pub recovery_codes: bool,
}

impl Offers {
    /// What a policy lets this user add.
    pub(super) fn of(policy: &MfaPolicy, user: &User, all: &Holdings) -> Self {
        let has_device = all.all().into_iter().any(|d| d.counts() && !d.is_last_resort());
        let accepted = &policy.authenticators;
        let open = |rules: Option<Messages>| {
            user.mfa_enabled && rules.is_some_and(|rules| !rules.pairing_disabled)
        };
        Self {
            totp: user.mfa_enabled && accepted.open_totp().is_some(),
            email: open(accepted.email),
            sms: open(accepted.sms),
            voice: open(accepted.voice),
            recovery_codes: user.mfa_enabled && has_device && accepted.recovery_codes.is_some(),
        }
    }
}

/// The MFA policy of the page: that of its sign-on, else the default of the environment.
pub(super) async fn policy_of(
    tx: &mut Tx<'_>,
    environment: Id<Environment>,
    named: Option<Id<MfaPolicy>>,
) -> Result<MfaPolicy, Fault> {
    let policy = match named {
        Some(id) => mfa_policy::load(tx, environment, id).await?,
        None => mfa_policy::load_default(tx, environment).await?,
    };
    let gone = || Fault::broken("the MFA policy of the page of the account is gone");
    Ok(policy.ok_or_else(gone)?.into_value())
}

/// Who is at the page.
pub(super) enum Entered {
    Present(Box<Present>),
    SigningOn(Box<Flow>),
    Cancelled,
    Over,
}

/// Somebody who is signed in.
pub(super) struct Present {
    pub user: Versioned<User>,
    /// What the session has proved.
    pub identity: Identity,
    /// Whether the sign-on was made to prove anew who is there.
    pub confirms: bool,
    /// The MFA policy of the sign-on; none: the default of the environment.
    pub mfa_policy: Option<Id<MfaPolicy>>,
}

/// Looks who is at the page. The sign-on shows that the policy of the page was passed, and the session that nobody has signed off
/// since, and what was proved at last.
pub(super) async fn enter(
    tx: &mut Tx<'_>,
    realm: &Realm,
    visit: &AccountVisit,
    now: Timestamp,
) -> Result<Entered, Fault> {
    let handle = FlowHandle::of_browser(visit.flow, visit.cookie.clone());
    let Some(flow) = load_own(tx, realm, &handle, now).await? else { return Ok(Entered::Over) };
    if flow.request.answer != Answer::Account {
        return Ok(Entered::Over);
    }
    let confirms = flow.request.prompt == Prompt::Login;
    let signed_on = match &flow.state {
        State::Completed { identity } => identity.user,
        // Whoever only gives up to prove anew goes back to the page.
        State::Failed { why: Failure::Cancelled, .. } if !confirms => {
            return Ok(Entered::Cancelled);
        }
        State::Failed { .. } => return Ok(Entered::Over),
        State::Identifier { .. }
        | State::Login { .. }
        | State::Password { .. }
        | State::AuthenticationCode { .. }
        | State::PasswordChange { .. }
        | State::Deciding { .. }
        | State::DeviceSelection { .. }
        | State::Passcode { .. }
        | State::Verification { .. }
        | State::Push { .. }
        | State::PushTimedOut { .. } => {
            return Ok(Entered::SigningOn(Box::new(flow.into_value())));
        }
    };
    let cookie = visit.session.as_ref().and_then(|cookie| realm.session_of(cookie.expose()));
    let Some(id) = cookie.filter(|id| flow.session == Some(*id)) else { return Ok(Entered::Over) };
    let page = account::application(realm.environment);
    let at_page = present(tx, page, (realm.environment, id), now).await?;
    let at_page = at_page.filter(|(identity, _)| identity.user == signed_on);
    let Some((identity, user)) = at_page else { return Ok(Entered::Over) };
    let mfa_policy = flow.actions.iter().find_map(|action| match action {
        ActionKind::MultiFactorAuthentication { mfa_policy, .. } => *mfa_policy,
        ActionKind::Login | ActionKind::IdentifierFirst => None,
    });
    Ok(Entered::Present(Box::new(Present { user, identity, confirms, mfa_policy })))
}

/// Who is signed in by a session at one of the platform's own pages, with what was proved. Nobody if the session is over, the user
/// may no longer sign in, the password is another one since, or the page is switched off.
pub(super) async fn present(
    tx: &mut Tx<'_>,
    page: Id<Application>,
    (environment, session): (Id<Environment>, Id<Session>),
    now: Timestamp,
) -> Result<Option<(Identity, Versioned<User>)>, Fault> {
    let session = sessions::load(tx, environment, session, now).await?;
    let identity = session.and_then(|session| session.identity(now).cloned());
    let Some(identity) = identity else { return Ok(None) };
    let user = user::load(tx, environment, identity.user).await?;
    let Some(user) = user.filter(|user| user.may_sign_in()) else { return Ok(None) };
    let page = application::load(tx, environment, page).await?;
    if is_outdated(tx, &identity).await? || !page.is_some_and(|page| page.enabled) {
        return Ok(None);
    }
    Ok(Some((identity, user)))
}
