//! What can be made to go wrong, ordered in advance and spent one by one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::Service;
use super::apns::Reason;
use super::fcm::ErrorCode;

/// So many orders wait at most.
pub const MAX_ORDERS: usize = 100;

/// One order is for so many requests at most.
pub const MAX_TIMES: u32 = 100_000;

/// Debug data of GOAWAY has at most so many bytes.
pub const MAX_DEBUG: usize = 1_024;

/// The longest delay.
pub const MAX_DELAY_MS: u64 = 600_000;

/// One thing that goes wrong. In JSON it is an object whose member `kind` is the name in `snake_case`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// APNs refuses for this reason, whatever the request is.
    Reason {
        /// One of [`Reason`], or any other text, as Apple may invent one.
        reason: String,
        /// Needed for a reason that is not known here; else the one that belongs to it.
        status: Option<u16>,
        /// What `timestamp` says. Unless it is told, the present with `Unregistered`, and nothing with other reasons.
        timestamp: Option<Stamp>,
    },
    /// APNs answers 503 `Shutdown`, says GOAWAY and closes the connection.
    Shutdown {},
    /// FCM refuses with this error, whatever the request is.
    Error {
        /// Its name.
        code: ErrorCode,
        /// What `Retry-After` says.
        retry_after: Option<RetryAfter>,
    },
    /// The token endpoint of FCM refuses.
    TokenRefused {
        /// Its status.
        status: u16,
        /// The OAuth error.
        error: String,
    },
    /// An answer that the service never documented: no body, or HTML of something in between.
    Answer {
        /// Its status.
        status: u16,
        /// Its media type.
        content_type: Option<String>,
        /// Its body.
        #[serde(default)]
        body: String,
    },
    /// The stream is reset: by APNs with this code of HTTP/2, by FCM with `INTERNAL_ERROR`, or the connection ends on HTTP/1.1.
    Reset {
        /// An error code of RFC 9113 section 7: 7 is `REFUSED_STREAM`, which says that nothing was processed.
        #[serde(default = "internal_error")]
        code: u32,
    },
    /// No answer ever comes, or only its header.
    Hang {
        /// Whether status and header fields come.
        headers: bool,
    },
    /// The request is processed later.
    Delay {
        /// How much later.
        milliseconds: u64,
    },
    /// Accepted, and never delivered.
    Lose {},
    /// Accepted, and delivered twice.
    Duplicate {},
    /// Accepted, and delivered when the phone is told to release what is held back, if it has not expired by then.
    HoldBack {},
    /// A connection is closed before TLS.
    Refuse {},
    /// A connection of APNs gets GOAWAY as soon as it has opened `processed + unprocessed` streams. It names the last of the
    /// processed ones; those are answered, and nothing is done for the others.
    GoAway {
        /// So many streams are processed. With 0, and 0 unprocessed, GOAWAY is the first thing that the connection hears.
        processed: u32,
        /// So many more are opened before GOAWAY is said.
        #[serde(default)]
        unprocessed: u32,
        /// An error code of RFC 9113 section 7.
        #[serde(default)]
        code: u32,
        /// Debug data, as `{"reason":"BadCertificateEnvironment"}`.
        debug: Option<String>,
    },
    /// A connection of APNs allows only so many streams at a time, also after a good provider token.
    MaxConcurrentStreams {
        /// At least 1.
        streams: u32,
    },
}

const fn internal_error() -> u32 {
    2
}

/// What a 410 says about its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stamp {
    /// The present.
    Now,
    /// So many seconds from now; negative is past.
    SecondsFromNow(i64),
    /// No `timestamp`.
    Absent,
}

/// What `Retry-After` says (RFC 9110 section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u32),
    /// The date that is so many seconds away.
    DateIn(u32),
}

/// What a fault happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Connection,
    Request,
    TokenRequest,
    Delivery,
}

impl Fault {
    const fn stage(&self) -> Stage {
        match self {
            Self::Refuse {} | Self::GoAway { .. } | Self::MaxConcurrentStreams { .. } => {
                Stage::Connection
            }
            Self::Reason { .. }
            | Self::Shutdown {}
            | Self::Error { .. }
            | Self::Answer { .. }
            | Self::Reset { .. }
            | Self::Hang { .. }
            | Self::Delay { .. } => Stage::Request,
            Self::TokenRefused { .. } => Stage::TokenRequest,
            Self::Lose {} | Self::Duplicate {} | Self::HoldBack {} => Stage::Delivery,
        }
    }

