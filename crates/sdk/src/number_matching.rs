//! The number that the other screen shows, and that must come back with an approval.

use countersign_protocol::challenge::NumberMatching;

use crate::error::Error;

/// How the number that the sign-on page shows comes into the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberMatchingType {
    /// The person picks it out of the numbers that are offered with the question.
    SelectNumber,
    /// The person types it.
    EnterManually {
        /// How many digits it has, with leading zeros.
        digits: u8,
    },
}

impl NumberMatchingType {
    pub(crate) const fn of(matching: &NumberMatching) -> Self {
        match matching {
            NumberMatching::SelectNumber { .. } => Self::SelectNumber,
            NumberMatching::EnterManually { digits } => Self::EnterManually { digits: *digits },
        }
    }
}

/// The numbers to pick from.
pub fn options(matching: Option<&NumberMatching>) -> &[u32] {
    match matching {
        Some(NumberMatching::SelectNumber { options }) => options,
        Some(NumberMatching::EnterManually { .. }) | None => &[],
    }
}

/// Whether a number comes where one must, and may be right.
pub fn check(matching: Option<&NumberMatching>, number: Option<u32>) -> Result<(), Error> {
    match (matching, number) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(Error::NumberMissing),
        (Some(NumberMatching::SelectNumber { options }), Some(number))
            if options.contains(&number) =>
        {
            Ok(())
        }
        (Some(NumberMatching::EnterManually { digits }), Some(number))
            if number.checked_ilog10().unwrap_or(0) < u32::from(*digits) =>
        {
            Ok(())
        }
        (_, Some(_)) => Err(Error::NumberNotOffered),
    }
}
