//! Restarts under a steady load of requests on connections that are kept: none is lost.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::server::{Serve, configure};

const REQUEST: &[u8] = b"GET /assets/none HTTP/1.1\r\nhost: x\r\n\r\n";

/// How long a request may wait for the next process, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a client does whose new connection is refused before anything was answered on it.
#[derive(Clone, Copy, Debug)]
enum Connects {
    /// It counts as lost.
    Once,
    /// It connects again: where two processes have a socket each, the system refuses what the one that closes has just been
    /// given and not taken.
    Again,
}

/// Clients that ask again and again on a connection each, and open another one only when they are sent away.
struct Load {
    stopped: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    fn start(address: SocketAddr, connects: Connects) -> Self {
        let (stopped, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let client = |_| {
            let (stopped, answered) = (Arc::clone(&stopped), Arc::clone(&answered));
            thread::spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    keep_asking(address, connects, &stopped, &answered)
                        .map_err(|error| error.to_string())?;
                }
                Ok(())
            })
        };
        let clients = (0..8).map(client).collect();
        Self { stopped, answered, clients }
    }

    /// Waits until so many more requests were answered.
    fn go_on(&self, more: u32) {
        let enough = self.answered.load(Ordering::Relaxed) + more;
        while self.answered.load(Ordering::Relaxed) < enough {
            assert!(self.clients.iter().all(|client| !client.is_finished()), "a request was lost");
            thread::yield_now();
        }
    }

    fn end(self) {
        self.stopped.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap().unwrap();
        }
    }
}

/// Asks on one connection until an answer says that it ends.
fn keep_asking(
    address: SocketAddr,
    connects: Connects,
    stopped: &AtomicBool,
    answered: &AtomicU32,
) -> std::io::Result<()> {
    let first = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(REQUEST)?;
        Ok((read_answer(&mut stream)?, stream))
    });
    let (head, mut stream) = match (first, connects) {
        (Ok(first), _) => first,
        (Err(_), Connects::Again) => return Ok(()),
        (Err(error), Connects::Once) => return Err(error),
    };
    answered.fetch_add(1, Ordering::Relaxed);
    let is_over = head.contains("connection: close");
    while !is_over && !stopped.load(Ordering::Relaxed) {
        stream.write_all(REQUEST)?;
        let head = read_answer(&mut stream)?;
        answered.fetch_add(1, Ordering::Relaxed);
        if head.contains("connection: close") {
            break;
        }
    }
    Ok(())
}

fn read_answer(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.split_once("content-length: ").map_or("0", |(_, rest)| rest);
    let length = length.lines().next().unwrap_or_default().trim().parse().unwrap_or(0);
    stream.read_exact(&mut vec![0; length])?;
    Ok(head)
}

/// As systemd does it: the socket stays open, and each process finds it as its third descriptor.
fn spawn_on(listener: &TcpListener, config: &Path, data: &Path) -> Serve {
    let inherited: OwnedFd = listener.try_clone().unwrap().into();
    let script = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_countersign"), "serve", "--config"]);
    command.arg(config).arg("--data").arg(data).stdin(Stdio::from(inherited));
    Serve::from(&mut command)
}

#[test]
fn a_restart_on_a_socket_that_stays_open_loses_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (configure(folder.path(), ""), folder.path().join("data"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = spawn_on(&listener, &config, &data).ready();
    let load = Load::start(address, Connects::Once);
    for _ in 0..2 {
        load.go_on(200);
        assert!(server.end());
        // Whoever asks now waits in the queue of the socket.
        server = spawn_on(&listener, &config, &data).ready();
        load.go_on(200);
    }
    load.end();
    assert!(server.end());
}

#[test]
fn a_new_process_that_listens_before_the_old_one_ends_waits_for_the_database() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!("[server]\nlisten = \"{address}\"\nreuse_port = true");
    let (config, data) = (configure(folder.path(), &text), folder.path().join("data"));
    let old = Serve::spawn(&config, &data).ready();
    let load = Load::start(address, Connects::Again);
    load.go_on(200);
    let next = Serve::spawn(&config, &data);
    assert!(old.end());
    let next = next.ready();
    load.go_on(200);
    load.end();
    assert!(next.end());
}
