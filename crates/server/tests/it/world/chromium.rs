//! A real browser without a window, driven over two pipes by the `DevTools` protocol.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Duration, timeout},
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Standard input and output become the pipes on which the browser expects commands and answers.
const PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"#;

/// A browser with one tab.
pub struct Chromium {
    process: Child,
    commands: ChildStdin,
    messages: UnboundedReceiver<Value>,
    events: VecDeque<Value>,
    session: Option<String>,
    last: u64,
    _profile: TempDir,
}

/// How large a screen is, and whether it is dark.
#[derive(Clone, Copy)]
pub struct Look {
    pub name: &'static str,
    pub width: u16,
    pub height: u16,
    pub dark: bool,
}

/// A phone and a desk, by day and by night.
pub const LOOKS: [Look; 4] = [
    Look { name: "phone-light", width: 390, height: 844, dark: false },
    Look { name: "phone-dark", width: 390, height: 844, dark: true },
    Look { name: "desk-light", width: 1280, height: 800, dark: false },
    Look { name: "desk-dark", width: 1280, height: 800, dark: true },
];

impl Chromium {
    /// Starts it. It reaches this machine alone.
    pub async fn start() -> Self {
        let program = find().expect(
            "no Chromium: install it (Debian: `apt-get install chromium`), or set COUNTERSIGN_TEST_SKIP=browser",
        );
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", PIPES]).arg(program).args([
            "--headless",
            "--remote-debugging-pipe",
            // The sandbox does not start for root, and what is visited is ours.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (commands, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (sender, messages) = unbounded_channel();
        thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { return };
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let (events, session) = (VecDeque::new(), None);
        let mut browser =
            Self { process, commands, messages, events, session, last: 0, _profile: profile };
        let tab = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": tab["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Sends a command, and waits for its result.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.last += 1;
        let mut command = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands.write_all(command.to_string().as_bytes()).unwrap();
        self.commands.write_all(&[0]).unwrap();
        self.commands.flush().unwrap();
        loop {
            let mut message = self.next().await;
            if message["id"] == self.last {
                return match message.get_mut("error") {
                    Some(error) => Err(error.take()),
                    None => Ok(message["result"].take()),
                };
            }
            if message.get("method").is_some() {
                self.events.push_back(message);
            }
        }
    }

    async fn next(&mut self) -> Value {
        let next = timeout(PATIENCE, self.messages.recv()).await;
        next.expect("an answer of the browser in time").expect("a browser that runs")
    }

    pub async fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url })).await;
    }

    /// What an expression gives in the page; what it promises, once that is kept.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let value = self.value_of(expression).await;
        value.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    async fn value_of(&mut self, expression: &str) -> Result<Value, Value> {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.ask("Runtime.evaluate", params).await?;
        match result.get_mut("exceptionDetails") {
            Some(exception) => Err(exception.take()),
            None => Ok(result["result"]["value"].take()),
        }
    }

    /// Waits until the page with this heading is there.
    pub async fn arrive(&mut self, heading: &str) {
        let heading = Value::from(heading);
        self.until(&format!("document.querySelector('h1')?.textContent === {heading}")).await;
    }

    /// Waits until a page is there of which this is true.
    pub async fn until(&mut self, expression: &str) {
        let there = format!("document.readyState === 'complete' && {expression}");
        let arrives = async {
            // There is nothing to look at while one page makes way for the next.
            while !self.value_of(&there).await.is_ok_and(|value| value == true) {
                // Each page that is complete says so once.
                while self.event().await["method"] != "Page.loadEventFired" {}
            }
        };
        if timeout(PATIENCE, arrives).await.is_err() {
            let there = self.evaluate("document.documentElement.outerHTML").await;
            panic!("no page with {expression}, but {there}");
        }
    }

    async fn event(&mut self) -> Value {
        loop {
            if let Some(event) = self.events.pop_front() {
                complain(&event);
                return event;
            }
            let message = self.next().await;
            if message.get("method").is_some() {
                self.events.push_back(message);
            }
        }
    }

    /// Types into a field.
    pub async fn fill(&mut self, field: &str, text: &str) {
        let focus = format!("document.querySelector('[name={field}]').select()");
        self.evaluate(&focus).await;
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses a button of the form.
    pub async fn press(&mut self, action: &str) {
        let press = format!("document.querySelector('[name=action][value={action}]').click()");
        self.evaluate(&press).await;
    }

    /// The page as the screen shows it now, as a PNG.
    pub async fn screenshot(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// What axe-core finds serious on the page (WCAG 2.2, levels A and AA): the names of the rules, with the elements.
    pub async fn barriers(&mut self, axe: &str) -> Vec<String> {
        // The source comes by the protocol, which the policy of the page does not bind.
        self.evaluate(&format!("{axe}; 0")).await;
        let run = "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] })\
                   .then(({ violations }) => violations\
                   .map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map((n) => n.html).join(' ')}`))";
        let found = self.evaluate(run).await;
        serde_json::from_value(found).unwrap()
    }

    /// Takes pictures of the page as all kinds of screens show it, and checks that it fits them.
    pub async fn picture(&mut self, folder: &Path, name: &str) {
        fs::create_dir_all(folder).unwrap();
        for Look { name: look, width, height, dark } in LOOKS {
            let metrics = json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
            });
            self.call("Emulation.setDeviceMetricsOverride", metrics).await;
            let scheme = if dark { "dark" } else { "light" };
            let media =
                json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            self.call("Emulation.setEmulatedMedia", media).await;
            let wide = self.evaluate("document.documentElement.scrollWidth").await;
            assert_eq!(wide, width, "{name} is wider than {look}");
            let bytes = self.screenshot().await;
            fs::write(folder.join(format!("{name}-{look}.png")), bytes).unwrap();
        }
    }

    /// Ends it, after a last look at what it complained about.
    pub fn end(mut self) {
        while let Some(event) = self.events.pop_front() {
            complain(&event);
        }
    }
}

/// Fails over what the page did wrong: an exception, something that its policy forbids, something that is not there.
fn complain(event: &Value) {
    let method = event["method"].as_str().unwrap();
    let is_error = match method {
        "Log.entryAdded" => {
            let entry = &event["params"]["entry"];
            // A page that says what was wrong is itself an answer of this status.
            let is_page = entry["url"].as_str().is_some_and(|url| url.contains("/signon?"));
            entry["level"] == "error" && !(is_page && entry["source"] == "network")
        }
        "Runtime.consoleAPICalled" => event["params"]["type"] == "error",
        "Runtime.exceptionThrown" => true,
        _ => false,
    };
    assert!(!is_error, "{event}");
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test harness reads the environment")]
fn find() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let places = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}
