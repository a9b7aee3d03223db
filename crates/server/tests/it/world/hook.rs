//! The receiver of a webhook on this machine.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use aws_lc_rs::hmac;
use axum::{Router, body::Bytes, extract::DefaultBodyLimit, http::HeaderMap, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Behaviour;

/// One call.
#[derive(Clone, Debug)]
pub struct Told {
    pub headers: HeaderMap,
    pub body: String,
}

/// The place where it is told.
pub struct Hook {
    address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    told: UnboundedReceiver<Told>,
}

impl Hook {
    pub async fn open() -> Self {
        let behaviour = Arc::new(Mutex::new(Behaviour::Answer(200)));
        let (sender, told) = unbounded_channel();
        let chosen = Arc::clone(&behaviour);
        let receive = async move |headers: HeaderMap, body: Bytes| {
            let body = String::from_utf8(body.to_vec()).unwrap();
            sender.send(Told { headers, body }).unwrap();
            let behaviour = *chosen.lock().unwrap();
            behaviour.response().await
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/in", post(receive.clone()))
            .route("/elsewhere", post(receive))
            .layer(DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, behaviour, told }
    }

    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn will(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// The calls that have come since it was last asked.
    pub fn told(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }

    /// The names of the populations that it was told of since it was last asked.
    pub fn names(&mut self) -> Vec<String> {
        let told = self.told();
        let records = told.iter().flat_map(Told::records);
        records.map(|it| it["resources"][0]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for a call.
    pub async fn next(&mut self) -> Told {
        self.told.recv().await.unwrap()
    }
}

impl Told {
    pub fn records(&self) -> Vec<Value> {
        serde_json::from_str::<Vec<Value>>(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Verifies as docs/webhooks.md says.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let (id, timestamp) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let signed = format!("{id}.{timestamp}.{}", self.body);
        let mut signatures = self.header("webhook-signature").split(' ');
        signatures.any(|signature| {
            let signature = signature.strip_prefix("v1,").and_then(|it| STANDARD.decode(it).ok());
            signature.is_some_and(|it| hmac::verify(&key, signed.as_bytes(), &it).is_ok())
        })
    }
}
