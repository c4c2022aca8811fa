//! Streams of any decoder, in any order the contract allows, written for every client: what was said comes out, and the
//! stream is one that the dialect's own reader takes for whole.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice_dialects::exchange::{Event, Finish, Text};
use sluice_dialects::wire::Wire;
use sluice_types::Usage;
use support::canon::{Answered, Fold};
use support::cases::{context, dialects, frames};

/// One step of a generation.
#[derive(Clone, Debug)]
enum Step {
    Text(String),
    Thinking(String),
    /// A tool call begins.
    Call,
    /// One of those begun, by a number, goes on.
    Arguments(usize),
    /// One of them is said to be whole.
    End(usize),
    Usage,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => "[a-z é\"\\\\😀\n]{1,8}[a-z]".prop_map(Step::Text),
        1 => "[a-z é\"]{1,8}[a-z]".prop_map(Step::Thinking),
        2 => Just(Step::Call),
        5 => (0..8_usize).prop_map(Step::Arguments),
        1 => (0..8_usize).prop_map(Step::End),
        1 => Just(Step::Usage),
    ]
}

/// A tool call: what of its arguments is still to be sent, in fragments.
struct Call {
    rest: Vec<&'static str>,
    ended: bool,
}

/// Arguments in fragments; the first call of a stream takes the first, and so on.
const ARGUMENTS: [&[&str]; 4] = [
    &["{\"city\":", "\"Os", "lo\",", "\"n\":12345678901234567890}"],
    &[],
    &["{", "}"],
    &["{\"a\":[1,{\"b\":\"}\"}]}"],
];

/// The events of the steps, each tool's fragments in order, and those not sent at the end. Not every tool is said to be
/// whole, and not every stream has a start or a reason to finish.
fn events(steps: &[Step], start: bool, finish: bool) -> Vec<Event<'static>> {
    let mut events: Vec<Event<'static>> =
        start.then_some(Event::Start { id: None, model: None }).into_iter().collect();
    let mut calls: Vec<Call> = Vec::new();
    for step in steps {
        events.extend(event(step, &mut calls));
    }
    for (at, call) in calls.iter_mut().enumerate() {
        while !call.rest.is_empty() {
            events.push(fragment(at, call));
        }
    }
    let reason = if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
    if finish {
        events.push(Event::Finish { choice: 0, finish: reason, stop_sequence: None });
    }
    events.push(Event::Usage(Usage { input: 11, output: 7, ..Usage::default() }));
    events.push(Event::End);
    events
}

fn event(step: &Step, calls: &mut Vec<Call>) -> Option<Event<'static>> {
    Some(match step {
        Step::Text(text) => Event::Text { choice: 0, text: Text::plain(text) },
        Step::Thinking(text) => Event::Thinking { choice: 0, text: Text::plain(text) },
        Step::Usage => Event::Usage(Usage { input: 11, output: 1, ..Usage::default() }),
        Step::Call => {
            let at = calls.len();
            calls.push(Call { rest: ARGUMENTS[at % 4].to_vec(), ended: false });
            let (id, name) = (Text::plain(&format!("call_{at}")), Text::plain(&format!("tool_{at}")));
            Event::ToolStart {
                choice: 0,
                tool: u32::try_from(at).ok()?,
                id,
                name,
                custom: false,
                signature: None,
            }
        }
        Step::Arguments(number) => {
            let at = number.checked_rem(calls.len())?;
            let call = &mut calls[at];
            if call.rest.is_empty() {
                return None;
            }
            fragment(at, call)
        }
        Step::End(number) => {
            let at = number.checked_rem(calls.len())?;
            let call = &mut calls[at];
            if call.ended || !call.rest.is_empty() {
                return None;
            }
            call.ended = true;
            Event::ToolEnd { choice: 0, tool: u32::try_from(at).ok()? }
        }
    })
}

fn fragment(at: usize, call: &mut Call) -> Event<'static> {
    let tool = u32::try_from(at).expect("a few calls");
    Event::ToolArguments { choice: 0, tool, fragment: Text::plain(call.rest.remove(0)) }
}

/// What a client reads of the events, and how the stream looks.
fn through(client: Wire, events: &[Event<'static>]) -> (Answered, String) {
    let (mut encoder, mut out) = (client.encoder(context()), Vec::new());
    events.iter().for_each(|event| encoder.event(event, &mut out));
    let (mut decoder, mut fold) = (client.decoder(), Fold::default());
    for frame in frames(client, &out) {
        let read = decoder.frame(frame.borrow(), &mut |event| fold.event(&event));
        read.unwrap_or_else(|error| {
            panic!("{client:?}: {}: {}", error.0, String::from_utf8_lossy(&frame.data))
        });
    }
    decoder.end(&mut |event| fold.event(&event));
    (fold.finish(), String::from_utf8_lossy(&out).into_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_stream_is_written_whole(steps in vec(step(), 0..24), start in any::<bool>(), finish in any::<bool>()) {
        let events = events(&steps, start, finish);
        let mut expected = Fold::default();
        events.iter().for_each(|event| expected.event(event));
        let mut expected = expected.finish();
        if expected.choices.is_empty() {
            expected.choices.push(support::canon::Given::default());
        }
        let calls = expected.choices[0].calls.len();
        expected.choices[0].calls.sort_by(|a, b| a.0.cmp(&b.0));
        expected.choices[0].finish = if calls == 0 { "stop" } else { "tool_calls" };
        for (client, dialect) in dialects().into_iter().filter(|(wire, _)| *wire != Wire::Ollama) {
            let (mut found, stream) = through(client, &events);
            if found.choices.is_empty() {
                found.choices.push(support::canon::Given::default());
            }
            // Where calls are written whole, the one that is whole first may come first.
            found.choices[0].calls.sort_by(|a, b| a.0.cmp(&b.0));
            prop_assert_eq!(&expected, &found, "{}: {}", dialect, stream);
        }
    }

    #[test]
    fn nothing_is_written_after_the_end(steps in vec(step(), 0..6), failed in any::<bool>()) {
        let mut events = events(&steps, true, true);
        if failed {
            let error = sluice_dialects::exchange::ApiError::of_status(503, "busy");
            events.insert(events.len() / 2, Event::Error(error));
        }
        for (client, dialect) in dialects().into_iter().filter(|(wire, _)| *wire != Wire::Ollama) {
            let (mut encoder, mut out) = (client.encoder(context()), Vec::new());
            events.iter().for_each(|event| encoder.event(event, &mut out));
            let len = out.len();
            events.iter().for_each(|event| encoder.event(event, &mut out));
            prop_assert_eq!(len, out.len(), "{}: {}", dialect, String::from_utf8_lossy(&out));
        }
    }
}
