//! Reranking: a query and documents in, the documents' order out, in the dialects of Cohere, Jina AI and Voyage AI.
//!
//! Sources: the types of `cohere-ai` 8.1, and the documentation of Jina AI and Voyage AI.
//!
//! The three differ in names: `top_n` or `top_k`, results under `results` or `data`, and what is counted, search units or
//! tokens. A score stays the digits it is written in.

mod cohere;
mod jina;
mod read;
mod voyage;

use sluice_types::Usage;

use crate::exchange::{Dropped, Number, Text};
use crate::json::{Doc, Out};
use crate::openai::RequestError;
use crate::wire::{AnswerContext, Malformed, Wire};

/// A format of requests to rerank and their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RerankWire {
    /// Cohere's `/v2/rerank`; the first version reads the same.
    Cohere,
    /// Jina AI's `/v1/rerank`, which most others imitate.
    Jina,
    /// Voyage AI's `/v1/rerank`.
    Voyage,
}

/// A request in canonical form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RerankRequest<'a> {
    /// What is looked for.
    pub query: Text<'a>,
    /// Where it is looked for, at least one. What is no text is its JSON.
    pub documents: Vec<Text<'a>>,
    /// Most results.
    pub top_n: Option<u64>,
    /// The results are to hold the documents; Cohere leaves that to the gateway, see [`RerankAnswer::attach`].
    pub return_documents: Option<bool>,
    /// Tokens to cut each document to.
    pub max_tokens_per_document: Option<u64>,
    /// Whether to cut what is too long.
    pub truncate: Option<bool>,
}

/// An answer in canonical form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RerankAnswer<'a> {
    /// The provider's id of it.
    pub id: Option<Text<'a>>,
    /// The model as the provider calls it.
    pub model: Option<Text<'a>>,
    /// The best first.
    pub results: Vec<Ranked<'a>>,
    /// What it cost.
    pub usage: RerankUsage,
}

/// One document's place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked<'a> {
    /// Which of the request's documents, from 0.
    pub index: u64,
    /// How well it fits, mostly 0 to 1.
    pub score: Number<'a>,
    /// The document.
    pub document: Option<Text<'a>>,
}

/// What reranking cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RerankUsage {
    /// Searches billed: a query with up to 100 documents is one (Cohere).
    pub search_units: Option<u64>,
    /// Tokens read, as input (Jina AI, Voyage AI).
    pub tokens: Option<Usage>,
}

impl<'a> RerankAnswer<'a> {
    /// Puts the request's documents into the results where the client wants them and the provider left them out.
    pub fn attach(&mut self, request: &RerankRequest<'a>) {
        if request.return_documents != Some(true) {
            return;
        }
        for ranked in self.results.iter_mut().filter(|ranked| ranked.document.is_none()) {
            let index = usize::try_from(ranked.index).unwrap_or(usize::MAX);
            ranked.document = request.documents.get(index).cloned();
        }
    }
}

impl RerankWire {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// What is wrong with the request, in words for the client.
    pub fn read_request<'d>(
        self,
        doc: &'d Doc<'d>,
        dropped: &mut Dropped,
    ) -> Result<RerankRequest<'d>, RequestError> {
        read::read_request(doc, dropped)
    }

    /// Appends a request's body; what the target cannot take is noted.
    pub fn write_request(
        self,
        request: &RerankRequest<'_>,
        model: &str,
        dropped: &mut Dropped,
        out: &mut Vec<u8>,
    ) {
        let out = &mut Out::new(out);
        out.begin_object()
            .field("model", model)
            .key("query")
            .text(&request.query)
            .key("documents")
            .begin_array();
        for document in &request.documents {
            out.text(document);
        }
        out.end_array();
        match self {
            Self::Cohere => cohere::write_request(request, dropped, out),
            Self::Jina => jina::write_request(request, dropped, out),
            Self::Voyage => voyage::write_request(request, dropped, out),
        }
        out.end_object();
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// Where it is no answer of this dialect.
    pub fn read_answer<'d>(self, doc: &'d Doc<'d>) -> Result<RerankAnswer<'d>, Malformed> {
        read::read_answer(doc)
    }

    /// Appends an answer's body.
    pub fn write_answer(self, answer: &RerankAnswer<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
        let out = &mut Out::new(out);
        match self {
            Self::Cohere => cohere::write_answer(answer, context, out),
            Self::Jina => jina::write_answer(answer, context, out),
            Self::Voyage => voyage::write_answer(answer, context, out),
        }
    }

    /// What an answer that is passed on untouched cost; reads no results.
    #[must_use]
    pub fn usage_of(self, body: &[u8]) -> RerankUsage {
        let Ok(members) = crate::json::scan_object_lenient(body, &["meta", "usage"]) else {
            return RerankUsage::default();
        };
        let [meta, usage] = members.values.map(|span| span.map(|span| span.of(body)).unwrap_or_default());
        read::read_usage(meta, usage)
    }

    /// The dialect whose errors it has.
    #[must_use]
    pub fn errors(self) -> Wire {
        match self {
            Self::Cohere => Wire::Cohere,
            Self::Jina | Self::Voyage => Wire::OpenaiChat,
        }
    }
}
