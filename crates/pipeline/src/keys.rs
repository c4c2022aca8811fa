//! Virtual keys: found by the digest of what the client presents.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sluice_limits::{KeyState, Limits};
use sluice_types::{Route, VirtualKey};

use crate::meters::{MeterSet, MeterTable};
use crate::names::NamePattern;
use crate::plan::PlanError;
use crate::registry::Registry;
use crate::restrict::Restrictions;

/// SHA-256 of a presented key.
pub type Digest = [u8; 32];

/// Hashes a presented key. Keys are 256 random bits, so a plain digest is all the protection a stored copy needs.
#[must_use]
pub fn digest_of(presented: &[u8]) -> Digest {
    Sha256::digest(presented).into()
}

/// One virtual key as the request path sees it.
#[derive(Debug)]
pub struct KeyPlan {
    /// `VirtualKey::id`
    pub id: u32,
    /// What its holder knows it by.
    pub name: Box<str>,
    /// When the last of its secrets ends, milliseconds since 1970; absent for never.
    pub expires_at_ms: Option<u64>,
    /// Limits in force.
    pub limits: Limits,
    /// Its counters, shared by all workers and all plans.
    pub state: Arc<KeyState>,
    /// What else holds for it.
    pub meters: MeterSet,
    allowed: Vec<NamePattern>,
    allows_all: bool,
    restrictions: Option<Box<Restrictions>>,
}

impl KeyPlan {
    /// Whether the key may use a model under this name. The caller asks for the name as sent and for the model's own.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        self.allows_all || self.allowed.iter().any(|pattern| pattern.matched(name).is_some())
    }

    /// Whether the key may use every model.
    #[must_use]
    pub fn allows_everything(&self) -> bool {
        self.allows_all
    }

    /// Whether the key may call a route. What is no route is open to every key, to be told so, and so is what the key says
    /// of itself.
    #[must_use]
    pub fn allows_route(&self, route: Route) -> bool {
        matches!(route, Route::None | Route::KeyInfo)
            || self.restrictions.as_ref().is_none_or(|only| only.allows_route(route))
    }

    /// Whether the key is good for a client at this address.
    #[must_use]
    pub fn allows_client(&self, address: IpAddr) -> bool {
        self.restrictions.as_ref().is_none_or(|only| only.allows_client(address))
    }

    /// Whether the key may reach a provider, by its index in the plan.
    #[must_use]
    pub fn allows_provider(&self, provider: u32) -> bool {
        self.restrictions.as_ref().is_none_or(|only| only.allows_provider(provider))
    }

    /// Whether there are providers that the key may not reach.
    #[must_use]
    pub fn restricts_providers(&self) -> bool {
        self.restrictions.as_ref().is_some_and(|only| only.restricts_providers())
    }

    /// What it is allowed, as it was given: names of models, of providers, and routes.
    #[must_use]
    pub fn told(&self) -> [Vec<String>; 3] {
        let everything = || vec!["*".to_owned()];
        let models = self.allowed.iter().map(ToString::to_string).collect();
        match self.restrictions.as_ref().map(|only| only.told()) {
            Some((providers, routes)) => [models, providers.0.clone(), routes.0.clone()],
            None => [models, everything(), everything()],
        }
    }

    /// The names it may use.
    pub(crate) fn allowed(&self) -> &[NamePattern] {
        &self.allowed
    }
}

#[derive(Debug)]
struct Entry {
    digest: Digest,
    expires_at_ms: u64,
    key: u32,
}

/// Finds keys by digest. The first eight bytes of a SHA-256 are as good a hash as any, so they index the table; the
/// rest is compared in constant time.
#[derive(Debug, Default)]
pub struct KeyTable {
    keys: Vec<KeyPlan>,
    entries: Vec<Entry>,
    by_prefix: HashMap<u64, u32, BuildHasherDefault<PrefixHasher>>,
}

impl KeyTable {
    pub(crate) fn compile(
        keys: &[VirtualKey],
        registry: &Registry,
        meters: &MeterTable,
        provider_names: &[&str],
    ) -> Result<Self, PlanError> {
        let mut table = Self::default();
        for (at, key) in keys.iter().enumerate() {
            table.add(at, key, registry, meters, provider_names)?;
        }
        Ok(table)
    }

    fn add(
        &mut self,
        at: usize,
        key: &VirtualKey,
        registry: &Registry,
        meters: &MeterTable,
        provider_names: &[&str],
    ) -> Result<(), PlanError> {
        let path = format!("keys[{at}]");
        if key.id == 0 {
            return Err(PlanError::new(&format!("{path}.id"), "id_zero", "ids start at 1"));
        }
        let index = u32::try_from(self.keys.len()).map_err(|_| PlanError::too_many("keys"))?;
        for (nth, digest) in key.digests.iter().enumerate() {
            let path = format!("{path}.digests[{nth}].sha256");
            let bytes = parse_digest(&digest.sha256)
                .ok_or_else(|| PlanError::new(&path, "bad_digest", "expected 64 hexadecimal digits"))?;
            let entry = u32::try_from(self.entries.len()).map_err(|_| PlanError::too_many("keys"))?;
            if self.by_prefix.insert(prefix_of(&bytes), entry).is_some() {
                return Err(PlanError::new(&path, "duplicate_digest", "two keys have the same secret"));
            }
            let expires_at_ms = digest.expires_at_ms.unwrap_or(u64::MAX);
            self.entries.push(Entry { digest: bytes, expires_at_ms, key: index });
        }
        let allowed = compile_allow_list(&key.models.0, &path)?;
        self.keys.push(KeyPlan {
            id: key.id,
            name: key.name.as_str().into(),
            expires_at_ms: expiry_of(key),
            limits: Limits {
                requests_per_minute: key.limits.requests_per_minute,
                tokens_per_minute: key.limits.tokens_per_minute,
                concurrency: key.limits.concurrency,
            },
            state: registry.key(key.id),
            meters: meters.set_of(&key.meters, &path)?,
            allows_all: allowed.iter().any(NamePattern::is_everything),
            allowed,
            restrictions: Restrictions::compile(key, &path, provider_names)?,
        });
        Ok(())
    }

