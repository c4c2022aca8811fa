//! Between dialects: answers and streams say the same, and what could not be said is named.

#![allow(clippy::unwrap_used, reason = "only tests call this")]

mod support;

use std::io::Write;

use serde_json::json;
use sluice_types::{ErrorKind, flags};
use support::dialects::*;
use support::*;

/// Every pair of two dialects.
fn pairs() -> Vec<(Api, Api)> {
    let pair = |client: Api| PROVIDERS.into_iter().map(move |provider| (client, provider));
    CLIENTS.into_iter().flat_map(pair).filter(|(client, provider)| client != provider).collect()
}

/// A pair as the target sees it: a provider of OpenAI's dialect that has no Responses, where the client's are those.
fn gateway_for(client: Api, provider: Api, upstream: &Upstream) -> Gateway {
    let quirks = [("/providers/0/quirks", json!(["no_responses"]))];
    let needed = client == RESPONSES && provider == OPENAI;
    gateway_with(&[(provider, upstream)], if needed { &quirks } else { &[] })
}

#[test]
fn an_answer_says_the_same_in_every_dialect() {
    for_each(pairs(), |(client, provider)| {
        for case in ["text", "tools-parallel", "length"] {
            let what = format!("{} to {}, {case}", client.name, provider.name);
            let upstream = Upstream::answering(provider.answer(case));
            let gateway = gateway_for(client, provider, &upstream);
            let answer = gateway.raw(&client.request("m", false));
            assert_eq!((answer.status, answer.whole), (200, true), "{what}: {}", answer.text());
            assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
            let (said, meant) = (client.read(&answer), provider_said(provider, &provider.answer(case)));
            assert_eq!((&said.text, said.calls()), (&meant.text, meant.calls()), "{what}: {}", answer.text());
            assert_eq!(said.finish, meant.finish, "{what}: {}", answer.text());
            check_record(&gateway, &meant, 0, &what);
            let sent = seen(&upstream);
            assert_eq!(sent.header("content-type"), Some("application/json"), "{what}");
            assert!(!sent.head.contains(KEY), "{what}: {}", sent.head);
        }
    });
}

#[test]
fn a_stream_says_the_same_in_every_dialect() {
    for_each(pairs(), |(client, provider)| {
        for case in ["text", "tools-parallel", "length"] {
            let what = format!("{} to {}, {case}", client.name, provider.name);
            let upstream = Upstream::answering(provider.streamed(case));
            let gateway = gateway_for(client, provider, &upstream);
            let answer = gateway.raw(&client.request("m", true));
            assert_eq!((answer.status, answer.whole), (200, true), "{what}: {}", answer.text());
            let media = answer.header("content-type").unwrap();
            assert!(media.starts_with(client.stream_media()), "{what}: {media}");
            let (said, meant) = (client.read(&answer), provider.read_stream(&provider.stream(case)));
            assert_eq!((&said.text, said.calls()), (&meant.text, meant.calls()), "{what}: {}", answer.text());
            assert_eq!((said.finish, said.ended), (meant.finish, true), "{what}: {}", answer.text());
            check_record(&gateway, &meant, flags::STREAM, &what);
        }
    });
}

fn provider_said(provider: Api, bytes: &[u8]) -> Said {
    provider.read(&read_answer(&mut &bytes[..]))
}

fn check_record(gateway: &Gateway, meant: &Said, wanted: u8, what: &str) {
    let record = gateway.record();
    let usage = meant.usage.unwrap();
    assert_eq!(record.tokens(), (usage.input.into(), usage.output.into()), "{what}");
    assert_eq!((record.error(), record.get("flags")), (None, u64::from(wanted)), "{what}");
    assert!(record.get("response_bytes") > 0, "{what}");
}

/// A provider that was asked for a stream and answers a document all the same.
#[test]
fn a_document_in_place_of_a_stream_becomes_one() {
    for_each(pairs(), |(client, provider)| {
        let what = format!("{} to {}", client.name, provider.name);
        let upstream = Upstream::answering(provider.answer("tools-parallel"));
        let gateway = gateway_for(client, provider, &upstream);
        let answer = gateway.raw(&client.request("m", true));
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert!(answer.header("content-type").unwrap().starts_with(client.stream_media()), "{what}");
        let meant = provider_said(provider, &provider.answer("tools-parallel"));
        let said = client.read(&answer);
        assert_eq!((&said.text, said.calls(), said.ended), (&meant.text, meant.calls(), true), "{what}");
        let record = gateway.record();
        let usage = meant.usage.unwrap();
        assert_eq!(record.tokens(), (usage.input.into(), usage.output.into()), "{what}");
    });
}

#[test]
fn what_a_provider_cannot_be_asked_for_is_named_or_refused() {
    let ask = |changes: &[(&str, serde_json::Value)]| {
        let upstream = Upstream::answering(ANTHROPIC.answer("text"));
        let gateway = gateway_with(&[(ANTHROPIC, &upstream)], changes);
        let more = json!({"seed": 7, "logit_bias": {"1": 2}});
        let answer = gateway.raw(&OPENAI.request_with("m", false, "", &more));
        (answer, gateway.record(), upstream.times_asked())
    };
    let (answer, record, _) = ask(&[]);
    assert_eq!((answer.status, record.error()), (200, None));
    let dropped = answer.header("x-sluice-dropped").unwrap();
    assert!(dropped.contains("seed") && dropped.contains("logit_bias"), "{dropped}");
    let (answer, record, asked) = ask(&[("/settings/translate_unsupported", json!("reject"))]);
    assert_eq!((answer.status, asked), (400, 0), "{}", answer.text());
    assert!(answer.error_message().contains("seed"), "{}", answer.text());
    assert_eq!(record.error(), Some(ErrorKind::Untranslatable));
}

