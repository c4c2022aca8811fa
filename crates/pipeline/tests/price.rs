//! Costs against those that TypeScript computes, and the most against every cost.

use proptest::prelude::*;
use serde_json::Value;
use sluice_pipeline::PricePlan;
use sluice_types::{Price, PriceTier, Rates, ServiceTier, Usage};

/// Written by `ts/test/prices/same-in-rust.test.ts`, which fails where it is not current.
const EXAMPLES: &str = include_str!("data/prices.json");

fn usage_of(counts: [u32; 10]) -> Usage {
    let [input, cached_input, cache_write, cache_write_1h, audio_input, image_input, ..] = counts;
    let [.., output, reasoning, audio_output, image_output] = counts;
    Usage {
        input,
        cached_input,
        cache_write,
        cache_write_1h,
        audio_input,
        image_input,
        output,
        reasoning,
        audio_output,
        image_output,
        ..Usage::default()
    }
}

#[test]
fn check_92_costs_are_those_of_the_published_arithmetic() {
    let examples: Vec<Value> = serde_json::from_str(EXAMPLES).unwrap();
    let by_hand = examples.iter().filter(|one| !one["name"].as_str().unwrap().starts_with("made up"));
    assert!(by_hand.count() >= 60);
    for example in &examples {
        let price: Price = serde_json::from_value(example["price"].clone()).unwrap();
        let usage = usage_of(serde_json::from_value(example["usage"].clone()).unwrap());
        let tier = ServiceTier::ALL[usize::try_from(example["service_tier"].as_u64().unwrap()).unwrap()];
        let plan = PricePlan::compile(&price, "price").unwrap();
        let expected: i64 = example["cost"].as_str().unwrap().parse().unwrap();
        assert_eq!(plan.cost(&usage, tier), expected, "{}", example["name"]);
        assert!(expected <= plan.most(usage.input.into(), usage.output.into()), "{}", example["name"]);
    }
}

fn rates() -> impl Strategy<Value = Rates> {
    prop_oneof![prop::array::uniform10(0u64..=10_000_000_000), prop::array::uniform10(0u64..=1 << 53)]
        .prop_map(|each| {
            let [input, cached_input, cache_write, cache_write_1h, audio_input, image_input, ..] = each;
            let [.., output, reasoning, audio_output, image_output] = each;
            Rates {
                input,
                cached_input,
                cache_write,
                cache_write_1h,
                audio_input,
                image_input,
                output,
                reasoning,
                audio_output,
                image_output,
            }
        })
}

fn tiers(least: usize) -> impl Strategy<Value = Vec<PriceTier>> {
    prop::collection::btree_map(1u32..400_000, rates(), least..4).prop_map(|tiers| {
        let above = |at: usize, bound: u32| if at == 0 { 0 } else { bound };
        let tier = |(at, (bound, rates))| PriceTier { above_input_tokens: above(at, bound), rates };
        tiers.into_iter().enumerate().map(tier).collect()
    })
}

fn prices() -> impl Strategy<Value = Price> {
    let factor = prop_oneof![Just(100_000_000u64), 0u64..300_000_000, 0u64..=1_000_000_000_000];
    (tiers(1), tiers(0), tiers(0), tiers(0), 0u64..=1 << 53, factor).prop_map(
        |(standard, flex, priority, batch, request, factor)| Price {
            standard,
            flex,
            priority,
            batch,
            request,
            factor,
        },
    )
}

fn tokens() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..6, 0u32..500_000, any::<u32>()]
}

proptest! {
    #[test]
    fn no_request_costs_more_than_the_most(
        price in prices(),
        counts in prop::array::uniform10(tokens()),
        spare in (0u64..1_000_000, 0u64..1_000_000),
    ) {
        let plan = PricePlan::compile(&price, "price").unwrap();
        let usage = usage_of(counts);
        let most = plan.most(u64::from(usage.input) + spare.0, u64::from(usage.output) + spare.1);
        for tier in ServiceTier::ALL {
            let cost = plan.cost(&usage, tier);
            prop_assert!((0..=most).contains(&cost), "{cost} of at most {most}");
        }
    }

    #[test]
    fn the_most_of_one_kind_is_what_it_costs(input in any::<u32>(), output in any::<u32>(), rates in rates()) {
        // All kinds at one rate, so that nothing is left to chance.
        let [i, o] = [rates.input, rates.output];
        let flat = Rates {
            input: i, cached_input: i, cache_write: i, cache_write_1h: i, audio_input: i, image_input: i,
            output: o, reasoning: o, audio_output: o, image_output: o,
        };
        let standard = vec![PriceTier { above_input_tokens: 0, rates: flat }];
        let price = Price { standard, flex: vec![], priority: vec![], batch: vec![], request: 7, factor: 100_000_000 };
        let plan = PricePlan::compile(&price, "price").unwrap();
        let usage = Usage { input, output, ..Usage::default() };
        prop_assert_eq!(plan.cost(&usage, ServiceTier::Standard), plan.most(input.into(), output.into()));
    }
}
