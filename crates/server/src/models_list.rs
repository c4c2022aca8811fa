//! Lists of models in the shapes of the dialects whose clients ask for them.

use serde_json::{Value, json};
use sluice_pipeline::{ModelPlan, ModelsShape};

use crate::settle::Settlement;
use crate::worker::WorkerPlan;

/// The models a key may use, under all the names they answer to.
pub(crate) fn list(plan: &WorkerPlan, settlement: &Settlement<'_>, shape: ModelsShape) -> Vec<u8> {
    let plan = plan.plan();
    let key = settlement.key().map(|key| plan.keys.get(key));
    let data: Vec<Value> = plan
        .models
        .iter()
        .flat_map(|model| names_of(model).map(move |name| (model, name)))
        .filter(|(model, name)| {
            key.is_none_or(|key| {
                (key.allows(name) || key.allows(&model.name)) && plan.has_target_for(key, model)
            })
        })
        .map(|(model, name)| document(name, model, shape))
        .collect();
    let id = |document: Option<&Value>| document.map_or(Value::Null, |document| document["id"].clone());
    let list = match shape {
        ModelsShape::Openai => json!({"object": "list", "data": data}),
        ModelsShape::Anthropic => {
            json!({"first_id": id(data.first()), "last_id": id(data.last()), "has_more": false, "data": data})
        }
        ModelsShape::Gemini => json!({"models": data}),
    };
    list.to_string().into_bytes()
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
            let mut document = json!({
                "name": format!("models/{name}"),
                "baseModelId": name,
                "displayName": name,
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
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
