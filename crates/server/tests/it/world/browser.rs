//! A browser without JavaScript: cookies, forms as they are on the page, and redirects until they leave the server.

use std::collections::BTreeMap;

use axum::body::Body;
use http::Request;
use url::Url;

use super::wire::{Answer, FORM, Members, Wire, get, post, with};

/// A browser, or an app in its place.
#[derive(Clone)]
pub struct Browser {
    pub wire: Wire,
    base_url: String,
    cookies: BTreeMap<String, String>,
}

/// What a person sees, or the address of an application to which the browser was sent.
#[derive(Debug)]
pub struct Page {
    pub url: String,
    pub answer: Answer,
}

impl Browser {
    pub fn new(wire: Wire, base_url: &str) -> Self {
        Self { wire, base_url: base_url.to_owned(), cookies: BTreeMap::new() }
    }

    /// All cookies, as they are sent.
    pub fn cookie(&self) -> String {
        assert!(!self.cookies.is_empty(), "a cookie");
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// The cookie of the session, if somebody is signed in.
    pub fn session(&self) -> Option<&str> {
        let session = |name: &&String| name.contains("SID-");
        self.cookies.keys().find(session).map(|name| self.cookies[name].as_str())
    }

    /// Name and value of the cookie of the session.
    pub fn session_cookie(&self) -> (&str, &str) {
        let named = self.cookies.iter().find(|(name, _)| name.contains("SID-"));
        named.map(|(name, value)| (name.as_str(), value.as_str())).expect("a session")
    }

    pub fn forget_cookies(&mut self) {
        self.cookies.clear();
    }

    pub async fn send(&mut self, request: Request<Body>) -> Answer {
        let request =
            if self.cookies.is_empty() { request } else { with(request, "cookie", &self.cookie()) };
        let answer = self.wire.send(request).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub async fn open(&mut self, url: &str) -> Page {
        let answer = self.send(get(url)).await;
        self.follow(url, answer).await
    }

    /// Presses a button of the form of a page, with these fields filled in.
    pub async fn press(&mut self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        let text = page.answer.text();
        let pressed = format!("name=\"action\" value=\"{action}\"");
        assert!(text.contains(&pressed), "no button {action} on {text}");
        for (name, _) in fields {
            assert!(text.contains(&format!("name=\"{name}\"")), "no field {name} on {text}");
        }
        let filled =
            fields.iter().fold(Members::default(), |form, (name, value)| form.and(name, value));
        self.submit(page, filled.and("action", action).and("token", &page.value_of("token"))).await
    }

    /// Posts members to where the form of a page goes.
    pub async fn submit(&mut self, page: &Page, members: Members) -> Page {
        let url = self.absolute(&attribute(page.answer.text(), "<form", "action"));
        let answer = self.send(post(&url, FORM, members.encoded())).await;
        self.follow(&url, answer).await
    }

    async fn follow(&mut self, url: &str, answer: Answer) -> Page {
        let mut page = Page { url: url.to_owned(), answer };
        for _ in 0..10 {
            let Some(location) = page.answer.location() else { return page };
            let url = self.absolute(location);
            if !url.starts_with(&format!("{}/", self.base_url)) {
                return Page { url, ..page };
            }
            page = Page { answer: self.send(get(&url)).await, url };
        }
        panic!("redirects without end");
    }

    fn absolute(&self, address: &str) -> String {
        if address.starts_with('/') {
            format!("{}{address}", self.base_url)
        } else {
            address.to_owned()
        }
    }
}

impl Page {
    pub fn heading(&self) -> String {
        between(self.answer.text(), "<h1 id=\"heading\">", "</h1>")
    }

    /// What was wrong with what the person did.
    pub fn problem(&self) -> String {
        between(self.answer.text(), "role=\"alert\">", "</p>")
    }

    /// What happened without the person's doing.
    pub fn notice(&self) -> String {
        between(self.answer.text(), "<p class=\"notice\" role=\"status\">", "</p>")
    }

    /// The first plain sentence of the page.
    pub fn paragraph(&self) -> String {
        between(self.answer.text(), "<p>", "</p>")
    }

    /// The number that must come back from the phone.
    pub fn number(&self) -> String {
        between(self.answer.text(), "id=\"number\">", "</p>")
    }

    /// The authentication code that people read.
    pub fn code(&self) -> String {
        between(self.answer.text(), "Type <strong>", "</strong>")
    }

    /// What the page has as the value of a field.
    pub fn value_of(&self, field: &str) -> String {
        attribute(self.answer.text(), &format!("name=\"{field}\""), "value")
    }

    /// An attribute of the page's code.
    pub fn state(&self) -> String {
        attribute(self.answer.text(), "id=\"code\"", "data-state")
    }

    /// A member of the address to which the browser was sent.
    pub fn returned(&self, name: &str) -> Option<String> {
        let url = Url::parse(&self.url).unwrap();
        url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
    }

    /// Where the link of the page leads.
    pub fn link(&self) -> String {
        attribute(self.answer.text(), "<a class=\"button\"", "href")
    }
}

/// An attribute of the first tag that has `mark` in it.
fn attribute(html: &str, mark: &str, name: &str) -> String {
    let tag = html.split('<').map(|tag| format!("<{tag}")).find(|tag| tag.contains(mark));
    between(&tag.unwrap_or_default(), &format!(" {name}=\""), "\"")
}

fn between(html: &str, from: &str, to: &str) -> String {
    let rest = html.split_once(from).map_or("", |(_, rest)| rest);
    let text = rest.split_once(to).map_or("", |(text, _)| text);
    text.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}
