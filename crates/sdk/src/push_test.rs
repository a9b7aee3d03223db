//! Whether messages of the platform reach the app, looked at link by link.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Poll, Waker};

use countersign_protocol::challenge::PushTestRequest;
use countersign_protocol::mobile_payload::{Platform as RunsOn, PushService};

use crate::client::Countersign;
use crate::error::Error;
use crate::installation::{Installation, lock};
use crate::push_address;
use crate::state::State;

/// A message may arrive before the platform has said what it is called. Of those not asked for, no more than these are kept.
const MAX_RECEIVED: usize = 16;

/// How good one link is, or the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TestResult {
    /// It holds.
    Pass,
    /// Messages may arrive, but not always.
    Warning,
    /// No message arrives.
    Fail,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestType {
    /// That the app has not switched push off.
    PushAllowedBySdk,
    /// That the app has given its device token.
    DeviceTokenSet,
    /// That the push service is one of the system that the app runs on.
    DeviceTokenType,
    /// That the platform can be reached.
    NetworkConnection,
    /// That the push service takes a message from the platform.
    SendRemoteNotification,
    /// That the message arrives, and the app gives it to the SDK.
    ReceivedNotification,
}

/// One link of the way to the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationTest {
    /// What was looked at.
    pub test: TestType,
    /// How good it is.
    pub result: TestResult,
    /// Why it is not good, for developers.
    pub reason: Option<String>,
}

/// The way to the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationTestReport {
    /// As good as the worst link.
    pub result: TestResult,
    /// Link by link. One that could not be tried, since an earlier one is broken, is left out.
    pub tests: Vec<NotificationTest>,
}

impl Countersign {
    /// Tests whether messages of the platform reach this app, of which a user must be paired. Meanwhile the app goes on to
    /// give messages to [`Self::process_remote_notification`], or to call [`Self::wait_for_notifications`].
    ///
    /// The SDK has no timer: `limit` ends when nobody wants to wait for the message any longer, for example after ten seconds.
    pub async fn test_remote_notification(
        &self,
        limit: impl Future<Output = ()>,
    ) -> Result<NotificationTestReport, Error> {
        let installation = &self.installation;
        if !installation.read(State::is_paired) {
            return Err(Error::NotPaired { correlation_id: None });
        }
        let run = installation.push_tests.begin()?;
        let mut tests = own_links(installation);
        let network = installation.ask_time().await;
        let is_connected = network.is_ok();
        tests.push(link(TestType::NetworkConnection, network));
        if is_connected {
            let (sent, id) = send(installation).await?;
            tests.push(sent);
            if let Some(id) = id {
                let reason = "the message was not given to process_remote_notification in time";
                let is_received = run.receives(&id, limit).await;
                let received = is_received.then_some(()).ok_or(reason);
                tests.push(link(TestType::ReceivedNotification, received));
            }
        }
        let result = tests.iter().map(|test| test.result).max().unwrap_or(TestResult::Pass);
        Ok(NotificationTestReport { result, tests })
    }
}

fn link<E: ToString>(test: TestType, outcome: Result<(), E>) -> NotificationTest {
    let reason = outcome.err().map(|reason| reason.to_string());
    let result = if reason.is_none() { TestResult::Pass } else { TestResult::Fail };
    NotificationTest { test, result, reason }
}

/// What can be said without asking anybody.
fn own_links(installation: &Installation) -> Vec<NotificationTest> {
    let push = installation.read(|state| state.push.clone());
    let allowed =
        if push.is_refused { Err("allow_push_notifications(false) was called") } else { Ok(()) };
    let set = push.token.as_ref().map(|_| ()).ok_or("set_device_token was not called");
    let mut links =
        vec![link(TestType::PushAllowedBySdk, allowed), link(TestType::DeviceTokenSet, set)];
    let runs_on = installation.settings.app.platform;
    links.extend(push.token.map(|token| fit(token.service(), runs_on)));
    links
}

fn fit(service: PushService, runs_on: RunsOn) -> NotificationTest {
    let (result, reason) = match (service, runs_on) {
        (PushService::Apns, RunsOn::Android) => {
            (TestResult::Fail, Some("APNs delivers to systems of Apple only"))
        }
        (PushService::Direct, _) => {
            (TestResult::Warning, Some("messages arrive only while the app runs and asks"))
        }
        (PushService::Apns | PushService::Fcm | PushService::Hms | PushService::WebPush, _) => {
            (TestResult::Pass, None)
        }
    };
    NotificationTest { test: TestType::DeviceTokenType, result, reason: reason.map(str::to_owned) }
}

/// Lets the platform send a message, and gives its id when it could.
async fn send(installation: &Installation) -> Result<(NotificationTest, Option<String>), Error> {
    push_address::register_quietly(installation).await;
    let answer = match installation.nonce().await {
        Ok(nonce) => installation.call(PushTestRequest { nonce }).await,
        Err(error) => Err(error),
    };
    let (outcome, id) = match answer {
        Ok(answer) if answer.accepted => (Ok(()), Some(answer.id)),
        Ok(answer) => (Err(answer.error_code.unwrap_or_else(|| "not accepted".to_owned())), None),
        Err(error @ Error::NotPaired { .. }) => return Err(error),
        Err(error) => (Err(error.to_string()), None),
    };
    Ok((link(TestType::SendRemoteNotification, outcome), id))
}

/// The test that runs, if one does.
#[derive(Default)]
pub struct PushTests(Mutex<Option<Received>>);

/// What has arrived while it ran.
#[derive(Default)]
struct Received {
    ids: Vec<String>,
    waiting: Option<Waker>,
}

impl PushTests {
    fn begin(&self) -> Result<Run<'_>, Error> {
        let mut running = lock(&self.0);
        if running.is_some() {
            return Err(Error::TestRunning);
        }
        *running = Some(Received::default());
        Ok(Run(self))
    }

    /// Notes that a test message has arrived.
    pub fn receive(&self, id: &str) {
        let mut running = lock(&self.0);
        let Some(received) = running.as_mut() else { return };
        if received.ids.len() < MAX_RECEIVED {
            received.ids.push(id.to_owned());
        }
        if let Some(waker) = received.waiting.take() {
            waker.wake();
        }
    }
}

/// The right to run, given back when dropped.
struct Run<'a>(&'a PushTests);

impl Run<'_> {
    /// Whether the message `id` arrives before `limit` ends.
    async fn receives(&self, id: &str, limit: impl Future<Output = ()>) -> bool {
        let mut limit = pin!(limit);
        poll_fn(|context| {
            let mut running = lock(&self.0.0);
            let Some(received) = running.as_mut() else { return Poll::Ready(false) };
            if received.ids.iter().any(|other| other == id) {
                return Poll::Ready(true);
            }
            received.waiting = Some(context.waker().clone());
            drop(running);
            limit.as_mut().poll(context).map(|()| false)
        })
        .await
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        *lock(&self.0.0) = None;
    }
}
