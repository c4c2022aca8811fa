//! What the gateway answers itself: health, readiness and the models a key may use.

use std::rc::Rc;

use sluice_pipeline::ModelPlan;
use sluice_types::ErrorKind;

use crate::answer::{Answer, send_document};
use crate::exchange::find_model;
use crate::gate::Asked;
use crate::refusal::{Ended, Refusal};
use crate::settle::Settlement;
use crate::worker::{Worker, WorkerPlan};

/// Answers everything that needs no provider.
pub(crate) async fn answer(
    worker: &Worker,
    plan: &Rc<WorkerPlan>,
    asked: Asked<'_>,
    answer: &mut impl Answer,
    settlement: &mut Settlement<'_>,
) -> Result<(), Ended> {
    let (status, content_type, body) = match asked {
        Asked::Health => (200, "text/plain", b"ok\n".to_vec()),
        Asked::Ready if worker.shared.is_ready() => (200, "text/plain", b"ready\n".to_vec()),
        Asked::Ready => (503, "text/plain", b"draining\n".to_vec()),
        Asked::ListModels => (200, "application/json", list(plan, settlement)),
        Asked::GetModel(name) => {
            let name = percent_decoded(name);
            find_model(plan, settlement, &name)?;
            (200, "application/json", document(&name).to_string().into_bytes())
        }
        Asked::Call(_) => {
            return Err(Refusal::new(ErrorKind::Internal, "A call reached the wrong stage.").into());
        }
    };
    send_document(answer, settlement, status, content_type, &body).await.map_err(|_| Ended::Closed)
}

fn list(plan: &WorkerPlan, settlement: &Settlement<'_>) -> Vec<u8> {
    let plan = plan.plan();
    let key = settlement.key().map(|key| plan.keys.get(key));
    let names_of = |model: &ModelPlan| -> Vec<String> {
        let own = (!model.is_wildcard()).then(|| model.name.to_string());
        own.into_iter().chain(model.aliases.iter().map(ToString::to_string)).collect()
    };
    let data: Vec<_> = plan
        .models
        .iter()
        .flat_map(|model| names_of(model).into_iter().map(move |name| (model, name)))
        .filter(|(model, name)| key.is_none_or(|key| key.allows(name) || key.allows(&model.name)))
        .map(|(_, name)| document(&name))
        .collect();
    serde_json::json!({"object": "list", "data": data}).to_string().into_bytes()
}

/// A model in OpenAI's shape. Who owns it and since when is not known here, and clients do not depend on it.
fn document(name: &str) -> serde_json::Value {
    serde_json::json!({"id": name, "object": "model", "created": 0, "owned_by": "sluice"})
}

/// Names with a slash arrive with it encoded.
fn percent_decoded(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|digits| {
            std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
        });
        out.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn names_are_decoded_once() {
        assert_eq!(percent_decoded("openai%2Fgpt-4o"), "openai/gpt-4o");
        assert_eq!(percent_decoded("a%252Fb%"), "a%2Fb%");
    }
}
