//! Whose attempts at a password are counted together (`docs/adr/0010`): everybody's under one user name, whether anybody
//! has it or not, except those from browsers in which its user has given the password before.

use countersign_domain::{id::Id, user::User};
use countersign_protocol::{
    encoding,
    entropy::{Entropy, random},
    secret::Secret,
    time::Timestamp,
};
use countersign_store::lockout::Subject;

use super::Realm;
use crate::keys::Purpose;

/// Names a browser to one of its users.
type BrowserId = [u8; 16];

const MAC_BYTES: usize = 32;
const ENTRY_BYTES: usize = size_of::<BrowserId>() + MAC_BYTES;

/// Users that one browser is remembered by.
const MAX_USERS: usize = 4;

/// The most characters of the cookie: four users in base64url.
pub const MAX_COOKIE_CHARACTERS: usize = MAX_USERS * ENTRY_BYTES * 4 / 3;

/// Who may have given the password in a browser before. A new password makes all browsers strangers again.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub user: Id<User>,
    pub password_changed_at: Timestamp,
}

impl Owner {
    /// Stands for the user of a name that nobody has, so that no work is left out.
    pub const NOBODY: Self =
        Self { user: Id::from_bytes([0; 16]), password_changed_at: Timestamp::from_micros(0) };
}

impl Realm {
    /// The count of attempts under a user name: of strangers, or of one browser that is known.
    pub(super) fn attempts(&self, username: &str, browser: Option<BrowserId>) -> Subject {
        let key = User::username_key(username);
        let bytes = [browser.unwrap_or_default().as_slice(), key.as_bytes()].concat();
        let hash = self.keys.mac(Purpose::Attempts, &bytes);
        Subject { environment: self.environment, hash }
    }

    /// The browser, if the cookie shows that this user has given the password in it.
    pub(super) fn known_browser(&self, cookie: &str, owner: Owner) -> Option<BrowserId> {
        // Every entry is looked at, whoever is asked for.
        entries(cookie).into_iter().fold(None, |found, (browser, mac)| {
            let bytes = bound(browser, owner);
            let own = self.keys.verify_mac(Purpose::KnownBrowser, &bytes, &mac);
            if own { Some(browser) } else { found }
        })
    }

    /// The cookie that says that this user has given the password here, beside what it said before.
    pub(super) fn remember_browser(
        &self,
        cookie: &str,
        owner: Owner,
        entropy: &dyn Entropy,
    ) -> Secret<String> {
        let known = self.known_browser(cookie, owner);
        // Kept, so that a right password does not make room for more wrong ones.
        let browser = known.unwrap_or_else(|| random(entropy));
        let mac = self.keys.mac(Purpose::KnownBrowser, &bound(browser, owner));
        let others = entries(cookie).into_iter().filter(|(other, _)| *other != browser);
        let kept = std::iter::once((browser, mac)).chain(others).take(MAX_USERS);
        let bytes: Vec<u8> =
            kept.flat_map(|(browser, mac)| browser.into_iter().chain(mac)).collect();
        Secret::new(encoding::encode(bytes))
    }
}

fn bound(browser: BrowserId, owner: Owner) -> Vec<u8> {
    let changed_at = owner.password_changed_at.micros().to_be_bytes();
    [browser.as_slice(), owner.user.as_bytes(), &changed_at].concat()
}

/// What a cookie holds; nothing if it cannot be one of ours.
fn entries(cookie: &str) -> Vec<(BrowserId, [u8; MAC_BYTES])> {
    if cookie.len() > MAX_COOKIE_CHARACTERS {
        return Vec::new();
    }
    let bytes = encoding::decode(cookie).unwrap_or_default();
    let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() {
        return Vec::new();
    }
    let split = |entry: &[u8; ENTRY_BYTES]| {
        let (browser, mac) = entry.split_first_chunk()?;
        Some((*browser, *mac.first_chunk()?))
    };
    entries.iter().filter_map(split).collect()
}

#[cfg(test)]
mod tests {
    use countersign_protocol::entropy::SystemEntropy;

    use super::*;
    use crate::keys::tests::new_keys;

    fn realm() -> Realm {
        Realm {
            environment: Id::from_bytes([1; 16]),
            issuer: String::new(),
            device_base: String::new(),
            device_page: String::new(),
            account_page: String::new(),
            platform_base: String::new(),
            keys: new_keys(),
            keys_version: 1,
        }
    }

    fn owner(number: u8) -> Owner {
        let password_changed_at = Timestamp::from_unix_seconds(1_800_000_000);
        Owner { user: Id::from_bytes([number; 16]), password_changed_at }
    }

    #[test]
    fn a_browser_is_known_to_those_who_gave_their_password_in_it() {
        let realm = realm();
        let cookie = realm.remember_browser("", owner(1), &SystemEntropy);
        assert!(realm.known_browser(cookie.expose(), owner(1)).is_some());
        assert_eq!(realm.known_browser(cookie.expose(), owner(2)), None);
        assert_eq!(realm.known_browser(cookie.expose(), Owner::NOBODY), None);
        let changed = Owner { password_changed_at: Timestamp::from_micros(1), ..owner(1) };
        assert_eq!(realm.known_browser(cookie.expose(), changed), None);
        assert_eq!(super::tests::realm().known_browser(cookie.expose(), owner(1)), None);
    }

    #[test]
    fn a_right_password_does_not_make_the_browser_another_one() {
        let realm = realm();
        let cookie = realm.remember_browser("", owner(1), &SystemEntropy);
        let again = realm.remember_browser(cookie.expose(), owner(1), &SystemEntropy);
        assert_eq!(cookie.expose(), again.expose());
    }

    #[test]
    fn a_browser_knows_its_last_four_users() {
        let realm = realm();
        let cookie = (1..=5).fold(Secret::new(String::new()), |cookie, number| {
            realm.remember_browser(cookie.expose(), owner(number), &SystemEntropy)
        });
        let known = |number| realm.known_browser(cookie.expose(), owner(number)).is_some();
        assert_eq!([1, 2, 3, 4, 5].map(known), [false, true, true, true, true]);
        assert_eq!(cookie.expose().len(), MAX_COOKIE_CHARACTERS);
    }

    #[test]
    fn what_is_no_cookie_of_ours_makes_nobody_known() {
        let realm = realm();
        let cookie = realm.remember_browser("", owner(1), &SystemEntropy);
        let text = cookie.expose();
        for unfit in ["", "x", "!", &text[1..], &text[..60], &"A".repeat(300), &"A".repeat(64)] {
            assert_eq!(realm.known_browser(unfit, owner(1)), None, "{unfit}");
        }
    }

    #[test]
    fn names_are_counted_without_regard_to_case_and_apart_from_known_browsers() {
        let realm = realm();
        assert_eq!(realm.attempts("Ann", None), realm.attempts("aNN", None));
        assert_ne!(realm.attempts("ann", None), realm.attempts("bob", None));
        assert_ne!(realm.attempts("ann", None), realm.attempts("ann", Some([1; 16])));
    }
}
