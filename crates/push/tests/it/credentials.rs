//! Credentials that break a rule: the error names field and rule, and never the secret.

use countersign_protocol::secret::Secret;
use countersign_push::Credentials;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};
use serde_json::{Value, json};

use crate::world::{APNS_KEY, GOOGLE_KEY, apns_credentials, fcm_credentials, hms_credentials};

const KEY: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";

/// The field that is at fault, after looking that the error says nothing that the credentials said.
fn fault(credentials: &Credentials, secret: &str) -> Option<&'static str> {
    let shown = format!("{credentials:?}");
    assert!(secret.len() < 8 || !shown.contains(secret), "{shown}");
    let error = credentials.validate().err()?;
    assert_eq!(error.to_string(), format!("{} {}", error.field(), error.rule()));
    assert!(secret.len() < 8 || !format!("{error:?}").contains(secret), "{error:?}");
    Some(error.field())
}

#[test]
fn good_credentials_are_taken() {
    let web_push = Credentials::WebPush {
        private_key: Secret::new(KEY.to_owned()),
        subject: "https://bank.example/contact".to_owned(),
    };
    for credentials in [
        apns_credentials(),
        fcm_credentials("https://oauth2.googleapis.com/token"),
        hms_credentials(),
        web_push,
    ] {
        assert_eq!(credentials.validate(), Ok(()));
    }
}

#[test]
fn each_rule_of_apns_credentials_is_told() {
    let good = APNS_KEY.serialize_pem();
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    let rsa = GOOGLE_KEY.serialize_pem();
    let cut = good.replace("-----END PRIVATE KEY-----", "");
    for (key_id, team_id, key, topic, field) in [
        ("", "TEAM123456", good.as_str(), "com.example", "key_id"),
        ("KEY123456", "TEAM123456", &good, "com.example", "key_id"),
        ("key1234567", "TEAM123456", &good, "com.example", "key_id"),
        ("KEY1234567", "TEAM12345\n", &good, "com.example", "team_id"),
        ("KEY1234567", "TEAM1234567", &good, "com.example", "team_id"),
        ("KEY1234567", "TEAM123456", "", "com.example", "private_key"),
        ("KEY1234567", "TEAM123456", "hunter2hunter2", "com.example", "private_key"),
        ("KEY1234567", "TEAM123456", &p384, "com.example", "private_key"),
        ("KEY1234567", "TEAM123456", &rsa, "com.example", "private_key"),
        ("KEY1234567", "TEAM123456", &cut, "com.example", "private_key"),
        ("KEY1234567", "TEAM123456", &good, "", "topic"),
        ("KEY1234567", "TEAM123456", &good, "com.example\r\nx: y", "topic"),
    ] {
        let credentials = Credentials::Apns {
            key_id: key_id.to_owned(),
            team_id: team_id.to_owned(),
            private_key: Secret::new(key.to_owned()),
            topic: topic.to_owned(),
        };
        assert_eq!(fault(&credentials, key), Some(field), "{key_id} {team_id} {topic:?}");
    }
}

#[test]
fn each_rule_of_a_service_account_is_told() {
    let good = json!({
        "type": "service_account",
        "project_id": "bank-1",
        "private_key_id": "k1",
        "private_key": GOOGLE_KEY.serialize_pem(),
        "client_email": "push@bank-1.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    let p256 = APNS_KEY.serialize_pem();
    for (member, value, field) in [
        ("type", json!("authorized_user"), "service_account.type"),
        ("type", Value::Null, "service_account"),
        ("project_id", json!(""), "service_account.project_id"),
        ("project_id", json!("../admin"), "service_account.project_id"),
        ("project_id", json!(".."), "service_account.project_id"),
        ("private_key_id", json!(""), "service_account.private_key_id"),
        ("client_email", json!("nobody"), "service_account.client_email"),
        ("token_uri", json!("http://oauth2.googleapis.com/token"), "service_account.token_uri"),
        ("token_uri", json!("https://a:b@oauth2.googleapis.com/"), "service_account.token_uri"),
        ("token_uri", json!("token"), "service_account.token_uri"),
        ("private_key", json!(p256), "service_account.private_key"),
        ("private_key", json!("hunter2hunter2"), "service_account.private_key"),
    ] {
        let mut file = good.clone();
        file[member] = value.clone();
        let service_account = Secret::new(file.to_string());
        let secret = value.as_str().unwrap_or_default();
        assert_eq!(fault(&Credentials::Fcm { service_account }, secret), Some(field), "{value}");
    }
    for file in ["", "[]", "hunter2hunter2", &" ".repeat(20_000)] {
        let service_account = Secret::new(file.to_owned());
        assert_eq!(fault(&Credentials::Fcm { service_account }, file), Some("service_account"));
    }
}

#[test]
fn each_rule_of_the_other_credentials_is_told() {
    for (client_id, secret, field) in [
        ("", "hunter2hunter2", "client_id"),
        ("../x", "hunter2hunter2", "client_id"),
        ("100001", "", "client_secret"),
        ("100001", "hunter2 hunter2", "client_secret"),
    ] {
        let client_secret = Secret::new(secret.to_owned());
        let credentials = Credentials::Hms { client_id: client_id.to_owned(), client_secret };
        assert_eq!(fault(&credentials, secret), Some(field), "{client_id}");
    }
    for (key, subject, field) in [
        ("", "mailto:a@b.example", "private_key"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "mailto:a@b.example", "private_key"),
        (&KEY[1..], "mailto:a@b.example", "private_key"),
        (KEY, "", "subject"),
        (KEY, "a@b.example", "subject"),
        (KEY, "mailto:nobody", "subject"),
        (KEY, "http://b.example", "subject"),
    ] {
        let private_key = Secret::new(key.to_owned());
        let credentials = Credentials::WebPush { private_key, subject: subject.to_owned() };
        assert_eq!(fault(&credentials, key), Some(field), "{subject}");
    }
}
