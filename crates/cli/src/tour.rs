//! The tour: enrolment, device authorization, push and unpairing, step by step, with emulated phones and push services over real
//! HTTP.

mod codes;
mod crowd;
mod keys;
mod push;
mod stage;
mod steps;
mod unpairing;

use std::process::ExitCode;

use countersign_domain::mfa_policy::ExtraVerification::{Permissive, Restrictive};
use countersign_protocol::time::{Clock, SystemClock};
use serde_json::json;

use self::{push::Cast, stage::Stage};
use crate::{Broken, say};

/// Walks through all steps. The first that fails ends the tour.
pub async fn run(database: Option<String>, json: bool) -> Result<ExitCode, Broken> {
    let mut report = Report { json, step: 0, failed: false };
    report.title();
    let began = SystemClock.now();
    Box::pin(walk(&mut report, database)).await;
    report.end(began.micros());
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn walk(report: &mut Report, database: Option<String>) -> Option<()> {
    let start = Box::pin(Stage::start(database));
    let (mut stage, _) = report.step("F1", "platform started, bank set up", start).await?;
    report.step("F1", "enrolment offered and approved", steps::enrol(&stage)).await?;
    report.step("F2", "device authorization: no prompt", steps::vouch(&stage)).await?;
    report.step("F2", "passcode in another browser", steps::passcode(&stage)).await?;
    report.step("F1", "enrolment denied", steps::deny(&stage)).await?;
    report.step("F1", "device limit reached", steps::limit(&stage)).await?;
    report.step("F2", "no device, policy blocks", steps::block_without_device(&stage)).await?;
    report.step("F2", "replayed payload refused", steps::replay(&stage)).await?;
    report.step("F2", "expired payload refused", steps::expire(&stage)).await?;
    report.step("F2", "foreign environment refused", steps::foreign(&stage)).await?;
    let restarted = Box::pin(steps::restart(stage));
    (stage, _) = report.step("F2", "restart loses nothing", restarted).await?;
    report.step("F2", "blocked device refused", steps::blocked(&stage)).await?;
    report.step("F1", "installation unpairs itself", steps::unpair(&stage)).await?;
    scanned(report, &stage).await?;
    woken(report, &stage).await?;
    stage.stop().await;
    Some(())
}

/// What phones do that read a code off another screen.
async fn scanned(report: &mut Report, stage: &Stage) -> Option<()> {
    let (scene, _) = report.step("F3", "a back end shows codes", codes::scene(stage)).await?;
    report.step("F3", "one user, nobody asked", codes::unasked(&scene)).await?;
    report.step("F3", "approved on the phone", codes::approved(&scene)).await?;
    report.step("F3", "three users, the second chosen", codes::chosen(stage, &scene)).await?;
    report.step("F3", "denied on the phone", codes::denied(&scene)).await?;
    report.step("F3", "code expired", codes::expired(stage, &scene)).await?;
    report.step("F3", "two phones at once: one wins", codes::raced(stage, &scene)).await?;
    report.step("F3", "other app, unpaired phone", codes::strangers(stage, &scene)).await?;
    report.step("F3", "signed in at the web site", codes::site(stage, &scene)).await?;
    report.step("F3", "ten thousand guessed codes", codes::guessed(&scene)).await?;
    report.step("F1", "paired by a key, two formats", keys::typed(stage, &scene.backend)).await?;
    report.step("F1", "key expired, key reused", keys::spent(stage, &scene.backend)).await?;
    report.step("F1", "the 21st key", keys::too_many(stage, &scene.backend)).await?;
    Some(())
}

/// What phones do that can be woken.
async fn woken(report: &mut Report, stage: &Stage) -> Option<()> {
    let (cast, _) = report.step("F1", "phones paired that can be woken", push::cast(stage)).await?;
    let Cast { dora, eric } = &cast;
    for (owner, mode, name) in
        [(dora, Permissive, "permissive"), (eric, Restrictive, "restrictive")]
    {
        let (yes, no) =
            (format!("silent push, {name}: answered"), format!("silent push, {name}: unanswered"));
        report.step("F2", &yes, push::answered(stage, owner, mode)).await?;
        report.step("F2", &no, push::unanswered(stage, owner, mode)).await?;
    }
    report.step("P", "number picked on the phone", push::number_picked(stage, dora)).await?;
    report.step("P", "number typed on the phone", push::number_typed(stage)).await?;
    report.step("P", "wrong number refused", push::wrong_number(stage, eric)).await?;
    report.step("P", "denied and reported as fraud", push::fraud(stage, eric)).await?;
    report.step("P", "asked too often: pushes stop", push::asked_too_often(stage)).await?;
    report.step("F4", "APNs: app removed, device gone", unpairing::removed(stage, dora)).await?;
    report.step("F4", "FCM: app removed, device gone", unpairing::removed(stage, eric)).await?;
    report.step("F4", "bad token never unpairs", unpairing::bad_token(stage)).await?;
    report.step("F4", "storm of dead tokens: unpairing stops", unpairing::storm(stage)).await?;
    Some(())
}

/// Tells what happens, for people or for machines.
struct Report {
    json: bool,
    step: u32,
    failed: bool,
}

/// What a step gives to the next ones, and what was seen in it.
pub type Seen<T> = Result<(T, String), Broken>;

impl Report {
    fn title(&self) {
        if !self.json {
            say("Countersign tour: a phone is paired, vouches, is woken, and goes.");
            say("");
        }
    }

    async fn step<T>(
        &mut self,
        flow: &str,
        title: &str,
        step: impl Future<Output = Seen<T>>,
    ) -> Option<(T, String)> {
        self.step += 1;
        let began = SystemClock.now().micros();
        let seen = Box::pin(step).await;
        let ms = milliseconds_since(began);
        let (passed, detail) = match &seen {
            Ok((_, detail)) => (true, detail.clone()),
            Err(Broken(why)) => (false, why.clone()),
        };
        self.failed |= !passed;
        if self.json {
            let number = self.step;
            let line = json!({
                "step": number, "flow": flow, "title": title, "passed": passed, "ms": ms, "detail": detail,
            });
            say(&line.to_string());
        } else {
            let mark = if passed { "ok  " } else { "FAIL" };
            say(&format!("{:>2}. {flow:<2}  {mark}  {ms:>7.1} ms  {title}", self.step));
            say(&format!("                          {detail}"));
        }
        seen.ok()
    }

    fn end(&self, began: i64) {
        let ms = milliseconds_since(began);
        if self.json {
            say(&json!({ "steps": self.step, "passed": !self.failed, "ms": ms }).to_string());
        } else {
            let verdict = if self.failed { "The tour FAILED." } else { "Every step passed." };
            say("");
            say(&format!("{verdict} {} steps in {ms:.0} ms.", self.step));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a tour does not last for centuries")]
fn milliseconds_since(began_micros: i64) -> f64 {
    let micros = SystemClock.now().micros().saturating_sub(began_micros);
    (micros as f64 / 100.0).round() / 10.0
}
