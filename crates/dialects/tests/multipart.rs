//! Forms: what is found in them, and what is refused because two readers could read it differently.

mod support;

use proptest::prelude::*;
use sluice_dialects::multipart::{Boundary, FormErrorKind, MAX_PART_HEAD_BYTES, MAX_PARTS, scan_form};

const WANTED: [&str; 2] = ["model", "stream"];

fn part(head: &str, content: &str) -> String {
    format!("--b1\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
}

fn field(name: &str, value: &str) -> String {
    part(&format!("name=\"{name}\""), value)
}

fn form(parts: &[String]) -> String {
    parts.concat() + "--b1--\r\n"
}

fn boundary() -> Boundary<'static> {
    Boundary::of(b"multipart/form-data; boundary=b1").expect("a boundary")
}

fn scan(body: &str) -> Result<[Option<&str>; 2], FormErrorKind> {
    let found = scan_form(body.as_bytes(), boundary(), &WANTED).map_err(|error| error.kind)?;
    Ok(found.map(|span| span.map(|span| std::str::from_utf8(span.of(body.as_bytes())).expect("text"))))
}

#[test]
fn boundaries_as_clients_write_them() {
    let of = |text: &'static str| {
        Boundary::of(text.as_bytes()).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
    };
    let valid = [
        ("multipart/form-data; boundary=----formdata-undici-071236", "----formdata-undici-071236"),
        ("multipart/form-data;boundary=0f5c9e", "0f5c9e"),
        ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b:c/d?e\"", "a b:c/d?e"),
        ("multipart/form-data; boundary=\"----=_Part_0_1.2\"; charset=utf-8", "----=_Part_0_1.2"),
    ];
    for (content_type, expected) in valid {
        assert_eq!(of(content_type).as_deref(), Some(expected), "{content_type}");
    }
    for content_type in [
        "multipart/form-data",
        "multipart/form-data;",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a; BOUNDARY=a",
        "multipart/form-data; boundary=\"a\\\"; boundary=\"b\"",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=a\"b",
        "multipart/form-data; boundary=a;b",
        "multipart/form-data; boundary=a{b",
        "multipart/form-data, multipart/form-data; boundary=b",
        "multipart/mixed; boundary=a",
        "application/json; boundary=a",
        "",
        // 71 bytes.
        "multipart/form-data; boundary=00000000001111111111222222222233333333334444444444555555555566666666667",
    ] {
        assert_eq!(of(content_type), None, "{content_type}");
    }
}

#[test]
fn finds_fields_wherever_they_stand() {
    let file = "--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\ b; name=model.wav\"\r\n\
                Content-Type: audio/wav\r\n\r\nRIFF\r\n\0\r\n--b2\r\n--\r\n\r\n";
    let body = form(&[file.to_owned(), field("model", "whisper-1"), field("stream", "true")]);
    assert_eq!(scan(&body), Ok([Some("whisper-1"), Some("true")]));
    let body = form(&[field("model", ""), field("models", "x"), field("prompt", "name=\"model\"")]);
    assert_eq!(scan(&body), Ok([Some(""), None]));
    let typed = "--b1\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-transfer-encoding: 8bit\r\n\
                 content-disposition:form-data;name=model\r\n\r\nm\r\n";
    assert_eq!(scan(&form(&[typed.to_owned()])), Ok([Some("m"), None]));
    // The last line may lack its end.
    assert_eq!(scan(form(&[field("model", "m")]).trim_end()), Ok([Some("m"), None]));
    assert_eq!(scan("--b1--"), Ok([None, None]));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    use FormErrorKind as E;
    let model = || field("model", "m");
    let with_head = |head: &str| form(&[format!("--b1\r\n{head}\r\n\r\nm\r\n")]);
    let cases = [
        (E::DuplicateField(0), form(&[model(), model()])),
        (E::AmbiguousField(0), form(&[field("Model", "m")])),
        (E::NotText(0), form(&[part("name=\"model\"; filename=\"m\"", "m")])),
        (E::NotText(0), form(&[part("name=\"model\"; filename*=utf-8''m", "m")])),
        (
            E::NotText(0),
            with_head("Content-Disposition: form-data; name=model\r\nContent-Transfer-Encoding: base64"),
        ),
        // Names.
        (E::PartHead, form(&[part("name=\"mod\\el\"", "m")])),
        (E::PartHead, form(&[part("name=\"a\"; name=\"model\"", "m")])),
        (E::PartHead, form(&[part("name*=utf-8''model", "m")])),
        (E::PartHead, form(&[part("name=\"a\\\"; name=\"model\"", "m")])),
        (E::PartHead, form(&[part("filename=\"a\\\"; name=\"model", "m")])),
        (E::PartHead, form(&[part("filename=a", "m")])),
        (E::PartHead, form(&[part("name", "m")])),
        (E::PartHead, form(&[part("name=", "m")])),
        (E::PartHead, form(&[part("name=a\"b", "m")])),
        (E::PartHead, form(&[part("name=\"a\" x", "m")])),
        // Heads.
        (E::PartHead, with_head("Content-Type: text/plain")),
        (E::PartHead, with_head("Content-Disposition: attachment; name=model")),
        (E::PartHead, with_head("Content-Disposition: form-data")),
        (
            E::PartHead,
            with_head("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=model"),
        ),
        (E::PartHead, with_head("Content-Disposition: form-data;\r\n name=model")),
        (E::PartHead, with_head("Content-Disposition : form-data; name=model")),
        (E::PartHead, with_head("Content-Disposition: form-data; name=model\nX: y")),
        (E::PartHead, with_head("Content-Disposition: form-data; name=model\rX: y")),
        (E::PartHead, with_head("Content-Disposition: form-data; name=\"mod\0el\"")),
        (E::PartHead, form(&["--b1\r\n\r\nm\r\n".to_owned()])),
        // Delimiters.
        (E::Start, format!("\r\n{}", form(&[model()]))),
        (E::Start, format!("preamble\r\n{}", form(&[model()]))),
        (E::Start, String::new()),
        (E::Delimiter, form(&[model()]).replace("--b1\r\n", "--b1 \r\n")),
        (E::Delimiter, form(&[model()]).replace("--b1\r\n", "--b1\n")),
        (E::Delimiter, form(&[model(), field("file", "a\n--b1\r\nb")])),
        (E::Delimiter, form(&[model(), field("file", "a--b1")])),
        (E::Delimiter, form(&[model(), field("file", "a\r\n--b12")])),
        // A part without content whose delimiter follows its head at once.
        (E::Delimiter, form(&["--b1\r\nContent-Disposition: form-data; name=a\r\n\r\n".to_owned(), model()])),
        (E::UnexpectedEnd, model()),
        (E::UnexpectedEnd, "--b1".to_owned()),
        (E::UnexpectedEnd, "--b1\r\nContent-Disp".to_owned()),
        (E::UnexpectedEnd, "--b1\r\nContent-Disposition: form-data; name=a\r".to_owned()),
        (E::UnexpectedEnd, "--b1\r\nContent-Disposition: form-data; name=a\r\n\r\nmore".to_owned()),
        (E::TrailingBytes, form(&[model()]) + "x"),
        (E::TrailingBytes, form(&[model()]) + "\r\n"),
        (E::TrailingBytes, form(&[model()]) + &form(&[model()])),
        // Bounds.
        (E::PartHeadTooLong, form(&[part(&format!("name={}", "x".repeat(MAX_PART_HEAD_BYTES)), "m")])),
        (E::PartHeadTooLong, with_head(&"X-Line: y\r\n".repeat(MAX_PART_HEAD_BYTES / 10))),
        (E::TooManyParts, form(&vec![field("a", "b"); MAX_PARTS + 1])),
    ];
    for (expected, body) in cases {
        assert_eq!(scan(&body), Err(expected), "{}", &body[..body.len().min(300)]);
    }
    assert_eq!(scan(&form(&vec![field("a", "b"); MAX_PARTS])), Ok([None, None]));
}

