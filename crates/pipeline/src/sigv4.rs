//! AWS Signature Version 4, for requests to Amazon Bedrock.
//!
//! Pure: the time is an argument. Source: "Create a signed AWS API request" of the IAM user guide, and its examples. Not
//! done, because no service we call needs it: normalising dot segments and doubled slashes of paths (ours have none), and
//! signatures in the query.

mod canonical;
mod date;

use std::fmt;
use std::sync::Mutex;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use sluice_types::Secret;

use date::Date;
pub use date::Rfc3339;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SECONDS_PER_DAY: u64 = 86_400;

/// A SHA-256 in lower-case hexadecimal.
pub type HexDigest = [u8; 64];

/// An access key of AWS, long-lived or of a session.
#[derive(Clone, Debug)]
pub struct AwsKey {
    /// Names the key; no secret, it is sent as it is.
    pub access_key_id: Box<str>,
    /// What is signed with.
    pub secret_access_key: Secret,
    /// Sent along with keys of a session.
    pub session_token: Option<Secret>,
}

/// What of a request is signed. The names of headers are in lower case; `host` and what the signer adds come besides.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'r> {
    /// `GET`, `POST`
    pub method: &'r str,
    /// The `host` header as it is sent, with the port where it has one.
    pub host: &'r str,
    /// The path as it is sent: encoded once.
    pub path: &'r str,
    /// The query as it is sent, without the question mark; empty where there is none.
    pub query: &'r str,
    /// Digest of the body as it is sent, see [`body_digest`].
    pub body_sha256_hex: &'r HexDigest,
    /// Further headers to sign, which the caller sends.
    pub headers: &'r [(&'r str, &'r str)],
}

/// How a service wants paths written in what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEncoding {
    /// Encoded once more than on the wire: every service but S3.
    Twice,
    /// As on the wire: S3.
    Once,
}

/// Signs with one key for one service in one region.
pub struct Signer {
    key: AwsKey,
    region: Box<str>,
    service: Box<str>,
    paths: PathEncoding,
    /// Four hashes in a row make it; it holds for a day.
    signing_key: Mutex<Option<SigningKey>>,
}

/// The key of one day, region and service.
#[derive(Clone, Copy)]
struct SigningKey {
    /// Days since 1970.
    day: u64,
    key: [u8; 32],
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("access_key_id", &self.key.access_key_id)
            .field("region", &self.region)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer for a service such as `bedrock` in a region such as `us-east-1`.
    #[must_use]
    pub fn new(key: AwsKey, region: &str, service: &str) -> Self {
        let paths = if service == "s3" { PathEncoding::Once } else { PathEncoding::Twice };
        Self { key, region: region.into(), service: service.into(), paths, signing_key: Mutex::new(None) }
    }

    /// Appends the header lines to add to a request, each with its line end: `x-amz-date`, `x-amz-content-sha256`,
    /// `x-amz-security-token` where the key has one, and `authorization`. `now_s` is in seconds since 1970; the service
    /// refuses what is off by more than five minutes.
    pub fn sign(&self, request: &SignedRequest<'_>, now_s: u64, out: &mut Vec<u8>) {
        let date = Date::of(now_s);
        let time = date.time();
        let body = ascii(request.body_sha256_hex);
        let mut headers = request.headers.to_vec();
        headers.extend([("host", request.host), ("x-amz-date", &time), ("x-amz-content-sha256", body)]);
        if let Some(token) = &self.key.session_token {
            headers.push(("x-amz-security-token", token.expose()));
        }
        headers.sort_unstable();
        for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-amz-") && added(name)) {
            push_all(out, &[name, ": ", value, "\r\n"]);
        }
        self.push_authorization(request, &headers, &date, out);
    }

    fn push_authorization(
        &self,
        request: &SignedRequest<'_>,
        headers: &[(&str, &str)],
        date: &Date,
        out: &mut Vec<u8>,
    ) {
        let signed = canonical::signed_headers(headers);
        let canonical = canonical::request(request, headers, &signed, self.paths);
        let scope = format!("{}/{}/{}/aws4_request", date.day(), self.region, self.service);
        let digest = hex(&Sha256::digest(&canonical).into());
        let to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{}", date.time(), ascii(&digest));
        let signature = hex(&hmac(&self.signing_key(date), &[to_sign.as_bytes()]));
        let credential = &self.key.access_key_id;
        push_all(out, &["authorization: ", ALGORITHM, " Credential=", credential, "/", &scope]);
        push_all(out, &[", SignedHeaders=", &signed, ", Signature=", ascii(&signature), "\r\n"]);
    }

    fn signing_key(&self, date: &Date) -> [u8; 32] {
        // What a thread that panicked may have left behind is whole: it is written in one step.
        let mut kept = self.signing_key.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(kept) = *kept
            && kept.day == date.days
        {
            return kept.key;
        }
        let secret = self.key.secret_access_key.expose();
        let key = signing_key(secret, &date.day(), &self.region, &self.service);
        *kept = Some(SigningKey { day: date.days, key });
        key
    }
}

