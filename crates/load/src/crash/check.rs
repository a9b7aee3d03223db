//! Holds a server against what its predecessors have said.

use serde_json::Value;

use super::{
    Verdict,
    customer::{Code, Customer, Family, Ledger, Standing},
    session::{Session, answered, code_of, id_token_of, refresh_token_of, status},
};
use crate::LoadError;

impl Customer {
    /// Checks the ledger against the server that runs now, adds it to the verdict, and begins a new one.
    pub async fn verify(&mut self, verdict: &mut Verdict) -> Result<(), LoadError> {
        let mut ledger = std::mem::take(&mut self.ledger);
        verdict.violations.append(&mut ledger.violations);
        verdict.pairings += ledger.pairings;
        verdict.unpairings += ledger.unpairings;
        self.verify_payloads(&ledger, verdict).await?;
        let last = self.verify_family(verdict).await?;
        verify_codes(&ledger, verdict).await?;
        if let Some((session, token)) = last
            && refreshes(&session, &token).await?.is_some()
        {
            verdict.violations.push("a refresh token outlives its code".to_owned());
        }
        self.verify_waiting(verdict, None).await?;
        self.verify_passcodes(&ledger, verdict).await?;
        self.verify_standing(verdict).await?;
        for violation in &mut self.ledger.violations.drain(..) {
            verdict.violations.push(violation);
        }
        Ok(())
    }

    async fn verify_payloads(
        &self,
        ledger: &Ledger,
        verdict: &mut Verdict,
    ) -> Result<(), LoadError> {
        for payload in &ledger.payloads {
            if self.payload_counts(payload).await? {
                verdict.violations.push("a payload counted again".to_owned());
            }
            verdict.payloads += 1;
        }
        for payload in &ledger.unanswered_payloads {
            let first = self.payload_counts(payload).await?;
            if self.payload_counts(payload).await? && first {
                verdict.violations.push("an unanswered payload counted twice".to_owned());
            }
            verdict.in_doubt += 1;
        }
        Ok(())
    }

    async fn payload_counts(&self, payload: &str) -> Result<bool, LoadError> {
        let session = Session::new(&self.browser, &self.site, true);
        let answer = answered(session.begin(Some(payload)).await)?;
        if answer.get("_links").is_some() {
            return Ok(true);
        }
        if answer.to_string().contains("proof.jti was used already") {
            return Ok(false);
        }
        Err(LoadError::other(format!("a payload is refused for another reason: {answer}")))
    }

    /// What was given counts, what was used does not, and what was never answered counts once at most. Gives a token that
    /// counts as long as nothing is presented twice.
    async fn verify_family(
        &mut self,
        verdict: &mut Verdict,
    ) -> Result<Option<(Session, String)>, LoadError> {
        let Some(Family { session, current, spent, is_in_doubt }) = self.family.take() else {
            return Ok(None);
        };
        verdict.refreshes += spent.len() as u64;
        let next = refreshes(&session, &current).await?;
        if is_in_doubt {
            verdict.in_doubt += 1;
            if next.is_some() && refreshes(&session, &current).await?.is_some() {
                verdict.violations.push("an unanswered refresh counted twice".to_owned());
            }
            return Ok(None);
        }
        let Some(next) = next else {
            verdict.violations.push("a refresh token that was given is lost".to_owned());
            return Ok(None);
        };
        let Some(used) = spent.last() else { return Ok(Some((session, next))) };
        if refreshes(&session, used).await?.is_some() {
            verdict.violations.push("a refresh token counted again".to_owned());
        }
        if refreshes(&session, &next).await?.is_some() {
            verdict.violations.push("a refresh token outlives the reuse of another".to_owned());
        }
        Ok(None)
    }

    async fn verify_passcodes(
        &self,
        ledger: &Ledger,
        verdict: &mut Verdict,
    ) -> Result<(), LoadError> {
        // An unpaired phone is asked for none.
        let Standing::Paired { .. } = self.standing else { return Ok(()) };
        for passcode in &ledger.passcodes {
            let session = Session::new(&self.browser, &self.site, false);
            let flow = answered(session.begin(None).await)?;
            let flow = answered(session.password(&flow, &self.username).await)?;
            let done = answered(session.passcode(&flow, passcode).await)?;
            if status(&done) == "COMPLETED" {
                verdict.violations.push("a passcode counted again".to_owned());
            }
            verdict.passcodes += 1;
        }
        Ok(())
    }

