//! An HTTP/2 server made of bare frames (RFC 9113), for what no well-behaved server does on demand.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use crate::server::accept_h2;

const PREFACE_BYTES: usize = 24;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;
const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];
/// `:status: 200` in the static table of HPACK (RFC 7541 appendix A).
const STATUS_200: u8 = 0x88;

/// What the server does when a request has begun.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Answers the stream with 200.
    Answer(u32),
    /// Answers the stream that has just begun, once the client has shown by a PING that it has nothing more to send.
    AnswerWhenQuiet,
    /// Says that nothing above the stream was processed, and why the connection ends.
    GoAway(u32, &'static str),
    /// Says that the stream was not processed.
    Refuse(u32),
    /// Closes the connection without a word.
    Close,
}

/// What was seen of all connections.
#[derive(Debug, Default)]
pub struct Seen {
    /// For each connection the streams that began.
    pub streams: Vec<Vec<u32>>,
    /// The most streams that were open at a time.
    pub most_open: usize,
}

/// A server that plays a script: for each connection, what it does at each new stream.
pub struct FrameServer {
    pub base: String,
    seen: Arc<Mutex<Seen>>,
}

type Script = Arc<dyn Fn(usize, usize) -> Vec<Act> + Send + Sync>;

impl FrameServer {
    /// `script` is asked with the number of the connection and of the stream on it, both from 0.
    pub async fn start(
        most_streams: u32,
        script: impl Fn(usize, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let seen = Arc::<Mutex<Seen>>::default();
        let (script, log): (Script, _) = (Arc::new(script), Arc::clone(&seen));
        tokio::spawn(async move {
            for number in 0.. {
                let stream = accept_h2(&listener).await;
                log.lock().unwrap().streams.push(Vec::new());
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                let mut connection = Connection { stream, number, script, log, waiting: None };
                // The client may leave at any time.
                tokio::spawn(async move { drop(connection.run(most_streams).await) });
            }
        });
        Self { base, seen }
    }

    pub fn streams(&self) -> Vec<Vec<u32>> {
        self.seen.lock().unwrap().streams.clone()
    }

    pub fn most_open(&self) -> usize {
        self.seen.lock().unwrap().most_open
    }
}

struct Connection {
    stream: TlsStream<TcpStream>,
    number: usize,
    script: Script,
    log: Arc<Mutex<Seen>>,
    /// Streams that are answered when the client is quiet.
    waiting: Option<Vec<u32>>,
}

impl Connection {
    async fn run(&mut self, most_streams: u32) -> std::io::Result<()> {
        let mut preface = [0; PREFACE_BYTES];
        self.stream.read_exact(&mut preface).await?;
        let limit = [&MAX_CONCURRENT_STREAMS[..], &most_streams.to_be_bytes()].concat();
        self.write(SETTINGS, 0, 0, &limit).await?;
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).await?;
            match (head[3], head[4] & ACK) {
                (SETTINGS, 0) => self.write(SETTINGS, ACK, 0, &[]).await?,
                (PING, 0) => self.write(PING, ACK, 0, &payload).await?,
                (PING, ACK) => self.answer_waiting().await?,
                (HEADERS, _) => self.begin(stream).await?,
                _ => (),
            }
        }
    }

    /// Plays the script for a new stream.
    async fn begin(&mut self, stream: u32) -> std::io::Result<()> {
        let begun = {
            let streams = &mut self.log.lock().unwrap().streams[self.number];
            streams.push(stream);
            streams.len() - 1
        };
        for act in (self.script)(self.number, begun) {
            match act {
                Act::Answer(stream) => self.answer(stream).await?,
                Act::AnswerWhenQuiet => {
                    if self.waiting.is_none() {
                        self.write(PING, 0, 0, &[0; 8]).await?;
                    }
                    self.waiting.get_or_insert_default().push(stream);
                }
                Act::GoAway(last, debug) => {
                    let payload = [&last.to_be_bytes(), &[0; 4], debug.as_bytes()].concat();
                    self.write(GOAWAY, 0, 0, &payload).await?;
                }
                Act::Refuse(stream) => {
                    self.write(RST_STREAM, 0, stream, &7_u32.to_be_bytes()).await?;
                }
                Act::Close => return Err(std::io::ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(())
    }

    async fn answer_waiting(&mut self) -> std::io::Result<()> {
        let waiting = self.waiting.take().unwrap_or_default();
        {
            let mut log = self.log.lock().unwrap();
            log.most_open = log.most_open.max(waiting.len());
        }
        for stream in waiting {
            self.answer(stream).await?;
        }
        Ok(())
    }

    async fn answer(&mut self, stream: u32) -> std::io::Result<()> {
        self.write(HEADERS, END_STREAM_AND_HEADERS, stream, &[STATUS_200]).await
    }

    async fn write(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.stream.write_all(&[head.as_slice(), payload].concat()).await?;
        self.stream.flush().await
    }
}