/// What one target could not be asked for says nothing of another.
#[test]
fn losses_of_a_target_that_failed_are_not_those_of_the_next() {
    let first = Upstream::answering(json_answer("500 Internal Server Error", "{}"));
    let second = Upstream::answering(json_answer("200 OK", COMPLETION));
    let gateway = gateway_of(&[(ANTHROPIC, &first), (OPENAI, &second)]);
    let answer = gateway.raw(&OPENAI.request_with("m", false, "", &json!({"seed": 7})));
    assert_eq!((answer.status, answer.text().as_str()), (200, COMPLETION));
    assert_eq!(answer.header("x-sluice-dropped"), None);
    let first = Upstream::answering(ANTHROPIC.streamed_as(&ANTHROPIC.frames("error-in-stream")[3..]));
    let second = Upstream::answering(BEDROCK.answer("text"));
    let gateway = gateway_of(&[(ANTHROPIC, &first), (BEDROCK, &second)]);
    let answer = gateway.raw(&BEDROCK.request("m", false));
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (200, None), "{}", answer.text());
}

/// A model's name at the provider goes where its dialect has it.
#[test]
fn the_model_is_asked_for_by_its_name_there() {
    let cases = [
        (GEMINI, "/v1beta/models/a%2Fb:generateContent"),
        (BEDROCK, "/model/a%2Fb/converse"),
        (ANTHROPIC, "/v1/messages"),
        (COHERE, "/v2/chat"),
        (OLLAMA, "/api/chat"),
        (RESPONSES, "/v1/responses"),
    ];
    for_each(cases, |(provider, path)| {
        let upstream = Upstream::answering(provider.answer("text"));
        let gateway = gateway_of(&[(provider, &upstream)]);
        assert_eq!(gateway.raw(&OPENAI.request("pre/a/b", false)).status, 200);
        let sent = seen(&upstream);
        assert_eq!(sent.line, format!("POST {path}"));
        let in_body = sent.json()["model"].clone();
        let in_path = matches!(provider.name, "gemini" | "bedrock");
        assert_eq!(in_body, if in_path { json!(null) } else { json!("a/b") }, "{}", provider.name);
    });
}

/// Tools whose names a provider does not take come back under their own.
#[test]
fn names_of_tools_come_back() {
    let name = "get.weather/now";
    let call = json!({
        "output": {"message": {"role": "assistant", "content": [
            {"toolUse": {"toolUseId": "t1", "name": "get_weather_now", "input": {"city": "Paris"}}}]}},
        "stopReason": "tool_use", "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    });
    let upstream = Upstream::answering(json_answer("200 OK", &call.to_string()));
    let gateway = gateway_of(&[(BEDROCK, &upstream)]);
    let tools = json!({"tools": [{"type": "function", "function": {"name": name,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]});
    for stream in [false, true] {
        let answer = gateway.raw(&OPENAI.request_with("m", stream, "", &tools));
        let said = OPENAI.read(&answer);
        assert_eq!(said.tools[0].0, name, "{}", answer.text());
        assert!(!String::from_utf8(seen(&upstream).body).unwrap().contains(name));
    }
}

/// The connection to the provider is kept after a translated stream, and carries the next.
#[test]
fn connections_are_kept() {
    for_each([ANTHROPIC, GEMINI, BEDROCK, COHERE, OLLAMA, RESPONSES], |provider| {
        let upstream = Upstream::answering(provider.streamed("text"));
        let gateway = gateway_of(&[(provider, &upstream)]);
        let mut stream = gateway.connect();
        for _ in 0..5 {
            stream.write_all(&OPENAI.request("m", true)).unwrap();
            assert!(read_answer(&mut stream).whole, "{}", provider.name);
        }
        let pools = gateway.is_at_rest().pools;
        assert_eq!(pools[0].reuses_total, 4, "{}", provider.name);
    });
}

/// Usage in the stream is for OpenAI's clients who ask for it; the others always get it.
#[test]
fn usage_in_a_translated_stream() {
    let upstream = Upstream::answering(ANTHROPIC.streamed("usage-cache-reasoning"));
    let gateway = gateway_of(&[(ANTHROPIC, &upstream)]);
    let asked = json!({"stream_options": {"include_usage": true}});
    let with_usage = gateway.raw(&OPENAI.request_with("m", true, "", &asked));
    let usage = OPENAI.read(&with_usage).usage.unwrap();
    assert_eq!((usage.input, usage.cached_input, usage.output), (1811, 1500, 84));
    assert!(OPENAI.read(&gateway.raw(&OPENAI.request("m", true))).usage.is_none());
    for record in gateway.records() {
        let booked =
            ["cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens"];
        assert_eq!(booked.map(|name| record.get(name)), [1500, 300, 200, 40]);
    }
    let usage = GEMINI.read(&gateway.raw(&GEMINI.request("m", true))).usage.unwrap();
    assert_eq!((usage.input, usage.output), (1811, 84));
}
