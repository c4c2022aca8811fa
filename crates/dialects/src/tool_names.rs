//! Names of tools for dialects that allow fewer characters, or shorter names, than the one a request came in.
//!
//! The mapping is a function of the request's tools alone, so that nothing has to be remembered between a request and its
//! answer: who holds the request can compute it again and undo it.

use std::collections::HashSet;

use crate::exchange::{ChatAnswer, Event, PartKind, Text, Tool};

/// What a dialect allows in a tool's name.
#[derive(Clone, Copy, Debug)]
pub struct NameRules {
    /// Longest name in bytes, at least 16.
    pub max_bytes: usize,
    /// Whether a character may stand in a name. The underscore must be among them.
    pub allows: fn(u8) -> bool,
    /// Whether a name may begin with it, if it may stand in one; else an underscore is put in front.
    pub begins: fn(u8) -> bool,
}

impl NameRules {
    /// `[a-zA-Z0-9_-]{1,64}`, the commonest rule.
    pub const COMMON: Self = Self { max_bytes: 64, allows: is_common, begins: is_common };

    /// The name a tool has there. One that is allowed stays as it is. In any other, what is not allowed becomes an
    /// underscore and what is too long is cut off; where that is another tool's name already, `_2` is put behind it, or
    /// `_3`, and so on. A name of no tool of the request (a call in the history may have one) is only made to fit.
    #[must_use]
    pub fn mapped_name<'n>(&self, tools: &[Tool<'_>], name: &'n Text<'_>) -> Text<'n> {
        if self.is_allowed(name) {
            return name.borrow();
        }
        let fitted = self.fitted(&name.decode());
        // Two names that become one are rare; only then all have to be looked at in order.
        let rivals = tools.iter().filter(|tool| tool.name != *name);
        let mut rivals = rivals.filter(|tool| self.fitting(&tool.name.decode()).eq(fitted.chars()));
        if rivals.next().is_none() && !is_numbered(&fitted) {
            return Text::plain(&fitted);
        }
        self.names_of(tools).mapped(self, name)
    }

    /// All names of a request's tools that are not allowed there, with those they get: for who needs more than one.
    #[must_use]
    pub fn names_of(&self, tools: &[Tool<'_>]) -> ToolNames {
        let mut names = ToolNames::default();
        if tools.iter().all(|tool| self.is_allowed(&tool.name)) {
            return names;
        }
        let allowed = tools.iter().filter(|tool| self.is_allowed(&tool.name));
        let mut taken: HashSet<String> = allowed.map(|tool| tool.name.decode().into_owned()).collect();
        for tool in tools.iter().filter(|tool| !self.is_allowed(&tool.name)) {
            if names.mapping_of(&tool.name).is_none() {
                let own = self.free(&self.fitted(&tool.name.decode()), &taken);
                names
                    .changed
                    .push(Changed { there: Text::plain(&own), here: tool.name.clone().into_owned() });
                taken.insert(own);
            }
        }
        names
    }

    /// ASCII without escapes is what it stands for, so most names need no decoding.
    fn is_allowed(&self, name: &Text<'_>) -> bool {
        let name = name.as_escaped();
        let begins = name.first().is_some_and(|first| (self.begins)(*first));
        begins
            && name.len() <= self.max_bytes
            && name.iter().all(|byte| *byte != b'\\' && (self.allows)(*byte))
    }

    /// The first of a name and its numbered variants that is not taken.
    fn free(&self, fitted: &str, taken: &HashSet<String>) -> String {
        let variant = |nth: usize| {
            let suffix = if nth == 1 { String::new() } else { format!("_{nth}") };
            let kept = fitted.len().min(self.max_bytes.saturating_sub(suffix.len()));
            format!("{}{suffix}", &fitted[..kept])
        };
        // Among as many variants as there are names and one more, one is free.
        let free = (1..=taken.len() + 1).map(variant).find(|own| !taken.contains(own));
        free.unwrap_or_else(|| fitted.to_owned())
    }

    /// The name with what does not fit replaced: ASCII only, so it can be cut anywhere.
    fn fitted(&self, name: &str) -> String {
        self.fitting(name).collect()
    }

    fn fitting<'t>(&self, name: &'t str) -> impl Iterator<Item = char> + use<'t> {
        let Self { max_bytes, allows, begins } = *self;
        let allowed = move |c: char| u8::try_from(c).is_ok_and(|byte| byte.is_ascii() && allows(byte));
        let mut fitted = name.chars().map(move |c| if allowed(c) { c } else { '_' }).peekable();
        let begun = fitted.peek().is_some_and(|first| u8::try_from(*first).is_ok_and(begins));
        (!begun).then_some('_').into_iter().chain(fitted).take(max_bytes)
    }
}

/// Whether it may be the numbered variant of another name.
fn is_numbered(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.len() < name.len() && stem.ends_with('_')
}

