//! Every metric of the server, read from where it is counted. `docs/telemetry.md` explains each; a test compares.

use countersign_store::{Engine, Load, Meters, Tally, audit};

use super::{
    family::{Family, number},
    metrics::{METHODS, Metrics, STATUSES},
    otlp, process,
};
use crate::{app::App, passwords::Passwords};

/// What an MFA step came to: decision, reason.
pub(crate) const MFA_DECISIONS: &str = "mfa_decisions";
/// What came of messages to push services: service, outcome.
pub(crate) const PUSHES: &str = "pushes";
/// Tokens that were issued: grant type.
pub(crate) const TOKENS_ISSUED: &str = "tokens_issued";

/// Reads every metric. Takes no lock that a request waits for.
#[must_use]
pub fn collect(app: &App) -> Vec<Family> {
    let store = app.store();
    let (metrics, tally) = (app.metrics(), &store.meters().tally);
    let mut families = requests(metrics);
    families.extend(outcomes(tally));
    families.extend(audited(tally));
    families.extend(passwords(app.passwords()));
    families.extend(transactions(store.meters()));
    families.extend(load(&store.load()));
    families.extend(workers(metrics));
    families.extend(exports());
    families.push(build(store.engine()));
    families.push(readiness(app));
    families.extend(sockets(app));
    families.extend(process::families(number_of_seconds(metrics)));
    families
}

fn requests(metrics: &Metrics) -> Vec<Family> {
    let mut requests = Family::counter(
        "countersign_http_requests_total",
        "Requests by route template, method and class of status.",
    );
    let mut times = Family::histogram(
        "countersign_http_request_duration_seconds",
        "Time from the head of a request to the head of its answer, by route template.",
    );
    for route in metrics.routes() {
        let template = route.template.as_str();
        for (method, classes) in METHODS.iter().zip(&route.requests) {
            for (status, count) in STATUSES.iter().zip(classes).filter(|it| it.1.get() > 0) {
                let labels = [("route", template), ("method", method), ("status", status)];
                requests = requests.with(labels, number(count.get()));
            }
        }
        times = times.times([("route", template)], route.times.distribution());
    }
    let in_flight =
        Family::gauge("countersign_http_requests_in_flight", "Requests that are being answered.");
    vec![requests, times, in_flight.is(signed(metrics.in_flight()))]
}

/// What transactions and use cases have told by their own words.
fn outcomes(tally: &Tally) -> Vec<Family> {
    let mut records = Family::counter(
        "countersign_audit_records_total",
        "Records written to the audit log, by action, outcome and reason.",
    );
    let mut tokens =
        Family::counter("countersign_tokens_issued_total", "Token responses, by grant type.");
    let mut decisions = Family::counter(
        "countersign_mfa_decisions_total",
        "What MFA steps came to when they began, by decision and reason.",
    );
    let mut pushes = Family::counter(
        "countersign_pushes_total",
        "Messages that were given to push services, by service and outcome.",
    );
    for told in tally.iter() {
        let [first, second, third] = told.labels.each_ref().map(String::as_str);
        let count = number(told.count.get());
        match told.kind {
            audit::TALLY => {
                let labels = [("action", first), ("outcome", second), ("reason", third)];
                records = records.with(labels, count);
            }
            TOKENS_ISSUED => tokens = tokens.with([("grant_type", first)], count),
            MFA_DECISIONS => {
                decisions = decisions.with([("decision", first), ("reason", second)], count);
            }
            PUSHES => pushes = pushes.with([("service", first), ("outcome", second)], count),
            _ => {}
        }
    }
    let overflow = Family::counter(
        "countersign_tally_overflow_total",
        "Outcomes that were counted here alone, because there were too many kinds of them: a defect.",
    );
    vec![records, tokens, decisions, pushes, overflow.is(number(tally.overflow()))]
}

