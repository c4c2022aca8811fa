//! The usage record: what is known of one finished request, in a fixed layout that crosses to TypeScript as bytes.

/// Size of a [`UsageRecord`] on the wire, in bytes.
pub const RECORD_BYTES: usize = 128;

/// Which API a request came in by. Values are stored; they are only ever appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Route {
    /// `POST /v1/chat/completions`
    Chat = 1,
    /// `POST /v1/completions`
    Completions = 2,
    /// `POST /v1/embeddings`
    Embeddings = 3,
    /// `POST /v1/responses`
    Responses = 4,
    /// `GET /v1/models`
    Models = 5,
    /// `GET /v1/models/{id}`
    Model = 6,
    /// Anything that was refused before its route was known.
    None = 7,
    /// `POST /v1/messages`
    Messages = 8,
    /// `POST /v1/messages/count_tokens`
    CountTokens = 9,
    /// `POST /v1beta/models/{model}:generateContent`
    GenerateContent = 10,
    /// `POST /v1beta/models/{model}:streamGenerateContent`
    StreamGenerateContent = 11,
    /// `POST /v1beta/models/{model}:countTokens`
    GeminiCountTokens = 12,
    /// `POST /v1beta/models/{model}:embedContent`
    EmbedContent = 13,
    /// `POST /v1beta/models/{model}:batchEmbedContents`
    BatchEmbedContents = 14,
    /// `POST /model/{model}/converse`
    Converse = 15,
    /// `POST /model/{model}/converse-stream`
    ConverseStream = 16,
    /// `POST /model/{model}/invoke`
    Invoke = 17,
    /// `POST /model/{model}/invoke-with-response-stream`
    InvokeStream = 18,
    /// `POST /v2/chat`
    CohereChat = 19,
    /// `POST /v2/embed`
    CohereEmbed = 20,
    /// `POST /v2/rerank and /v1/rerank`
    Rerank = 21,
    /// `POST /v1/images/generations`
    Images = 22,
    /// `POST /v1/audio/speech`
    Speech = 23,
    /// `POST /v1/moderations`
    Moderations = 24,
    /// `POST /v1/audio/transcriptions`
    Transcriptions = 25,
    /// `POST /v1/audio/translations`
    Translations = 26,
    /// `POST /v1/images/edits`
    ImageEdits = 27,
    /// `POST /v1/images/variations`
    ImageVariations = 28,
    /// `/v1/files` and what is below it
    Files = 29,
    /// `/v1/batches` and what is below it
    Batches = 30,
    /// `/v1/responses/{id}` and what is below it
    StoredResponses = 31,
    /// `/v1/messages/batches` and what is below it
    MessageBatches = 32,
    /// `/v1/files` of Anthropic, and what is below it
    AnthropicFiles = 33,
    /// `GET /v1/key/info`
    KeyInfo = 34,
}

impl Route {
    /// Every route, in the order of the discriminants.
    pub const ALL: [Self; 34] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Models,
        Self::Model,
        Self::None,
        Self::Messages,
        Self::CountTokens,
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::GeminiCountTokens,
        Self::EmbedContent,
        Self::BatchEmbedContents,
        Self::Converse,
        Self::ConverseStream,
        Self::Invoke,
        Self::InvokeStream,
        Self::CohereChat,
        Self::CohereEmbed,
        Self::Rerank,
        Self::Images,
        Self::Speech,
        Self::Moderations,
        Self::Transcriptions,
        Self::Translations,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Files,
        Self::Batches,
        Self::StoredResponses,
        Self::MessageBatches,
        Self::AnthropicFiles,
        Self::KeyInfo,
    ];

    /// The `route` label of metrics and reports.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Chat => "chat_completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Models => "models",
            Self::Model => "model",
            Self::None => "none",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::GenerateContent => "generate_content",
            Self::StreamGenerateContent => "stream_generate_content",
            Self::GeminiCountTokens => "gemini_count_tokens",
            Self::EmbedContent => "embed_content",
            Self::BatchEmbedContents => "batch_embed_contents",
            Self::Converse => "converse",
            Self::ConverseStream => "converse_stream",
            Self::Invoke => "invoke",
            Self::InvokeStream => "invoke_stream",
            Self::CohereChat => "cohere_chat",
            Self::CohereEmbed => "cohere_embed",
            Self::Rerank => "rerank",
            Self::Images => "images",
            Self::Speech => "speech",
            Self::Moderations => "moderations",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::ImageEdits => "image_edits",
            Self::ImageVariations => "image_variations",
            Self::Files => "files",
            Self::Batches => "batches",
            Self::StoredResponses => "stored_responses",
            Self::MessageBatches => "message_batches",
            Self::AnthropicFiles => "anthropic_files",
            Self::KeyInfo => "key_info",
        }
    }
}

