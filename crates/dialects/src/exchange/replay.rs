//! A whole answer as the stream it could have been.

use super::{Arguments, ChatAnswer, Choice, Event, Media, PartKind, Source, Text};

impl ChatAnswer<'_> {
    /// Hands on the events of a stream that says the same, from [`Event::Start`] to [`Event::End`].
    pub fn replay(&self, sink: &mut dyn FnMut(Event<'_>)) {
        sink(Event::Start { id: self.id.clone(), model: self.model.clone() });
        for (index, choice) in (0..).zip(&self.choices) {
            replay_choice(index, choice, sink);
        }
        if let Some(usage) = self.usage {
            sink(Event::Usage(usage));
        }
        sink(Event::End);
    }
}

fn replay_choice(choice: u32, answer: &Choice<'_>, sink: &mut dyn FnMut(Event<'_>)) {
    let mut tools = 0;
    for part in &answer.parts {
        match &part.kind {
            PartKind::Text(text) => sink(Event::Text { choice, text: text.borrow() }),
            PartKind::Refusal(text) => sink(Event::Refusal { choice, text: text.borrow() }),
            PartKind::Thinking { text, signature } => {
                sink(Event::Thinking { choice, text: text.borrow() });
                if let Some(signature) = signature {
                    sink(Event::Signature { choice, signature: signature.borrow() });
                }
            }
            PartKind::RedactedThinking(data) => sink(Event::RedactedThinking { choice, data: data.borrow() }),
            PartKind::ToolCall(call) => {
                let (id, name, signature) = (call.id.borrow(), call.name.borrow(), call.signature.clone());
                sink(Event::ToolStart { choice, tool: tools, id, name, custom: call.custom, signature });
                sink(Event::ToolArguments { choice, tool: tools, fragment: text_of(&call.arguments) });
                sink(Event::ToolEnd { choice, tool: tools });
                tools += 1;
            }
            PartKind::Image(media) | PartKind::Audio(media) => replay_media(choice, media, sink),
            PartKind::Document(_) | PartKind::Video(_) | PartKind::ToolResult(_) => {}
        }
    }
    if let Some(logprobs) = &answer.logprobs {
        sink(Event::Logprobs { choice, logprobs: logprobs.clone() });
    }
    sink(Event::Finish { choice, finish: answer.finish, stop_sequence: answer.stop_sequence.clone() });
}

fn text_of<'a>(arguments: &'a Arguments<'_>) -> Text<'a> {
    arguments.to_text()
}

fn replay_media(choice: u32, media: &Media<'_>, sink: &mut dyn FnMut(Event<'_>)) {
    if let Source::Base64(data) = &media.source {
        let media_type = media.media_type.clone().unwrap_or_default();
        sink(Event::Media { choice, media_type, data: data.borrow() });
    }
}
