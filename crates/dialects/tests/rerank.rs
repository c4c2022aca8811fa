//! Reranking, between the dialects that have it.

use serde_json::{Value, json};
use sluice_dialects::exchange::Dropped;
use sluice_dialects::json::Doc;
use sluice_dialects::rerank::RerankWire;
use sluice_dialects::wire::AnswerContext;

const ALL: [RerankWire; 3] = [RerankWire::Cohere, RerankWire::Jina, RerankWire::Voyage];

fn translated(from: RerankWire, body: &Value, to: RerankWire) -> (Value, Vec<String>) {
    let body = body.to_string();
    let doc = Doc::parse(body.as_bytes()).expect("JSON");
    let (mut out, mut dropped) = (Vec::new(), Dropped::default());
    let request = from.read_request(&doc, &mut dropped).expect("a request");
    to.write_request(&request, "m", &mut dropped, &mut out);
    let body = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out)));
    (body, dropped.names().map(str::to_owned).collect())
}

/// An answer as another dialect has it, to the request of a client.
fn answered(from: RerankWire, body: &Value, to: RerankWire, request: &Value) -> Value {
    let (body, request) = (body.to_string(), request.to_string());
    let (doc, request) =
        (Doc::parse(body.as_bytes()).expect("JSON"), Doc::parse(request.as_bytes()).expect("JSON"));
    let request = to.read_request(&request, &mut Dropped::default()).expect("a request");
    let mut answer = from.read_answer(&doc).expect("an answer");
    answer.attach(&request);
    let context = AnswerContext {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        model: "asked".to_owned(),
        ..AnswerContext::default()
    };
    let mut out = Vec::new();
    to.write_answer(&answer, &context, &mut out);
    serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out)))
}

fn answer_of(wire: RerankWire) -> Value {
    match wire {
        RerankWire::Cohere => json!({
            "id": "07734bd2-2473-4f07-94e1-0d9f0e6843cf",
            "results": [{"index": 1, "relevance_score": 0.999071}, {"index": 0, "relevance_score": 0.32713068}],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        }),
        RerankWire::Jina => json!({
            "model": "jina-reranker-v2-base-multilingual", "object": "list",
            "usage": {"total_tokens": 15, "prompt_tokens": 15},
            "results": [
                {"index": 1, "document": {"text": "b"}, "relevance_score": 0.999071},
                {"index": 0, "document": {"text": "a"}, "relevance_score": 0.32713068},
            ],
        }),
        RerankWire::Voyage => json!({
            "object": "list", "model": "rerank-2.5", "usage": {"total_tokens": 15},
            "data": [
                {"index": 1, "relevance_score": 0.999071, "document": "b"},
                {"index": 0, "relevance_score": 0.32713068},
            ],
        }),
    }
}

#[test]
fn names_of_members_change() {
    let cohere = json!({
        "model": "x", "query": "q", "documents": ["a", {"text": "b"}, {"title": "c", "text": "d"}], "top_n": 2,
        "max_tokens_per_doc": 512, "priority": 1,
    });
    let (out, dropped) = translated(RerankWire::Cohere, &cohere, RerankWire::Cohere);
    assert_eq!(out["documents"].as_array().unwrap()[..2], [json!("a"), json!("b")]);
    assert_eq!(serde_json::from_str::<Value>(out["documents"][2].as_str().unwrap()).unwrap()["title"], "c");
    assert_eq!(
        (&out["model"], &out["top_n"], &out["max_tokens_per_doc"]),
        (&json!("m"), &json!(2), &json!(512))
    );
    assert_eq!(dropped, ["priority"]);
    let (out, dropped) = translated(RerankWire::Cohere, &cohere, RerankWire::Voyage);
    assert_eq!((&out["top_k"], out.get("top_n")), (&json!(2), None));
    assert_eq!(dropped, ["priority", "max_tokens_per_doc"]);
    let voyage = json!({"model": "x", "query": "q", "documents": ["a"], "top_k": 1, "truncation": false, "return_documents": true});
    let (out, dropped) = translated(RerankWire::Voyage, &voyage, RerankWire::Jina);
    assert_eq!((&out["top_n"], &out["return_documents"]), (&json!(1), &json!(true)));
    assert_eq!(dropped, ["truncation"]);
    assert_eq!(translated(RerankWire::Voyage, &voyage, RerankWire::Voyage).0["truncation"], false);
}

#[test]
fn answers_change_their_shape() {
    let request = json!({"model": "x", "query": "q", "documents": ["a", "b"], "return_documents": true});
    for from in ALL {
        for to in ALL {
            let out = answered(from, &answer_of(from), to, &request);
            let list = if to == RerankWire::Voyage { &out["data"] } else { &out["results"] };
            assert_eq!((&list[0]["index"], &list[0]["relevance_score"]), (&json!(1), &json!(0.999071)));
            let document =
                if to == RerankWire::Voyage { &list[1]["document"] } else { &list[1]["document"]["text"] };
            assert_eq!(document, "a", "{from:?} to {to:?}: documents are put in from the request");
            let usage = to.usage_of(out.to_string().as_bytes());
            match (from, to) {
                (RerankWire::Cohere, RerankWire::Cohere) => assert_eq!(usage.search_units, Some(1)),
                (RerankWire::Cohere, _) => assert_eq!(out["usage"]["total_tokens"], 0),
                (_, RerankWire::Cohere) => assert_eq!(out["meta"]["billed_units"]["input_tokens"], 15),
                _ => assert_eq!(usage.tokens.map(|tokens| tokens.input), Some(15)),
            }
        }
    }
}

#[test]
fn documents_are_left_out_where_none_are_wanted() {
    let request = json!({"model": "x", "query": "q", "documents": ["a", "b"]});
    let out = answered(RerankWire::Cohere, &answer_of(RerankWire::Cohere), RerankWire::Jina, &request);
    assert_eq!(out["results"][0].get("document"), None);
    assert_eq!(out["model"], "asked");
}

#[test]
fn what_cannot_be_read_is_refused() {
    for (body, param) in [
        (json!({"documents": ["a"]}), "query"),
        (json!({"query": "q"}), "documents"),
        (json!({"query": "q", "documents": []}), "documents"),
        (json!({"query": "q", "documents": [1]}), "documents"),
        (json!({"query": "q", "documents": ["a"], "top_k": "all"}), "top_n"),
    ] {
        let body = body.to_string();
        let doc = Doc::parse(body.as_bytes()).expect("JSON");
        let error = RerankWire::Jina.read_request(&doc, &mut Dropped::default()).expect_err(&body);
        assert_eq!(error.param, Some(param), "{body}");
    }
    for body in [json!({"results": [{"index": 0}]}), json!({"message": "no"})] {
        let body = body.to_string();
        let doc = Doc::parse(body.as_bytes()).expect("JSON");
        assert!(RerankWire::Cohere.read_answer(&doc).is_err(), "{body}");
    }
}
