//! PingOne's provider for Terraform: everything is made, changed, taken over from elsewhere, and removed again.

use std::{fmt::Write, fs, path::Path, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{clients, platform::Platform};

/// The lists in which nothing may be left.
const COLLECTIONS: [&str; 8] = [
    "populations",
    "groups",
    "users",
    "applications",
    "deviceAuthenticationPolicies",
    "signOnPolicies",
    "resources",
    "subscriptions",
];

/// What an import cannot know, since secrets are not told: the provider then writes them anew.
const SECRETS: [&str; 3] =
    ["pingone_mfa_application_push_credential.", "pingone_user.ada", "pingone_application.bank"];

/// Of an import's id, what stands between the environment and the object's own id.
const PARENTS: [(&str, &[&str]); 11] = [
    ("pingone_mfa_application_push_credential", &["application_id", "id"]),
    ("pingone_application_sign_on_policy_assignment", &["application_id", "id"]),
    ("pingone_application_resource_grant", &["application_id", "id"]),
    ("pingone_application_attribute_mapping", &["application_id", "id"]),
    ("pingone_application_role_assignment", &["application_id", "id"]),
    ("pingone_application_secret", &["application_id"]),
    ("pingone_sign_on_policy_action", &["sign_on_policy_id", "id"]),
    ("pingone_resource_scope", &["resource_id", "id"]),
    ("pingone_resource_attribute", &["resource_id", "id"]),
    ("pingone_user_group_assignment", &["user_id", "group_id"]),
    ("pingone_mfa_settings", &[]),
];

/// How `terraform plan -detailed-exitcode` says that nothing is to be done.
const NOTHING_TO_DO: i32 = 0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_makes_changes_imports_and_removes_what_an_environment_has() {
    let Some(source) = clients("terraform", "providers") else { return };
    let platform = Platform::start().await;
    let before = everything(&platform).await;
    let (platform, ()) = tokio::task::spawn_blocking(move || {
        let terraform = Terraform::new(&source, &platform);
        terraform.makes_and_changes();
        terraform.imports();
        terraform.removes();
        drop(terraform);
        (platform, ())
    })
    .await
    .unwrap();
    assert_eq!(everything(&platform).await, before, "something is left");
    platform.stop().await;
}

async fn everything(platform: &Platform) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for collection in COLLECTIONS {
        let mut ids = platform.ids(collection).await;
        ids.sort();
        all.push(ids);
    }
    all
}

/// Terraform in a folder of its own, with a copy of the configuration.
struct Terraform<'a> {
    folder: TempDir,
    platform: &'a Platform,
}

impl<'a> Terraform<'a> {
    fn new(source: &Path, platform: &'a Platform) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(source).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "tf") {
                fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        let facts = platform.facts.to_string();
        fs::write(folder.path().join("terraform.tfvars.json"), facts).unwrap();
        let providers = source.join("providers").canonicalize().unwrap();
        let providers = providers.display();
        let settings = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{ path = \"{providers}\" }}\n}}\n"
        );
        fs::write(folder.path().join("terraform.rc"), settings).unwrap();
        let terraform = Self { folder, platform };
        terraform.must(&["init"]);
        terraform
    }

    fn makes_and_changes(&self) {
        for changed in ["changed=false", "changed=true", "changed=false"] {
            self.must(&["apply", "-auto-approve", "-var", changed]);
            self.has_nothing_to_do(&["-var", changed]);
        }
    }

    /// Forgets everything, and takes it over by its ids.
    fn imports(&self) {
        let managed = self.managed();
        let mut imports = String::new();
        for one in &managed {
            let (to, id) = (one["address"].as_str().unwrap(), import_id(one));
            writeln!(imports, "import {{\n  to = {to}\n  id = \"{id}\"\n}}").unwrap();
        }
        fs::write(self.folder.path().join("imports.tf"), imports).unwrap();
        fs::remove_file(self.folder.path().join("terraform.tfstate")).unwrap();
        self.must(&["plan", "-out", "imports.plan"]);
        let plan = self.json(&["show", "-json", "imports.plan"]);
        let mut imported = 0;
        for change in plan["resource_changes"].as_array().unwrap() {
            let address = change["address"].as_str().unwrap();
            let has_secrets = SECRETS.iter().any(|secret| address.starts_with(secret));
            let actions = &change["change"]["actions"];
            assert!(has_secrets || actions == &serde_json::json!(["no-op"]), "{address}: {change}");
            imported += usize::from(change["change"]["importing"].is_object());
        }
        assert_eq!(imported, managed.len());
        self.must(&["apply", "-auto-approve"]);
        fs::remove_file(self.folder.path().join("imports.tf")).unwrap();
        self.has_nothing_to_do(&[]);
    }

    fn removes(&self) {
        self.must(&["destroy", "-auto-approve"]);
        assert_eq!(self.managed(), [Value::Null; 0]);
    }

    /// What Terraform keeps of everything that it manages.
    fn managed(&self) -> Vec<Value> {
        let state = self.json(&["show", "-json"]);
        let resources = state.pointer("/values/root_module/resources").and_then(Value::as_array);
        let managed = resources.into_iter().flatten().filter(|one| one["mode"] == "managed");
        managed.cloned().collect()
    }

    fn has_nothing_to_do(&self, further: &[&str]) {
        let output = self.run(&[&["plan", "-detailed-exitcode"], further].concat());
        assert_eq!(output.status.code(), Some(NOTHING_TO_DO), "{}", told(&output));
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.must(arguments).stdout).unwrap()
    }

    fn must(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        output
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.platform.command("terraform");
        let (command_name, arguments) = arguments.split_first().unwrap();
        command
            .current_dir(self.folder.path())
            .env("TF_CLI_CONFIG_FILE", self.folder.path().join("terraform.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .arg(command_name)
            .arg("-no-color");
        if *command_name != "show" {
            command.arg("-input=false");
        }
        command.args(arguments).output().unwrap()
    }
}

/// What was said of what is wrong, and what was to be done.
fn told(output: &Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}\n{err}")
}

fn import_id(one: &Value) -> String {
    let value = |name: &str| one["values"][name].as_str().unwrap();
    let kind = one["type"].as_str().unwrap();
    let parents = PARENTS.iter().find(|(of, _)| *of == kind);
    let members = parents.map_or(&["id"][..], |(_, members)| members);
    let ids = std::iter::once("environment_id").chain(members.iter().copied());
    ids.map(value).collect::<Vec<_>>().join("/")
}
