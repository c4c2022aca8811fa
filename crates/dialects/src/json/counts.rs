//! Numbers of an object and of the objects directly in it, in one pass: what a report of usage is made of.

use super::JsonErrorKind;
use super::scan::Scanner;

/// Calls `found` with every number in the object that begins at `at`: its name, its text, and the name of the object
/// around it where that is a member of the outer one. Everything else is skipped. Returns the offset behind the object.
pub(crate) fn walk_counts<'b>(
    bytes: &'b [u8],
    at: usize,
    found: &mut impl FnMut(&'b [u8], &'b [u8], &'b [u8]),
) -> Result<usize, JsonErrorKind> {
    let mut scanner = Scanner::at(bytes, at);
    walk(&mut scanner, b"", found)?;
    Ok(scanner.at)
}

/// `around` is the name of the member that holds the object, empty for the outer one.
fn walk<'b>(
    scanner: &mut Scanner<'b>,
    around: &'b [u8],
    found: &mut impl FnMut(&'b [u8], &'b [u8], &'b [u8]),
) -> Result<(), JsonErrorKind> {
    if scanner.next_token() != Some(b'{') {
        return Err(JsonErrorKind::NotAnObject);
    }
    scanner.at += 1;
    if scanner.next_token() == Some(b'}') {
        scanner.at += 1;
        return Ok(());
    }
    loop {
        scanner.next_token();
        let start = scanner.at;
        scanner.name()?;
        let name = &scanner.bytes[start + 1..scanner.at - 1];
        scanner.colon()?;
        match scanner.next_token() {
            Some(b'{') if around.is_empty() && !name.is_empty() => walk(scanner, name, found)?,
            Some(b'0'..=b'9' | b'-') => {
                let from = scanner.at;
                scanner.number()?;
                found(around, name, &scanner.bytes[from..scanner.at]);
            }
            _ => scanner.value()?,
        }
        match scanner.next_token() {
            Some(b',') => scanner.at += 1,
            Some(b'}') => break,
            _ => return Err(JsonErrorKind::UnexpectedByte),
        }
    }
    scanner.at += 1;
    Ok(())
}

/// Whether what follows the value that ends at `at` is the rest of the document's outermost object: further members, its
/// end, and nothing more.
pub(crate) fn closes_document(bytes: &[u8], at: usize) -> bool {
    let mut scanner = Scanner::at(bytes, at);
    loop {
        match scanner.next_token() {
            Some(b',') => scanner.at += 1,
            Some(b'}') => break,
            _ => return false,
        }
        scanner.next_token();
        if scanner.name().and_then(|()| scanner.colon()).is_err() {
            return false;
        }
        scanner.next_token();
        if scanner.value().is_err() {
            return false;
        }
    }
    scanner.at += 1;
    scanner.next_token().is_none()
}
