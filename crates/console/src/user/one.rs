//! One user: what is known of the person, the devices, a way to pair one, and what has happened.

use countersign_domain::role::Area;
use serde_json::{Value, json};

use super::{full_name, person, populations, state};
use crate::{
    Method, Outcome, Reply, Visit,
    api::{Body, Refused, query},
    audit,
    form::{Field, Form, Group},
    frame::{Frame, Page, see},
    item::Item,
    part::{Cell, Deeds, Facts, Heading, Mark, Text, Tone},
    qr::Qr,
};
use askama::Template;

pub(super) async fn route(
    visit: &Visit<'_>,
    frame: &Frame<'_>,
    user: &str,
    segments: &[&str],
) -> Outcome {
    let here = One { visit, frame, id: user };
    match segments {
        [] if visit.is_post() => here.act().await,
        [] => here.show(None).await,
        ["edit"] => here.edit().await,
        ["password"] => here.password().await,
        ["delete"] => here.delete().await,
        ["pairing-keys"] if visit.is_post() => here.pair().await,
        ["pairing-keys", key] => here.pairing_key(key).await,
        ["devices", device] if visit.is_post() => here.change_device(device).await,
        ["devices", device] => here.device(device).await,
        ["devices", device, "remove"] => here.remove_device(device).await,
        _ => Err(Refused::not_found()),
    }
}

struct One<'a> {
    visit: &'a Visit<'a>,
    frame: &'a Frame<'a>,
    id: &'a str,
}

/// The devices of a user as people see them.
#[derive(Template)]
#[template(path = "devices.html", whitespace = "minimize")]
struct Devices<'a> {
    entries: Vec<Device>,
    token: &'a str,
    may_manage: bool,
    reorder: String,
}

struct Device {
    href: String,
    id: String,
    name: String,
    facts: String,
    mark: Mark,
    is_first: bool,
}

fn mark(device: &Item) -> Mark {
    let (text, tone) = if device.text("block.status") == "BLOCKED" {
        ("Blocked", Tone::Bad)
    } else if device.text("lock.status") == "LOCKED" {
        ("Locked", Tone::Bad)
    } else if device.text("status") == "ACTIVATION_REQUIRED" {
        ("Not activated", Tone::Quiet)
    } else {
        ("Active", Tone::Good)
    };
    Mark { text: text.to_owned(), tone }
}

/// What kind of device it is, for people.
fn kind(device: &Item) -> &'static str {
    match device.text("type").as_str() {
        "MOBILE" => "Phone",
        "TOTP" => "Authenticator app",
        "EMAIL" => "E-mail",
        "SMS" => "Text message",
        "VOICE" => "Call",
        "WHATSAPP" => "WhatsApp",
        "FIDO2" => "Passkey",
        "OATH_TOKEN" => "Token",
        _ => "Device",
    }
}

fn name(device: &Item) -> String {
    let named = ["nickname", "model.marketingName", "model.name", "email", "phone"];
    let found = named.iter().map(|path| device.text(path)).find(|name| !name.is_empty());
    found.unwrap_or_else(|| kind(device).to_owned())
}

