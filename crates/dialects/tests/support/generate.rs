//! Documents and streams for property tests.

use proptest::collection::vec;
use proptest::prelude::*;

/// Names that matter to one scanner or another, some that nearly do, and some that do not.
const NAMES: [&str; 24] = [
    "model",
    "stream",
    "stream_options",
    "include_usage",
    "max_tokens",
    "n",
    "messages",
    "input",
    "prompt",
    "usage",
    "error",
    "choices",
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "cached_tokens",
    "temperature",
    "",
    "Model",
    "mod\\u0065l",
    "\\u017ftream",
    "STREAM",
    "é",
    "\\ud83d",
];

/// The text of a scalar.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        (0..5000_u32).prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("JSON has no others", |value| value.is_finite())
            .prop_map(|value| format!("{value:e}")),
        prop::sample::select(vec!["0", "-0", "1e400", "1E+2", "0.5e-1", "12345678901234567890123"])
            .prop_map(Into::into),
        string(),
    ]
}

/// The text of a string: plain runs of all lengths, escapes, characters of every width, lone surrogates.
fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[ -!#-\\[\\]-~]{0,90}",
        2 => prop::sample::select(vec!["\\n", "\\\"", "\\\\", "\\u00e9", "\\ud83d\\ude00", "\\/"]).prop_map(Into::into),
        1 => prop::sample::select(vec!["é", "漢字", "😀", "\u{7f}"]).prop_map(Into::into),
        1 => Just("\\ud800".to_owned()),
    ];
    vec(part, 0..6).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\n  ", "\t\r\n"])
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(NAMES.to_vec()).prop_map(|name| format!("\"{name}\"")),
        1 => string(),
    ]
}

/// The text of any value.
pub(crate) fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            (vec((space(), inner.clone()), 0..6)).prop_map(|items| {
                let items: Vec<String> =
                    items.iter().map(|(space, item)| format!("{space}{item}{space}")).collect();
                format!("[{}]", items.join(","))
            }),
            object_of(inner),
        ]
    })
}

fn object_of(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    vec((space(), name(), space(), inner), 0..6).prop_map(|members| {
        let members: Vec<String> = members
            .iter()
            .map(|(before, name, after, value)| format!("{before}{name}{after}:{before}{value}{after}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

/// The text of an object, valid but for what our policy may refuse.
pub(crate) fn object() -> impl Strategy<Value = String> {
    object_of(value())
}

/// A body that most endpoints accept, with whatever else in it.
pub(crate) fn request() -> impl Strategy<Value = String> {
    const OPTIONS: [&str; 8] = [
        "",
        "\"stream_options\":null,",
        "\"stream_options\":{},",
        "\"stream_options\" : { \"include_usage\" : false , \"x\":[1,2]},",
        "\"stream_options\":{\"include_obfuscation\":false},",
        "\"stream_options\":{\"include_usage\":true},",
        "\"stream_options\":{\"a\":1,\"include_usage\":null},",
        "\"max_tokens\":17,\"n\":2,",
    ];
    let parts = (
        prop::sample::select(OPTIONS.to_vec()),
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(vec!["gpt-4o", "a\\u0062c", "漢字"]),
        space(),
        value(),
    );
    parts.prop_map(|(options, options_first, stream, model, space, other)| {
        let (first, last) = if options_first { (options, "") } else { ("", options) };
        format!(
            "{space}{{{space}{first}\"messages\":[{other}],\"input\":\"x\",{space}\"model\":{space}\"{model}\",{last}\"stream\":{stream},\"tools\":{other}}}{space}"
        )
    })
}

/// A document with bytes changed, removed or put in.
pub(crate) fn mutated(document: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<prop::sample::Index>(),
        0..3_u8,
        prop::sample::select(b"{}[]\",:\\0ue1 \n\x01\x80\xc3".to_vec()),
    );
    (document, vec(edit, 1..4)).prop_map(|(document, edits)| {
        let mut bytes = document.into_bytes();
        for (place, what, byte) in edits {
            let at = place.index(bytes.len() + 1);
            match (what, at < bytes.len()) {
                (0, true) => bytes[at] = byte,
                (1, true) => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

/// A stream made of the parts that matter to an event reader and a tap.
pub(crate) fn stream() -> impl Strategy<Value = Vec<u8>> {
    const PARTS: [&str; 26] = [
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "\r\n\r\n",
        "data: ",
        "data:",
        "data",
        "event: response.completed",
        "event: response.output_text.delta",
        "event: error",
        "id: 1",
        "retry: 10",
        ": ping",
        "\u{feff}",
        "[DONE]",
        "é😀",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\\\"é\"},\"finish_reason\":null}]}",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}",
        "data: {\"error\":{\"message\":\"no\"}}",
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}",
        "data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":2}}}",
        "data: {\"choices\":[{\"text\":\"x\",\"finish_reason\":\"length\"}]}",
        "data: {\"usage\":{\"prompt_tokens\":1}",
    ];
    let part = prop::sample::select(PARTS.to_vec()).prop_map(|part| part.as_bytes().to_vec());
    let line = prop_oneof![
        6 => (part.clone(), prop::sample::select(vec!["\n\n", "\r\n\r\n", "\r\r", "\n", "\r\n", "\r"]))
            .prop_map(|(part, end)| [&part[..], end.as_bytes()].concat()),
        1 => part,
        1 => vec(any::<u8>(), 0..4),
    ];
    (any::<u8>(), vec(line, 0..14)).prop_map(|(choice, lines)| [vec![choice], lines.concat()].concat())
}
