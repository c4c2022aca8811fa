//! Recorded traffic of providers. It belongs to others and lies next to a developer's checkout, not in it.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of recordings: `shared/fixtures` beside the checkout, or further up. `None`, with the reason printed, where
/// there is none.
pub(crate) fn fixtures() -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found =
        manifest.ancestors().map(|folder| folder.join("shared/fixtures")).find(|folder| folder.is_dir());
    if found.is_none() {
        report("skipped: no shared/fixtures with recorded traffic beside the checkout");
    }
    found
}

/// Says something to whoever runs the tests.
#[expect(clippy::print_stderr, reason = "a test that is skipped must say so")]
pub(crate) fn report(text: &str) {
    eprintln!("{text}");
}

/// One file of the collection of oddities; `None`, with the reason printed, where it is absent.
pub(crate) fn oddity(name: &str) -> Option<Vec<u8>> {
    let path = fixtures()?.join("oddities").join(name);
    let read = fs::read(&path);
    if let Err(error) = &read {
        report(&format!("skipped: {}: {error}", path.display()));
    }
    read.ok()
}

/// The files of a folder with one of the extensions, in order.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|path| {
        path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
    });
    files.sort();
    files
}

/// One recorded request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) path: String,
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) response: String,
    /// Lengths of both bodies as they were when recorded.
    pub(crate) lengths: Vec<usize>,
}

/// Reads a go-vcr cassette of one exchange: just as much YAML as it takes.
pub(crate) fn cassette(path: &Path) -> Exchange {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let scalars = scalars(&text);
    let all = |key: &'static str| {
        scalars.iter().filter(move |(found, _)| *found == key).map(|(_, value)| value.clone())
    };
    let mut bodies = all("body");
    Exchange {
        path: all("url").next().expect("a URL").split_once(".com").expect("a host").1.to_owned(),
        request: bodies.next().expect("a request body"),
        status: all("code").next().expect("a status").parse().expect("a number"),
        response: bodies.next().expect("a response body"),
        lengths: all("content_length").map(|length| length.parse().expect("a number")).collect(),
    }
}

/// The keys with a scalar value, and the values.
fn scalars(text: &str) -> Vec<(&str, String)> {
    let lines: Vec<&str> = text.split('\n').collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let line = lines[at].trim_start_matches(['-', ' ']);
        at += 1;
        let Some((key, value)) = line.split_once(": ") else { continue };
        let value = match value.trim() {
            style if style.starts_with('|') => {
                let (block, len) = block_scalar(&lines[at..], style);
                at += len;
                block
            }
            quoted if quoted.starts_with('"') => serde_json::from_str(quoted).expect("a one-line string"),
            plain => plain.trim_matches('\'').to_owned(),
        };
        found.push((key, value));
    }
    found
}

/// The text of a block, and how many lines it takes.
fn block_scalar(lines: &[&str], style: &str) -> (String, usize) {
    let indent_of = |line: &str| line.len() - line.trim_start().len();
    let indent = indent_of(lines[0]);
    let belongs = |line: &&&str| line.trim().is_empty() || indent_of(line) >= indent;
    let block: Vec<&str> =
        lines.iter().take_while(belongs).map(|line| line.get(indent..).unwrap_or_default()).collect();
    let text = block.join("\n");
    let trimmed = text.trim_end_matches('\n');
    let text = match style {
        "|+" => text + "\n",
        "|-" => trimmed.to_owned(),
        _ => trimmed.to_owned() + "\n",
    };
    (text, block.len())
}
