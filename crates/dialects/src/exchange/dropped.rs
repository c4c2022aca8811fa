use std::borrow::Cow;

/// What could not be carried from one dialect into another, by the names it has in the caller's: `logit_bias`,
/// `messages.name`, `tools.web_search`. Readers note what has no canonical form, writers what the target cannot take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    names: Vec<Cow<'static, str>>,
    /// There were further ones.
    more: bool,
}

/// Names listed at most: a client decides how many members it makes up, and a header has its bounds.
const MAX_NAMES: usize = 32;

impl Dropped {
    /// Notes one; further ones of the same name change nothing.
    pub fn note(&mut self, name: impl Into<Cow<'static, str>>) {
        let name = name.into();
        if self.names.contains(&name) {
            return;
        }
        if self.names.len() < MAX_NAMES {
            self.names.push(name);
        } else {
            self.more = true;
        }
    }

    /// Notes one if it was there.
    pub fn note_if(&mut self, there: bool, name: &'static str) {
        if there {
            self.note(name);
        }
    }

    /// Whether nothing was left behind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in the order they were noted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// The value of the `x-sluice-dropped` header: the names with commas between them, less what a header cannot hold, and
    /// three dots for those that are not listed.
    #[must_use]
    pub fn header_value(&self) -> String {
        let clean = |name: &str| -> String {
            name.chars().filter(|c| c.is_ascii_graphic() && *c != ',').take(64).collect()
        };
        let mut names: Vec<_> = self.names().map(clean).collect();
        if self.more {
            names.push("...".to_owned());
        }
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_once_and_within_bounds() {
        let mut dropped = Dropped::default();
        for at in 0..40 {
            dropped.note(format!("m{at}"));
            dropped.note("m0");
        }
        let header = dropped.header_value();
        assert!(header.starts_with("m0, m1, ") && header.ends_with("m31, ..."), "{header}");
        let mut odd = Dropped::default();
        odd.note("a,b\r\nx: y");
        assert_eq!(odd.header_value(), "abx:y");
    }
}
