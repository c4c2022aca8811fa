//! Which bytes may stand where: one table of classes.

/// Class bit: `tchar` of RFC 9110 section 5.6.2, the bytes of methods and field names.
pub(crate) const TOKEN: u8 = 1;
/// Class bit: bytes of a path that need no further look: `pchar` without `.`, `;` and escapes.
pub(crate) const PATH: u8 = 2;
/// Class bit: bytes of a query: `query` of RFC 3986 and what browsers leave unescaped there.
pub(crate) const QUERY: u8 = 4;
/// Class bit: bytes of a registered name or an IPv4 address in `Host`.
pub(crate) const HOST: u8 = 8;
/// Class bit: a decimal digit.
pub(crate) const DIGIT: u8 = 16;
/// Class bit: a hexadecimal digit, `:` or `.`: the bytes of an IPv6 address.
pub(crate) const IPV6: u8 = 32;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    mark(&mut table, b"0123456789", TOKEN | PATH | QUERY | HOST | DIGIT | IPV6);
    mark(&mut table, b"abcdefABCDEF", TOKEN | PATH | QUERY | HOST | IPV6);
    mark(&mut table, b"ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ", TOKEN | PATH | QUERY | HOST);
    mark(&mut table, b"!#$%&'*+-.^_`|~", TOKEN);
    mark(&mut table, b"-_~!$&'()*+,=:@", PATH | QUERY);
    mark(&mut table, b"./?;[]{}|^`\\", QUERY);
    mark(&mut table, b"-._~", HOST);
    mark(&mut table, b":.", IPV6);
    table
}

const fn mark(table: &mut [u8; 256], bytes: &[u8], class: u8) {
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] |= class;
        i += 1;
    }
}

/// Whether `byte` belongs to `class`.
#[inline(always)]
pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// Whether `bytes` is not empty and all of it belongs to `class`. It looks at all of it in any case: what is asked about
/// is nearly always right, and a loop without an exit is the faster one.
#[inline]
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    !bytes.is_empty() && bytes.iter().fold(class, |common, &byte| common & CLASSES[byte as usize]) != 0
}

#[inline(always)]
fn is_space(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b' ' | b'\t'))
}

/// `bytes` without the optional white space before it. Nearly every sender writes one space.
#[inline(always)]
pub(crate) fn trim_start(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
    if is_space(bytes.first()) { trim_start_slowly(bytes) } else { bytes }
}

#[cold]
fn trim_start_slowly(mut bytes: &[u8]) -> &[u8] {
    while is_space(bytes.first()) {
        bytes = &bytes[1..];
    }
    bytes
}

/// `bytes` without the optional white space behind it. Nearly no sender writes any.
#[inline(always)]
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    if is_space(bytes.last()) { trim_end_slowly(bytes) } else { bytes }
}

#[cold]
fn trim_end_slowly(mut bytes: &[u8]) -> &[u8] {
    while is_space(bytes.last()) {
        bytes = &bytes[..bytes.len() - 1];
    }
    bytes
}

/// Whether `text` is `lower` in any case. `lower` has letters, digits and hyphens only and `text` no controls but tabs, so
/// setting the case bit is exact.
#[inline(always)]
pub(crate) fn is_text<const N: usize>(text: &[u8], lower: &[u8; N]) -> bool {
    let Some((text, [])) = text.split_first_chunk::<N>() else { return false };
    let mut difference = 0;
    for i in 0..N {
        difference |= (text[i] | 0x20) ^ lower[i];
    }
    difference == 0
}

/// The members of a comma-separated list, trimmed, without the empty ones (RFC 9110 section 5.6.1).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(|member| trim_end(trim_start(member)))
        .filter(|member| !member.is_empty())
}

/// The value of a hexadecimal digit.
#[inline(always)]
pub(crate) fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_skip_empty_members() {
        let mut members = list(b" a ,, b\t,");
        assert_eq!(members.next(), Some(&b"a"[..]));
        assert_eq!(members.next(), Some(&b"b"[..]));
        assert_eq!(members.next(), None);
    }
}
