use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_limits::{Cooldown, KeyState};

/// Breaker of one target.
#[derive(Debug, Default)]
pub struct TargetState {
    /// Opens after repeated failures, or for as long as the target asked.
    pub cooldown: Cooldown,
}

/// Counters and breakers by id. They outlive every plan: a reload never forgets what a key has used up.
///
/// The lock is taken while a plan is compiled, never by a request, which finds its counters through the plan.
#[derive(Debug, Default)]
pub struct Registry {
    keys: Mutex<HashMap<u32, Arc<KeyState>>>,
    targets: Mutex<HashMap<u32, Arc<TargetState>>>,
    providers: Mutex<HashMap<u32, Arc<TargetState>>>,
}

impl Registry {
    /// The counters of a virtual key.
    #[must_use]
    pub fn key(&self, id: u32) -> Arc<KeyState> {
        get_or_default(&self.keys, id)
    }

    /// The breaker of a target.
    #[must_use]
    pub fn target(&self, id: u32) -> Arc<TargetState> {
        get_or_default(&self.targets, id)
    }

    /// The breaker of a provider for calls that name no model.
    #[must_use]
    pub fn provider(&self, id: u32) -> Arc<TargetState> {
        get_or_default(&self.providers, id)
    }
}

fn get_or_default<T: Default>(map: &Mutex<HashMap<u32, Arc<T>>>, id: u32) -> Arc<T> {
    // A poisoned map is whole all the same: no code can panic between its two states.
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(map.entry(id).or_default())
}
