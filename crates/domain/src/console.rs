//! The console: the pages at which people administer the platform, as one of the applications of the administrators.

use crate::{application::Application, environment::Environment, id::Id};

/// The name under which the console is one of the applications of the administrators.
pub const NAME: &str = "Console";

/// The application that the console is among those of the administrators' environment: its id is made of that of the
/// environment, so that it is found without a search and cannot be there twice. It differs from that of the pages of the own
/// account in the last bit.
#[must_use]
pub fn application(administrators: Id<Environment>) -> Id<Application> {
    let mut id = *administrators.as_bytes();
    if let Some(last) = id.last_mut() {
        *last ^= 1;
    }
    Id::from_bytes(id)
}

/// Whether an application is the console.
#[must_use]
pub fn is(of: &Application) -> bool {
    of.id == application(of.environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account, fixture::id};

    #[test]
    fn the_console_and_the_pages_of_the_own_account_are_two_applications() {
        let environment: Id<Environment> = id(7);
        assert_ne!(application(environment), account::application(environment));
        assert_eq!(application(environment), application(environment));
    }
}
