use std::collections::HashMap;
use std::fmt;

use sluice_types::{Model, Settings, Snapshot};

use crate::admission::Moment;
use crate::egress::{ProviderPlan, TargetPlan};
use crate::keys::{KeyPlan, KeyTable};
use crate::meters::{self, MeterPlan, MeterTable};
use crate::models::{ModelPlan, ModelTable, Tiers};
use crate::price::PricePlan;
use crate::registry::Registry;

/// A snapshot compiled for look-up. It is never edited, only replaced; a request keeps the plan it began with.
#[derive(Debug)]
pub struct Plan {
    /// `Snapshot::version`
    pub version: u64,
    /// `Snapshot::prices`
    pub prices_id: u32,
    /// Bounds and switches.
    pub settings: Settings,
    /// Virtual keys by digest.
    pub keys: KeyTable,
    /// Models by name.
    pub models: ModelTable,
    /// Providers; targets point into this.
    pub providers: Vec<ProviderPlan>,
    /// Targets; models point into this.
    pub targets: Vec<TargetPlan>,
    /// What stands for a model in calls that name none, one for each provider, in the same order.
    pub nameless: Vec<ModelPlan>,
    /// Budgets and rate limits; keys, models, providers and credentials point into this.
    pub meters: Vec<MeterPlan>,
}

impl Plan {
    /// Whether a model has a target whose provider the key may reach.
    #[must_use]
    pub fn has_target_for(&self, key: &KeyPlan, model: &ModelPlan) -> bool {
        !key.restricts_providers()
            || model
                .tiers
                .iter()
                .flatten()
                .any(|target| key.allows_provider(self.targets[*target as usize].provider))
    }

    /// Whether the key may use a model that the provider serves: then it may also ask the provider for what it keeps. A
    /// key that may use every model reaches every provider, whether it serves one or not. No key reaches a provider that
    /// it is barred from.
    #[must_use]
    pub fn reaches(&self, key: &KeyPlan, provider: u32) -> bool {
        if !key.allows_provider(provider) {
            return false;
        }
        let leads_there = |model: &ModelPlan| {
            let mut targets = model.tiers.iter().flatten();
            targets.any(|target| self.targets[*target as usize].provider == provider)
        };
        key.allows_everything()
            || key.allowed().iter().any(|pattern| match pattern.as_exact() {
                Some(name) => self.models.find(name).is_some_and(|found| leads_there(found.model)),
                None => self.models.iter().any(|model| leads_there(model) && model.is_within(pattern)),
            })
    }
}

/// Why a snapshot was refused. Nothing has changed when one is returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// Where in the snapshot, as `models[3].targets[0].provider`.
    pub path: String,
    /// Stable code.
    pub code: &'static str,
    /// What was expected.
    pub message: String,
}

impl PlanError {
    pub(crate) fn new(path: &str, code: &'static str, message: &str) -> Self {
        Self { path: path.into(), code, message: message.into() }
    }

    pub(crate) fn too_many(path: &str) -> Self {
        Self::new(path, "too_many", "more entries than can be numbered")
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.path, self.message, self.code)
    }
}

impl std::error::Error for PlanError {}

