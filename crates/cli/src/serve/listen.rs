//! The socket to listen on: one that systemd has opened already, or one of our own.

use std::{io, net::SocketAddr};

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket};

use crate::Broken;

/// Connections that the operating system may take before the server does.
const BACKLOG: u32 = 4_096;

/// The first socket that was handed over by socket activation (`LISTEN_FDS`), so that clients wait and are not refused
/// while one process follows another; else a new one at this address.
pub fn listen(address: SocketAddr, reuse_port: bool) -> Result<TcpListener, Broken> {
    let inherited = ListenFd::from_env().take_tcp_listener(0).map_err(|error| {
        Broken::new(format!("the socket that was handed over cannot be listened on: {error}"))
    })?;
    if let Some(listener) = inherited {
        listener.set_nonblocking(true)?;
        return Ok(TcpListener::from_std(listener)?);
    }
    bind(address, reuse_port)
        .map_err(|error| Broken::new(format!("cannot listen on {address}: {error}")))
}

fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A connection of the process before may still be ending.
    socket.set_reuseaddr(true)?;
    #[cfg(not(target_os = "solaris"))]
    socket.set_reuseport(reuse_port)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