    /// Only one service has it.
    const fn only_of(&self) -> Option<Service> {
        match self {
            Self::Reason { .. }
            | Self::Shutdown {}
            | Self::GoAway { .. }
            | Self::MaxConcurrentStreams { .. } => Some(Service::Apns),
            Self::Error { .. } | Self::TokenRefused { .. } => Some(Service::Fcm),
            Self::Answer { .. }
            | Self::Reset { .. }
            | Self::Hang { .. }
            | Self::Delay { .. }
            | Self::Lose {}
            | Self::Duplicate {}
            | Self::HoldBack {}
            | Self::Refuse {} => None,
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Reason { reason, status, .. } => {
                Some(status.unwrap_or_else(|| Reason::find(reason).map_or(0, Reason::status)))
            }
            Self::Answer { status, .. } | Self::TokenRefused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// Faults for the next requests, connections or deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What goes wrong.
    pub fault: Fault,
    /// Only with requests to this token.
    pub token: Option<String>,
    /// So many times.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

impl From<Fault> for Order {
    fn from(fault: Fault) -> Self {
        Self { fault, token: None, times: 1 }
    }
}

impl Order {
    /// The same, so many times.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// The same, for this token alone.
    #[must_use]
    pub fn for_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }
}

/// Why an order is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The other service has this fault.
    #[error("fault.kind: this service has no such fault")]
    OtherService,
    /// Too often or never.
    #[error("times: must be 1 to {MAX_TIMES}")]
    Times,
    /// No status of HTTP.
    #[error("fault.status: must be 200 to 599, and is needed when fault.reason is not a known one")]
    Status,
    /// Too long.
    #[error("fault.milliseconds: must be at most {MAX_DELAY_MS}")]
    Delay,
    /// No stream could ever be opened.
    #[error("fault.streams: must be at least 1")]
    Streams,
    /// Too long for a frame that is read at once.
    #[error("fault.debug: must be at most {MAX_DEBUG} bytes")]
    Debug,
    /// A header field cannot hold it.
    #[error("fault.content_type: must be printable ASCII")]
    ContentType,
    /// A connection has no token.
    #[error("token: what happens to a connection or to the token endpoint cannot be for one token")]
    Token,
    /// Too many.
    #[error("{MAX_ORDERS} orders wait already")]
    Full,
}

/// The orders that wait.
pub struct Faults {
    service: Service,
    orders: Mutex<VecDeque<Order>>,
}

impl Faults {
    pub(super) const fn new(service: Service) -> Self {
        Self { service, orders: Mutex::new(VecDeque::new()) }
    }

    /// Puts an order behind the others.
    pub fn order(&self, order: impl Into<Order>) -> Result<(), OrderError> {
        let order = order.into();
        self.check(&order)?;
        let mut orders = self.orders();
        if orders.len() >= MAX_ORDERS {
            return Err(OrderError::Full);
        }
        orders.push_back(order);
        Ok(())
    }

    /// Those that wait.
    pub fn list(&self) -> Vec<Order> {
        self.orders().iter().cloned().collect()
    }

    /// Forgets them all.
    pub fn clear(&self) {
        self.orders().clear();
    }

    /// Takes the first fault of this stage that is for this token or for all.
    pub(super) fn take(&self, stage: Stage, token: Option<&str>) -> Option<Fault> {
        let mut orders = self.orders();
        let at = orders.iter().position(|order| {
            order.fault.stage() == stage
                && (order.token.is_none() || order.token.as_deref() == token)
        })?;
        let order = orders.get_mut(at)?;
        let fault = order.fault.clone();
        order.times -= 1;
        if order.times == 0 {
            orders.remove(at);
        }
        Some(fault)
    }

    fn check(&self, order: &Order) -> Result<(), OrderError> {
        let fault = &order.fault;
        if fault.only_of().is_some_and(|service| service != self.service) {
            return Err(OrderError::OtherService);
        }
        if !(1..=MAX_TIMES).contains(&order.times) {
            return Err(OrderError::Times);
        }
        if fault.status().is_some_and(|status| !(200..600).contains(&status)) {
            return Err(OrderError::Status);
        }
        if order.token.is_some() && matches!(fault.stage(), Stage::Connection | Stage::TokenRequest)
        {
            return Err(OrderError::Token);
        }
        match fault {
            Fault::Delay { milliseconds } if *milliseconds > MAX_DELAY_MS => Err(OrderError::Delay),
            Fault::GoAway { debug: Some(debug), .. } if debug.len() > MAX_DEBUG => {
                Err(OrderError::Debug)
            }
            Fault::MaxConcurrentStreams { streams: 0 } => Err(OrderError::Streams),
            Fault::Answer { content_type: Some(text), .. }
                if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) =>
            {
                Err(OrderError::ContentType)
            }
            _ => Ok(()),
        }
    }

    fn orders(&self) -> MutexGuard<'_, VecDeque<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