/// Bits of [`UsageRecord::flags`].
pub mod flags {
    /// The answer was streamed.
    pub const STREAM: u8 = 1;
    /// Token counts are our estimate: the provider reported none.
    pub const ESTIMATED: u8 = 2;
    /// The client went away first.
    pub const CLIENT_ABORTED: u8 = 4;
    /// The answer broke off upstream.
    pub const TRUNCATED: u8 = 8;
}

/// How urgently a provider says it served a request; each has its own prices. Values are stored; they are only ever
/// appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ServiceTier {
    /// The usual one, and whatever is not told.
    #[default]
    Standard = 0,
    /// Cheaper, when there is room.
    Flex = 1,
    /// Dearer, before the others.
    Priority = 2,
    /// Cheaper, within hours.
    Batch = 3,
}

impl ServiceTier {
    /// Every tier, in the order of the discriminants.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Flex, Self::Priority, Self::Batch];

    /// The name in reports.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Batch => "batch",
        }
    }
}

/// One finished request. Every terminal path writes exactly one, refusals after authentication included.
///
/// Ids are those of the snapshot, 0 where the request did not get that far. Times are wall clock in milliseconds since
/// 1970 for `started_at_ms` and durations in microseconds otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageRecord {
    /// Unique id of the request, as sent in `x-sluice-request-id` (there in hexadecimal).
    pub request_id: [u8; 16],
    /// When the first byte of the request was read, milliseconds since 1970.
    pub started_at_ms: u64,
    /// Virtual key.
    pub key_id: u32,
    /// Model as configured (for a wildcard, the pattern's id).
    pub model_id: u32,
    /// Provider that gave the final answer.
    pub provider_id: u32,
    /// Target (model at a provider) that gave the final answer.
    pub target_id: u32,
    /// Prompt tokens, cached ones included.
    pub input_tokens: u32,
    /// Prompt tokens read from the provider's cache.
    pub cached_input_tokens: u32,
    /// Prompt tokens written to the provider's cache.
    pub cache_write_tokens: u32,
    /// Generated tokens, reasoning included.
    pub output_tokens: u32,
    /// Generated tokens spent on reasoning.
    pub reasoning_tokens: u32,
    /// From the first byte read to the last byte written, microseconds.
    pub duration_us: u32,
    /// The gateway's own part of that, microseconds.
    pub gateway_us: u32,
    /// From the request sent upstream to the first body byte, microseconds.
    pub first_byte_us: u32,
    /// Bytes of the request body.
    pub request_bytes: u32,
    /// Bytes of the response body sent.
    pub response_bytes: u32,
    /// HTTP status sent to the client (499 where the client was gone before one was sent).
    pub status: u16,
    /// [`Route`].
    pub route: u8,
    /// [`flags`].
    pub flags: u8,
    /// [`crate::ErrorKind`], 0 for none.
    pub error: u8,
    /// Upstream attempts made.
    pub attempts: u8,
    /// Prompt tokens written to the provider's cache for an hour (a part of `cache_write_tokens`).
    pub cache_write_1h_tokens: u32,
    /// Prompt tokens of sound (a part of `input_tokens`).
    pub audio_input_tokens: u32,
    /// Prompt tokens of images (a part of `input_tokens`).
    pub image_input_tokens: u32,
    /// Generated tokens of sound (a part of `output_tokens`).
    pub audio_output_tokens: u32,
    /// Generated tokens of images (a part of `output_tokens`).
    pub image_output_tokens: u32,
    /// What it cost, in pico-USD, by the prices it was admitted under; [`UsageRecord::UNPRICED`] where its target has none.
    pub cost_picousd: i64,
    /// `Snapshot::prices` of the snapshot it was admitted under: whose prices `cost_picousd` is by.
    pub prices_id: u32,
    /// [`ServiceTier`] it was served with.
    pub service_tier: u8,
}

impl UsageRecord {
    /// Stands for a cost that is not known, which is not the same as none.
    pub const UNPRICED: i64 = -1;
}

/// How a field of the record is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// 16 raw bytes.
    Id,
    /// Little-endian unsigned integer of 8 bytes.
    U64,
    /// Little-endian signed integer of 8 bytes.
    I64,
    /// Little-endian unsigned integer of 4 bytes.
    U32,
    /// Little-endian unsigned integer of 2 bytes.
    U16,
    /// One byte.
    U8,
}

