//! Words of the wire for what an application is and may, and what they stand for.

use countersign_domain::{
    account,
    application::{
        Application, GrantType, Kind, NumberMatchingKind, Pkce, ResponseType,
        TokenEndpointAuthMethod,
    },
    console,
    invalid::{Invalid, Rule},
};
use countersign_protocol::jose::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an application speaks.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ApplicationProtocol")]
pub(super) enum ProtocolWord {
    OpenidConnect,
}

/// What an application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ApplicationType")]
pub(super) enum TypeWord {
    WebApp,
    NativeApp,
    SinglePageApp,
    Worker,
    /// The pages of the own account, which every environment has and nobody makes.
    PingOneSelfService,
    /// The console, which the environment of the administrators has and nobody makes.
    PingOneAdminConsole,
}

impl TypeWord {
    /// What an application is; some are the platform's own.
    pub fn of(application: &Application) -> Self {
        Self::own(application).unwrap_or(match application.kind {
            Kind::Web => Self::WebApp,
            Kind::Native => Self::NativeApp,
            Kind::SinglePage => Self::SinglePageApp,
            Kind::Worker => Self::Worker,
        })
    }

    fn own(application: &Application) -> Option<Self> {
        if account::is_of(application) {
            Some(Self::PingOneSelfService)
        } else if console::is(application) {
            Some(Self::PingOneAdminConsole)
        } else {
            None
        }
    }

    /// What this application is to be. What is the platform's own stays it, and nothing else becomes it.
    pub fn kind(self, application: &Application) -> Result<Kind, Invalid> {
        match (Self::own(application), self) {
            (Some(own), told) if own == told => Ok(application.kind),
            (Some(_), _) => Err(Invalid::new("kind", Rule::Immutable)),
            (None, Self::WebApp) => Ok(Kind::Web),
            (None, Self::NativeApp) => Ok(Kind::Native),
            (None, Self::SinglePageApp) => Ok(Kind::SinglePage),
            (None, Self::Worker) => Ok(Kind::Worker),
            (None, Self::PingOneSelfService | Self::PingOneAdminConsole) => {
                let words = &["WEB_APP", "NATIVE_APP", "SINGLE_PAGE_APP", "WORKER"];
                Err(Invalid::new("kind", Rule::OneOf { words }))
            }
        }
    }
}

/// Declares words that stand each for one value of the domain.
macro_rules! words {
    ($(#[doc = $doc:literal] $word:ident ($schema:literal) for $of:ty { $($name:ident = $wire:literal as $value:path,)+ })+) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[schemars(rename = $schema)]
        pub(super) enum $word {
            $(#[serde(rename = $wire)] $name,)+
        }

        impl From<$word> for $of {
            fn from(word: $word) -> Self {
                match word { $($word::$name => $value,)+ }
            }
        }

        impl From<$of> for $word {
            fn from(value: $of) -> Self {
                match value { $($value => Self::$name,)+ }
            }
        }
    )+};
}

words! {
    #[doc = "How an application proves itself at the token endpoint."]
    AuthMethodWord ("TokenEndpointAuthMethod") for TokenEndpointAuthMethod {
        None = "NONE" as TokenEndpointAuthMethod::None,
        Basic = "CLIENT_SECRET_BASIC" as TokenEndpointAuthMethod::ClientSecretBasic,
        Post = "CLIENT_SECRET_POST" as TokenEndpointAuthMethod::ClientSecretPost,
        SecretJwt = "CLIENT_SECRET_JWT" as TokenEndpointAuthMethod::ClientSecretJwt,
        KeyJwt = "PRIVATE_KEY_JWT" as TokenEndpointAuthMethod::PrivateKeyJwt,
    }
    #[doc = "A way to get tokens."]
    GrantTypeWord ("GrantType") for GrantType {
        Code = "AUTHORIZATION_CODE" as GrantType::AuthorizationCode,
        Implicit = "IMPLICIT" as GrantType::Implicit,
        Refresh = "REFRESH_TOKEN" as GrantType::RefreshToken,
        Client = "CLIENT_CREDENTIALS" as GrantType::ClientCredentials,
        Device = "DEVICE_CODE" as GrantType::DeviceCode,
    }
    #[doc = "A part of `response_type`."]
    ResponseTypeWord ("ResponseType") for ResponseType {
        Code = "CODE" as ResponseType::Code,
        Token = "TOKEN" as ResponseType::Token,
        IdToken = "ID_TOKEN" as ResponseType::IdToken,
    }
    #[doc = "Whether requests must carry a code challenge."]
    PkceWord ("PkceEnforcement") for Pkce {
        Optional = "OPTIONAL" as Pkce::Optional,
        Required = "REQUIRED" as Pkce::Required,
        S256Required = "S256_REQUIRED" as Pkce::S256Required,
    }
    #[doc = "An algorithm of ID tokens."]
    AlgorithmWord ("IdTokenAlgorithm") for Algorithm {
        Es256 = "ES256" as Algorithm::Es256,
        Rs256 = "RS256" as Algorithm::Rs256,
    }
    #[doc = "How a number that a page shows comes into the phone."]
    NumberMatchingWord ("NumberMatchingType") for NumberMatchingKind {
        Select = "SELECT_NUMBER" as NumberMatchingKind::SelectNumber,
        Enter = "ENTER_MANUALLY" as NumberMatchingKind::EnterManually,
    }
}

/// Whether only pushed authorization requests count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(rename = "ParRequirement")]
pub(super) enum ParWord {
    Optional,
    Required,
}

impl ParWord {
    pub const fn of(required: bool) -> Self {
        if required { Self::Required } else { Self::Optional }
    }
}
