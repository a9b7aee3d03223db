//! Where calls come from: the request, its sender, and on whose behalf it changes things. The audit log tells of it.
//!
//! The origin travels with the task and not through the arguments, as the span of a trace does: no use case decides by it,
//! and none can forget to hand it on.

use countersign_domain::audit::{Actors, Part, Source};
use countersign_protocol::challenge::Origin as Seen;

tokio::task_local! {
    static ORIGIN: Origin;
}

/// Where the calls of a task come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The name under which the request is logged.
    pub correlation: String,
    /// The sender of the request.
    pub source: Option<Source>,
    /// Who asked, when it is not the application and the user whom the events are about.
    pub by: Option<Actors>,
}

impl Origin {
    /// A part of the platform that was not asked by a request.
    #[must_use]
    pub fn part(part: Part) -> Self {
        Self { by: Some(Actors::part(part)), ..Self::default() }
    }

    /// The origin of the current call. Outside of requests and workers it is the operator.
    #[must_use]
    pub fn current() -> Self {
        ORIGIN.try_with(Clone::clone).unwrap_or_else(|_| Self::part(Part::Operator))
    }

    /// The same request, on behalf of an administrator or a worker application.
    #[must_use]
    pub fn by(self, actors: Actors) -> Self {
        Self { by: Some(actors), ..self }
    }

    /// What a person is shown of where a question comes from.
    #[must_use]
    pub(super) fn seen(&self) -> Seen {
        let source = self.source.as_ref();
        Seen {
            address: source.and_then(|source| source.address.map(|address| address.to_string())),
            browser: source.and_then(|source| source.user_agent.clone()),
        }
    }

    /// Runs calls that come from here.
    pub async fn scope<F: Future>(self, calls: F) -> F::Output {
        ORIGIN.scope(self, calls).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_outside_of_every_scope_is_the_operators_and_a_scope_ends_with_its_calls() {
        let operator = Origin::part(Part::Operator);
        let request = Origin { correlation: "c".to_owned(), ..Origin::default() };
        assert_eq!(Origin::current(), operator);
        let seen = request.clone().scope(async {
            let worker = Origin::current().by(Actors::part(Part::Worker));
            (Origin::current(), worker.scope(async { Origin::current() }).await)
        });
        let (outer, inner) = seen.await;
        assert_eq!(outer, request);
        assert_eq!(inner, request.by(Actors::part(Part::Worker)));
        assert_eq!(Origin::current(), operator);
    }
}
