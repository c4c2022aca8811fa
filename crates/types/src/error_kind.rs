/// Everything that can go wrong with a request, as one table: the HTTP status, and the `type` and `code` of the error
/// object. A dialect turns a kind into its own body; no other place decides what a client is told.
///
/// The discriminant is stored in usage records and used as a metrics index, so values are only ever appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ErrorKind {
    /// The head or the framing of the request breaks HTTP.
    BadRequestSyntax = 1,
    /// The head has too many or too long lines.
    HeadTooLarge = 2,
    /// The declared or received body is over the limit.
    BodyTooLarge = 3,
    /// The client sent too slowly.
    RequestTimeout = 4,
    /// The content coding of the body is not one we decode.
    UnsupportedEncoding = 5,
    /// The body is not acceptable JSON, or a field we act on has the wrong type.
    InvalidBody = 6,
    /// No such path.
    UnknownRoute = 7,
    /// The path exists for another method.
    MethodNotAllowed = 8,
    /// No key, or a key that is unknown, revoked, expired or malformed: one answer for all of them.
    Unauthenticated = 9,
    /// Two different keys in one request.
    AmbiguousCredentials = 10,
    /// The model is not served here, or this key may not see it.
    ModelNotFound = 11,
    /// The key's request rate is used up.
    RequestRateLimited = 12,
    /// The key's token rate is used up.
    TokenRateLimited = 13,
    /// The key's concurrency is used up.
    ConcurrencyLimited = 14,
    /// The gateway is at its connection or memory bound, or is draining.
    Overloaded = 15,
    /// Our own marker was seen on the way in: the request is going in circles.
    LoopDetected = 16,
    /// No target could be reached.
    UpstreamUnreachable = 17,
    /// The target answered something that is not the API it should speak.
    UpstreamInvalid = 18,
    /// The target did not answer in time.
    UpstreamTimeout = 19,
    /// The target ended its answer before it was whole.
    UpstreamTruncated = 20,
    /// The target answered with an error of its own, which is passed on.
    UpstreamError = 21,
    /// The client went away before the answer was whole.
    ClientGone = 22,
    /// A defect of ours.
    Internal = 23,
    /// The expectation or upgrade the client asked for is not offered.
    ExpectationFailed = 24,
    /// Brute force: too many failed authentications from one address.
    AuthThrottled = 25,
    /// No target of the model offers this API, nor anything it could be translated into.
    NotOffered = 26,
    /// The request asks for something that the target's dialect cannot express.
    Untranslatable = 27,
    /// No provider of this name, none that offers the call, or this key may use none of its models.
    ProviderNotFound = 28,
    /// The call is for keys that may use every model, or not for this one.
    NotPermitted = 29,
    /// A budget of money is used up.
    QuotaExceeded = 30,
    /// A budget or limit is used up whose owner wants it told as a payment that is due.
    PaymentRequired = 31,
    /// A budget or limit is used up whose owner wants it told as `LiteLLM` does.
    BudgetExceeded = 32,
    /// The model has no price, and money is limited.
    ModelNotPriced = 33,
    /// A limit must not be exceeded, and nothing says how long the answer can be.
    MaxTokensRequired = 34,
    /// Every target of the model has failed of late and is left alone for a while.
    TargetsDown = 35,
}

impl ErrorKind {
    /// Every kind, in the order of the discriminants.
    pub const ALL: [Self; 35] = [
        Self::BadRequestSyntax,
        Self::HeadTooLarge,
        Self::BodyTooLarge,
        Self::RequestTimeout,
        Self::UnsupportedEncoding,
        Self::InvalidBody,
        Self::UnknownRoute,
        Self::MethodNotAllowed,
        Self::Unauthenticated,
        Self::AmbiguousCredentials,
        Self::ModelNotFound,
        Self::RequestRateLimited,
        Self::TokenRateLimited,
        Self::ConcurrencyLimited,
        Self::Overloaded,
        Self::LoopDetected,
        Self::UpstreamUnreachable,
        Self::UpstreamInvalid,
        Self::UpstreamTimeout,
        Self::UpstreamTruncated,
        Self::UpstreamError,
        Self::ClientGone,
        Self::Internal,
        Self::ExpectationFailed,
        Self::AuthThrottled,
        Self::NotOffered,
        Self::Untranslatable,
        Self::ProviderNotFound,
        Self::NotPermitted,
        Self::QuotaExceeded,
        Self::PaymentRequired,
        Self::BudgetExceeded,
        Self::ModelNotPriced,
        Self::MaxTokensRequired,
        Self::TargetsDown,
    ];

