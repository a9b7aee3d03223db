//! Tells the page of an authentication code what the phone does (server-sent events, HTML Standard, section 9.2).

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, Sse},
};
use futures_util::stream::{self, StreamExt};

use super::{Visit, screen::state_word};

/// When a browser comes back after an answer has ended, as each does after a while.
const RETRY: Duration = Duration::from_secs(1);

/// The state of the code now, and once more when that has changed or the time to wait is over. Then the answer ends, and the
/// browser asks anew: no answer outlives a restart of the server by much.
pub(super) async fn told(visit: Visit) -> Response {
    let view = match visit.read().await {
        Ok(view) => view,
        Err(response) => return response,
    };
    let first = state_word(&view);
    let (is_over, stage) = (!view.waits(), view.code_stage());
    let now = stream::once(std::future::ready(state(&first)));
    let later = stream::once(async move {
        let most = visit.app.settings().longest_wait();
        let (app, handle) = (&visit.app, visit.handle());
        let view = app.await_flow_beyond(&visit.realm, handle, Some(stage), most).await;
        state(&view.map_or_else(|_| "MOVED".to_owned(), |view| state_word(&view)))
    });
    let later = later.take(usize::from(!is_over));
    Sse::new(now.chain(later).map(Ok::<_, Infallible>)).into_response()
}

fn state(word: &str) -> Event {
    Event::default().event("state").retry(RETRY).data(word)
}
