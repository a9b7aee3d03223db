//! Secrets of the configuration: in a file or in an environment variable, never in the configuration itself.

use std::{fs, path::Path};

use countersign_protocol::secret::Secret;

use super::{Flaw, Surroundings};

/// What a file or an environment variable says, without space around it. The keys are those of the file and of the variable.
pub(super) fn from_file_or_variable(
    (section, [file_key, variable_key]): (&'static str, [&'static str; 2]),
    sources: (Option<&Path>, Option<&str>),
    around: &Surroundings<'_>,
) -> Result<Option<Secret<String>>, Flaw> {
    let text = match sources {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let rule = format!("may not be given beside {file_key}");
            return Err(Flaw::new(section, variable_key, rule));
        }
        (Some(file), None) => fs::read_to_string(around.folder.join(file)).map_err(|error| {
            Flaw::new(section, file_key, format!("names a file that cannot be read: {error}"))
        })?,
        (None, Some(name)) => (around.variable)(name).ok_or_else(|| {
            let rule = format!("names the variable {name}, which is not set");
            Flaw::new(section, variable_key, rule)
        })?,
    };
    Ok(Some(Secret::new(text.trim().to_owned())))
}
