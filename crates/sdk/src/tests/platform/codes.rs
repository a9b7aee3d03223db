//! The half of the platform that shows codes on other screens.

use countersign_protocol::authentication_code::{
    ClaimRequest, ClaimResponse, CodeApproval, CodeDenial, CodeRequest, CodeResponse, CodeStatus,
    CodeUser, NeedsApproval,
};
use countersign_protocol::challenge::{NumberMatching, Origin};

use super::*;

/// How long a code can be claimed and answered.
pub const CODE_SECONDS: i64 = 60;

/// The characters of the first code. The second has 23 at its end, and so on.
pub const CODE: &str = "7F45HG22";

/// A code on a screen, and what has become of it.
#[derive(Clone, Default)]
pub struct ShownCode {
    pub is_unasked: bool,
    pub number_matching: Option<NumberMatching>,
    pub number: Option<u32>,
    /// What a claim is told instead of the truth.
    pub claimed_as: Option<CodeStatus>,
    /// Why it is not taken.
    pub refusal: Option<DetailCode>,
    pub status: Option<CodeStatus>,
    pub user: Option<String>,
    pub claimed_by: Option<Thumbprint>,
    pub shown_at: Option<Timestamp>,
}

impl FakePlatform {
    /// Shows a code. The first one is [`CODE`].
    pub fn show(&self, code: ShownCode) {
        lock(&self.codes).push(ShownCode { shown_at: Some(self.clock.now()), ..code });
    }

    pub fn code(&self, index: usize) -> ShownCode {
        lock(&self.codes)[index].clone()
    }

    pub fn refuse_code(&self, index: usize, why: Option<DetailCode>) {
        lock(&self.codes)[index].refusal = why;
    }

    pub(super) fn answer_code(&self, request: &Request, path: &str) -> Response {
        let path = path.strip_prefix("/e/device/v1/authentication-codes/").unwrap();
        match path.split('/').collect::<Vec<_>>()[..] {
            ["claims"] => self.proven(request, Self::claim),
            [id, CodeApproval::ACTION] => self.decided(request, id, |code, body: &CodeApproval| {
                code.user = Some(body.user.clone());
                let is_right = code.number == body.number;
                if is_right { CodeStatus::Completed } else { CodeStatus::Denied }
            }),
            [id, CodeDenial::ACTION] => self.decided(request, id, |code, body: &CodeDenial| {
                code.user.clone_from(&body.user);
                CodeStatus::Denied
            }),
            _ => error(404, ErrorCode::NotFound, None),
        }
    }

    fn claim(&self, proof: &Verified<ClaimRequest>) -> Response {
        let devices = self.devices_of(proof.thumbprint());
        let users: Vec<_> = devices.iter().map(|device| code_user(&device.user)).collect();
        let mut codes = lock(&self.codes);
        let named = |index: &usize| proof.body().code.expose() == format!("7F45HG{}", 22 + index);
        let Some(index) = (0..codes.len()).find(named) else {
            return refused(DetailCode::CodeInvalid);
        };
        let code = &mut codes[index];
        if let Some(why) = code.refusal {
            return refused(why);
        }
        if code.status.is_some() {
            return refused(DetailCode::CodeClaimed);
        }
        let is_done = users.len() == 1 && code.is_unasked && code.number.is_none();
        let status = if is_done { CodeStatus::Completed } else { CodeStatus::Claimed };
        (code.status, code.claimed_by) = (Some(status), Some(proof.thumbprint()));
        let response = ClaimResponse {
            id: format!("code-{index}"),
            status: code.claimed_as.unwrap_or(status),
            users,
            needs_approval: if code.is_unasked {
                NeedsApproval::NotRequired
            } else {
                NeedsApproval::Required
            },
            application: "Bank".to_owned(),
            client_context: Some(r#"{"header":"Sign in?"}"#.to_owned()),
            origin: Origin { address: Some("192.0.2.7".to_owned()), browser: None },
            number_matching: code.number_matching.clone(),
            expires_at: code.shown_at.unwrap().plus_seconds(CODE_SECONDS),
        };
        ok(200, &response)
    }

    /// Lets `act` end the code `id`, when the phone that has claimed it says so by the right key.
    fn decided<P: CodeRequest>(
        &self,
        request: &Request,
        id: &str,
        act: fn(&mut ShownCode, &P) -> CodeStatus,
    ) -> Response {
        let body: ProofBody = serde_json::from_slice(&request.body).unwrap();
        let peeked = proof::peek::<P>(&body.proof).unwrap();
        let kid = peeked.unverified_kid();
        let verification = lock(&self.verifications).get(&kid).copied();
        let possession = || lock(&self.installations).get(&kid).map(|key| (*key, kid));
        // A phone that can ask its person must.
        let may_approve = |kid| lock(&self.verifications).values().all(|(_, owner)| *owner != kid);
        let is_enough = P::ACTION == CodeDenial::ACTION || may_approve(kid);
        let key = verification.or_else(|| possession().filter(|_| is_enough));
        let Some((key, installation)) = key else { return refused(DetailCode::CodeInvalid) };
        self.verified(peeked, &key, &P::address(DEVICE_BASE, id), |platform, proof| {
            let index: usize = id.strip_prefix("code-").unwrap().parse().unwrap();
            let mut codes = lock(&platform.codes);
            let code = &mut codes[index];
            let ends_at = code.shown_at.unwrap().plus_seconds(CODE_SECONDS);
            let why = match code.status {
                _ if code.refusal.is_some() => code.refusal,
                _ if code.claimed_by != Some(installation) => Some(DetailCode::CodeInvalid),
                Some(CodeStatus::Claimed) if ends_at > platform.clock.now() => None,
                Some(CodeStatus::Claimed) => Some(DetailCode::CodeExpired),
                _ => Some(DetailCode::CodeEnded),
            };
            if let Some(why) = why {
                return refused(why);
            }
            let status = act(code, proof.body());
            code.status = Some(status);
            ok(200, &CodeResponse { status })
        })
    }
}

fn refused(why: DetailCode) -> Response {
    error(400, ErrorCode::RequestFailed, Some((why, None)))
}

fn code_user(user: &str) -> CodeUser {
    let UserFacts { id, username, name } = facts(user);
    CodeUser { id, username: username.unwrap_or_default(), name, email: None }
}
