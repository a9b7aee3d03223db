//! The actions of the audit log: what can happen, under the vendor's names, which administrators know.

use serde::{Deserialize, Serialize};

/// Declares the actions. Each has a name on the wire, an outcome that its name implies, and a sentence that says when it
/// occurs: the table in `docs/audit.md` is made of the same.
macro_rules! actions {
    ($($variant:ident = $name:literal, $outcome:ident, $meaning:literal;)+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Action {
            $(
                #[doc = $meaning]
                #[serde(rename = $name)]
                $variant,
            )+
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name on the wire and in the store.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// When it occurs, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }

            /// What its name says of the outcome, where the event does not say more.
            pub(super) const fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome),+ }
            }
        }
    };
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
}

actions! {
    EnvironmentCreated = "ENVIRONMENT.CREATED", Success, "An environment was made.";
    EnvironmentUpdated = "ENVIRONMENT.UPDATED", Success, "An environment was changed.";
    EnvironmentDeleted = "ENVIRONMENT.DELETED", Success, "An environment was deleted.";
    PopulationCreated = "POPULATION.CREATED", Success, "A population was made.";
    PopulationUpdated = "POPULATION.UPDATED", Success, "A population was changed.";
    PopulationDeleted = "POPULATION.DELETED", Success, "A population was deleted.";
    GroupCreated = "GROUP.CREATED", Success, "A group was made.";
    GroupUpdated = "GROUP.UPDATED", Success, "A group was changed.";
    GroupDeleted = "GROUP.DELETED", Success, "A group was deleted.";
    GroupMemberAdded = "GROUP.MEMBER_ADDED", Success, "A user has joined a group.";
    GroupMemberRemoved = "GROUP.MEMBER_REMOVED", Success, "A user has left a group.";
    RoleAssignmentCreated = "ROLE_ASSIGNMENT.CREATED", Success,
        "A user or an application was given a role.";
    RoleAssignmentDeleted = "ROLE_ASSIGNMENT.DELETED", Success,
        "A user or an application has lost a role.";
    ApplicationCreated = "APPLICATION.CREATED", Success, "An application was made.";
    ApplicationUpdated = "APPLICATION.UPDATED", Success, "An application was changed.";
    ApplicationDeleted = "APPLICATION.DELETED", Success, "An application was deleted.";
    ResourceCreated = "RESOURCE.CREATED", Success, "A protected resource was made.";
    ResourceUpdated = "RESOURCE.UPDATED", Success,
        "A protected resource, its scopes or its attributes were changed.";
    ResourceDeleted = "RESOURCE.DELETED", Success, "A protected resource was deleted.";
    SecretRead = "SECRET.READ", Success, "The secret of an application was read.";
    SecretUpdated = "SECRET.UPDATED", Success,
        "An application was given a new secret, or its previous one counts no longer.";
    SignOnPolicyCreated = "POLICY.CREATED", Success, "A sign-on policy was made.";
    SignOnPolicyUpdated = "POLICY.UPDATED", Success, "A sign-on policy was changed.";
    SignOnPolicyDeleted = "POLICY.DELETED", Success, "A sign-on policy was deleted.";
    SignOnPolicyAssignmentCreated = "SIGN_ON_POLICY_ASSIGNMENT.CREATED", Success,
        "An application was told to use a sign-on policy.";
    SignOnPolicyAssignmentUpdated = "SIGN_ON_POLICY_ASSIGNMENT.UPDATED", Success,
        "The use of a sign-on policy by an application was changed.";
    SignOnPolicyAssignmentDeleted = "SIGN_ON_POLICY_ASSIGNMENT.DELETED", Success,
        "An application uses a sign-on policy no longer.";
    MfaPolicyCreated = "DEVICE_AUTHENTICATION_POLICY.CREATED", Success, "An MFA policy was made.";
    MfaPolicyUpdated = "DEVICE_AUTHENTICATION_POLICY.UPDATED", Success,
        "An MFA policy was changed.";
    MfaPolicyDeleted = "DEVICE_AUTHENTICATION_POLICY.DELETED", Success, "An MFA policy was deleted.";
    MfaSettingsUpdated = "MFA_SETTINGS.UPDATED", Success,
        "The MFA settings of the environment were set.";
    UserCreated = "USER.CREATED", Success, "A user was made.";
    UserUpdated = "USER.UPDATED", Success, "A user was changed.";
    UserDeleted = "USER.DELETED", Success, "A user was deleted.";
    UserLocked = "USER.LOCKED", Success,
        "Wrong passcodes over all devices locked the MFA of a user, or an administrator locked the user.";
    UserUnlocked = "USER.UNLOCKED", Success, "An administrator ended the locks of a user.";
    PasswordSet = "PASSWORD.SET", Success,
        "A password was set for a user, which ends a lock of the old one.";
    PasswordUnlocked = "PASSWORD.UNLOCKED", Success,
        "An administrator ended the lock that wrong passwords have brought.";
    PasswordForceChange = "PASSWORD.FORCE_CHANGE", Success,
        "An administrator lets a password serve only to choose another one.";
    PasswordReset = "PASSWORD.RESET", Success,
        "A user replaced a password that had to be changed.";
    PasswordCheckSucceeded = "PASSWORD.CHECK_SUCCEEDED", Success, "A password was right.";
    PasswordCheckFailed = "PASSWORD.CHECK_FAILED", Failure,
        "A password was wrong or locked, or nobody has the user name.";
    FlowCreated = "FLOW.CREATED", Success, "A sign-on began.";
    AuthenticationCreated = "AUTHENTICATION.CREATED", Success,
        "A worker application began to authenticate a user.";
    AuthenticationUpdated = "AUTHENTICATION.UPDATED", Success,
        "A worker application chose a device, or took a question back.";
    AccessAllowed = "USER.ACCESS_ALLOWED", Success, "A sign-on succeeded.";
    AccessDenied = "USER.ACCESS_DENIED", Failure, "A sign-on failed.";
    GrantReused = "GRANT.REUSED", Failure,
        "An authorization code or a refresh token came twice, and what it gave was revoked.";
    GrantAnswered = "GRANT.ANSWERED", Success,
        "An application got tokens in its authorization response.";
    GrantRevoked = "GRANT.REVOKED", Success, "An application gave up its tokens.";
    DeviceAuthorized = "DEVICE_PAYLOAD.CHECK_SUCCESS", Success,
        "A paired phone passed an MFA step by itself.";
    DevicePayloadRefused = "DEVICE_PAYLOAD.CHECK_INVALID", Failure,
        "A mobile payload or another proof was good and did not count, because it had counted before.";
    PasscodeCheckSucceeded = "OTP.CHECK_SUCCESS", Success, "A passcode was right.";
    PasscodeCheckFailed = "OTP.CHECK_FAILED", Failure, "A passcode was wrong.";
    NotificationCreated = "NOTIFICATION.CREATED", Success,
        "A device was asked something: by a silent push, or visibly.";
    NotificationUpdated = "NOTIFICATION.UPDATED", Success,
        "A device has answered, or a push service has taken a message.";
    NotificationRejected = "NOTIFICATION.REJECTED", Failure,
        "A person or a push service has refused, or there was no answer in time.";
    DeviceFraudReported = "DEVICE.FRAUD_REPORTED", Failure,
        "A person has said that somebody else tried to sign on.";
    PushesStopped = "USER.PUSHES_STOPPED", Success,
        "Too many questions without a yes: an app of the user is not asked for a while.";
    PushCredentialsCreated = "PUSH_CREDENTIALS.CREATED", Success,
        "An application was given credentials of a push service.";
    PushCredentialsUpdated = "PUSH_CREDENTIALS.UPDATED", Success,
        "The credentials of an application at a push service were replaced.";
    PushCredentialsDeleted = "PUSH_CREDENTIALS.DELETED", Success,
        "An application has lost its credentials of a push service.";
    PushHealthUpdated = "APPLICATION.PUSH_HEALTH_UPDATED", Success,
        "Automatic unpairing of an application was stopped by its guard, or an administrator lets it go on.";
    AuthenticationCodeCreated = "AUTHENTICATION_CODE.CREATED", Success,
        "A code was made by which a phone can sign somebody on at another screen.";
    AuthenticationCodeUpdated = "AUTHENTICATION_CODE.UPDATED", Success,
        "A phone has claimed, approved or denied an authentication code, or it has expired.";
    AuthenticationCodeDeleted = "AUTHENTICATION_CODE.DELETED", Success,
        "An authentication code was withdrawn by its creator.";
    PairingKeyCreated = "PAIRING_KEY.CREATED", Success,
        "A key was made by which a phone can be paired to a user.";
    PairingKeyDeleted = "PAIRING_KEY.DELETED", Success, "A pairing key was withdrawn.";
    DeviceUpdated = "DEVICE.UPDATED", Success,
        "The push address, the name or the place of a device has changed, or its logs were asked for.";
    DevicesOrdered = "DEVICES.ORDER_UPDATED", Success,
        "An administrator has put the devices of a user in an order.";
    DevicesUnordered = "DEVICES.ORDER_DELETED", Success,
        "An administrator has let the devices of a user be in the order of their pairing.";
    DeviceLogsReceived = "DEVICE.LOGS_RECEIVED", Success, "A phone has sent the logs of its app.";
    DeviceCreated = "DEVICE.CREATED", Success, "A device was paired.";
    DeviceActivationFailed = "DEVICE.ACTIVATION_FAILED", Failure,
        "A person refused to pair, or a pairing failed.";
    DevicePairingFailedCompromised = "DEVICE.PAIRING_FAILED_COMPROMISED", Failure,
        "A rooted phone was not offered to pair, or not paired.";
    DeviceDeleted = "DEVICE.DELETED", Success, "A device was removed.";
    DeviceBlocked = "DEVICE.BLOCKED", Success, "An administrator blocked a device.";
    DeviceUnblocked = "DEVICE.UNBLOCKED", Success, "An administrator unblocked a device.";
    DeviceLocked = "DEVICE.LOCKED", Success, "Wrong passcodes locked a device.";
    DeviceUnlocked = "DEVICE.UNLOCKED", Success, "An administrator ended the lock of a device.";
    SessionCreated = "SESSION.CREATED", Success, "A session began.";
    SessionUpdated = "SESSION.UPDATED", Success, "Somebody proved something more in a session.";
    SessionDeleted = "SESSION.DELETED", Success, "A session was ended.";
    LogoutTokenFailed = "SESSION.LOGOUT_TOKEN_FAILED", Failure,
        "An application could not be told that a session has ended.";
    KeyCreated = "KEY.CREATED", Success, "A signing key was made and published.";
    KeyRotated = "KEY.ROTATED", Success,
        "A signing key signs from now on, in place of the one before.";
    KeyDeleted = "KEY.DELETED", Success, "A signing key is no longer published.";
    SubscriptionCreated = "SUBSCRIPTION.CREATED", Success, "A webhook was made.";
    SubscriptionUpdated = "SUBSCRIPTION.UPDATED", Success,
        "A webhook was changed, or is told once more of what has happened since a time.";
    SubscriptionDeleted = "SUBSCRIPTION.DELETED", Success, "A webhook was deleted.";
    AuditRecordsDeleted = "AUDIT_RECORDS.DELETED", Success,
        "Sealed audit records older than the retention began to be deleted.";
}

impl Action {
    /// The action of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_found_by_its_name_and_stored_under_it() {
        for action in Action::ALL.iter().copied() {
            assert_eq!(Action::named(action.name()), Some(action));
            assert_eq!(serde_json::json!(action), action.name());
        }
        assert_eq!(Action::named("DEVICE.EATEN"), None);
    }

    #[test]
    fn the_table_in_the_documentation_is_the_one_in_the_code() {
        let page = include_str!("../../../../docs/audit.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let rows = rows.filter_map(|row| row.strip_suffix(" |")?.split_once("` | "));
        let told: Vec<_> = rows.filter(|(name, _)| name.contains('.')).collect();
        let known: Vec<_> =
            Action::ALL.iter().map(|action| (action.name(), action.meaning())).collect();
        assert_eq!(told, known);
    }
}
