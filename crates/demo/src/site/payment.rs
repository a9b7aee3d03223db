//! A payment, which the customer's phone is asked about (docs/device-authentications.md).

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use countersign_emulator::{Backend, BrowserError};
use countersign_protocol::time::{Clock, SystemClock};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Site, Visitor, keep, money, unguessable};
use crate::{feed::Feed, file};

/// Time between two looks at a payment that waits.
const TICK: Duration = Duration::from_millis(300);

/// The most payments that are remembered.
const REMEMBERED: usize = 500;

/// The most pence of a payment.
const MOST: i64 = 200_000;

/// The most characters of a text of a payment.
const CHARACTERS: usize = 60;

/// Money for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who pays.
    pub user: String,
    /// Who is paid.
    pub to: String,
    /// What for.
    pub note: String,
    /// How much, in pence.
    pub amount: i64,
    /// When it was ordered.
    pub at_micros: i64,
}

/// A payment under way.
pub struct Payment {
    /// Its name in addresses.
    pub id: String,
    /// What is to be paid.
    pub order: Order,
    /// Tells open pages that it has moved.
    pub feed: Feed,
    state: Mutex<PaymentState>,
}

/// How far a payment has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// The phone is asked, with this number to pick.
    Waiting { number: Option<String> },
    /// The customer has no phone that can be asked now: a passcode would do.
    Passcode,
    /// It is paid.
    Paid,
    /// It is not, for this reason.
    Refused(String),
}

/// All payments.
pub struct Payments {
    path: PathBuf,
    paid: Mutex<Vec<Order>>,
    under_way: Mutex<VecDeque<Arc<Payment>>>,
}

impl Payments {
    pub fn new(paid: Vec<Order>, path: PathBuf) -> Self {
        Self { path, paid: Mutex::new(paid), under_way: Mutex::default() }
    }

    pub fn paid_by(&self, user: &str) -> Vec<Order> {
        let paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        paid.iter().rev().filter(|order| order.user == user).cloned().collect()
    }

    fn pay(&self, order: Order) {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        if paid.len() == REMEMBERED {
            paid.remove(0);
        }
        paid.push(order);
        if let Err(error) = file::write(&self.path, &*paid) {
            tracing::error!(%error, "the payments cannot be kept");
        }
    }
}

impl Order {
    /// How much, as people write it.
    pub fn money(&self) -> String {
        money(self.amount)
    }

    /// What a form orders, or what is wrong with it.
    pub fn of(user: &str, (to, amount, note): (&str, &str, &str)) -> Result<Self, &'static str> {
        let (to, note) = (to.trim(), note.trim());
        if to.is_empty() {
            return Err("Say who is to be paid.");
        }
        if to.chars().count() > CHARACTERS || note.chars().count() > CHARACTERS {
            return Err("Name and reference have at most 60 characters.");
        }
        let amount = pence(amount).ok_or("Give the amount as a number, such as 25 or 12.50.")?;
        if !(1..=MOST).contains(&amount) {
            return Err("You can send from £0.01 to £2,000.00.");
        }
        let (user, to, note) = (user.to_owned(), to.to_owned(), note.to_owned());
        Ok(Self { user, to, note, amount, at_micros: SystemClock.now().micros() })
    }
}

impl Payment {
    /// How far it has come.
    pub fn state(&self) -> PaymentState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn move_to(&self, state: PaymentState) {
        let mut now = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != state {
            *now = state;
            self.feed.bump();
        }
    }
}

impl Site {
    /// The payment of this id, if it is this visitor's.
    pub fn payment(&self, visitor: &Visitor, id: &str) -> Option<Arc<Payment>> {
        let under_way = self.payments.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let is_theirs = |one: &&Arc<Payment>| one.id == id && one.order.user == visitor.id;
        under_way.iter().find(is_theirs).map(Arc::clone)
    }

    /// Asks the customer's phone about a payment.
    pub async fn order(&self, order: Order) -> Result<Arc<Payment>, BrowserError> {
        let (id, secret) = (self.bank.worker.to_string(), self.bank.worker_secret.expose());
        let backend = Backend::sign_in(&self.issuer, &id, secret).await?;
        let path = format!("/{}/deviceAuthentications", self.bank.environment);
        let mut context = json!({ "To": order.to, "Amount": money(order.amount) });
        if let (false, Some(members)) = (order.note.is_empty(), context.as_object_mut()) {
            members.insert("Reference".to_owned(), json!(order.note));
        }
        let body = json!({
            "user": { "id": order.user },
            "policy": { "id": self.bank.mfa_policy },
            "application": { "id": self.bank.web },
            "notification": {
                "template": { "name": "transaction" },
                "clientContext": context,
            },
        });
        let begun = backend.send(Method::POST, &path, Some(&body)).await?;
        let state = Mutex::new(state_of(&begun.body));
        let payment = Payment { id: unguessable(), order, feed: Feed::new(), state };
        let payment = Arc::new(payment);
        {
            let payments = &self.payments;
            let mut all = payments.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            keep(&mut all, Arc::clone(&payment));
        }
        let asked = begun.body.get("id").and_then(Value::as_str).unwrap_or_default();
        self.follow(Arc::clone(&payment), backend, format!("{path}/{asked}"));
        Ok(payment)
    }

