use sluice_http1::{Known, RequestHead};

/// Longest key looked at, in bytes; ours are 50 long.
const MAX_KEY_BYTES: usize = 512;

/// Why no single key could be read from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialError {
    /// Two headers, or two values of one, carry different keys.
    Ambiguous,
    /// A credential header is there, but holds no key.
    Malformed,
}

/// The key a client presents, from whichever header its SDK uses: `Authorization: Bearer`, `x-api-key`, `api-key` or
/// `x-goog-api-key`. One key sent in several places is one key. Where none has a key it is the access key id that AWS is
/// told to sign with; beside a key that is what the environment of the client happens to hold, and nobody's business.
///
/// # Errors
/// Two different keys, or a credential header without one.
pub fn find_credential<'b>(head: &RequestHead, bytes: &'b [u8]) -> Result<Option<&'b [u8]>, CredentialError> {
    let mut found: Option<&[u8]> = None;
    let mut signer = None;
    for known in [Known::Authorization, Known::XApiKey, Known::ApiKey, Known::XGoogApiKey] {
        if head.known(bytes, known).is_none() {
            continue;
        }
        for value in head.fields().all(bytes, known) {
            if known == Known::Authorization && value.starts_with(AWS_SCHEME) {
                signer = Some(aws_access_key(value).ok_or(CredentialError::Malformed)?);
                continue;
            }
            let key = if known == Known::Authorization { bearer(value) } else { Some(value) };
            let key = key
                .filter(|key| !key.is_empty() && key.len() <= MAX_KEY_BYTES)
                .ok_or(CredentialError::Malformed)?;
            if found.is_some_and(|other| other != key) {
                return Err(CredentialError::Ambiguous);
            }
            found = Some(key);
        }
    }
    Ok(found.or(signer))
}

/// The key in the query of a request of Gemini's dialect, whose clients may send it as `?key=`.
#[must_use]
pub fn find_query_key(query: &str) -> Option<&[u8]> {
    let key = query.split('&').find_map(|parameter| parameter.strip_prefix("key="))?;
    (!key.is_empty() && key.len() <= MAX_KEY_BYTES).then_some(key.as_bytes())
}

/// How the value of `Authorization` begins in a request that is signed for AWS.
const AWS_SCHEME: &[u8] = b"AWS4-HMAC-SHA256 ";

/// The access key id of an AWS signature (`AWS4-HMAC-SHA256 Credential=ID/DATE/…`). Clients of Bedrock can send no other
/// credential, so the virtual key goes there; the signature itself has nothing here that it could be checked against.
fn aws_access_key(value: &[u8]) -> Option<&[u8]> {
    let credential = value.strip_prefix(AWS_SCHEME)?.strip_prefix(b"Credential=")?;
    let end = credential.iter().position(|byte| *byte == b'/')?;
    (1..=MAX_KEY_BYTES).contains(&end).then(|| &credential[..end])
}

/// The token of `Bearer TOKEN`; the scheme's name is case-insensitive (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(6)?;
    (scheme.eq_ignore_ascii_case(b"bearer") && token.first() == Some(&b' ')).then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use sluice_http1::Parse;

    use super::*;

    fn find(headers: &str) -> Result<Option<String>, CredentialError> {
        let bytes = format!("GET / HTTP/1.1\r\nhost: h\r\n{headers}\r\n").into_bytes();
        let mut head = RequestHead::new();
        assert_eq!(head.parse(&bytes), Ok(Parse::Complete));
        find_credential(&head, &bytes).map(|key| key.map(|key| String::from_utf8_lossy(key).into_owned()))
    }

    #[test]
    fn one_key_from_any_place() {
        let signed = |id: &str| {
            format!("authorization: AWS4-HMAC-SHA256 Credential={id}/20261124/us/bedrock/aws4_request\r\n")
        };
        let (one, none, beside) = (signed("k1"), signed(""), signed("AKIA") + "x-api-key: k1\r\n");
        let cases = [
            ("", Ok(None)),
            ("authorization: Bearer k1\r\n", Ok(Some("k1"))),
            ("authorization: bearer  k1 \r\n", Ok(Some("k1"))),
            ("x-api-key: k1\r\n", Ok(Some("k1"))),
            ("api-key: k1\r\n", Ok(Some("k1"))),
            ("x-goog-api-key: k1\r\n", Ok(Some("k1"))),
            ("x-api-key: k1\r\nauthorization: Bearer k1\r\n", Ok(Some("k1"))),
            ("x-api-key: k1\r\nauthorization: Bearer k2\r\n", Err(CredentialError::Ambiguous)),
            ("x-api-key: k1\r\nx-api-key: k2\r\n", Err(CredentialError::Ambiguous)),
            ("authorization: Basic k1\r\n", Err(CredentialError::Malformed)),
            ("authorization: Bearer\r\n", Err(CredentialError::Malformed)),
            ("x-api-key:\r\n", Err(CredentialError::Malformed)),
            (one.as_str(), Ok(Some("k1"))),
            (none.as_str(), Err(CredentialError::Malformed)),
            (beside.as_str(), Ok(Some("k1"))),
            ("authorization: AWS4-HMAC-SHA256 Signature=0\r\n", Err(CredentialError::Malformed)),
        ];
        for (headers, expected) in cases {
            assert_eq!(find(headers), expected.map(|key| key.map(String::from)), "{headers:?}");
        }
    }
}
