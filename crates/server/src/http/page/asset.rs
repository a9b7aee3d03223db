//! The files that hosted pages refer to, under names that change with their content.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A file that never changes under its path, so that it may be cached for ever.
pub struct Asset {
    /// Where it is, as the path of a URL: `/assets/NAME-HASH.EXTENSION`.
    pub path: String,
    /// Its media type.
    pub content_type: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

impl Asset {
    /// A file of this name, with an extension that says what it is.
    pub fn new(name: &str, extension: &'static str, bytes: &'static [u8]) -> Self {
        let content_type = match extension {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        Self { path: path(name, extension, bytes), content_type, bytes }
    }
}

/// The looks of every page.
pub(super) static STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("page", "css", include_bytes!("../../../assets/page.css")));

/// Sends the form of [`super::Screen::FormPost`] by itself.
pub(super) static SUBMIT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("submit", "js", include_bytes!("../../../assets/submit.js")));

/// Lets the page of a question to a phone go on by itself.
pub(super) static WAIT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("wait", "js", include_bytes!("../../../assets/wait.js")));

/// Lets the page of an authentication code go on by itself.
pub(super) static SCAN: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("scan", "js", include_bytes!("../../../assets/scan.js")));

/// What a browser shows on the tab. Without it, each would ask for one in vain.
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", include_bytes!("../../../assets/icon.svg")));

/// The asset at this path, if there is one.
#[must_use]
pub fn asset(path: &str) -> Option<&'static Asset> {
    [&*STYLESHEET, &*ICON, &*SUBMIT, &*WAIT, &*SCAN].into_iter().find(|asset| asset.path == path)
}

/// Nine bytes of the hash tell all versions of a file apart and make twelve letters without padding.
fn path(name: &str, extension: &str, bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    let hash = URL_SAFE_NO_PAD.encode(hash.as_ref().get(..9).unwrap_or_default());
    format!("/assets/{name}-{hash}.{extension}")
}
