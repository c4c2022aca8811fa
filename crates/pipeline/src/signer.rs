//! A credential that signs requests for AWS.

use std::fmt;

use serde_json::Value;
use sluice_types::Secret;

use crate::heads::Head;
use crate::sigv4::{self, AwsKey, SignedRequest};

/// Signs the requests of one credential.
pub struct Signer {
    key: sigv4::Signer,
    host: Box<str>,
    secret: Box<str>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Signer {
    /// `secret` is a JSON object with `access_key_id`, `secret_access_key` and, for keys of a session, `session_token`;
    /// `host` is sent as the `host` header.
    pub(crate) fn new(secret: &str, region: &str, service: &str, host: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected a JSON object with access_key_id and secret_access_key";
        let object: Value = serde_json::from_str(secret).map_err(|_| EXPECTED)?;
        let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = text("access_key_id").ok_or(EXPECTED)?;
        let secret = text("secret_access_key").ok_or(EXPECTED)?;
        let key = AwsKey {
            access_key_id: id.into(),
            secret_access_key: Secret::new(secret.to_owned()),
            session_token: text("session_token").map(|token| Secret::new(token.to_owned())),
        };
        Ok(Self { key: sigv4::Signer::new(key, region, service), host: host.into(), secret: secret.into() })
    }

    /// The secret access key, for masking only.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Appends the signature's headers to a head that begins with its request line. `now_s` is in seconds since 1970.
    pub fn sign(&self, head: &mut Vec<u8>, body: &[&[u8]], now_s: u64) {
        let target = String::from_utf8_lossy(Head::target_of(head)).into_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let digest = sigv4::body_digest(body);
        let request = SignedRequest {
            method: "POST",
            host: &self.host,
            path,
            query,
            body_sha256_hex: &digest,
            headers: &[],
        };
        self.key.sign(&request, now_s, head);
    }
}
