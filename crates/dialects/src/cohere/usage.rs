use sluice_types::Usage;

use crate::json::{self, Out};

/// Reads a `usage` object: what is billed, or else the tokens that went through the model. `cached_tokens` counts of the
/// latter and may be more than is billed; it is cut to that. `None` where nothing we know is counted.
#[must_use]
pub fn read_usage(value: &[u8]) -> Option<Usage> {
    let mut counts = [const { None::<u32> }; 5];
    let end = json::walk_counts(value, 0, &mut |around, name, number| {
        let index = match (around, name) {
            (b"billed_units", b"input_tokens") => 0,
            (b"billed_units", b"output_tokens") => 1,
            (b"tokens", b"input_tokens") => 2,
            (b"tokens", b"output_tokens") => 3,
            (b"", b"cached_tokens") => 4,
            _ => return,
        };
        // Cohere writes counts with a fraction of zero; what does not fit is the largest that does.
        counts[index] = json::as_u64(number).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    })
    .ok()?;
    let [billed_input, billed_output, input, output, cached] = counts;
    let billed = billed_input.or(billed_output).is_some();
    let (input, output) = if billed { (billed_input, billed_output) } else { (input, output) };
    if !value[end..].trim_ascii().is_empty() || input.or(output).is_none() {
        return None;
    }
    let input = input.unwrap_or_default();
    Some(Usage {
        input,
        cached_input: cached.unwrap_or_default().min(input),
        output: output.unwrap_or_default(),
        ..Usage::default()
    })
}

/// Appends a `usage` object.
pub(super) fn write_usage(usage: &Usage, out: &mut Out<'_>) {
    out.begin_object();
    for name in ["billed_units", "tokens"] {
        out.key(name).begin_object();
        out.key("input_tokens").number(usage.input.into());
        out.key("output_tokens").number(usage.output.into());
        out.end_object();
    }
    out.key("cached_tokens").number(usage.cached_input.into()).end_object();
}
