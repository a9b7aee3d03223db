//! The switch of the demo: what the MFA policy demands of a phone that vouches.

use countersign_domain::mfa_policy::{DeviceAuthorization, ExtraVerification, MfaPolicy};
use countersign_server::app::{AdministerError, App};

use crate::Bank;

/// Extra verification of device authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The phone's signature is enough.
    Off,
    /// A silent push must be answered, unless it cannot be.
    Permissive,
    /// A silent push must be answered.
    Restrictive,
}

impl Mode {
    /// All, in their order on the page.
    pub const ALL: [Self; 3] = [Self::Off, Self::Permissive, Self::Restrictive];

    /// Its name in forms.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Permissive => "permissive",
            Self::Restrictive => "restrictive",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Permissive => "Permissive",
            Self::Restrictive => "Restrictive",
        }
    }

    /// What it means.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Off => "A trusted phone is waved through by its signature.",
            Self::Permissive => {
                "It must also answer a silent push, but is let through if none can reach it."
            }
            Self::Restrictive => "It must also answer a silent push, or nobody is signed in.",
        }
    }

    /// The one of this name.
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.key() == key)
    }

    /// What the policy demands now.
    pub async fn read(app: &App, bank: &Bank) -> Result<Self, AdministerError> {
        let policy: MfaPolicy = app.get(bank.environment, bank.mfa_policy).await?;
        let rules = policy.application(bank.native).and_then(|rules| rules.device_authorization);
        Ok(match rules.and_then(|rules| rules.extra_verification) {
            None => Self::Off,
            Some(ExtraVerification::Permissive) => Self::Permissive,
            Some(ExtraVerification::Restrictive) => Self::Restrictive,
        })
    }

    /// Makes the policy demand it.
    pub async fn demand(self, app: &App, bank: &Bank) -> Result<(), AdministerError> {
        let extra_verification = match self {
            Self::Off => None,
            Self::Permissive => Some(ExtraVerification::Permissive),
            Self::Restrictive => Some(ExtraVerification::Restrictive),
        };
        let native = bank.native;
        let edit = move |mut policy: MfaPolicy| {
            let mut listed = policy.mobile.applications.iter_mut();
            if let Some(rules) = listed.find(|rules| rules.application == native) {
                rules.device_authorization = Some(DeviceAuthorization { extra_verification });
            }
            Ok(policy)
        };
        app.replace(bank.environment, bank.mfa_policy, edit).await.map(drop)
    }
}
