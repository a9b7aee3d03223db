//! What every page has around it: where one is, where one can go, and the same thing in the API and as Terraform.

use askama::Template;
use countersign_domain::role::Area;

use crate::{Outcome, Reply, Request, Visit, api::Refused, form::Form, item::Item, terraform};

/// The environment that a page is about, and who looks at it.
pub(crate) struct Frame<'a> {
    pub request: &'a Request<'a>,
    pub username: &'a str,
    pub has_device: bool,
    /// The environment; blank on the page of all environments.
    pub environment: Item,
    /// All that the person may see, by id and name.
    pub environments: Vec<(String, String)>,
    pub sections: Vec<Section>,
}

/// An entry of the navigation.
pub(crate) struct Section {
    pub path: String,
    pub name: &'static str,
    pub is_here: bool,
}

/// The sections: the path below the environment, the name, and what one must be allowed to look at.
const SECTIONS: [(&str, &str, Area); 10] = [
    ("", "Overview", Area::Environment),
    ("users", "Users", Area::Users),
    ("applications", "Applications", Area::Applications),
    ("mfa-policies", "MFA policies", Area::Policies),
    ("sign-on-policies", "Sign-on policies", Area::Policies),
    ("mfa-settings", "MFA settings", Area::Policies),
    ("audit", "Audit", Area::Audit),
    ("webhooks", "Webhooks", Area::Subscriptions),
    ("keys", "Keys", Area::Keys),
    ("administrators", "Administrators", Area::Roles),
];

impl<'a> Frame<'a> {
    /// The frame of pages about an environment.
    pub async fn of(visit: &Visit<'a>, environment: &str) -> Result<Self, Refused> {
        let found = visit.api.get(format!("/v1/environments/{environment}")).await?;
        let mut frame = Self::blank(visit);
        frame.environments = environments(visit).await;
        let here = visit.request.path;
        let sections = SECTIONS.iter().filter(|(.., area)| visit.may_read(environment, *area));
        frame.sections = sections
            .map(|(path, name, _)| {
                let root = format!("/console/{environment}");
                let path = if path.is_empty() { root } else { format!("{root}/{path}") };
                let is_below = here.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'));
                let is_here =
                    here.trim_end_matches('/') == path || (is_below && *name != "Overview");
                Section { path, name, is_here }
            })
            .collect();
        frame.environment = found;
        Ok(frame)
    }

    /// The frame of pages about none.
    pub fn blank(visit: &Visit<'a>) -> Self {
        Self {
            request: visit.request,
            username: &visit.visitor.user.username,
            has_device: visit.visitor.has_device,
            environment: Item::default(),
            environments: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// The id of the environment.
    pub fn id(&self) -> String {
        self.environment.id()
    }

    /// The address of something of the environment in the API.
    pub fn api(&self, path: &str) -> String {
        format!("/v1/environments/{}{path}", self.id())
    }

    /// The address of a page about the environment.
    pub fn page(&self, path: &str) -> String {
        format!("/console/{}{path}", self.id())
    }
}

/// The environments that the person may look at.
pub(crate) async fn environments(visit: &Visit<'_>) -> Vec<(String, String)> {
    let found = visit.api.find("/v1/environments?limit=200").await;
    let known = found.entries("environments").into_iter();
    known.map(|environment| (environment.id(), environment.text("name"))).collect()
}

/// A page: its title, what it shows, and where the same is elsewhere.
#[derive(Template)]
#[template(path = "page.html", whitespace = "minimize")]
pub(crate) struct Page<'a> {
    pub frame: &'a Frame<'a>,
    pub title: String,
    /// What leads here: addresses and names.
    pub trail: Vec<(String, String)>,
    /// What was just done.
    pub done: Option<&'static str>,
    /// What the page shows, as HTML.
    pub content: String,
    /// The address in the API, and what is there.
    pub api: Option<(String, Item)>,
    /// The same as Terraform.
    pub terraform: Option<String>,
    pub has_problem: bool,
}

impl<'a> Page<'a> {
    pub fn new(frame: &'a Frame<'a>, title: impl Into<String>) -> Self {
        let done = frame.request.query("done").and_then(done);
        Self {
            frame,
            title: title.into(),
            trail: Vec::new(),
            done,
            content: String::new(),
            api: None,
            terraform: None,
            has_problem: false,
        }
    }

    /// Below another page.
    pub fn below(mut self, path: &str, name: &str) -> Self {
        self.trail.push((self.frame.page(path), name.to_owned()));
        self
    }

    /// Shows something more.
    pub fn with(mut self, part: &impl Template) -> Self {
        // A template fails only where its writer does, and a string takes everything.
        self.content.push_str(&part.render().unwrap_or_default());
        self
    }

    /// Shows a form.
    pub fn form(mut self, form: &Form) -> Self {
        self.has_problem |= form.has_problem();
        self.with(form)
    }

    /// Says where it is in the API, and how Terraform writes it, if it is of a kind that the provider knows.
    pub fn same_as(mut self, path: String, item: &Item, resource: Option<&'static str>) -> Self {
        let environment = self.frame.id();
        self.terraform = resource.map(|resource| terraform::resource(resource, &environment, item));
        self.api = Some((path, item.clone()));
        self
    }

    pub fn reply(self) -> Outcome {
        let status = if self.has_problem { 400 } else { 200 };
        let html = self.render().map_err(|_| Refused::broken())?;
        Ok(Reply::Page { status, html })
    }
}

/// What a page says after something was done, by its word in the query.
fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "saved" => "Saved. It counts from now on.",
        "created" => "Created.",
        "deleted" => "Deleted.",
        "blocked" => "The device is blocked: it is refused from now on.",
        "unblocked" => "The device is unblocked.",
        "unlocked" => "Unlocked.",
        "removed" => "The device is removed. The phone learns it the next time it asks.",
        "enabled" => "The user may sign in again.",
        "disabled" => "The user may not sign in any more.",
        "password" => "The password is set.",
        "ordered" => "The order of the devices is changed.",
        "renamed" => "Renamed.",
        "signed-off" => "The session is ended.",
        "tested" => "A test push is on its way.",
        "replayed" => "The events are being sent again.",
        "given" => "The role is given. It counts at once.",
        "taken" => "The role is taken.",
        "rotated" => "The secret is new. The old one still counts until it expires.",
        _ => return None,
    })
}

/// To another page, which says what was done.
#[expect(clippy::unnecessary_wraps, reason = "it is what a page comes to")]
pub(crate) fn see(path: impl AsRef<str>, done: &str) -> Outcome {
    let path = path.as_ref();
    let separator = if path.contains('?') { '&' } else { '?' };
    Ok(Reply::See(format!("{path}{separator}done={done}")))
}

/// The page for what the API refuses and no form can mend.
pub(crate) fn refusal(visit: &Visit<'_>, refused: &Refused) -> Reply {
    let frame = Frame::blank(visit);
    let title = match refused.status {
        404 => "There is nothing here",
        403 => "Your roles do not allow this",
        409 | 400 => "This cannot be done",
        429 | 503 => "One moment, please",
        _ => "Something went wrong",
    };
    let refusal = Refusal { told: refused.told(), back: visit.request.path.to_owned() };
    let page = Page::new(&frame, title).with(&refusal);
    Reply::Page { status: refused.status, html: page.render().unwrap_or_default() }
}

#[derive(Template)]
#[template(
    source = r#"<p class="problem" role="alert">{{ told }}</p><p><a href="{{ back }}">Back</a> · <a href="/console">Start</a></p>"#,
    ext = "html"
)]
struct Refusal {
    told: String,
    back: String,
}
