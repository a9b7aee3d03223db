//! Whether push credentials can be used, and whether push services have complained.

use countersign_server::app::PushDiagnosis;

use super::Finding;
use crate::push::name;

pub(super) fn judge(found: &PushDiagnosis) -> Vec<Finding> {
    let mut findings = Vec::new();
    for credentials in &found.credentials {
        let (service, application) = (name(credentials.service), &credentials.application);
        let what = format!("push: credentials of {service} for {application}");
        findings.push(match &credentials.flaw {
            None => Finding::ok(format!("{what} can be used")),
            Some(flaw) => Finding::error(
                format!("{what} cannot be used: {flaw}"),
                "give them anew by `countersign push-credentials put`",
            ),
        });
    }
    for noted in &found.health {
        let application = &noted.application;
        if let Some(at) = noted.health.stopped_at {
            let at = at.to_rfc3339_millis();
            findings.push(Finding::warning(
                format!("push: automatic unpairing for {application} is stopped since {at}"),
                "see whether its push service was wrong, then `countersign push-health resume`",
            ));
        }
        for warning in &noted.health.warnings {
            let (service, last) = (name(warning.service), warning.last_at.to_rfc3339_millis());
            let (reason, count) = (&warning.reason, warning.count);
            findings.push(Finding::warning(
                format!("push: {service} for {application}: {reason}, {count} times, last {last}"),
                "docs/push.md says what it means; `countersign push-health resume` forgets it",
            ));
        }
    }
    if found.more {
        let what = "push: there are more applications than were looked at";
        findings.push(Finding::warning(what, "look at them by `countersign push-health show`"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use countersign_domain::{id::Id, push_health::PushHealth};
    use countersign_protocol::{mobile_payload::PushService, time::Timestamp};
    use countersign_server::app::{CredentialsFound, HealthFound};

    use super::*;
    use crate::doctor::Level;

    #[test]
    fn what_is_wrong_is_told_with_service_and_application() {
        let application = "Bank, Bank app".to_owned();
        let credentials = |service, flaw: Option<&str>| CredentialsFound {
            application: application.clone(),
            service,
            flaw: flaw.map(str::to_owned),
        };
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        let health = PushHealth::new(Id::from_bytes([1; 16]), Id::from_bytes([1; 16]));
        let health = health.warned(PushService::Apns, "TopicDisallowed", now).stopped(now);
        let found = PushDiagnosis {
            credentials: vec![
                credentials(PushService::Fcm, None),
                credentials(PushService::Apns, Some("topic must be given")),
            ],
            health: vec![HealthFound { application: application.clone(), health }],
            more: false,
        };
        let told: Vec<_> = judge(&found).into_iter().map(|f| (f.level, f.what)).collect();
        let levels: Vec<_> = told.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, [Level::Ok, Level::Error, Level::Warning, Level::Warning]);
        for ((_, what), words) in told.iter().zip([
            ["fcm", "can be used"],
            ["apns", "topic must be given"],
            ["unpairing", "2023-11-14T22:13:20.000Z"],
            ["apns", "TopicDisallowed, 1 times"],
        ]) {
            let mut words = words.into_iter().chain(["Bank, Bank app"]);
            assert!(words.all(|word| what.contains(word)), "{what}");
        }
    }
}
