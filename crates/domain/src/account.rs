//! The own account: what a person must have proved, and how lately, to change the own devices.

use countersign_protocol::time::Timestamp;

use crate::{
    application::Application, authenticator::AnyDevice, environment::Environment, flow::Identity,
    id::Id,
};

/// The name under which the pages of the own account are one of the applications of an environment.
pub const NAME: &str = "My account";

/// For how long after a proof devices can be changed, in seconds.
pub const FRESH_SECONDS: i64 = 900;

/// The application that the pages of the own account are in an environment: its id is that of the environment, so that it is
/// found without a search and cannot be there twice (docs/adr/0017).
#[must_use]
pub const fn application(environment: Id<Environment>) -> Id<Application> {
    environment.cast()
}

/// Whether an application is these pages.
#[must_use]
pub fn is_of(of: &Application) -> bool {
    of.id == application(of.environment)
}

/// Whether a person may change the own devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Enough was proved.
    Proved,
    /// It must be proved first, or once more.
    Unproved,
    /// There are devices and none of them can vouch now, so it is for an administrator, or for time.
    Barred,
}

/// Whether somebody who has proved this may change devices, which are all of the user's.
///
/// Where there is a device, one of them must have vouched, lately, and still be able to: else whoever knows the password could
/// pair a phone to take the place of the one that asks for more. Only the very first device may rest on less.
#[must_use]
pub fn standing(identity: &Identity, devices: &[AnyDevice<'_>], now: Timestamp) -> Standing {
    let is_fresh = |at: Timestamp| now.seconds_since(at) < FRESH_SECONDS;
    let has_none = !devices.iter().any(|device| device.counts());
    let proved = if has_none {
        !identity.methods.is_empty() && identity.authenticated_at.is_some_and(is_fresh)
    } else {
        identity.possession.is_some_and(|possession| {
            // The last recovery code vouches too, although there is none to be asked for any more.
            let vouches =
                |device: &AnyDevice<'_>| device.id() == possession.device && device.is_usable(now);
            is_fresh(possession.at) && devices.iter().any(vouches)
        })
    };
    if proved {
        Standing::Proved
    } else if has_none || devices.iter().any(|device| device.counts() && device.is_usable(now)) {
        Standing::Unproved
    } else {
        Standing::Barred
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::{Device, State},
        fixture::{NOW, device, id, identity},
        flow::{Method, Possession},
    };

    /// Where all devices are phones.
    fn standing(identity: &Identity, devices: &[Device], now: Timestamp) -> Standing {
        super::standing(identity, &AnyDevice::all(devices, &[]), now)
    }

    fn by_password() -> Identity {
        Identity { methods: vec![Method::Pwd], ..identity() }
    }

    fn by_device(n: u8, ago: i64) -> Identity {
        let at = NOW.minus_seconds(ago);
        Identity { possession: Some(Possession { device: id(n), at }), ..identity() }
    }

    fn blocked(n: u8) -> Device {
        Device { state: State::Blocked { at: NOW, last_step: 0 }, ..device(n) }
    }

    fn locked(n: u8) -> Device {
        Device { state: State::Locked { until: NOW.plus_seconds(1), last_step: 0 }, ..device(n) }
    }

    #[test]
    fn the_first_device_rests_on_a_fresh_password_alone() {
        let ago = |seconds| {
            let authenticated_at = Some(NOW.minus_seconds(seconds));
            standing(&Identity { authenticated_at, ..by_password() }, &[], NOW)
        };
        assert_eq!([ago(0), ago(899)], [Standing::Proved; 2]);
        assert_eq!(ago(900), Standing::Unproved);
        assert_eq!(standing(&Identity::named(id(1)), &[], NOW), Standing::Unproved);
        // The word of an application is no proof that the person has given.
        let vouched = Identity { authenticated_at: Some(NOW), ..Identity::named(id(1)) };
        assert_eq!(standing(&vouched, &[], NOW), Standing::Unproved);
    }

    #[test]
    fn each_further_change_rests_on_a_device_that_has_vouched_lately_and_still_can() {
        use Standing::{Barred, Proved, Unproved};
        let table = [
            ("a password", by_password(), vec![device(1)], Unproved),
            ("a device", by_device(1, 0), vec![device(1), device(2)], Proved),
            ("just in time", by_device(1, 899), vec![device(1)], Proved),
            ("too long ago", by_device(1, 900), vec![device(1)], Unproved),
            ("a device that is gone", by_device(1, 0), vec![device(2)], Unproved),
            ("one that was blocked since", by_device(1, 0), vec![blocked(1), device(2)], Unproved),
            ("one beside a blocked one", by_device(1, 0), vec![device(1), blocked(2)], Proved),
            ("nothing that can vouch", by_device(1, 0), vec![blocked(1), locked(2)], Barred),
            ("a password beside a blocked device", by_password(), vec![blocked(1)], Barred),
        ];
        for (what, identity, devices, expected) in table {
            assert_eq!(standing(&identity, &devices, NOW), expected, "{what}");
        }
    }

    #[test]
    fn amr_alone_does_not_count_for_a_device() {
        assert!(identity().has_possession());
        assert_eq!(standing(&identity(), &[device(1)], NOW), Standing::Unproved);
    }
}
