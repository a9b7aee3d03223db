//! The network of a phone, which airplane mode takes away.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use countersign_sdk::{
    Request, Response, Socket, Transport, TransportError, transport::ReqwestTransport,
};

use crate::DemoError;

/// A transport that can be switched off.
pub struct Radio {
    off: AtomicBool,
    network: Arc<dyn Transport>,
}

impl Radio {
    pub fn new(off: bool) -> Result<Self, DemoError> {
        let network =
            ReqwestTransport::new(b"").map_err(|error| DemoError::Network(error.to_string()))?;
        Ok(Self { off: AtomicBool::new(off), network: Arc::new(network) })
    }

    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    pub fn switch(&self, off: bool) {
        self.off.store(off, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), TransportError> {
        if self.is_off() {
            return Err(TransportError::NoAnswer("airplane mode is on".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Transport for Radio {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.check()?;
        self.network.send(request).await
    }

    async fn open_socket(
        &self,
        url: &str,
        protocol: &str,
    ) -> Result<Box<dyn Socket>, TransportError> {
        self.check()?;
        self.network.open_socket(url, protocol).await
    }
}
