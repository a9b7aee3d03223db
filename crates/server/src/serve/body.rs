//! Bodies on their way: one that comes in must keep its pace, one that goes out says when it has gone.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::activity::Running;

/// How long a body may take before its pace counts.
const GRACE: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A request body that is cut off when it comes too slowly.
pub(super) struct Paced<B> {
    body: B,
    bytes_per_second: u32,
    /// Made when the body first lets somebody wait.
    deadline: Option<Pin<Box<Sleep>>>,
    begun: Instant,
    received: u64,
}

impl<B> Paced<B> {
    /// A body whose bytes are counted from now.
    pub fn new(body: B, bytes_per_second: u32) -> Self {
        Self { body, bytes_per_second, deadline: None, begun: Instant::now(), received: 0 }
    }

    /// When all that has come so far must have come, and something more.
    fn until(&self) -> Instant {
        let earned = self.received.saturating_mul(1_000) / u64::from(self.bytes_per_second.max(1));
        self.begun + GRACE + Duration::from_millis(earned)
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        if self.bytes_per_second == 0 {
            return false;
        }
        let until = self.until();
        let deadline =
            self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if deadline.deadline() != until {
            deadline.as_mut().reset(until);
        }
        deadline.as_mut().poll(context).is_ready()
    }
}

impl<B> HttpBody for Paced<B>
where
    B: HttpBody<Data = Bytes, Error: Into<Failure>> + Unpin,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.received = self.received.saturating_add(u64::try_from(bytes).unwrap_or(0));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => Poll::Ready(end.map(|result| result.map_err(Into::into))),
            Poll::Pending if self.is_late(context) => {
                let slow = io::Error::new(io::ErrorKind::TimedOut, "the body comes too slowly");
                Poll::Ready(Some(Err(slow.into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer whose request runs until it was handed over.
pub(super) struct Answer {
    body: Body,
    running: Option<Running>,
}

impl Answer {
    pub const fn new(body: Body, running: Running) -> Self {
        Self { body, running: Some(running) }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            drop(self.running.take());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::mpsc;

    use super::*;

    /// A body that brings what a test sends.
    struct Sent(mpsc::Receiver<&'static [u8]>);

    impl HttpBody for Sent {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            let data = |bytes| Ok(Frame::data(Bytes::from_static(bytes)));
            self.0.poll_recv(context).map(|sent| sent.map(data))
        }
    }

    async fn next(body: &mut Paced<Sent>) -> Option<Result<usize, String>> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap().len()).map_err(|error| error.to_string()))
    }

    fn slow() -> Result<usize, String> {
        Err("the body comes too slowly".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_cut_off_and_one_that_keeps_its_pace_is_not() {
        let (sender, receiver) = mpsc::channel(1);
        let mut body = Paced::new(Sent(receiver), 10);
        tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(2)).await;
                sender.send(&[0; 20]).await.unwrap();
            }
            // Held open, and silent.
            std::future::pending::<()>().await;
        });
        let begun = Instant::now();
        for _ in 0..10 {
            assert_eq!(next(&mut body).await, Some(Ok(20)));
        }
        assert_eq!(next(&mut body).await, Some(slow()));
        assert_eq!(begun.elapsed().as_secs(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_a_pace_may_take_its_time() {
        let (sender, receiver) = mpsc::channel(1);
        let mut body = Paced::new(Sent(receiver), 0);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_hours(1)).await;
            sender.send(b"late").await.unwrap();
        });
        assert_eq!(next(&mut body).await, Some(Ok(4)));
        assert_eq!(next(&mut body).await, None);
    }
}
