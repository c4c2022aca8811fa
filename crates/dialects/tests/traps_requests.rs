//! Traps of translation that concern every writer of requests: one request, written for all of them.

mod support;

use serde_json::{Value, json};
use sluice_dialects::wire::Wire::{
    self, Anthropic, Bedrock, Cohere, Gemini, Ollama, OpenaiChat, OpenaiResponses,
};
use support::written::{each, try_written, written};

/// The members of a request that hold the conversation.
fn turns(wire: Wire, body: &Value) -> Vec<Value> {
    let name = match wire {
        Gemini => "contents",
        OpenaiResponses => "input",
        _ => "messages",
    };
    body[name].as_array().expect("turns").clone()
}

/// All strings under members of a name.
fn strings(value: &Value, name: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                if let (true, Some(text)) = (key == name, value.as_str()) {
                    found.push(text.to_owned());
                }
                strings(value, name, found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| strings(element, name, found)),
        _ => {}
    }
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
}

fn call(id: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}})
}

/// A conversation in which the model makes calls, and what comes behind.
fn with_calls(calls: &[Value], behind: &[Value]) -> Value {
    let mut messages = vec![
        json!({"role": "user", "content": "q"}),
        json!({"role": "assistant", "content": null, "tool_calls": calls}),
    ];
    messages.extend_from_slice(behind);
    json!({"model": "m", "messages": messages, "tools": [function("f")]})
}

#[test]
fn trap_01_02_05_turns_alternate_from_the_users_on_and_none_is_empty() {
    let body = json!({"model": "m", "messages": [
        {"role": "assistant", "content": "hi"}, {"role": "user", "content": ""}, {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]},
        {"role": "assistant", "content": ""}, {"role": "assistant", "content": "c"}, {"role": "user", "content": "d"},
    ]});
    each(|wire| {
        let turns = turns(wire, &written(&body, wire).json());
        let mut texts = Vec::new();
        turns.iter().for_each(|turn| {
            strings(turn, "text", &mut texts);
            strings(turn, "content", &mut texts);
        });
        // OpenAI takes an empty message, and it may mean something there.
        assert!(wire == OpenaiChat || texts.iter().all(|text| !text.is_empty()), "{wire:?}: {texts:?}");
        if matches!(wire, Anthropic | Gemini | Bedrock) {
            assert_eq!(turns[0]["role"], "user", "{wire:?}");
            assert!(turns.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"]), "{wire:?}: {turns:?}");
        }
    });
}

#[test]
fn trap_03_04_system_prompts_keep_their_order_and_something_is_asked() {
    let body = json!({"model": "m", "messages": [{"role": "system", "content": "S1"}, {"role": "developer", "content": "S2"}]});
    each(|wire| {
        let written = written(&body, wire);
        let at = |text: &str| written.text.find(text).unwrap_or_else(|| panic!("{wire:?} has no {text}"));
        // The last one may be what is asked.
        assert!(wire == Anthropic || at("S1") < at("S2"), "{wire:?}: {}", written.text);
        assert!(!turns(wire, &written.json()).is_empty(), "{wire:?}");
    });
}

#[test]
fn trap_07_08_calls_stand_without_content_and_behind_text() {
    let silent =
        with_calls(&[call("a", "{}")], &[json!({"role": "tool", "tool_call_id": "a", "content": "r"})]);
    let mut spoken = silent.clone();
    spoken["messages"][1]["content"] = json!("Look:");
    each(|wire| {
        let before = written(&silent, wire).text;
        assert!(before.contains("\"f\""), "{wire:?}: {before}");
        let text = written(&spoken, wire).text;
        let text = &text[text.find("\"q\"").expect("the question")..];
        let (said, called) = (text.find("Look:").expect("the text"), text.find("\"f\"").expect("the call"));
        assert!(said < called, "{wire:?}: {text}");
    });
}

