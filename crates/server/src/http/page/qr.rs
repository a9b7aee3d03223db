//! QR codes (ISO/IEC 18004) as the path of an SVG image, for what a phone reads off a page.

use askama::Template;
use qrcodegen::{QrCode, QrCodeEcc};

/// Modules of nothing around the symbol, which readers need to find it (section 5.3.8).
const QUIET_ZONE: i32 = 4;

/// A QR code. It is dark on light in every colour scheme, since many readers know no other.
#[derive(Clone, Debug, Template)]
#[template(path = "page/qr.html")]
pub struct Qr {
    /// What it is to those who cannot see it.
    label: &'static str,
    /// Width and height with the quiet zone, in modules.
    size: i32,
    /// The dark modules.
    path: String,
}

impl Qr {
    /// The QR code of a text, which is its value to the letter; none if the text is too long for one: 2,331 bytes.
    #[must_use]
    pub fn new(text: &str, label: &'static str) -> Option<Self> {
        // A seventh of it may be dirty or dazzled: enough for a screen, and the modules stay large.
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
        let size = code.size() + 2 * QUIET_ZONE;
        Some(Self { label, size, path: path(&code) })
    }
}

/// Each run of dark modules in a row as one bar.
fn path(code: &QrCode) -> String {
    let mut bars = Vec::new();
    for y in 0..code.size() {
        let mut run = 0;
        // One more than there is, so that a run ends at the edge. What lies outside is light.
        for x in 0..=code.size() {
            if code.get_module(x, y) {
                run += 1;
            } else if run > 0 {
                let (left, top) = (x - run + QUIET_ZONE, y + QUIET_ZONE);
                bars.push(format!("M{left} {top}h{run}v1h-{run}z"));
                run = 0;
            }
        }
    }
    bars.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which modules a path paints.
    fn painted(qr: &Qr) -> Vec<(i32, i32)> {
        let bars = qr.path.split('M').skip(1).map(|bar| {
            let (left, rest) = bar.split_once(' ').unwrap();
            let (top, rest) = rest.split_once('h').unwrap();
            let (run, rest) = rest.split_once('v').unwrap();
            assert_eq!(rest, format!("1h-{run}z"));
            [left, top, run].map(|number| number.parse::<i32>().unwrap())
        });
        bars.flat_map(|[left, top, run]| (left..left + run).map(move |x| (x, top))).collect()
    }

    #[test]
    fn the_path_paints_the_dark_modules_and_nothing_else() {
        let text = "123456789012";
        let (qr, code) = (Qr::new(text, "").unwrap(), QrCode::encode_text(text, QrCodeEcc::Medium));
        let (painted, code) = (painted(&qr), code.unwrap());
        assert_eq!(qr.size, code.size() + 8);
        for y in 0..qr.size {
            for x in 0..qr.size {
                let is_dark = code.get_module(x - QUIET_ZONE, y - QUIET_ZONE);
                assert_eq!(painted.contains(&(x, y)), is_dark, "{x}, {y}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_has_no_code() {
        assert!(Qr::new(&"x".repeat(2_331), "").is_some());
        assert!(Qr::new(&"x".repeat(2_332), "").is_none());
    }

    #[test]
    fn the_image_has_a_name_and_a_size() {
        let image = Qr::new("CODE", "Pairing key").unwrap().to_string();
        assert!(image.starts_with(
            r#"<svg class="qr" viewBox="0 0 29 29" role="img" aria-label="Pairing key"><path d="M"#
        ));
        assert!(image.ends_with(r#"z"/></svg>"#), "{image}");
    }
}
