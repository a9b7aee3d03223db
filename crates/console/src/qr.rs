//! QR codes (ISO/IEC 18004) as images that pages carry in themselves.

use std::fmt::{self, Display, Formatter};

use qrcodegen::{QrCode, QrCodeEcc};

/// Modules of nothing around the symbol, which readers need to find it (section 5.3.8).
const QUIET_ZONE: i32 = 4;

/// A QR code, dark on light in every colour scheme.
#[derive(Clone, Debug)]
pub(crate) struct Qr {
    label: &'static str,
    size: i32,
    path: String,
}

impl Qr {
    /// The QR code of a text; none if the text is too long for one.
    pub fn new(text: &str, label: &'static str) -> Option<Self> {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
        let dark = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        let dark = dark.filter(|(x, y)| code.get_module(*x, *y));
        let path = dark.map(|(x, y)| format!("M{} {}h1v1h-1z", x + QUIET_ZONE, y + QUIET_ZONE));
        Some(Self { label, size: code.size() + 2 * QUIET_ZONE, path: path.collect() })
    }
}

impl Display for Qr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { label, size, path } = self;
        write!(
            f,
            r#"<svg class="qr" viewBox="0 0 {size} {size}" role="img" aria-label="{label}"><path d="{path}"/></svg>"#
        )
    }
}
