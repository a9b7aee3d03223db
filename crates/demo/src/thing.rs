//! The things to try, and what the audit log must say for each to be done.

use countersign_domain::audit::{Action, Event};

use crate::mode::Mode;

/// Something to try.
pub struct Thing {
    /// Its name in files and pages.
    pub key: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub steps: &'static [&'static str],
    /// Where to begin: a path of the demo, and what it is.
    pub link: (&'static str, &'static str),
}

/// A group of things, under a heading.
pub struct Chapter {
    /// Its heading.
    pub title: &'static str,
    /// What is in it.
    pub things: &'static [Thing],
}

const ANN: (&str, &str) = ("/phones/ann", "Ann’s phone");
const BANK: (&str, &str) = ("/bank", "Harbour Bank");

/// All things to try.
pub const CHAPTERS: [Chapter; 4] = [
    Chapter {
        title: "The phone becomes the second factor",
        things: &[
            Thing {
                key: "trust",
                title: "Sign in on the phone, and trust it",
                why: "Enrolment costs one tap: the sign-on itself carries the proof of the phone’s key.",
                steps: &[
                    "Open Ann’s phone and tap Harbour.",
                    "Sign in as ann.",
                    "“Trust this phone?” — Trust it.",
                ],
                link: ANN,
            },
            Thing {
                key: "vouch",
                title: "Sign in again: nothing more is asked",
                why: "The phone vouches by its signature. The person sees a password prompt, and nothing else.",
                steps: &["On the same phone, sign out.", "Sign in again. There is no second step."],
                link: ANN,
            },
            Thing {
                key: "permissive",
                title: "Extra verification, permissive",
                why: "A silent push proves that the app is still where it was. Nobody sees it, and nobody is kept out by a lost push.",
                steps: &[
                    "Set “Extra verification” on this page to Permissive.",
                    "Sign out and in on the phone: its log shows the silent push.",
                    "Or hold its push messages back first: after 20 seconds it is let through, and the audit log says so.",
                ],
                link: ANN,
            },
            Thing {
                key: "restrictive",
                title: "Extra verification, restrictive",
                why: "No answer to the silent push, no sign-on: for what must not go wrong.",
                steps: &[
                    "Set “Extra verification” on this page to Restrictive.",
                    "Sign out and in on the phone. Then hold its push messages back and try once more.",
                ],
                link: ANN,
            },
        ],
    },
    Chapter {
        title: "The phone signs in somewhere else",
        things: &[
            Thing {
                key: "scan",
                title: "Sign in at the bank by QR code",
                why: "No username, no password, no passcode: whoever holds the trusted phone is signed in at the other screen.",
                steps: &[
                    "At Harbour Bank choose Sign in, then “Sign in with your phone”.",
                    "On the phone open Scan. Take the code from the other window: point at it, paste a screenshot, or type its characters.",
                    "Approve.",
                ],
                link: BANK,
            },
            Thing {
                key: "push",
                title: "Approve a push by its number",
                why: "The number on the screen must be picked on the phone, so nobody approves a stranger’s sign-on by habit.",
                steps: &[
                    "Sign in at Harbour Bank as ann, with the password.",
                    "A banner comes to the phone. Tap it, and pick the number that the bank shows.",
                ],
                link: BANK,
            },
            Thing {
                key: "fraud",
                title: "Deny, and report fraud",
                why: "A person who did not ask can say so: nobody is signed in, and every other question is denied too.",
                steps: &[
                    "Sign in at the bank once more as ann. You are the thief now: you know the password.",
                    "On the phone choose “It wasn’t me”.",
                ],
                link: BANK,
            },
            Thing {
                key: "payment",
                title: "Approve a payment",
                why: "A back end asks the phone about anything, with the words that the person must see.",
                steps: &[
                    "Signed in at the bank, send money to somebody.",
                    "The phone shows to whom and how much. Pick the number.",
                ],
                link: ("/bank/account", "Your account at Harbour Bank"),
            },
            Thing {
                key: "passcode",
                title: "A passcode without a network",
                why: "The phone makes passcodes offline. Each counts once, and wrong ones lock.",
                steps: &[
                    "Switch the phone to airplane mode.",
                    "Sign in at the bank with the password, and choose to use a passcode.",
                    "Take it from Passcode in the app.",
                ],
                link: BANK,
            },
        ],
    },
    Chapter {
        title: "The phone goes",
        things: &[
            Thing {
                key: "block",
                title: "Block a phone",
                why: "A lost phone vouches for nobody from that moment on, and cannot unblock itself by pairing again.",
                steps: &[
                    "As the administrator, block Ann’s device: in the console, or beside the phone.",
                    "Sign in on the phone: it is refused. Unblock it again.",
                ],
                link: ANN,
            },
            Thing {
                key: "unpaired",
                title: "Remove the app: unpaired at the next push",
                why: "Nobody calls the help desk to say that an app is gone. The push service says so, and the device leaves the list by itself.",
                steps: &[
                    "Delete the app from the phone.",
                    "Sign in at the bank with the password: the push finds nobody, and the page says so.",
                    "Install the app again, and begin anew.",
                ],
                link: ANN,
            },
        ],
    },
    Chapter {
        title: "More phones",
        things: &[
            Thing {
                key: "two",
                title: "Two phones for one person",
                why: "A second phone is trusted the same way, once the first has vouched for it.",
                steps: &[
                    "Sign in as ann on the spare phone, and approve on the first one.",
                    "Trust the spare phone too.",
                ],
                link: ("/phones/spare", "Spare phone"),
            },
            Thing {
                key: "key",
                title: "Pair a phone by a key",
                why: "Where nobody can sign in on the phone, a key pairs it: shown by your account page, a letter, or a help desk.",
                steps: &[
                    "Open the account page, sign in as ben, and add a phone.",
                    "On Ben’s phone open Scan, and read the key or type it.",
                ],
                link: ("/account", "Account page"),
            },
        ],
    },
];

