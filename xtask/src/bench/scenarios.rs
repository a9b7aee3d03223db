//! What is measured, and the targets.

use super::{
    figure::Figure,
    ground::{Ground, Said, Server, mib},
    report::Section,
};
use crate::{Outcome, postgres::Postgres};

/// Flows per second on one core, device authorization with ES256 on SQLite.
const SQLITE_FLOWS: f64 = 3_500.0;
/// The same on PostgreSQL.
const POSTGRES_FLOWS: f64 = 500.0;
/// Access tokens of worker applications per second.
const CLIENT_CREDENTIALS: f64 = 10_000.0;
/// Per cent of the server's CPU time that is signatures.
const SIGNATURE_SHARE: f64 = 40.0;
/// Per cent of the rate with few users that is left with many.
const MANY_USERS_RATE: f64 = 90.0;
/// Milliseconds until it answers, with keys to make and with data.
const FIRST_START_MS: f64 = 1_000.0;
const START_MS: f64 = 150.0;
/// MiB of memory, idle and under load, and of the program.
const IDLE_MIB: f64 = 40.0;
const LOADED_MIB: f64 = 120.0;
const PROGRAM_MIB: f64 = 30.0;

const FLOW: &str = "One flow is `authorize` with a signed mobile payload (`pi.flow`, MFA first, `login_hint`), the flow that is \
completed at once, its code, and `token` with PKCE: two requests, three signatures, two transactions, over 64 connections that are \
kept alive. Payloads are signed on the core of the load. The floor is the cryptography of one flow alone, on the server's core, before \
each run.";

/// Several runs of one scenario.
#[derive(Default)]
struct Runs {
    rate: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    cpu_us: Vec<f64>,
    busy: Vec<f64>,
    load_busy: Vec<f64>,
    peak_mib: Vec<f64>,
    floor_rate: Vec<f64>,
    share: Vec<f64>,
}

impl Runs {
    fn of(ground: &Ground, server: &Server<'_>, algorithm: &str) -> Outcome<Self> {
        let mut runs = Self::default();
        for _ in 0..ground.effort.runs {
            let floor = ["floor", "--seconds", "1", "--algorithm", algorithm];
            let floor = ground.load_on_server_core(&floor)?;
            let run = server.drive(&["device-authorization", "--algorithm", algorithm])?;
            runs.add(&run, &floor)?;
        }
        Ok(runs)
    }

    fn add(&mut self, run: &Said, floor: &Said) -> Outcome {
        let (seconds, cpu_us) = (run.number("seconds")?, run.number("server_cpu_us_per_round")?);
        self.rate.push(run.number("rounds_per_second")?);
        self.p50_ms.push(run.number("p50_us")? / 1e3);
        self.p99_ms.push(run.number("p99_us")? / 1e3);
        self.cpu_us.push(cpu_us);
        self.busy.push(100.0 * run.number("server_cpu_seconds")? / seconds);
        self.load_busy.push(100.0 * run.number("load_cpu_seconds")? / seconds);
        self.peak_mib.push(run.number("peak_kib")? / 1024.0);
        self.floor_rate.push(floor.number("rounds_per_second")?);
        self.share.push(100.0 * floor.number("signatures_us")? / cpu_us);
        Ok(())
    }

    fn figures(self, name: &str, target: Option<f64>) -> Vec<Figure> {
        let rate = Figure::new(format!("{name}: flows"), "/s", self.rate);
        let per_cpu = self.cpu_us.iter().map(|us| 1e6 / us).collect();
        let share = Figure::new(format!("{name}: share of signatures"), "%", self.share);
        vec![
            match target {
                Some(target) => rate.at_least(target),
                None => rate,
            },
            Figure::new(format!("{name}: flows per CPU second of the server"), "/s", per_cpu),
            Figure::new(format!("{name}: CPU time of the server a flow"), "us", self.cpu_us),
            if target == Some(SQLITE_FLOWS) { share.at_least(SIGNATURE_SHARE) } else { share },
            Figure::new(format!("{name}: floor"), "/s", self.floor_rate),
            Figure::new(format!("{name}: median"), "ms", self.p50_ms),
            Figure::new(format!("{name}: 99th percentile"), "ms", self.p99_ms),
            Figure::new(format!("{name}: the server's core is busy"), "%", self.busy),
            Figure::new(format!("{name}: the load's core is busy with it"), "%", self.load_busy),
            Figure::new(format!("{name}: memory at its height"), "MiB", self.peak_mib)
                .at_most(LOADED_MIB),
        ]
    }
}

pub fn sqlite(ground: &Ground) -> Outcome<Section> {
    let site = ground.seeded("sqlite", None, ground.effort.few_users)?;
    let server = site.serve()?;
    let mut figures = Runs::of(ground, &server, "es256")?.figures("ES256", Some(SQLITE_FLOWS));
    figures.extend(Runs::of(ground, &server, "rs256")?.figures("RS256", None));
    Ok(Section { title: "Device authorization, SQLite", method: FLOW.to_owned(), figures })
}

pub fn postgres(ground: &Ground) -> Outcome<Section> {
    let postgres = Postgres::durable()?;
    let users = ground.effort.few_users;
    let site = ground.seeded("postgres", Some(&postgres.url), users)?;
    let server = site.serve()?;
    let mut figures = Runs::of(ground, &server, "es256")?.figures("ES256", Some(POSTGRES_FLOWS));
    figures.extend(Runs::of(ground, &server, "rs256")?.figures("RS256", None));
    let method = "The same flow. PostgreSQL has its defaults, so it is durable, and runs on the core of the load; its CPU time \
                  is not in that of the server."
        .to_owned();
    Ok(Section { title: "Device authorization, PostgreSQL", method, figures })
}

