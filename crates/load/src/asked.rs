//! A phone that is asked: a sign-on that waits for it, what it pulls, and its answer.

use std::sync::Arc;

use countersign_protocol::{
    challenge::{
        Acknowledgement, Approval, ChallengeRequest, ChallengesRequest, ChallengesResponse,
        ShownHash,
    },
    device_api::{DeviceRequest, device_base},
    encoding,
    entropy::{SystemEntropy, random},
    jose,
    proof::Proof,
    push::Hint,
    time::{Clock, SystemClock},
};
use form_urlencoded::Serializer;
use hyper::StatusCode;

use crate::{
    LoadError,
    bank::{Bank, REDIRECT_URI, username},
    connection::{Answer, Connection},
    phone::Phone,
};

/// What all phones share.
struct Addresses {
    issuer: String,
    /// Scheme and authority of the issuer, which paths come after.
    origin: String,
    /// The device API, as proofs name it.
    device: String,
    authorize: String,
    flows: String,
}

/// A phone that is asked, and its user.
pub struct Asked {
    addresses: Arc<Addresses>,
    username: String,
    phone: Phone,
}

/// How a sign-on begins, which decides how the phone is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// On the phone, which is asked silently.
    OnThePhone,
    /// Elsewhere, so that the person is asked.
    Elsewhere,
}

/// A flow that waits for a phone.
#[derive(Clone, Debug)]
pub struct Flow {
    path: String,
    cookie: String,
}

/// An answer that is signed, and where to.
pub struct SignedAnswer {
    path: String,
    proof: String,
}

impl Asked {
    /// The first phones of a bank that was seeded with pushes.
    pub fn phones(bank: &Bank, count: usize) -> Result<Vec<Self>, LoadError> {
        let addresses = Arc::new(Addresses::of(bank)?);
        let mut phones = Vec::with_capacity(count);
        for number in bank.driven_users().take(count) {
            let addresses = Arc::clone(&addresses);
            let phone = Phone::of(number, &bank.es256)?.listening();
            phones.push(Self { addresses, username: username(number), phone });
        }
        if phones.len() < count {
            return Err(LoadError::other(format!("the bank has no {count} phones")));
        }
        Ok(phones)
    }

    /// Begins a sign-on that waits for this phone.
    pub async fn begin(
        &self,
        connection: &mut Connection,
        begun: Begun,
    ) -> Result<Flow, LoadError> {
        let Addresses { issuer, authorize, flows, .. } = self.addresses.as_ref();
        let challenge =
            encoding::encode(jose::digest(&encoding::encode(random::<32>(&SystemEntropy))));
        let mut path =
            format!("{authorize}&login_hint={}&code_challenge={challenge}", self.username);
        if begun == Begun::OnThePhone {
            let payload = self.phone.payload(issuer, SystemClock.now(), &SystemEntropy);
            path.push_str("&mobilePayload=");
            path.push_str(&payload);
        }
        let begun = connection.get(&path).await?;
        if !begun.has_member("status", "PUSH_CONFIRMATION_REQUIRED") {
            return Err(begun.unexpected("authorize does not ask the phone"));
        }
        let resume = begun.text_member("resumeUrl").and_then(|url| url.split_once("flowId="));
        match (resume, begun.cookie("ST")) {
            (Some((_, flow)), Some(cookie)) => {
                Ok(Flow { path: format!("{flows}/{flow}"), cookie: cookie.to_owned() })
            }
            _ => Err(begun.unexpected("authorize begins no flow")),
        }
    }

