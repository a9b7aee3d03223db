//! Carries HTTP/2 frames between a client and the protocol library, and says to the client what no library would: GOAWAY with a last
//! stream of our choice and debug data, and another limit of streams in the middle of a connection.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

/// What a client sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest frame while no setting says otherwise (RFC 9113 section 4.2).
const MAX_FRAME: usize = 16_384;
const HEADER: usize = 9;

/// Kinds of frames (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// Flags: what ends a stream, and what acknowledges settings, is the same bit.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

const MAX_CONCURRENT_STREAMS: u16 = 3;

/// After the last answer the client may take so long to close its side.
const LINGER: Duration = Duration::from_secs(5);

/// What is to be said to the client.
#[derive(Debug)]
pub enum Word {
    /// So many streams from now on.
    MaxConcurrentStreams(u32),
    /// Streams after the last one are not processed. The others are answered, and then the connection is closed.
    GoAway { last_stream_id: u32, code: u32, debug: Bytes },
}

/// Relays until one side ends, or until all is said after GOAWAY.
pub async fn run<T: AsyncRead + AsyncWrite>(
    client: T,
    server: DuplexStream,
    words: mpsc::Receiver<Word>,
    max_concurrent_streams: u32,
) -> io::Result<()> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let streams = Streams::default();
    let inwards = inwards(from_client, to_server, &streams);
    let outwards = outwards(from_server, to_client, words, &streams, max_concurrent_streams);
    tokio::pin!(inwards, outwards);
    tokio::select! {
        done = &mut outwards => {
            done?;
            // What the client still says is read, as closing on it would destroy the last answers on their way.
            tokio::time::timeout(LINGER, inwards).await.unwrap_or(Ok(()))
        }
        done = &mut inwards => {
            done?;
            outwards.await
        }
    }
}

/// What both directions know of the streams.
#[derive(Default)]
struct Streams(Mutex<Known>);

#[derive(Default)]
struct Known {
    open: BTreeSet<u32>,
    /// Set by GOAWAY.
    last: Option<u32>,
}

impl Streams {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether GOAWAY was said and the streams that it lets live are answered.
    fn is_over(&self) -> bool {
        let known = self.known();
        known.last.is_some_and(|last| known.open.range(..=last).next().is_none())
    }
}

async fn inwards(
    mut client: impl AsyncRead + Unpin,
    mut server: impl AsyncWrite + Unpin,
    streams: &Streams,
) -> io::Result<()> {
    let mut preface = [0; PREFACE.len()];
    client.read_exact(&mut preface).await?;
    server.write_all(&preface).await?;
    let mut frames = Frames::new(client);
    let mut acknowledged = false;
    let mut serving = true;
    while let Some(frame) = frames.next().await? {
        let head = frame.head;
        {
            let mut known = streams.known();
            if known.last.is_some_and(|last| head.stream > last) {
                continue;
            }
            match head.kind {
                HEADERS => _ = known.open.insert(head.stream),
                RST_STREAM => _ = known.open.remove(&head.stream),
                _ => {}
            }
        }
        if head.kind == SETTINGS && head.flags & ACK != 0 {
            // The library has sent its settings once. All further ones are ours, and it must not hear of them.
            if acknowledged {
                continue;
            }
            acknowledged = true;
        }
        serving = serving && server.write_all(&frame.bytes).await.is_ok();
    }
    let _ = server.shutdown().await;
    Ok(())
}

async fn outwards(
    server: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    mut words: mpsc::Receiver<Word>,
    streams: &Streams,
    max_concurrent_streams: u32,
) -> io::Result<()> {
    let mut frames = Frames::new(server);
    // The first frame is the settings of the library (RFC 9113 section 3.4).
    let Some(settings) = frames.next().await? else { return Ok(()) };
    client.write_all(&with_setting(&settings, max_concurrent_streams)).await?;
    while !streams.is_over() {
        client.flush().await?;
        tokio::select! {
            biased;
            Some(word) = words.recv() => client.write_all(&say(word, streams)).await?,
            frame = frames.next() => {
                let Some(frame) = frame? else { break };
                let Head { kind, flags, stream, .. } = frame.head;
                let ours = streams.known().last.is_some();
                if kind == GOAWAY && ours {
                    continue;
                }
                client.write_all(&frame.bytes).await?;
                let ends = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
                if ends || kind == RST_STREAM {
                    streams.known().open.remove(&stream);
                }
            }
        }
    }
    client.shutdown().await
}

/// The frame that says it. All header blocks that the server sends fit into one frame, so it may stand between any two.
fn say(word: Word, streams: &Streams) -> Bytes {
    let mut frame = BytesMut::new();
    match word {
        Word::MaxConcurrentStreams(limit) => {
            put_head(&mut frame, 6, SETTINGS);
            put_setting(&mut frame, limit);
        }
        Word::GoAway { last_stream_id, code, debug } => {
            streams.known().last = Some(last_stream_id);
            put_head(&mut frame, 8 + debug.len(), GOAWAY);
            frame.put_u32(last_stream_id);
            frame.put_u32(code);
            frame.put(debug);
        }
    }
    frame.freeze()
}

/// The settings with one more.
fn with_setting(settings: &Frame, limit: u32) -> Bytes {
    let mut frame = BytesMut::new();
    put_head(&mut frame, settings.head.length + 6, SETTINGS);
    frame.put(settings.bytes.slice(HEADER..));
    put_setting(&mut frame, limit);
    frame.freeze()
}

fn put_head(frame: &mut BytesMut, length: usize, kind: u8) {
    frame.put_uint(length as u64, 3);
    frame.put_u8(kind);
    frame.put_u8(0);
    frame.put_u32(0);
}

fn put_setting(frame: &mut BytesMut, limit: u32) {
    frame.put_u16(MAX_CONCURRENT_STREAMS);
    frame.put_u32(limit);
}

/// The nine bytes before each frame (RFC 9113 section 4.1).
#[derive(Debug, Clone, Copy)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

struct Frame {
    head: Head,
    /// With the head.
    bytes: Bytes,
}

/// Reads frames. Waiting for the next may be given up at any time: nothing of it is lost.
struct Frames<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::with_capacity(MAX_FRAME) }
    }

    async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Frame>> {
        let Some(mut bytes) = self.buffer.get(..HEADER) else { return Ok(None) };
        let head = Head {
            length: usize::try_from(bytes.get_uint(3)).unwrap_or(usize::MAX),
            kind: bytes.get_u8(),
            flags: bytes.get_u8(),
            stream: bytes.get_u32() & 0x7fff_ffff,
        };
        if head.length > MAX_FRAME {
            return Err(io::Error::new(ErrorKind::InvalidData, "the frame is too large"));
        }
        if self.buffer.len() < HEADER + head.length {
            return Ok(None);
        }
        Ok(Some(Frame { head, bytes: self.buffer.split_to(HEADER + head.length).freeze() }))
    }
}
