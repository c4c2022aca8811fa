//! The scanner: one pass, no recursion, no allocation.

use super::string::{self, Piece, Seen};
use super::{JsonError, JsonErrorKind, MAX_DEPTH, Members, Span};

/// Validates one JSON object and returns where the values of the wanted top-level members are.
///
/// # Errors
///
/// Whatever [`JsonErrorKind`] lists, with the offset of the first offence.
#[inline]
pub fn scan_object<const N: usize>(body: &[u8], wanted: &[&str; N]) -> Result<Members<N>, JsonError> {
    scan(body, wanted, Policy::Refuse)
}

/// The same for what a provider sends, which is passed on in any case: of a member given twice the last one counts, and
/// unusual spellings are other members.
#[inline]
pub(crate) fn scan_object_lenient<const N: usize>(
    body: &[u8],
    wanted: &[&str; N],
) -> Result<Members<N>, JsonError> {
    scan(body, wanted, Policy::LastWins)
}

/// The elements of an array that was scanned as part of a larger document. Ends early where the text is no array.
pub(crate) fn elements(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut scanner = Scanner { bytes: array, at: 1, seen: Seen::default() };
    let mut open = array.first() == Some(&b'[') && scanner.next_token() != Some(b']');
    std::iter::from_fn(move || {
        scanner.next_token().filter(|_| open)?;
        let start = scanner.at;
        scanner.value().ok()?;
        let element = &array[start..scanner.at];
        open = scanner.next_token() == Some(b',');
        scanner.at += 1;
        Some(element)
    })
}

/// What to do about members that other readers may understand differently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Refuse,
    LastWins,
}

fn scan<const N: usize>(body: &[u8], wanted: &[&str; N], policy: Policy) -> Result<Members<N>, JsonError> {
    if u32::try_from(body.len()).is_err() {
        return Err(JsonError { kind: JsonErrorKind::TooLong, offset: u32::MAX as usize });
    }
    let mut scanner = Scanner { bytes: body, at: 0, seen: Seen::default() };
    match scanner.document(wanted, policy) {
        Ok(members) => scanner.check_utf8().map(|()| members),
        Err(kind) => Err(JsonError { kind, offset: scanner.at.min(body.len()) }),
    }
}

/// Offsets fit: the length was checked before the scan began.
#[expect(clippy::cast_possible_truncation, reason = "bodies over 4 GiB were refused")]
fn offset(at: usize) -> u32 {
    at as u32
}

pub(super) struct Scanner<'a> {
    pub(super) bytes: &'a [u8],
    /// Next byte to look at; on error, the offending one.
    pub(super) at: usize,
    seen: Seen,
}