#[test]
fn trap_09_names_of_participants_are_noted() {
    let body = json!({"model": "m", "messages": [{"role": "user", "name": "bob", "content": "q"}]});
    each(|wire| {
        let written = written(&body, wire);
        assert_eq!(written.notes("messages.name"), wire != OpenaiChat, "{wire:?}");
        assert_eq!(written.text.contains("bob"), wire == OpenaiChat, "{wire:?}");
    });
}

#[test]
fn trap_14_15_16_arguments_are_what_the_dialect_wants_and_lose_no_digit() {
    let whole = r#"{"z":12345678901234567890,"a":1.10}"#;
    let calls = [call("a", whole), call("b", ""), call("c", "{\"not\": "), call("d", "[1]")];
    let body = with_calls(&calls, &[]);
    each(|wire| {
        let text = written(&body, wire).text.replace('\\', "");
        assert!(text.contains(whole), "{wire:?}: {text}");
        let objects = matches!(wire, Anthropic | Gemini | Bedrock | Cohere | Ollama);
        for odd in ["{\"not\": ", "[1]"] {
            let wrapped = format!("{{\"input\":\"{odd}\"}}");
            assert!(text.contains(odd) && text.contains(&wrapped) == objects, "{wire:?}: {text}");
        }
    });
}

/// Ids of calls, in the order in which results answer them.
fn answered(wire: Wire, body: &Value) -> Vec<String> {
    let name = match wire {
        Anthropic => "tool_use_id",
        Bedrock => "toolUseId",
        OpenaiResponses => "call_id",
        Gemini => "id",
        _ => "tool_call_id",
    };
    let mut found = Vec::new();
    for turn in turns(wire, body) {
        let is_call = |turn: &Value| {
            turn["role"] == "assistant" || turn["role"] == "model" || turn["type"] == "function_call"
        };
        if !is_call(&turn) {
            strings(&turn, name, &mut found);
        }
    }
    found
}

#[test]
fn trap_17_18_19_every_call_has_one_result_in_the_order_of_the_calls() {
    let result = |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let behind = [
        result("b", "RB"),
        result("zz", "kept"),
        json!({"role": "user", "content": "and?"}),
        result("a", "RA"),
        json!({"role": "assistant", "content": "done"}),
        json!({"role": "user", "content": "go"}),
    ];
    let body = with_calls(&[call("a", "{}"), call("b", "{}"), call("c", "{}")], &behind);
    each(|wire| {
        let written = written(&body, wire);
        let ids = answered(wire, &written.json());
        match wire {
            // Items say what they are for; their order is the client's.
            OpenaiResponses => assert_eq!(ids, ["c", "b", "a"]),
            _ => assert_eq!(ids, ["a", "b", "c"], "{wire:?}: {}", written.text),
        }
        assert!(written.text.contains("kept") && written.text.contains("and?"), "{wire:?}");
        assert!(written.notes("messages.tool_call_id"), "{wire:?}");
    });
}

#[test]
fn trap_21_that_a_tool_failed_is_said_or_noted() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": "bad"}]},
    ], "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    each(|wire| {
        let written = try_written(Anthropic, &body, wire).expect("a request");
        let says = match wire {
            Anthropic => "\"is_error\":true",
            Bedrock => "\"status\":\"error\"",
            Gemini => "{\"error\":\"bad\"}",
            _ => "",
        };
        assert!(written.text.contains(says), "{wire:?}: {}", written.text);
        assert_eq!(written.notes("messages.tool.is_error"), says.is_empty(), "{wire:?}");
    });
}