/// Whether it is one of the headers [`Signer::sign`] adds, not one of the caller's.
fn added(name: &str) -> bool {
    matches!(name, "x-amz-date" | "x-amz-content-sha256" | "x-amz-security-token")
}

/// The key that signs on one day (`YYYYMMDD`) for one region and service.
fn signing_key(secret: &str, day: &str, region: &str, service: &str) -> [u8; 32] {
    let key = hmac_with(format!("AWS4{secret}").as_bytes(), &[day.as_bytes()]);
    let key = hmac(&key, &[region.as_bytes()]);
    let key = hmac(&key, &[service.as_bytes()]);
    hmac(&key, &[b"aws4_request"])
}

/// The digest of a body in pieces, as [`SignedRequest::body_sha256_hex`] wants it.
#[must_use]
pub fn body_digest(pieces: &[&[u8]]) -> HexDigest {
    let mut hasher = Sha256::new();
    pieces.iter().for_each(|piece| hasher.update(piece));
    hex(&hasher.finalize().into())
}

fn hmac(key: &[u8; 32], pieces: &[&[u8]]) -> [u8; 32] {
    hmac_with(key, pieces)
}

fn hmac_with(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().into()
}

fn hex(digest: &[u8; 32]) -> HexDigest {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(digest) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    out
}

/// Digits as text; a digest of the caller's that is none of ours may hold anything, and then signs nothing.
fn ascii(digest: &HexDigest) -> &str {
    std::str::from_utf8(digest).unwrap_or_default()
}

fn push_all(out: &mut Vec<u8>, pieces: &[&str]) {
    pieces.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2015-08-30 12:36:00, the moment of AWS's test suite.
    const NOW_S: u64 = 1_440_938_160;

    fn signer(service: &str) -> Signer {
        let key = AwsKey {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: Secret::new(SECRET.into()),
            session_token: None,
        };
        Signer::new(key, "us-east-1", service)
    }

    /// The signature over these headers alone: the examples of AWS sign no digest of the body.
    fn signature(signer: &Signer, request: &SignedRequest<'_>, more: &[(&str, &str)]) -> String {
        let date = Date::of(NOW_S);
        let time = date.time();
        let mut headers = vec![("host", request.host), ("x-amz-date", &time)];
        headers.extend(more);
        headers.sort_unstable();
        let mut out = Vec::new();
        signer.push_authorization(request, &headers, &date, &mut out);
        let line = String::from_utf8(out).unwrap();
        line.trim_end().rsplit_once("Signature=").unwrap().1.to_owned()
    }

    /// Method, path, query, body, headers besides the usual, and the signature.
    type Case = (
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );

    #[test]
    fn the_test_suite_of_aws() {
        const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
        let cases: &[Case] = &[
            ("GET", "/", "", "", &[], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "/", "", "", &[], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "GET",
                "/",
                "Param2=value2&Param1=value1",
                "",
                &[],
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            ("GET", "/ሴ", "", "", &[], "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
            (
                "GET",
                "/example space/",
                "",
                "",
                &[],
                "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
            ),
            (
                "GET",
                "/",
                "",
                "",
                &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "POST",
                "/",
                "",
                "Param1=value1",
                &[FORM],
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        let signer = signer("service");
        for (method, path, query, body, headers, expected) in cases {
            let request = SignedRequest {
                method,
                host: "example.amazonaws.com",
                path,
                query,
                body_sha256_hex: &body_digest(&[body.as_bytes()]),
                headers: &[],
            };
            assert_eq!(signature(&signer, &request, headers), *expected, "{method} {path}?{query}");
        }
    }

    #[test]
    fn the_example_of_the_guide() {
        let request = SignedRequest {
            method: "GET",
            host: "iam.amazonaws.com",
            path: "/",
            query: "Action=ListUsers&Version=2010-05-08",
            body_sha256_hex: &body_digest(&[]),
            headers: &[],
        };
        let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(
            signature(&signer("iam"), &request, &[form]),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
        let key = signing_key(SECRET, "20120215", "us-east-1", "iam");
        assert_eq!(ascii(&hex(&key)), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    }

    #[test]
    fn the_signing_key_changes_with_the_day() {
        let signer = signer("bedrock");
        let day = |seconds| signer.signing_key(&Date::of(seconds));
        let first = day(NOW_S);
        assert_eq!(day(NOW_S + 3_600), first);
        assert_ne!(day(NOW_S + SECONDS_PER_DAY), first);
        assert_eq!(day(NOW_S), first, "a clock that goes back");
    }

    #[test]
    fn secrets_are_never_shown() {
        let mut key = signer("bedrock").key;
        key.session_token = Some(Secret::new("token-canary".into()));
        let shown = format!("{key:?} {:?}", Signer::new(key.clone(), "us-east-1", "bedrock"));
        assert!(!shown.contains(SECRET) && !shown.contains("canary"), "{shown}");
    }
}
