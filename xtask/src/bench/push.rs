//! What is measured of pushes, and the targets.

use super::{
    figure::Figure,
    ground::{Ground, Server},
    report::Section,
};
use crate::Outcome;

/// Milliseconds from the acknowledgement of a silent push until the flow that waits is answered, 99 of 100.
const RELEASE_MS: f64 = 5.0;
/// Push rounds per second on one core.
const ROUNDS: f64 = 1_500.0;

/// Sign-ons per second of 64 phones that keep the server busy, and do not fill it.
const SIGN_ONS: f64 = 200.0;
const PHONES: &str = "64";

const METHOD: &str = "All on SQLite with ES256. Silent push: phones whose extra verification is restrictive sign in, an app waits for the \
flow with `Prefer: wait`, and the phone, which the platform wakes itself (`direct`), acknowledges; the time is from the moment at which \
the acknowledgement is sent, or its answer is there, until the whole answer of the waiting request is there. One phone after another, 64 phones \
that sign in 200 times a second between them, and 64 without a pause, where the time is that of the server's queue. Push round: a sign-on \
elsewhere that asks the person, the pull of the question, the signed yes, the look at the flow: four requests, three transactions, over 64 \
connections. APNs: visible pushes through one connection of the gateway, alone on the server's core, to the emulated service on that of the load, 64 under way. Waiting flows: each has a long poll \
over a connection of its own; memory is that of the server's process, the difference to before the first flow divided by their number.";

pub fn push(ground: &Ground) -> Outcome<Section> {
    let site = ground.seeded_with_push("push", ground.effort.few_users)?;
    let mut figures = {
        let server = site.serve()?;
        let pause = (64.0 / SIGN_ONS).to_string();
        let mut figures = release(ground, &server, "one phone", &["1", "0"], true)?;
        figures.extend(release(ground, &server, "200/s", &[PHONES, &pause], true)?);
        figures.extend(release(ground, &server, "64 phones", &[PHONES, "0"], false)?);
        figures.extend(rounds(ground, &server)?);
        figures
    };
    figures.extend(apns(ground)?);
    figures.extend(waiting(ground)?);
    Ok(Section { title: "Push, SQLite", method: METHOD.to_owned(), figures })
}

fn release(
    ground: &Ground,
    server: &Server<'_>,
    name: &str,
    [phones, pause]: &[&str; 2],
    has_target: bool,
) -> Outcome<Vec<Figure>> {
    let (mut rate, mut busy) = (vec![], vec![]);
    let (mut sent_p50, mut sent_p99, mut answered_p99) = (vec![], vec![], vec![]);
    for _ in 0..ground.effort.runs {
        let what = ["acknowledgement", "--connections", phones, "--pause", pause];
        let run = server.drive(&what)?;
        rate.push(run.number("rounds_per_second")?);
        busy.push(run.number("server_busy")?);
        sent_p50.push(run.number("sent_p50_us")? / 1e3);
        sent_p99.push(run.number("sent_p99_us")? / 1e3);
        answered_p99.push(run.number("answered_p99_us")? / 1e3);
    }
    let name = format!("silent push, {name}");
    let p99 = Figure::new(format!("{name}: sent to released, 99th percentile"), "ms", sent_p99);
    Ok(vec![
        Figure::new(format!("{name}: sign-ons"), "/s", rate),
        Figure::new(format!("{name}: the server's core is busy"), "%", busy),
        Figure::new(format!("{name}: sent to released, median"), "ms", sent_p50),
        if has_target { p99.at_most(RELEASE_MS) } else { p99 },
        Figure::new(format!("{name}: answered to released, 99th percentile"), "ms", answered_p99),
    ])
}

fn rounds(ground: &Ground, server: &Server<'_>) -> Outcome<Vec<Figure>> {
    let (mut rate, mut cpu_us, mut p50_ms, mut p99_ms) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ground.effort.runs {
        let run = server.drive(&["push-round"])?;
        rate.push(run.number("rounds_per_second")?);
        cpu_us.push(run.number("server_cpu_us_per_round")?);
        p50_ms.push(run.number("p50_us")? / 1e3);
        p99_ms.push(run.number("p99_us")? / 1e3);
    }
    Ok(vec![
        Figure::new("push round", "/s", rate).at_least(ROUNDS),
        Figure::new("push round: CPU time of the server", "us", cpu_us),
        Figure::new("push round: median", "ms", p50_ms),
        Figure::new("push round: 99th percentile", "ms", p99_ms),
    ])
}

fn apns(ground: &Ground) -> Outcome<Vec<Figure>> {
    let file = ground.path("apns.json");
    let _service = ground.service(&["apns-service", "--service", &file])?;
    let seconds = ground.effort.seconds.to_string();
    let (mut rate, mut cpu_us, mut p99_ms) = (vec![], vec![], vec![]);
    for _ in 0..ground.effort.runs {
        let what = ["apns", "--service", &file, "--seconds", &seconds];
        let run = ground.load_on_server_core(&what)?;
        rate.push(run.number("pushes_per_second")?);
        cpu_us.push(run.number("cpu_us_per_push")?);
        p99_ms.push(run.number("p99_us")? / 1e3);
    }
    Ok(vec![
        Figure::new("APNs, one connection: pushes", "/s", rate),
        Figure::new("APNs, one connection: CPU time of the gateway", "us", cpu_us),
        Figure::new("APNs, one connection: 99th percentile", "ms", p99_ms),
    ])
}

/// Once: the memory of a process that has had many flows is not that of a new one.
fn waiting(ground: &Ground) -> Outcome<Vec<Figure>> {
    let flows = ground.effort.waiting_flows;
    let site = ground.seeded_with_push("waiting", flows)?;
    let server = site.serve()?;
    let run = server.drive(&["waiting", "--flows", &flows.to_string()])?;
    let (before, waiting) = (run.number("before_kib")?, run.number("waiting_kib")?);
    let each = (waiting - before) / f64::from(flows);
    Ok(vec![
        Figure::new(format!("{flows} waiting flows: memory"), "MiB", vec![waiting / 1024.0]),
        Figure::new(format!("{flows} waiting flows: memory for each"), "KiB", vec![each]),
        Figure::new(
            format!("{flows} waiting flows: the server's core is busy with them"),
            "%",
            vec![run.number("idle_cpu_us")? / 1e4],
        ),
    ])
}
