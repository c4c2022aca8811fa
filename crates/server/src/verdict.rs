//! What an error answer means for whoever gave it: the target, or the key that was sent.

use sluice_dialects::exchange::{ApiError, ErrorClass};
use sluice_http1::ResponseHead;
use sluice_limits::FailureKind;

use crate::metrics::AttemptOutcome;
use crate::retry_after::retry_after_ns;
use crate::worker::wall_clock_ms;

/// What is known of a held answer.
pub(crate) enum Verdict {
    /// An answer.
    Deliver,
    /// An error answer.
    Error(ErrorVerdict),
}

/// What is known of an error answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorVerdict {
    /// How the attempt is counted.
    pub(crate) outcome: AttemptOutcome,
    /// A failure that another target may not have; without one the request is at fault.
    pub(crate) failure: Option<Failure>,
    /// The key was refused.
    pub(crate) refused: Option<Refused>,
}

/// A failure that a breaker counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// How long it asked to be left alone.
    pub(crate) retry_after_ns: Option<u64>,
}

impl Failure {
    /// The account has no money, or the key is none.
    pub(crate) const REJECTED: Self = Self { kind: FailureKind::Rejected, retry_after_ns: None };
}

/// Why a key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no valid key.
    Credential,
    /// It is valid, and this request not allowed to it.
    Permission,
}

/// What the body of an error says besides its status.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// How long to wait, where no header does.
    pub(crate) retry_after_ms: Option<u64>,
    /// What sort of error it is.
    pub(crate) class: Option<ErrorClass>,
}

impl Said {
    pub(crate) fn of(error: &ApiError) -> Self {
        Self { retry_after_ms: error.retry_after_ms, class: Some(error.class) }
    }

    /// Whether the body of an error with this status can say more than the status: an account without money and an
    /// invalid key come under several.
    pub(crate) fn is_worth_reading(status: u16) -> bool {
        matches!(status, 400 | 403 | 429)
    }
}

pub(crate) fn error_verdict(head: &ResponseHead, bytes: &[u8], status: u16, said: Said) -> Verdict {
    let class = said.class.unwrap_or(ErrorClass::of_status(status));
    let outcome = match status {
        429 => AttemptOutcome::RateLimited,
        408 | 500.. => AttemptOutcome::ServerError,
        _ => AttemptOutcome::ClientError,
    };
    let failure = match status {
        // Waiting brings no money, whatever is said of waiting.
        400..=499 if class == ErrorClass::Billing => Some(Failure::REJECTED),
        429 => Some(Failure {
            kind: FailureKind::RateLimited,
            retry_after_ns: retry_after_ns(head, bytes, wall_clock_ms())
                .or(said.retry_after_ms.map(|ms| ms.saturating_mul(1_000_000))),
        }),
        408 | 500.. => Some(Failure { kind: FailureKind::Fault, retry_after_ns: None }),
        _ => None,
    };
    let refused = match (status, class) {
        (401, _) | (400, ErrorClass::Authentication) => Some(Refused::Credential),
        (403, ErrorClass::Billing) => None,
        (403, ErrorClass::Authentication) => Some(Refused::Credential),
        (403, _) => Some(Refused::Permission),
        _ => None,
    };
    Verdict::Error(ErrorVerdict { outcome, failure, refused })
}

#[cfg(test)]
mod tests {
    use sluice_dialects::wire::Wire;

    use super::*;

    fn of(wire: Wire, status: u16, body: &str) -> (Option<FailureKind>, Option<Refused>) {
        let bytes = format!("HTTP/1.1 {status} x\r\nretry-after: 1\r\n\r\n");
        let mut head = ResponseHead::new();
        head.parse(bytes.as_bytes(), false).unwrap();
        let said = if Said::is_worth_reading(status) {
            Said::of(&wire.read_error(status, body.as_bytes()))
        } else {
            Said::default()
        };
        match error_verdict(&head, bytes.as_bytes(), status, said) {
            Verdict::Error(error) => (error.failure.map(|failure| failure.kind), error.refused),
            Verdict::Deliver => panic!("an error is none"),
        }
    }

    #[test]
    fn check_114_money_is_told_from_haste_in_every_dialect() {
        let anthropic =
            |kind: &str, rest: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}",{rest}}}}}"#);
        let spent = [
            (
                Wire::OpenaiChat,
                429,
                r#"{"error":{"message":"x","type":"insufficient_quota","code":"insufficient_quota"}}"#
                    .to_owned(),
            ),
            (
                Wire::OpenaiResponses,
                429,
                r#"{"error":{"message":"x","code":"organization_spend_limit_exceeded"}}"#.to_owned(),
            ),
            (Wire::Anthropic, 402, anthropic("billing_error", r#""message":"x""#)),
            (
                Wire::Anthropic,
                400,
                anthropic("invalid_request_error", r#""message":"Your credit balance is too low""#),
            ),
            (
                Wire::Anthropic,
                429,
                anthropic(
                    "rate_limit_error",
                    r#""message":"x","details":{"error_code":"enforced_spend_limit_reached"}"#,
                ),
            ),
        ];
        for (wire, status, body) in spent {
            assert_eq!(of(wire, status, &body), (Some(FailureKind::Rejected), None), "{body}");
        }
        let slow = r#"{"error":{"message":"x","code":"rate_limit_exceeded"}}"#;
        assert_eq!(of(Wire::OpenaiChat, 429, slow), (Some(FailureKind::RateLimited), None));
    }

    #[test]
    fn a_refused_key_is_told_from_a_refused_request() {
        let gemini = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT",
            "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
        assert_eq!(of(Wire::Gemini, 400, gemini), (None, Some(Refused::Credential)));
        assert_eq!(of(Wire::OpenaiChat, 401, "{}"), (None, Some(Refused::Credential)));
        assert_eq!(of(Wire::OpenaiChat, 403, "{}"), (None, Some(Refused::Permission)));
        assert_eq!(of(Wire::OpenaiChat, 400, "{}"), (None, None));
        assert_eq!(of(Wire::OpenaiChat, 503, "{}"), (Some(FailureKind::Fault), None));
    }
}
