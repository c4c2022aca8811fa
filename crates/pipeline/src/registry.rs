use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_limits::meter::{MeterSpec, MeterState, SpecError};
use sluice_limits::{Cooldown, KeyState};
use sluice_types::{Measure, Meter, Window};

use crate::estimate::OutputEstimate;

/// How long a state is kept that no plan names any more: whoever takes a key or a budget out of a file by mistake, and puts
/// it back, finds it as it was. The counter of a longer
/// window is made anew then, from what was booked.
const KEPT_NS: u64 = 3_600_000_000_000;

/// States without a plan that are kept at most, besides those that the latest change has left without one.
const MOST_KEPT: usize = 1 << 16;

/// What outlives plans of one target.
#[derive(Debug, Default)]
pub struct TargetState {
    /// Opens after repeated failures, or for as long as the target asked.
    pub cooldown: Cooldown,
    /// How long its answers tend to be.
    pub output: OutputEstimate,
}

/// The counter of one meter, and what it counts.
#[derive(Debug)]
pub struct MeterCounter {
    /// What is used and reserved.
    pub state: MeterState,
    measure: Measure,
    window: Window,
}

impl MeterCounter {
    /// Whether the meter can go on with this counter.
    fn is_for(&self, meter: &Meter) -> bool {
        self.measure == meter.measure && self.window == meter.window
    }
}

/// Counters and breakers by id. They outlive every plan: a reload never forgets what a key has used up.
///
/// The locks are taken while a plan is compiled, never by a request, which finds its counters through the plan.
#[derive(Debug, Default)]
pub struct Registry {
    keys: Mutex<Shelf<KeyState>>,
    targets: Mutex<Shelf<TargetState>>,
    providers: Mutex<Shelf<TargetState>>,
    credentials: Mutex<Shelf<Cooldown>>,
    meters: Mutex<Shelf<MeterCounter>>,
}

impl Registry {
    /// The counters of a virtual key.
    #[must_use]
    pub fn key(&self, id: u32) -> Arc<KeyState> {
        lock(&self.keys).get_or_default(id)
    }

    /// The breaker of a target.
    #[must_use]
    pub fn target(&self, id: u32) -> Arc<TargetState> {
        lock(&self.targets).get_or_default(id)
    }

    /// The breaker of a provider for calls that name no model.
    #[must_use]
    pub fn provider(&self, id: u32) -> Arc<TargetState> {
        lock(&self.providers).get_or_default(id)
    }

    /// The breaker of a provider key that has siblings.
    #[must_use]
    pub fn credential(&self, id: u32) -> Arc<Cooldown> {
        lock(&self.credentials).get_or_default(id)
    }

    /// The counter of a meter, or one that is new, which the registry does not know before [`Registry::keep`].
    ///
    /// # Errors
    /// What is wrong with the specification of a new one.
    pub(crate) fn meter(&self, meter: &Meter, spec: &MeterSpec) -> Result<Arc<MeterCounter>, SpecError> {
        let known = lock(&self.meters).entries.get(&meter.id).map(|entry| Arc::clone(&entry.state));
        match known.filter(|known| known.is_for(meter)) {
            Some(known) => Ok(known),
            None => Ok(Arc::new(MeterCounter {
                state: MeterState::new(spec)?,
                measure: meter.measure,
                window: meter.window.clone(),
            })),
        }
    }

    /// Takes in the counter of a meter; whether it is a new one.
    pub(crate) fn keep(&self, id: u32, counter: &Arc<MeterCounter>) -> bool {
        let entry = Entry { state: Arc::clone(counter), unnamed_since_ns: None };
        let before = lock(&self.meters).entries.insert(id, entry);
        before.is_none_or(|before| !Arc::ptr_eq(&before.state, counter))
    }

    /// Drops what no plan has named for a while. A state that a request still holds is held by its plan.
    pub(crate) fn sweep(&self, mono_ns: u64) {
        lock(&self.keys).sweep(mono_ns);
        lock(&self.targets).sweep(mono_ns);
        lock(&self.providers).sweep(mono_ns);
        lock(&self.credentials).sweep(mono_ns);
        lock(&self.meters).sweep(mono_ns);
    }

    /// States that are kept, named or not: keys, targets (of providers and their keys too) and meters.
    #[must_use]
    pub fn sizes(&self) -> [usize; 3] {
        let providers = lock(&self.providers).entries.len() + lock(&self.credentials).entries.len();
        let targets = lock(&self.targets).entries.len() + providers;
        [lock(&self.keys).entries.len(), targets, lock(&self.meters).entries.len()]
    }
}

fn lock<T>(shelf: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned map is whole all the same: no code can panic between its two states.
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// States of one sort.
#[derive(Debug)]
struct Shelf<T> {
    entries: HashMap<u32, Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    state: Arc<T>,
    /// Since when no plan is known to name it.
    unnamed_since_ns: Option<u64>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<T: Default> Shelf<T> {
    fn get_or_default(&mut self, id: u32) -> Arc<T> {
        let new = || Entry { state: Arc::default(), unnamed_since_ns: None };
        Arc::clone(&self.entries.entry(id).or_insert_with(new).state)
    }
}

impl<T> Shelf<T> {
    fn sweep(&mut self, now_ns: u64) {
        let mut kept = 0;
        self.entries.retain(|_, entry| {
            if Arc::strong_count(&entry.state) > 1 {
                entry.unnamed_since_ns = None;
                return true;
            }
            let since_ns = *entry.unnamed_since_ns.get_or_insert(now_ns);
            kept += usize::from(since_ns != now_ns);
            now_ns.saturating_sub(since_ns) < KEPT_NS
        });
        if kept > MOST_KEPT {
            self.entries.retain(|_, entry| entry.unnamed_since_ns.is_none_or(|since_ns| since_ns == now_ns));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_kept_while_named_and_for_a_while_after() {
        let registry = Registry::default();
        let held = registry.key(1);
        drop(registry.key(2));
        registry.sweep(10);
        registry.sweep(9 + KEPT_NS);
        assert_eq!(registry.sizes(), [2, 0, 0]);
        // Named again in time, it is the same.
        let again = registry.key(2);
        registry.sweep(10 + KEPT_NS);
        drop(again);
        registry.sweep(11 + KEPT_NS);
        assert_eq!(registry.sizes(), [2, 0, 0]);
        registry.sweep(11 + 2 * KEPT_NS);
        assert_eq!(registry.sizes(), [1, 0, 0]);
        assert_eq!(Arc::strong_count(&held), 2);
    }

    #[test]
    fn what_no_plan_names_is_bounded() {
        let registry = Registry::default();
        let count = u32::try_from(MOST_KEPT).unwrap();
        for id in 0..=count {
            drop(registry.key(id));
        }
        registry.sweep(1);
        assert_eq!(registry.sizes()[0], MOST_KEPT + 1);
        drop(registry.key(u32::MAX));
        registry.sweep(2);
        assert_eq!(registry.sizes()[0], 1);
    }
}
