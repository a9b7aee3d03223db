//! `[mail]`: where passcodes by mail go out.

use std::{fs, path::PathBuf, time::Duration};

use countersign_server::{MailSecurity, MailServer, MailSettings, MailWay, Settings};
use serde::Deserialize;

use super::{Flaw, Surroundings, error::range, secret::from_file_or_variable};

const SECTION: &str = "mail";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Mail {
    from: Option<String>,
    mailbox: Option<PathBuf>,
    host: Option<String>,
    port: Option<u16>,
    security: Security,
    username: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    authorities_file: Option<PathBuf>,
    timeout_seconds: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Security {
    #[default]
    Tls,
    StartTls,
    None,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            from: None,
            mailbox: None,
            host: None,
            port: None,
            security: Security::Tls,
            username: None,
            password_file: None,
            password_env: None,
            authorities_file: None,
            timeout_seconds: 10,
        }
    }
}

impl Mail {
    pub fn apply(&self, settings: &mut Settings, around: &Surroundings<'_>) -> Result<(), Flaw> {
        let flaw = |key: &str, rule: &str| Flaw::new(SECTION, key, rule);
        let way = match (&self.mailbox, &self.host) {
            (None, None) => return Ok(()),
            (Some(_), Some(_)) => return Err(flaw("mailbox", "may not be given beside host")),
            (Some(folder), None) => MailWay::Folder(around.folder.join(folder)),
            (None, Some(host)) => MailWay::Server(self.server(host, around)?),
        };
        let from = self.from.clone().ok_or_else(|| {
            flaw("from", "must be given where there is a host or a mailbox: the sender of all mail")
        })?;
        let seconds = range((SECTION, "timeout_seconds"), self.timeout_seconds, 1, 25)?;
        let timeout = Duration::from_secs(seconds);
        settings.mail = Some(MailSettings { from, way, timeout });
        Ok(())
    }

    fn server(&self, host: &str, around: &Surroundings<'_>) -> Result<MailServer, Flaw> {
        let (security, usual) = match self.security {
            Security::Tls => (MailSecurity::Tls, 465),
            Security::StartTls => (MailSecurity::StartTls, 587),
            Security::None => (MailSecurity::None, 25),
        };
        let keys = ["password_file", "password_env"];
        let sources = (self.password_file.as_deref(), self.password_env.as_deref());
        let password = from_file_or_variable((SECTION, keys), sources, around)?;
        let credentials = match (&self.username, password) {
            (None, None) => None,
            (Some(name), Some(password)) => Some((name.clone(), password)),
            (Some(_), None) => {
                let rule = "needs a password_file or a password_env";
                return Err(Flaw::new(SECTION, "username", rule));
            }
            (None, Some(_)) => {
                return Err(Flaw::new(SECTION, "username", "must be given beside a password"));
            }
        };
        if credentials.is_some() && security == MailSecurity::None {
            let rule = "must be tls or starttls where there is a password";
            return Err(Flaw::new(SECTION, "security", rule));
        }
        let authorities = match &self.authorities_file {
            None => Vec::new(),
            Some(file) => fs::read(around.folder.join(file)).map_err(|error| {
                let rule = format!("names a file that cannot be read: {error}");
                Flaw::new(SECTION, "authorities_file", rule)
            })?,
        };
        let (host, port) = (host.to_owned(), self.port.unwrap_or(usual));
        Ok(MailServer { host, port, security, credentials, authorities })
    }
}
