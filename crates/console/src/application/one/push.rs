//! How the phones of an application are woken: credentials of push services, and what those complain of.

use serde_json::json;

use super::One;
use crate::{
    Method, Outcome,
    api::Body,
    form::{Field, Form, Group},
    frame::{Page, see},
    part::{Buttons, Cell, Deeds, Empty, Heading, Table, Text, Tone},
};

impl One<'_> {
    pub(super) async fn push(&self) -> Outcome {
        let (groups, kind) = match self.visit.request.query("type") {
            Some("APNS") => (apns(), "APNS"),
            Some("FCM_HTTP_V1") => (fcm(), "FCM_HTTP_V1"),
            Some("HMS") => (hms(), "HMS"),
            _ if self.visit.request.sent("deed") == Some("resume") => {
                let media_type = "application/vnd.pingidentity.pushHealth.resume+json";
                let body = Body::Json(json!({}));
                self.visit.api.act(Method::Post, media_type, self.api("/pushHealth"), body).await?;
                return see(self.page("/push"), "saved");
            }
            _ => return self.push_list().await,
        };
        let action = self.page(&format!("/push?type={kind}"));
        let mut form = Form::new(action, self.token(), "Keep the credentials", vec![groups]);
        if self.visit.is_post() {
            form = form.sent(&self.visit.request.form);
            let body = form.body(json!({ "type": kind }));
            match self.visit.api.post(self.api("/pushCredentials"), body).await {
                Ok(_) => return see(self.page("/push"), "saved"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        self.tabbed("push").form(&form).reply()
    }

    async fn push_list(&self) -> Outcome {
        let path = self.api("/pushCredentials");
        let found = self.visit.api.get(path.clone()).await?;
        let credentials = found.entries("pushCredentials");
        let rows = credentials.iter().map(|it| {
            let name = service(&it.text("type"));
            vec![
                Cell::text(name),
                Cell::mark("Kept", Tone::Good),
                Cell::text(it.time("updatedAt")),
                Cell::link(self.page(&format!("/push/{}/remove", it.id())), "Remove"),
            ]
        });
        let table = Table {
            columns: vec!["Service", "", "Since", ""],
            rows: rows.collect(),
            empty: Empty::new(
                "No push service knows this app yet. Without one, phones learn of questions only while the app is open.",
            ),
            next: None,
        };
        let lead = "The credentials are sealed here and never shown again. A key that its service refuses is shown on the overview.";
        let mut page = self.tabbed("push").with(&Text::lead(lead)).with(&table);
        if self.may_manage() {
            let has = |kind: &str| credentials.iter().any(|it| it.text("type") == kind);
            let all = [
                ("APNS", "Add Apple (APNs)"),
                ("FCM_HTTP_V1", "Add Google (FCM)"),
                ("HMS", "Add Huawei (HMS)"),
            ];
            let missing = all.into_iter().filter(|(kind, _)| !has(kind));
            let links =
                missing.map(|(kind, text)| (self.page(&format!("/push?type={kind}")), text));
            page = page.with(&Buttons { links: links.collect() });
        }
        page = self.push_health(page).await;
        page.same_as(path, &found, None).reply()
    }

    /// What push services have complained of, and whether phones still go by themselves.
    async fn push_health<'p>(&self, mut page: Page<'p>) -> Page<'p> {
        let health = self.visit.api.find(self.api("/pushHealth")).await;
        let warnings = health.items("warnings");
        if warnings.is_empty() && !health.has("stoppedAt") {
            return page;
        }
        let text = "What the push services have complained of.";
        page = page.with(&Heading { id: "health", title: "Trouble", text });
        if health.has("stoppedAt") {
            let text = format!(
                "Automatic unpairing is stopped since {}: too many phones seemed to be gone at once. Look at the warnings, \
                 and let it go on when they are explained.",
                health.time("stoppedAt")
            );
            page = page.with(&Text { class: "warning", text });
        }
        let rows = warnings.iter().rev().map(|warning| {
            vec![
                Cell::text(warning.text("service").to_uppercase()),
                Cell::mark(warning.text("reason"), Tone::Bad),
                Cell::text(advice(&warning.text("reason"))),
                Cell::text(warning.text("count")),
                Cell::text(warning.time("lastAt")),
            ]
        });
        let table = Table {
            columns: vec!["Service", "It said", "What to do", "Times", "Last"],
            rows: rows.collect(),
            empty: Empty::new("No warnings."),
            next: None,
        };
        page = page.with(&table);
        if !self.may_manage() {
            return page;
        }
        let deeds = vec![("resume", "All is explained: go on".to_owned(), false)];
        page.with(&Deeds { action: self.page("/push"), token: self.token(), buttons: deeds })
    }

    pub(super) async fn remove_push(&self, credentials: &str) -> Outcome {
        let path = self.api(&format!("/pushCredentials/{credentials}"));
        if self.visit.is_post() {
            self.visit.api.delete(path).await?;
            return see(self.page("/push"), "deleted");
        }
        let found = self.visit.api.get(path).await?;
        let lead = "Phones of this service are no longer woken. Where an MFA policy says restrictive, their users cannot sign in until new credentials are here.";
        let action = self.page(&format!("/push/{credentials}/remove"));
        let mut form = Form::new(action, self.token(), "Remove the credentials", vec![]);
        form.is_destructive = true;
        Page::new(
            self.frame,
            format!("Remove the credentials of {}?", service(&found.text("type"))),
        )
        .below("/applications", "Applications")
        .with(&Text::lead(lead))
        .form(&form)
        .reply()
    }
}

