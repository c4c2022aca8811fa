//! Content codings of request bodies. SDKs compress large bodies; providers and our own scanner want them plain.

use std::io::{self, Read};

use sluice_types::ErrorKind;

use crate::buffers::Buffer;
use crate::refusal::Refusal;
use crate::request_body::too_large;

/// Decoded bytes per encoded byte, beyond [`RATIO_ALLOWANCE`]. Repetitive prompts reach some tens; bombs, thousands.
const MAX_RATIO: u64 = 200;

/// Decoded bytes that are free of [`MAX_RATIO`].
const RATIO_ALLOWANCE: u64 = 1 << 20;

/// Decodes a body; `None` if it is not encoded at all. The limit is on decoded bytes, and memory never exceeds it.
pub(crate) fn decode(coding: &[u8], body: &[u8], limit: u64) -> Result<Option<Buffer>, Refusal> {
    let coding = coding.trim_ascii();
    let decoder: Box<dyn Read + '_> = if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
        return Ok(None);
    } else if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
        Box::new(flate2::read::GzDecoder::new(body))
    } else if coding.eq_ignore_ascii_case(b"deflate") {
        Box::new(flate2::read::ZlibDecoder::new(body))
    } else if coding.eq_ignore_ascii_case(b"br") {
        Box::new(brotli_decompressor::Decompressor::new(body, 4096))
    } else if coding.eq_ignore_ascii_case(b"zstd") {
        let decoder = ruzstd::decoding::StreamingDecoder::new(body).map_err(|_| broken())?;
        Box::new(decoder)
    } else {
        let message = "Expected one content coding of gzip, deflate, br or zstd, or none.";
        return Err(Refusal::new(ErrorKind::UnsupportedEncoding, message));
    };
    let allowed = limit.min(RATIO_ALLOWANCE.saturating_add((body.len() as u64).saturating_mul(MAX_RATIO)));
    read_within(decoder, allowed).map(Some)
}

fn read_within(mut decoder: Box<dyn Read + '_>, allowed: u64) -> Result<Buffer, Refusal> {
    let mut decoded = Buffer::default();
    loop {
        match decoder.read(decoded.spare()) {
            Ok(0) => return Ok(decoded),
            Ok(count) => decoded.filled(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(broken()),
        }
        if decoded.len() as u64 > allowed {
            return Err(too_large(allowed));
        }
    }
}

fn broken() -> Refusal {
    Refusal::new(ErrorKind::InvalidBody, "The body cannot be decoded as its Content-Encoding says.")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn decodes_within_the_limit() {
        let plain = vec![b'a'; 100_000];
        let decoded = decode(b"gzip", &gzip(&plain), 100_000).unwrap().unwrap();
        assert_eq!(&decoded[..], plain);
        assert_eq!(decode(b"gzip", &gzip(&plain), 99_999).unwrap_err().kind, ErrorKind::BodyTooLarge);
        assert!(decode(b"identity", b"{}", 10).unwrap().is_none());
    }

    #[test]
    fn a_bomb_is_stopped_by_its_ratio() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert_eq!(decode(b"gzip", &bomb, u64::MAX).unwrap_err().kind, ErrorKind::BodyTooLarge);
    }

    #[test]
    fn stacked_unknown_and_broken_codings_are_refused() {
        for coding in [&b"gzip, gzip"[..], b"compress", b"gzip,identity"] {
            assert_eq!(decode(coding, b"", 10).unwrap_err().kind, ErrorKind::UnsupportedEncoding);
        }
        for coding in [&b"gzip"[..], b"br", b"zstd", b"deflate"] {
            assert_eq!(decode(coding, b"plainly not", 10).unwrap_err().kind, ErrorKind::InvalidBody);
        }
    }
}
