//! Media that the other side cannot take or show.
//!
//! In a request they are left out with a note, like all that a provider cannot be asked for; but a message that they are
//! all of would be gone, and the answer be one to another question, so such a request is refused. In an answer they are
//! left out where something else is said, and where nothing is, a sentence stands for them: an answer that is empty tells
//! a client nothing.

use crate::exchange::{ChatAnswer, Choice, Event, Message, Part, PartKind, Role, Source, Text};
use crate::openai::RequestError;
use crate::wire::{Encode, Wire};

/// Refuses a request with a message of the user's that would be empty: all it holds are media, and none is taken.
/// `expected` says what would be.
pub(crate) fn refuse_emptied(
    messages: &[Message<'_>],
    expected: &str,
    takes: impl Fn(&PartKind<'_>) -> bool,
) -> Result<(), RequestError> {
    let says = |part: &Part<'_>| match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => !text.is_blank(),
        kind => !is_medium(kind) || takes(kind),
    };
    let emptied = |message: &Message<'_>| {
        message.role == Role::User
            && message.parts.iter().any(|part| is_medium(&part.kind))
            && !message.parts.iter().any(says)
    };
    if messages.iter().any(emptied) {
        let why =
            "All that a message holds is of a kind, or at a place, that this model's provider cannot take.";
        return Err(RequestError::about("messages", format!("{why} Expected: {expected}.")));
    }
    Ok(())
}

fn is_medium(kind: &PartKind<'_>) -> bool {
    matches!(kind, PartKind::Image(_) | PartKind::Audio(_) | PartKind::Document(_) | PartKind::Video(_))
}

/// Whether a generated medium of this type is shown to clients of a dialect.
fn shows(wire: Wire, media_type: &Text<'_>, in_stream: bool) -> bool {
    let is = |sort: &[u8]| media_type.as_escaped().starts_with(sort);
    match wire {
        Wire::OpenaiChat => is(b"image") || is(b"audio") || media_type.is_empty(),
        Wire::OpenaiResponses => is(b"image"),
        Wire::Gemini => !media_type.is_empty(),
        Wire::Bedrock => crate::bedrock::shows(media_type, in_stream),
        Wire::Anthropic | Wire::Cohere | Wire::Ollama => false,
    }
}

/// The sentence that stands for a medium.
fn words(media_type: &Text<'_>) -> Text<'static> {
    let what = if media_type.is_empty() { "sound".into() } else { media_type.decode() };
    Text::plain(&format!("[The answer is {what}, which this API cannot show.]"))
}

/// The media type of a generated medium that has bytes.
fn generated<'p, 'a>(part: &'p Part<'a>) -> Option<Text<'p>> {
    let (media, usual) = match &part.kind {
        PartKind::Image(media) => (media, "image/png"),
        PartKind::Audio(media) => (media, ""),
        _ => return None,
    };
    let usual = || Text::literal(usual);
    matches!(media.source, Source::Base64(_))
        .then(|| media.media_type.as_ref().map_or_else(usual, Text::borrow))
}

/// The answer with words in place of media that the dialect cannot show, where a choice says nothing else. `None` where
/// there is no such choice.
pub(crate) fn with_words<'a>(wire: Wire, answer: &ChatAnswer<'a>) -> Option<ChatAnswer<'a>> {
    let lost = |choice: &Choice<'_>| {
        let mut lost = None;
        for part in &choice.parts {
            match (&part.kind, generated(part)) {
                (PartKind::Text(text) | PartKind::Refusal(text), _) if !text.is_empty() => return None,
                (PartKind::ToolCall(_), _) => return None,
                (_, Some(media_type)) if shows(wire, &media_type, false) => return None,
                (_, Some(media_type)) => lost = Some(words(&media_type)),
                _ => {}
            }
        }
        lost
    };
    let lost: Vec<_> = answer.choices.iter().map(lost).collect();
    if lost.iter().all(Option::is_none) {
        return None;
    }
    let mut answer = answer.clone();
    for (choice, words) in answer.choices.iter_mut().zip(lost) {
        choice.parts.extend(words.map(|words| Part::from(PartKind::Text(words))));
    }
    Some(answer)
}

/// An encoder that does the same in streams.
pub(crate) struct WithWords {
    wire: Wire,
    encoder: Box<dyn Encode>,
    /// A bit for each choice that has said something.
    said: u64,
    /// Choices with a medium that is not shown, and what is said of it.
    lost: Vec<(u32, Text<'static>)>,
}

impl WithWords {
    pub(crate) fn new(wire: Wire, encoder: Box<dyn Encode>) -> Self {
        Self { wire, encoder, said: 0, lost: Vec::new() }
    }

    fn says(&mut self, choice: u32) {
        self.said |= bit(choice);
    }
}

/// No provider gives more than a hundred answers, and none that makes media more than eight.
fn bit(choice: u32) -> u64 {
    1 << choice.min(63)
}

impl Encode for WithWords {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Text { choice, text } | Event::Refusal { choice, text } if !text.is_empty() => {
                self.says(*choice);
            }
            Event::ToolStart { choice, .. } => self.says(*choice),
            Event::Media { choice, media_type, .. } if shows(self.wire, media_type, true) => {
                self.says(*choice)
            }
            Event::Media { choice, media_type, .. } => {
                self.lost.push((*choice, words(media_type)));
                return;
            }
            Event::Finish { choice, .. } if self.said & bit(*choice) == 0 => {
                if let Some((_, words)) = self.lost.iter().find(|(lost, _)| lost == choice) {
                    let text = words.borrow();
                    self.encoder.event(&Event::Text { choice: *choice, text }, out);
                }
            }
            _ => {}
        }
        self.encoder.event(event, out);
    }
}