fn service(kind: &str) -> &'static str {
    match kind {
        "APNS" => "Apple (APNs)",
        "FCM_HTTP_V1" => "Google (FCM)",
        "HMS" => "Huawei (HMS)",
        "WEB_PUSH" => "Web Push",
        _ => "Push service",
    }
}

/// What an administrator does about a complaint of a push service.
fn advice(reason: &str) -> &'static str {
    match reason {
        "BadDeviceToken" => {
            "The app was built for the other environment of Apple: check the sandbox setting of the phones."
        }
        "DeviceTokenNotForTopic" | "TopicDisallowed" | "BadTopic" => {
            "Check the bundle id under Mobile."
        }
        "SENDER_ID_MISMATCH" => "The service account is of another Firebase project than the app.",
        "InvalidProviderToken" | "ExpiredProviderToken" | "MissingProviderToken" => {
            "Check key id, team id and key."
        }
        "THIRD_PARTY_AUTH_ERROR" | "PERMISSION_DENIED" | "UNAUTHENTICATED" => {
            "Check the service account and its rights."
        }
        "TooManyRequests" | "QUOTA_EXCEEDED" => "Fewer pushes: look for a sign-on that repeats.",
        _ => "See docs/push.md.",
    }
}

fn apns() -> Group {
    let help = "In the Apple developer account, under Certificates, Identifiers & Profiles, make a key with the Apple Push Notifications service. The file can be downloaded once.";
    Group::new(
        "Apple (APNs)",
        help,
        vec![
            Field::text("key", "Key id").help("Ten characters.").required(),
            Field::text("teamId", "Team id").help("Ten characters.").required(),
            Field::area("token", "Key")
                .help("The text of the .p8 file, with its first and last line.")
                .required(),
        ],
    )
}

fn fcm() -> Group {
    let help = "In the Firebase console, under Project settings, Service accounts, generate a new private key.";
    Group::new(
        "Google (FCM)",
        help,
        vec![
            Field::area("googleServiceAccountCredentials", "Service account")
                .help("The text of the JSON file.")
                .required(),
        ],
    )
}

fn hms() -> Group {
    let help = "In AppGallery Connect, under Project settings, General information.";
    Group::new(
        "Huawei (HMS)",
        help,
        vec![
            Field::text("clientId", "Client id").required(),
            Field::password("clientSecret", "Client secret").required(),
        ],
    )
}