impl FieldKind {
    const fn bytes(self) -> usize {
        match self {
            Self::Id => 16,
            Self::U64 | Self::I64 => 8,
            Self::U32 => 4,
            Self::U16 => 2,
            Self::U8 => 1,
        }
    }
}

/// Name, offset and kind of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name as in [`UsageRecord`].
    pub name: &'static str,
    /// Offset in bytes.
    pub offset: usize,
    /// Representation.
    pub kind: FieldKind,
}

macro_rules! layout {
    ($($name:ident: $kind:ident),* $(,)?) => {
        /// The layout of a record on the wire, in order, every field on a boundary of its size, at most of 4 bytes. Fields
        /// are only ever appended, into the padding while there is any: a longer record is told from a stored one by its size.
        pub const FIELDS: &[Field] = &{
            let mut at = 0;
            [$({
                let offset = aligned(at, FieldKind::$kind.bytes());
                at = offset + FieldKind::$kind.bytes();
                let _ = at;
                Field { name: stringify!($name), offset, kind: FieldKind::$kind }
            }),*]
        };

        impl UsageRecord {
            /// The record as it crosses to TypeScript and into storage.
            #[must_use]
            pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
                let mut out = [0; RECORD_BYTES];
                let mut at = 0;
                $(at = put(&mut out, at, &layout!(@bytes self.$name, $kind));)*
                debug_assert!(at <= RECORD_BYTES);
                out
            }
        }
    };
    (@bytes $value:expr, Id) => { $value };
    (@bytes $value:expr, $kind:ident) => { $value.to_le_bytes() };
}

layout! {
    request_id: Id,
    started_at_ms: U64,
    key_id: U32,
    model_id: U32,
    provider_id: U32,
    target_id: U32,
    input_tokens: U32,
    cached_input_tokens: U32,
    cache_write_tokens: U32,
    output_tokens: U32,
    reasoning_tokens: U32,
    duration_us: U32,
    gateway_us: U32,
    first_byte_us: U32,
    request_bytes: U32,
    response_bytes: U32,
    status: U16,
    route: U8,
    flags: U8,
    error: U8,
    attempts: U8,
    cache_write_1h_tokens: U32,
    audio_input_tokens: U32,
    image_input_tokens: U32,
    audio_output_tokens: U32,
    image_output_tokens: U32,
    cost_picousd: I64,
    prices_id: U32,
    service_tier: U8,
}

#[inline(always)]
const fn aligned(at: usize, bytes: usize) -> usize {
    at.next_multiple_of(if bytes < 4 { bytes } else { 4 })
}

// Inlined, so that the offsets are constants.
#[inline(always)]
fn put<const N: usize>(out: &mut [u8; RECORD_BYTES], at: usize, bytes: &[u8; N]) -> usize {
    let at = aligned(at, N);
    out[at..at + N].copy_from_slice(bytes);
    at + N
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_follow_the_layout() {
        let record = UsageRecord {
            request_id: [7; 16],
            started_at_ms: 0x0102_0304_0506_0708,
            key_id: 9,
            status: 503,
            attempts: 3,
            image_output_tokens: 0x0a0b_0c0d,
            cost_picousd: UsageRecord::UNPRICED,
            prices_id: 17,
            service_tier: ServiceTier::Batch as u8,
            ..UsageRecord::default()
        };
        let bytes = record.to_bytes();
        let at = |name: &str| FIELDS.iter().find(|field| field.name == name).unwrap().offset;
        assert_eq!(bytes[..16], [7; 16]);
        assert_eq!(bytes[at("started_at_ms")..][..8], record.started_at_ms.to_le_bytes());
        assert_eq!(bytes[at("key_id")], 9);
        assert_eq!(bytes[at("status")..][..2], 503u16.to_le_bytes());
        assert_eq!(bytes[at("attempts")], 3);
        assert_eq!(bytes[at("image_output_tokens")..][..4], record.image_output_tokens.to_le_bytes());
        assert_eq!(bytes[at("cost_picousd")..][..8], [0xff; 8]);
        assert_eq!(bytes[at("prices_id")], 17);
        assert_eq!(bytes[at("service_tier")], 3);
        for field in FIELDS {
            assert_eq!(field.offset % field.kind.bytes().min(4), 0, "{}", field.name);
        }
        let last = FIELDS.last().unwrap();
        assert!(last.offset + last.kind.bytes() <= RECORD_BYTES);
    }
}
