//! The fields a gateway acts on, found by one table look-up while a head is read.

macro_rules! known_fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A field that some part of the gateway looks at. The names are spread over a table without collisions, so
        /// recognising one costs one look-up and one comparison, whatever the length of this list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            $($(#[$doc])* #[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Known {
            /// Every known field, in the order of the discriminants.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in lower case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

known_fields! {
    Host = "host",
    ContentLength = "content-length",
    TransferEncoding = "transfer-encoding",
    Connection = "connection",
    ContentType = "content-type",
    ContentEncoding = "content-encoding",
    Authorization = "authorization",
    XApiKey = "x-api-key",
    ApiKey = "api-key",
    XGoogApiKey = "x-goog-api-key",
    Expect = "expect",
    Upgrade = "upgrade",
    Via = "via",
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    UserAgent = "user-agent",
    Traceparent = "traceparent",
    Tracestate = "tracestate",
    XRequestId = "x-request-id",
    RequestId = "request-id",
    IdempotencyKey = "idempotency-key",
    KeepAlive = "keep-alive",
    ProxyConnection = "proxy-connection",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    Te = "te",
    Trailer = "trailer",
    Cookie = "cookie",
    SetCookie = "set-cookie",
    Date = "date",
    Server = "server",
    RetryAfter = "retry-after",
    RetryAfterMs = "retry-after-ms",
    XShouldRetry = "x-should-retry",
    Forwarded = "forwarded",
    XForwardedFor = "x-forwarded-for",
    OpenaiBeta = "openai-beta",
    OpenaiOrganization = "openai-organization",
    OpenaiProject = "openai-project",
    AnthropicVersion = "anthropic-version",
    AnthropicBeta = "anthropic-beta",
}

/// How many fields are known.
pub(crate) const COUNT: usize = Known::ALL.len();

const TABLE_SIZE: usize = 128;
const EMPTY: u8 = u8::MAX;
static TABLE: [u8; TABLE_SIZE] = table();

const fn table() -> [u8; TABLE_SIZE] {
    let mut table = [EMPTY; TABLE_SIZE];
    let mut i = 0;
    while i < COUNT {
        let slot = slot(Known::ALL[i].name().as_bytes());
        assert!(table[slot] == EMPTY, "two known names share a slot: choose other factors in `slot`");
        table[slot] = Known::ALL[i] as u8;
        i += 1;
    }
    table
}

/// The slot of a name that is not empty, whatever its case. The factors were searched for; the table refuses to
/// compile when they let two names meet.
#[inline(always)]
const fn slot(name: &[u8]) -> usize {
    const CASE: usize = 0x20;
    let len = name.len();
    let first = name[0] as usize | CASE;
    let middle = name[len / 2] as usize | CASE;
    let last = name[len - 1] as usize | CASE;
    (len + first + 29 * last + 121 * middle) % TABLE_SIZE
}

/// Compares ASCII text with a lower-case name. Setting the case bit is exact because `name` is a token: no control can
/// stand in it and turn into a letter or a hyphen.
#[inline(always)]
fn matches(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len() && name.iter().zip(lower).all(|(&a, &b)| a | 0x20 == b)
}

impl Known {
    /// Recognises a field name, whatever its case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        if crate::bytes::all(name, crate::bytes::TOKEN) { Self::from_token(name) } else { None }
    }

    /// Recognises a name that is known to be a token.
    #[inline]
    pub(crate) fn from_token(name: &[u8]) -> Option<Self> {
        let known = *Self::ALL.get(usize::from(TABLE[slot(name)]))?;
        matches(name, known.name().as_bytes()).then_some(known)
    }

    /// Whether the field speaks about one connection and is never forwarded (RFC 9110 section 7.6.1, with the
    /// `Keep-Alive` and `Proxy-Connection` of older software). A `Connection` field may name further ones.
    #[must_use]
    pub const fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::ProxyConnection
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::Te
                | Self::Trailer
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }
}

/// Whether a field of this name speaks about one connection only; see [`Known::is_hop_by_hop`].
#[must_use]
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    Known::from_name(name).is_some_and(Known::is_hop_by_hop)
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    #[test]
    fn every_name_is_found_in_any_case_and_no_other() {
        for &known in Known::ALL {
            let name = known.name();
            assert_eq!(Known::from_name(name.as_bytes()), Some(known));
            assert_eq!(Known::from_name(name.to_ascii_uppercase().as_bytes()), Some(known));
            for position in 0..name.len() {
                let mut other = std::vec::Vec::from(name);
                other[position] = b'!';
                assert_eq!(Known::from_name(&other), None);
                other[position] = name.as_bytes()[position] & !0x60;
                assert_eq!(Known::from_name(&other), None, "a control is no letter");
            }
            assert_eq!(Known::from_name(&name.as_bytes()[1..]).filter(|&k| k == known), None);
        }
        assert_eq!(Known::from_name(b""), None);
    }

    #[test]
    fn hop_by_hop_names() {
        for name in
            ["Connection", "TE", "trailer", "upgrade", "Transfer-Encoding", "Keep-Alive", "PROXY-connection"]
        {
            assert!(is_hop_by_hop(name.as_bytes()), "{name}");
        }
        for name in ["content-length", "host", "te2", "", "x-upgrade"] {
            assert!(!is_hop_by_hop(name.as_bytes()), "{name}");
        }
    }
}