impl<'a> Scanner<'a> {
    /// A scanner in the middle of a document.
    pub(super) fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, seen: Seen::default() }
    }

    fn document<const N: usize>(
        &mut self,
        wanted: &[&str; N],
        policy: Policy,
    ) -> Result<Members<N>, JsonErrorKind> {
        if self.bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(JsonErrorKind::ByteOrderMark);
        }
        match self.next_token() {
            Some(b'{') => self.at += 1,
            Some(_) => return Err(JsonErrorKind::NotAnObject),
            None => return Err(JsonErrorKind::UnexpectedEnd),
        }
        let members = self.members(wanted, policy)?;
        match self.next_token() {
            None => Ok(members),
            Some(_) => Err(JsonErrorKind::TrailingBytes),
        }
    }

    /// From just after the opening brace to just after the closing one.
    fn members<const N: usize>(
        &mut self,
        wanted: &[&str; N],
        policy: Policy,
    ) -> Result<Members<N>, JsonErrorKind> {
        let mut members = Members { values: [None; N], after_brace: offset(self.at), empty: false };
        if self.next_token() == Some(b'}') {
            self.at += 1;
            members.empty = true;
            return Ok(members);
        }
        loop {
            let index = self.member_name(wanted, &members, policy)?;
            self.next_token();
            let start = self.at;
            self.value()?;
            if let Some(index) = index {
                members.values[index] = Some(Span { start: offset(start), end: offset(self.at) });
            }
            match self.next_token() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                other => return Err(unexpected(other)),
            }
        }
        self.at += 1;
        Ok(members)
    }

    /// Reads a top-level member's name and colon; says which of the wanted it is.
    #[inline(always)]
    fn member_name<const N: usize>(
        &mut self,
        wanted: &[&str; N],
        members: &Members<N>,
        policy: Policy,
    ) -> Result<Option<usize>, JsonErrorKind> {
        self.next_token();
        let start = self.at;
        self.seen.escape = false;
        self.name()?;
        let name = &self.bytes[start + 1..self.at - 1];
        let index = wanted.iter().position(|wanted| wanted.as_bytes() == name);
        if policy == Policy::Refuse {
            let refused = match index {
                Some(index) => members.values[index].map(|_| JsonErrorKind::DuplicateMember(small(index))),
                None => ambiguity(name, self.seen.escape, wanted),
            };
            if let Some(kind) = refused {
                self.at = start;
                return Err(kind);
            }
        }
        self.colon()?;
        Ok(index)
    }

    /// Skips one value of any kind.
    ///
    /// The kinds of the open containers are the bits of one word, the innermost lowest. The loop goes down at an opening
    /// bracket and up at a closing one; between the two it is always at the first byte of a member or element.
    pub(super) fn value(&mut self) -> Result<(), JsonErrorKind> {
        let mut objects: u64 = 0;
        let mut depth = 1;
        let mut token = self.next_token();
        'element: loop {
            if objects & 1 == 1 {
                self.name()?;
                self.colon()?;
                token = self.next_token();
            }
            match token {
                Some(b'"') => self.string()?,
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return Err(JsonErrorKind::TooDeep);
                    }
                    self.at += 1;
                    depth += 1;
                    objects = objects << 1 | u64::from(open == b'{');
                    token = self.next_token();
                    if token != Some(closing(objects)) {
                        continue 'element;
                    }
                    self.at += 1;
                    depth -= 1;
                    objects >>= 1;
                }
                Some(byte) => self.scalar(byte)?,
                None => return Err(JsonErrorKind::UnexpectedEnd),
            }
            while depth > 1 {
                match self.next_token() {
                    Some(b',') => {
                        self.at += 1;
                        token = self.next_token();
                        continue 'element;
                    }
                    Some(byte) if byte == closing(objects) => {
                        self.at += 1;
                        depth -= 1;
                        objects >>= 1;
                    }
                    other => return Err(unexpected(other)),
                }
            }
            return Ok(());
        }
    }

    #[inline(always)]
    pub(super) fn scalar(&mut self, first: u8) -> Result<(), JsonErrorKind> {
        match first {
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(JsonErrorKind::UnexpectedByte),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), JsonErrorKind> {
        for expected in word {
            match self.bytes.get(self.at) {
                Some(byte) if byte == expected => self.at += 1,
                other => return Err(unexpected(other.copied())),
            }
        }
        Ok(())
    }

    pub(super) fn number(&mut self) -> Result<(), JsonErrorKind> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(JsonErrorKind::InvalidNumber);
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), JsonErrorKind> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match self.peek() {
            _ if self.at > start => Ok(()),
            Some(_) => Err(JsonErrorKind::InvalidNumber),
            None => Err(JsonErrorKind::UnexpectedEnd),
        }
    }

    /// A string at `at`, which is its opening quote.
    #[inline(always)]
    fn string(&mut self) -> Result<(), JsonErrorKind> {
        match string::skip(self.bytes, self.at + 1, &mut self.seen) {
            Ok(end) => {
                self.at = end;
                Ok(())
            }
            Err(kind) => {
                self.at = self.seen.offence;
                Err(kind)
            }
        }
    }

    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<(), JsonErrorKind> {
        match self.peek() {
            Some(b'"') => self.string(),
            other => Err(unexpected(other)),
        }
    }

    #[inline(always)]
    pub(super) fn colon(&mut self) -> Result<(), JsonErrorKind> {
        match self.next_token() {
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            other => Err(unexpected(other)),
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Moves to the next byte that is not white space, and returns it.
    #[inline(always)]
    pub(super) fn next_token(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Checks the encoding once over the whole body, and only where a string holds more than ASCII: outside strings the
    /// grammar has already refused such bytes.
    pub(super) fn check_utf8(&self) -> Result<(), JsonError> {
        if !self.seen.non_ascii {
            return Ok(());
        }
        match simdutf8::compat::from_utf8(self.bytes) {
            Ok(_) => Ok(()),
            Err(error) => Err(JsonError { kind: JsonErrorKind::InvalidUtf8, offset: error.valid_up_to() }),
        }
    }
}

/// The bracket that closes the innermost container.
#[inline(always)]
fn closing(objects: u64) -> u8 {
    if objects & 1 == 1 { b'}' } else { b']' }
}

fn unexpected(byte: Option<u8>) -> JsonErrorKind {
    byte.map_or(JsonErrorKind::UnexpectedEnd, |_| JsonErrorKind::UnexpectedByte)
}

fn small(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}

/// Whether a name that is none of the wanted could be taken for one of them by a reader that decodes escapes or ignores
/// case.
#[inline(always)]
fn ambiguity<const N: usize>(name: &[u8], escape: bool, wanted: &[&str; N]) -> Option<JsonErrorKind> {
    if escape || !name.is_ascii() {
        return unusual_ambiguity(name, wanted);
    }
    let alike = wanted.iter().position(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name));
    alike.map(|index| JsonErrorKind::AmbiguousMember(small(index)))
}

#[cold]
fn unusual_ambiguity(name: &[u8], wanted: &[&str]) -> Option<JsonErrorKind> {
    if string::pieces(name).any(|piece| piece.is_err()) {
        return Some(JsonErrorKind::LoneSurrogate);
    }
    let alike = wanted.iter().position(|wanted| folded(name).eq(wanted.bytes().map(char::from)));
    alike.map(|index| JsonErrorKind::AmbiguousMember(small(index)))
}

/// The characters of a name, in lower case as far as they could then be ASCII: there are four letters outside ASCII that
/// one case mapping or another takes into it.
fn folded(name: &[u8]) -> impl Iterator<Item = char> {
    let decoded = string::pieces(name).filter_map(Result::ok).flat_map(|piece| {
        let (plain, escaped) = match piece {
            Piece::Plain(plain) => (plain, None),
            Piece::Escaped(character) => (&[][..], Some(character)),
        };
        plain.utf8_chunks().flat_map(|chunk| chunk.valid().chars()).chain(escaped)
    });
    decoded.map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        '\u{130}' | '\u{131}' => 'i',
        other => other.to_ascii_lowercase(),
    })
}
