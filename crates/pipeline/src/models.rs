//! Models: found by the name a client asks for.

use std::collections::HashMap;

use sluice_types::{Model, ModelInfo};

use crate::meters::{MeterFacts, MeterSet, MeterTable};
use crate::names::NamePattern;
use crate::plan::PlanError;

/// A model and the targets that can serve it.
#[derive(Debug)]
pub struct ModelPlan {
    /// `Model::id`
    pub id: u32,
    /// Name as configured; for a wildcard, the pattern.
    pub name: Box<str>,
    /// Further exact names.
    pub aliases: Vec<Box<str>>,
    /// Indexes into [`crate::Plan::targets`], grouped by tier, the preferred tier first.
    pub tiers: Vec<Vec<u32>>,
    /// What is known of it.
    pub info: ModelInfo,
    /// What holds for requests for it.
    pub meters: MeterSet,
    /// What is to be known of them and of all meters at its targets.
    pub facts: MeterFacts,
    /// A target has no price.
    pub has_unpriced: bool,
    pattern: NamePattern,
}

/// What the targets of a model come to.
#[derive(Debug, Default)]
pub(crate) struct Tiers {
    /// Indexes into [`crate::Plan::targets`], grouped by tier.
    pub(crate) members: Vec<Vec<u32>>,
    pub(crate) facts: MeterFacts,
    pub(crate) has_unpriced: bool,
}

impl ModelPlan {
    /// What the star of a wildcard stands for in a name that led here; empty for an exact one.
    #[must_use]
    pub fn star_of<'n>(&self, name: &'n str) -> &'n str {
        self.pattern.matched(name).unwrap_or_default()
    }

    /// What stands for a model in calls that name none: one target, and no name.
    pub(crate) fn nameless(target: u32, facts: MeterFacts) -> Self {
        Self {
            id: 0,
            name: "".into(),
            aliases: Vec::new(),
            tiers: vec![vec![target]],
            info: ModelInfo::default(),
            meters: MeterSet::default(),
            facts,
            has_unpriced: true,
            pattern: NamePattern::exact(""),
        }
    }

    /// Whether a name that the pattern allows leads here.
    pub(crate) fn is_within(&self, pattern: &NamePattern) -> bool {
        self.pattern.overlaps(pattern) || self.aliases.iter().any(|alias| pattern.matched(alias).is_some())
    }

    /// Whether the name is a pattern, which the list of models leaves out.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        !self.pattern.is_exact()
    }
}

/// What a name led to.
#[derive(Clone, Copy, Debug)]
pub struct ModelMatch<'p, 'n> {
    /// The model.
    pub model: &'p ModelPlan,
    /// What a wildcard's star stood for; empty for an exact name.
    pub star: &'n str,
}

/// Finds models by name: exact names first, then the most specific pattern.
#[derive(Debug, Default)]
pub struct ModelTable {
    models: Vec<ModelPlan>,
    exact: HashMap<Box<str>, u32>,
    /// Indexes of wildcards, the most specific first.
    wildcards: Vec<u32>,
}

impl ModelTable {
    /// `tiers_of` resolves a model's targets; its errors are passed on.
    pub(crate) fn compile(
        models: &[Model],
        meters: &MeterTable,
        mut tiers_of: impl FnMut(usize, &Model) -> Result<Tiers, PlanError>,
    ) -> Result<Self, PlanError> {
        let mut table = Self::default();
        for (at, model) in models.iter().enumerate() {
            let tiers = tiers_of(at, model)?;
            let meters = meters.set_of(&model.meters, &format!("models[{at}]"))?;
            table.add(at, model, tiers, meters)?;
        }
        let models = &table.models;
        table.wildcards.sort_by_key(|at| std::cmp::Reverse(models[*at as usize].pattern.specificity()));
        Ok(table)
    }

    fn add(&mut self, at: usize, model: &Model, tiers: Tiers, meters: MeterSet) -> Result<(), PlanError> {
        let path = format!("models[{at}]");
        if model.id == 0 {
            return Err(PlanError::new(&format!("{path}.id"), "id_zero", "ids start at 1"));
        }
        let pattern = NamePattern::parse(&model.name).ok_or_else(|| {
            PlanError::new(&format!("{path}.name"), "bad_pattern", "expected a name with at most one `*`")
        })?;
        let index = u32::try_from(self.models.len()).map_err(|_| PlanError::too_many("models"))?;
        if !pattern.is_exact() {
            self.wildcards.push(index);
        }
        let own = pattern.is_exact().then_some(&model.name);
        for name in own.into_iter().chain(&model.aliases) {
            if self.exact.insert(name.as_str().into(), index).is_some() {
                return Err(PlanError::new(&path, "duplicate_name", "two models answer to the same name"));
            }
        }
        let aliases = model.aliases.iter().map(|alias| alias.as_str().into()).collect();
        self.models.push(ModelPlan {
            id: model.id,
            name: model.name.as_str().into(),
            aliases,
            tiers: tiers.members,
            info: model.info.clone().unwrap_or_default(),
            facts: tiers.facts.and(meters.facts()),
            meters,
            has_unpriced: tiers.has_unpriced,
            pattern,
        });
        Ok(())
    }

    /// The model a name leads to.
    #[must_use]
    pub fn find<'n>(&self, name: &'n str) -> Option<ModelMatch<'_, 'n>> {
        if let Some(at) = self.exact.get(name) {
            return Some(ModelMatch { model: &self.models[*at as usize], star: "" });
        }
        self.wildcards.iter().find_map(|at| {
            let model = &self.models[*at as usize];
            model.pattern.matched(name).map(|star| ModelMatch { model, star })
        })
    }

    /// Every model, in the order of the snapshot.
    pub fn iter(&self) -> impl Iterator<Item = &ModelPlan> {
        self.models.iter()
    }
}