/// Name, meaning, and what each action of the audit log is called in it.
type Audited = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Metrics that are told by records of the audit log: which ones, by which outcome.
const AUDITED: [Audited; 5] = [
    ("countersign_sign_ons_begun_total", "Sign-ons that began.", &[("FLOW.CREATED", "")]),
    (
        "countersign_sign_ons_total",
        "Sign-ons that ended, by outcome and reason.",
        &[("USER.ACCESS_ALLOWED", "allowed"), ("USER.ACCESS_DENIED", "denied")],
    ),
    (
        "countersign_password_checks_total",
        "Passwords that were checked, by outcome and reason.",
        &[("PASSWORD.CHECK_SUCCEEDED", "accepted"), ("PASSWORD.CHECK_FAILED", "refused")],
    ),
    (
        "countersign_passcode_checks_total",
        "Passcodes that were checked, by outcome and reason.",
        &[("OTP.CHECK_SUCCESS", "accepted"), ("OTP.CHECK_FAILED", "refused")],
    ),
    (
        "countersign_pairings_total",
        "Devices that were paired, and pairings that were denied or failed, by outcome and reason.",
        &[
            ("DEVICE.CREATED", "paired"),
            ("DEVICE.ACTIVATION_FAILED", "failed"),
            ("DEVICE.PAIRING_FAILED_COMPROMISED", "failed"),
        ],
    ),
];

fn audited(tally: &Tally) -> Vec<Family> {
    let records: Vec<_> = tally.iter().filter(|told| told.kind == audit::TALLY).collect();
    let family = |(name, meaning, actions): Audited| {
        actions.iter().fold(Family::counter(name, meaning), |family, (action, outcome)| {
            records.iter().fold(family, |family, told| {
                let [found, _, reason] = told.labels.each_ref().map(String::as_str);
                if found != *action {
                    return family;
                }
                let labels = [("outcome", *outcome), ("reason", reason)];
                family.with(labels, number(told.count.get()))
            })
        })
    };
    AUDITED.into_iter().map(family).collect()
}

fn passwords(passwords: &Passwords) -> Vec<Family> {
    let load = passwords.load();
    let callers = Family::gauge(
        "countersign_password_pool_callers",
        "Password hashes that run or wait for a worker.",
    );
    let limits = Family::gauge(
        "countersign_password_pool_limit",
        "Password hashes that may run at once, and those that may run or wait.",
    );
    let refused = Family::counter(
        "countersign_password_pool_refused_total",
        "Password hashes that were refused, because as many waited as may.",
    );
    let times = Family::histogram(
        "countersign_password_hash_duration_seconds",
        "Time of one password hash, without waiting.",
    );
    vec![
        callers
            .with([("state", "running")], number(load.running as u64))
            .with([("state", "waiting")], number(load.waiting as u64)),
        limits
            .with([("state", "running")], number(load.workers as u64))
            .with([("state", "all")], number(load.queue as u64)),
        refused.is(number(load.refused)),
        times.times([], load.times),
    ]
}

fn transactions(meters: &Meters) -> Vec<Family> {
    let transactions = Family::histogram(
        "countersign_store_transaction_duration_seconds",
        "Time of a transaction as its caller sees it, with waiting, by access.",
    );
    let commits =
        Family::histogram("countersign_store_commit_duration_seconds", "Time of a commit alone.");
    let groups =
        Family::histogram("countersign_store_group_size", "SQLite: writes that shared a commit.");
    let failed = Family::counter(
        "countersign_store_commit_failures_total",
        "Commits that failed, or of which nobody knows whether they happened.",
    );
    let log = Family::gauge(
        "countersign_store_wal_bytes",
        "SQLite: size of what the write-ahead log held after the last commit.",
    );
    let collisions = Family::counter(
        "countersign_store_collisions_total",
        "PostgreSQL: transactions that had to run again, because another was in their way.",
    );
    let lost = Family::counter(
        "countersign_store_connections_lost_total",
        "PostgreSQL: connections that broke in a transaction.",
    );
    vec![
        transactions
            .times([("access", "write")], meters.writes.distribution())
            .times([("access", "read")], meters.reads.distribution()),
        commits.times([], meters.commits.distribution()),
        groups.sizes([], meters.groups.distribution()),
        failed.is(number(meters.failed_commits.get())),
        log.is(signed(meters.wal_pages.get()) * 4_096.0),
        collisions.is(number(meters.collisions.get())),
        lost.is(number(meters.lost_connections.get())),
    ]
}

