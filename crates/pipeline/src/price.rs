//! What a request costs: each token counted once, at the price of what it is. The arithmetic is that of
//! `ts/src/prices/price.ts`, which both are held to by the same examples.

use sluice_types::{Price, PriceTier, Rates, ServiceTier, Usage};

use crate::plan::PlanError;

/// A factor of one.
const FACTOR_ONE: u128 = 100_000_000;

/// Largest factor: a hundred times the price, in a region that is a hundred times as dear.
const MAX_FACTOR: u64 = 1_000_000_000_000;

/// Largest rate, and price per request: the largest whole number that JSON carries exactly to everybody. With it and
/// [`MAX_FACTOR`] no sum of a request leaves 128 bits: 2³³ tokens × 2⁵³ × 2⁴⁰.
const MAX_PRICE: u64 = 1 << 53;

/// First status that is no success.
const FIRST_ERROR_STATUS: u16 = 300;

/// A [`Price`], checked and made ready.
#[derive(Clone, Debug)]
pub struct PricePlan {
    /// By [`ServiceTier`]; those without prices of their own have the standard ones.
    services: [Box<[PriceTier]>; ServiceTier::ALL.len()],
    /// The dearest there is up to a size of prompt, ascending by it.
    dearest: Box<[Dearest]>,
    request: u64,
    factor: u64,
}

/// Highest rates that a prompt of more than `above` tokens can meet.
#[derive(Clone, Copy, Debug, Default)]
struct Dearest {
    above: u32,
    input: u64,
    output: u64,
}

impl PricePlan {
    /// Makes a price ready; `path` is where it stands, for errors.
    ///
    /// # Errors
    /// A list of tiers that is empty, does not begin at 0 or does not rise, or a number beyond what a cost can be
    /// computed with.
    pub fn compile(price: &Price, path: &str) -> Result<Self, PlanError> {
        if price.standard.is_empty() {
            return Err(error(path, "standard", "expected at least one tier"));
        }
        let of = |name: &str, tiers: &[PriceTier]| -> Result<Box<[PriceTier]>, PlanError> {
            check_tiers(tiers).map_err(|why| error(path, name, why))?;
            Ok(if tiers.is_empty() { price.standard.as_slice() } else { tiers }.into())
        };
        let services = [
            of("standard", &price.standard)?,
            of("flex", &price.flex)?,
            of("priority", &price.priority)?,
            of("batch", &price.batch)?,
        ];
        if price.request > MAX_PRICE {
            return Err(error(path, "request", "expected at most 2^53"));
        }
        if price.factor > MAX_FACTOR {
            return Err(error(path, "factor", "expected at most 10^12"));
        }
        let dearest = dearest_of(&services);
        Ok(Self { services, dearest, request: price.request, factor: price.factor })
    }

    /// What a request costs, in pico-USD. The factor applies to the sum, which is then rounded half up. What is more than
    /// fits is the most that does.
    #[must_use]
    pub fn cost(&self, usage: &Usage, tier: ServiceTier) -> i64 {
        let rates = self.rates(usage.input, tier);
        let sum = u128::from(self.request) + input_cost(usage, rates) + output_cost(usage, rates);
        saturated(self.scaled(sum, FACTOR_ONE / 2))
    }

    /// What is booked for a request that was answered with `status`. One that failed without using a token cost nothing,
    /// not even what each request costs.
    #[must_use]
    pub fn charge(&self, usage: &Usage, tier: ServiceTier, status: u16) -> i64 {
        if status >= FIRST_ERROR_STATUS && usage.total() == 0 { 0 } else { self.cost(usage, tier) }
    }

    /// The most that a request of up to so many tokens can cost, in pico-USD, whatever kinds they turn out to be of and
    /// however urgently it is served.
    #[must_use]
    pub fn most(&self, input_tokens: u64, output_tokens: u64) -> i64 {
        let reached = |tier: &&Dearest| tier.above == 0 || u64::from(tier.above) < input_tokens;
        let dearest = self.dearest.iter().rev().find(reached).copied().unwrap_or_default();
        let of = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        let sum = of(input_tokens, dearest.input).saturating_add(of(output_tokens, dearest.output));
        saturated(self.scaled(sum.saturating_add(self.request.into()), FACTOR_ONE - 1))
    }

