//! Why a head is refused.

use core::fmt;

macro_rules! head_errors {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $message:literal;)*) => {
        /// Why a head is refused. Each refusal has its own variant, so that a log or a test can tell them apart; the
        /// text never repeats what was sent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum HeadError {
            $($(#[$doc])* $name,)*
        }

        impl HeadError {
            /// Every refusal, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The status a client is told. For a response head, which has no client to blame, it means nothing.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A sentence for the client or the log.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

head_errors! {
    /// The request line is not `method SP target SP HTTP/1.x`; HTTP/0.9 ends here too.
    RequestLine = 400, "the request line is not `METHOD target HTTP/1.1`";
    /// The status line is not `HTTP/1.x SP status [SP reason]`.
    StatusLine = 400, "the status line is not `HTTP/1.1 status reason`";
    /// A well-formed version that is neither 1.0 nor 1.1.
    Version = 505, "only HTTP/1.0 and HTTP/1.1 are spoken here";
    /// `CONNECT`: this is no tunnel.
    Connect = 501, "CONNECT is not offered";
    /// The target is none of `/path`, `http(s)://host/path`, and `*` for OPTIONS.
    Target = 400, "the request target is not a path or an absolute http URI";
    /// The path could be read in two ways: `//`, dot segments, `;`, `\`, raw non-ASCII, or an escape of something that
    /// is written plainly or not at all. An escaped slash is let through in one place, the name in `/v1/models/name`.
    Path = 400, "the path is not in its one canonical form";
    /// The query has a byte or an escape that does not belong there.
    Query = 400, "the query has a character that must be percent-encoded";
    /// A line over [`MAX_LINE_BYTES`](crate::MAX_LINE_BYTES).
    LineTooLong = 431, "a line of the head is longer than 16 KiB";
    /// A head over [`MAX_HEAD_BYTES`](crate::MAX_HEAD_BYTES).
    HeadTooLarge = 431, "the head is longer than 32 KiB";
    /// More fields than [`MAX_HEADERS`](crate::MAX_HEADERS).
    TooManyHeaders = 431, "the head has more than 100 header fields";
    /// More options than [`MAX_CONNECTION_OPTIONS`](crate::MAX_CONNECTION_OPTIONS).
    TooManyConnectionOptions = 431, "the Connection header names more than 32 options";
    /// A line feed without a carriage return before it.
    BareLineFeed = 400, "a line ends in LF without CR";
    /// A carriage return without a line feed after it.
    BareCarriageReturn = 400, "a CR is not followed by LF";
    /// NUL, DEL or another control.
    ControlCharacter = 400, "the head contains a control character";
    /// A line of the field section that begins with white space.
    Folded = 400, "a header line begins with white space";
    /// A field name that is empty or has a byte outside `tchar`, or a line without a colon.
    FieldName = 400, "a header line does not begin with a valid name and a colon";
    /// White space between a field's name and its colon.
    SpaceBeforeColon = 400, "white space stands before the colon of a header";
    /// HTTP/1.1 without `Host`.
    HostMissing = 400, "the Host header is missing";
    /// More than one `Host`.
    HostRepeated = 400, "the Host header is sent more than once";
    /// A `Host` that is not `name [":" port]`.
    Host = 400, "the Host header is not a host name with an optional port";
    /// An absolute target that names another authority than `Host`.
    HostMismatch = 400, "the request target and the Host header name different hosts";
    /// `Content-Length` that is not a plain decimal number below 2^64.
    ContentLength = 400, "the Content-Length header is not a decimal number";
    /// More than one `Content-Length`, alike or not.
    ContentLengthRepeated = 400, "the Content-Length header is sent more than once";
    /// `Transfer-Encoding` that is anything but `chunked`.
    TransferEncoding = 400, "the Transfer-Encoding header is not `chunked`";
    /// More than one `Transfer-Encoding`.
    TransferEncodingRepeated = 400, "the Transfer-Encoding header is sent more than once";
    /// `Transfer-Encoding` of a message in HTTP/1.0, which does not know it.
    TransferEncodingVersion = 400, "Transfer-Encoding is not part of HTTP/1.0";
    /// A registered transfer coding before `chunked`.
    TransferCoding = 501, "no transfer coding but `chunked` is offered";
    /// `Transfer-Encoding` beside `Content-Length`.
    FramingConflict = 400, "Transfer-Encoding and Content-Length exclude each other";
    /// An expectation other than `100-continue`.
    Expectation = 417, "no expectation but `100-continue` can be met";
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for HeadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_own_sentence_and_a_client_error() {
        for (i, error) in HeadError::ALL.iter().enumerate() {
            assert!(matches!(error.status(), 400 | 417 | 431 | 501 | 505), "{error:?}");
            for other in &HeadError::ALL[i + 1..] {
                assert_ne!(error.message(), other.message());
            }
        }
    }
}
