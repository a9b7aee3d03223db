//! What the server counts of its requests and workers, by atomics: no lock and no memory for a request.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use countersign_protocol::time::Timestamp;
use countersign_store::meter::{Counter, Gauge, Histogram, Slots, Stopwatch, TIMES};

/// The most route templates. There are as many as the program has routes, so this is never reached.
const MAX_ROUTES: usize = 256;

/// The methods that are told apart, and the rest.
pub(super) const METHODS: [&str; 8] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"];

/// The classes of statuses, and requests whose caller went away before there was one.
pub(super) const STATUSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "cancelled"];

const CANCELLED: usize = 5;

/// The route of addresses that nothing is at.
const NO_ROUTE: &str = "none";

/// What the server counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    routes: Slots<Route>,
    in_flight: Gauge,
    workers: RwLock<BTreeMap<&'static str, Arc<Worker>>>,
    pub(super) started_at: Timestamp,
}

/// Requests to one route.
#[derive(Debug)]
pub(super) struct Route {
    pub template: String,
    pub requests: [[Counter; STATUSES.len()]; METHODS.len()],
    pub times: Histogram,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(started_at: Timestamp) -> Self {
        let (routes, workers) = (Slots::new(MAX_ROUTES), RwLock::default());
        Self { routes, in_flight: Gauge::default(), workers, started_at }
    }

    /// A request has come. The template is of the route that answers it, never its address.
    pub fn begin(&self, template: Option<&str>, method: &str) -> Served<'_> {
        let template = template.unwrap_or(NO_ROUTE);
        let is = |route: &Route| route.template == template;
        let new = || Route {
            template: template.to_owned(),
            requests: Default::default(),
            times: Histogram::new(TIMES),
        };
        let route = self.routes.find(template, is, new).and_then(|place| self.routes.get(place));
        let method = METHODS.iter().position(|known| *known == method);
        let method = method.unwrap_or(METHODS.len() - 1);
        self.in_flight.add(1);
        Served {
            in_flight: &self.in_flight,
            route,
            method,
            watch: Stopwatch::start(),
            status: None,
        }
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    pub(super) fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    /// What a worker reports to: `expiry`, `outbox`. The same for the same name.
    pub fn worker(&self, name: &'static str) -> Arc<Worker> {
        let mut workers = self.workers.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(workers.entry(name).or_default())
    }

    pub(super) fn workers(&self) -> BTreeMap<&'static str, Arc<Worker>> {
        self.workers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request that is served. One that is dropped without an answer was cancelled by its caller.
#[derive(Debug)]
pub(crate) struct Served<'m> {
    in_flight: &'m Gauge,
    route: Option<&'m Route>,
    method: usize,
    watch: Stopwatch,
    status: Option<u16>,
}

impl Served<'_> {
    /// It is answered. Returns how long that took.
    pub fn answered(mut self, status: u16) -> Duration {
        self.status = Some(status);
        self.watch.elapsed()
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.in_flight.add(-1);
        let Some(route) = self.route else { return };
        let class =
            self.status.map_or(CANCELLED, |status| usize::from(status / 100).wrapping_sub(1));
        let counter = route.requests.get(self.method).and_then(|classes| classes.get(class));
        if let Some(counter) = counter {
            counter.add(1);
        }
        route.times.observe_time(self.watch.elapsed());
    }
}

/// What a worker has done.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(super) succeeded: Counter,
    pub(super) failed: Counter,
    pub(super) items: Counter,
    pub(super) last_success_seconds: Gauge,
    pub(super) backlog: Gauge,
}

impl Worker {
    /// A run has ended well and has dealt with so many items.
    pub fn ran(&self, now: Timestamp, items: u64) {
        self.succeeded.add(1);
        self.items.add(items);
        self.last_success_seconds.set(now.unix_seconds());
    }

    /// A run has failed.
    pub fn failed(&self) {
        self.failed.add(1);
    }

    /// At least so many items wait for the next run.
    pub fn left(&self, items: i64) {
        self.backlog.set(items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(metrics: &Metrics, method: usize, status: usize) -> u64 {
        metrics.routes().map(|route| route.requests[method][status].get()).sum()
    }

    #[test]
    fn a_request_counts_under_its_template_method_and_class() {
        let metrics = Metrics::new(Timestamp::from_unix_seconds(0));
        let served = metrics.begin(Some("/{environment}/as/token"), "POST");
        assert_eq!(metrics.in_flight(), 1);
        served.answered(204);
        metrics.begin(None, "BREW").answered(418);
        assert_eq!((count(&metrics, 1, 1), count(&metrics, 7, 3)), (1, 1));
        let mut templates: Vec<_> = metrics.routes().map(|it| it.template.as_str()).collect();
        templates.sort_unstable();
        assert_eq!((templates, metrics.in_flight()), (vec!["/{environment}/as/token", "none"], 0));
    }

    #[test]
    fn a_caller_that_goes_away_is_counted_and_leaves_nothing_in_flight() {
        let metrics = Metrics::new(Timestamp::from_unix_seconds(0));
        drop(metrics.begin(Some("/"), "GET"));
        assert_eq!((count(&metrics, 0, CANCELLED), metrics.in_flight()), (1, 0));
    }

    #[test]
    fn no_status_is_out_of_range() {
        let metrics = Metrics::new(Timestamp::from_unix_seconds(0));
        for status in [0, 99, 600, u16::MAX] {
            metrics.begin(Some("/"), "GET").answered(status);
        }
        assert_eq!(metrics.routes().next().unwrap().times.distribution().count(), 4);
    }
}
