//! The steps in which a phone reads an authentication code off another screen.

use std::sync::Arc;

use countersign_domain::{
    application::{
        Application, GrantType, Kind, NumberMatchingKind, Oidc, TokenEndpointAuthMethod,
    },
    mfa_policy::MobileApplication,
    role::{Holder, Role, RoleAssignment, Scope},
};
use countersign_emulator::{Backend, Phone};
use countersign_protocol::{
    authentication_code::Code,
    entropy::{SystemEntropy, random},
    jose::Algorithm,
};
use countersign_sdk::{AuthenticationObject, CodeRefusal, CodeStatus, Error};
use countersign_server::app::NewApplication;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    Seen,
    stage::{Stage, text},
    steps::{amr, require},
};
use crate::{Broken, setup};

/// A back end that shows codes, and a phone that reads them.
pub struct Scene {
    pub backend: Backend,
    native: String,
    nora: Phone,
}

/// How many codes are guessed, and by how many at once.
const GUESSES: u32 = 10_000;
const GUESSERS: u32 = 16;

/// How long a code lives.
const LIFE_SECONDS: i64 = 60;

/// The bank's back end gets a worker application, and Nora pairs his phone.
pub async fn scene(stage: &Stage) -> Seen<Scene> {
    let (app, environment) = (stage.platform.app(), stage.bank.environment.id);
    let new = NewApplication {
        name: "Bank back end".to_owned(),
        kind: Kind::Worker,
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
        grant_types: vec![GrantType::ClientCredentials],
        redirect_uris: Vec::new(),
        id_token_algorithm: Algorithm::Es256,
        oidc: Oidc::default(),
        mobile: None,
    };
    let created = app.create_application(environment, new).await?;
    let secret = created.secret.as_ref().map(|secret| secret.expose().as_str());
    let (id, holder) = (app.new_id(), Holder::Application(created.application.id));
    let (role, scope) = (Role::IdentityDataAdmin, Scope::Environment(environment));
    let created_at = app.now();
    app.create(RoleAssignment { id, environment, holder, role, scope, created_at }).await?;
    let id = created.application.id.to_string();
    let backend = Backend::sign_in(&stage.issuer(), &id, secret.unwrap_or_default()).await?;
    setup::user(app, &stage.bank, "nora").await?;
    let nora = stage.new_phone("nora").await?;
    stage.pair(&nora, "nora").await?;
    let native = stage.bank.native.id.to_string();
    Ok((Scene { backend, native, nora }, format!("worker application {id}, Nora's phone paired")))
}

/// A code that a back end shows.
struct Shown {
    id: String,
    uri: String,
}

impl Scene {
    async fn show(&self, approval: &str) -> Result<Shown, Broken> {
        let wanted = json!({
            "application": { "id": self.native },
            "userApproval": approval,
            "clientContext": { "header": "Sign in to the web bank?" },
        });
        let path = format!("/{}/authenticationCodes", self.backend.environment());
        let reply = self.backend.send(Method::POST, &path, Some(&wanted)).await?;
        let of = |pointer| text(&reply.body, pointer);
        match (reply.status, of("/id"), of("/uri")) {
            (201, Some(id), Some(uri)) => Ok(Shown { id, uri }),
            _ => Err(Broken::new(format!("no code: {} {}", reply.status, reply.body))),
        }
    }

    /// What has become of a code: its status, and the user who is signed on.
    async fn outcome(&self, code: &Shown) -> Result<(String, Option<String>), Broken> {
        let path = format!("/{}/authenticationCodes/{}", self.backend.environment(), code.id);
        let body = self.backend.send(Method::GET, &path, None).await?.body;
        let status = text(&body, "/status").ok_or_else(|| Broken::new(body.to_string()))?;
        Ok((status, text(&body, "/user/id")))
    }

    async fn must_be(&self, code: &Shown, status: &str) -> Result<Option<String>, Broken> {
        let (found, user) = self.outcome(code).await?;
        require(found == status, &format!("the code must be {status}, not {found}"))?;
        Ok(user)
    }
}

async fn read(phone: &Phone, code: &Shown) -> Result<AuthenticationObject, Broken> {
    Ok(phone.sdk().authenticate(&code.uri).await?)
}