    /// Looks again and again how far a payment has come that waits for a phone.
    fn follow(&self, payment: Arc<Payment>, backend: Backend, path: String) {
        let payments = Arc::clone(&self.payments);
        tokio::spawn(async move {
            while let PaymentState::Waiting { .. } = payment.state() {
                tokio::time::sleep(TICK).await;
                let state = match backend.send(Method::GET, &path, None).await {
                    Ok(answer) => state_of(&answer.body),
                    Err(error) => PaymentState::Refused(error.to_string()),
                };
                if state == PaymentState::Paid {
                    payments.pay(payment.order.clone());
                }
                payment.move_to(state);
            }
        });
    }
}

/// What the platform's answer means for a payment.
fn state_of(body: &Value) -> PaymentState {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    match text("/status").as_deref() {
        Some("PUSH_CONFIRMATION_REQUIRED") => {
            PaymentState::Waiting { number: text("/numberMatching/number") }
        }
        Some("COMPLETED") => PaymentState::Paid,
        Some("OTP_REQUIRED") => PaymentState::Passcode,
        Some("PUSH_CONFIRMATION_TIMED_OUT") => {
            PaymentState::Refused("Your phone did not answer in time.".to_owned())
        }
        _ => {
            let code = text("/error/code").or_else(|| text("/code")).unwrap_or_default();
            PaymentState::Refused(match &*code {
                "PUSH_DENIED" => "You said no on your phone.".to_owned(),
                "NO_USABLE_DEVICES" => {
                    "You have no trusted phone. Sign in on one first, and trust it.".to_owned()
                }
                "DEVICE_BLOCKED" => "Your phone is blocked.".to_owned(),
                other => format!("The platform says {other}."),
            })
        }
    }
}

/// An amount that somebody has typed, in pence.
fn pence(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches('£').replace(',', "");
    let (pounds, pence) = text.split_once('.').unwrap_or((&text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if pounds.is_empty() || pounds.len() > 9 || pence.len() > 2 {
        return None;
    }
    if !is_number(pounds) || !is_number(pence) {
        return None;
    }
    let pence: i64 = format!("{pence:0<2}").parse().ok()?;
    Some(pounds.parse::<i64>().ok()? * 100 + pence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_type_them() {
        for (text, expected) in [
            ("25", Some(2_500)),
            ("12.50", Some(1_250)),
            ("12.5", Some(1_250)),
            ("£1,200", Some(120_000)),
            (" 0.01 ", Some(1)),
            ("", None),
            ("12.345", None),
            ("-3", None),
            ("1.-1", None),
            ("ten", None),
            ("9999999999", None),
        ] {
            assert_eq!(pence(text), expected, "{text}");
        }
    }

    #[test]
    fn an_order_says_what_is_wrong_with_it() {
        let why = |to, amount, note| Order::of("u", (to, amount, note)).unwrap_err();
        assert_eq!(why(" ", "1", ""), "Say who is to be paid.");
        assert_eq!(why("Mill", "x", ""), "Give the amount as a number, such as 25 or 12.50.");
        assert_eq!(why("Mill", "0", ""), "You can send from £0.01 to £2,000.00.");
        assert_eq!(why("Mill", "2000.01", ""), "You can send from £0.01 to £2,000.00.");
        let long = "x".repeat(61);
        assert_eq!(why("Mill", "1", &long), "Name and reference have at most 60 characters.");
        assert_eq!(Order::of("u", (" Mill ", "1", "")).unwrap().to, "Mill");
    }

    #[test]
    fn what_the_platform_says_is_told_in_words() {
        let waiting = state_of(&json!({
            "status": "PUSH_CONFIRMATION_REQUIRED", "numberMatching": { "number": "42" },
        }));
        assert_eq!(waiting, PaymentState::Waiting { number: Some("42".to_owned()) });
        assert_eq!(state_of(&json!({ "status": "COMPLETED" })), PaymentState::Paid);
        let denied = state_of(&json!({ "status": "FAILED", "error": { "code": "PUSH_DENIED" } }));
        assert_eq!(denied, PaymentState::Refused("You said no on your phone.".to_owned()));
    }
}
