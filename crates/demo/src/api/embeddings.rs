//! `POST /v1/embeddings`

use serde::Serialize;
use serde_json::Value;

use super::{Context, Refusal, count, model};
use crate::prng::{SplitMix64, fnv1a};
use crate::reply::Reply;
use crate::text;

/// Length of a vector when the client asks for none.
const DEFAULT_DIMENSIONS: usize = 1536;
/// Longest vector.
const MAX_DIMENSIONS: usize = 4096;
/// Most texts of one request, as OpenAI has it.
const MAX_INPUTS: usize = 2048;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

pub(super) fn answer(body: &Value, context: &Context<'_>) -> Result<Reply, Refusal> {
    let model = model(body)?;
    let inputs = inputs(body)?;
    let dimensions = count(body, "dimensions")?.unwrap_or(DEFAULT_DIMENSIONS);
    if dimensions > MAX_DIMENSIONS {
        return Err(Refusal::invalid("dimensions", "at most 4096"));
    }
    let base64 = base64_wanted(body)?;
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = embed(&input.words, dimensions);
        let embedding = if base64 { Vector::Base64(base64_of(&vector)) } else { Vector::Floats(vector) };
        Embedding { object: "embedding", index, embedding }
    });
    let tokens = inputs.iter().map(|input| input.words.len()).sum();
    let usage = Usage { prompt_tokens: tokens, total_tokens: tokens };
    let list = List { object: "list", data: data.collect(), model, usage };
    Ok(Reply::json(200, &context.request_id(), &list))
}

/// One text, or one row of token numbers, as the digests of its words.
struct Input {
    words: Vec<u64>,
}

impl Input {
    fn of_text(text: &str) -> Self {
        let clean = |word: &&str| word.trim().trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        Self { words: text::words(text).iter().map(|word| fnv1a(clean(word).as_bytes())).collect() }
    }

    fn of_tokens(tokens: &[Value]) -> Option<Self> {
        let words = tokens.iter().map(|token| token.as_u64().map(|token| fnv1a(&token.to_le_bytes())));
        words.collect::<Option<_>>().map(|words| Self { words })
    }
}

fn inputs(body: &Value) -> Result<Vec<Input>, Refusal> {
    let invalid =
        || Refusal::invalid("input", "a string, or an array of strings or of token arrays, none empty");
    let inputs = match body.get("input") {
        None => return Err(Refusal::missing("input")),
        Some(Value::String(text)) => vec![Input::of_text(text)],
        Some(Value::Array(items)) if items.iter().all(Value::is_u64) => {
            vec![Input::of_tokens(items).ok_or_else(invalid)?]
        }
        Some(Value::Array(items)) if items.len() <= MAX_INPUTS => {
            items.iter().map(input).collect::<Option<_>>().ok_or_else(invalid)?
        }
        Some(_) => return Err(invalid()),
    };
    if inputs.is_empty() || inputs.iter().any(|input| input.words.is_empty()) {
        Err(invalid())
    } else {
        Ok(inputs)
    }
}

fn input(item: &Value) -> Option<Input> {
    match item {
        Value::String(text) => Some(Input::of_text(text)),
        Value::Array(tokens) => Input::of_tokens(tokens),
        _ => None,
    }
}

fn base64_wanted(body: &Value) -> Result<bool, Refusal> {
    match body.get("encoding_format").and_then(Value::as_str) {
        None | Some("float") => Ok(false),
        Some("base64") => Ok(true),
        Some(_) => Err(Refusal::invalid("encoding_format", "'float' or 'base64'")),
    }
}

/// A unit vector: the sum of one random direction per word, so that texts with words in common lie close together.
fn embed(words: &[u64], dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0; dimensions];
    for word in words {
        let mut prng = SplitMix64::new(*word);
        for value in &mut sum {
            *value += prng.next_unit() - 0.5;
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "vectors have single precision on the wire")]
    sum.iter().map(|value| (value / length) as f32).collect()
}

/// The vector as little-endian single precision numbers in base64 (RFC 4648, with padding).
fn base64_of(vector: &[f32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(text: &str) -> Vec<f32> {
        embed(&Input::of_text(text).words, 256)
    }

    fn cosine(left: &[f32], right: &[f32]) -> f32 {
        left.iter().zip(right).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn vectors_are_unit_vectors_and_near_when_words_are_shared() {
        let cat = embedded("the cat sat on the mat");
        assert!((cosine(&cat, &cat) - 1.0).abs() < 1e-4);
        let near = cosine(&cat, &embedded("The cat sat on a mat."));
        let far = cosine(&cat, &embedded("quarterly revenue grew again"));
        assert!(near > 0.6 && far < 0.3, "{near} {far}");
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (vector, expected) in [
            (vec![], ""),
            (vec![0.0_f32], "AAAAAA=="),
            (vec![1.0, -2.5], "AACAPwAAIMA="),
            (vec![1.0, -2.5, 0.1], "AACAPwAAIMDNzMw9"),
        ] {
            assert_eq!(base64_of(&vector), expected);
        }
    }
}
