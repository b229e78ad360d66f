//! Pictures: drawn here from an id, without asking anybody; or uploaded, known by their content alone, decoded within limits and
//! written anew, so that nothing of the file itself is ever served.

use std::io::Cursor;
use std::sync::LazyLock;

use engine::port::Invalid;
use engine::store::profile::Picture;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::rest::problem::{Kind, Problem};
use crate::settings::People;

/// Pixels of a stored picture's longer side.
const SIDE: u32 = 512;
/// One picture at a time: it may take four bytes a pixel, twice.
static ONE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));

/// Draws a picture: five by five squares, mirrored, in a colour of its own.
pub fn draw(id: Uuid) -> Picture {
    let hash = Sha256::digest(id.as_bytes());
    let hue = u32::from(hash[0]) * 360 / 256;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 5 5\" shape-rendering=\"crispEdges\">\
         <rect width=\"5\" height=\"5\" fill=\"hsl({hue},30%,92%)\"/><path fill=\"hsl({hue},55%,45%)\" d=\""
    );
    for (i, _) in hash[1..16].iter().enumerate().filter(|(_, byte)| *byte % 2 == 0) {
        let (column, row) = (i / 5, i % 5);
        for x in if column == 2 { vec![2] } else { vec![column, 4 - column] } {
            let _ = write!(svg, "M{x} {row}h1v1h-1z");
        }
    }
    svg.push_str("\"/></svg>");
    Picture { media_type: "image/svg+xml".to_owned(), body: svg.into_bytes() }
}

/// The picture that was uploaded, written anew as PNG.
///
/// # Errors
/// 413 where it has too many bytes or pixels, 415 where it is no PNG, JPEG or WebP, 422 where it is broken.
pub async fn recode(bytes: Vec<u8>, limits: &People) -> Result<Picture, Problem> {
    if bytes.len() > limits.avatar_bytes {
        let detail = format!("a picture may have {} bytes at most", limits.avatar_bytes);
        return Err(Problem::new(Kind::TooLarge, detail));
    }
    let pixels = limits.avatar_pixels;
    let _turn = ONE.acquire().await.map_err(Problem::internal)?;
    tokio::task::spawn_blocking(move || recode_now(&bytes, pixels)).await.map_err(Problem::internal)?
}

fn recode_now(bytes: &[u8], pixels: u32) -> Result<Picture, Problem> {
    let read = || ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(broken);
    if !matches!(read()?.format(), Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) {
        return Err(Problem::new(Kind::MediaType, "send a PNG, a JPEG or a WebP picture"));
    }
    let (width, height) = read()?.into_dimensions().map_err(broken)?;
    if u64::from(width) * u64::from(height) > u64::from(pixels) {
        return Err(Problem::new(Kind::TooLarge, format!("a picture may have {pixels} pixels at most")));
    }
    let mut reader = read()?;
    let mut bounds = Limits::default();
    bounds.max_alloc = Some(u64::from(pixels) * 8);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let orientation = decoder.orientation().map_err(broken)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    if width.max(height) > SIDE {
        picture = picture.thumbnail(SIDE, SIDE);
    }
    let mut body = Cursor::new(Vec::new());
    let picture = DynamicImage::ImageRgba8(picture.into_rgba8());
    picture.write_to(&mut body, ImageFormat::Png).map_err(broken)?;
    Ok(Picture { media_type: "image/png".to_owned(), body: body.into_inner() })
}

fn broken(error: impl std::fmt::Display) -> Problem {
    Problem::invalid(vec![Invalid::new("", format!("is no picture that can be read: {error}"))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    async fn kind(bytes: Vec<u8>) -> Kind {
        recode(bytes, &People { avatar_pixels: 1_000_000, ..People::default() }).await.unwrap_err().kind()
    }

    #[test]
    fn a_drawn_picture_is_the_ids_own_and_always_the_same() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(draw(a).body, draw(a).body);
        assert_ne!(draw(a).body, draw(b).body);
        let svg = String::from_utf8(draw(a).body).unwrap();
        assert!(svg.starts_with("<svg ") && svg.contains("M") && !svg.contains("script"), "{svg}");
    }

    #[tokio::test]
    async fn a_picture_is_written_anew_and_made_smaller() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let mut sent = encoded(1_000, 400, format);
            sent.extend_from_slice(b"<script>alert(1)</script>");
            let kept = recode(sent, &People::default()).await.unwrap();
            assert_eq!(kept.media_type, "image/png");
            assert!(!kept.body.windows(7).any(|w| w == b"<script"), "{format:?}");
            let read = image::load_from_memory_with_format(&kept.body, ImageFormat::Png).unwrap();
            assert_eq!((read.width(), read.height()), (512, 205), "{format:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_picture_too_large_or_broken_is_refused() {
        assert_eq!(kind(b"GIF89a".to_vec()).await, Kind::MediaType);
        assert_eq!(kind(b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()).await, Kind::MediaType);
        assert_eq!(kind(Vec::new()).await, Kind::MediaType);
        assert_eq!(kind(vec![0; People::default().avatar_bytes + 1]).await, Kind::TooLarge);
        assert_eq!(kind(encoded(2_000, 2_000, ImageFormat::Png)).await, Kind::TooLarge);
        let whole = encoded(50, 50, ImageFormat::Png);
        assert_eq!(kind(whole[..whole.len() / 2].to_vec()).await, Kind::Invalid);
    }
}
