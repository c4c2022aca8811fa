//! Google's `Schema` as JSON Schema, which it is nearly: types are in upper case, `nullable` is a member of its own, and
//! counts may be strings.

use super::names::{count, given, which};
use crate::exchange::Raw;
use crate::json::{Kind, Out, Value};

/// Members that are not copied as they are.
const SPECIAL: [&str; 16] = [
    "type",
    "nullable",
    "format",
    "enum",
    "example",
    "propertyOrdering",
    "properties",
    "items",
    "anyOf",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "defs",
];

/// The same schema as JSON Schema.
pub(super) fn json_schema(schema: Value<'_>) -> Raw<'static> {
    let mut bytes = Vec::with_capacity(schema.raw().len() + 16);
    write(schema, &mut Out::new(&mut bytes));
    Raw::owned(bytes)
}

/// The recursion is as deep as the document, which is bounded.
fn write(schema: Value<'_>, out: &mut Out<'_>) {
    if !schema.is_object() {
        out.raw(schema.raw());
        return;
    }
    let nullable = given(schema).any(|(name, value)| name.is("nullable") && value.bool() == Some(true));
    out.begin_object();
    for (name, value) in given(schema) {
        match which(&name, &SPECIAL) {
            Some("type") => write_type(value, nullable, out),
            Some("format") if value.is("enum") => {}
            Some("enum") => write_enum(value, nullable, out),
            Some("example") => {
                out.key("examples").begin_array().raw(value.raw()).end_array();
            }
            Some("properties") => write_map("properties", value, out),
            Some("defs") => write_map("$defs", value, out),
            Some("items") => {
                out.key("items");
                write(value, out);
            }
            Some("anyOf") => write_alternatives(value, nullable, out),
            Some("nullable" | "propertyOrdering") => {}
            Some(counted) if count(value).is_some() => {
                out.field_number(counted, count(value));
            }
            _ => {
                out.key_text(&name).raw(value.raw());
            }
        }
    }
    out.end_object();
}

fn write_type(value: Value<'_>, nullable: bool, out: &mut Out<'_>) {
    let Some(text) = value.text() else {
        out.key("type").raw(value.raw());
        return;
    };
    let name = text.decode().to_ascii_lowercase();
    match (name.as_str(), nullable) {
        ("type_unspecified", _) => {}
        (name, true) if name != "null" => {
            out.key("type").begin_array().string(name).string("null").end_array();
        }
        (name, _) => {
            out.field("type", name);
        }
    }
}

fn write_enum(value: Value<'_>, nullable: bool, out: &mut Out<'_>) {
    out.key("enum").begin_array();
    let mut has_null = false;
    for element in value.elements() {
        has_null |= element.kind() == Kind::Null;
        out.raw(element.raw());
    }
    if nullable && !has_null {
        out.null();
    }
    out.end_array();
}

fn write_map(key: &str, map: Value<'_>, out: &mut Out<'_>) {
    out.key(key).begin_object();
    for (name, schema) in map.members() {
        out.key_text(&name);
        write(schema, out);
    }
    out.end_object();
}

fn write_alternatives(list: Value<'_>, nullable: bool, out: &mut Out<'_>) {
    out.key("anyOf").begin_array();
    list.elements().for_each(|schema| write(schema, out));
    if nullable {
        out.begin_object().field("type", "null").end_object();
    }
    out.end_array();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Doc;

    #[test]
    fn googles_schema_becomes_json_schema() {
        let text = br#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true,"enum":["x"],"format":"enum"},
            "n":{"type":"INTEGER","example":3},"l":{"type":"ARRAY","items":{"type":"NUMBER"},"max_items":"5"},
            "u":{"anyOf":[{"type":"STRING"}],"nullable":true}},"required":["a"],"propertyOrdering":["a"]}"#;
        let doc = Doc::parse(text).unwrap();
        let found: serde_json::Value = serde_json::from_slice(json_schema(doc.root()).as_bytes()).unwrap();
        let expected = serde_json::json!({"type":"object","properties":{
            "a":{"type":["string","null"],"enum":["x",null]},
            "n":{"type":"integer","examples":[3]},
            "l":{"type":"array","items":{"type":"number"},"maxItems":5},
            "u":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["a"]});
        assert_eq!(found, expected);
    }
}
