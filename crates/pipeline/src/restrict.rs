//! What a virtual key may do besides the models it names: which providers it may reach, which routes it may call, and
//! from which networks its clients may connect.

use std::net::IpAddr;

use sluice_types::{AllowList, Route, VirtualKey};

use crate::names::NamePattern;
use crate::plan::PlanError;

/// The restrictions of one key. Most keys have none, and cost nothing.
#[derive(Debug)]
pub(crate) struct Restrictions {
    /// A bit for each provider of the plan.
    providers: Option<Box<[u64]>>,
    /// A bit for each route, by its discriminant.
    routes: Option<u64>,
    /// Empty for any.
    networks: Box<[Network]>,
    /// The lists of providers and routes as they were given, to tell the key's holder.
    told: (AllowList, AllowList),
}

impl Restrictions {
    /// Compiles what a key says; `None` where it restricts nothing. `path` is the key's place in the snapshot.
    pub(crate) fn compile(
        key: &VirtualKey,
        path: &str,
        provider_names: &[&str],
    ) -> Result<Option<Box<Self>>, PlanError> {
        let restrictions = Self {
            providers: compile_providers(&key.providers, path, provider_names)?,
            routes: compile_routes(&key.routes, path)?,
            networks: compile_networks(&key.networks, path)?,
            told: (key.providers.clone(), key.routes.clone()),
        };
        let is_restricted = restrictions.providers.is_some()
            || restrictions.routes.is_some()
            || !restrictions.networks.is_empty();
        Ok(is_restricted.then(|| Box::new(restrictions)))
    }

    /// Whether a provider may be reached, by its index in the plan.
    pub(crate) fn allows_provider(&self, provider: u32) -> bool {
        let at = provider as usize;
        self.providers.as_ref().is_none_or(|bits| bits[at / 64] & 1 << (at % 64) != 0)
    }

    pub(crate) fn told(&self) -> (&AllowList, &AllowList) {
        (&self.told.0, &self.told.1)
    }

    pub(crate) fn restricts_providers(&self) -> bool {
        self.providers.is_some()
    }

    pub(crate) fn allows_route(&self, route: Route) -> bool {
        self.routes.is_none_or(|bits| bits & bit_of(route) != 0)
    }

    pub(crate) fn allows_client(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(address))
    }
}

fn compile_patterns(list: &AllowList, path: &str) -> Result<Option<Vec<NamePattern>>, PlanError> {
    let compile = |(at, name): (usize, &String)| {
        NamePattern::parse(name).ok_or_else(|| {
            PlanError::new(&format!("{path}[{at}]"), "bad_pattern", "expected a name with at most one `*`")
        })
    };
    let patterns = list.0.iter().enumerate().map(compile).collect::<Result<Vec<_>, _>>()?;
    Ok((!patterns.iter().any(NamePattern::is_everything)).then_some(patterns))
}

fn compile_providers(list: &AllowList, path: &str, names: &[&str]) -> Result<Option<Box<[u64]>>, PlanError> {
    let Some(patterns) = compile_patterns(list, &format!("{path}.providers"))? else { return Ok(None) };
    let mut bits = vec![0; names.len().div_ceil(64)];
    for (at, name) in names.iter().enumerate() {
        if patterns.iter().any(|pattern| pattern.matched(name).is_some()) {
            bits[at / 64] |= 1 << (at % 64);
        }
    }
    Ok(Some(bits.into()))
}

fn compile_routes(list: &AllowList, path: &str) -> Result<Option<u64>, PlanError> {
    let path = format!("{path}.routes");
    let Some(patterns) = compile_patterns(list, &path)? else { return Ok(None) };
    let mut bits = 0;
    for (at, pattern) in patterns.iter().enumerate() {
        let matching = Route::ALL.into_iter().filter(|route| pattern.matched(route.label()).is_some());
        let added = matching.fold(0, |bits, route| bits | bit_of(route));
        if added == 0 {
            let path = format!("{path}[{at}]");
            return Err(PlanError::new(
                &path,
                "unknown_route",
                "expected the label of a route, or a pattern of some",
            ));
        }
        bits |= added;
    }
    Ok(Some(bits))
}

