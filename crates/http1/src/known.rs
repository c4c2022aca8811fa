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
            #[inline]
            pub const fn name(self) -> &'static str {
                NAMES[self as usize]
            }
        }

        static NAMES: [&str; Known::ALL.len()] = [$($text,)*];
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

/// Bytes of a padded name; the longest known one is shorter.
pub(crate) const NAME_BYTES: usize = 32;

const TABLE_SIZE: usize = 128;
static TABLE: [Entry; TABLE_SIZE] = table();

/// A known name, in lower case and padded. Comparing all of it without a branch is cheaper than comparing as much as
/// there is.
#[derive(Clone, Copy)]
struct Entry {
    name: [u8; NAME_BYTES],
    /// Which bits of `name` count.
    mask: [u8; NAME_BYTES],
    /// 0 where the slot is empty; no name has that length.
    len: usize,
    known: Known,
}

impl Entry {
    const EMPTY: Self = Self { name: [0; NAME_BYTES], mask: [0; NAME_BYTES], len: 0, known: Known::Host };

    const fn new(known: Known) -> Self {
        let text = NAMES[known as usize].as_bytes();
        let (mut name, mut mask) = ([0; NAME_BYTES], [0; NAME_BYTES]);
        let mut i = 0;
        while i < text.len() {
            name[i] = text[i];
            mask[i] = u8::MAX;
            i += 1;
        }
        Self { name, mask, len: text.len(), known }
    }

    /// Setting the case bit is exact because no control character and no byte above 0x7f turns into a letter or a hyphen
    /// that way, and a head's lines hold no controls but the tab.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "a zip of three is not inlined at every setting, and this is hot"
    )]
    fn matches(&self, padded: &[u8; NAME_BYTES], len: usize) -> bool {
        let mut difference = 0;
        for i in 0..NAME_BYTES {
            difference |= ((padded[i] | CASE) ^ self.name[i]) & self.mask[i];
        }
        (difference == 0) & (len == self.len)
    }
}

const CASE: u8 = 0x20;

const fn table() -> [Entry; TABLE_SIZE] {
    let mut table = [Entry::EMPTY; TABLE_SIZE];
    let mut i = 0;
    while i < COUNT {
        let entry = Entry::new(Known::ALL[i]);
        let slot = slot(&entry.name, entry.len);
        assert!(table[slot].len == 0, "two known names share a slot: choose other factors in `slot`");
        table[slot] = entry;
        i += 1;
    }
    table
}

/// The slot of a name by its first eight bytes and its length, which tell all known names apart. The factor was searched
/// for; the table refuses to compile when it lets two names meet.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "seven bits are left")]
const fn slot(padded: &[u8; NAME_BYTES], len: usize) -> usize {
    const FACTOR: u64 = 0x953f_48f1_a09f_76b5;
    let [a, b, c, d, e, f, g, h, ..] = *padded;
    let first_word = u64::from_le_bytes([a, b, c, d, e, f, g, h]) | u64::from_le_bytes([CASE; 8]);
    let absent_bytes = 8usize.saturating_sub(len);
    let name_only = (first_word << (8 * absent_bytes)) ^ len as u64;
    (name_only.wrapping_mul(FACTOR) >> (u64::BITS - TABLE_SIZE.trailing_zeros())) as usize
}

impl Known {
    /// Recognises a field name, whatever its case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        if name.len() > NAME_BYTES || !crate::bytes::all(name, crate::bytes::TOKEN) {
            return None;
        }
        let mut padded = [0; NAME_BYTES];
        padded[..name.len()].copy_from_slice(name);
        Self::from_padded(&padded, name.len())
    }

    /// Recognises the first `len` bytes of `padded` (at least one), which has no controls but tabs there.
    #[inline(always)]
    pub(crate) fn from_padded(padded: &[u8; NAME_BYTES], len: usize) -> Option<Self> {
        let entry = &TABLE[slot(padded, len) % TABLE_SIZE];
        entry.matches(padded, len).then_some(entry.known)
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
