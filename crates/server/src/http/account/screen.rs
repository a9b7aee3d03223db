//! What the pages of the own account say, in words.

use countersign_domain::{
    account as rules,
    audit::{Action, Mention, Record},
    authenticator::RECOVERY_CODES,
    device::{Device, State},
    flow::Flow,
    id::Id,
    pairing::NoOffer,
    pairing_key::{PairingKey, State as KeyState},
};
use countersign_protocol::{mobile_payload::DeviceFacts, time::Timestamp};

use crate::{
    app::{Account, OwnDevice as Own, PairingKeyView, Realm, SeenKind},
    http::{
        account::account_url,
        page::{
            Account as AccountScreen, AddDevice, Bar, Done, Form, OwnDevice, Problem, Qr,
            RemoveDevice, SignOn, Standing, Wait,
        },
    },
};

/// What the page of the account says in words that are not there yet.
pub(super) struct Words {
    devices: Vec<OwnDevice>,
    ids: Vec<Id<Device>>,
    sign_ons: Vec<SignOn>,
    page: String,
    older: Option<String>,
    sign_off: String,
}

impl Words {
    pub fn of(account: &Account, realm: &Realm, (flow, now): (Id<Flow>, Timestamp)) -> Self {
        let page = account_url(realm, flow);
        let older = account.next.map(|next| format!("{page}&before={next}"));
        let devices = (1..).zip(&account.devices).map(|placed| own_device(placed, now));
        let mut words = Self {
            devices: devices.collect(),
            ids: account.devices.iter().map(|own| own.device.id).collect(),
            sign_ons: Vec::new(),
            page,
            older,
            sign_off: format!("{}/signoff", realm.issuer),
        };
        words.sign_ons = account.sign_ons.iter().map(|record| words.sign_on(record)).collect();
        words
    }

    fn sign_on(&self, record: &Record) -> SignOn {
        let event = &record.event;
        let application = event.application.as_ref().and_then(|known| known.name.clone());
        let address = record.source.as_ref().and_then(|source| source.address);
        SignOn {
            at: record.recorded_at.to_rfc3339_millis(),
            time: time(record.recorded_at),
            application: application.unwrap_or_default(),
            device: event.device.as_ref().map(|device| self.name_of(device)).unwrap_or_default(),
            address: address.map(|address| address.to_string()).unwrap_or_default(),
            succeeded: event.action == Action::AccessAllowed,
        }
    }

    /// What the person calls a device now, or called it then.
    fn name_of(&self, mention: &Mention<Device>) -> String {
        let place = self.ids.iter().position(|own| *own == mention.id);
        let now = place.and_then(|place| self.devices.get(place)).map(|own| own.name.clone());
        now.or_else(|| mention.name.clone()).unwrap_or_else(|| "a device of before".to_owned())
    }

    /// The device of this id, if it is still of this version.
    pub fn device(&self, (id, version): (Id<Device>, i64)) -> Option<&OwnDevice> {
        let place = self.ids.iter().position(|own| *own == id)?;
        self.devices.get(place).filter(|device| device.version == version)
    }

    /// The page, with what was done before it and what was wrong.
    pub fn screen<'a>(
        &'a self,
        account: &'a Account,
        form: Form<'a>,
        (done, problem): (Option<Done>, Option<Problem>),
        is_later_page: bool,
    ) -> AccountScreen<'a> {
        let standing = match account.standing {
            rules::Standing::Proved => Standing::Change,
            // Who has just tried to confirm would only be asked the same again.
            rules::Standing::Unproved if account.confirms => Standing::Unconfirmed,
            rules::Standing::Unproved => Standing::Confirm,
            rules::Standing::Barred => Standing::Barred,
        };
        AccountScreen {
            form,
            username: &account.user.username,
            standing,
            devices: &self.devices,
            offers: account.offers,
            sign_ons: &self.sign_ons,
            older: self.older.as_deref(),
            newest: is_later_page.then_some(self.page.as_str()),
            sign_off: &self.sign_off,
            done,
            problem,
        }
    }

    /// The question before a device goes.
    pub fn removal<'a>(&'a self, device: &'a OwnDevice, form: Form<'a>) -> RemoveDevice<'a> {
        RemoveDevice { form, device, last: self.devices.len() == 1, back: &self.page }
    }
}

fn own_device((place, own): (u32, &Own), now: Timestamp) -> OwnDevice {
    let Own { device, version, used_at } = own;
    let (what, added) = match &device.kind {
        SeenKind::Phone { facts, .. } => (model_of(facts), "Paired"),
        SeenKind::Totp => (device.label().map(str::to_owned), "Added"),
        SeenKind::RecoveryCodes { .. } => (device.label().map(str::to_owned), "Made"),
        SeenKind::Email { to } => (Some(format!("E-mail to {to}")), "Added"),
        SeenKind::Sms { to } => (Some(format!("Text message to {to}")), "Added"),
        SeenKind::Voice { to } => (Some(format!("Phone call to {to}")), "Added"),
    };
    let named = device.nickname.clone().or_else(|| what.clone());
    let name = named.unwrap_or_else(|| format!("Device {place}"));
    let used = match used_at {
        Some(at) => format!("Last used {}", time(*at)),
        None => "Not used lately".to_owned(),
    };
    let left = match device.kind {
        SeenKind::RecoveryCodes { left: 0 } => Some("None are left: make new ones.".to_owned()),
        SeenKind::RecoveryCodes { left } => Some(format!("{left} of {RECOVERY_CODES} are left")),
        SeenKind::Phone { .. }
        | SeenKind::Totp
        | SeenKind::Email { .. }
        | SeenKind::Sms { .. }
        | SeenKind::Voice { .. } => None,
    };
    let paired = format!("{added} {}", day(device.created_at));
    let what = what.filter(|what| *what != name);
    let bar = match device.state.settled(now) {
        State::Blocked { .. } => Some(Bar::Blocked),
        State::Locked { until, .. } => Some(Bar::Locked(time(until))),
        State::Active { .. } | State::Removed { .. } => None,
    };
    OwnDevice {
        id: device.id.to_string(),
        version: *version,
        name,
        nickname: device.nickname.clone().unwrap_or_default(),
        details: what.into_iter().chain(left).chain([format!("{used} · {paired}")]).collect(),
        bar,
    }
}

