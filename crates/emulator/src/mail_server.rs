//! A mail server (SMTP, RFC 5321) that keeps what it is given, and asks for a password if it has one.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::push_service::authority::{Authority, AuthorityError};

/// The longest line and the longest mail that it reads, in bytes.
const MOST_BYTES: usize = 1_048_576;

/// A mail as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMail {
    /// Who the sender says to be: `MAIL FROM`.
    pub from: String,
    /// Where it goes: `RCPT TO`.
    pub to: Vec<String>,
    /// Head and body.
    pub text: String,
}

/// Why there is no mail server.
#[derive(Debug, thiserror::Error)]
pub enum MailServerError {
    /// It cannot listen.
    #[error("the mail server cannot listen")]
    Listen(#[from] io::Error),
    /// It has no certificate.
    #[error(transparent)]
    Certificate(#[from] AuthorityError),
}

/// The mail server. It answers for as long as it is there.
pub struct MailServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    mails: Mutex<Vec<ReceivedMail>>,
    /// What it answers to recipients, if it does not take them.
    refusal: Mutex<Option<&'static str>>,
    /// `AUTH PLAIN` with this, in base64, is asked for first.
    credentials: Option<String>,
}

impl MailServer {
    /// One on a free port of this machine: with TLS from the first byte if there is an authority, and with a password if there
    /// is one, in base64 as `AUTH PLAIN` has it (RFC 4616).
    pub async fn open(
        authority: Option<&Authority>,
        credentials: Option<&str>,
    ) -> Result<Self, MailServerError> {
        let acceptor = authority.map(|authority| authority.tls(&[])).transpose()?;
        let acceptor = acceptor.map(TlsAcceptor::from);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let credentials = credentials.map(str::to_owned);
        let shared = Arc::new(Shared { credentials, ..Shared::default() });
        let task = tokio::spawn(listen(listener, acceptor, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers this to all recipients from now on; none: takes them.
    pub fn refuse(&self, answer: Option<&'static str>) {
        *self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// The mails that have come since it was last asked.
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedMail> {
        let mut mails = self.shared.mails.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *mails)
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            // Whoever breaks off has nothing to be told.
            let _ = match acceptor {
                None => Conversation::new(stream, shared).run().await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => Conversation::new(stream, shared).run().await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

struct Conversation<S> {
    stream: BufStream<S>,
    shared: Arc<Shared>,
    is_known: bool,
    from: Option<String>,
    to: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    fn new(stream: S, shared: Arc<Shared>) -> Self {
        let is_known = shared.credentials.is_none();
        Self { stream: BufStream::new(stream), shared, is_known, from: None, to: Vec::new() }
    }

    async fn run(mut self) -> io::Result<()> {
        self.say("220 localhost emulated mail server").await?;
        loop {
            let line = self.hear().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.say("250-localhost\r\n250-8BITMIME\r\n250 AUTH PLAIN").await?,
                "HELO" | "NOOP" => self.say("250 localhost").await?,
                "RSET" => {
                    (self.from, self.to) = (None, Vec::new());
                    self.say("250 forgotten").await?;
                }
                "AUTH" => {
                    let given = rest.strip_prefix("PLAIN ");
                    self.is_known = given.is_some() && given == self.shared.credentials.as_deref();
                    let answer = if self.is_known { "235 welcome" } else { "535 wrong" };
                    self.say(answer).await?;
                }
                "MAIL" if !self.is_known => self.say("530 say who you are").await?,
                "MAIL" => {
                    self.from = address(rest, "FROM:");
                    self.say(if self.from.is_some() { "250 ok" } else { "501 no sender" }).await?;
                }
                "RCPT" => {
                    let answer = self.recipient(rest);
                    self.say(answer).await?;
                }
                "DATA" if self.to.is_empty() => self.say("503 for whom?").await?,
                "DATA" => self.take().await?,
                "QUIT" => return self.say("221 good bye").await,
                _ => self.say("502 what?").await?,
            }
        }
    }

    fn recipient(&mut self, rest: &str) -> &'static str {
        let refusal = *self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        match (refusal, self.from.as_ref(), address(rest, "TO:")) {
            (Some(refusal), ..) => refusal,
            (None, Some(_), Some(to)) => {
                self.to.push(to);
                "250 ok"
            }
            (None, ..) => "503 not now",
        }
    }

    async fn take(&mut self) -> io::Result<()> {
        self.say("354 go on, and end with a dot").await?;
        let mut text = String::new();
        loop {
            let line = self.hear().await?;
            if line == "." {
                break;
            }
            // Section 4.5.2: a dot that begins a line was doubled.
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push('\n');
            if text.len() > MOST_BYTES {
                return self.say("552 too long").await;
            }
        }
        let from = self.from.take().unwrap_or_default();
        let mail = ReceivedMail { from, to: std::mem::take(&mut self.to), text };
        self.shared.mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
        self.say("250 kept").await
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    async fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 || line.len() > MOST_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn address(rest: &str, word: &str) -> Option<String> {
    let rest = rest.get(word.len()..).filter(|_| rest.to_ascii_uppercase().starts_with(word))?;
    let (_, rest) = rest.split_once('<')?;
    Some(rest.split_once('>')?.0.to_owned())
}
