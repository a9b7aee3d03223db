//! The signature algorithms that clients may use (RFC 7518, section 3.1; RFC 8037, section 3.1).

/// An algorithm of a JWS. There is no `none` among them: what is unsigned has no algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519; also read from its newer name `Ed25519` (RFC 9864).
    EdDsa,
}

impl Algorithm {
    /// Those under a client secret, for discovery.
    pub const SYMMETRIC: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];

    /// Those under a key of the client's own, for discovery.
    pub const ASYMMETRIC: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As `alg` says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name, compared exactly (RFC 7515, section 4.1.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        let all = Self::SYMMETRIC.into_iter().chain(Self::ASYMMETRIC);
        all.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether whoever can verify can also sign.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_is_read_from_its_own_name_alone() {
        for algorithm in Algorithm::SYMMETRIC.into_iter().chain(Algorithm::ASYMMETRIC) {
            assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
            assert_eq!(algorithm.is_symmetric(), algorithm.name().starts_with("HS"));
            assert_eq!(Algorithm::parse(&algorithm.name().to_lowercase()), None);
        }
        for name in ["none", "None", "", "HS1", "RS1", "ES256K", "ES512", " RS256"] {
            assert_eq!(Algorithm::parse(name), None, "{name:?}");
        }
    }
}
