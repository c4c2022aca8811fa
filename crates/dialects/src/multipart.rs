//! Forms: `multipart/form-data` bodies, of which a few fields are read and nothing is written anew (RFC 7578, RFC 2046).
//!
//! A body is walked from delimiter to delimiter; what a file holds is searched for the next delimiter and else not looked at.
//! As with JSON, two readers that disagree about a form are a security bug: what could be read in two ways is refused. That
//! is stricter than the RFCs, which allow text around the parts, blanks behind a delimiter and folded lines; no client sends
//! them.

use std::fmt;

use memchr::memmem::Finder;

use crate::json::Span;

mod header;

use header::{Disposition, disposition};

/// Longest boundary, in bytes (RFC 2046, 5.1.1).
const MAX_BOUNDARY_BYTES: usize = 70;

/// Most parts of one form. The largest call of any API, an edit of 16 images with a mask, has about 30.
pub const MAX_PARTS: usize = 256;

/// Longest head of one part, in bytes. It holds a file's name and little else.
pub const MAX_PART_HEAD_BYTES: usize = 8 << 10;

/// The string that separates the parts of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary<'a>(&'a [u8]);

impl<'a> Boundary<'a> {
    /// Takes the boundary out of a content type; `None` where it is no `multipart/form-data` or has no boundary, two, or one
    /// with characters that no boundary may have.
    #[must_use]
    pub fn of(content_type: &'a [u8]) -> Option<Self> {
        let end = content_type.iter().position(|byte| *byte == b';')?;
        if !content_type[..end].trim_ascii().eq_ignore_ascii_case(b"multipart/form-data") {
            return None;
        }
        let mut found = None;
        let mut rest = &content_type[end..];
        while let Some((parameter, after)) = header::parameter(rest)? {
            if parameter.name.eq_ignore_ascii_case(b"boundary") {
                let valid = is_boundary(parameter.value) && found.is_none();
                found = Some(valid.then_some(Self(parameter.value))?);
            }
            rest = after;
        }
        found
    }

    /// Its bytes, without the hyphens in front of it.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// RFC 2046, 5.1.1: letters, digits and some signs, with blanks between but not at the end.
fn is_boundary(value: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    (1..=MAX_BOUNDARY_BYTES).contains(&value.len()) && value.iter().all(allowed) && !value.ends_with(b" ")
}

/// Why a form was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormErrorKind {
    /// It does not begin with its boundary.
    Start,
    /// It ends before its closing delimiter.
    UnexpectedEnd,
    /// The boundary stands where it is no delimiter: not at the beginning of a line, or with something other than a line end
    /// or its closing hyphens behind it.
    Delimiter,
    /// Something follows the closing delimiter.
    TrailingBytes,
    /// The head of a part breaks the grammar, or can be read in two ways.
    PartHead,
    /// The head of a part is longer than [`MAX_PART_HEAD_BYTES`].
    PartHeadTooLong,
    /// More than [`MAX_PARTS`].
    TooManyParts,
    /// A wanted field (its index) is there twice.
    DuplicateField(u8),
    /// The name of a wanted field (its index) is spelled in another case, so that another reader may or may not take it for
    /// that field.
    AmbiguousField(u8),
    /// A wanted field (its index) is a file, or encoded.
    NotText(u8),
    /// Too long for 32-bit offsets.
    TooLong,
}

/// Why a form was refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormError {
    /// What is wrong.
    pub kind: FormErrorKind,
    /// Byte offset of it in the body.
    pub offset: usize,
}

impl FormErrorKind {
    fn sentence(self) -> &'static str {
        match self {
            Self::Start => "the form does not begin with the boundary that its content type names",
            Self::UnexpectedEnd => "the form ends before it is complete",
            Self::Delimiter => "the boundary of the form stands where it separates no parts",
            Self::TrailingBytes => "unexpected characters after the form",
            Self::PartHead => "the head of a part of the form is malformed",
            Self::PartHeadTooLong => "the head of a part of the form is too long",
            Self::TooManyParts => "the form has too many parts",
            Self::DuplicateField(_) => "the same field of the form is given twice",
            Self::AmbiguousField(_) => "a known field of the form is spelled in another case",
            Self::NotText(_) => "a field of the form that must be plain text is a file or encoded",
            Self::TooLong => "the form is too long",
        }
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind.sentence(), self.offset)
    }
}

impl std::error::Error for FormError {}

