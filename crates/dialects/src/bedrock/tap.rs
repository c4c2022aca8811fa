//! What is learnt from requests and streams that pass through untouched.

use sluice_types::Usage;

use super::read_usage;
use crate::json::{self, Kind, Names, Span};
use crate::openai::RequestError;
use crate::openai::output::Output;
use crate::openai::stream::EventClass;
use crate::tier::tier_of_type;
use crate::wire::{Frame, Learnt, NativeView, Tap};

/// Validates a request's body and reads what the gateway acts on. Model and stream are in the path.
///
/// # Errors
///
/// As [`crate::openai::inspect`].
pub fn inspect(body: &[u8]) -> Result<NativeView, RequestError> {
    const WANTED: [&str; 2] = ["messages", "inferenceConfig"];
    let members = json::scan_object(body, &WANTED).map_err(|error| RequestError::json(error, &WANTED))?;
    let [input, config] = members.values;
    let input = of_kind(body, input, Kind::Array, "messages")?;
    let config = of_kind(body, config, Kind::Object, "inferenceConfig")?;
    let max_output_tokens = config.map_or(Ok(None), |config| max_tokens(config.of(body)))?;
    Ok(NativeView { model: None, stream: false, max_output_tokens, n: 1, input })
}

fn max_tokens(config: &[u8]) -> Result<Option<u64>, RequestError> {
    const PARAM: &str = "inferenceConfig.maxTokens";
    let members =
        json::scan_object(config, &["maxTokens"]).map_err(|error| RequestError::json(error, &[PARAM]))?;
    let [max] = members.values;
    Ok(of_kind(config, max, Kind::Number, PARAM)?.and_then(|max| json::as_u64(max.of(config))))
}

/// A value that is absent, `null` or of this kind.
fn of_kind(
    body: &[u8],
    value: Option<Span>,
    kind: Kind,
    param: &'static str,
) -> Result<Option<Span>, RequestError> {
    let value = value.filter(|span| json::kind_of(span.of(body)) != Kind::Null);
    match value {
        Some(span) if json::kind_of(span.of(body)) != kind => {
            Err(RequestError::about(param, "Invalid type for this parameter."))
        }
        value => Ok(value),
    }
}

/// Events are searched for one name only, which holds what was generated.
const NAMES: Names = Names::new(["\"delta\""; 4]);

/// Follows one stream, message by message.
#[derive(Clone, Debug, Default)]
pub struct StreamTap {
    learnt: Learnt,
}

impl Tap for StreamTap {
    fn frame(&mut self, frame: Frame<'_>) -> EventClass {
        let data = frame.data.trim_ascii();
        let name = frame.name.unwrap_or_default();
        if super::is_error_name(name) {
            return EventClass::Error;
        }
        if !(data.starts_with(b"{") && data.ends_with(b"}")) {
            return EventClass::Malformed;
        }
        match name {
            b"contentBlockDelta" => self.measure(data),
            b"messageStop" => self.learnt.finished = true,
            b"metadata" => return self.metadata(data),
            _ => {}
        }
        EventClass::Forward
    }

    fn learnt(&self) -> Learnt {
        self.learnt
    }
}

impl StreamTap {
    fn measure(&mut self, data: &[u8]) {
        let mut output = Output::default();
        NAMES.each_in(data, |_, at| output.measure(data, at));
        self.learnt.output_bytes += output.text_bytes;
    }

    /// The last message, which comes after the one that ends the answer.
    fn metadata(&mut self, data: &[u8]) -> EventClass {
        let Ok(members) = json::scan_object_lenient(data, &["usage", "serviceTier"]) else {
            return EventClass::Malformed;
        };
        let [usage, tier] = members.values.map(|span| span.map_or(&[][..], |span| span.of(data)));
        self.learnt.merge(read_usage(usage).map(|usage| Usage { tier: tier_of_type(tier), ..usage }));
        EventClass::Forward
    }
}
