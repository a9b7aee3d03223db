//! One connection: handshake, requests, and its end.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, Version, header},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tower::ServiceExt;

use super::{
    Stage,
    activity::{Activity, Finding, Running, Watched},
    body::{Answer, Paced},
    tls::Tls,
};
use crate::{
    app::App,
    http::{peer::Peer, socket::Held},
    settings::Settings,
};

/// What all connections of a listener share.
pub(super) struct Shared {
    pub app: Arc<App>,
    pub router: Router,
    pub builder: Builder<TokioExecutor>,
    pub tls: Option<Tls>,
    pub stage: watch::Receiver<Stage>,
}

/// The other end of a connection, and the place that it has among the open ones.
pub(super) struct Caller {
    pub socket: SocketAddr,
    pub held: Held,
}

/// How long a connection that was opened when the server ends may take to bring its request: the client has sent it
/// already, or will at once.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Time between two looks at such a connection.
const STEP: Duration = Duration::from_millis(20);

/// What the head of a request has beside its target and its headers, in bytes.
const SPARE: usize = 4_096;

/// HTTP/1.1 and HTTP/2 within these limits.
pub(super) fn builder(settings: &Settings) -> Builder<TokioExecutor> {
    let limits = &settings.connections;
    // What is a little too long is refused in the form of its surface; what is much too long is not read.
    let head = settings.target_bytes + settings.header_bytes + SPARE;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The watch of the connection does this for all requests with one timer.
        .header_read_timeout(None)
        .max_buf_size(head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(limits.resets)
        .max_local_error_reset_streams(limits.resets)
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, caller: Caller, shared: Arc<Shared>) {
    // Answers are written whole; waiting for more to send with them only makes them late.
    let _ = stream.set_nodelay(true);
    let Some(tls) = shared.tls.clone() else {
        return converse(stream, caller, shared).await;
    };
    let socket = caller.socket;
    let limit = shared.app.settings().connections.handshake_timeout;
    match timeout(limit, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, caller, shared).await,
        Ok(Err(error)) => tracing::debug!(%socket, %error, "a handshake failed"),
        Err(_) => tracing::debug!(%socket, "a handshake took too long"),
    }
}

async fn converse<S>(stream: S, caller: Caller, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let socket = caller.socket;
    let activity = Activity::new();
    let limits = shared.app.settings().connections;
    let mut stage = shared.stage.clone();
    let service = {
        let (shared, activity) = (Arc::clone(&shared), Arc::clone(&activity));
        service_fn(move |request| answer(&shared, request, &caller, activity.begin()))
    };
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let mut connection = pin!(shared.builder.serve_connection_with_upgrades(io, service));
    let mut watch = pin!(sleep_until(Instant::now() + limits.header_timeout));
    let mut has_been_asked_to_end = false;
    // Until when a connection that was opened at the very end may still bring its first request.
    let mut last_call: Option<Instant> = None;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%socket, error, "a connection broke");
                }
                return;
            }
            () = watch.as_mut() => match activity.check(&limits) {
                Finding::Fine(_) if last_call.is_some_and(|end| !activity.has_begun() && Instant::now() < end) => {
                    watch.as_mut().reset(Instant::now() + STEP);
                }
                Finding::Fine(until) if last_call.take().is_some() => {
                    connection.as_mut().graceful_shutdown();
                    watch.as_mut().reset(until);
                }
                Finding::Fine(until) => watch.as_mut().reset(until),
                Finding::Idle if !has_been_asked_to_end => {
                    has_been_asked_to_end = true;
                    connection.as_mut().graceful_shutdown();
                    watch.as_mut().reset(Instant::now() + limits.header_timeout);
                }
                Finding::Idle | Finding::SlowHead => {
                    tracing::debug!(%socket, "a connection was cut off, because it was too slow");
                    return;
                }
            },
            changed = stage.changed() => {
                // HTTP/2 can tell its client which requests will not be answered any more; HTTP/1.1 can say so only in an
                // answer.
                match (changed.is_ok(), *stage.borrow_and_update()) {
                    (true, Stage::Serving) => {}
                    (true, Stage::Leaving) if !activity.is_http2() => {}
                    (true, Stage::Leaving | Stage::Draining) if !activity.has_begun() => {
                        last_call = Some(Instant::now() + LAST_CALL);
                        watch.as_mut().reset(Instant::now() + STEP);
                    }
                    (true, Stage::Leaving | Stage::Draining) => connection.as_mut().graceful_shutdown(),
                    (true, Stage::Over) | (false, _) => return,
                }
            }
        }
    }
}

/// Begins to answer a request. What it needs of the connection is read before it runs.
fn answer(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    caller: &Caller,
    running: Running,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + use<> {
    let settings = shared.app.settings();
    let pace = settings.connections.body_bytes_per_second;
    let peer = Peer::of(caller.socket, request.headers(), &settings.trusted_proxies);
    let version = request.version();
    let mut request = request.map(|body| Body::new(Paced::new(body, pace)));
    request.extensions_mut().insert(peer);
    if request.headers().contains_key(header::UPGRADE) {
        request.extensions_mut().insert(caller.held.clone());
    }
    let shared = Arc::clone(shared);
    async move {
        let Ok(mut response) = shared.router.clone().oneshot(request).await;
        let is_last = version < Version::HTTP_2 && *shared.stage.borrow() != Stage::Serving;
        // What is no longer HTTP has its own way to end.
        if is_last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| Answer::new(body, running)))
    }
}
