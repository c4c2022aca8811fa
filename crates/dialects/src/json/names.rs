//! Finding the names of members in a document without parsing it.

use super::simd::{self, BLOCK};

/// A few names to look for, all in one pass.
///
/// A name is looked for with its quotes, and counts where a colon follows. Inside a string its quotes would be escaped, so
/// what is found is always the name of a member; at which level of nesting, only a scan can tell.
pub(crate) struct Names {
    quoted: [&'static str; 4],
    initials: [u8; 4],
}

impl Names {
    /// Names with their quotes, of at least one character each.
    pub(crate) const fn new(quoted: [&'static str; 4]) -> Self {
        let [a, b, c, d] = quoted;
        let initials = [a.as_bytes()[1], b.as_bytes()[1], c.as_bytes()[1], d.as_bytes()[1]];
        Self { quoted, initials }
    }

    /// Calls `found` for each member found, in order, with the index of its name and the offset of its value.
    #[inline]
    pub(crate) fn each_in(&self, document: &[u8], mut found: impl FnMut(usize, usize)) {
        let mut at = 0;
        while let Some((block, next)) = block_and_next(document, at) {
            self.in_block(document, at, simd::pairs(block, next, b'"', self.initials), &mut found);
            at += BLOCK;
        }
        let mut tail = [0; BLOCK + 1];
        let rest = document.get(at..).unwrap_or_default();
        tail[..rest.len()].copy_from_slice(rest);
        if let Some((block, next)) = block_and_next(&tail, 0) {
            self.in_block(document, at, simd::pairs(block, next, b'"', self.initials), &mut found);
        }
    }

    #[inline(always)]
    fn in_block(
        &self,
        document: &[u8],
        at: usize,
        mut candidates: u64,
        found: &mut impl FnMut(usize, usize),
    ) {
        while candidates != 0 {
            let rest = &document[at + candidates.trailing_zeros() as usize..];
            candidates &= candidates - 1;
            let index = self.quoted.iter().position(|name| rest.starts_with(name.as_bytes()));
            let Some(index) = index else { continue };
            let after = rest[self.quoted[index].len()..].trim_ascii_start();
            if let Some(value) = after.strip_prefix(b":") {
                found(index, document.len() - value.trim_ascii_start().len());
            }
        }
    }
}

#[inline(always)]
fn block_and_next(bytes: &[u8], at: usize) -> Option<(&[u8; BLOCK], &[u8; BLOCK])> {
    Some((bytes.get(at..)?.first_chunk()?, bytes.get(at + 1..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::Names;

    const NAMES: Names = Names::new(["\"delta\"", "\"usage\"", "\"error\"", "\"finish_reason\""]);

    fn found(document: &str) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        NAMES.each_in(document.as_bytes(), |index, at| found.push((index, &document[at..])));
        found
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        for before in 0..200 {
            for after in [0, 1, 30, 64, 100] {
                let (before, after) = ("x".repeat(before), "y".repeat(after));
                let document = format!("{before}\"usage\" : 1{after}");
                assert_eq!(found(&document), [(1, &*format!("1{after}"))]);
                let document = format!("{before}\"finish_reason\":2{after}");
                assert_eq!(found(&document), [(3, &*format!("2{after}"))]);
            }
        }
    }

    #[test]
    fn only_names_of_members_are_found() {
        let none = [
            "",
            "\"",
            "\"usage",
            "\"usage\"",
            "\"usage\" ,1",
            "\"usage1\":1",
            "\"Usage\":1",
            "usage:1",
            r#"{"x":"\"usage\":1"}"#,
            r#"{"x":"usage"}"#,
        ];
        for document in none {
            assert_eq!(found(document), [], "{document}");
        }
        assert_eq!(found(r#"{"error":null,"delta":{"usage":3}}"#).len(), 3);
    }
}
