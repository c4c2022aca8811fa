//! Compiles a [`sluice_types::Snapshot`] into a [`Plan`] and holds the decisions of a request's life as named, pure
//! steps: which route, who is asking, may they, which targets, what is sent.
//!
//! Absent by design: sockets, timers, randomness and clocks (they come in as arguments), and any change to a plan
//! after it was compiled. Counters and breakers live in the [`Registry`] and outlive plans.

mod admission;
mod base_url;
mod credential;
mod egress;
mod estimate;
mod heads;
mod keys;
mod lanes;
mod meter_spec;
mod meters;
mod models;
mod names;
mod paths;
mod plan;
mod price;
mod registry;
mod restrict;
mod routes;
mod signer;
pub mod sigv4;

pub use admission::{
    Asked, Barred, Hold, MAX_TARGETS, Moment, Short, Unbounded, barred, demand, reserve, settle,
};
pub use credential::{CredentialError, find_credential, find_query_key};
pub use egress::{CredentialPlan, ProviderPlan, Scheme, TargetPlan, UpstreamName};
pub use estimate::{BYTES_PER_TOKEN, OutputEstimate};
pub use heads::{Head, percent_decode_into, percent_decoded, percent_encode_into, percent_encoded};
pub use keys::{Digest, KeyPlan, KeyTable, digest_of};
pub use lanes::{
    Lane, Task, Upstream, chat_call, chat_wire, is_form, is_stored, lane, offers, task_of, wire_of,
};
pub use meter_spec::window_start;
pub use meters::{Counts, Demand, MeterFacts, MeterPlan, MeterSet, Outcome, Quantity};
pub use models::{ModelMatch, ModelPlan, ModelTable};
pub use names::NamePattern;
pub use paths::BodyModel;
pub use plan::{Plan, PlanError, compile, put_into_force};
pub use price::PricePlan;
pub use registry::{MeterCounter, Registry, TargetState};
pub use routes::{Call, ModelsShape, RouteMatch, StoredCall, match_route, wire_of_path};
pub use signer::Signer;
pub use sigv4::Rfc3339;
