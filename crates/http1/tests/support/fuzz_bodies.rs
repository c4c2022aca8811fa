//! What the fuzz targets do. Also replayed over the stored corpus by an ordinary test, and fed by property tests.
#![allow(dead_code, reason = "each test binary and fuzz target uses a part")]

use sluice_http1::{
    ChunkError, ChunkedDecoder, Fields, HeadError, Known, MAX_HEADERS, Parse, RequestHead, ResponseHead,
};

/// Heads: the same verdict however they are split, and what is accepted `httparse` accepts too, with the same meaning.
pub(crate) fn head(data: &[u8]) {
    request(data);
    response(data);
}

/// What was made of a head, as owned values.
type Verdict = Result<Option<Vec<(Vec<u8>, Vec<u8>)>>, HeadError>;

fn request(data: &[u8]) {
    let mut head = RequestHead::new();
    let whole = head.parse(data);
    let verdict = verdict(whole, head.fields(), data);
    if whole == Ok(Parse::Complete) {
        compare_request(data, &head);
        consistent_fields(data, head.fields());
    }
    for splits in [Splits::bytewise(), Splits::from(data)] {
        let mut split = RequestHead::new();
        let result = feed(data, splits, |buf| split.parse(buf));
        assert_eq!(self::verdict(result, split.fields(), data), verdict, "split {splits:?}");
        if result == Ok(Parse::Complete) {
            assert_eq!(
                format!("{split:?}"),
                format!("{head:?}").replace(&searched(&head), &searched(&split))
            );
        }
    }
}

/// How far a search went differs between ways to split, and nothing else.
fn searched(head: &impl std::fmt::Debug) -> String {
    let text = format!("{head:?}");
    let start = text.find("searched: ").expect("a field of the position");
    text[start..].split([' ', '}']).take(2).collect::<Vec<_>>().join(" ")
}

fn response(data: &[u8]) {
    for request_was_head in [false, true] {
        let mut head = ResponseHead::new();
        let whole = head.parse(data, request_was_head);
        let verdict = verdict(whole, head.fields(), data);
        if whole == Ok(Parse::Complete) {
            compare_response(data, &head);
            consistent_fields(data, head.fields());
        }
        for splits in [Splits::bytewise(), Splits::from(data)] {
            let mut split = ResponseHead::new();
            let result = feed(data, splits, |buf| split.parse(buf, request_was_head));
            assert_eq!(self::verdict(result, split.fields(), data), verdict, "split {splits:?}");
        }
    }
}

fn verdict(result: Result<Parse, HeadError>, fields: &Fields, data: &[u8]) -> Verdict {
    match result? {
        Parse::Partial => Ok(None),
        Parse::Complete => {
            Ok(Some(fields.iter(data).map(|field| (field.name.to_vec(), field.value.to_vec())).collect()))
        }
    }
}

fn compare_request(data: &[u8], head: &RequestHead) {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut other = httparse::Request::new(&mut fields);
    assert_eq!(other.parse(data), Ok(httparse::Status::Complete(head.head_len)));
    assert_eq!(other.method, Some(head.method_name(data)));
    assert_eq!(other.version, Some(head.minor_version));
    let target = other.path.expect("a target");
    let path_and_query = match head.query(data) {
        Some(query) => format!("{}?{query}", head.path(data)),
        None => head.path(data).to_owned(),
    };
    let pathless = path_and_query.strip_prefix('/').unwrap_or(&path_and_query);
    assert!(target.ends_with(&path_and_query) || target.ends_with(pathless), "{target} {path_and_query}");
    compare_fields(data, head.fields(), other.headers);
}

fn compare_response(data: &[u8], head: &ResponseHead) {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut other = httparse::Response::new(&mut fields);
    assert_eq!(other.parse(data), Ok(httparse::Status::Complete(head.head_len)));
    assert_eq!(other.code, Some(head.status));
    assert_eq!(other.version, Some(head.minor_version));
    compare_fields(data, head.fields(), other.headers);
}

