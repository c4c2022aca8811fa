//! Lists of models in the shapes of the dialects whose clients ask for them.

use serde_json::{Value, json};
use sluice_pipeline::{ModelPlan, ModelsShape};

use crate::models_page::{Page, anthropic_page, gemini_page, token_of};
use crate::refusal::Refusal;
use crate::settle::Settlement;
use crate::worker::WorkerPlan;

/// The models a key may use, under all the names they answer to: all of them for OpenAI's clients, whose API knows no
/// pages, and a page for those of Anthropic and Gemini.
///
/// # Errors
/// A parameter of the query that names no page.
pub(crate) fn list(
    plan: &WorkerPlan,
    settlement: &Settlement<'_>,
    shape: ModelsShape,
    query: Option<&str>,
) -> Result<Vec<u8>, Refusal> {
    let plan = plan.plan();
    let key = settlement.key().map(|key| plan.keys.get(key));
    let all: Vec<(&ModelPlan, &str)> = plan
        .models
        .iter()
        .flat_map(|model| names_of(model).map(move |name| (model, name)))
        .filter(|(model, name)| {
            key.is_none_or(|key| {
                (key.allows(name) || key.allows(&model.name)) && plan.has_target_for(key, model)
            })
        })
        .collect();
    let names: Vec<&str> = all.iter().map(|(_, name)| *name).collect();
    let page = match shape {
        ModelsShape::Openai => Page { range: 0..all.len(), has_more: false },
        ModelsShape::Anthropic => anthropic_page(&names, query)?,
        ModelsShape::Gemini => gemini_page(&names, query)?,
    };
    let (first, last) = (names[page.range.clone()].first(), names[page.range.clone()].last());
    let data: Vec<Value> = all[page.range].iter().map(|(model, name)| document(name, model, shape)).collect();
    let list = match shape {
        ModelsShape::Openai => json!({"object": "list", "data": data}),
        ModelsShape::Anthropic => {
            json!({"first_id": first, "last_id": last, "has_more": page.has_more, "data": data})
        }
        ModelsShape::Gemini => {
            let mut list = json!({"models": data});
            if let Some(last) = last.filter(|_| page.has_more) {
                list["nextPageToken"] = token_of(last).into();
            }
            list
        }
    };
    Ok(list.to_string().into_bytes())
}

fn names_of(model: &ModelPlan) -> impl Iterator<Item = &str> {
    let own = (!model.is_wildcard()).then_some(&*model.name);
    own.into_iter().chain(model.aliases.iter().map(AsRef::as_ref))
}

/// One model. Since when it is there is not known here, and clients do not depend on it.
pub(crate) fn document(name: &str, model: &ModelPlan, shape: ModelsShape) -> Value {
    let info = &model.info;
    let (context, output) = (info.context_window, info.max_output_tokens);
    match shape {
        ModelsShape::Openai => {
            let owner = info.owned_by.as_deref().unwrap_or("sluice");
            let mut document = json!({"id": name, "object": "model", "created": 0, "owned_by": owner});
            insert(&mut document, "context_window", context);
            insert(&mut document, "max_output_tokens", output);
            document
        }
        ModelsShape::Anthropic => {
            let mut document = json!({
                "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z",
            });
            insert(&mut document, "max_input_tokens", context);
            insert(&mut document, "max_tokens", output);
            document
        }
        ModelsShape::Gemini => {
            let methods: &[&str] = match info.embeds {
                true => &["embedContent", "batchEmbedContents"],
                false => &["generateContent", "streamGenerateContent", "countTokens"],
            };
            let mut document = json!({
                "name": format!("models/{name}"),
                "baseModelId": name,
                "displayName": name,
                "supportedGenerationMethods": methods,
            });
            insert(&mut document, "inputTokenLimit", context);
            insert(&mut document, "outputTokenLimit", output);
            document
        }
    }
}

fn insert(document: &mut Value, name: &str, value: Option<u32>) {
    if let Some(value) = value {
        document[name] = value.into();
    }
}
