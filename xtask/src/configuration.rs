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
