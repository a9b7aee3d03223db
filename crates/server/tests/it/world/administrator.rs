//! An administrator of the platform: a worker application with roles, by the management API.

use countersign_domain::{
    environment::Environment,
    id::Id,
    role::{Holder, Role, RoleAssignment, Scope},
};
use http::Method;
use serde_json::Value;

use super::{Answer, JSON, Members, Wire, World, request, with};

/// A worker application with roles and an access token.
#[derive(Clone)]
pub struct Administrator {
    pub wire: Wire,
    pub token: String,
    /// `https://HOST/v1/environments/E`
    pub environment: String,
}

impl World {
    /// Somebody who may do everything.
    pub async fn administrator(&self) -> Administrator {
        self.administrator_with(&[(Role::OrganizationAdmin, Scope::Organization)]).await
    }

    /// Somebody with these roles.
    pub async fn administrator_with(&self, roles: &[(Role, Scope)]) -> Administrator {
        let worker = self.worker().await;
        let holder = Holder::Application(worker.id.parse().unwrap());
        for (role, scope) in roles.iter().copied() {
            let (id, created_at) = (self.server.new_id(), self.server.now());
            let environment = self.bank.environment.id;
            let given = RoleAssignment { id, environment, holder, role, scope, created_at };
            self.server.create(given).await.unwrap();
        }
        let answer = worker.redeem(&Members::from([("grant_type", "client_credentials")])).await;
        let token = answer.must_be(200).json()["access_token"].as_str().unwrap().to_owned();
        let environment = self.environment_url(self.bank.environment.id);
        Administrator { wire: self.wire.clone(), token, environment }
    }

    /// The address of an environment in the management API.
    pub fn environment_url(&self, id: Id<Environment>) -> String {
        format!("{}/v1/environments/{id}", self.settings.base_url)
    }
}

impl Administrator {
    /// Sends a request, with a body if there is one. The path is one below the environment, or an absolute address.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Option<&Value>,
    ) -> Answer {
        let is_whole = path.starts_with("https://");
        let url = if is_whole { path.to_owned() } else { format!("{}{path}", self.environment) };
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request(method, &url).map(|_| body.into());
        let request = with(request, "authorization", &format!("Bearer {}", self.token));
        self.wire.send(with(request, "content-type", media_type)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, JSON, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, JSON, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, JSON, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, JSON, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, JSON, None).await
    }

    /// Takes an action that the media type names.
    pub async fn act(&self, method: Method, path: &str, action: &str, body: &Value) -> Answer {
        let media_type = format!("application/vnd.pingidentity.{action}+json");
        self.send(method, path, &media_type, Some(body)).await
    }

    /// Makes something, and tells what was answered.
    pub async fn make(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).await.must_be(201);
        let made = answer.json();
        assert_eq!(answer.location(), made.pointer("/_links/self/href").and_then(Value::as_str));
        made
    }

    /// The names of what a list has.
    pub async fn names(&self, path: &str) -> Vec<String> {
        let list = self.get(path).await.must_be(200).json();
        let embedded = list["_embedded"].as_object().unwrap().values().next().unwrap();
        let name = |item: &Value| item["name"].as_str().unwrap().to_owned();
        embedded.as_array().unwrap().iter().map(name).collect()
    }
}