/// What clients do all day when nobody signs in anew.
pub fn tokens(ground: &Ground) -> Outcome<Section> {
    let site = ground.seeded("tokens", None, ground.effort.few_users)?;
    let server = site.serve()?;
    let mut figures = Vec::new();
    for (scenario, name, target) in [
        ("code-flow", "code flow", None),
        ("refresh", "refresh", None),
        ("client-credentials", "client credentials", Some(CLIENT_CREDENTIALS)),
    ] {
        let (mut rate, mut cpu_us, mut p50_ms, mut p99_ms) = (vec![], vec![], vec![], vec![]);
        for _ in 0..ground.effort.runs {
            let run = server.drive(&[scenario])?;
            rate.push(run.number("rounds_per_second")?);
            cpu_us.push(run.number("server_cpu_us_per_round")?);
            p50_ms.push(run.number("p50_us")? / 1e3);
            p99_ms.push(run.number("p99_us")? / 1e3);
        }
        let rate = Figure::new(name, "/s", rate);
        figures.push(match target {
            Some(target) => rate.at_least(target),
            None => rate,
        });
        figures.push(Figure::new(format!("{name}: CPU time of the server"), "us", cpu_us));
        figures.push(Figure::new(format!("{name}: median"), "ms", p50_ms));
        figures.push(Figure::new(format!("{name}: 99th percentile"), "ms", p99_ms));
    }
    let method = "Code flow: `authorize` in a browser that has a session, which redirects with a code at once, and `token` with PKCE. \
                  Refresh: a refresh token for an ID token, an access token and the next refresh token. Client credentials: a worker's \
                  secret in the form for an access token. All tokens are signed with ES256. 64 connections that are kept alive, on SQLite."
        .to_owned();
    Ok(Section { title: "Tokens", method, figures })
}

/// Few and many users by turns, so that a machine that is disturbed for a while disturbs both.
pub fn million(ground: &Ground) -> Outcome<Section> {
    let (few_users, many_users) = (ground.effort.few_users, ground.effort.many_users);
    let few_site = ground.seeded("few", None, few_users)?;
    let many_site = ground.seeded("many", None, many_users)?;
    let (mut few, mut many, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ground.effort.runs {
        let run = few_site.serve()?.drive(&["device-authorization"])?;
        let before = 1e6 / run.number("server_cpu_us_per_round")?;
        few.push(run.number("rounds_per_second")?);
        let run = many_site.serve()?.drive(&["device-authorization"])?;
        let after = 1e6 / run.number("server_cpu_us_per_round")?;
        many.push(run.number("rounds_per_second")?);
        left.push(100.0 * after / before);
    }
    let rate_left = many.iter().zip(&few).map(|(many, few)| 100.0 * many / few).collect();
    let method = format!(
        "The same flow with {few_users} and with {many_users} users, two devices each, on SQLite with ES256. The phones that sign \
         in are spread evenly over all users, at most 10,000 of them."
    );
    let figures = vec![
        Figure::new(format!("flows with {few_users} users"), "/s", few),
        Figure::new(format!("flows with {many_users} users"), "/s", many),
        Figure::new("rate that is left with many users", "%", rate_left).at_least(MANY_USERS_RATE),
        Figure::new("the same per CPU second of the server", "%", left),
    ];
    Ok(Section { title: "Many users", method, figures })
}

pub fn commits(ground: &Ground) -> Outcome<Section> {
    let seconds = ground.effort.seconds.to_string();
    let mut figures = Vec::new();
    for callers in ["1", "8", "64", "256"] {
        let (mut writes, mut commits, mut group, mut p99) = (vec![], vec![], vec![], vec![]);
        for run in 0..ground.effort.runs {
            let database =
                format!("sqlite:{}", ground.path(&format!("commits-{callers}-{run}.db")));
            let what = ["group-commit", "--database", &database, "--callers", callers];
            let said = ground.load(&[what.as_slice(), &["--seconds", &seconds]].concat())?;
            writes.push(said.number("writes_per_second")?);
            commits.push(said.number("commits_per_second")?);
            group.push(said.number("writes_per_commit")?);
            p99.push(said.number("p99_us")? / 1e3);
        }
        figures.push(Figure::new(format!("{callers} callers: writes"), "/s", writes));
        figures.push(Figure::new(format!("{callers} callers: commits"), "/s", commits));
        figures.push(Figure::new(format!("{callers} callers: writes in a commit"), "", group));
        figures.push(Figure::new(format!("{callers} callers: 99th percentile"), "ms", p99));
    }
    let method = "So many callers write one line of the audit log after another, each durable before the next. The store runs in \
                  the process that measures, on one core."
        .to_owned();
    Ok(Section { title: "Group commit, SQLite", method, figures })
}

pub fn start(ground: &Ground) -> Outcome<Section> {
    let seeded = ground.seeded("start", None, ground.effort.few_users)?;
    seeded.serve()?;
    let (mut first, mut again, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..ground.effort.runs {
        let empty = ground.empty(&format!("first-{run}"), None)?;
        first.push(empty.serve()?.started_in.as_secs_f64() * 1e3);
        let server = seeded.serve()?;
        again.push(server.started_in.as_secs_f64() * 1e3);
        idle.push(server.resident_mib()?);
    }
    let figures = vec![
        Figure::new("first start, with keys to make", "ms", first).at_most(FIRST_START_MS),
        Figure::new("start with data", "ms", again).at_most(START_MS),
        Figure::new("memory, idle", "MiB", idle).at_most(IDLE_MIB),
        Figure::new("program", "MiB", vec![mib(&ground.server)?]).at_most(PROGRAM_MIB),
    ];
    let method =
        "From the start of the process until it says that it listens, on one core.".to_owned();
    Ok(Section { title: "Start, memory, size", method, figures })
}