    /// Pulls what the phone is asked.
    pub async fn pull(&self, connection: &mut Connection) -> Result<ChallengesResponse, LoadError> {
        let address = ChallengesRequest::address(&self.addresses.device);
        let signed = self.signed(&address, |phone, address| {
            phone.proof(address, ChallengesRequest::default(), (SystemClock.now(), &SystemEntropy))
        })?;
        let answer = signed.send(connection).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// The answer to the silent question among what was pulled.
    pub fn acknowledgement(&self, pulled: &ChallengesResponse) -> Result<SignedAnswer, LoadError> {
        let silent = pulled.hints.iter().find_map(|message| match &message.hint {
            Hint::Silent { id, nonce } => Some((id, *nonce)),
            Hint::Challenge { .. } | Hint::Cancelled { .. } | Hint::Test { .. } => None,
        });
        let (id, nonce) = silent.ok_or_else(|| LoadError::other("no silent question waits"))?;
        self.answer::<Acknowledgement>(id, |phone, address| {
            let body = Acknowledgement { nonce };
            phone.proof(address, body, (SystemClock.now(), &SystemEntropy))
        })
    }

    /// The person's yes to the visible question among what was pulled. The statement's signature is not checked: that would
    /// cost the load more than the request.
    pub fn approval(&self, pulled: &ChallengesResponse) -> Result<SignedAnswer, LoadError> {
        let pending = pulled.challenges.first();
        let pending = pending.ok_or_else(|| LoadError::other("no question waits"))?;
        let claims = jose::split(&pending.statement);
        let claims = claims.map_err(|error| LoadError::other(error.to_string()))?.claims;
        let shown = ShownHash::of(&claims);
        self.answer::<Approval>(&pending.id, |phone, address| {
            let body = Approval { shown, method: "fpt".to_owned(), number: None };
            phone.verified_proof(address, body, (SystemClock.now(), &SystemEntropy))
        })
    }

    fn answer<P: ChallengeRequest + Proof>(
        &self,
        challenge: &str,
        sign: impl FnOnce(&Phone, &str) -> String,
    ) -> Result<SignedAnswer, LoadError> {
        self.signed(&P::address(&self.addresses.device, challenge), sign)
    }

    fn signed(
        &self,
        address: &str,
        sign: impl FnOnce(&Phone, &str) -> String,
    ) -> Result<SignedAnswer, LoadError> {
        let path = address.strip_prefix(&self.addresses.origin);
        let path = path.ok_or_else(|| LoadError::other("an address of another origin"))?.to_owned();
        Ok(SignedAnswer { path, proof: sign(&self.phone, address) })
    }
}

impl SignedAnswer {
    /// Sends it. Anything but yes is an error.
    pub async fn send(&self, connection: &mut Connection) -> Result<Answer, LoadError> {
        let answer = connection.post_proof(&self.path, &self.proof).await?;
        if answer.status == StatusCode::OK {
            return Ok(answer);
        }
        Err(answer.unexpected("the device API refuses a proof"))
    }
}

impl Flow {
    /// Asks how far it is, and lets the answer wait for up to so many seconds.
    pub async fn wait(
        &self,
        connection: &mut Connection,
        seconds: u8,
    ) -> Result<Answer, LoadError> {
        connection.wait_for(&self.path, &self.cookie, seconds).await
    }

    /// Looks at it once; it must have come to its code.
    pub async fn must_be_completed(&self, connection: &mut Connection) -> Result<(), LoadError> {
        completed(&connection.get_with(&self.path, &self.cookie).await?)
    }
}

/// A flow that was read must have come to its code.
pub(crate) fn completed(flow: &Answer) -> Result<(), LoadError> {
    if flow.has_member("status", "COMPLETED") && flow.text_member("code").is_some() {
        return Ok(());
    }
    Err(flow.unexpected("a flow is not completed"))
}

impl Addresses {
    fn of(bank: &Bank) -> Result<Self, LoadError> {
        let foreign = || LoadError::other("the issuer has another form than expected");
        let device = device_base(&bank.issuer).ok_or_else(foreign)?;
        let origin = bank.issuer.strip_suffix(&bank.path("/as")).ok_or_else(foreign)?;
        let query = Serializer::new(String::new())
            .append_pair("client_id", &bank.es256)
            .append_pair("response_type", "code")
            .append_pair("response_mode", "pi.flow")
            .append_pair("redirect_uri", REDIRECT_URI)
            .append_pair("scope", "openid")
            .append_pair("code_challenge_method", "S256")
            .finish();
        Ok(Self {
            issuer: bank.issuer.clone(),
            origin: origin.to_owned(),
            device,
            authorize: format!("{}?{query}", bank.path("/as/authorize")),
            flows: bank.path("/flows"),
        })
    }
}
