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
        assert_eq!(NamePattern::parse("a*b*"), None);
        assert_eq!(NamePattern::parse(""), None);
    }
}
