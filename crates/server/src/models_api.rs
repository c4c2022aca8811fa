//! What the gateway answers itself: health, readiness, the models a key may use, and what it has left.

use std::rc::Rc;

use sluice_pipeline::percent_decoded;
use sluice_types::ErrorKind;

use crate::answer::{Answer, send_document};
use crate::exchange::find_model;
use crate::gate::Asked;
use crate::key_info;
use crate::models_list;
use crate::refusal::{Ended, Refusal};
use crate::settle::Settlement;
use crate::worker::{Worker, WorkerPlan};

/// Answers everything that needs no provider. With what is asked comes the query of the path.
pub(crate) async fn answer(
    worker: &Worker,
    plan: &Rc<WorkerPlan>,
    (asked, query): (Asked<'_>, Option<&str>),
    answer: &mut impl Answer,
    settlement: &mut Settlement<'_>,
) -> Result<(), Ended> {
    let (status, content_type, body) = match asked {
        Asked::Health => (200, "text/plain", b"ok\n".to_vec()),
        Asked::Ready if worker.shared.is_ready() => (200, "text/plain", b"ready\n".to_vec()),
        Asked::Ready => (503, "text/plain", b"draining\n".to_vec()),
        Asked::ListModels(shape) => {
            (200, "application/json", models_list::list(plan, settlement, shape, query)?)
        }
        Asked::GetModel(name, shape) => {
            let name = percent_decoded(name);
            let found = find_model(plan, settlement, &name)?;
            let body = models_list::document(&name, found.model, shape).to_string();
            (200, "application/json", body.into_bytes())
        }
        Asked::KeyInfo => (200, "application/json", key_info::document(plan, settlement)?),
        Asked::Call(_) | Asked::Stored(_) => {
            return Err(Refusal::new(ErrorKind::Internal, "A call reached the wrong stage.").into());
        }
    };
    send_document(answer, settlement, status, content_type, &body).await.map_err(|_| Ended::Closed)
}
