//! OpenAI's Responses: recorded answers, streams of any other dialect, and any events at all.

#[path = "support/recorded.rs"]
#[allow(dead_code, reason = "this dialect has no cassettes")]
mod recorded;
#[path = "support/responses.rs"]
mod responses;

use proptest::prelude::*;
use recorded::{files, fixtures, report};
use responses::{Said, WIRE, checked, context, encode, frames};
use sluice_dialects::exchange::{ApiError, Event, Finish, Raw, Text};
use sluice_dialects::json::Doc;
use sluice_dialects::wire::{Frame, Wire};

#[test]
fn recorded_answers_and_streams_are_read() {
    let Some(folder) = fixtures() else { return };
    let mut seen = 0;
    for path in files(&folder.join("oddities/openai"), &["json", "sse"]) {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        if !name.starts_with("responses-") {
            continue;
        }
        seen += 1;
        let body = std::fs::read(&path).expect("a readable file");
        let said = if name.ends_with(".sse") {
            Said::by_stream(&body)
        } else {
            let doc = Doc::parse(&body).expect("JSON");
            Said::by_answer(&WIRE.read_answer(&doc).expect("an answer"))
        };
        assert_eq!((said.ends, said.error), (1, None), "{name}");
        assert!(said.usage.is_some_and(|usage| usage.input > 0 && usage.output > 0), "{name}");
        let call = name.contains("tool-call");
        assert_eq!(said.finish, Some(if call { Finish::ToolCalls } else { Finish::Stop }), "{name}");
        assert_eq!(said.parts.len(), 1, "{name}: {:?}", said.parts);
    }
    assert!(seen >= 5, "only {seen} files were read");
    report(&format!("{seen} recorded answers"));
}

/// The cases of every dialect whose streams are server-sent events, as a client of this one gets them.
#[test]
fn streams_of_other_dialects_come_out_well_formed() {
    let folder = responses::cases().parent().expect("the cases of all dialects").to_owned();
    let dialects = [
        (Wire::OpenaiChat, "openai_chat"),
        (Wire::Anthropic, "anthropic"),
        (Wire::Gemini, "gemini"),
        (Wire::Cohere, "cohere"),
    ];
    let mut seen = 0;
    for (wire, name) in dialects {
        let Ok(cases) = std::fs::read_dir(folder.join(name)) else { continue };
        for case in cases {
            let case = case.expect("a case").path();
            let Ok(stream) = std::fs::read(case.join("stream.sse")) else { continue };
            seen += 1;
            let (mut decoder, mut encoder, mut out) = (wire.decoder(), WIRE.encoder(context()), Vec::new());
            for (name, data) in frames(&stream) {
                let frame =
                    Frame { name: (!name.is_empty()).then_some(name.as_bytes()), data: data.as_bytes() };
                let read = decoder.frame(frame, &mut |event| encoder.event(&event, &mut out));
                assert_eq!(read, Ok(()), "{}", case.display());
            }
            decoder.end(&mut |event| encoder.event(&event, &mut out));
            checked(&out);
        }
    }
    assert!(seen >= 20, "only {seen} streams were read");
}

fn text() -> impl Strategy<Value = Text<'static>> {
    prop_oneof![
        Just(Text::literal("")),
        Just(Text::literal("{}")),
        Just(Text::plain("{\"a\":")),
        Just(Text::plain("1}")),
        ".{0,6}".prop_map(|text| Text::plain(&text)),
    ]
}

fn event() -> impl Strategy<Value = Event<'static>> {
    let choice = 0;
    let tool = 0_u32..4;
    let logprobs =
        Raw::written(br#"{"content":[{"token":"a","logprob":-1,"bytes":[97],"top_logprobs":[]}]}"#);
    prop_oneof![
        4 => text().prop_map(move |text| Event::Text { choice, text }),
        2 => text().prop_map(move |text| Event::Thinking { choice, text }),
        1 => text().prop_map(move |signature| Event::Signature { choice, signature }),
        1 => text().prop_map(move |data| Event::RedactedThinking { choice, data }),
        1 => text().prop_map(move |text| Event::Refusal { choice, text }),
        4 => (tool.clone(), any::<bool>(), any::<bool>()).prop_map(move |(tool, custom, signed)| Event::ToolStart {
            choice,
            tool,
            id: Text::plain(&format!("call_{tool}")),
            name: Text::literal("f"),
            custom,
            signature: signed.then_some(Text::literal("s")),
        }),
        8 => (tool.clone(), text()).prop_map(move |(tool, fragment)| Event::ToolArguments { choice, tool, fragment }),
        2 => tool.prop_map(move |tool| Event::ToolEnd { choice, tool }),
        1 => Just(Event::Media { choice, media_type: Text::literal("image/png"), data: Text::literal("iVBOR") }),
        1 => Just(Event::Logprobs { choice, logprobs }),
        1 => Just(Event::Finish { choice, finish: Finish::Length, stop_sequence: None }),
        1 => Just(Event::Start { id: None, model: None }),
    ]
}

proptest! {
    /// Whatever comes, in whatever order: what is written is well-formed, and no text is lost.
    #[test]
    fn any_events_make_a_stream(mut events in prop::collection::vec(event(), 0..40), fails in any::<bool>()) {
        events.push(if fails { Event::Error(ApiError::of_status(500, "no")) } else { Event::End });
        let stream = encode(&events);
        checked(&stream);
        let said = Said::by_stream(&stream);
        if !fails {
            let written: usize = said.parts.iter().filter(|part| part.starts_with("text: ")).map(|part| part.len() - 6).sum();
            let given: usize = events.iter().map(|event| match event {
                Event::Text { text, .. } => text.decode().len(),
                _ => 0,
            }).sum();
            prop_assert_eq!(written, given);
        }
    }
}
