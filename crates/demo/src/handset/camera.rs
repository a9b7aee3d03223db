//! What the camera of a phone reads: a QR code somewhere on a picture of a screen.

use std::io::Cursor;

/// The most pixels of a picture: a very large screen has fifteen million.
const MOST_PIXELS: usize = 16_000_000;

/// The text of the first QR code on a PNG, if there is one that can be read.
pub fn find_code(picture: &[u8]) -> Option<String> {
    let mut decoder = png::Decoder::new(Cursor::new(picture));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let size = reader.output_buffer_size().filter(|size| *size <= 4 * MOST_PIXELS)?;
    let mut pixels = vec![0; size];
    let info = reader.next_frame(&mut pixels).ok()?;
    let (width, height) = (usize::try_from(info.width).ok()?, usize::try_from(info.height).ok()?);
    let samples = info.color_type.samples();
    let grey = |x: usize, y: usize| {
        let at = (y * width + x) * samples;
        let pixel = pixels.get(at..at + samples).unwrap_or_default();
        match *pixel {
            [red, green, blue, ..] => {
                let sum = u16::from(red) + 2 * u16::from(green) + u16::from(blue);
                u8::try_from(sum / 4).unwrap_or(u8::MAX)
            }
            [grey, ..] => grey,
            [] => u8::MAX,
        }
    };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, grey);
    image.detect_grids().iter().find_map(|grid| grid.decode().ok().map(|(_, text)| text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_or_has_no_code_gives_nothing() {
        assert_eq!(find_code(b""), None);
        assert_eq!(find_code(b"GIF89a"), None);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 2);
        encoder.set_color(png::ColorType::Rgba);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[255; 16]).unwrap();
        writer.finish().unwrap();
        assert_eq!(find_code(&bytes), None);
        bytes.truncate(40);
        assert_eq!(find_code(&bytes), None);
    }
}
