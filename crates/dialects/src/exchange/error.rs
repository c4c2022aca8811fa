//! An error in canonical form, from a provider or of our own.

use sluice_types::ErrorKind;

/// What sort of error it is, in the terms all dialects share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request is at fault.
    InvalidRequest,
    /// The prompt does not fit the model.
    ContextLength,
    /// A filter refused the prompt.
    ContentFilter,
    /// No valid credential.
    Authentication,
    /// The account has no money or credit left.
    Billing,
    /// Not allowed.
    Permission,
    /// No such model or path.
    NotFound,
    /// The request conflicts with another.
    Conflict,
    /// The request is too long.
    TooLarge,
    /// Too many requests or tokens.
    RateLimit,
    /// It took too long.
    Timeout,
    /// The provider has too much to do.
    Overloaded,
    /// The provider failed.
    Server,
}

impl ErrorClass {
    /// The class that an HTTP status alone tells.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Server,
        }
    }
}

/// One error, ready to be written in any dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status to answer with.
    pub status: u16,
    /// What sort of error it is.
    pub class: ErrorClass,
    /// What happened, for people.
    pub message: String,
    /// A stable code: the provider's, or [`ErrorKind::code`].
    pub code: Option<String>,
    /// The request's member that is at fault.
    pub param: Option<String>,
    /// When to try again, as far as the body says.
    pub retry_after_ms: Option<u64>,
}

impl ApiError {
    /// An error of a provider of which nothing is known but the status and some words.
    #[must_use]
    pub fn of_status(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            class: ErrorClass::of_status(status),
            message: message.into(),
            code: None,
            param: None,
            retry_after_ms: None,
        }
    }

    /// An error of the gateway itself.
    #[must_use]
    pub fn own(kind: ErrorKind, message: &str, param: Option<&str>) -> Self {
        let class = match kind {
            ErrorKind::UpstreamError | ErrorKind::UpstreamInvalid | ErrorKind::UpstreamTruncated => {
                ErrorClass::Server
            }
            ErrorKind::UpstreamUnreachable | ErrorKind::Internal | ErrorKind::ClientGone => {
                ErrorClass::Server
            }
            _ => ErrorClass::of_status(kind.status()),
        };
        Self {
            status: kind.status(),
            class,
            message: message.to_owned(),
            code: Some(kind.code().to_owned()),
            param: param.map(str::to_owned),
            retry_after_ms: None,
        }
    }
}
