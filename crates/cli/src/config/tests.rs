//! The example is the defaults, every key stands in it, and what is wrong is told with its place.

use std::collections::BTreeSet;

use super::*;

const PUBLIC_URL: &str = "https://id.example.org";

fn resolve(text: &str) -> Result<Resolved, String> {
    let variable = |name: &str| match name {
        "DATABASE" => Some("postgres://u:p@h/d".to_owned()),
        _ => None,
    };
    let around = Surroundings { folder: Path::new("/etc/c"), variable: &variable };
    let config = parse(text).map_err(|error| error.to_string())?;
    Resolved::of(&config, None, &around).map_err(|flaw| flaw.located(text).to_string())
}

#[track_caller]
fn assert_refused(text: &str, expected: &str) {
    let told = resolve(text).map(drop).unwrap_err();
    assert_eq!(told.strip_prefix("the configuration, ").unwrap_or(&told), expected);
}

/// The names that the deserializer says it expects at this place.
fn expected(text: &str) -> BTreeSet<String> {
    let told = parse(text).unwrap_err().to_string();
    let (_, names) = told.split_once("expected ").unwrap();
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The example, with the lines that are settings without a default in force.
fn uncommented() -> String {
    let is_setting = |line: &str| {
        line.strip_prefix("# ")
            .and_then(|line| line.split_once(" = "))
            .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let line = |line: &str| if is_setting(line) { line[2..].to_owned() } else { line.to_owned() };
    EXAMPLE.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn the_example_says_the_defaults() {
    assert_eq!(parse(EXAMPLE).unwrap(), Config::default());
}

#[test]
fn every_key_stands_in_the_example_and_no_other() {
    let text = uncommented();
    let document: toml::Table = toml::from_str(&text).unwrap();
    let sections = expected("unknown = 1");
    assert_eq!(document.keys().cloned().collect::<BTreeSet<_>>(), sections);
    for section in sections {
        let keys = document[&section].as_table().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys, expected(&format!("[{section}]\nunknown = 1")), "{section}");
    }
    parse(&text).unwrap();
}

#[test]
fn every_setting_is_explained() {
    for (line, next) in EXAMPLE.lines().zip(EXAMPLE.lines().skip(1)) {
        assert!(
            !line.starts_with('[') || next.starts_with("# "),
            "{line} begins without a comment"
        );
    }
}

#[test]
fn what_is_wrong_is_told_with_line_section_key_and_rule() {
    for (text, expected) in [
        (
            "\n[server]\nlisten = \"here\"",
            "line 3: server.listen: must be an address and a port, as in 127.0.0.1:8080 or [::]:443",
        ),
        (
            "[tls]\nkey_file = \"k\"",
            "line 1: tls.certificate_file: must be given, because the other file is",
        ),
        (
            "[requests]\n\n\nheader_bytes = 1",
            "line 4: requests.header_bytes: must be from 8192 to 1048576, and is 1",
        ),
        (
            "[database]\nurl = \"postgres://u:secret@h/d\"",
            "line 2: database.url: must not contain a password: use url_file or url_env",
        ),
        (
            "[database]\nurl = \"x\"\nurl_env = \"DATABASE\"",
            "line 3: database.url_env: may not be given beside another of url, url_file and url_env",
        ),
        (
            "[database]\nurl_env = \"NONE\"",
            "line 2: database.url_env: names the variable NONE, which is not set",
        ),
        (
            "[encryption]\nkey_file = \"a\"\nkey_env = \"B\"",
            "line 3: encryption.key_env: may not be given beside key_file",
        ),
        (
            "[push]\nfcm = \"https://fcm.example/v1\"",
            "line 2: push.fcm: must be https:// and a host, with a port if need be, and nothing after it",
        ),
        (
            "[push]\n\napns_sandbox = \"http://127.0.0.1:2197\"",
            "line 3: push.apns_sandbox: must be https:// and a host, with a port if need be, and nothing after it",
        ),
        (
            "[push]\nhms_token = \"https://u:p@h/token\"",
            "line 2: push.hms_token: must be an https address without a user, a query and a fragment",
        ),
        (
            "[push]\nweb_push_ports = [8443, 0]",
            "line 2: push.web_push_ports: must be ports from 1 to 65535",
        ),
        (
            "[push]\nrequest_timeout_seconds = 31",
            "line 2: push.request_timeout_seconds: must be from 1 to 30, and is 31",
        ),
        (
            "[outbox]\nlease_seconds = 30\n[push]\nrequest_timeout_seconds = 11",
            "line 2: outbox.lease_seconds: outbox.lease_seconds must be from 32 to 3600",
        ),
        (
            "[push]\nauthorities_file = \"none.pem\"",
            "line 2: push.authorities_file: names a file that cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        assert_refused(text, expected);
    }
}

#[test]
fn what_is_wrong_with_the_ways_of_passcodes_is_told() {
    for (text, expected) in [
        (
            "[mail]\nmailbox = \"a\"\nhost = \"b\"",
            "line 2: mail.mailbox: may not be given beside host",
        ),
        (
            "[mail]\nhost = \"b\"",
            "line 1: mail.from: must be given where there is a host or a mailbox: the sender of all mail",
        ),
        (
            "[mail]\nhost = \"b\"\nusername = \"u\"",
            "line 3: mail.username: needs a password_file or a password_env",
        ),
        (
            "[sms]\nurl = \"https://a.example\"",
            "line 2: sms.url: needs a secret_file or a secret_env, to sign calls with",
        ),
        (
            "[sms]\nurl = \"ftp://a.example\"",
            "line 2: sms.url: must be an address of https or http",
        ),
    ] {
        assert_refused(text, expected);
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    for (text, parts) in [
        ("[sever]", ["line 1", "unknown field `sever`", "`server`"]),
        ("[server]\nlisten_on = \"x\"", ["line 2", "server", "unknown field `listen_on`"]),
        ("[requests]\nbody_bytes = \"1 MB\"", ["line 2", "requests.body_bytes", "invalid type"]),
        ("[log]\nformat = \"xml\"", ["line 2", "log.format", "unknown variant `xml`"]),
        ("[server\n", ["line 1", "", ""]),
    ] {
        let told = resolve(text).map(drop).unwrap_err();
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
}

#[test]
fn a_public_address_is_scheme_and_authority() {
    let with = |url: &str| resolve(&format!("[server]\npublic_url = {url:?}"));
    let address = "127.0.0.1:1".parse().unwrap();
    for (url, expected) in [
        (PUBLIC_URL, PUBLIC_URL),
        ("https://id.example.org:443/", PUBLIC_URL),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ] {
        assert_eq!(with(url).unwrap().settings(address).base_url, expected);
    }
    for url in
        ["id.example.org", "ftp://h", "https://h/x", "https://h?x", "https://u@h", "https://h#x"]
    {
        assert!(with(url).is_err(), "{url}");
    }
}

#[test]
fn without_a_public_address_it_is_the_one_listened_on() {
    let address = "127.0.0.1:1".parse().unwrap();
    assert_eq!(resolve("").unwrap().settings(address).base_url, "http://127.0.0.1:1");
    let tls = resolve("[tls]\ncertificate_file = \"c\"\nkey_file = \"k\"").unwrap();
    assert_eq!(tls.settings(address).base_url, "https://127.0.0.1:1");
    assert_eq!(tls.tls.unwrap().key, Path::new("/etc/c/k"));
}

#[test]
fn an_emulated_push_service_can_stand_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&file, authority.cert.pem()).unwrap();
    let text = format!(
        "[push]\napns_production = \"https://127.0.0.1:2197\"\nfcm = \"https://localhost:8446/\"\n\
         fcm_token = \"https://localhost:8446/token\"\nauthorities_file = {file:?}\nweb_push_ports = [8443]"
    );
    let settings = resolve(&text).unwrap().settings("127.0.0.1:1".parse().unwrap()).push;
    assert_eq!(settings.endpoints.apns_production.as_str(), "https://127.0.0.1:2197/");
    assert_eq!(settings.endpoints.fcm.as_str(), "https://localhost:8446/");
    assert_eq!(settings.endpoints.fcm_token.unwrap().as_str(), "https://localhost:8446/token");
    assert_eq!(settings.web_push_ports, [8443]);
    assert_eq!(settings.roots, authority.cert.pem().into_bytes());
    fs::write(&file, "no certificate").unwrap();
    let told = resolve(&text).map(drop).unwrap_err();
    assert!(told.contains("push.authorities_file: names a file without certificates"), "{told}");
}

#[test]
fn phones_name_addresses_of_this_machine_only_where_the_server_is_on_it() {
    let address = "127.0.0.1:1".parse().unwrap();
    let allows = |text: &str| {
        let url = url::Url::parse("https://127.0.0.1:8446").unwrap();
        resolve(text).unwrap().settings(address).push.egress.allows(&url)
    };
    assert!(allows(""));
    let public = format!("[server]\npublic_url = {PUBLIC_URL:?}\n");
    assert!(!allows(&public));
    assert!(allows(&format!("{public}[push]\nprivate_addresses = true")));
}

#[test]
fn proxies_are_addresses_or_blocks() {
    let with = |text: &str| resolve(&format!("[server]\ntrusted_proxies = {text}"));
    let address = "127.0.0.1:1".parse().unwrap();
    let settings = with("[\"10.0.0.0/8\", \"::1\"]").unwrap().settings(address);
    let shown: Vec<String> = settings.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.0/8", "::1/128"]);
    assert!(with("[\"10.0.0.0/33\"]").is_err());
}

#[test]
fn paths_begin_where_the_file_is() {
    let resolved = resolve("[database]\nurl = \"sqlite:x.db\"").unwrap();
    assert_eq!(resolved.store.url.expose(), "sqlite:/etc/c/x.db");
    assert_eq!(resolved.data, Path::new("/etc/c/countersign-data"));
    let key = PathBuf::from("/etc/c/countersign-data/key-encryption.key");
    assert_eq!(resolved.key, KeySource::File(key));
    let resolved = resolve("[database]\nurl_env = \"DATABASE\"").unwrap();
    assert_eq!(resolved.store.url.expose(), "postgres://u:p@h/d");
}