fn is_common(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The names that were changed on the way to a provider, to be changed back in what it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames {
    changed: Vec<Changed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Changed {
    there: Text<'static>,
    here: Text<'static>,
}

impl ToolNames {
    /// Those of a request's tools, by the function that maps them.
    #[must_use]
    pub fn of(tools: &[Tool<'_>], mapped: impl for<'n> Fn(&[Tool<'_>], &'n Text<'_>) -> Text<'n>) -> Self {
        let changed = tools.iter().filter_map(|tool| {
            let there = mapped(tools, &tool.name);
            (there != tool.name)
                .then(|| Changed { there: there.into_owned(), here: tool.name.clone().into_owned() })
        });
        Self { changed: changed.collect() }
    }

    /// The name a tool has there, whether of the request or not; `rules` are those the names were made by.
    #[must_use]
    pub fn mapped<'n>(&self, rules: &NameRules, name: &'n Text<'_>) -> Text<'n> {
        if rules.is_allowed(name) {
            return name.borrow();
        }
        let there = self.mapping_of(name).map(|changed| changed.there.clone());
        there.unwrap_or_else(|| Text::plain(&rules.fitted(&name.decode())))
    }

    fn mapping_of(&self, name: &Text<'_>) -> Option<&Changed> {
        self.changed.iter().find(|changed| changed.here == *name)
    }

    /// Whether no name was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// The name a tool has in the request, by the one it has at the provider; `None` where they are the same.
    #[must_use]
    pub fn original(&self, name: &Text<'_>) -> Option<&Text<'static>> {
        self.changed.iter().find(|changed| changed.there == *name).map(|changed| &changed.here)
    }

    /// Changes the names back in a whole answer.
    pub fn restore_answer(&self, answer: &mut ChatAnswer<'_>) {
        for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            if let PartKind::ToolCall(call) = &mut part.kind
                && let Some(original) = self.original(&call.name)
            {
                call.name = original.clone();
            }
        }
    }

    /// Changes the name back in an event of a stream.
    pub fn restore_event(&self, event: &mut Event<'_>) {
        if let Event::ToolStart { name, .. } = event
            && let Some(original) = self.original(name)
        {
            *name = original.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Arguments, Choice, ToolCall};

    fn tools(names: &[&str]) -> Vec<Tool<'static>> {
        let tool = |name: &&str| Tool {
            name: Text::plain(name),
            description: None,
            schema: None,
            strict: None,
            custom: false,
            cache: None,
        };
        names.iter().map(tool).collect()
    }

    fn mapped(names: &[&str]) -> Vec<String> {
        let tools = tools(names);
        let own = |tool: &Tool<'_>| NameRules::COMMON.mapped_name(&tools, &tool.name).decode().into_owned();
        tools.iter().map(own).collect()
    }

    #[test]
    fn trap_23_names_are_made_to_fit() {
        let long = "x".repeat(70);
        assert_eq!(
            mapped(&["get_weather", "fs.read", "mcp:list/all", "größe", "", &long]),
            ["get_weather", "fs_read", "mcp_list_all", "gr__e", "_", &"x".repeat(64)]
        );
    }

    #[test]
    fn edge_43_no_two_tools_get_one_name() {
        // One that needs no change keeps its name, wherever it stands.
        assert_eq!(
            mapped(&["a.b", "a:b", "a_b", "a/b", "a_b_2"]),
            ["a_b_3", "a_b_4", "a_b", "a_b_5", "a_b_2"]
        );
        let (one, two) = ("y".repeat(70), "y".repeat(71));
        let cut = mapped(&[&one, &two]);
        assert_eq!(cut, ["y".repeat(64), format!("{}_2", "y".repeat(62))]);
    }

    #[test]
    fn a_name_of_no_tool_only_fits() {
        let tools = tools(&["a.b"]);
        assert_eq!(
            NameRules::COMMON.mapped_name(&tools, &Text::plain("gone.tool")),
            Text::plain("gone_tool")
        );
    }

    #[test]
    fn a_first_character_may_be_ruled_out() {
        let rules =
            NameRules { begins: |byte| !byte.is_ascii_digit() && is_common(byte), ..NameRules::COMMON };
        assert_eq!(rules.mapped_name(&[], &Text::plain("2d")), Text::plain("_2d"));
        assert_eq!(rules.mapped_name(&[], &Text::plain("d2")), Text::plain("d2"));
    }

    #[test]
    fn the_mapping_is_undone() {
        let tools = tools(&["a.b", "a_b", "c"]);
        let names = NameRules::COMMON.names_of(&tools);
        assert_eq!(names, ToolNames::of(&tools, |tools, name| NameRules::COMMON.mapped_name(tools, name)));
        let call = |name: &str| {
            let (id, name) = (Text::literal("1"), Text::plain(name));
            let arguments = Arguments::Text(Text::literal("{}"));
            PartKind::ToolCall(ToolCall { id, name, arguments, signature: None, custom: false })
        };
        let parts = [call("a_b_2"), call("a_b"), call("c")].map(Into::into).to_vec();
        let mut answer =
            ChatAnswer { choices: vec![Choice { parts, ..Choice::default() }], ..ChatAnswer::default() };
        names.restore_answer(&mut answer);
        let parts = answer.choices[0].parts.iter().map(|part| part.kind.clone());
        assert!(parts.eq([call("a.b"), call("a_b"), call("c")]));
        let start = |name: &str| Event::ToolStart {
            choice: 0,
            tool: 0,
            id: Text::literal("1"),
            name: Text::plain(name),
            custom: false,
            signature: None,
        };
        let mut event = start("a_b_2");
        names.restore_event(&mut event);
        assert_eq!(event, start("a.b"));
        assert!(
            ToolNames::of(&tools[1..], |tools, name| NameRules::COMMON.mapped_name(tools, name)).is_empty()
        );
    }
}