    async fn verify_standing(&mut self, verdict: &mut Verdict) -> Result<(), LoadError> {
        let sdk = |error: countersign_sdk::Error| LoadError::other(error.to_string());
        match self.standing.clone() {
            Standing::Unpaired => {
                if !self.phone.sdk().info().await.map_err(sdk)?.is_empty() {
                    verdict.violations.push("an unpaired phone is known".to_owned());
                }
            }
            Standing::Paired { device } => {
                let users = self.phone.sdk().info().await.map_err(sdk)?;
                let known = users.iter().map(|user| user.device.id.as_str()).collect::<Vec<_>>();
                if known != [device.as_str()] {
                    let name = &self.username;
                    verdict.violations.push(format!("{name} is {known:?} and not {device}"));
                }
            }
            Standing::Uninstalled { device } => self.verify_uninstalled(&device, verdict).await?,
            Standing::Blocked { .. } => self.verify_block(verdict).await?,
            Standing::Pairing => {
                verdict.in_doubt += 1;
                match self.phone.sdk().resume_pairing().await.map_err(sdk)? {
                    Some(paired) => self.is_paired(paired.device),
                    None => self.standing = Standing::Unpaired,
                }
                let users = self.phone.sdk().info().await.map_err(sdk)?;
                let is_paired = matches!(self.standing, Standing::Paired { .. });
                if users.len() != usize::from(is_paired) {
                    verdict.violations.push("a pairing in doubt stays in doubt".to_owned());
                }
            }
            Standing::Unpairing { .. } => {
                verdict.in_doubt += 1;
                self.phone.sdk().unpair(None).await.map_err(sdk)?;
                self.standing = Standing::Unpaired;
                if !self.phone.sdk().info().await.map_err(sdk)?.is_empty() {
                    verdict.violations.push("an unpaired phone is known".to_owned());
                }
            }
        }
        Ok(())
    }

    async fn verify_block(&self, verdict: &mut Verdict) -> Result<(), LoadError> {
        let payload = self.phone.sdk().generate_mobile_payload().await;
        let payload = payload.map_err(|error| LoadError::other(error.to_string()))?;
        let session = Session::new(&self.browser, &self.site, true);
        let flow = answered(session.begin(Some(&payload)).await)?;
        let done = answered(session.password(&flow, &self.username).await)?;
        if code_of(&done).is_some() {
            verdict.violations.push("a blocked phone passes".to_owned());
        }
        verdict.blocked += 1;
        Ok(())
    }
}

async fn verify_codes(ledger: &Ledger, verdict: &mut Verdict) -> Result<(), LoadError> {
    for code in &ledger.codes {
        if times_that_count(code, 1).await? > 0 {
            verdict.violations.push("a code counted again".to_owned());
        }
        verdict.codes += 1;
    }
    for code in &ledger.fresh_codes {
        let times = times_that_count(code, 2).await?;
        if times != 1 {
            verdict.violations.push(format!("a code that nobody presented counts {times} times"));
        }
        verdict.codes += 1;
    }
    for code in &ledger.unanswered_codes {
        if times_that_count(code, 2).await? > 1 {
            verdict.violations.push("an unanswered code counted twice".to_owned());
        }
        verdict.in_doubt += 1;
    }
    Ok(())
}

/// Presents a refresh token, and gives its successor if it counts.
async fn refreshes(session: &Session, token: &str) -> Result<Option<String>, LoadError> {
    let answer = answered(session.refresh(token).await)?;
    let next = refresh_token_of(&answer);
    if next.is_none() && answer.get("error").and_then(Value::as_str) != Some("invalid_grant") {
        let why = format!("a refresh token is refused for another reason: {answer}");
        return Err(LoadError::other(why));
    }
    Ok(next)
}

async fn times_that_count(code: &Code, tries: u32) -> Result<u32, LoadError> {
    let mut times = 0;
    for _ in 0..tries {
        let answer = answered(code.session.redeem(&code.code).await)?;
        if id_token_of(&answer).is_some() {
            times += 1;
        } else if answer.get("error").and_then(Value::as_str) != Some("invalid_grant") {
            return Err(LoadError::other(format!(
                "a code is refused for another reason: {answer}"
            )));
        }
    }
    Ok(times)
}
