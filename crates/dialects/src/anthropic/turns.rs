//! The order that the dialect demands of a conversation.

use super::media::{can_write_document, can_write_image};
use crate::exchange::{CacheHint, Dropped, Message, Part, PartKind, Role, Text, ToolCall, losses};

/// What a turn of the user's says that has to be there and of which the client said nothing.
const GO_ON: &str = "Continue.";

/// A conversation in which turns alternate and begin with the user's, every call has its result in the next turn, in the
/// order of the calls and before all else, and nothing is empty.
pub(super) struct Conversation<'r, 'a> {
    /// The system prompt. The dialect's newest version has system messages in the middle too, but not every model and
    /// host of it, so all are gathered here, in order.
    pub(super) system: Vec<&'r Part<'a>>,
    pub(super) turns: Vec<Turn<'r, 'a>>,
}

pub(super) struct Turn<'r, 'a> {
    pub(super) is_user: bool,
    pub(super) blocks: Vec<Block<'r, 'a>>,
}

#[derive(Clone, Copy)]
pub(super) enum Block<'r, 'a> {
    /// A part of a message.
    Part(&'r Part<'a>),
    /// The end of the conversation that the model is to go on with; white space at its end is refused.
    Prefill(&'r Text<'a>),
    /// A result that the client did not give, to the call with this id.
    NoResult(&'r Text<'a>),
    /// A text of ours.
    Own(&'static str),
}

impl<'r, 'a> Block<'r, 'a> {
    fn call(self) -> Option<&'r ToolCall<'a>> {
        match self {
            Self::Part(Part { kind: PartKind::ToolCall(call), .. }) => Some(call),
            _ => None,
        }
    }

    fn is_result_of(self, id: &Text<'_>) -> bool {
        matches!(self, Self::Part(Part { kind: PartKind::ToolResult(result), .. }) if result.id == *id)
    }

    fn is_result(self) -> bool {
        matches!(self, Self::Part(Part { kind: PartKind::ToolResult(_), .. }) | Self::NoResult(_))
    }

    /// Where the prompt is to be cached after it. Thoughts take no such hint.
    pub(super) fn cache(self) -> Option<CacheHint> {
        match self {
            Self::Part(Part { kind: PartKind::Thinking { .. } | PartKind::RedactedThinking(_), .. }) => None,
            Self::Part(part) => part.cache,
            _ => None,
        }
    }
}

impl<'r, 'a> Conversation<'r, 'a> {
    /// Arranges messages. `None` where nothing is left that says anything. `takes_prefill` says whether the model may be
    /// made to go on with a turn of its own.
    pub(super) fn of(
        messages: &'r [Message<'a>],
        takes_prefill: bool,
        dropped: &mut Dropped,
    ) -> Option<Self> {
        let mut own = Self { system: Vec::new(), turns: Vec::with_capacity(messages.len()) };
        for message in messages {
            dropped.note_if(message.name.is_some(), losses::MESSAGE_NAME);
            for part in &message.parts {
                match message.role {
                    Role::System => own.add_system(part, dropped),
                    Role::User => own.add(true, part, dropped),
                    Role::Assistant => own.add(false, part, dropped),
                }
            }
        }
        own.begin()?;
        own.pair();
        own.finish(takes_prefill, dropped);
        Some(own)
    }

    /// Whether a medium can be sent.
    pub(super) fn takes_medium(kind: &PartKind<'_>) -> bool {
        match kind {
            PartKind::Image(media) => can_write_image(media),
            PartKind::Document(media) => can_write_document(media),
            PartKind::Audio(_) | PartKind::Video(_) => false,
            _ => true,
        }
    }

    fn add_system(&mut self, part: &'r Part<'a>, dropped: &mut Dropped) {
        match &part.kind {
            PartKind::Text(text) if text.is_blank() => {}
            PartKind::Text(_) => self.system.push(part),
            kind => dropped.note(losses::of_part(kind)),
        }
    }

    /// Adds a part. Of a result without its call, as clients leave behind that cut off the beginning of a conversation, what
    /// it holds is kept as what the user says.
    fn add(&mut self, is_user: bool, part: &'r Part<'a>, dropped: &mut Dropped) {
        match &part.kind {
            PartKind::ToolResult(result) if is_user && !self.awaits(&result.id) => {
                dropped.note(losses::TOOL_CALL_ID);
                result.parts.iter().for_each(|part| self.keep(is_user, part, dropped));
            }
            _ => self.keep(is_user, part, dropped),
        }
    }

    fn keep(&mut self, is_user: bool, part: &'r Part<'a>, dropped: &mut Dropped) {
        if !self.takes(is_user, part, dropped) {
            return;
        }
        match self.turns.last_mut().filter(|last| last.is_user == is_user) {
            Some(last) => last.blocks.push(Block::Part(part)),
            None => self.turns.push(Turn { is_user, blocks: vec![Block::Part(part)] }),
        }
    }

