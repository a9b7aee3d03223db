//! Mail: to a server (SMTP, RFC 5321, over TLS), or into a folder while somebody develops.

use std::{path::PathBuf, time::Duration};

use countersign_protocol::{secret::Secret, time::Timestamp};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use tokio::{sync::OnceCell, time::timeout};

/// Settings of mail.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who the mail is from: `Bank <no-reply@bank.example>`.
    pub from: String,
    /// Where it goes.
    pub way: Way,
    /// How long one mail may take, from the connection to the last answer.
    pub timeout: Duration,
}

/// Where mail goes.
#[derive(Clone, Debug)]
pub enum Way {
    /// To a server that sends it on.
    Server(Server),
    /// Into files of this folder, one for each mail.
    Folder(PathBuf),
}

/// A mail server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name, which its certificate must have.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// User name and password, if it asks for them.
    pub credentials: Option<(String, Secret<String>)>,
    /// Certificates of authorities to trust beside the system's, in PEM; may be empty.
    pub authorities: Vec<u8>,
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    #[default]
    Tls,
    /// TLS after `STARTTLS` (RFC 3207), without which nothing is sent.
    StartTls,
    /// None: for a server on this machine.
    None,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// There is no mail.
    #[error("no mail is configured")]
    Off,
    /// The address, or what it is from, is none.
    #[error("the mail cannot be written")]
    Unwritable,
    /// The settings cannot be used, such as an authority that is none.
    #[error("the mail server cannot be used as it is configured")]
    Settings(#[source] lettre::transport::smtp::Error),
    /// The server did not take it.
    #[error("the mail server has not taken the mail")]
    Server(#[source] lettre::transport::smtp::Error),
    /// The folder did not take it.
    #[error("the mailbox has not taken the mail")]
    Folder(#[source] std::io::Error),
    /// It took too long.
    #[error("the mail server has not taken the mail in time")]
    Late,
}

impl MailError {
    /// Whether it will be no better another time.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Server(error) => error.is_permanent(),
            Self::Unwritable => true,
            Self::Off | Self::Settings(_) | Self::Folder(_) | Self::Late => false,
        }
    }
}

/// A mail.
pub(crate) struct Mail<'a> {
    pub to: &'a str,
    pub subject: String,
    pub text: String,
}

/// Sends mail.
pub(crate) struct Mailer {
    settings: Option<Settings>,
    /// Made with the first mail, since reading the system's authorities takes longer than starting the server.
    transport: OnceCell<AsyncSmtpTransport<Tokio1Executor>>,
}

impl Mailer {
    pub const fn new(settings: Option<Settings>) -> Self {
        Self { settings, transport: OnceCell::const_new() }
    }

    /// Whether there is any.
    pub const fn is_on(&self) -> bool {
        self.settings.is_some()
    }

    /// Sends a mail.
    pub async fn send(&self, mail: Mail<'_>, now: Timestamp) -> Result<(), MailError> {
        let Some(settings) = &self.settings else { return Err(MailError::Off) };
        let message = write(settings, mail)?;
        match &settings.way {
            Way::Folder(folder) => deliver(folder, &message, now).map_err(MailError::Folder),
            Way::Server(server) => {
                let made = self.transport.get_or_try_init(async || transport(server)).await;
                let sent = made.map_err(MailError::Settings)?.send(message);
                let sent = timeout(settings.timeout, sent).await.map_err(|_| MailError::Late)?;
                sent.map(drop).map_err(MailError::Server)
            }
        }
    }
}

fn write(settings: &Settings, mail: Mail<'_>) -> Result<Message, MailError> {
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|_| MailError::Unwritable);
    Message::builder()
        .from(mailbox(&settings.from)?)
        .to(mailbox(mail.to)?)
        .subject(mail.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text)
        .map_err(|_| MailError::Unwritable)
}

/// A file that is complete when it has its name.
fn deliver(folder: &std::path::Path, message: &Message, now: Timestamp) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let bytes = message.formatted();
    let name = format!("{:020}-{:08x}", now.micros(), crc(&bytes));
    let part = folder.join(format!("{name}.part"));
    std::fs::write(&part, bytes)?;
    std::fs::rename(part, folder.join(format!("{name}.eml")))
}

/// Tells two mails of the same moment apart.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum: u32, byte| sum.rotate_left(5) ^ u32::from(*byte))
}

fn transport(
    server: &Server,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, lettre::transport::smtp::Error> {
    let mut tls = TlsParameters::builder(server.host.clone());
    if !server.authorities.is_empty() {
        tls = tls.add_root_certificate(Certificate::from_pem(&server.authorities)?);
    }
    let tls = match server.security {
        Security::Tls => Tls::Wrapper(tls.build_rustls()?),
        Security::StartTls => Tls::Required(tls.build_rustls()?),
        Security::None => Tls::None,
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host);
    let mut builder = builder.port(server.port).tls(tls);
    if let Some((name, password)) = &server.credentials {
        let credentials = Credentials::new(name.clone(), password.expose().clone());
        builder = builder.credentials(credentials);
    }
    Ok(builder.build())
}
