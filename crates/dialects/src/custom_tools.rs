//! OpenAI's custom tools at providers that know functions only.
//!
//! A custom tool takes free text. Writers of other dialects make a function of it that takes an object with one string,
//! `input`; what the model then calls is that function. Here the call becomes the custom tool's again, so that clients
//! which offer custom tools (a patch, a query, a grammar) get free text as they expect. Whoever holds the request computes
//! which tools those are from it, as with [`crate::tool_names`], and after names were changed back.

use crate::exchange::{Arguments, ChatAnswer, Event, PartKind, Text, Tool};
use crate::json::Doc;

/// The custom tools of a request, and the calls of them in one stream.
#[derive(Clone, Debug, Default)]
pub struct CustomTools {
    names: Vec<Text<'static>>,
    calls: Vec<Call>,
}

impl CustomTools {
    /// Those of a request's tools.
    #[must_use]
    pub fn of(tools: &[Tool<'_>]) -> Self {
        let custom = tools.iter().filter(|tool| tool.custom);
        Self { names: custom.map(|tool| tool.name.clone().into_owned()).collect(), calls: Vec::new() }
    }

    /// Whether there are none, so that nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Makes the functions of a whole answer custom tools again.
    pub fn restore_answer(&self, answer: &mut ChatAnswer<'_>) {
        for part in answer.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            if let PartKind::ToolCall(call) = &mut part.kind
                && !call.custom
                && self.names.contains(&call.name)
            {
                call.custom = true;
                let source = match &call.arguments {
                    Arguments::Object(raw) => String::from_utf8_lossy(raw.as_bytes()).into_owned(),
                    Arguments::Text(text) => text.decode().into_owned(),
                };
                call.arguments = Arguments::Text(input_of(source.as_bytes()));
            }
        }
    }

    /// Hands on an event of a stream, with the functions in it made custom tools again.
    pub fn restore_event(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match event {
            Event::ToolStart { choice, tool, id, name, custom: false, signature }
                if self.names.contains(&name) =>
            {
                self.calls.push(Call { choice, tool, source: Vec::new(), at: At::Head });
                sink(Event::ToolStart { choice, tool, id, name, custom: true, signature });
            }
            Event::ToolArguments { choice, tool, ref fragment } => {
                match self.calls.iter_mut().find(|call| call.is(choice, tool)) {
                    Some(call) => call.feed(fragment, sink),
                    None => sink(event),
                }
            }
            Event::ToolEnd { choice, tool } => {
                self.flush(|call| call.is(choice, tool), sink);
                sink(event);
            }
            Event::Finish { choice, .. } => {
                self.flush(|call| call.choice == choice, sink);
                sink(event);
            }
            Event::End => {
                self.flush(|_| true, sink);
                sink(event);
            }
            other => sink(other),
        }
    }

    fn flush(&mut self, which: impl Fn(&Call) -> bool, sink: &mut dyn FnMut(Event<'_>)) {
        self.calls.iter_mut().filter(|call| which(call)).for_each(|call| call.flush(sink));
        self.calls.retain(|call| !which(call));
    }
}

/// Where in the object a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the string.
    Head,
    /// In it.
    Input,
    /// Behind it.
    Behind,
    /// The object is of another form; it is read when it is whole.
    Other,
}

/// One call of a custom tool.
#[derive(Clone, Debug)]
struct Call {
    choice: u32,
    tool: u32,
    /// JSON that was received and not handed on.
    source: Vec<u8>,
    at: At,
}

impl Call {
    fn is(&self, choice: u32, tool: u32) -> bool {
        (self.choice, self.tool) == (choice, tool)
    }

    fn feed(&mut self, fragment: &Text<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.at == At::Behind {
            return;
        }
        self.source.extend_from_slice(fragment.decode().as_bytes());
        if self.at == At::Head {
            match head_len(&self.source) {
                Head::Whole(len) => {
                    self.source.drain(..len);
                    self.at = At::Input;
                }
                Head::Part => {}
                Head::Other => self.at = At::Other,
            }
        }
        if self.at == At::Input {
            self.input(sink);
        }
    }

    /// Hands on as much of the string as is there. Between its quotes stands what an escaped text is.
    fn input(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        let (text, used, ended) = inside(&self.source);
        self.source.drain(..used);
        if ended {
            self.at = At::Behind;
        }
        self.emit(&Text::escaped(&text), sink);
    }

    fn flush(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if matches!(self.at, At::Head | At::Other) {
            let text = input_of(&self.source);
            self.emit(&text, sink);
        }
        self.source.clear();
    }

    fn emit(&self, text: &Text<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if !text.is_empty() {
            sink(Event::ToolArguments { choice: self.choice, tool: self.tool, fragment: text.borrow() });
        }
    }
}

/// How the object begins, as far as it is there.
enum Head {
    /// As expected, up to the string's opening quote, which is included.
    Whole(usize),
    /// As expected, and not whole.
    Part,
    /// Otherwise.
    Other,
}