fn compare_fields(data: &[u8], fields: &Fields, others: &[httparse::Header<'_>]) {
    assert_eq!(fields.len(), others.len());
    for (field, other) in fields.iter(data).zip(others) {
        assert_eq!((field.name, field.value), (other.name.as_bytes(), other.value));
    }
}

/// The ways to ask for a field agree with the plain list of them.
fn consistent_fields(data: &[u8], fields: &Fields) {
    for field in fields.iter(data) {
        assert_eq!(field.known, Known::from_name(field.name));
        assert_eq!(
            field.known.map(Known::name),
            Known::ALL
                .iter()
                .map(|known| known.name())
                .find(|name| { name.as_bytes().eq_ignore_ascii_case(field.name) })
        );
    }
    for &known in Known::ALL {
        let values: Vec<_> =
            fields.iter(data).filter(|field| field.known == Some(known)).map(|field| field.value).collect();
        assert_eq!(fields.count(known), values.len());
        assert_eq!(fields.get(data, known), values.first().copied());
        assert!(fields.all(data, known).eq(values));
    }
    assert!(fields.end_to_end(data).count() <= fields.len());
}

/// Sizes of the pieces in which data arrives.
#[derive(Clone, Copy, Debug)]
struct Splits {
    seed: u64,
    largest: usize,
}

impl Splits {
    fn bytewise() -> Self {
        Self { seed: 0, largest: 1 }
    }

    /// Sizes that depend on the data, so that a fuzzer can steer them.
    fn from(data: &[u8]) -> Self {
        let seed = data
            .iter()
            .fold(data.len() as u64, |hash, &byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self { seed, largest: 2 + usize::try_from(seed % 130).expect("a small number") }
    }

    fn next(&mut self) -> usize {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + usize::try_from(self.seed >> 33).expect("31 bits") % self.largest
    }
}

/// Gives ever longer beginnings of `data` to a parser until it is done with it.
fn feed(
    data: &[u8],
    mut splits: Splits,
    mut parse: impl FnMut(&[u8]) -> Result<Parse, HeadError>,
) -> Result<Parse, HeadError> {
    let mut len = 0;
    while len < data.len() {
        len = (len + splits.next()).min(data.len());
        let result = parse(&data[..len]);
        if result != Ok(Parse::Partial) {
            return result;
        }
    }
    Ok(Parse::Partial)
}

/// Chunked bodies: the same payload and end however they are split, and those of a plain reading of the grammar.
pub(crate) fn chunked(data: &[u8]) {
    let whole = decode_in_pieces(data, Splits { seed: 0, largest: usize::MAX });
    for splits in [Splits::bytewise(), Splits::from(data)] {
        assert_eq!(decode_in_pieces(data, splits), whole, "split {splits:?}");
    }
    match (whole, reference(data)) {
        (Ok((payload, Some(end))), Reference::Whole { payload: expected, end: expected_end }) => {
            assert_eq!((payload, end), (expected, expected_end));
        }
        (Ok((_, None)), Reference::Open) => {}
        (Err(_), Reference::Broken) => {}
        (
            Err(ChunkError::ExtensionsTooLong | ChunkError::TrailersTooLong | ChunkError::ChunksTooSmall),
            _,
        ) => {}
        (found, expected) => panic!("decoder {found:?}, reference {expected:?}"),
    }
}

/// The payload, and where the body ended if it did.
fn decode_in_pieces(data: &[u8], mut splits: Splits) -> Result<(Vec<u8>, Option<usize>), ChunkError> {
    let mut decoder = ChunkedDecoder::new();
    let (mut payload, mut at) = (Vec::new(), 0);
    while at < data.len() && !decoder.is_done() {
        let len = splits.next().min(data.len() - at);
        let mut buf = data[at..at + len].to_vec();
        let decoded = decoder.decode(&mut buf)?;
        assert!(decoded.done || decoded.consumed == len);
        assert_eq!(decoded.done, decoder.is_done());
        payload.extend_from_slice(&buf[..decoded.produced]);
        at += decoded.consumed;
    }
    assert_eq!(decoder.payload_bytes(), payload.len() as u64);
    Ok((payload, decoder.is_done().then_some(at)))
}

#[derive(Debug)]
enum Reference {
    Whole { payload: Vec<u8>, end: usize },
    Open,
    Broken,
}

/// Reads the whole body at once, line by line.
fn reference(data: &[u8]) -> Reference {
    let (mut payload, mut at) = (Vec::new(), 0);
    loop {
        let size = match line(data, &mut at, is_chunk_line) {
            Line::Whole(line) => chunk_size(line),
            Line::Open => return Reference::Open,
            Line::Broken => return Reference::Broken,
        };
        if size == 0 {
            return reference_trailers(data, at, payload);
        }
        let left = (data.len() - at) as u64;
        let len = usize::try_from(size.min(left)).expect("a length of data");
        payload.extend_from_slice(&data[at..at + len]);
        at += len;
        match &data[at..] {
            [b'\r', b'\n', ..] if size <= left => at += 2,
            [] | [b'\r'] => return Reference::Open,
            _ => return Reference::Broken,
        }
    }
}

fn reference_trailers(data: &[u8], mut at: usize, payload: Vec<u8>) -> Reference {
    loop {
        match line(data, &mut at, is_trailer) {
            Line::Whole([]) => return Reference::Whole { payload, end: at },
            Line::Whole(_) => {}
            Line::Open => return Reference::Open,
            Line::Broken => return Reference::Broken,
        }
    }
}

enum Line<'d> {
    Whole(&'d [u8]),
    /// What there is can become a line.
    Open,
    Broken,
}

/// Takes a line of which every beginning satisfies `is_beginning(line, false)` and the whole `is_beginning(line, true)`.
fn line<'d>(data: &'d [u8], at: &mut usize, is_beginning: fn(&[u8], bool) -> bool) -> Line<'d> {
    let rest = &data[*at..];
    let len = rest.iter().position(|&byte| byte == b'\r').unwrap_or(rest.len());
    let line = &rest[..len];
    if !is_beginning(line, len < rest.len()) {
        return Line::Broken;
    }
    match &rest[len..] {
        [] | [_] => Line::Open,
        [_, b'\n', ..] => {
            *at += len + 2;
            Line::Whole(line)
        }
        _ => Line::Broken,
    }
}

fn is_chunk_line(line: &[u8], whole: bool) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let extension = &line[digits..];
    let visible = |byte: &u8| *byte == b'\t' || (0x20..0x7f).contains(byte);
    digits <= 16
        && (digits > 0 || (!whole && line.is_empty()))
        && (extension.is_empty() || extension.starts_with(b";"))
        && extension.iter().all(visible)
}

fn chunk_size(line: &[u8]) -> u64 {
    let digits = line.split(|&byte| byte == b';').next().expect("a split has a first part");
    u64::from_str_radix(std::str::from_utf8(digits).expect("digits"), 16).expect("at most sixteen digits")
}

/// A trailer by the rules of a header line.
fn is_trailer(line: &[u8], whole: bool) -> bool {
    if line.is_empty() {
        return true;
    }
    let is_token = |bytes: &[u8]| {
        bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
    };
    let in_value = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
    match line.iter().position(|&byte| byte == b':') {
        Some(colon) => colon > 0 && is_token(&line[..colon]) && line[colon + 1..].iter().all(in_value),
        None => !whole && is_token(line),
    }
}