/// What must be known beside a record to judge it.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// What the policy demands.
    pub mode: Mode,
    /// How many devices the user of the record has now.
    pub devices: usize,
    /// Whether it belongs to a question of the bank’s back end.
    pub payment: bool,
}

/// The things that a record of the audit log shows to be done.
pub fn shown_by(event: &Event, scene: Scene) -> Vec<&'static str> {
    let reason = event.reason.as_deref().unwrap_or_default();
    match (event.action, reason) {
        (Action::DeviceCreated, how) => {
            let first = match how {
                "pairing_key" => Some("key"),
                "auto_enrollment" => Some("trust"),
                _ => None,
            };
            first.into_iter().chain((scene.devices > 1).then_some("two")).collect()
        }
        (Action::DeviceAuthorized, "device_authorized") => vec!["vouch"],
        (Action::DeviceAuthorized, _) if scene.mode == Mode::Permissive => vec!["permissive"],
        (Action::DeviceAuthorized, _) if scene.mode == Mode::Restrictive => vec!["restrictive"],
        (Action::AccessDenied, "extra_verification_failed") => vec!["restrictive"],
        (Action::AuthenticationCodeUpdated, "approved" | "completed") => vec!["scan"],
        (Action::NotificationUpdated, "approved") if scene.payment => vec!["payment"],
        (Action::NotificationUpdated, "approved") => vec!["push"],
        (Action::DeviceFraudReported, _) => vec!["fraud"],
        (Action::PasscodeCheckSucceeded, _) => vec!["passcode"],
        (Action::DeviceBlocked, _) => vec!["block"],
        (Action::DeviceDeleted, "push_unregistered") => vec!["unpaired"],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_shows_what_was_done() {
        let off = Scene { mode: Mode::Off, devices: 1, payment: false };
        let permissive = Scene { mode: Mode::Permissive, ..off };
        let restrictive = Scene { mode: Mode::Restrictive, ..off };
        let second = Scene { devices: 2, ..off };
        let payment = Scene { payment: true, ..off };
        for (action, reason, scene, things) in [
            (Action::DeviceCreated, "auto_enrollment", off, vec!["trust"]),
            (Action::DeviceCreated, "auto_enrollment", second, vec!["trust", "two"]),
            (Action::DeviceCreated, "pairing_key", off, vec!["key"]),
            (Action::DeviceAuthorized, "device_authorized", off, vec!["vouch"]),
            (Action::DeviceAuthorized, "device_authorized_verified", off, vec![]),
            (
                Action::DeviceAuthorized,
                "device_authorized_unanswered",
                permissive,
                vec!["permissive"],
            ),
            (
                Action::DeviceAuthorized,
                "device_authorized_verified",
                restrictive,
                vec!["restrictive"],
            ),
            (Action::AccessDenied, "extra_verification_failed", restrictive, vec!["restrictive"]),
            (Action::AccessDenied, "cancelled", off, vec![]),
            (Action::NotificationUpdated, "approved", off, vec!["push"]),
            (Action::NotificationUpdated, "approved", payment, vec!["payment"]),
            (Action::NotificationUpdated, "acknowledged", off, vec![]),
            (Action::DeviceDeleted, "removed_by_administrator", off, vec![]),
            (Action::DeviceDeleted, "push_unregistered", off, vec!["unpaired"]),
        ] {
            let event = Event::of(action, Some(reason));
            assert_eq!(shown_by(&event, scene), things, "{action:?} {reason}");
        }
    }

    #[test]
    fn each_thing_has_a_name_of_its_own() {
        let mut keys: Vec<_> =
            CHAPTERS.iter().flat_map(|chapter| chapter.things).map(|thing| thing.key).collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
