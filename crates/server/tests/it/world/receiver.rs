//! An application on this machine that is told when sessions end.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use countersign_domain::application::{Application, GrantType};
use futures_util::stream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use url::form_urlencoded;

/// What the application answers.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    Answer(u16),
    /// It sends the caller to another address of its own, where it would take everything.
    Redirect,
    /// It takes the call and says nothing.
    Silence,
    /// It takes the call and never stops talking.
    Flood,
}

/// The place where it is told.
pub struct Receiver {
    address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    told: UnboundedReceiver<String>,
}

impl Receiver {
    pub async fn open() -> Self {
        let behaviour = Arc::new(Mutex::new(Behaviour::Answer(200)));
        let (sender, told) = unbounded_channel();
        let chosen = Arc::clone(&behaviour);
        let receive = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
            let members: Vec<_> = form_urlencoded::parse(&body).into_owned().collect();
            let [(name, token)] = members.as_slice() else { panic!("{members:?}") };
            assert_eq!(name, "logout_token");
            sender.send(token.clone()).unwrap();
            let behaviour = *chosen.lock().unwrap();
            behaviour.response().await
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/logout", post(receive.clone()))
            .route("/elsewhere", post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, behaviour, told }
    }

    pub fn url(&self) -> String {
        format!("http://{}/logout", self.address)
    }

    pub fn will(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// The logout tokens that have come since it was last asked.
    pub fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }

    /// Waits for a logout token.
    pub async fn next(&mut self) -> String {
        self.told.recv().await.unwrap()
    }

    /// Makes an application one that is told here.
    pub fn of(&self, application: &mut Application, name: &str) {
        application.name = name.to_owned();
        application.grant_types.push(GrantType::RefreshToken);
        application.oidc.backchannel_logout_uri = Some(self.url());
    }
}

impl Behaviour {
    pub(super) async fn response(self) -> Response {
        match self {
            Self::Answer(status) => StatusCode::from_u16(status).unwrap().into_response(),
            Self::Redirect => {
                (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response()
            }
            Self::Silence => std::future::pending().await,
            Self::Flood => {
                let chunk = || Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 4 * 1024]));
                Body::from_stream(stream::repeat_with(chunk)).into_response()
            }
        }
    }
}