fn head_len(source: &[u8]) -> Head {
    let mut at = 0;
    for token in [&b"{"[..], b"\"input\"", b":", b"\""] {
        at += source[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let rest = &source[at..];
        if rest.len() < token.len() {
            return if token.starts_with(rest) { Head::Part } else { Head::Other };
        }
        if !rest.starts_with(token) {
            return Head::Other;
        }
        at += token.len();
    }
    Head::Whole(at)
}

/// The inside of a string up to its end, or to where it is cut: as an escaped text, how many bytes that took, and whether
/// the string has ended. What a model may not write in a string is escaped, for models do.
fn inside(source: &[u8]) -> (Vec<u8>, usize, bool) {
    let mut text = Vec::with_capacity(source.len());
    let mut at = 0;
    while let Some(byte) = source.get(at) {
        match byte {
            b'"' => return (text, source.len(), true),
            b'\\' => match escape_len(&source[at..]) {
                Some(0) => {
                    text.extend_from_slice(b"\\\\");
                    at += 1;
                }
                Some(len) => {
                    text.extend_from_slice(&source[at..at + len]);
                    at += len;
                }
                None => break,
            },
            0..0x20 => {
                text.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                at += 1;
            }
            _ => {
                text.push(*byte);
                at += 1;
            }
        }
    }
    (text, at, false)
}

/// How long the escape is that begins here; 0 if it is none, `None` if that cannot be told yet.
fn escape_len(source: &[u8]) -> Option<usize> {
    match source.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => {
            let digits = &source[2..source.len().min(6)];
            match digits.iter().all(u8::is_ascii_hexdigit) {
                true if digits.len() == 4 => Some(6),
                true => None,
                false => Some(0),
            }
        }
        _ => Some(0),
    }
}

/// The free text of a whole object; of what is no such object, all of it.
fn input_of(source: &[u8]) -> Text<'static> {
    let Ok(doc) = Doc::parse(source.trim_ascii()) else {
        return Text::plain(&String::from_utf8_lossy(source));
    };
    match doc.root().text_of("input") {
        Some(input) => input.into_owned(),
        None if doc.root().members().next().is_none() => Text::default(),
        None => Text::plain(&String::from_utf8_lossy(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Choice, Finish, Raw, ToolCall};

    fn tools() -> CustomTools {
        let tool = |name, custom| Tool {
            name: Text::literal(name),
            description: None,
            schema: None,
            strict: None,
            custom,
            cache: None,
        };
        CustomTools::of(&[tool("patch", true), tool("weather", false)])
    }

    /// What is handed on of a call whose arguments come in pieces of a length.
    fn streamed(name: &'static str, arguments: &str, length: usize) -> (bool, String) {
        let mut tools = tools();
        let (mut custom_seen, mut seen) = (false, Text::default());
        let mut sink = |event: Event<'_>| match event {
            Event::ToolStart { custom, .. } => custom_seen = custom,
            Event::ToolArguments { fragment, .. } => seen.push(&fragment),
            _ => {}
        };
        let (id, name) = (Text::literal("c"), Text::literal(name));
        let start = Event::ToolStart { choice: 0, tool: 3, id, name, custom: false, signature: None };
        tools.restore_event(start, &mut sink);
        let characters: Vec<char> = arguments.chars().collect();
        for piece in characters.chunks(length) {
            let fragment = Text::plain(&piece.iter().collect::<String>());
            tools.restore_event(Event::ToolArguments { choice: 0, tool: 3, fragment }, &mut sink);
        }
        tools.restore_event(
            Event::Finish { choice: 0, finish: Finish::ToolCalls, stop_sequence: None },
            &mut sink,
        );
        (custom_seen, seen.decode().into_owned())
    }

    #[test]
    fn trap_32_input_is_unwrapped_however_it_is_cut() {
        let cases = [
            ("{\"input\":\"a\\nb \\\"c\\\" \\\\ \\u00fc ü\"}", "a\nb \"c\" \\ ü ü"),
            (" { \"input\" : \"\" } ", ""),
            ("{\"input\":\"raw\nline and \\d+\"}", "raw\nline and \\d+"),
            ("{\"other\":1,\"input\":\"late\"}", "late"),
            ("{\"patch\":\"x\"}", "{\"patch\":\"x\"}"),
            ("not an object", "not an object"),
            ("{}", ""),
            ("", ""),
            ("{\"input\":\"cut of", "cut of"),
            ("{\"input\":[1]}", "{\"input\":[1]}"),
        ];
        for (arguments, expected) in cases {
            for length in [1, 2, 3, 7, 1000] {
                assert_eq!(streamed("patch", arguments, length), (true, expected.to_owned()), "{length}");
            }
        }
    }

    #[test]
    fn functions_stay_what_they_are() {
        assert_eq!(streamed("weather", "{\"input\":\"x\"}", 4), (false, "{\"input\":\"x\"}".to_owned()));
        assert!(CustomTools::default().is_empty());
    }

    #[test]
    fn trap_32_whole_answers_are_unwrapped() {
        let call = |name, arguments| {
            let (id, name) = (Text::literal("c"), Text::literal(name));
            PartKind::ToolCall(ToolCall { id, name, arguments, signature: None, custom: false }).into()
        };
        let object = || Arguments::Object(Raw::written(br#"{"input":"a\nb"}"#));
        let parts = vec![call("patch", object()), call("weather", object())];
        let choices = vec![Choice { parts, ..Choice::default() }];
        let mut answer = ChatAnswer { choices, ..ChatAnswer::default() };
        tools().restore_answer(&mut answer);
        let calls: Vec<_> = answer.choices[0].parts.iter().map(|part| format!("{:?}", part.kind)).collect();
        assert!(
            calls[0].contains(r#"arguments: Text("a\nb"), signature: None, custom: true"#),
            "{}",
            calls[0]
        );
        assert!(calls[1].contains("custom: false"), "{}", calls[1]);
    }
}
