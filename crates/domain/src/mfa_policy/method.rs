//! The methods beside native applications: what an MFA policy may say of them. The platform keeps it and pairs no such devices.

use crate::invalid::Check;

/// A method other than native applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Passcodes by text message.
    Sms,
    /// Passcodes by phone call.
    Voice,
    /// Passcodes by mail.
    Email,
    /// Passcodes by `WhatsApp`.
    WhatsApp,
    /// Authenticator apps (RFC 6238).
    Totp,
    /// Security keys and passkeys.
    Fido2,
    /// Hardware tokens (RFC 4226).
    OathToken,
}

/// What a policy says of a method; what it leaves out is as usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodRules {
    /// Wrong attempts that lock a device, 1 to 7.
    pub failures: Option<u8>,
    /// How long that lasts: up to 30 minutes, and except for messages at least 2.
    pub lock_seconds: Option<u32>,
    /// How long a passcode can be used, up to 30 minutes.
    pub life_seconds: Option<u32>,
    /// Digits of a passcode, 6 to 10.
    pub length: Option<u8>,
    /// Passcodes before and after the present one that count, 1 to 10.
    pub grace: Option<u8>,
}

impl Method {
    /// Its name as a member of policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Voice => "voice",
            Self::Email => "email",
            Self::WhatsApp => "whats_app",
            Self::Totp => "totp",
            Self::Fido2 => "fido2",
            Self::OathToken => "oath_token",
        }
    }

    const fn shortest_lock(self) -> i64 {
        match self {
            Self::Sms | Self::Voice | Self::Email | Self::WhatsApp => 0,
            Self::Totp | Self::Fido2 | Self::OathToken => 120,
        }
    }

    /// Where it tells of wrong attempts.
    const fn failure(self) -> [&'static str; 2] {
        match self {
            Self::Fido2 => ["failure.count", "failure.cool_down_seconds"],
            Self::Sms
            | Self::Voice
            | Self::Email
            | Self::WhatsApp
            | Self::Totp
            | Self::OathToken => ["otp.failure.count", "otp.failure.cool_down_seconds"],
        }
    }
}

impl MethodRules {
    /// The bounds.
    pub fn validate(&self, method: Method, check: &mut Check) {
        let [count, cool_down] = method.failure();
        let rules = [
            (self.failures.map(i64::from), count, 1, 7),
            (self.lock_seconds.map(i64::from), cool_down, method.shortest_lock(), 1_800),
            (self.life_seconds.map(i64::from), "otp.life_seconds", 1, 1_800),
            (self.length.map(i64::from), "otp.otp_length", 6, 10),
            (self.grace.map(i64::from), "passcode_grace_period", 1, 10),
        ];
        check.within(method.name(), |check| {
            for (value, target, min, max) in rules {
                if let Some(value) = value {
                    check.range(value, target, min, max);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(method: Method, rules: MethodRules) -> String {
        let mut check = Check::default();
        rules.validate(method, &mut check);
        check.finish().map_or_else(|invalid| invalid.to_string(), |()| String::new())
    }

    #[test]
    fn each_broken_rule_is_told_with_its_method() {
        const RULES: MethodRules = MethodRules {
            failures: Some(3),
            lock_seconds: Some(120),
            life_seconds: Some(1_800),
            length: Some(6),
            grace: None,
        };
        let table = [
            (Method::Sms, RULES, ""),
            (Method::Sms, MethodRules { lock_seconds: Some(0), ..RULES }, ""),
            (Method::WhatsApp, MethodRules { lock_seconds: Some(0), ..RULES }, ""),
            (
                Method::Voice,
                MethodRules { failures: Some(0), ..RULES },
                "voice.otp.failure.count must be from 1 to 7",
            ),
            (
                Method::Email,
                MethodRules { lock_seconds: Some(1_801), ..RULES },
                "email.otp.failure.cool_down_seconds must be from 0 to 1800",
            ),
            (
                Method::Sms,
                MethodRules { life_seconds: Some(1_801), length: Some(5), ..RULES },
                "sms.otp.life_seconds must be from 1 to 1800; sms.otp.otp_length must be from 6 to 10",
            ),
            (
                Method::Totp,
                MethodRules { lock_seconds: Some(119), grace: Some(11), ..RULES },
                "totp.otp.failure.cool_down_seconds must be from 120 to 1800; totp.passcode_grace_period must be from 1 to 10",
            ),
            (
                Method::Fido2,
                MethodRules { failures: Some(8), ..RULES },
                "fido2.failure.count must be from 1 to 7",
            ),
            (
                Method::OathToken,
                MethodRules { lock_seconds: Some(0), ..RULES },
                "oath_token.otp.failure.cool_down_seconds must be from 120 to 1800",
            ),
        ];
        for (method, rules, expected) in table {
            assert_eq!(told(method, rules), expected, "{method:?}");
        }
    }
}
