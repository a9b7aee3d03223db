//! The accounts of the bank's customers: made up, the same for each customer at every start.

use countersign_protocol::time::{Clock, SystemClock, Timestamp};

use super::Order;

/// An account.
pub struct Account {
    /// What it is called.
    pub name: &'static str,
    /// Its number.
    pub number: &'static str,
    /// What is on it, in pence.
    pub balance: i64,
}

impl Account {
    /// What is on it, as people write it.
    pub fn money(&self) -> String {
        money(self.balance)
    }
}

/// A line of an account.
pub struct Entry {
    /// The day, in words.
    pub day: String,
    /// Who has paid or was paid.
    pub party: String,
    /// What for.
    pub note: String,
    /// How much, in pence; less than nothing: paid.
    pub amount: i64,
}

impl Entry {
    /// How much, as people write it.
    pub fn money(&self) -> String {
        money(self.amount)
    }
}

/// Days ago, who, what for, pence.
const ENTRIES: [(i64, &str, &str, i64); 9] = [
    (0, "Mill Lane Bakery", "Card", -640),
    (1, "City Transit", "Day ticket", -820),
    (1, "Greengrocer on the Quay", "Card", -2_315),
    (3, "Northlight Studio", "Salary", 284_000),
    (4, "Harbour Water", "Direct debit", -3_150),
    (6, "Paper & Ink Books", "Card", -1_899),
    (9, "Dr Ada Quist", "Invoice 2207", -7_400),
    (12, "Rowan Property", "Rent", -92_500),
    (15, "Savings", "Standing order", -15_000),
];

const CURRENT: i64 = 248_016;
const SAVINGS: i64 = 1_204_550;

/// The accounts of a customer and the latest lines, after these payments.
pub fn overview(paid: &[Order]) -> ([Account; 2], Vec<Entry>) {
    let spent: i64 = paid.iter().map(|order| order.amount).sum();
    let accounts = [
        Account {
            name: "Current account",
            number: "40-12-88 · 2094 1177",
            balance: CURRENT - spent,
        },
        Account { name: "Savings", number: "40-12-88 · 2094 1185", balance: SAVINGS },
    ];
    let now = SystemClock.now();
    let mine = paid.iter().map(|order| Entry {
        day: day(Timestamp::from_micros(order.at_micros), now),
        party: order.to.clone(),
        note: if order.note.is_empty() { "Payment".to_owned() } else { order.note.clone() },
        amount: -order.amount,
    });
    let made_up = ENTRIES.iter().map(|(days, party, note, amount)| Entry {
        day: day(now.minus_seconds(days * DAY), now),
        party: (*party).to_owned(),
        note: (*note).to_owned(),
        amount: *amount,
    });
    (accounts, mine.chain(made_up).collect())
}

const DAY: i64 = 86_400;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A day as people say it.
fn day(at: Timestamp, now: Timestamp) -> String {
    match now.unix_seconds().div_euclid(DAY) - at.unix_seconds().div_euclid(DAY) {
        0 => return "Today".to_owned(),
        1 => return "Yesterday".to_owned(),
        _ => {}
    }
    let text = at.to_rfc3339_millis();
    let mut parts = text.split(['-', 'T']).skip(1).map(|part| part.parse::<usize>().unwrap_or(1));
    let (month, date) = (parts.next().unwrap_or(1), parts.next().unwrap_or(1));
    let month = MONTHS.get(month.saturating_sub(1)).copied().unwrap_or_default();
    format!("{date} {month}")
}

/// An amount as people write it.
pub fn money(pence: i64) -> String {
    let sign = if pence < 0 { "−" } else { "" };
    let (pounds, pence) = (pence.unsigned_abs() / 100, pence.unsigned_abs() % 100);
    let mut groups = Vec::new();
    let mut rest = pounds;
    while rest >= 1_000 {
        groups.push(format!(",{:03}", rest % 1_000));
        rest /= 1_000;
    }
    groups.reverse();
    format!("{sign}£{rest}{}.{pence:02}", groups.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_write_them() {
        for (pence, text) in [
            (0, "£0.00"),
            (5, "£0.05"),
            (248_016, "£2,480.16"),
            (-640, "−£6.40"),
            (123_456_789, "£1,234,567.89"),
            (100_000_000, "£1,000,000.00"),
        ] {
            assert_eq!(money(pence), text);
        }
    }

    #[test]
    fn days_are_called_as_people_call_them() {
        let now = Timestamp::parse_rfc3339("2026-05-20T08:00:00.000Z").unwrap();
        for (days, text) in [(0, "Today"), (1, "Yesterday"), (2, "18 May"), (19, "1 May")] {
            assert_eq!(day(now.minus_seconds(days * DAY), now), text);
        }
    }

    #[test]
    fn a_payment_is_on_the_account() {
        let order = Order {
            user: "u".to_owned(),
            to: "Mill".to_owned(),
            note: String::new(),
            amount: 16,
            at_micros: SystemClock.now().micros(),
        };
        let (accounts, entries) = overview(&[order]);
        assert_eq!(accounts[0].balance, 248_000);
        assert_eq!(
            (&*entries[0].party, &*entries[0].note, entries[0].amount),
            ("Mill", "Payment", -16)
        );
        assert_eq!(entries.len(), ENTRIES.len() + 1);
    }
}
