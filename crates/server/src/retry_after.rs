//! How long a provider asks to be left alone, by the headers of its answer.

use std::time::UNIX_EPOCH;

use sluice_http1::{Known, ResponseHead};

/// Nanoseconds from `retry-after-ms`, else from `retry-after`, which is a number of seconds or a date (RFC 9110, section
/// 10.2.3). `now_ms` is the time of day, milliseconds since 1970. A date that has passed asks for nothing.
pub(crate) fn retry_after_ns(head: &ResponseHead, bytes: &[u8], now_ms: u64) -> Option<u64> {
    let text = |known| head.known(bytes, known).and_then(|value| std::str::from_utf8(value).ok());
    let from_ms = text(Known::RetryAfterMs).and_then(|text| text.parse::<u64>().ok());
    if let Some(ms) = from_ms {
        return Some(ms.saturating_mul(1_000_000));
    }
    let asked = text(Known::RetryAfter)?.trim();
    match asked.parse::<u64>() {
        Ok(seconds) => Some(seconds.saturating_mul(1_000_000_000)),
        Err(_) => until(asked, now_ms),
    }
}

fn until(date: &str, now_ms: u64) -> Option<u64> {
    let date = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let wait_ms = u64::try_from(date.as_millis()).ok()?.checked_sub(now_ms)?;
    (wait_ms > 0).then(|| wait_ms.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const EXAMPLE_MS: u64 = 784_111_777_000;

    fn asked(lines: &str, now_ms: u64) -> Option<u64> {
        let bytes = format!("HTTP/1.1 429 Too Many Requests\r\n{lines}\r\n");
        let mut head = ResponseHead::new();
        head.parse(bytes.as_bytes(), false).unwrap();
        retry_after_ns(&head, bytes.as_bytes(), now_ms)
    }

    #[test]
    fn check_112_waits_are_read_in_every_form() {
        let second = 1_000_000_000;
        assert_eq!(asked("retry-after: 7\r\n", 0), Some(7 * second));
        assert_eq!(asked("retry-after-ms: 250\r\nretry-after: 7\r\n", 0), Some(second / 4));
        let forms =
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
        for form in forms {
            let line = format!("retry-after: {form}\r\n");
            assert_eq!(asked(&line, EXAMPLE_MS - 90_500), Some(90 * second + second / 2), "{form}");
            assert_eq!(asked(&line, EXAMPLE_MS), None, "{form}");
            assert_eq!(asked(&line, EXAMPLE_MS + 1), None, "{form}");
        }
        for nothing in
            ["", "retry-after: soon\r\n", "retry-after: -1\r\n", "retry-after: 1.5\r\n", "retry-after:\r\n"]
        {
            assert_eq!(asked(nothing, 0), None, "{nothing}");
        }
        assert_eq!(asked("retry-after: 99999999999999999\r\n", 0), Some(u64::MAX));
    }
}
