use std::fmt;

/// A name with at most one `*`, which stands for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    prefix: Box<str>,
    /// What follows the star; `None` where there is no star and the name is exact.
    suffix: Option<Box<str>>,
}

impl NamePattern {
    /// Reads a pattern; `None` if it is empty or has more than one `*`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        match text.split_once('*') {
            None => Some(Self { prefix: text.into(), suffix: None }),
            Some((_, suffix)) if suffix.contains('*') => None,
            Some((prefix, suffix)) => Some(Self { prefix: prefix.into(), suffix: Some(suffix.into()) }),
        }
    }

    /// A name without a star.
    pub(crate) fn exact(name: &str) -> Self {
        Self { prefix: name.into(), suffix: None }
    }

    /// The name, where the pattern has no star.
    pub(crate) fn as_exact(&self) -> Option<&str> {
        self.suffix.is_none().then_some(&self.prefix)
    }

    /// Whether there is a name that both match.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (Some(suffix), Some(other_suffix)) = (&self.suffix, &other.suffix) else {
            return match (self.as_exact(), other.as_exact()) {
                (Some(name), _) => other.matched(name).is_some(),
                (None, name) => name.is_some_and(|name| self.matched(name).is_some()),
            };
        };
        let prefixes = self.prefix.starts_with(&*other.prefix) || other.prefix.starts_with(&*self.prefix);
        prefixes && (suffix.ends_with(&**other_suffix) || other_suffix.ends_with(&**suffix))
    }

    /// Whether the pattern has no star.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.suffix.is_none()
    }

    /// Whether the pattern is a lone `*`.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.prefix.is_empty() && self.suffix.as_deref() == Some("")
    }

    /// Length of the fixed parts in bytes: the more of them, the more specific the pattern.
    #[must_use]
    pub fn specificity(&self) -> usize {
        self.prefix.len() + self.suffix.as_deref().map_or(0, str::len)
    }

    /// The part of `name` the star stands for (empty for an exact match), or `None` if it does not match.
    #[must_use]
    pub fn matched<'n>(&self, name: &'n str) -> Option<&'n str> {
        let rest = name.strip_prefix(&*self.prefix)?;
        match &self.suffix {
            None => rest.is_empty().then_some(rest),
            Some(suffix) => rest.strip_suffix(&**suffix),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.suffix {
            None => f.write_str(&self.prefix),
            Some(suffix) => write!(f, "{}*{suffix}", self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NamePattern;

    #[test]
    fn matches_what_the_star_allows() {
        let cases = [
            ("gpt-4o", "gpt-4o", Some("")),
            ("gpt-4o", "gpt-4o-mini", None),
            ("gpt-*", "gpt-4o", Some("4o")),
            ("gpt-*", "gpt-", Some("")),
            ("*", "anything/at:all", Some("anything/at:all")),
            ("a*a", "a", None),
            ("a*a", "aa", Some("")),
            ("openai/*-mini", "openai/gpt-4o-mini", Some("gpt-4o")),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(NamePattern::parse(pattern).unwrap().matched(name), expected, "{pattern} on {name}");
        }
        let overlaps = [
            ("openai/*", "openai/gpt-*", true),
            ("openai/*", "*-mini", true),
            ("openai/*", "azure/*", false),
            ("a*x", "ab*yx", true),
            ("a*x", "ab*y", false),
            ("gpt-4o", "gpt-*", true),
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-5", false),
            ("gpt-4o", "o-*", false),
        ];
        for (one, other, expected) in overlaps {
            let (a, b) = (NamePattern::parse(one).unwrap(), NamePattern::parse(other).unwrap());
            assert_eq!((a.overlaps(&b), b.overlaps(&a)), (expected, expected), "{one} and {other}");
        }
        assert_eq!(NamePattern::parse("a*b*"), None);
        assert_eq!(NamePattern::parse(""), None);
    }
}
