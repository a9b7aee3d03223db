//! Looks and scripts of the pages, under names that change with their content.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use countersign_protocol::{encoding, jose::sha256};

/// A file that never changes under its name.
pub struct Asset {
    name: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(name: &str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        let hash = encoding::encode(sha256(bytes));
        let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
        let short: String = hash.chars().take(12).collect();
        Self { name: format!("{stem}-{short}.{extension}"), content_type, bytes }
    }

    /// Where it is.
    pub fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The looks of the start page and of the phones.
pub static DEMO: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("demo.css", CSS, include_bytes!("../../assets/demo.css")));
/// The looks of what is on a phone.
pub static PHONE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("phone.css", CSS, include_bytes!("../../assets/phone.css")));
/// The looks of the bank's web site.
pub static BANK: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("bank.css", CSS, include_bytes!("../../assets/bank.css")));
/// Keeps pages true.
pub static LIVE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("live.js", SCRIPT, include_bytes!("../../assets/live.js")));
/// Gives pictures of other windows to a phone.
pub static CAMERA: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("camera.js", SCRIPT, include_bytes!("../../assets/camera.js")));
/// The mark of the demo.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", SVG, include_bytes!("../../assets/icon.svg")));
/// The mark of the bank.
pub static HARBOUR: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("harbour.svg", SVG, include_bytes!("../../assets/harbour.svg")));

/// `GET /assets/{name}`
pub async fn show(Path(name): Path<String>) -> Response {
    let all: [&Asset; 7] = [&DEMO, &PHONE, &BANK, &LIVE, &CAMERA, &ICON, &HARBOUR];
    let Some(asset) = all.into_iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, asset.bytes).into_response()
}