/// Validates the framing of a form and returns where the values of the wanted fields are. Does not allocate.
///
/// # Errors
///
/// Whatever [`FormErrorKind`] lists, with the offset of the first offence.
pub fn scan_form<const N: usize>(
    body: &[u8],
    boundary: Boundary<'_>,
    wanted: &[&str; N],
) -> Result<[Option<Span>; N], FormError> {
    let mut form = Form { body, at: 0, values: [None; N] };
    if u32::try_from(body.len()).is_err() {
        return Err(FormError { kind: FormErrorKind::TooLong, offset: u32::MAX as usize });
    }
    match form.read(boundary, wanted) {
        Ok(()) => Ok(form.values),
        Err(kind) => Err(FormError { kind, offset: form.at.min(body.len()) }),
    }
}

struct Form<'a, const N: usize> {
    body: &'a [u8],
    /// Next byte to look at; on error, the offending one.
    at: usize,
    values: [Option<Span>; N],
}

/// What follows a delimiter.
enum Behind {
    Part,
    End,
}

impl<const N: usize> Form<'_, N> {
    fn read(&mut self, boundary: Boundary<'_>, wanted: &[&str; N]) -> Result<(), FormErrorKind> {
        let mut delimiter = [b'-'; 2 + MAX_BOUNDARY_BYTES];
        let delimiter = &mut delimiter[..2 + boundary.0.len()];
        delimiter[2..].copy_from_slice(boundary.0);
        let finder = Finder::new(delimiter);
        if !self.body.starts_with(delimiter) {
            return Err(FormErrorKind::Start);
        }
        self.at = delimiter.len();
        for _ in 0..=MAX_PARTS {
            match self.behind_delimiter()? {
                Behind::End => return self.end(),
                Behind::Part => self.part(&finder, wanted)?,
            }
        }
        Err(FormErrorKind::TooManyParts)
    }

    fn behind_delimiter(&mut self) -> Result<Behind, FormErrorKind> {
        let found = match self.body.get(self.at..self.at + 2) {
            Some(b"\r\n") => Behind::Part,
            Some(b"--") => Behind::End,
            Some(_) => return Err(FormErrorKind::Delimiter),
            None => return Err(FormErrorKind::UnexpectedEnd),
        };
        self.at += 2;
        Ok(found)
    }

    /// The last line may or may not have an end.
    fn end(&mut self) -> Result<(), FormErrorKind> {
        match &self.body[self.at..] {
            b"" | b"\r\n" => Ok(()),
            _ => Err(FormErrorKind::TrailingBytes),
        }
    }

    /// From the first line of a part's head to behind the delimiter that ends the part.
    fn part(&mut self, finder: &Finder<'_>, wanted: &[&str; N]) -> Result<(), FormErrorKind> {
        let head = self.at;
        let field = disposition(self.body, &mut self.at)?;
        let start = self.at;
        // A reader that splits at boundaries first would find another part in the middle of the head.
        if let Some(within) = finder.find(&self.body[head..start]) {
            self.at = head + within;
            return Err(FormErrorKind::Delimiter);
        }
        let len = finder.find(&self.body[start..]).ok_or(FormErrorKind::UnexpectedEnd)?;
        // Readers differ in whether a delimiter may follow a bare line feed, or share its line end with a part's head. A
        // boundary is made up so that it stands nowhere but in delimiters, so one that stands elsewhere is no accident.
        let Some(end) =
            self.body[start..start + len].strip_suffix(b"\r\n").map(|content| start + content.len())
        else {
            self.at = start + len;
            return Err(FormErrorKind::Delimiter);
        };
        self.take(&field, start, end, wanted)?;
        self.at = start + len + finder.needle().len();
        Ok(())
    }

    /// Keeps the value of a wanted field.
    fn take(
        &mut self,
        field: &Disposition<'_>,
        start: usize,
        end: usize,
        wanted: &[&str; N],
    ) -> Result<(), FormErrorKind> {
        for ((index, name), value) in (0..).zip(wanted).zip(&mut self.values) {
            if !field.name.eq_ignore_ascii_case(name.as_bytes()) {
                continue;
            }
            if field.name != name.as_bytes() {
                return Err(FormErrorKind::AmbiguousField(index));
            }
            if !field.is_text {
                return Err(FormErrorKind::NotText(index));
            }
            if value.replace(span(start, end)).is_some() {
                return Err(FormErrorKind::DuplicateField(index));
            }
        }
        Ok(())
    }
}

/// Offsets fit: the length was checked before the scan began.
#[expect(clippy::cast_possible_truncation, reason = "bodies over 4 GiB were refused")]
fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}