    fn rates(&self, input_tokens: u32, tier: ServiceTier) -> &Rates {
        let tiers = &self.services[tier as usize];
        let above = tiers.iter().rev().find(|tier| input_tokens > tier.above_input_tokens);
        &above.unwrap_or(&tiers[0]).rates
    }

    /// A sum times the factor; `rest` is what rounds it.
    fn scaled(&self, sum: u128, rest: u128) -> u128 {
        match u128::from(self.factor) {
            FACTOR_ONE => sum,
            factor => sum.saturating_mul(factor).saturating_add(rest) / FACTOR_ONE,
        }
    }
}

fn error(path: &str, member: &str, why: &str) -> PlanError {
    PlanError::new(&format!("{path}.{member}"), "bad_price", why)
}

fn check_tiers(tiers: &[PriceTier]) -> Result<(), &'static str> {
    if tiers.first().is_some_and(|tier| tier.above_input_tokens != 0) {
        return Err("expected a first tier from 0 tokens on");
    }
    if tiers.windows(2).any(|pair| pair[0].above_input_tokens >= pair[1].above_input_tokens) {
        return Err("expected tiers in rising order");
    }
    let too_dear = |tier: &PriceTier| {
        let (input, output) = (dearest_input(&tier.rates), dearest_output(&tier.rates));
        input.max(output) > MAX_PRICE
    };
    if tiers.iter().any(too_dear) { Err("expected rates of at most 2^53") } else { Ok(()) }
}

/// Every size at which any price changes, with the dearest that is met up to there: a prompt that is allowed to be large
/// can turn out small, and smaller ones need not be cheaper.
fn dearest_of(services: &[Box<[PriceTier]>]) -> Box<[Dearest]> {
    let mut all: Vec<Dearest> = services
        .iter()
        .flatten()
        .map(|PriceTier { above_input_tokens, rates }| Dearest {
            above: *above_input_tokens,
            input: dearest_input(rates),
            output: dearest_output(rates),
        })
        .collect();
    all.sort_by_key(|tier| tier.above);
    let mut so_far = Dearest::default();
    for tier in &mut all {
        so_far.input = so_far.input.max(tier.input);
        so_far.output = so_far.output.max(tier.output);
        (tier.input, tier.output) = (so_far.input, so_far.output);
    }
    all.into()
}

fn dearest_input(rates: &Rates) -> u64 {
    let Rates { input, cached_input, cache_write, cache_write_1h, audio_input, image_input, .. } = *rates;
    input.max(cached_input).max(cache_write).max(cache_write_1h).max(audio_input).max(image_input)
}

fn dearest_output(rates: &Rates) -> u64 {
    rates.output.max(rates.reasoning).max(rates.audio_output).max(rates.image_output)
}

/// Divides the prompt. What a provider claims beyond the whole is cut off, so that no token is counted twice: the cache
/// comes first, since it decides more, then sound and images. Cached sound counts as cached; usage does not tell more.
fn input_cost(usage: &Usage, rates: &Rates) -> u128 {
    let mut left = usage.input;
    let cached = take(&mut left, usage.cached_input);
    let written = take(&mut left, usage.cache_write);
    let hourly = usage.cache_write_1h.min(written);
    let audio = take(&mut left, usage.audio_input);
    let image = take(&mut left, usage.image_input);
    product(cached, rates.cached_input)
        + product(hourly, rates.cache_write_1h)
        + product(written - hourly, rates.cache_write)
        + product(audio, rates.audio_input)
        + product(image, rates.image_input)
        + product(left, rates.input)
}

/// Divides the answer likewise: reasoning, sound, images, and what is left.
fn output_cost(usage: &Usage, rates: &Rates) -> u128 {
    let mut left = usage.output;
    let reasoning = take(&mut left, usage.reasoning);
    let audio = take(&mut left, usage.audio_output);
    let image = take(&mut left, usage.image_output);
    product(reasoning, rates.reasoning)
        + product(audio, rates.audio_output)
        + product(image, rates.image_output)
        + product(left, rates.output)
}

fn take(left: &mut u32, tokens: u32) -> u32 {
    let taken = tokens.min(*left);
    *left -= taken;
    taken
}

fn product(tokens: u32, rate: u64) -> u128 {
    u128::from(tokens) * u128::from(rate)
}