#[test]
fn trap_26_that_one_call_at_a_time_is_wanted_is_said_or_noted() {
    let mut body = with_calls(&[call("a", "{}")], &[]);
    body["parallel_tool_calls"] = json!(false);
    each(|wire| {
        let written = written(&body, wire);
        let says = match wire {
            OpenaiChat | OpenaiResponses => Some("\"parallel_tool_calls\":false"),
            // It goes with a choice, so there must be one.
            Anthropic => Some(r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#),
            _ => None,
        };
        assert!(says.is_none_or(|says| written.text.contains(says)), "{wire:?}: {}", written.text);
        assert_eq!(written.notes("parallel_tool_calls"), says.is_none(), "{wire:?}");
    });
}

#[test]
fn trap_33_tools_that_run_at_the_provider_are_never_sent_to_another() {
    let openai = json!({"model": "m", "input": "q", "tools": [{"type": "web_search_preview"}, {"type": "code_interpreter", "container": {"type": "auto"}}]});
    let anthropic = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}], "tools": [
        {"type": "web_search_20250305", "name": "web_search"}, {"type": "bash_20250124", "name": "bash"},
        {"type": "computer_20250124", "name": "computer", "display_width_px": 1, "display_height_px": 1}]});
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}], "tools": [{"googleSearch": {}}, {"codeExecution": {}}]});
    for (from, body) in [(OpenaiResponses, openai), (Anthropic, anthropic), (Gemini, google)] {
        each(|wire| {
            let written = try_written(from, &body, wire).expect("a request");
            assert!(!written.text.contains("\"tools\""), "{from:?} to {wire:?}: {}", written.text);
            assert!(written.dropped.iter().any(|name| name.starts_with("tools.")), "{:?}", written.dropped);
        });
    }
}

#[test]
fn trap_35_43_schemas_pass_as_they_are_and_strict_is_said_or_noted() {
    let parameters = json!({"type": "object", "required": ["b", "a"], "additionalProperties": false,
        "properties": {"b": {"type": "integer"}, "a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}],
        "tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": parameters}}]});
    each(|wire| {
        let written = written(&body, wire);
        let copied = written.text.contains(&parameters.to_string());
        assert_eq!(copied, wire != Gemini, "{wire:?}: {}", written.text);
        let says = written.text.contains("\"strict\":true") || written.text.contains("\"strict_tools\":true");
        assert_eq!(says, !matches!(wire, Gemini | Ollama), "{wire:?}: {}", written.text);
        assert_eq!(written.notes("tools.strict"), !says, "{wire:?}: {:?}", written.dropped);
    });
}

#[test]
fn edge_32_a_request_that_asks_nothing_is_refused() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": ""}]});
    each(|wire| {
        let found = try_written(OpenaiChat, &body, wire);
        // What an empty message means there is OpenAI's to judge.
        assert_eq!(found.err(), (wire != OpenaiChat).then_some(Some("messages")), "{wire:?}");
    });
}

#[test]
fn edge_42_45_no_tools_are_none_and_need_no_choice() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "tools": [], "tool_choice": "auto",
        "stop": null, "temperature": null, "metadata": null});
    each(|wire| {
        let text = written(&body, wire).text.to_lowercase();
        for absent in ["tool", "stop", "null", "temperature", "metadata"] {
            assert!(!text.contains(absent), "{wire:?} has {absent}: {text}");
        }
    });
}

#[test]
fn edge_44_text_and_media_behind_results_keep_their_order() {
    let behind = [
        json!({"role": "tool", "tool_call_id": "a", "content": "RA"}),
        json!({"role": "tool", "tool_call_id": "b", "content": "RB"}),
        json!({"role": "user", "content": [{"type": "text", "text": "T1"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}, {"type": "text", "text": "T2"}]}),
    ];
    let body = with_calls(&[call("a", "{}"), call("b", "{}")], &behind);
    each(|wire| {
        let text = written(&body, wire).text;
        // Ollama has one text and its images beside it.
        let marks: &[&str] =
            if wire == Ollama { &["RA", "RB", "T1T2"] } else { &["RA", "RB", "T1", "iVBORw0KGgo", "T2"] };
        let places: Vec<_> = marks.iter().map(|mark| text.find(mark)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{wire:?}: {text}");
    });
}
