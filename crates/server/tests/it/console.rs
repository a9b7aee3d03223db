//! The console: who comes in, what can be done there, and what an attacker tries.

mod attacks;
mod chromium;
mod tasks;

use countersign_domain::{
    id::Id,
    role::{Role, Scope},
    user::User,
};
use http::header;

use crate::world::{Browser, FORM, Members, Page, World, post, with};

/// What the administrators of these tests type.
const NEW_PASSWORD: &str = "a brand new passphrase";

/// Somebody at the console.
pub struct Visitor {
    pub browser: Browser,
    base: String,
    /// The pages of the bank's environment.
    pub root: String,
}

impl Visitor {
    /// Signs an administrator on, by the one-time password and a new one, and asks for a page.
    async fn arrive(w: &World, username: &str, path: &str) -> (Self, Page) {
        w.server.ensure_administrators().await.unwrap();
        let made = w.server.create_administrator(username).await.unwrap();
        Self::sign_in(w, username, made.password.expose(), path).await
    }

    async fn sign_in(w: &World, username: &str, password: &str, path: &str) -> (Self, Page) {
        let base = w.server.settings().base_url.clone();
        let root = format!("/console/{}", w.bank.environment.id);
        let mut here = Self { browser: w.browser(), base, root };
        let page = here.browser.open(&format!("{}{path}", here.base)).await;
        assert_eq!(page.heading(), "Sign in", "{}", page.answer.text());
        let fields = [("username", username), ("password", password)];
        let page = here.browser.press(&page, "login", &fields).await;
        let fields = [("new_password", NEW_PASSWORD), ("repeated_password", NEW_PASSWORD)];
        let page = here.browser.press(&page, "new_password", &fields).await;
        (here, page)
    }

    /// An administrator of everything, who has signed on.
    async fn new(w: &World) -> Self {
        Self::arrive(w, "grace", "/console").await.0
    }

    /// One who has these roles and no others.
    async fn with_roles(w: &World, roles: &[(Role, Scope)]) -> Self {
        let (here, _) = Self::arrive(w, "heidi", "/console").await;
        let user = w.administrator_named("heidi").await;
        w.give_roles(user, roles).await;
        here
    }

    async fn get(&mut self, path: &str) -> Page {
        self.browser.open(&format!("{}{path}", self.base)).await
    }

    /// A page of the bank's environment.
    async fn at(&mut self, path: &str) -> Page {
        self.get(&format!("{}{path}", self.root)).await
    }

    /// Sends the form of a page of the bank's environment with these fields, and with the token of the page.
    async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.at(path).await;
        assert_eq!(page.answer.status, 200, "{}", page.answer.text());
        let token = page.value_of("token");
        self.send_with(path, &token, fields).await
    }

    async fn send_with(&mut self, path: &str, token: &str, fields: &[(&str, &str)]) -> Page {
        let form =
            fields.iter().fold(Members::default(), |form, (name, value)| form.and(name, value));
        let url = format!("{}{}{path}", self.base, self.root);
        let request = post(&url, FORM, form.and("token", token).encoded());
        let request = with(request, header::ORIGIN.as_str(), &self.base.clone());
        let answer = self.browser.send(request).await;
        match answer.location().map(str::to_owned) {
            Some(location) => self.get(&location).await,
            None => Page { url, answer },
        }
    }
}

/// The title of a page of the console.
fn title(page: &Page) -> String {
    let text = page.answer.text();
    let title = text.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next());
    title.unwrap_or_else(|| panic!("no title on {text}")).to_owned()
}

impl World {
    async fn administrator_named(&self, username: &str) -> Id<User> {
        let found =
            self.server.store().read(crate::administrators::Find(username.to_owned())).await;
        found.unwrap().unwrap().1.id
    }

    /// Takes all roles of an administrator, and gives these.
    async fn give_roles(&self, user: Id<User>, roles: &[(Role, Scope)]) {
        use countersign_domain::role::{Authority, Holder};
        let realm = self.server.administrators_realm().await.unwrap().unwrap();
        let holder = Holder::User(user);
        let before = self.server.roles_of(holder).await.unwrap();
        let all = Authority::of(&before);
        for (role, scope) in roles {
            let given = (holder, *role, *scope);
            self.server.give_role(&all, realm.environment, given).await.unwrap();
        }
        for given in &before {
            self.server.take_role(&all, given).await.unwrap();
        }
    }
}
