//! Who stands in for the person in front of a phone without hardware.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::platform::KeyStoreError;

/// Puts its finger on the reader whenever it is asked to, until it is told to refuse.
#[derive(Debug, Default)]
pub struct Person {
    refuses: AtomicBool,
}

impl Person {
    pub fn let_refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Release);
    }

    pub fn verify(&self) -> Result<(), KeyStoreError> {
        if self.refuses.load(Ordering::Acquire) {
            return Err(KeyStoreError::NotVerified);
        }
        Ok(())
    }
}
