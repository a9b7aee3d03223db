//! What a connection is doing, so that one that does too little for too long is found without a timer a request.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::settings::Connections;

/// What a connection is doing. Written by its parts, read by its watch.
pub(super) struct Activity {
    opened: Instant,
    requests: AtomicU32,
    has_begun: AtomicBool,
    /// Whether the first bytes of a request have come, and the rest of its head is awaited.
    in_head: AtomicBool,
    /// Since when, in milliseconds after `opened`, if no request runs.
    since_ms: AtomicU64,
    /// HTTP/2 has frames that belong to no request, so a byte there is not the beginning of a head.
    is_http2: AtomicBool,
}

/// What the watch of a connection finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing is wrong; look again then.
    Fine(Instant),
    /// It waits for its next request for too long.
    Idle,
    /// The head of a request takes too long.
    SlowHead,
}

impl Activity {
    /// A connection that was just opened: the head of its first request is awaited.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            requests: AtomicU32::new(0),
            has_begun: AtomicBool::new(false),
            in_head: AtomicBool::new(true),
            since_ms: AtomicU64::new(0),
            is_http2: AtomicBool::new(false),
        })
    }

    /// A request has begun; it ends with the value.
    pub fn begin(self: &Arc<Self>) -> Running {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.has_begun.store(true, Ordering::Relaxed);
        self.in_head.store(false, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Whether there was a first request.
    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    pub fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    /// Looks whether the connection keeps to the limits.
    pub fn check(&self, limits: &Connections) -> Finding {
        let now = Instant::now();
        if self.requests.load(Ordering::Relaxed) > 0 {
            // A request has its own time limit.
            return Finding::Fine(now + limits.header_timeout);
        }
        let since = self.opened + Duration::from_millis(self.since_ms.load(Ordering::Relaxed));
        let (limit, finding) = if self.in_head.load(Ordering::Relaxed) {
            (limits.header_timeout, Finding::SlowHead)
        } else {
            (limits.idle_timeout, Finding::Idle)
        };
        let until = since + limit;
        // The next head may begin at any time and then has the shorter limit.
        if now < until { Finding::Fine(until.min(now + limits.header_timeout)) } else { finding }
    }

    fn note_time(&self) {
        let elapsed = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since_ms.store(elapsed, Ordering::Relaxed);
    }

    fn received(&self, bytes: &[u8], is_first: bool) {
        if is_first && bytes.starts_with(b"PRI") {
            self.is_http2.store(true, Ordering::Relaxed);
        }
        let is_idle = self.requests.load(Ordering::Relaxed) == 0 && !self.is_http2();
        if is_idle && !self.in_head.swap(true, Ordering::Relaxed) {
            self.note_time();
        }
    }
}

/// A request that runs.
pub(super) struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.note_time();
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that tells what comes in.
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    is_first: bool,
}

impl<S> Watched<S> {
    pub const fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity, is_first: true }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let received = buffer.filled().get(before..).unwrap_or_default();
        if !received.is_empty() {
            self.activity.received(received, self.is_first);
            self.is_first = false;
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> Connections = || Connections {
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        ..Connections::default()
    };

    async fn after(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_sends_nothing_is_slow_and_one_that_rests_is_idle() {
        let (activity, limits) = (Activity::new(), LIMITS());
        after(9).await;
        assert!(matches!(activity.check(&limits), Finding::Fine(_)));
        after(1).await;
        assert_eq!(activity.check(&limits), Finding::SlowHead);
        drop(activity.begin());
        after(74).await;
        assert!(matches!(activity.check(&limits), Finding::Fine(_)));
        after(1).await;
        assert_eq!(activity.check(&limits), Finding::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_drip_do_not_make_the_head_younger() {
        let (activity, limits) = (Activity::new(), LIMITS());
        drop(activity.begin());
        after(60).await;
        for _ in 0..10 {
            activity.received(b"G", false);
            assert!(matches!(activity.check(&limits), Finding::Fine(_)));
            after(1).await;
        }
        assert_eq!(activity.check(&limits), Finding::SlowHead);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_runs_is_not_cut() {
        let (activity, limits) = (Activity::new(), LIMITS());
        let running = activity.begin();
        activity.received(b"body", false);
        after(1_000).await;
        assert!(matches!(activity.check(&limits), Finding::Fine(_)));
        drop(running);
        assert!(matches!(activity.check(&limits), Finding::Fine(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_http2_are_no_heads() {
        let (activity, limits) = (Activity::new(), LIMITS());
        activity.received(b"PRI * HTTP/2.0", true);
        drop(activity.begin());
        activity.received(b"ping", false);
        after(11).await;
        assert!(matches!(activity.check(&limits), Finding::Fine(_)));
        after(64).await;
        assert_eq!(activity.check(&limits), Finding::Idle);
    }
}
