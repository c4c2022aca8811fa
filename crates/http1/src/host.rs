//! The `Host` field: `uri-host [ ":" port ]` of RFC 9110 section 7.2, without user information and without escapes.

use crate::bytes::{DIGIT, HOST, IPV6, all, is};

/// Whether `value` is a host with an optional port. Empty is refused: nothing here is served without a name.
pub(crate) fn is_valid(value: &[u8]) -> bool {
    if let Some(rest) = value.strip_prefix(b"[") {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
        return all(&rest[..end], IPV6) && is_port_suffix(&rest[end + 1..]);
    }
    let name_len = value.iter().position(|&byte| !is(byte, HOST)).unwrap_or(value.len());
    name_len > 0 && is_port_suffix(&value[name_len..])
}

/// Nothing, or a colon and a port number.
fn is_port_suffix(suffix: &[u8]) -> bool {
    match suffix {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && all(port, DIGIT) && number(port) <= u32::from(u16::MAX),
        _ => false,
    }
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, &digit| number * 10 + u32::from(digit - b'0'))
}

/// Whether two authorities are the same, in any case and with or without the default port of the scheme.
pub(crate) fn same(a: &[u8], b: &[u8], default_port: &[u8]) -> bool {
    without(a, default_port).eq_ignore_ascii_case(without(b, default_port))
}

fn without<'a>(authority: &'a [u8], default_port: &[u8]) -> &'a [u8] {
    authority.strip_suffix(default_port).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let good = [
            "localhost",
            "a",
            "127.0.0.1:8080",
            "api.example.com",
            "a_b-c~d.example:65535",
            "[::1]",
            "[::1]:80",
            "[2001:db8::192.0.2.1]:0",
            "xn--bcher-kva.example",
        ];
        for host in good {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
        let bad = [
            "",
            ":80",
            "a:",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:000080",
            "x/health",
            "x/health?",
            "x?",
            "x#",
            "u@x",
            "a b",
            "a\tb",
            "a,b",
            "a%41",
            "[::1",
            "[]",
            "[::1]x",
            "[::1]:",
            "[g::1]",
            "::1",
            "a\\b",
            "b\u{fc}cher",
            "a;b",
            "\"a\"",
            "<a>",
            "a:+80",
            "a:-1",
            "[::1%25eth0]",
        ];
        for host in bad {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn same_ignores_case_and_the_default_port() {
        assert!(same(b"Example.com:80", b"example.COM", b":80"));
        assert!(same(b"a:81", b"a:81", b":80"));
        assert!(!same(b"a:81", b"a", b":80"));
        assert!(!same(b"a", b"b", b":80"));
    }
}
