use serde::{Deserialize, Serialize};
use sluice_types::TlsFiles;

/// Most threads a demo provider runs.
pub(crate) const MAX_THREADS: u32 = 64;
/// Most content chunks of one stream, so that a rendered answer stays in memory.
pub(crate) const MAX_CHUNKS: u32 = 100_000;
/// Longest filler text, bytes.
pub(crate) const MAX_RESPONSE_BYTES: u32 = 64 * 1024 * 1024;

/// How a demo provider behaves. Every field has a default, so `{}` is a whole set of options.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemoOptions {
    /// `address:port` to listen on; port 0 lets the kernel choose.
    pub address: String,
    /// Operating system threads that serve.
    pub threads: u32,
    /// Wait before the first byte of an answer, milliseconds.
    pub delay_ms: u32,
    /// Content chunks of a stream; 0 sends one per word of the text.
    pub chunks: u32,
    /// Wait between two chunks of a stream, milliseconds, kept to a schedule that does not drift; 0 sends the whole
    /// stream in one write.
    pub chunk_gap_ms: u32,
    /// Bytes of filler text in place of the friendly answer; 0 keeps the answer.
    pub response_bytes: u32,
    /// Share of requests answered with a 500, from 0 to 1.
    pub error_rate: f64,
    /// Seed of what is random: which requests fail.
    pub seed: u64,
    /// Writes the time of sending into every content chunk of a chat stream, as `"obfuscation":"T<nanoseconds since
    /// 1970, 20 digits>"`, so that a receiver on the same machine can tell how long each chunk was under way.
    pub stamp_chunks: bool,
    /// Speaks TLS when present.
    pub tls: Option<DemoTls>,
}

/// The certificate of a demo provider.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DemoTls {
    /// A fresh certificate for `localhost`, `127.0.0.1` and `::1`, to be trusted by way of
    /// [`crate::DemoProvider::certificate_pem`].
    SelfSigned,
    /// A given chain and key.
    Files(TlsFiles),
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:0".to_owned(),
            threads: 1,
            delay_ms: 0,
            chunks: 0,
            chunk_gap_ms: 0,
            response_bytes: 0,
            error_rate: 0.0,
            seed: 1,
            stamp_chunks: false,
            tls: None,
        }
    }
}

impl DemoOptions {
    /// What is wrong with the options, in words for the person who gave them.
    pub(crate) fn check(&self) -> Result<(), String> {
        let bounds = [
            ("threads", self.threads, 1, MAX_THREADS),
            ("chunks", self.chunks, 0, MAX_CHUNKS),
            ("response_bytes", self.response_bytes, 0, MAX_RESPONSE_BYTES),
        ];
        for (name, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                return Err(format!("{name} is {value}; it must be from {least} to {most}"));
            }
        }
        if !(0.0..=1.0).contains(&self.error_rate) {
            return Err(format!("error_rate is {}; it must be from 0 to 1", self.error_rate));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_a_whole_set_of_options() {
        let options: DemoOptions = serde_json::from_str("{}").unwrap();
        assert_eq!(options.address, "127.0.0.1:0");
        assert_eq!(options.check(), Ok(()));
    }

    #[test]
    fn options_out_of_bounds_are_named() {
        for (json, named) in [
            (r#"{"threads":0}"#, "threads"),
            (r#"{"threads":65}"#, "threads"),
            (r#"{"chunks":100001}"#, "chunks"),
            (r#"{"response_bytes":67108865}"#, "response_bytes"),
            (r#"{"error_rate":1.5}"#, "error_rate"),
            (r#"{"error_rate":-0.1}"#, "error_rate"),
        ] {
            let options: DemoOptions = serde_json::from_str(json).unwrap();
            let error = options.check().unwrap_err();
            assert!(error.starts_with(named), "{json}: {error}");
        }
        assert!(serde_json::from_str::<DemoOptions>(r#"{"delay":1}"#).is_err(), "unknown fields are refused");
    }
}
