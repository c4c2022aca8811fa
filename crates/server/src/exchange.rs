//! The part of a request's life that both lanes share, from its whole body to the last byte of its answer:
//! inspect → admit → route → dispatch (fail over before the first byte) → relay → settle.

use std::rc::Rc;

use sluice_dialects::openai::{MAX_MODEL_BYTES, RequestError};
use sluice_http1::{RequestHead, ResponseHead};
use sluice_pipeline::{BYTES_PER_TOKEN, Demand, ModelMatch, ModelPlan, Task, is_form, is_stored, task_of};
use sluice_types::{ErrorKind, Route, Usage};

use crate::admission::{Uses, admit, is_text};
use crate::answer::Answer;
use crate::buffers::Buffer;
use crate::call_view::{self, View, asked_model};
use crate::refusal::{Ended, Refusal};
use crate::settle::Settlement;
use crate::stored::Stored;
use crate::timers::Timer;
use crate::worker::{Worker, WorkerPlan};
use crate::{count_tokens, dispatch, form, relay, stored};

/// A request whose head and body are complete.
pub(crate) struct Request {
    /// Raw head and body. Given back as soon as no further attempt can need it.
    pub(crate) bytes: Buffer,
    /// Where in `bytes` the body is; `decoded` replaces it.
    pub(crate) body: std::ops::Range<usize>,
    /// The body after its content coding was taken off.
    pub(crate) decoded: Option<Buffer>,
}

impl Request {
    pub(crate) fn body(&self) -> &[u8] {
        self.decoded.as_deref().unwrap_or(&self.bytes[self.body.clone()])
    }

    /// Gives the memory back. Bytes that follow the body, of a next request sent early, are kept.
    pub(crate) fn release(&mut self) {
        self.decoded = None;
        self.bytes.consume(self.body.end);
        self.body = 0..0;
        if self.bytes.is_empty() {
            self.bytes.release();
        }
    }
}

/// What the stages of one request work on.
pub(crate) struct Exchange<'x, 'w, A> {
    pub(crate) worker: &'w Worker,
    pub(crate) plan: &'x Rc<WorkerPlan>,
    pub(crate) route: Route,
    pub(crate) head: &'x RequestHead,
    pub(crate) request: &'x mut Request,
    pub(crate) answer: &'x mut A,
    pub(crate) timer: &'x Timer,
    pub(crate) settlement: &'x mut Settlement<'w>,
    /// Head of the provider's answer, reused between requests.
    pub(crate) upstream_head: &'x mut ResponseHead,
    /// Head of the request sent to the provider, reused between requests.
    pub(crate) egress: &'x mut Vec<u8>,
    /// The model's name as it is sent there, where it is not a fixed one.
    pub(crate) name: &'x mut String,
    /// What few requests need.
    pub(crate) rare: &'x mut Rare,
}

/// What few requests need, behind one pointer: the state of a request is moved often, so its size is time.
#[derive(Default)]
pub(crate) struct Rare {
    /// The model the path names, without escapes; empty where the body names it.
    pub(crate) path_model: String,
    /// The body in the provider's dialect, where that is another one.
    pub(crate) translated: Vec<u8>,
    /// What of the request could not be translated, as the value of a header.
    pub(crate) dropped: String,
    /// The name of an error that Bedrock's clients find in a header; empty where there is none.
    pub(crate) error_type: &'static str,
    /// Seconds after which the provider wants to be asked again, where only the body of its error said so.
    pub(crate) retry_after_s: Option<u64>,
    /// What a call about a provider's own asks for.
    pub(crate) stored: Stored,
    /// The targets of the model that are closed to the request, a bit each.
    pub(crate) barred: u64,
    /// What is reserved for the request; looked at only where meters hold for it.
    pub(crate) demand: Demand,
}

/// Facts the later stages need of the request.
#[derive(Clone, Copy)]
pub(crate) struct Call<'p> {
    pub(crate) view: &'p View,
    pub(crate) model: &'p ModelPlan,
}

/// Carries a request through to the end of its answer.
pub(crate) async fn run<A: Answer>(mut x: Exchange<'_, '_, A>) -> Result<(), Ended> {
    if is_stored(x.route) {
        return Box::pin(stored::run(x)).await;
    }
    let view = inspect(&x)?;
    let plan = Rc::clone(x.plan);
    let model = {
        let mut scratch = [0; MAX_MODEL_BYTES];
        let name = asked_model(&view, &x.rare.path_model, x.request.body(), &mut scratch);
        find_model(&plan, x.settlement, name)?.model
    };
    x.settlement.set_model(model.id, x.request.body().len());
    let uses = if task_of(x.route) == Task::Count { Uses::Nothing } else { Uses::Model };
    admit(&mut x, &view, model, uses)?;
    if uses == Uses::Nothing && !count_tokens::is_counted(&plan, model, x.route, x.settlement.key()) {
        return Box::pin(count_tokens::estimate(x)).await;
    }
    let call = Call { view: &view, model };
    let held = dispatch::dispatch(&mut x, call).await?;
    relay::relay(&mut x, call, held).await
}

fn inspect<A>(x: &Exchange<'_, '_, A>) -> Result<View, Refusal> {
    let (body, in_path) = (x.request.body(), !x.rare.path_model.is_empty());
    let view = if is_form(x.route) {
        form::inspect(x.route, x.head, &x.request.bytes, body, in_path)
    } else {
        call_view::inspect(x.route, body, in_path)
    };
    view.map_err(bad_body)
}

fn bad_body(error: RequestError) -> Refusal {
    Refusal::new(ErrorKind::InvalidBody, error.message).with_param(error.param)
}

/// The model a name leads to, if the caller's key may use it. Both failures look the same: a key learns nothing about
/// models it may not use.
pub(crate) fn find_model<'p, 'n>(
    plan: &'p WorkerPlan,
    settlement: &Settlement<'_>,
    name: &'n str,
) -> Result<ModelMatch<'p, 'n>, Refusal> {
    let plan = plan.plan();
    plan.models
        .find(name)
        .filter(|found| match settlement.key() {
            Some(key) => {
                let key = plan.keys.get(key);
                (key.allows(name) || key.allows(&found.model.name)) && plan.has_target_for(key, found.model)
            }
            None => true,
        })
        .ok_or_else(|| {
            let message =
                format!("The model `{name}` does not exist or this key does not have access to it.");
            Refusal::new(ErrorKind::ModelNotFound, message).with_param(Some("model"))
        })
}

/// Tokens to book for bytes nobody counted.
pub(crate) fn estimate_tokens(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX)
}

/// Whether the body of an answer is text, whose tokens can be estimated. Images and sound cost by measures of their own.
pub(crate) fn answers_text(route: Route) -> bool {
    is_text(route) && !matches!(route, Route::Images | Route::Speech | Route::Moderations)
}

/// Books the prompt as sent, in case the provider never says how long it was.
pub(crate) fn estimate_prompt<A>(x: &mut Exchange<'_, '_, A>) {
    if !is_text(x.route) {
        return;
    }
    let input = estimate_tokens(x.request.body().len() as u64);
    *x.settlement.estimate() = Usage { input, ..Usage::default() };
}