    /// HTTP status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        self.row().0
    }

    /// `error.type` in OpenAI's vocabulary, which the other dialects map from.
    #[must_use]
    pub fn openai_type(self) -> &'static str {
        self.row().1
    }

    /// `error.code`, and the `class` label of the error metric.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.row().2
    }

    /// Whether the client's SDK should be told not to retry: we have already tried every target, or trying again
    /// cannot help.
    #[must_use]
    pub fn retryable_by_client(self) -> bool {
        matches!(
            self,
            Self::RequestRateLimited
                | Self::TokenRateLimited
                | Self::ConcurrencyLimited
                | Self::QuotaExceeded
                | Self::PaymentRequired
                | Self::BudgetExceeded
                | Self::Overloaded
                | Self::RequestTimeout
                | Self::AuthThrottled
                | Self::TargetsDown
        )
    }

    fn row(self) -> (u16, &'static str, &'static str) {
        const INVALID: &str = "invalid_request_error";
        match self {
            Self::BadRequestSyntax => (400, INVALID, "bad_http_request"),
            Self::HeadTooLarge => (431, INVALID, "request_head_too_large"),
            Self::BodyTooLarge => (413, INVALID, "request_too_large"),
            Self::RequestTimeout => (408, INVALID, "request_timeout"),
            Self::UnsupportedEncoding => (415, INVALID, "unsupported_content_encoding"),
            Self::InvalidBody => (400, INVALID, "invalid_request_body"),
            Self::UnknownRoute => (404, INVALID, "unknown_url"),
            Self::MethodNotAllowed => (405, INVALID, "method_not_supported"),
            Self::Unauthenticated => (401, INVALID, "invalid_api_key"),
            Self::AmbiguousCredentials => (400, INVALID, "ambiguous_credentials"),
            Self::ModelNotFound => (404, INVALID, "model_not_found"),
            Self::RequestRateLimited => (429, "requests", "rate_limit_exceeded"),
            Self::TokenRateLimited => (429, "tokens", "rate_limit_exceeded"),
            Self::ConcurrencyLimited => (429, "requests", "concurrency_limit_exceeded"),
            Self::Overloaded => (503, "server_error", "server_is_overloaded"),
            Self::LoopDetected => (508, INVALID, "loop_detected"),
            Self::UpstreamUnreachable => (502, "server_error", "upstream_unreachable"),
            Self::UpstreamInvalid => (502, "server_error", "upstream_invalid_response"),
            Self::UpstreamTimeout => (504, "server_error", "upstream_timeout"),
            Self::UpstreamTruncated => (502, "server_error", "upstream_truncated"),
            Self::UpstreamError => (502, "server_error", "upstream_error"),
            Self::ClientGone => (499, "client_error", "client_closed_request"),
            Self::Internal => (500, "server_error", "internal_error"),
            Self::ExpectationFailed => (417, INVALID, "expectation_failed"),
            Self::AuthThrottled => (429, INVALID, "too_many_failed_authentications"),
            Self::NotOffered => (400, INVALID, "unsupported_by_provider"),
            Self::Untranslatable => (400, INVALID, "unsupported_parameter"),
            Self::ProviderNotFound => (404, INVALID, "provider_not_found"),
            Self::NotPermitted => (403, INVALID, "not_permitted"),
            Self::QuotaExceeded => (429, "insufficient_quota", "insufficient_quota"),
            Self::PaymentRequired => (402, "insufficient_quota", "insufficient_quota"),
            Self::BudgetExceeded => (400, "budget_exceeded", "budget_exceeded"),
            Self::ModelNotPriced => (400, INVALID, "model_not_priced"),
            Self::MaxTokensRequired => (400, INVALID, "max_tokens_required"),
            Self::TargetsDown => (503, "server_error", "upstreams_unavailable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorKind;

    #[test]
    fn discriminants_are_dense_and_ordered() {
        for (at, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, at + 1);
            assert!((400..600).contains(&kind.status()));
        }
    }
}
