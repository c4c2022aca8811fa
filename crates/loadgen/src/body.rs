use serde::Serialize;

/// Text such as people send: prose, quotes, line breaks, code, and letters outside ASCII.
const PARAGRAPHS: [&str; 5] = [
    "Please summarise the following report for a reader who has five minutes and no background in the subject.\n\n",
    "The café on Straße 7 said \"we close at noon\", so the team met at 11:30 instead; naïve plans rarely survive.\n",
    "fn main() {\n\tlet total: u64 = [1, 2, 3].iter().sum();\n\tassert_eq!(total, 6, \"C:\\\\temp\\\\out\");\n}\n",
    "Revenue grew by 4.2 % in the third quarter, 東京 leading with 12 %, while churn fell from 3.1 % to 2.7 %.\n",
    "Then it rained — for nine days — and the river, which nobody had measured since 1954, rose by two metres.\n",
];

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: [Message<'a>; 2],
    temperature: f32,
    max_tokens: u32,
    #[serde(skip_serializing_if = "is_false")]
    stream: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A chat request of exactly `bytes` bytes, or of the least size the fields need when that is larger.
#[must_use]
pub fn chat_body(bytes: usize, model: &str, stream: bool) -> Vec<u8> {
    let empty = render(model, "", stream);
    let content = content(bytes.saturating_sub(empty.len()));
    render(model, &content, stream)
}

fn render(model: &str, content: &str, stream: bool) -> Vec<u8> {
    let system = Message { role: "system", content: "You are a careful assistant. Answer briefly." };
    let user = Message { role: "user", content };
    let request = Request { model, messages: [system, user], temperature: 0.7, max_tokens: 256, stream };
    serde_json::to_vec(&request).expect("strings and numbers only")
}

/// Text that takes `bytes` bytes inside a JSON string: whole paragraphs, then as much of the next as fits, then dots.
fn content(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes);
    let mut left = bytes;
    for character in PARAGRAPHS.iter().cycle().flat_map(|paragraph| paragraph.chars()) {
        let size = escaped_len(character);
        if size > left {
            break;
        }
        text.push(character);
        left -= size;
    }
    text.extend(std::iter::repeat_n('.', left));
    text
}

fn escaped_len(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\t' => 2,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn bodies_have_the_exact_size_and_are_chat_requests() {
        for bytes in [256, 1000, 1024, 1025, 1026, 1027, 20 * 1024, 120 * 1024] {
            for stream in [false, true] {
                let body = chat_body(bytes, "demo", stream);
                assert_eq!(body.len(), bytes);
                let parsed: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(parsed["model"], "demo");
                assert_eq!(parsed["stream"].as_bool(), stream.then_some(true));
                assert_eq!(parsed["messages"][1]["role"], "user");
            }
        }
    }

    #[test]
    fn text_is_as_awkward_as_real_text() {
        let body = String::from_utf8(chat_body(2048, "demo", false)).unwrap();
        for part in ["\\n", "\\\"", "\\t", "\\\\", "é", "東"] {
            assert!(body.contains(part), "{part}");
        }
    }

    #[test]
    fn a_size_below_the_fields_gives_the_least_request() {
        assert_eq!(chat_body(0, "demo", false), render("demo", "", false));
    }
}
