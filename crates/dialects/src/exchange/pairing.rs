//! Calls of tools with their results, for writers whose dialect wants the results directly behind the calls.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Message, Part, PartKind, ToolCall};

/// What a provider is told of a call that the client did not answer, since without a result it would refuse the whole.
pub(crate) const NO_RESULT: &str = "The call was not answered.";

/// The calls of one turn in order, each with what answers it.
#[derive(Debug, Default)]
pub(crate) struct Answers<'m, 'a> {
    list: Vec<Answer<'m, 'a>>,
    /// Where the parts are that answer.
    parts: HashSet<usize>,
}

#[derive(Debug)]
pub(crate) struct Answer<'m, 'a> {
    pub(crate) call: &'m ToolCall<'a>,
    /// `None` where the client gave no result.
    pub(crate) result: Option<&'m Part<'a>>,
}

impl<'m, 'a> Answers<'m, 'a> {
    /// Of a turn with calls: each is answered by the first result of its id that comes before the model calls anything
    /// again, and that answers no call before it.
    pub(crate) fn of(turn: &'m Message<'a>, following: &'m [Message<'a>]) -> Self {
        if calls(turn).next().is_none() {
            return Self::default();
        }
        let mut results: HashMap<&[u8], VecDeque<&'m Part<'a>>> = HashMap::new();
        let before_next = following.iter().take_while(|message| calls(message).next().is_none());
        for part in before_next.flat_map(|message| &message.parts) {
            if let PartKind::ToolResult(result) = &part.kind {
                results.entry(result.id.as_escaped()).or_default().push_back(part);
            }
        }
        let mut own = Self::default();
        for call in calls(turn) {
            let result = results.get_mut(call.id.as_escaped()).and_then(VecDeque::pop_front);
            own.parts.extend(result.map(address));
            own.list.push(Answer { call, result });
        }
        own
    }

    /// Whether a part is one of the results.
    pub(crate) fn contains(&self, part: &Part<'_>) -> bool {
        self.parts.contains(&address(part))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Answer<'m, 'a>> {
        self.list.iter()
    }
}

fn address(part: &Part<'_>) -> usize {
    std::ptr::from_ref(part).addr()
}

/// The calls of a message.
pub(crate) fn calls<'m, 'a>(message: &'m Message<'a>) -> impl Iterator<Item = &'m ToolCall<'a>> {
    message.parts.iter().filter_map(|part| match &part.kind {
        PartKind::ToolCall(call) => Some(call),
        _ => None,
    })
}