impl One<'_> {
    fn api(&self, path: &str) -> String {
        self.frame.api(&format!("/users/{}{path}", self.id))
    }

    fn page(&self, path: &str) -> String {
        self.frame.page(&format!("/users/{}{path}", self.id))
    }

    fn may_manage(&self) -> bool {
        self.visit.may_manage(&self.frame.id(), Area::Users)
    }

    async fn user(&self) -> Result<Item, Refused> {
        self.visit.api.get(self.api("")).await
    }

    fn titled(&self, title: impl Into<String>) -> Page<'_> {
        Page::new(self.frame, title).below("/users", "Users")
    }

    fn below(&self, user: &Item, title: impl Into<String>) -> Page<'_> {
        let path = format!("/users/{}", self.id);
        self.titled(title).below(&path, &user.text("username"))
    }

    fn token(&self) -> &str {
        self.visit.request.token
    }

    async fn show(&self, problem: Option<String>) -> Outcome {
        let user = self.user().await?;
        let mut page = self.titled(user.text("username"));
        if let Some(problem) = problem {
            page.has_problem = true;
            page = page.with(&Text { class: "problem", text: problem });
        }
        let facts = Facts(vec![
            ("Name", Cell::text(full_name(&user))),
            ("E-mail", Cell::text(user.text("email"))),
            ("State", state(&user)),
            ("MFA", Cell::either(user.flag("mfaEnabled"), "On", "Off")),
            ("Since", Cell::text(user.time("createdAt"))),
            ("Id", Cell::text(user.id())),
        ]);
        page = page.with(&facts);
        if self.may_manage() {
            page = page.with(&self.deeds(&user)).with(&crate::part::Buttons {
                links: vec![
                    (self.page("/edit"), "Edit"),
                    (self.page("/password"), "Set a password"),
                    (self.page("/delete"), "Delete"),
                ],
            });
        }
        page = self.show_devices(page).await;
        page = self.show_activity(page).await;
        page.same_as(self.api(""), &user, Some("pingone_user")).reply()
    }

    fn deeds(&self, user: &Item) -> Deeds<'_> {
        let either = |is: bool, on: (&'static str, &str), off: (&'static str, &str)| {
            let (deed, text) = if is { on } else { off };
            (deed, text.to_owned(), is)
        };
        let mut deeds = vec![
            either(
                user.flag("enabled"),
                ("disable", "Do not let the person sign in"),
                ("enable", "Let the person sign in"),
            ),
            either(user.flag("mfaEnabled"), ("mfa-off", "Turn MFA off"), ("mfa-on", "Turn MFA on")),
        ];
        if user.text("account.status") == "LOCKED" {
            deeds.push(("unlock", "Unlock".to_owned(), false));
        }
        Deeds { action: self.page(""), token: self.token(), buttons: deeds }
    }

    async fn act(&self) -> Outcome {
        let api = self.visit.api;
        let switch = |on: bool| json!({ "enabled": on });
        let done = match self.visit.request.sent("deed") {
            Some("enable") => api.put(self.api("/enabled"), switch(true)).await.map(|_| "enabled"),
            Some("disable") => {
                api.put(self.api("/enabled"), switch(false)).await.map(|_| "disabled")
            }
            Some("mfa-on") => api
                .put(self.api("/mfaEnabled"), json!({ "mfaEnabled": true }))
                .await
                .map(|_| "saved"),
            Some("mfa-off") => api
                .put(self.api("/mfaEnabled"), json!({ "mfaEnabled": false }))
                .await
                .map(|_| "saved"),
            Some("unlock") => {
                let media_type = "application/vnd.pingidentity.account.unlock+json";
                api.act(Method::Post, media_type, self.api(""), Body::Json(json!({})))
                    .await
                    .map(|_| "unlocked")
            }
            Some("reorder") => self.reorder().await.map(|_| "ordered"),
            _ => return Err(Refused::not_found()),
        };
        self.done(done, "").await
    }

    /// Back to the page of the user with what was done, or with why not.
    async fn done(&self, done: Result<&str, Refused>, path: &str) -> Outcome {
        match done {
            Ok(done) => see(self.page(path), done),
            Err(refused) if refused.is_mendable() => self.show(Some(refused.told())).await,
            Err(refused) => Err(refused),
        }
    }

    /// Puts a device before the one above it.
    async fn reorder(&self) -> Result<Item, Refused> {
        let list = self.visit.api.get(self.api("/devices?limit=100")).await?;
        let mut order: Vec<String> = list.entries("devices").iter().map(Item::id).collect();
        let place =
            self.visit.request.sent("device").and_then(|up| order.iter().position(|id| id == up));
        if let Some(place) = place.filter(|place| *place > 0) {
            order.swap(place - 1, place);
        }
        let order: Vec<Value> = order.into_iter().map(|id| json!({ "id": id })).collect();
        let media_type = "application/vnd.pingidentity.devices.reorder+json";
        let body = Body::Json(json!({ "order": order }));
        self.visit.api.act(Method::Post, media_type, self.api("/devices"), body).await
    }

    async fn show_devices<'p>(&self, page: Page<'p>) -> Page<'p> {
        let list = self.visit.api.find(self.api("/devices?limit=100")).await;
        let found = list.entries("devices");
        let devices = found.iter().enumerate().map(|(place, device)| {
            let facts = [
                kind(device).to_owned(),
                device.text("application.name"),
                [device.text("os.type"), device.text("os.version")].join(" ").trim().to_owned(),
                device.time("createdAt"),
            ];
            let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
            Device {
                href: self.page(&format!("/devices/{}", device.id())),
                id: device.id(),
                name: name(device),
                facts: facts.join(" · "),
                mark: mark(device),
                is_first: place == 0,
            }
        });
        let text = "What the person can prove to be here with. The first is asked unless the person chooses another.";
        let heading = Heading { id: "devices", title: "Devices", text };
        let may_manage = self.may_manage();
        let devices = Devices {
            entries: devices.collect(),
            token: self.token(),
            may_manage,
            reorder: self.page(""),
        };
        let page = page.with(&heading).with(&devices);
        if !may_manage {
            return page;
        }
        let deeds = vec![("pair", "Pair a phone".to_owned(), false)];
        page.with(&Deeds {
            action: self.page("/pairing-keys"),
            token: self.token(),
            buttons: deeds,
        })
    }

    async fn show_activity<'p>(&self, page: Page<'p>) -> Page<'p> {
        if !self.visit.may_read(&self.frame.id(), Area::Audit) {
            return page;
        }
        let filter =
            format!("resources.id eq \"{}\" or actors.user.id eq \"{}\"", self.id, self.id);
        let members = query(&[("limit", "15"), ("filter", &filter)]);
        let found = self.visit.api.find(self.frame.api(&format!("/activities?{members}"))).await;
        let heading = Heading { id: "activity", title: "Activity", text: "The newest first." };
        page.with(&heading).with(&audit::table(self.frame, &found.entries("activities"), None))
    }

    async fn edit(&self) -> Outcome {
        let user = self.user().await?;
        let mut fields = person();
        fields.extend([
            Field::text("mobilePhone", "Mobile phone"),
            Field::text("preferredLanguage", "Language").help("Such as en or de-CH."),
            Field::text("externalId", "Id elsewhere"),
        ]);
        let moved =
            Field::select("population.id", "Population", populations(self.visit, self.frame).await);
        let groups = vec![Group::new("", "", fields), Group::new("", "", vec![moved])];
        let mut form = Form::new(self.page("/edit"), self.token(), "Save", groups).filled(&user);
        if self.visit.is_post() {
            form = form.sent(&self.visit.request.form);
            match self.save(&user, &form).await {
                Ok(()) => return see(self.page(""), "saved"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        self.below(&user, "Edit")
            .form(&form)
            .same_as(self.api(""), &user, Some("pingone_user"))
            .reply()
    }

    async fn save(&self, user: &Item, form: &Form) -> Result<(), Refused> {
        let body = form.body(user.sendable());
        let population = body.pointer("/population/id").and_then(Value::as_str).map(str::to_owned);
        self.visit.api.put(self.api(""), body).await?;
        if let Some(id) = population.filter(|id| *id != user.text("population.id")) {
            self.visit.api.put(self.api("/population"), json!({ "id": id })).await?;
        }
        Ok(())
    }

    async fn password(&self) -> Outcome {
        let user = self.user().await?;
        let fields = vec![
            Field::password("value", "New password").required(),
            Field::switch("forceChange", "Must be changed at the next sign-on").preset("true"),
        ];
        let mut form = Form::new(
            self.page("/password"),
            self.token(),
            "Set the password",
            vec![Group::new("", "", fields)],
        );
        if self.visit.is_post() {
            form = form.sent(&self.visit.request.form);
            let media_type = "application/vnd.pingidentity.password.set+json";
            let body = Body::Json(form.body(json!({})));
            match self.visit.api.act(Method::Put, media_type, self.api("/password"), body).await {
                Ok(_) => return see(self.page(""), "password"),
                Err(refused) => form = form.mend(refused)?,
            }
        }
        let lead =
            "Tell it to the person in a way that you trust. All locks by wrong passwords end.";
        self.below(&user, "Set a password").with(&Text::lead(lead)).form(&form).reply()
    }

    async fn delete(&self) -> Outcome {
        if self.visit.is_post() {
            self.visit.api.delete(self.api("")).await?;
            return see(self.frame.page("/users"), "deleted");
        }
        let user = self.user().await?;
        let lead = format!(
            "{} can never sign in again, and every device of the user is unpaired. The audit log keeps what happened. \
             This cannot be undone: to stop somebody for a while, do not let the person sign in instead.",
            user.text("username")
        );
        let mut form =
            Form::new(self.page("/delete"), self.token(), "Delete the user for ever", vec![]);
        form.is_destructive = true;
        self.below(&user, format!("Delete {}?", user.text("username")))
            .with(&Text::lead(lead))
            .form(&form)
            .reply()
    }

    async fn pair(&self) -> Outcome {
        let policies =
            self.visit.api.find(self.frame.api("/deviceAuthenticationPolicies?limit=200"));
        let policies = policies.await.entries("deviceAuthenticationPolicies");
        let body = match pairs_phones(&policies) {
            Some(policy) => json!({ "policy": { "id": policy } }),
            // The API says what is missing.
            None => json!({}),
        };
        match self.visit.api.post(self.api("/pairingKeys"), body).await {
            Ok(key) => Ok(Reply::See(self.page(&format!("/pairing-keys/{}", key.id())))),
            Err(refused) => self.done(Err(refused), "").await,
        }
    }

    async fn pairing_key(&self, key: &str) -> Outcome {
        let (user, key) = (
            self.user().await?,
            self.visit.api.get(self.api(&format!("/pairingKeys/{key}"))).await?,
        );
        let code = key.text("code");
        let view = PairingKey {
            here: self.page(&format!("/pairing-keys/{}", key.id())),
            back: self.page(""),
            qr: Qr::new(&code, "QR code of the pairing key"),
            code,
            expires: key.time("expiresAt"),
            status: key.text("status"),
        };
        self.below(&user, "Pair a phone")
            .with(&view)
            .same_as(self.api(&format!("/pairingKeys/{}", key.id())), &key, None)
            .reply()
    }

    async fn device(&self, device: &str) -> Outcome {
        let path = self.api(&format!("/devices/{device}"));
        let (user, device) = (self.user().await?, self.visit.api.get(path.clone()).await?);
        let device_mark = mark(&device);
        let facts = [
            ("Kind", kind(&device).to_owned()),
            ("Application", device.text("application.name")),
            ("App version", device.text("application.version")),
            ("Model", [device.text("manufacturer"), device.text("model.name")].join(" ")),
            ("System", [device.text("os.type"), device.text("os.version")].join(" ")),
            ("Push by", device.text("notificationProvider")),
            ("Push reaches it", device.text("pushEnabled")),
            ("Rooted", device.text("rooted")),
            ("Screen lock", device.text("lockEnabled")),
            ("Blocked since", device.time("block.blockedAt")),
            ("Locked until", device.time("lock.expiresAt")),
            ("Paired", device.time("createdAt")),
            ("Id", device.id()),
        ];
        let facts = facts.into_iter().filter(|(_, fact)| !fact.trim().is_empty());
        let mut facts: Vec<_> =
            facts.map(|(label, fact)| (label, Cell::text(words(&fact)))).collect();
        facts.insert(0, ("State", Cell::Mark(device_mark)));
        let mut page = self.below(&user, name(&device)).with(&Facts(facts));
        if self.may_manage() {
            let mut deeds = Vec::new();
            if device.text("block.status") == "BLOCKED" {
                deeds.push(("unblock", "Unblock".to_owned(), false));
            } else {
                deeds.push(("block", "Block".to_owned(), true));
            }
            if device.text("lock.status") == "LOCKED" {
                deeds.push(("unlock", "Unlock".to_owned(), false));
            }
            let action = self.page(&format!("/devices/{}", device.id()));
            let links = vec![(self.page(&format!("/devices/{}/remove", device.id())), "Remove")];
            page = page
                .with(&Deeds { action, token: self.token(), buttons: deeds })
                .with(&crate::part::Buttons { links });
            page = page.form(&self.rename(&device));
        }
        page.same_as(path, &device, None).reply()
    }

    fn rename(&self, device: &Item) -> Form {
        let action = self.page(&format!("/devices/{}", device.id()));
        let field =
            Field::text("nickname", "Name").help("At most 100 characters. The person sees it too.");
        let deed = Field::hidden("deed", "rename");
        Form::new(action, self.token(), "Rename", vec![Group::new("", "", vec![field, deed])])
            .filled(device)
    }

    async fn change_device(&self, device: &str) -> Outcome {
        let path = self.api(&format!("/devices/{device}"));
        let api = self.visit.api;
        let act = async |media_type| {
            api.act(Method::Post, media_type, path.clone(), Body::Json(json!({}))).await
        };
        let done = match self.visit.request.sent("deed") {
            Some("block") => {
                act("application/vnd.pingidentity.device.block+json").await.map(|_| "blocked")
            }
            Some("unblock") => {
                act("application/vnd.pingidentity.device.unblock+json").await.map(|_| "unblocked")
            }
            Some("unlock") => {
                act("application/vnd.pingidentity.device.unlock+json").await.map(|_| "unlocked")
            }
            Some("rename") => {
                let nickname = self.visit.request.sent("nickname").unwrap_or_default();
                api.put(format!("{path}/nickname"), json!({ "nickname": nickname }))
                    .await
                    .map(|_| "renamed")
            }
            _ => return Err(Refused::not_found()),
        };
        self.done(done, &format!("/devices/{device}")).await
    }

    async fn remove_device(&self, device: &str) -> Outcome {
        let path = self.api(&format!("/devices/{device}"));
        if self.visit.is_post() {
            self.visit.api.delete(path).await?;
            return see(self.page(""), "removed");
        }
        let (user, found) = (self.user().await?, self.visit.api.get(path).await?);
        let lead = format!(
            "{} can no longer be used to sign in as {}. The person can pair it again. To stop it for a while, block it instead.",
            name(&found),
            user.text("username")
        );
        let action = self.page(&format!("/devices/{device}/remove"));
        let mut form = Form::new(action, self.token(), "Remove the device", vec![]);
        form.is_destructive = true;
        self.below(&user, format!("Remove {}?", name(&found)))
            .with(&Text::lead(lead))
            .form(&form)
            .reply()
    }
}

/// The MFA policy by which a phone can be paired: the default one, or another that lets phones of an app be.
fn pairs_phones(policies: &[Item]) -> Option<String> {
    let pairs = |policy: &&Item| {
        let listed = policy.items("mobile.applications");
        listed.iter().any(|application| !application.flag("pairingDisabled"))
    };
    let (default, others): (Vec<&Item>, Vec<&Item>) =
        policies.iter().partition(|policy| policy.flag("default"));
    default.into_iter().chain(others).find(pairs).map(Item::id)
}

/// A fact for people.
fn words(fact: &str) -> String {
    match fact.trim() {
        "true" => "Yes".to_owned(),
        "false" => "No".to_owned(),
        fact => fact.to_owned(),
    }
}

/// The key by which a phone is paired, for as long as it can be.
#[derive(Template)]
#[template(path = "pairing_key.html", whitespace = "minimize")]
struct PairingKey {
    here: String,
    back: String,
    qr: Option<Qr>,
    code: String,
    expires: String,
    status: String,
}
