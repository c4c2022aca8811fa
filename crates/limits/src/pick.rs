//! Weighted choice.

/// Choices that an exclusion mask can name. A longer list is a mistake of whoever compiled it; the ones beyond are never
/// chosen, since they could not be excluded after they have failed.
pub const MAX_CHOICES: usize = 64;

/// Chooses an index with a probability proportional to its weight, among those whose bit in `excluded` is clear.
/// `random` is any 64 random bits. `None` when nothing is left: all are excluded or have weight 0.
#[must_use]
#[inline]
pub fn pick_weighted(
    weights: impl Iterator<Item = u32> + Clone,
    excluded: u64,
    random: u64,
) -> Option<usize> {
    let choices = weights.take(MAX_CHOICES).enumerate().map(|(i, weight)| (i, share(weight, excluded, i)));
    let total: u64 = choices.clone().map(|(_, share)| share).sum();
    let mut left = scale(random, total);
    for (i, share) in choices {
        if left < share {
            return Some(i);
        }
        left -= share;
    }
    None
}

/// The weight of a choice, which is 0 when it is excluded. Without a branch: which ones are is not to be predicted.
#[inline]
fn share(weight: u32, excluded: u64, i: usize) -> u64 {
    u64::from(weight) * ((!excluded >> i) & 1)
}

/// Maps 64 random bits evenly to `0..total` (0 for a total of 0) by multiplication, which unlike a remainder favours no
/// small number by more than one part in 2^32.
fn scale(random: u64, total: u64) -> u64 {
    ((u128::from(random) * u128::from(total)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        const HALF: u64 = 1 << 63;
        let cases: &[(&[u32], u64, u64, Option<usize>)] = &[
            (&[], 0, 0, None),
            (&[0], 0, 0, None),
            (&[0, 0], 0, u64::MAX, None),
            (&[5], 0, u64::MAX, Some(0)),
            (&[5], 1, 7, None),
            (&[1, 1], 0, 0, Some(0)),
            (&[1, 1], 0, HALF - 1, Some(0)),
            (&[1, 1], 0, HALF, Some(1)),
            (&[0, 1], 0, 0, Some(1)),
            (&[1, 0], 0, u64::MAX, Some(0)),
            (&[1, 1, 1], 0b010, HALF, Some(2)),
            (&[3, 1], 0b01, 0, Some(1)),
            (&[u32::MAX, u32::MAX], 0, u64::MAX, Some(1)),
            (&[1, 1], u64::MAX, 1, None),
        ];
        for &(weights, excluded, random, expected) in cases {
            let chosen = pick_weighted(weights.iter().copied(), excluded, random);
            assert_eq!(chosen, expected, "{weights:?} {excluded:b} {random}");
        }
    }

    #[test]
    fn what_a_mask_cannot_name_is_never_chosen() {
        let weights = || (0..100).map(|i| u32::from(i >= 64));
        assert_eq!(pick_weighted(weights(), 0, 12345), None);
    }

    #[test]
    fn shares_follow_the_weights() {
        const DRAWS: u64 = 10_000;
        let mut hits = [0u64; 4];
        for i in 0..DRAWS {
            let random = i * (u64::MAX / DRAWS);
            let chosen = pick_weighted([10, 0, 30, 60].into_iter(), 0, random).expect("there is weight");
            hits[chosen] += 1;
        }
        for (hits, share) in hits.into_iter().zip([1_000, 0, 3_000, 6_000]) {
            assert!(hits.abs_diff(share) <= 2, "{hits} of {share}");
        }
    }
}
