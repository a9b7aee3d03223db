//! Tells systemd how it goes (`sd_notify(3)`), if systemd has started the process and wants to know.

use std::{
    ffi::OsString,
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
};

/// The server answers requests.
pub const READY: &str = "READY=1";
/// The server ends.
pub const STOPPING: &str = "STOPPING=1";

/// Sends a message. That it does not arrive is no reason not to serve.
pub fn notify(message: &str) {
    let Some(socket) = socket() else { return };
    if let Err(error) = send(&socket, message) {
        tracing::warn!(%error, "systemd was not told {message}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn socket() -> Option<OsString> {
    std::env::var("NOTIFY_SOCKET").ok().filter(|name| !name.is_empty()).map(OsString::from)
}

fn send(name: &OsString, message: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = name.as_encoded_bytes().strip_prefix(b"@") {
        let address = <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?;
        return socket.send_to_addr(message.as_bytes(), &address).map(drop);
    }
    socket.send_to(message.as_bytes(), name).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send(&path.into_os_string(), READY).unwrap();
        let mut buffer = [0; 32];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
    }
}