    /// Whether a part can stand in a turn; what cannot is noted unless it says nothing.
    fn takes(&self, is_user: bool, part: &Part<'_>, dropped: &mut Dropped) -> bool {
        let takes = match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) => return !text.is_blank(),
            PartKind::Image(media) => is_user && can_write_image(media),
            PartKind::Document(media) => is_user && can_write_document(media),
            PartKind::Audio(_) | PartKind::Video(_) => false,
            PartKind::ToolCall(_) | PartKind::RedactedThinking(_) => !is_user,
            PartKind::ToolResult(result) => is_user && self.awaits(&result.id),
            PartKind::Thinking { signature, .. } => !is_user && signature.as_ref().is_some_and(may_be_own),
        };
        dropped.note_if(!takes, losses::of_part(&part.kind));
        takes
    }

    /// Whether the last turn of the model's called this, and there is no result yet.
    fn awaits(&self, id: &Text<'_>) -> bool {
        let mut turns = self.turns.iter().rev();
        let Some(mut turn) = turns.next() else { return false };
        if turn.is_user {
            if turn.blocks.iter().any(|block| block.is_result_of(id)) {
                return false;
            }
            let Some(before) = turns.next() else { return false };
            turn = before;
        }
        turn.blocks.iter().any(|block| block.call().is_some_and(|call| call.id == *id))
    }

    /// Makes the first turn the user's. Where there is nothing but a system prompt, its last part is asked.
    fn begin(&mut self) -> Option<()> {
        let block = match self.turns.first() {
            Some(first) if first.is_user => return Some(()),
            Some(_) => Block::Own(GO_ON),
            None => Block::Part(self.system.pop()?),
        };
        self.turns.insert(0, Turn { is_user: true, blocks: vec![block] });
        Some(())
    }

    /// Puts calls last in their turns, and their results first in the next, in the order of the calls.
    fn pair(&mut self) {
        if self.turns.last().is_some_and(|last| last.blocks.iter().any(|block| block.call().is_some())) {
            self.turns.push(Turn { is_user: true, blocks: Vec::new() });
        }
        for at in 1..self.turns.len() {
            let (before, from) = self.turns.split_at_mut(at);
            let (Some(before), Some(turn)) = (before.last_mut(), from.first_mut()) else { continue };
            if !turn.is_user || !before.blocks.iter().any(|block| block.call().is_some()) {
                continue;
            }
            before.blocks.sort_by_key(|block| block.call().is_some());
            let calls = before.blocks.iter().filter_map(|block| block.call());
            let result = |call: &'r ToolCall<'a>| {
                let given = turn.blocks.iter().copied().find(|block| block.is_result_of(&call.id));
                given.unwrap_or(Block::NoResult(&call.id))
            };
            let mut blocks: Vec<_> = calls.map(result).collect();
            blocks.extend(turn.blocks.iter().copied().filter(|block| !block.is_result()));
            turn.blocks = blocks;
        }
    }

    /// Sees to the end. What the model is to go on with must be text; where it takes none, the user asks it to go on.
    fn finish(&mut self, takes_prefill: bool, dropped: &mut Dropped) {
        let Some(last) = self.turns.last_mut().filter(|last| !last.is_user) else { return };
        if let Some(Block::Part(Part { kind: PartKind::Text(text), .. })) = last.blocks.last().copied()
            && takes_prefill
        {
            last.blocks.pop();
            last.blocks.push(Block::Prefill(text));
            return;
        }
        dropped.note(losses::PREFILL);
        self.turns.push(Turn { is_user: true, blocks: vec![Block::Own(GO_ON)] });
    }

    /// Whether the model is in the middle of its turn, results of tools at hand, and the thoughts that it began the turn
    /// with are not there. Clients of other dialects cannot give them back. A model with a budget for thinking then
    /// refuses to think.
    pub(super) fn lacks_thoughts(&self) -> bool {
        let [.., model, user] = &self.turns[..] else { return false };
        let in_turn = user.is_user && user.blocks.iter().any(|block| block.is_result());
        let is_thought = |block: &Block<'_, '_>| {
            let Block::Part(part) = block else { return false };
            matches!(part.kind, PartKind::Thinking { .. } | PartKind::RedactedThinking(_))
        };
        in_turn && !model.blocks.first().is_some_and(is_thought)
    }

    /// The calls in it, in order.
    pub(super) fn calls(&self) -> impl Iterator<Item = &'r ToolCall<'a>> {
        self.turns.iter().flat_map(|turn| turn.blocks.iter().filter_map(|block| block.call()))
    }
}

/// Whether a signature can be Anthropic's: OpenAI's encrypted reasoning begins like this, and would be refused.
fn may_be_own(signature: &Text<'_>) -> bool {
    !signature.is_empty() && !signature.as_escaped().starts_with(b"gAAAA")
}
