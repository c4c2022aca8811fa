use serde::Serialize;

use super::{Context, Refusal};
use crate::reply::Reply;

/// Names that are listed. Any other name is served all the same: the demo stands in for every provider.
const LISTED: [&str; 3] = ["demo", "demo-mini", "demo-embedding"];

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Serialize)]
struct Model {
    id: &'static str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

pub(super) fn list(context: &Context<'_>) -> Reply {
    let data = LISTED.iter().map(|id| model(id, context)).collect();
    Reply::json(200, &context.request_id(), &List { object: "list", data })
}

pub(super) fn get(id: &str, context: &Context<'_>) -> Result<Reply, Refusal> {
    let listed = LISTED.iter().find(|listed| **listed == id);
    let id = listed.ok_or_else(|| Refusal::unknown_model(id))?;
    Ok(Reply::json(200, &context.request_id(), &model(id, context)))
}

fn model(id: &'static str, context: &Context<'_>) -> Model {
    Model { id, object: "model", created: context.created, owned_by: "demo" }
}