const fn bit_of(route: Route) -> u64 {
    1 << route as u64
}

// A route's discriminant is the number of its bit.
const _: () = assert!(Route::ALL.len() < 64);

fn compile_networks(list: &[String], path: &str) -> Result<Box<[Network]>, PlanError> {
    let compile = |(at, text): (usize, &String)| {
        Network::parse(text).ok_or_else(|| {
            let path = format!("{path}.networks[{at}]");
            let message = "expected an address with the length of its prefix, as 10.0.0.0/8 or 2001:db8::/32";
            PlanError::new(&path, "bad_network", message)
        })
    };
    list.iter().enumerate().map(compile).collect()
}

/// A range of addresses. Those of IPv4 are held as the IPv6 addresses they are mapped to (RFC 4291, 2.5.5.2), so that a
/// client is the same whichever socket it came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: u128,
    mask: u128,
}

impl Network {
    /// Reads `address/length`, or an address alone, which is a network of one. Bits behind the prefix are not looked at.
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            // Like addresses, lengths have no sign and no leading zeros.
            Some(text) if text.starts_with('+') || text.len() > 1 && text.starts_with('0') => return None,
            Some(text) => text.parse().ok().filter(|length| *length <= bits)?,
            None => bits,
        };
        let mask = u128::MAX.checked_shl(bits - length).unwrap_or(0);
        // The prefix of a mapped network is part of it, whatever its own length.
        let mask = if address.is_ipv4() { mask | !u128::from(u32::MAX) } else { mask };
        Some(Self { base: bits_of(address) & mask, mask })
    }

    fn contains(self, address: IpAddr) -> bool {
        bits_of(address) & self.mask == self.base
    }
}

fn bits_of(address: IpAddr) -> u128 {
    u128::from(match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_the_addresses_of_their_prefix() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.9.9.9/8", "10.1.2.3", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "203.0.113.9", true),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::1/128", "2001:db8::1", true),
            ("::ffff:10.0.0.0/104", "10.200.0.1", true),
            ("192.168.1.128/25", "192.168.1.127", false),
            ("192.168.1.128/25", "192.168.1.129", true),
        ];
        for (network, address, expected) in cases {
            let found = Network::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, expected, "{address} in {network}");
        }
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "::/129",
            "localhost/8",
            "10.0.0.0/8/8",
            "010.0.0.0/8",
            "10.0.0.0 /8",
        ] {
            assert_eq!(Network::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn routes_and_providers_are_chosen_by_pattern() {
        let list = |names: &[&str]| AllowList(names.iter().map(|name| (*name).into()).collect());
        let routes = compile_routes(&list(&["chat_completions", "gemini_*"]), "k").unwrap().unwrap();
        assert_eq!(routes, bit_of(Route::Chat) | bit_of(Route::GeminiCountTokens));
        assert_eq!(compile_routes(&list(&["chat", "*"]), "k").unwrap(), None);
        assert_eq!(compile_routes(&list(&[]), "k").unwrap(), Some(0));
        let error = compile_routes(&list(&["models", "chat"]), "keys[3]").unwrap_err();
        assert_eq!((error.path.as_str(), error.code), ("keys[3].routes[1]", "unknown_route"));
        let names: Vec<String> = (0..70).map(|at| format!("p{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let providers = compile_providers(&list(&["p69", "gone"]), "k", &names).unwrap();
        let told = (list(&[]), list(&[]));
        let restrictions = Restrictions { providers, routes: None, networks: Box::default(), told };
        assert!(restrictions.allows_provider(69) && !restrictions.allows_provider(5));
    }
}
