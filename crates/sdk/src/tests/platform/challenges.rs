//! The half of the platform that asks: challenges, push addresses and tests of them.

use countersign_protocol::challenge::{
    Acknowledgement, Approval, ChallengeRequest, ChallengeResponse, ChallengeStatus,
    ChallengesRequest, ChallengesResponse, NumberMatching, Origin, PendingChallenge,
    PushAddressRequest, PushAddressResponse, PushTestRequest, PushTestResponse, Refusal, ShownHash,
    Statement, VerificationKey,
};
use countersign_protocol::push::{Hint, MEMBER, PushNonce};

use super::*;

/// How long a challenge waits.
pub const LIFE_SECONDS: i64 = 90;

/// A question, and what has become of it.
#[derive(Clone, Default)]
pub struct Challenge {
    pub number_matching: Option<NumberMatching>,
    pub number: Option<u32>,
    /// There is one when it is silent.
    pub nonce: Option<PushNonce>,
    pub ended: Option<DetailCode>,
    pub status: Option<ChallengeStatus>,
    pub method: Option<String>,
    pub refusal: Option<Refusal>,
    statement: Option<Statement>,
}

impl Challenge {
    pub fn select(options: [u32; 3], right: u32) -> Self {
        let number_matching = Some(NumberMatching::SelectNumber { options: options.to_vec() });
        Self { number_matching, number: Some(right), ..Self::default() }
    }

    pub fn enter(digits: u8, right: u32) -> Self {
        let number_matching = Some(NumberMatching::EnterManually { digits });
        Self { number_matching, number: Some(right), ..Self::default() }
    }
}

pub fn push(hint: Hint) -> Value {
    json!({ "aps": { "alert": "Sign in?" }, MEMBER: PushMessage::new(hint) })
}

impl FakePlatform {
    /// Asks the last installation that was paired, and gives the push message.
    pub fn ask(&self, challenge: Challenge) -> Value {
        push(self.hint(challenge))
    }

