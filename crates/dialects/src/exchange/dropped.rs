use std::borrow::Cow;

/// What could not be carried from one dialect into another, by the names it has in the caller's: `logit_bias`,
/// `messages.name`, `tools.web_search`. Readers note what has no canonical form, writers what the target cannot take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    names: Vec<Cow<'static, str>>,
}

/// Names listed at most; the rest is counted as one.
const MAX_NAMES: usize = 32;

impl Dropped {
    /// Notes one; further ones of the same name change nothing.
    pub fn note(&mut self, name: impl Into<Cow<'static, str>>) {
        let name = name.into();
        if self.names.len() < MAX_NAMES && !self.names.contains(&name) {
            self.names.push(name);
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

    /// The value of the `x-sluice-dropped` header: the names with commas between them, less what a header cannot hold.
    #[must_use]
    pub fn header_value(&self) -> String {
        let clean = |name: &str| -> String {
            name.chars().filter(|c| c.is_ascii_graphic() && *c != ',').take(64).collect()
        };
        self.names().map(clean).collect::<Vec<_>>().join(", ")
    }
}
