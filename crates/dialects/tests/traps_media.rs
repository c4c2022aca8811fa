//! Traps of media, for every writer of requests.

mod support;

use serde_json::{Value, json};
use sluice_dialects::wire::Wire::{
    self, Anthropic, Bedrock, Cohere, Gemini, Ollama, OpenaiChat, OpenaiResponses,
};
use support::written::{each, try_written, written};

/// Media as parts of a user's message, with the providers that take them.
fn media() -> [(Value, &'static str, &'static [Wire]); 4] {
    [
        (
            json!({"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}),
            "messages.content.image_url",
            &[OpenaiChat, OpenaiResponses, Anthropic, Gemini, Cohere],
        ),
        (
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}),
            "messages.content.image_url",
            &[OpenaiChat, OpenaiResponses, Anthropic, Gemini, Bedrock, Cohere, Ollama],
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}),
            "messages.content.input_audio",
            &[OpenaiChat, Gemini, Bedrock],
        ),
        (
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}),
            "messages.content.file",
            &[OpenaiChat, OpenaiResponses, Anthropic, Gemini, Bedrock],
        ),
    ]
}

#[test]
fn trap_60_63_64_edge_46_media_beside_text_are_sent_or_noted() {
    for (medium, name, takers) in media() {
        let text = json!({"type": "text", "text": "see"});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [text, medium]}]});
        each(|wire| {
            let written = written(&body, wire);
            assert!(written.text.contains("see"), "{wire:?}");
            assert_eq!(
                written.notes(name),
                !takers.contains(&wire),
                "{wire:?} {name}: {:?}",
                written.dropped
            );
        });
    }
}

#[test]
fn trap_60_63_64_a_message_of_media_alone_is_sent_or_refused() {
    for (medium, name, takers) in media() {
        let body = json!({"model": "m", "messages": [
            {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"},
            {"role": "user", "content": [medium]}]});
        each(|wire| {
            let found = try_written(OpenaiChat, &body, wire).map(|written| written.dropped);
            match found {
                Ok(dropped) => {
                    assert!(takers.contains(&wire) && !dropped.contains(&name.to_owned()), "{wire:?} {name}")
                }
                Err(param) => {
                    assert!(!takers.contains(&wire) && param == Some("messages"), "{wire:?} {name}")
                }
            }
        });
    }
}

/// Whatever is noted beside a text is what is refused alone.
#[test]
fn trap_60_what_is_left_out_is_what_is_refused_alone() {
    let url = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let media = [
        url("gs://bucket/a.png"),
        url("s3://bucket/a.png"),
        url("https://x.test/a"),
        url("data:image/bmp;base64,Qk0="),
        json!({"type": "document_url", "document_url": "https://x.test/a.pdf"}),
        json!({"type": "file", "file": {"file_id": "file-1"}}),
        json!({"type": "file", "file": {"filename": "a.csv", "file_data": "data:text/csv;base64,YSxi"}}),
        json!({"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}}),
        json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
    ];
    for medium in media {
        let with = |parts: &[&Value]| json!({"model": "m", "messages": [{"role": "user", "content": parts}]});
        each(|wire| {
            let beside = written(&with(&[&medium, &json!({"type": "text", "text": "see"})]), wire);
            let names = ["image_url", "input_audio", "video", "file"];
            let left_out = names.iter().any(|name| beside.notes(&format!("messages.content.{name}")));
            let alone = try_written(OpenaiChat, &with(&[&medium]), wire).err();
            assert_eq!(
                alone,
                left_out.then_some(Some("messages")),
                "{wire:?} {medium}: {:?}",
                beside.dropped
            );
        });
    }
}
