//! What snapshots show instead of ids, which change whenever a test is set up differently.

/// The JSON with each id replaced by a number, in the order in which the ids appear, so that equal ids stay equal.
pub fn named_ids(value: &serde_json::Value) -> serde_json::Value {
    const LENGTH: usize = 36;
    let mut text = value.to_string();
    let mut number = 0;
    let is_id = |candidate: &str| {
        candidate.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
        })
    };
    while let Some(id) =
        (0..text.len()).filter_map(|at| text.get(at..at + LENGTH)).find(|found| is_id(found))
    {
        number += 1;
        text = text.replace(&id.to_owned(), &format!("<id {number}>"));
    }
    serde_json::from_str(&text).unwrap()
}

/// Compares JSON with `snapshots/MODULE__NAME.snap`.
macro_rules! snapshot {
    ($name:expr, $value:expr) => {
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/snapshots"),
            omit_expression => true,
        }, {
            insta::assert_json_snapshot!($name, $crate::world::named_ids($value));
        });
    };
}