    /// Index of the key with this digest that is valid at `now_ms` (milliseconds since 1970). Unknown and expired look
    /// the same to the caller, on purpose.
    #[must_use]
    pub fn find(&self, digest: &Digest, now_ms: u64) -> Option<u32> {
        let entry = &self.entries[*self.by_prefix.get(&prefix_of(digest))? as usize];
        (equal_in_constant_time(&entry.digest, digest) && now_ms < entry.expires_at_ms).then_some(entry.key)
    }

    /// The key at an index that [`KeyTable::find`] gave.
    #[must_use]
    pub fn get(&self, index: u32) -> &KeyPlan {
        &self.keys[index as usize]
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn expiry_of(key: &VirtualKey) -> Option<u64> {
    let ends = key.digests.iter().map(|digest| digest.expires_at_ms.unwrap_or(u64::MAX));
    ends.max().filter(|end| *end != u64::MAX)
}

fn compile_allow_list(names: &[String], path: &str) -> Result<Vec<NamePattern>, PlanError> {
    let compile = |(at, name): (usize, &String)| {
        NamePattern::parse(name).ok_or_else(|| {
            PlanError::new(
                &format!("{path}.models[{at}]"),
                "bad_pattern",
                "expected a name with at most one `*`",
            )
        })
    };
    names.iter().enumerate().map(compile).collect()
}

fn parse_digest(hex: &str) -> Option<Digest> {
    let hex = hex.as_bytes();
    if hex.len() != 64 {
        return None;
    }
    let nibble = |digit: u8| (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(out)
}

fn prefix_of(digest: &Digest) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

fn equal_in_constant_time(a: &Digest, b: &Digest) -> bool {
    let differing = a.iter().zip(b).fold(0, |seen, (x, y)| seen | (x ^ y));
    std::hint::black_box(differing) == 0
}

/// The key is already a hash.
#[derive(Debug, Default)]
struct PrefixHasher(u64);

impl Hasher for PrefixHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use sluice_types::{AllowList, KeyDigest, KeyLimits};

    use super::*;

    fn key(id: u32, secret: &str, expires_at_ms: Option<u64>, models: &[&str]) -> VirtualKey {
        let sha256 = digest_of(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        VirtualKey {
            id,
            name: format!("key {id}"),
            digests: vec![KeyDigest { sha256, expires_at_ms }],
            models: AllowList(models.iter().map(|name| (*name).into()).collect()),
            providers: AllowList::everything(),
            routes: AllowList::everything(),
            networks: Vec::new(),
            limits: KeyLimits::default(),
            meters: Vec::new(),
        }
    }

    #[test]
    fn finds_valid_keys_only() {
        let keys =
            [key(1, "one", None, &["*"]), key(2, "two", Some(1_000), &["gpt-*"]), key(3, "three", None, &[])];
        let table = KeyTable::compile(&keys, &Registry::default(), &MeterTable::default(), &[]).unwrap();
        let find =
            |secret: &str, now| table.find(&digest_of(secret.as_bytes()), now).map(|at| table.get(at).id);
        assert_eq!(find("one", 0), Some(1));
        assert_eq!(find("two", 999), Some(2));
        assert_eq!(find("two", 1_000), None);
        assert_eq!(find("four", 0), None);
        let by_id = |id: usize| table.get(u32::try_from(id).unwrap());
        assert!(by_id(0).allows("anything"));
        assert!(by_id(1).allows("gpt-4o") && !by_id(1).allows("claude"));
        assert!(!by_id(2).allows("gpt-4o"));
    }

    #[test]
    fn refuses_what_it_cannot_serve() {
        let twice = [key(1, "one", None, &[]), key(2, "one", None, &[])];
        assert_eq!(
            KeyTable::compile(&twice, &Registry::default(), &MeterTable::default(), &[]).unwrap_err().code,
            "duplicate_digest"
        );
        let mut short = key(1, "one", None, &[]);
        short.digests[0].sha256.pop();
        assert_eq!(
            KeyTable::compile(&[short], &Registry::default(), &MeterTable::default(), &[]).unwrap_err().path,
            "keys[0].digests[0].sha256"
        );
        let pattern = [key(1, "one", None, &["a*b*c"])];
        assert_eq!(
            KeyTable::compile(&pattern, &Registry::default(), &MeterTable::default(), &[]).unwrap_err().path,
            "keys[0].models[0]"
        );
    }
}
