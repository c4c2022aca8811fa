//! What every stored case becomes in every other dialect, byte for byte what it was when it was last read by a person.

mod support;

use support::cases::{cases, frames};
use support::golden::Golden;
use support::rewrite::{pairs, report, rewrite, rewrite_answer, rewrite_stream};

#[test]
fn golden_files_hold_what_is_written() {
    let mut found = Vec::new();
    for ((client, to), (provider, dialect)) in pairs() {
        let provider_cases = cases(provider, dialect);
        let client_cases = cases(client, to);
        let mut names: Vec<&str> =
            client_cases.iter().chain(&provider_cases).map(|case| case.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let mut file = Golden::default();
            if let Some(case) = client_cases.iter().find(|case| case.name == name)
                && let Some(request) = &case.request
            {
                let rewritten = rewrite(case, request, provider);
                file.request(rewritten.body, rewritten.dropped);
            }
            if let Some(case) = provider_cases.iter().find(|case| case.name == name) {
                if let Some(body) = &case.answer {
                    file.answer(&rewrite_answer(provider, body, client).1);
                }
                if let Some(stream) = &case.stream {
                    file.stream(&frames(client, &rewrite_stream(provider, stream, client).1));
                }
                if let Some((status, body)) = &case.error {
                    let mut written = Vec::new();
                    client.write_error(&provider.read_error(*status, body), &mut written);
                    file.error(&written);
                }
            }
            found.extend(file.check(to, dialect, name));
        }
    }
    report(&found);
}