/// Why a code was not taken.
fn refusal<T>(result: Result<T, Error>) -> Result<CodeRefusal, Broken> {
    match result {
        Err(Error::CodeRefused { reason, .. }) => Ok(reason),
        Err(other) => Err(other.into()),
        Ok(_) => Err(Broken::new("the code must be refused")),
    }
}

/// One user and nobody asked: the claim is all.
pub async fn unasked(scene: &Scene) -> Seen<()> {
    let code = scene.show("NOT_REQUIRED").await?;
    let claim = read(&scene.nora, &code).await?;
    require(claim.status() == CodeStatus::Completed, "the claim must be all")?;
    let user = scene.must_be(&code, "COMPLETED").await?;
    let nora = claim.users().first().map(|user| user.id.clone());
    require(user == nora, "the back end must be told of Nora")?;
    Ok(((), format!("{} read, COMPLETED in the claim", code.uri)))
}

/// The person is asked, and shown what for.
pub async fn approved(scene: &Scene) -> Seen<()> {
    let code = scene.show("REQUIRED").await?;
    let question = read(&scene.nora, &code).await?;
    scene.must_be(&code, "CLAIMED").await?;
    let context = question.client_context().unwrap_or_default().to_owned();
    question.approve(None, None).await?;
    scene.must_be(&code, "COMPLETED").await?;
    Ok(((), format!("the phone shows {context}; approved, COMPLETED")))
}

/// A phone of three users: the person says which.
pub async fn chosen(stage: &Stage, scene: &Scene) -> Seen<()> {
    let phone = stage.new_phone("family").await?;
    for name in ["otto", "pia", "quinn"] {
        setup::user(stage.platform.app(), &stage.bank, name).await?;
        stage.pair(&phone, name).await?;
    }
    let code = scene.show("NOT_REQUIRED").await?;
    let question = read(&phone, &code).await?;
    let names: Vec<_> = question.users().iter().map(|user| user.username.clone()).collect();
    require(names == ["otto", "pia", "quinn"], "the phone must know its three users")?;
    let pia = question.users().get(1).map(|user| user.id.clone());
    question.approve(pia.as_deref(), None).await?;
    require(scene.must_be(&code, "COMPLETED").await? == pia, "the second must be signed on")?;
    Ok(((), format!("{}: the second chosen, and signed on", names.join(", "))))
}

/// The person says no.
pub async fn denied(scene: &Scene) -> Seen<()> {
    let code = scene.show("REQUIRED").await?;
    let question = read(&scene.nora, &code).await?;
    question.deny(None).await?;
    scene.must_be(&code, "DENIED").await?;
    let again = question.approve(None, None).await;
    require(matches!(again, Err(Error::AuthenticationUsed)), "a no must be the end")?;
    Ok(((), "DENIED, and no yes comes after it".to_owned()))
}

/// Nobody reads the code in time.
pub async fn expired(stage: &Stage, scene: &Scene) -> Seen<()> {
    let code = scene.show("REQUIRED").await?;
    stage.clock.advance(LIFE_SECONDS);
    let late = refusal(scene.nora.sdk().authenticate(&code.uri).await)?;
    require(late == CodeRefusal::Expired, "a late phone must hear why")?;
    scene.must_be(&code, "EXPIRED").await?;
    Ok(((), format!("EXPIRED after {LIFE_SECONDS} s, for the phone too")))
}

/// Two phones read one code at the same time.
pub async fn raced(stage: &Stage, scene: &Scene) -> Seen<()> {
    setup::user(stage.platform.app(), &stage.bank, "rosa").await?;
    let rosa = stage.new_phone("rosa").await?;
    stage.pair(&rosa, "rosa").await?;
    let code = scene.show("NOT_REQUIRED").await?;
    let (one, other) =
        tokio::join!(scene.nora.sdk().authenticate(&code.uri), rosa.sdk().authenticate(&code.uri));
    let (winner, loser) = if one.is_ok() { (one, other) } else { (other, one) };
    require(refusal(loser)? == CodeRefusal::Claimed, "the slower phone must hear why")?;
    let won = winner?.users().first().map(|user| user.id.clone());
    require(scene.must_be(&code, "COMPLETED").await? == won, "the faster phone must have it")?;
    Ok(((), "one phone has it, the other one hears CODE_CLAIMED".to_owned()))
}