    pub fn hint(&self, challenge: Challenge) -> Hint {
        let now = self.clock.now();
        let device = lock(&self.devices).last().cloned().unwrap();
        let mut challenges = lock(&self.challenges);
        let id = format!("challenge-{}", challenges.len());
        let statement = Statement {
            iss: ISSUER.to_owned(),
            aud: device.installation,
            jti: id.clone(),
            iat: now,
            exp: now.plus_seconds(LIFE_SECONDS),
            user: facts(&device.user),
            device: Reference { id: device.id },
            application: "Bank".to_owned(),
            title: "Sign in?".to_owned(),
            message: "Somebody signs in to Bank.".to_owned(),
            client_context: Some(r#"{"amount":"10"}"#.to_owned()),
            number_matching: challenge.number_matching.clone(),
            origin: Origin { address: Some("192.0.2.7".to_owned()), browser: None },
        };
        let nonce = challenge.nonce;
        challenges.push(Challenge { statement: Some(statement), ..challenge });
        match nonce {
            Some(nonce) => Hint::Silent { id, nonce },
            None => Hint::Challenge { id },
        }
    }

    pub fn silent(&self) -> Hint {
        self.hint(Challenge { nonce: Some(PushNonce::new(&self.entropy)), ..Challenge::default() })
    }

    pub fn challenge(&self, index: usize) -> Challenge {
        lock(&self.challenges)[index].clone()
    }

    /// Changes what the platform will sign of a challenge.
    pub fn spoil(&self, index: usize, spoil: impl FnOnce(&mut Statement)) {
        spoil(lock(&self.challenges)[index].statement.as_mut().unwrap());
    }

    pub fn end(&self, index: usize, how: DetailCode) {
        lock(&self.challenges)[index].ended = Some(how);
    }

    /// The person's phone has this user-verification key.
    pub(super) fn learn_keys<P: Pair>(&self, installation: Thumbprint, body: &P) {
        let PairingFacts { nonce, verification, push, .. } = body.facts();
        *lock(&self.push) = push.cloned();
        let Some(jws) = verification else { return };
        let audience = P::address(DEVICE_BASE);
        let of = (installation, nonce);
        let key = VerificationKey::verify(jws, of, &audience, self.clock.now()).unwrap();
        lock(&self.verifications).insert(key.thumbprint(), (key, installation));
    }

    pub fn has_verification_key(&self) -> bool {
        !lock(&self.verifications).is_empty()
    }

    pub(super) fn answer_push(&self, request: &Request, path: &str) -> Response {
        let path = path.strip_prefix("/e/device/v1/").unwrap_or_default();
        let parts: Vec<_> = path.split('/').collect();
        match parts[..] {
            ["challenges"] => self.proven(request, Self::list_challenges),
            ["push-address"] => self.proven(request, |platform, proof: &Verified<_>| {
                let PushAddressRequest { push, .. } = proof.body();
                lock(&platform.push).clone_from(push);
                ok(200, &PushAddressResponse { devices: Vec::new() })
            }),
            ["push-tests"] => self.proven(request, |platform, _: &Verified<PushTestRequest>| {
                let error_code = lock(&platform.refuses_test).clone();
                let accepted = error_code.is_none();
                ok(200, &PushTestResponse { id: "test-1".to_owned(), accepted, error_code })
            }),
            ["challenges", id, Acknowledgement::ACTION] => {
                self.answered(request, id, false, Self::acknowledge)
            }
            ["challenges", id, Approval::ACTION] => self.answered(request, id, true, Self::approve),
            ["challenges", id, Refusal::ACTION] => self.answered(request, id, false, Self::refuse),
            _ => error(404, ErrorCode::NotFound, None),
        }
    }

    fn list_challenges(&self, proof: &Verified<ChallengesRequest>) -> Response {
        if self.devices_of(proof.thumbprint()).is_empty() {
            return error(401, ErrorCode::DeviceNotPaired, None);
        }
        ok(200, &self.waiting())
    }

    /// What waits now, as the platform says it by all ways.
    pub fn waiting(&self) -> ChallengesResponse {
        let waiting: Vec<_> = lock(&self.challenges)
            .iter()
            .filter(|one| one.nonce.is_none() && one.status.is_none() && one.ended.is_none())
            .filter_map(|one| one.statement.clone())
            .filter(|statement| statement.exp > self.clock.now())
            .collect();
        let sign = |statement: Statement| PendingChallenge {
            statement: self.sign(Statement::TYP, &statement),
            id: statement.jti,
        };
        let hints = std::mem::take(&mut *lock(&self.hints));
        ChallengesResponse { challenges: waiting.into_iter().map(sign).collect(), hints }
    }

    /// What somebody could answer who has seen only the first challenge, and calls it `id`.
    pub fn listed_as(&self, id: &str) -> Response {
        let statement = self.challenge(0).statement.unwrap();
        let statement = self.sign(Statement::TYP, &statement);
        let challenges = vec![PendingChallenge { id: id.to_owned(), statement }];
        ok(200, &ChallengesResponse { challenges, hints: Vec::new() })
    }

    /// Lets `act` answer the challenge `id`, when the right key has signed and it waits.
    fn answered<P: ChallengeRequest>(
        &self,
        request: &Request,
        id: &str,
        is_verified: bool,
        act: fn(&mut Challenge, &P) -> ChallengeStatus,
    ) -> Response {
        let body: ProofBody = serde_json::from_slice(&request.body).unwrap();
        let peeked = proof::peek::<P>(&body.proof).unwrap();
        let kid = peeked.unverified_kid();
        let key = if is_verified {
            lock(&self.verifications).get(&kid).copied()
        } else {
            lock(&self.installations).get(&kid).map(|key| (*key, kid))
        };
        let Some((key, installation)) = key else {
            return error(401, ErrorCode::DeviceNotPaired, None);
        };
        self.verified(peeked, &key, &P::address(DEVICE_BASE, id), |platform, proof| {
            let refused = |code| error(400, ErrorCode::RequestFailed, Some((code, None)));
            let mut challenges = lock(&platform.challenges);
            let found = challenges.iter_mut().find(|one| {
                let statement = one.statement.as_ref().unwrap();
                (statement.jti.as_str(), statement.aud) == (id, installation)
            });
            let Some(challenge) = found else { return refused(DetailCode::ChallengeInvalid) };
            if let Some(code) = challenge.ended {
                return refused(code);
            }
            if challenge.status.is_some() {
                return refused(DetailCode::ChallengeAnswered);
            }
            if challenge.statement.as_ref().unwrap().exp <= platform.clock.now() {
                return refused(DetailCode::ChallengeExpired);
            }
            let status = act(challenge, proof.body());
            challenge.status = Some(status);
            ok(200, &ChallengeResponse { status })
        })
    }

    fn acknowledge(challenge: &mut Challenge, body: &Acknowledgement) -> ChallengeStatus {
        assert_eq!(challenge.nonce, Some(body.nonce), "another message was acknowledged");
        ChallengeStatus::Acknowledged
    }

    fn approve(challenge: &mut Challenge, body: &Approval) -> ChallengeStatus {
        let claims = serde_json::to_vec(challenge.statement.as_ref().unwrap()).unwrap();
        assert_eq!(body.shown, ShownHash::of(&claims), "another question was approved");
        challenge.method = Some(body.method.clone());
        let is_right = challenge.number == body.number;
        if is_right { ChallengeStatus::Approved } else { ChallengeStatus::WrongNumber }
    }

    fn refuse(challenge: &mut Challenge, body: &Refusal) -> ChallengeStatus {
        challenge.refusal = Some(body.clone());
        ChallengeStatus::Denied
    }
}
