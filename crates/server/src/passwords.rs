//! Password hashing: Argon2id on a small pool of its own, with memory that is used again.
//!
//! One hash costs as much CPU as a thousand ES256 signatures, so hashes never run on async threads, and only a few run at once.
//! Fresh memory for each would double the cost by page faults.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use countersign_domain::password::PasswordHash;
use countersign_protocol::{encoding, entropy::Entropy, entropy::random, secret::Secret};
use countersign_store::meter::{Counter, Distribution, Histogram, Stopwatch, TIMES};
use tokio::sync::Semaphore;

/// How passwords are hashed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Hashes that run at once.
    pub workers: usize,
    /// Hashes that run or wait; more are refused.
    pub queue: usize,
}

impl Default for Settings {
    /// The OWASP recommendation: 19 MiB, two passes.
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, workers: 2, queue: 256 }
    }
}

/// Why a password was not hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many are waiting: come back later.
    #[error("too many password checks are waiting")]
    Busy,
    /// The stored hash cannot be one, or the pool is gone.
    #[error("the password could not be checked")]
    Broken,
}

/// The pool.
#[derive(Clone)]
pub struct Passwords {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
    memory: Mutex<Vec<Vec<Block>>>,
    /// What the password of an unknown user is compared with, so that the answer takes as long.
    nobody: PasswordHash,
    times: Histogram,
    refused: Counter,
}

/// How full the pool is.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Hashes that are computed.
    pub running: usize,
    /// Hashes that wait for a worker.
    pub waiting: usize,
    /// As many may be computed at once.
    pub workers: usize,
    /// As many may run or wait.
    pub queue: usize,
    /// How many were refused so far.
    pub refused: u64,
    /// How long the others took, without waiting.
    pub times: Distribution,
}

const HASH_BYTES: usize = 32;

impl Passwords {
    /// A pool with these settings.
    #[must_use]
    pub fn new(settings: Settings, entropy: &dyn Entropy) -> Self {
        let nobody = PasswordHash {
            memory_kib: settings.memory_kib,
            passes: settings.passes,
            salt: encoding::encode(random::<16>(entropy)),
            hash: encoding::encode(random::<HASH_BYTES>(entropy)),
        };
        let waiting = Arc::new(Semaphore::new(settings.queue));
        let running = Arc::new(Semaphore::new(settings.workers));
        let memory = Mutex::new(Vec::new());
        let (times, refused) = (Histogram::new(TIMES), Counter::default());
        let shared = Shared { settings, waiting, running, memory, nobody, times, refused };
        Self { shared: Arc::new(shared) }
    }

    /// Hashes a new password under a fresh salt.
    pub async fn hash(
        &self,
        password: Secret<String>,
        entropy: &dyn Entropy,
    ) -> Result<PasswordHash, PasswordError> {
        let Settings { memory_kib, passes, .. } = self.shared.settings;
        let salt: [u8; 16] = random(entropy);
        let hash = self.compute(password, salt.to_vec(), memory_kib, passes).await?;
        let (salt, hash) = (encoding::encode(salt), encoding::encode(hash));
        Ok(PasswordHash { memory_kib, passes, salt, hash })
    }

    /// Whether the password has this hash. Without one, the work is the same and the answer no.
    pub async fn verify(
        &self,
        password: Secret<String>,
        stored: Option<PasswordHash>,
    ) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.shared.nobody.clone());
        let salt = encoding::decode(&stored.salt).map_err(|_| PasswordError::Broken)?;
        let expected = encoding::decode(&stored.hash).map_err(|_| PasswordError::Broken)?;
        let computed = self.compute(password, salt, stored.memory_kib, stored.passes).await?;
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(&computed, &expected).is_ok();
        Ok(same && known)
    }

    /// How full the pool is.
    pub(crate) fn load(&self) -> Load {
        let Shared { settings, waiting, running, times, refused, .. } = &*self.shared;
        let running = settings.workers.saturating_sub(running.available_permits());
        let all = settings.queue.saturating_sub(waiting.available_permits());
        Load {
            running,
            waiting: all.saturating_sub(running),
            workers: settings.workers,
            queue: settings.queue,
            refused: refused.get(),
            times: times.distribution(),
        }
    }

    async fn compute(
        &self,
        password: Secret<String>,
        salt: Vec<u8>,
        memory_kib: u32,
        passes: u32,
    ) -> Result<[u8; HASH_BYTES], PasswordError> {
        let (waiting, running) = (&self.shared.waiting, &self.shared.running);
        let Ok(place) = Arc::clone(waiting).try_acquire_owned() else {
            self.shared.refused.add(1);
            return Err(PasswordError::Busy);
        };
        let turn = Arc::clone(running).acquire_owned().await.map_err(|_| PasswordError::Broken)?;
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let watch = Stopwatch::start();
            let hash = shared.compute(password.expose(), &salt, memory_kib, passes);
            shared.times.observe_time(watch.elapsed());
            // Held by the work itself: a caller that goes away does not stop it.
            drop((place, turn));
            hash
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| PasswordError::Broken)?
    }
}

impl Shared {
    fn compute(
        &self,
        password: &str,
        salt: &[u8],
        memory_kib: u32,
        passes: u32,
    ) -> Result<[u8; HASH_BYTES], PasswordError> {
        let broken = |_| PasswordError::Broken;
        let params = Params::new(memory_kib, passes, 1, Some(HASH_BYTES)).map_err(broken)?;
        let blocks = params.block_count();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut memory = self.lock_memory().pop().unwrap_or_default();
        memory.resize(blocks, Block::default());
        let mut hash = [0; HASH_BYTES];
        let done = argon2.hash_password_into_with_memory(
            password.as_bytes(),
            salt,
            &mut hash,
            &mut memory,
        );
        self.lock_memory().push(memory);
        done.map_err(broken)?;
        Ok(hash)
    }

    fn lock_memory(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use countersign_protocol::entropy::SystemEntropy;

    use super::*;

    const SMALL: Settings = Settings { memory_kib: 64, passes: 1, workers: 1, queue: 1 };

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_matches_its_hash() {
        let passwords = Passwords::new(SMALL, &SystemEntropy);
        let hash = passwords.hash(secret("correct horse"), &SystemEntropy).await.unwrap();
        assert_eq!(passwords.verify(secret("correct horse"), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.verify(secret("battery staple"), Some(hash)).await, Ok(false));
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let passwords = Passwords::new(SMALL, &SystemEntropy);
        assert_eq!(passwords.verify(secret(""), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_keeps_its_place_until_the_work_ends() {
        let settings = Settings { memory_kib: 16_384, passes: 4, ..SMALL };
        let passwords = Passwords::new(settings, &SystemEntropy);
        let mut caller = std::pin::pin!(passwords.verify(secret("x"), None));
        let begun = std::future::poll_fn(|context| {
            assert!(caller.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        });
        begun.await;
        assert_eq!(passwords.verify(secret("x"), None).await, Err(PasswordError::Busy));
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_are_refused() {
        let passwords = Passwords::new(SMALL, &SystemEntropy);
        let _full = passwords.shared.waiting.try_acquire().unwrap();
        assert_eq!(passwords.verify(secret("x"), None).await, Err(PasswordError::Busy));
    }
}
