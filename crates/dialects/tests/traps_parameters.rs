//! Traps of parameters, for every writer of requests.

mod support;

use serde_json::{Value, json};
use sluice_dialects::wire::Wire::{
    self, Anthropic, Bedrock, Cohere, Gemini, Ollama, OpenaiChat, OpenaiResponses,
};
use support::written::{each, try_written, written};

#[test]
fn trap_49_52_53_54_57_parameters_are_written_or_noted() {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "n": 1});
    let parameters = [
        ("seed", json!(7)),
        ("logprobs", json!(true)),
        ("logit_bias", json!({"1": 2})),
        ("presence_penalty", json!(0.5)),
        ("verbosity", json!("low")),
        ("user", json!("u-1")),
    ];
    for (name, value) in &parameters {
        body[*name] = value.clone();
    }
    let only_openai = ["prediction", "modalities", "audio", "web_search_options"];
    for name in only_openai {
        body[name] = json!({"x": 1});
    }
    body["modalities"] = json!(["text", "audio"]);
    let words: [(&str, &[&str]); 6] = [
        ("seed", &["\"seed\":7"]),
        ("logprobs", &["ogprobs\":true", "output_text.logprobs"]),
        ("logit_bias", &["logit_bias"]),
        ("presence_penalty", &["presence_penalty\":0.5", "presencePenalty\":0.5"]),
        ("verbosity", &["verbosity\":\"low\""]),
        ("user", &["user\":\"u-1\"", "user_id\":\"u-1\""]),
    ];
    each(|wire| {
        let written = written(&body, wire);
        for (name, said) in words {
            let says = said.iter().any(|said| written.text.contains(said));
            assert_ne!(says, written.notes(name), "{wire:?} {name}: {:?} {}", written.dropped, written.text);
        }
        assert!(only_openai.iter().all(|name| written.notes(name)), "{wire:?}: {:?}", written.dropped);
    });
}

#[test]
fn trap_50_edge_76_texts_that_end_an_answer_fit_the_provider() {
    let stops = ["  ", "1", "2", "3", "4", "5"];
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}], "stop_sequences": stops});
    let count = |wire: Wire, pointer: &str| {
        let written = try_written(Anthropic, &body, wire).expect("a request");
        let found = written.json().pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(written.notes("stop"), found < stops.len(), "{wire:?}");
        found
    };
    assert_eq!(count(OpenaiChat, "/stop"), 4);
    assert_eq!(count(OpenaiResponses, "/stop"), 0);
    assert_eq!(count(Gemini, "/generationConfig/stopSequences"), 5);
    assert_eq!(count(Anthropic, "/stop_sequences"), 5);
    assert_eq!(count(Bedrock, "/inferenceConfig/stopSequences"), 5);
    assert_eq!(count(Cohere, "/stop_sequences"), 5);
    assert_eq!(count(Ollama, "/options/stop"), 6);
}

#[test]
fn trap_46_48_edge_76_limits_and_sampling_are_what_models_take() {
    let body = json!({"model": "m", "max_tokens": 50, "temperature": 1.7, "top_p": 0.5, "messages": [{"role": "user", "content": "q"}]});
    let of = |wire: Wire| written(&body, wire).json();
    assert_eq!(of(OpenaiChat)["max_completion_tokens"], 50);
    assert_eq!(of(OpenaiChat).get("max_tokens"), None);
    for (value, notes) in [
        (of(Anthropic), written(&body, Anthropic).dropped),
        (of(Bedrock)["inferenceConfig"].clone(), written(&body, Bedrock).dropped),
    ] {
        assert_eq!((&value["temperature"], value.get("top_p").or(value.get("topP"))), (&json!(1), None));
        assert!(
            notes.contains(&"temperature".to_owned()) && notes.contains(&"top_p".to_owned()),
            "{notes:?}"
        );
    }
}

#[test]
fn trap_51_several_answers_are_given_or_refused() {
    let body = json!({"model": "m", "n": 2, "messages": [{"role": "user", "content": "q"}]});
    each(|wire| {
        let found = try_written(OpenaiChat, &body, wire).map(|written| written.text);
        match wire {
            OpenaiChat => assert!(found.expect("two").contains("\"n\":2")),
            Gemini => assert!(found.expect("two").contains("\"candidateCount\":2")),
            _ => assert_eq!(found.expect_err("one at a time"), Some("n"), "{wire:?}"),
        }
    });
}
