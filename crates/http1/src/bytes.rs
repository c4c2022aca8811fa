//! Which bytes may stand where: one table of classes, and scans that look at eight bytes at a time.

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

/// Whether `bytes` is not empty and all of it belongs to `class`.
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is(byte, class))
}

/// Whether `byte` may not stand in a field value: controls but the tab, and DEL.
#[inline(always)]
pub(crate) fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// A bit in the high bit of each byte below 0x20 or equal to DEL. Only the lowest one is exact: a borrow may run on
/// into the bytes above it.
#[inline(always)]
fn controls(word: u64) -> u64 {
    let low = word.wrapping_sub(ONES * 0x20) & !word;
    let del = word ^ (ONES * 0x7f);
    (low | (del.wrapping_sub(ONES) & !del)) & HIGHS
}

/// Index of the first byte from `from` on that is a control (tabs excepted), or `bytes.len()`. It is where a line ends
/// or where it is broken, so one pass both finds and validates.
#[inline]
pub(crate) fn find_control(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let hits = controls(u64::from_le_bytes(*word));
        if hits == 0 {
            at += 8;
            continue;
        }
        at += hits.trailing_zeros() as usize / 8;
        if bytes[at] != b'\t' {
            return at;
        }
        at += 1;
    }
    while at < bytes.len() && !is_control(bytes[at]) {
        at += 1;
    }
    at
}

/// `bytes` without the optional white space around it.
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma-separated list, trimmed, without the empty ones (RFC 9110 section 5.6.1).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|member| !member.is_empty())
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
    fn find_control_agrees_with_the_definition_at_every_offset() {
        for byte in 0..=255u8 {
            for position in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[position] = byte;
                for from in 0..=bytes.len() {
                    let expected = (from..20).find(|&i| is_control(bytes[i])).unwrap_or(20);
                    assert_eq!(
                        find_control(&bytes, from),
                        expected,
                        "byte {byte:#x} at {position} from {from}"
                    );
                }
            }
        }
    }

    #[test]
    fn find_control_is_exact_beside_look_alikes() {
        for neighbour in [0x00, 0x09, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0xff] {
            for byte in 0..=255u8 {
                let bytes = [neighbour, byte, neighbour, byte, byte, neighbour, b'x', byte, neighbour];
                let expected = bytes.iter().position(|&b| is_control(b)).unwrap_or(bytes.len());
                assert_eq!(find_control(&bytes, 0), expected, "{bytes:x?}");
            }
        }
    }

    #[test]
    fn lists_skip_empty_members() {
        let mut members = list(b" a ,, b\t,");
        assert_eq!(members.next(), Some(&b"a"[..]));
        assert_eq!(members.next(), Some(&b"b"[..]));
        assert_eq!(members.next(), None);
    }
}
