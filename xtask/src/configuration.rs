//! The configuration of a server that is measured or killed: the defaults, but for where it is, how much one address may ask, and that there
//! is no line in the log for each request.

/// More than anybody asks for. The limits stay on, so that what they cost is in the figures.
const WIDE: &str = "{ per_second = 1000000, burst = 1000000 }";

/// The text of a configuration file.
pub fn text(listen: &str, folder: &str, database: &str) -> String {
    let mut text = format!(
        "[log]\nlevel = \"warn\"\n\n[server]\nlisten = \"{listen}\"\ndata_folder = \"{folder}\"\n\n[database]\nurl = \"{database}\"\n\n\
         [connections]\nmost = 20000\nmost_per_address = 20000\n\n[limits]\naddress_share = 1.0\nuser = {WIDE}\n"
    );
    for group in ["sign_on", "flow", "token", "device", "read"] {
        let budget = format!("address = {WIDE}, application = {WIDE}, environment = {WIDE}");
        text.extend([group, " = { ", &budget, " }\n"]);
    }
    text
}

/// What is added where phones are asked through a push service on this machine: short waits, so that a server that follows a
/// killed one soon sends what that one has left.
pub fn push(listen: &str, authorities: &str) -> String {
    format!(
        "\n[outbox]\nlease_seconds = 10\ninterval_seconds = 1\n\n[push]\nfcm = \"https://{listen}\"\nfcm_token = \"https://{listen}/token\"\n\
         authorities_file = \"{authorities}\"\nconnect_timeout_seconds = 1\nrequest_timeout_seconds = 2\n"
    )
}
