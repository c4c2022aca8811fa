//! The members of a message, of the message of an answer and of a delta, found in one pass.

use crate::json::{Kind, Value};

/// What a message has; `null` is as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'d> {
    pub(super) role: Option<Value<'d>>,
    pub(super) content: Option<Value<'d>>,
    pub(super) name: Option<Value<'d>>,
    pub(super) refusal: Option<Value<'d>>,
    pub(super) tool_calls: Option<Value<'d>>,
    pub(super) function_call: Option<Value<'d>>,
    pub(super) tool_call_id: Option<Value<'d>>,
    pub(super) thinking_blocks: Option<Value<'d>>,
    pub(super) reasoning_details: Option<Value<'d>>,
    pub(super) reasoning_content: Option<Value<'d>>,
    pub(super) reasoning: Option<Value<'d>>,
    pub(super) annotations: Option<Value<'d>>,
    pub(super) images: Option<Value<'d>>,
    pub(super) audio: Option<Value<'d>>,
    pub(super) cache_control: Option<Value<'d>>,
}

impl<'d> Fields<'d> {
    /// The fields of a message; `unknown` is told the names of members that are none.
    pub(super) fn of(message: Value<'d>, mut unknown: impl FnMut(&str)) -> Self {
        let mut fields = Self::default();
        for (name, value) in message.members() {
            if value.kind() == Kind::Null {
                continue;
            }
            let field = match &*name.decode() {
                "role" => &mut fields.role,
                "content" => &mut fields.content,
                "name" => &mut fields.name,
                "refusal" => &mut fields.refusal,
                "tool_calls" => &mut fields.tool_calls,
                "function_call" => &mut fields.function_call,
                "tool_call_id" => &mut fields.tool_call_id,
                "thinking_blocks" => &mut fields.thinking_blocks,
                "reasoning_details" => &mut fields.reasoning_details,
                "reasoning_content" => &mut fields.reasoning_content,
                "reasoning" => &mut fields.reasoning,
                "annotations" => &mut fields.annotations,
                "images" => &mut fields.images,
                "audio" => &mut fields.audio,
                "cache_control" => &mut fields.cache_control,
                other => {
                    unknown(other);
                    continue;
                }
            };
            *field = Some(value);
        }
        fields
    }
}