fn load(load: &Load) -> Vec<Family> {
    let mut callers =
        Family::gauge("countersign_store_callers", "Transactions that run or wait, by queue.");
    let mut limits =
        Family::gauge("countersign_store_callers_limit", "Transactions that may run or wait.");
    let mut refused = Family::counter(
        "countersign_store_refused_total",
        "Transactions that were refused, because as many waited as may.",
    );
    for queue in &load.queues {
        let labels = [("queue", queue.name)];
        callers = callers.with(labels, number(queue.callers as u64));
        limits = limits.with(labels, number(queue.limit as u64));
        refused = refused.with(labels, number(queue.refused));
    }
    let mut connections = Family::gauge(
        "countersign_store_connections",
        "PostgreSQL: connections that are open, by state.",
    );
    let mut limit =
        Family::gauge("countersign_store_connections_limit", "PostgreSQL: connections allowed.");
    let mut waiting = Family::gauge(
        "countersign_store_connections_waiting",
        "PostgreSQL: transactions that wait for a connection.",
    );
    if let Some(pool) = load.connections {
        let busy = pool.open.saturating_sub(pool.idle);
        connections = connections
            .with([("state", "idle")], number(pool.idle as u64))
            .with([("state", "busy")], number(busy as u64));
        limit = limit.is(number(pool.limit as u64));
        waiting = waiting.is(number(pool.waiting as u64));
    }
    vec![callers, limits, refused, connections, limit, waiting]
}

fn workers(metrics: &Metrics) -> Vec<Family> {
    let mut runs =
        Family::counter("countersign_worker_runs_total", "Runs of a worker, by outcome.");
    let mut items =
        Family::counter("countersign_worker_items_total", "What a worker has dealt with.");
    let mut success = Family::gauge(
        "countersign_worker_last_success_timestamp_seconds",
        "When a worker last ran well, in Unix time; 0 before that.",
    );
    let mut backlog = Family::gauge(
        "countersign_worker_backlog",
        "What a worker has left for its next run, at least.",
    );
    for (name, worker) in metrics.workers() {
        let outcome = |outcome| [("worker", name), ("outcome", outcome)];
        runs = runs
            .with(outcome("succeeded"), number(worker.succeeded.get()))
            .with(outcome("failed"), number(worker.failed.get()));
        items = items.with([("worker", name)], number(worker.items.get()));
        success = success.with([("worker", name)], signed(worker.last_success_seconds.get()));
        backlog = backlog.with([("worker", name)], signed(worker.backlog.get()));
    }
    vec![runs, items, success, backlog]
}

fn exports() -> Vec<Family> {
    let spans = Family::counter(
        "countersign_otlp_spans_total",
        "Spans for the collector: sent, dropped as the queue was full, or refused by it.",
    );
    let refused = Family::counter(
        "countersign_otlp_metrics_refused_total",
        "Messages with metrics that the collector did not take.",
    );
    vec![
        spans
            .with([("outcome", "sent")], number(otlp::SENT.get()))
            .with([("outcome", "dropped")], number(otlp::DROPPED.get()))
            .with([("outcome", "refused")], number(otlp::REFUSED.get())),
        refused.is(number(otlp::REFUSED_METRICS.get())),
    ]
}

fn build(engine: Engine) -> Family {
    let engine = match engine {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgresql",
    };
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("engine", engine)];
    Family::gauge("countersign_build_info", "Always 1: what runs, and on which engine.")
        .with(labels, 1.0)
}

fn readiness(app: &App) -> Family {
    let draining = if app.is_draining() { 1.0 } else { 0.0 };
    Family::gauge("countersign_draining", "1 once the process has been told to stop.").is(draining)
}

fn sockets(app: &App) -> [Family; 2] {
    let open = Family::gauge("countersign_sockets", "Open sockets of phones.");
    let limit = Family::gauge("countersign_sockets_limit", "Sockets that may be open.");
    [open.is(number(app.sockets().open() as u64)), limit.is(number(app.sockets().most() as u64))]
}

#[expect(clippy::cast_precision_loss, reason = "nine quadrillion may be off by one")]
const fn signed(value: i64) -> f64 {
    value as f64
}

const fn number_of_seconds(metrics: &Metrics) -> f64 {
    signed(metrics.started_at.unix_seconds())
}
