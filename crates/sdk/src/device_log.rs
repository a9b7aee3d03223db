//! The log of the app, sent to whoever supports its user.

use countersign_protocol::device_log::{LogRequest, newest_lines};

use crate::client::Countersign;
use crate::error::Error;

impl Countersign {
    /// Sends the log that the app has kept of itself to the platform, where administrators read it with the device: the newest
    /// lines, about eight thousand characters. They are kept for 30 days, or until the next log. Call it when
    /// [`Self::info`] says that a log is asked for (`logs_requested`), or when the person asks for support.
    ///
    /// The SDK writes no log of its own. Nothing is sent of an empty one.
    pub async fn send_logs(&self, log: &str) -> Result<(), Error> {
        let log = newest_lines(log);
        if log.is_empty() {
            return Ok(());
        }
        let nonce = self.installation.nonce().await?;
        self.installation.call(LogRequest { nonce, log }).await.map(drop)
    }
}