/// A phone with another app of the bank, and one that vouches for nobody.
pub async fn strangers(stage: &Stage, scene: &Scene) -> Seen<()> {
    let other = other_app(stage).await?;
    setup::user(stage.platform.app(), &stage.bank, "sven").await?;
    let sven = stage.new_phone_of(&other, "sven").await?;
    stage.pair_by(&stage.session(&other, setup::NATIVE_REDIRECT_URI)?, &sven, "sven").await?;
    let code = scene.show("NOT_REQUIRED").await?;
    let foreign = refusal(sven.sdk().authenticate(&code.uri).await)?;
    require(foreign == CodeRefusal::OtherApplication, "another app must hear why")?;
    let unpaired = stage.new_phone("nobody").await?.sdk().authenticate(&code.uri).await;
    let is_unknown = matches!(unpaired, Err(Error::NotPaired { .. }));
    require(is_unknown, "a phone that vouches for nobody must hear why")?;
    scene.must_be(&code, "UNCLAIMED").await?;
    read(&scene.nora, &code).await?;
    scene.must_be(&code, "COMPLETED").await?;
    Ok(((), "both refused, and the code was still there for Nora".to_owned()))
}

/// Another app of the bank under the same MFA policy.
async fn other_app(stage: &Stage) -> Result<Application, Broken> {
    let (app, environment) = (stage.platform.app(), stage.bank.environment.id);
    let names = ("Bank app for firms", "org.countersign.firms");
    let other = setup::native(app, environment, names, NumberMatchingKind::default()).await?;
    app.assign_sign_on_policy(environment, other.id, stage.bank.sign_on_policy.id, 1).await?;
    let mut policy = stage.bank.mfa_policy.clone();
    let listed: Vec<_> = policy.mobile.applications.clone();
    let also = |rules: MobileApplication| MobileApplication { application: other.id, ..rules };
    policy.mobile.applications.extend(listed.into_iter().map(also));
    app.replace_mfa_policy(policy).await?;
    Ok(other)
}

/// The web site shows a code of its own, and goes on when it is approved.
pub async fn site(stage: &Stage, scene: &Scene) -> Seen<()> {
    let site = stage.site()?;
    let flow = site.begin(None).await?.waiting_at("USERNAME_PASSWORD_REQUIRED")?;
    let nothing = json!({});
    let asked = site.act(&flow, "authenticationCode.create", &nothing);
    let flow = asked.await?.waiting_at("AUTHENTICATION_CODE_REQUIRED")?;
    let uri = text(&site.show(&flow).await?, "/authenticationCode/uri");
    let uri = uri.ok_or_else(|| Broken::new("the flow shows no code"))?;
    let question = scene.nora.sdk().authenticate(&uri).await?;
    let application = question.application().to_owned();
    question.approve(None, None).await?;
    let amr = amr(&site.read(&flow).await?.id_token()?)?;
    Ok(((), format!("no user name, no password: {application:?} approved; amr {amr}")))
}

/// A thief with a paired phone tries codes.
pub async fn guessed(scene: &Scene) -> Seen<()> {
    let code = scene.show("NOT_REQUIRED").await?;
    let sdk = Arc::new(scene.nora.sdk().clone());
    let mut guessers = JoinSet::new();
    for _ in 0..GUESSERS {
        let sdk = Arc::clone(&sdk);
        guessers.spawn(async move {
            let (mut wrong, mut held, mut hits) = (0, 0, 0);
            for _ in 0..GUESSES / GUESSERS {
                let guess = Code::from_bits(u64::from_le_bytes(random(&SystemEntropy)));
                match sdk.authenticate(guess.expose()).await {
                    Err(Error::CodeRefused { reason: CodeRefusal::Invalid, .. }) => wrong += 1,
                    Err(Error::Unavailable { status: 429, .. }) => held += 1,
                    Err(other) => return Err(other),
                    Ok(_) => hits += 1,
                }
            }
            Ok((wrong, held, hits))
        });
    }
    let (mut wrong, mut held, mut hits) = (0, 0, 0);
    while let Some(guesser) = guessers.join_next().await {
        let (more_wrong, more_held, more_hits) = guesser??;
        (wrong, held, hits) = (wrong + more_wrong, held + more_held, hits + more_hits);
    }
    require(hits == 0, "no guess may hit")?;
    require(held > wrong, "the limits must hold the thief up")?;
    scene.must_be(&code, "UNCLAIMED").await?;
    Ok(((), format!("{GUESSES} codes: {wrong} looked up and wrong, {held} answered 429, none hit")))
}