fn model_of(facts: &DeviceFacts) -> Option<String> {
    match (&facts.manufacturer, &facts.model) {
        (Some(maker), Some(model)) if !model.starts_with(maker.as_str()) => {
            Some(format!("{maker} {model}"))
        }
        (_, Some(model)) => Some(model.clone()),
        (Some(maker), None) => Some(maker.clone()),
        (None, None) => None,
    }
}

/// A day as people write it: `5 January 2026`.
fn day(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let text = at.to_rfc3339_millis();
    let mut parts = text.split(['-', 'T']);
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<usize>().ok()).unwrap_or(1);
    let month = MONTHS.get(number(month).saturating_sub(1)).copied().unwrap_or_default();
    format!("{} {month} {}", number(day), year.unwrap_or_default())
}

/// A time as people write it, with its zone, since the server does not know theirs: `5 January 2026, 09:00 UTC`.
fn time(at: Timestamp) -> String {
    let text = at.to_rfc3339_millis();
    let clock = text.split('T').nth(1).and_then(|clock| clock.get(..5)).unwrap_or_default();
    format!("{}, {clock} UTC", day(at))
}

/// What the page of a key says in words that are not there yet.
pub(super) struct KeyWords {
    qr: Option<Qr>,
    key: String,
    status: &'static str,
    status_url: String,
    seconds: i64,
    onward: String,
    refused: Option<&'static str>,
}

impl KeyWords {
    /// The words for a key that a phone may show; else what was done with it; nothing if its time is over.
    pub fn of(
        view: &PairingKeyView,
        realm: &Realm,
        (flow, now): (Id<Flow>, Timestamp),
    ) -> Result<Self, Option<Done>> {
        let key = &view.key;
        let refused = match &key.state {
            KeyState::Unclaimed { refused } => refused.map(|refused| refusal_text(refused.why)),
            KeyState::Claimed { .. } => return Err(Some(Done::Paired)),
            KeyState::Expired { .. } => return Err(None),
        };
        let characters = view.characters.expose();
        Ok(Self {
            qr: Qr::new(characters, "QR code of the key"),
            key: in_groups(characters),
            status: key_status(key),
            status_url: format!(
                "/{}/account/pairing-keys/{}?flowId={flow}",
                realm.environment, key.id
            ),
            seconds: key.expires_at().seconds_since(now).max(0),
            onward: format!("{}&key={}", account_url(realm, flow), key.id),
            refused,
        })
    }

    /// The page.
    pub fn screen<'a>(&'a self, form: Form<'a>) -> AddDevice<'a> {
        AddDevice {
            form,
            qr: self.qr.as_ref(),
            key: &self.key,
            status: self.status,
            wait: Wait { status: &self.status_url, seconds: self.seconds },
            onward: &self.onward,
            refused: self.refused,
        }
    }
}

/// How far a key has come, for the page that waits.
pub(super) const fn key_status(key: &PairingKey) -> &'static str {
    match key.state {
        KeyState::Unclaimed { refused: None } => "UNCLAIMED",
        KeyState::Unclaimed { refused: Some(_) } => "REFUSED",
        KeyState::Claimed { .. } => "CLAIMED",
        KeyState::Expired { .. } => "EXPIRED",
    }
}

/// Four characters and four, as people read aloud what is long.
pub(super) fn in_groups(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    let groups: Vec<String> = characters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

const fn refusal_text(why: NoOffer) -> &'static str {
    match why {
        NoOffer::AlreadyPaired => "That phone is one of your devices already. Use another one.",
        NoOffer::Disabled => {
            "That phone cannot be added. Ask your administrator, or use another one."
        }
        NoOffer::Compromised => {
            "The system of that phone seems to have been changed, so it cannot vouch for you. \
             Use another one."
        }
        NoOffer::LimitReached { .. } => {
            "You have as many devices as you may. Remove one, then try again."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        let at = Timestamp::from_unix_seconds(1_767_603_600);
        assert_eq!(
            (day(at).as_str(), time(at).as_str()),
            ("5 January 2026", "5 January 2026, 09:00 UTC")
        );
        assert_eq!(day(Timestamp::from_unix_seconds(1_767_225_599)), "31 December 2025");
    }

    #[test]
    fn a_key_is_shown_in_groups_of_four() {
        assert_eq!(in_groups("493820175564"), "4938 2017 5564");
        assert_eq!(in_groups("7F45HGF5ABCDWXYZ"), "7F45 HGF5 ABCD WXYZ");
    }
}