/// Compiles a snapshot, finding counters and breakers in `registry`.
///
/// # Errors
/// The first thing that cannot be served, with its place in the snapshot.
pub fn compile(snapshot: &Snapshot, registry: &Registry) -> Result<Plan, PlanError> {
    let meters = MeterTable::compile(&snapshot.meters, registry)?;
    let providers: Vec<ProviderPlan> = snapshot
        .providers
        .iter()
        .enumerate()
        .map(|(at, provider)| ProviderPlan::compile(provider, at, registry, &meters))
        .collect::<Result<_, _>>()?;
    let by_id: HashMap<u32, u32> = (0..).zip(&providers).map(|(at, provider)| (provider.id, at)).collect();
    if by_id.len() != providers.len() {
        return Err(PlanError::new("providers", "duplicate_id", "two providers have the same id"));
    }
    let mut targets = Vec::new();
    let known = Providers { plans: &providers, by_id };
    let models = ModelTable::compile(&snapshot.models, &meters, |at, model| {
        compile_tiers(at, model, &known, registry, &mut targets)
    })?;
    let nameless = compile_nameless(&providers, registry, &mut targets)?;
    let provider_names: Vec<&str> = providers.iter().map(|provider| &*provider.name).collect();
    Ok(Plan {
        version: snapshot.version,
        prices_id: snapshot.prices,
        settings: snapshot.settings.clone(),
        keys: KeyTable::compile(&snapshot.keys, registry, &meters, &provider_names)?,
        models,
        providers,
        targets,
        nameless,
        meters: meters.meters,
    })
}

/// Makes a plan that was compiled from this snapshot the one that counts: limits that have changed hold from now on, new
/// counters begin, and what no plan has named for a while is forgotten. To be called before the first request of the plan.
pub fn put_into_force(snapshot: &Snapshot, plan: &Plan, registry: &Registry, now: Moment) {
    meters::put_into_force(&snapshot.meters, &plan.meters, registry, now);
    registry.sweep(now.mono_ns);
}

/// Providers, and their indexes by id.
struct Providers<'p> {
    plans: &'p [ProviderPlan],
    by_id: HashMap<u32, u32>,
}

/// A target of each provider for the calls that name no model, without an id.
fn compile_nameless(
    providers: &[ProviderPlan],
    registry: &Registry,
    targets: &mut Vec<TargetPlan>,
) -> Result<Vec<ModelPlan>, PlanError> {
    let compile = |(at, provider): (u32, &ProviderPlan)| {
        let index = u32::try_from(targets.len()).map_err(|_| PlanError::too_many("models"))?;
        let target = TargetPlan::nameless((at, provider), registry.provider(provider.id));
        let model = ModelPlan::nameless(index, target.facts);
        targets.push(target);
        Ok(model)
    };
    (0..).zip(providers).map(compile).collect()
}

fn compile_tiers(
    at: usize,
    model: &Model,
    providers: &Providers<'_>,
    registry: &Registry,
    targets: &mut Vec<TargetPlan>,
) -> Result<Tiers, PlanError> {
    let mut tiers: Vec<(u32, Vec<u32>)> = Vec::new();
    let mut all = Tiers::default();
    for (nth, target) in model.targets.iter().enumerate() {
        let path = format!("models[{at}].targets[{nth}]");
        let provider = *providers.by_id.get(&target.provider).ok_or_else(|| {
            PlanError::new(
                &format!("{path}.provider"),
                "unknown_provider",
                "expected the id of a listed provider",
            )
        })?;
        if target.id == 0 {
            return Err(PlanError::new(&format!("{path}.id"), "id_zero", "ids start at 1"));
        }
        let index = u32::try_from(targets.len()).map_err(|_| PlanError::too_many("models"))?;
        let provider = (provider, &providers.plans[provider as usize]);
        let compiled = TargetPlan::compile(target, model.id, provider, registry.target(target.id));
        let price = target.price.as_ref().map(|price| PricePlan::compile(price, &format!("{path}.price")));
        all.facts = all.facts.and(compiled.facts);
        all.has_unpriced |= price.is_none();
        targets.push(TargetPlan { price: price.transpose()?, ..compiled });
        match tiers.last_mut() {
            Some((tier, members)) if *tier == target.tier => members.push(index),
            Some((tier, _)) if *tier > target.tier => {
                return Err(PlanError::new(
                    &format!("{path}.tier"),
                    "tier_order",
                    "expected tiers in rising order",
                ));
            }
            _ => tiers.push((target.tier, vec![index])),
        }
    }
    all.members = tiers.into_iter().map(|(_, members)| members).collect();
    Ok(all)
}