fn saturated(cost: u128) -> i64 {
    i64::try_from(cost).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(above_input_tokens: u32, input: u64, output: u64) -> PriceTier {
        let input_rates = Rates {
            input,
            cached_input: input,
            cache_write: input,
            cache_write_1h: input,
            audio_input: input,
            image_input: input,
            ..Rates::default()
        };
        let rates =
            Rates { output, reasoning: output, audio_output: output, image_output: output, ..input_rates };
        PriceTier { above_input_tokens, rates }
    }

    fn price(standard: Vec<PriceTier>) -> Price {
        Price { standard, flex: vec![], priority: vec![], batch: vec![], request: 0, factor: 100_000_000 }
    }

    fn plan(price: &Price) -> PricePlan {
        PricePlan::compile(price, "p").unwrap()
    }

    fn used(input: u32, output: u32) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    #[test]
    fn a_tier_holds_beyond_its_bound_for_the_whole_request() {
        let plan = plan(&price(vec![tier(0, 2, 3), tier(100, 5, 7)]));
        assert_eq!(plan.cost(&used(100, 1), ServiceTier::Standard), 203);
        assert_eq!(plan.cost(&used(101, 1), ServiceTier::Standard), 512);
        assert_eq!(plan.cost(&used(0, 1), ServiceTier::Standard), 3);
    }

    #[test]
    fn a_service_tier_without_prices_of_its_own_costs_the_standard_ones() {
        let plan = plan(&Price { flex: vec![tier(0, 1, 1)], ..price(vec![tier(0, 2, 2)]) });
        let costs = ServiceTier::ALL.map(|tier| plan.cost(&used(10, 10), tier));
        assert_eq!(costs, [40, 20, 40, 40]);
    }

    #[test]
    fn what_a_factor_leaves_is_rounded_half_up_and_the_most_up() {
        let with = |factor| plan(&Price { factor, ..price(vec![tier(0, 1, 0)]) });
        assert_eq!(with(50_000_000).cost(&used(3, 0), ServiceTier::Standard), 2);
        assert_eq!(with(49_000_000).cost(&used(3, 0), ServiceTier::Standard), 1);
        assert_eq!(with(49_000_000).most(3, 0), 2);
        assert_eq!(with(0).cost(&used(3, 0), ServiceTier::Standard), 0);
    }

    #[test]
    fn a_failure_without_a_token_costs_nothing() {
        let plan = plan(&Price { request: 9, ..price(vec![tier(0, 1, 1)]) });
        let charge = |usage, status| plan.charge(&usage, ServiceTier::Standard, status);
        assert_eq!(charge(used(0, 0), 200), 9);
        assert_eq!(charge(used(0, 0), 500), 0);
        assert_eq!(charge(used(5, 0), 499), 14);
    }

    #[test]
    fn what_does_not_fit_is_the_most_that_does() {
        let dear =
            Price { request: MAX_PRICE, factor: MAX_FACTOR, ..price(vec![tier(0, MAX_PRICE, MAX_PRICE)]) };
        assert_eq!(plan(&dear).cost(&used(u32::MAX, u32::MAX), ServiceTier::Standard), i64::MAX);
        assert_eq!(plan(&dear).most(u64::MAX, u64::MAX), i64::MAX);
    }

    #[test]
    fn the_most_reaches_as_far_as_the_prompt_may() {
        let plan =
            plan(&Price { priority: vec![tier(0, 4, 1)], ..price(vec![tier(0, 2, 3), tier(100, 5, 7)]) });
        assert_eq!(plan.most(100, 10), 430);
        assert_eq!(plan.most(101, 10), 505 + 70);
        assert_eq!(plan.most(0, 10), 30);
    }

    #[test]
    fn a_price_that_cannot_be_used_is_refused_with_its_place() {
        let path = |price: &Price| PricePlan::compile(price, "p").unwrap_err().path;
        assert_eq!(path(&price(vec![])), "p.standard");
        assert_eq!(path(&price(vec![tier(1, 1, 1)])), "p.standard");
        let standard = || price(vec![tier(0, 1, 1)]);
        assert_eq!(path(&Price { flex: vec![tier(0, 1, 1), tier(0, 2, 2)], ..standard() }), "p.flex");
        assert_eq!(path(&Price { batch: vec![tier(0, 1, MAX_PRICE + 1)], ..standard() }), "p.batch");
        assert_eq!(path(&Price { request: MAX_PRICE + 1, ..standard() }), "p.request");
        assert_eq!(path(&Price { factor: MAX_FACTOR + 1, ..standard() }), "p.factor");
    }
}
