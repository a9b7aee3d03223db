//! A proxy that leads to the server under test, whatever its port, and to nowhere else (RFC 9110, section 9.3.6).

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// More than a request to connect has.
const MAX_HEAD: usize = 8 * 1024;

/// A proxy on loopback. It ends when it is dropped.
pub struct Proxy {
    pub url: String,
    refused: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Proxy {
    /// Leads those who ask for `authority` to an address.
    pub async fn start(authority: &str, to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let refused = Arc::<Mutex<Vec<String>>>::default();
        let wanted = format!("CONNECT {authority} ");
        let mut task = JoinSet::new();
        let others = Arc::clone(&refused);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(lead(client, wanted.clone(), to, Arc::clone(&others)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { url, refused, _task: task }
    }

    /// What else was asked for.
    pub fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }
}

async fn lead(
    mut client: TcpStream,
    wanted: String,
    to: SocketAddr,
    refused: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) if head.len() < MAX_HEAD => head.push(byte),
            _ => return,
        }
    }
    if !head.starts_with(wanted.as_bytes()) {
        let head = String::from_utf8_lossy(&head);
        refused.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
        // Who does not wait for the refusal misses nothing.
        let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        return;
    }
    let mut server = TcpStream::connect(to).await.unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    // Either side may go without a word.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
