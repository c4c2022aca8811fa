//! What the demo says, whichever endpoint asked.

use serde_json::Value;

use crate::example::example;
use crate::options::DemoOptions;
use crate::text;

/// Bytes of a tool definition that count as one token.
const TOOL_BYTES_PER_TOKEN: usize = 4;

/// A conversation as far as the answer depends on it.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Text of the last message of the user, or of a tool when that came last.
    pub(super) last: String,
    /// Whether the last message is the result of a tool.
    pub(super) after_tool: bool,
    /// Prompt tokens.
    pub(super) tokens: usize,
}

impl Conversation {
    /// Adds one message.
    pub(super) fn hear(&mut self, role: &str, text: String) {
        self.tokens += text::tokens(&text) + text::TOKENS_PER_MESSAGE;
        let from_tool = matches!(role, "tool" | "function");
        if from_tool || role == "user" {
            (self.last, self.after_tool) = (text, from_tool);
        }
    }
}

/// A tool the client offers.
#[derive(Debug)]
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    pub(super) parameters: Option<&'a Value>,
}

/// How far the client leaves the choice of a tool to the model.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    Auto,
    Never,
    Required,
    Named(&'a str),
}

/// What is asked of the demo.
pub(super) struct Ask<'a> {
    pub(super) model: &'a str,
    pub(super) conversation: Conversation,
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Choice<'a>,
    /// `Some(None)` for any JSON, `Some(Some(schema))` for JSON of a shape.
    pub(super) json: Option<Option<&'a Value>>,
    pub(super) max_tokens: Option<usize>,
}

/// What the demo answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Speech {
    pub(super) content: Content,
    /// Whether `max_tokens` cut it.
    pub(super) cut: bool,
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    ToolCall { name: String, arguments: String },
}

/// Answers.
pub(super) fn speak(ask: &Ask<'_>, options: &DemoOptions) -> Speech {
    let prompt_tokens = ask.conversation.tokens + tool_tokens(&ask.tools);
    if let Some(tool) = chosen_tool(ask) {
        return call(tool, prompt_tokens);
    }
    let whole = text(ask, options);
    let (said, cut) = text::truncate(&whole, ask.max_tokens.unwrap_or(usize::MAX));
    let completion_tokens = text::tokens(said);
    Speech { content: Content::Text(said.to_owned()), cut, prompt_tokens, completion_tokens }
}

fn call(tool: &Tool<'_>, prompt_tokens: usize) -> Speech {
    let arguments =
        tool.parameters.map_or_else(|| "{}".to_owned(), |schema| example(schema, "demo").to_string());
    let completion_tokens = 1 + arguments.len().div_ceil(TOOL_BYTES_PER_TOKEN);
    let content = Content::ToolCall { name: tool.name.to_owned(), arguments };
    Speech { content, cut: false, prompt_tokens, completion_tokens }
}

fn tool_tokens(tools: &[Tool<'_>]) -> usize {
    let bytes =
        |tool: &Tool<'_>| tool.name.len() + tool.parameters.map_or(0, |schema| schema.to_string().len());
    tools.iter().map(|tool| bytes(tool).div_ceil(TOOL_BYTES_PER_TOKEN)).sum()
}

/// The tool to call: the one named, any when one is required, and otherwise the one a message speaks of, unless the
/// result of a call is what came last.
fn chosen_tool<'a>(ask: &'a Ask<'a>) -> Option<&'a Tool<'a>> {
    match &ask.choice {
        Choice::Never => None,
        Choice::Named(name) => ask.tools.iter().find(|tool| tool.name == *name),
        Choice::Required => ask.tools.first(),
        Choice::Auto if ask.conversation.after_tool => None,
        Choice::Auto => {
            let last = ask.conversation.last.to_lowercase();
            let named = ask.tools.iter().find(|tool| last.contains(&tool.name.to_lowercase()));
            let asked = || ask.tools.first().filter(|_| last.contains("tool") || last.contains("function"));
            named.or_else(asked)
        }
    }
}

