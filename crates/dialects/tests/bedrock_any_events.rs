//! Whatever order a provider's events come in, Bedrock's stream has one block after another and loses nothing.

use proptest::prelude::*;
use serde_json::Value;
use sluice_dialects::bedrock::Encoder;
use sluice_dialects::event_stream::messages;
use sluice_dialects::exchange::{Event, Finish, Text};
use sluice_dialects::wire::{AnswerContext, Encode};

/// One step of a provider's stream.
#[derive(Clone, Debug)]
enum Step {
    Text,
    Thinking,
    Signature,
    Redacted,
    StartTool,
    /// More of one of the calls that have begun.
    Arguments(usize),
    EndTool(usize),
    Finish,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => Just(Step::Text),
        1 => Just(Step::Thinking),
        1 => Just(Step::Signature),
        1 => Just(Step::Redacted),
        3 => Just(Step::StartTool),
        6 => (0..8_usize).prop_map(Step::Arguments),
        2 => (0..8_usize).prop_map(Step::EndTool),
        1 => Just(Step::Finish),
    ];
    proptest::collection::vec(step, 0..40)
}

/// What a stream must hold: its text, and the arguments of its calls.
#[derive(Debug, Default, PartialEq)]
struct Held {
    text: String,
    calls: Vec<String>,
}

/// Fragments of an array that is never complete, so that only its end finishes a call.
fn feed(encoder: &mut Encoder, steps: &[Step], out: &mut Vec<u8>) -> Held {
    let (mut held, mut ended) = (Held::default(), Vec::new());
    let choice = 0;
    for (nth, step) in steps.iter().enumerate() {
        let fragment = format!("[{nth}");
        let event = match step {
            Step::Text => {
                held.text.push_str(&fragment);
                Event::Text { choice, text: Text::plain(&fragment) }
            }
            Step::Thinking => Event::Thinking { choice, text: Text::plain(&fragment) },
            Step::Signature => Event::Signature { choice, signature: Text::plain(&fragment) },
            Step::Redacted => Event::RedactedThinking { choice, data: Text::literal("YQ==") },
            Step::StartTool => {
                let tool = u32::try_from(held.calls.len()).expect("a few");
                held.calls.push(String::new());
                ended.push(false);
                let (id, name) = (Text::plain(&tool.to_string()), Text::literal("f"));
                Event::ToolStart { choice, tool, id, name, custom: false, signature: None }
            }
            Step::Arguments(tool) | Step::EndTool(tool) if ended.get(*tool) != Some(&false) => continue,
            Step::Arguments(tool) => {
                held.calls[*tool].push_str(&fragment);
                Event::ToolArguments {
                    choice,
                    tool: u32::try_from(*tool).expect("a few"),
                    fragment: Text::plain(&fragment),
                }
            }
            Step::EndTool(tool) => {
                ended[*tool] = true;
                Event::ToolEnd { choice, tool: u32::try_from(*tool).expect("a few") }
            }
            Step::Finish => Event::Finish { choice, finish: Finish::Stop, stop_sequence: None },
        };
        encoder.event(&event, out);
    }
    encoder.event(&Event::End, out);
    held
}

/// Reads what was written, and checks that blocks follow one another and that there is one end.
fn read(stream: &[u8]) -> Held {
    let (mut held, mut open, mut next, mut names) = (Held::default(), None, 0, Vec::new());
    let mut calls: Vec<(usize, String)> = Vec::new();
    for message in messages(stream) {
        let name = String::from_utf8_lossy(message.name).into_owned();
        let payload: Value = serde_json::from_slice(message.payload).expect("JSON");
        let index = payload["contentBlockIndex"].as_u64();
        match name.as_str() {
            "contentBlockStart" => {
                assert!(open.is_none() && index == Some(next));
                let id = payload["start"]["toolUse"]["toolUseId"].as_str().expect("an id");
                calls.push((id.parse().expect("a number"), String::new()));
                open = index;
            }
            "contentBlockDelta" => {
                assert!(index == Some(next) && open.is_none_or(|open| Some(open) == index));
                open = index;
                held.text.push_str(payload["delta"]["text"].as_str().unwrap_or_default());
                if let Some(input) = payload["delta"]["toolUse"]["input"].as_str() {
                    calls.last_mut().expect("a call").1.push_str(input);
                }
            }
            "contentBlockStop" => {
                assert!(open.take().is_some() && index == Some(next));
                next += 1;
            }
            _ => {
                assert_eq!(open, None);
                names.push(name);
            }
        }
    }
    assert_eq!(names, ["messageStart", "messageStop", "metadata"]);
    calls.sort();
    held.calls = calls.into_iter().map(|(_, input)| input).collect();
    held
}

proptest! {
    #[test]
    fn any_events(steps in steps()) {
        let (mut encoder, mut out) = (Encoder::new(AnswerContext::default()), Vec::new());
        let mut expected = feed(&mut encoder, &steps, &mut out);
        for call in expected.calls.iter_mut().filter(|call| call.is_empty()) {
            "{}".clone_into(call);
        }
        prop_assert_eq!(read(&out), expected);
    }
}
