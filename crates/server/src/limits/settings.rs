//! What the limits are, each with its default.

use countersign_domain::rate::Rate;
use ipnet::IpNet;

/// A rate. Zero in either member switches the limit off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Requests a second that are answered for ever.
    pub per_second: f64,
    /// Requests that are answered at once by who has made none for a while.
    pub burst: u32,
}

/// The limits of one group of endpoints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Of one IPv4 address or one IPv6 network of 64 bits.
    pub address: Limit,
    /// Of one application (`client_id`), where the request names one.
    pub application: Limit,
    /// Of one environment.
    pub environment: Limit,
}

/// All limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// User names, passwords and passcodes, on pages and by the flow API.
    pub sign_on: Budget,
    /// Authorization requests, and looking at flows and pages.
    pub flow: Budget,
    /// The token endpoint and userinfo.
    pub token: Budget,
    /// The device API.
    pub device: Budget,
    /// Authentication codes that phones have read.
    pub code: Budget,
    /// Discovery, keys and assets.
    pub read: Budget,
    /// Attempts to sign in under one user name, right or wrong, whether anybody has it or not. Browsers in which the user
    /// has signed in before have a budget of their own.
    pub user: Limit,
    /// Authentication codes that one installation reads, right or wrong.
    pub installation: Limit,
    /// The part of an environment's limits that one address may use, more than 0 and at most 1.
    pub address_share: f64,
    /// Networks that no limit by address holds: back ends that act for many people.
    pub trusted_addresses: Vec<IpNet>,
    /// Addresses and user names that each limit tells apart. Beyond that, newcomers share what the least busy has left.
    pub keys: usize,
    /// Applications and environments that each limit tells apart.
    pub tenant_keys: usize,
}

impl Limit {
    /// No limit.
    pub const OFF: Self = Self { per_second: 0.0, burst: 0 };

    /// So many a second, so many at once.
    #[must_use]
    pub const fn new(per_second: f64, burst: u32) -> Self {
        Self { per_second, burst }
    }

    pub(super) fn rate(self) -> Option<Rate> {
        Rate::new(self.per_second, self.burst)
    }

    /// This part of the limit. All of it is held by the limit itself.
    pub(super) fn share(self, part: f64) -> Option<Rate> {
        if part >= 1.0 || self.burst == 0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a u32, and a negative one becomes 0"
        )]
        let burst = (f64::from(self.burst) * part) as u32;
        Rate::new(self.per_second * part, burst.max(1))
    }
}

impl Budget {
    /// No limit.
    pub const OFF: Self =
        Self { address: Limit::OFF, application: Limit::OFF, environment: Limit::OFF };
}

impl Settings {
    /// No limits: for whoever keeps them in front of the server, and for measuring it.
    #[must_use]
    pub fn off() -> Self {
        Self {
            sign_on: Budget::OFF,
            flow: Budget::OFF,
            token: Budget::OFF,
            device: Budget::OFF,
            code: Budget::OFF,
            read: Budget::OFF,
            user: Limit::OFF,
            installation: Limit::OFF,
            ..Self::default()
        }
    }
}

impl Default for Settings {
    /// Wide enough for an office or a mobile network behind one address, narrow enough that guessing leads nowhere.
    fn default() -> Self {
        let requests = Budget {
            address: Limit::new(50.0, 500),
            application: Limit::new(1_000.0, 2_000),
            environment: Limit::new(2_000.0, 4_000),
        };
        Self {
            sign_on: Budget {
                address: Limit::new(5.0, 100),
                application: Limit::OFF,
                environment: Limit::new(200.0, 1_000),
            },
            flow: requests,
            token: requests,
            device: Budget { application: Limit::OFF, ..requests },
            code: Budget {
                address: Limit::new(2.0, 60),
                application: Limit::OFF,
                environment: Limit::new(200.0, 1_000),
            },
            read: Budget { address: Limit::new(200.0, 2_000), ..Budget::OFF },
            user: Limit::new(0.5, 20),
            installation: Limit::new(0.2, 10),
            address_share: 0.35,
            trusted_addresses: Vec::new(),
            keys: 16_384,
            tenant_keys: 1_024,
        }
    }
}