#[test]
fn errors_say_what_and_where() {
    let body = form(&[field("model", "m"), field("model", "m")]);
    let error = scan_form(body.as_bytes(), boundary(), &WANTED).expect_err("twice");
    assert_eq!(error.to_string(), "the same field of the form is given twice (at byte 111)");
}

proptest! {
    /// Any fields with any content are found where they were put, and no cut of a form passes for a form.
    #[test]
    fn whatever_is_put_in_is_found(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
        place in 0_usize..6,
        value in "[ -~]{0,20}",
        cut in 1_usize..200,
    ) {
        prop_assume!(!value.contains("--b1"));
        let mut body = Vec::new();
        let place = place.min(contents.len());
        for (at, content) in contents.iter().enumerate() {
            prop_assume!(!content.windows(4).any(|bytes| bytes == b"--b1"));
            if at == place {
                body.extend_from_slice(field("model", &value).as_bytes());
            }
            let name = format!("file{at}");
            body.extend_from_slice(
                format!("--b1\r\nContent-Disposition: form-data; name=\"{name}\"; filename=x\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        if place == contents.len() {
            body.extend_from_slice(field("model", &value).as_bytes());
        }
        body.extend_from_slice(b"--b1--\r\n");
        let found = scan_form(&body, boundary(), &WANTED).expect("a form");
        prop_assert_eq!(found[0].expect("a model").of(&body), value.as_bytes());
        let cut = body.len().saturating_sub(cut + 2);
        prop_assert!(scan_form(&body[..cut], boundary(), &WANTED).is_err());
    }

    /// Forms that were damaged anywhere are read as a plain splitting reads them, or refused.
    #[test]
    fn damaged_forms_are_read_in_one_way(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), 0_usize..12), 0..4),
    ) {
        const PIECES: [&str; 12] =
            ["", "\r\n", "\n", "--b1", "\r\n--b1", "--", "\"", ";", "name=model", "\r\n\r\n", " ", "\\"];
        let file = part("name=\"file\"; filename=\"a;b\"", "x\r\ny");
        let mut input = format!(
            "multipart/form-data; boundary=b1\n{}",
            form(&[file, field("model", "m"), part("name=stream", "true")])
        );
        for (at, piece) in damage {
            let at = at.index(input.len());
            if piece % 3 == 0 {
                input.remove(at);
            }
            input.insert_str(at.min(input.len()), PIECES[piece]);
        }
        support::fuzz_bodies::scan_form(input.as_bytes());
    }
}