fn text(ask: &Ask<'_>, options: &DemoOptions) -> String {
    let text = if let Some(schema) = ask.json {
        structured(ask, schema)
    } else if options.response_bytes > 0 {
        text::filler(options.response_bytes as usize)
    } else {
        friendly(ask)
    };
    if ask.json.is_some() { text } else { at_least(text, options.chunks as usize) }
}

/// The text with filler after it until every chunk of a stream has a word.
fn at_least(text: String, words: usize) -> String {
    let missing = words.saturating_sub(text::tokens(&text));
    if missing == 0 { text } else { format!("{text} {}", text::filler_words(missing)) }
}

fn structured(ask: &Ask<'_>, schema: Option<&Value>) -> String {
    let reply = || serde_json::json!({ "reply": friendly(ask) });
    schema.map_or_else(reply, |schema| example(schema, "demo")).to_string()
}

fn friendly(ask: &Ask<'_>) -> String {
    let snippet = text::snippet(&ask.conversation.last);
    let model = ask.model;
    if ask.conversation.after_tool {
        return format!("This is the demo provider as {model}. Your tool answered: \"{snippet}\".");
    }
    format!(
        "Hello! This is the demo provider as {model}. You wrote: \"{snippet}\". \
         Add a provider of your own to hear from a real model."
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask<'a>(last: &str, tools: Vec<Tool<'a>>, choice: Choice<'a>) -> Ask<'a> {
        let mut conversation = Conversation::default();
        conversation.hear("user", last.to_owned());
        Ask { model: "m-1", conversation, tools, choice, json: None, max_tokens: None }
    }

    #[test]
    fn a_tool_is_called_when_it_is_asked_for() {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        for (last, choice, expected) in [
            ("hello", Choice::Auto, None),
            ("please use a tool", Choice::Auto, Some("add")),
            ("what does get_weather say", Choice::Auto, Some("get_weather")),
            ("hello", Choice::Required, Some("add")),
            ("hello", Choice::Named("get_weather"), Some("get_weather")),
            ("hello", Choice::Named("absent"), None),
            ("please use a tool", Choice::Never, None),
        ] {
            let tools = vec![
                Tool { name: "add", parameters: None },
                Tool { name: "get_weather", parameters: Some(&schema) },
            ];
            let speech = speak(&ask(last, tools, choice), &DemoOptions::default());
            let called = match &speech.content {
                Content::ToolCall { name, .. } => Some(name.as_str()),
                Content::Text(_) => None,
            };
            assert_eq!(called, expected, "{last}");
        }
    }

    #[test]
    fn the_answer_names_the_model_and_echoes_the_message() {
        let Content::Text(text) =
            speak(&ask("good day", vec![], Choice::Auto), &DemoOptions::default()).content
        else {
            panic!("text")
        };
        assert!(text.contains("m-1") && text.contains("good day"), "{text}");
    }

    #[test]
    fn length_and_count_are_what_the_options_say() {
        let options = DemoOptions { response_bytes: 300, ..DemoOptions::default() };
        let Content::Text(text) = speak(&ask("x", vec![], Choice::Auto), &options).content else {
            panic!("text")
        };
        assert_eq!(text.len(), 300);
        let options = DemoOptions { chunks: 75, ..DemoOptions::default() };
        let speech = speak(&ask("x", vec![], Choice::Auto), &options);
        assert_eq!(speech.completion_tokens, 75);
    }

    #[test]
    fn max_tokens_cuts() {
        let mut short = ask("x", vec![], Choice::Auto);
        short.max_tokens = Some(3);
        let speech = speak(&short, &DemoOptions::default());
        assert_eq!((speech.cut, speech.completion_tokens), (true, 3));
        assert_eq!(speech.content, Content::Text("Hello! This is".to_owned()));
    }
}
