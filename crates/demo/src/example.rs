//! A value that fits a JSON schema, for tool arguments and structured answers. The first that fits will do.

use serde_json::{Map, Value, json};

/// Deepest nesting followed; a schema that refers to itself ends here.
const MAX_DEPTH: usize = 16;

/// An example of `schema`; strings become `word` where nothing narrower is asked.
pub(crate) fn example(schema: &Value, word: &str) -> Value {
    Builder { root: schema, word }.value(schema, 0)
}

struct Builder<'a> {
    root: &'a Value,
    word: &'a str,
}

impl Builder<'_> {
    fn value(&self, schema: &Value, depth: usize) -> Value {
        if depth > MAX_DEPTH {
            return Value::Null;
        }
        if let Some(fixed) = fixed(schema) {
            return fixed.clone();
        }
        if let Some(target) = self.alternative(schema) {
            return self.value(target, depth + 1);
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => json!(self.word),
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return json!({});
        };
        let members: Map<String, Value> =
            properties.iter().map(|(name, inner)| (name.clone(), self.value(inner, depth + 1))).collect();
        Value::Object(members)
    }

    fn array(&self, schema: &Value, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, MAX_DEPTH as u64);
        let item = schema.get("items").map_or_else(|| json!(self.word), |inner| self.value(inner, depth + 1));
        Value::Array((0..least).map(|_| item.clone()).collect())
    }

    /// The schema that this one refers to or offers first.
    fn alternative<'s>(&'s self, schema: &'s Value) -> Option<&'s Value> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.root.pointer(reference.strip_prefix('#')?);
        }
        ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema.get(*key)?.get(0))
    }
}

fn fixed(schema: &Value) -> Option<&Value> {
    schema.get("const").or_else(|| schema.get("enum")?.get(0))
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("string"),
        _ if schema.get("properties").is_some() => "object",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_fit_their_schema() {
        for (schema, expected) in [
            (json!({"type": "string"}), json!("demo")),
            (json!({"type": ["string", "null"]}), json!("demo")),
            (json!({"type": "integer", "minimum": 5}), json!(5)),
            (json!({"type": "boolean"}), json!(true)),
            (json!({"type": "null"}), json!(null)),
            (json!({"enum": ["celsius", "kelvin"]}), json!("celsius")),
            (json!({"const": 7}), json!(7)),
            (json!({"type": "object"}), json!({})),
            (json!({}), json!("demo")),
            (json!({"properties": {"a": {"type": "number"}}}), json!({"a": 1})),
            (json!({"type": "array", "items": {"type": "boolean"}, "minItems": 2}), json!([true, true])),
            (json!({"anyOf": [{"type": "number"}, {"type": "null"}]}), json!(1)),
            (json!({"$defs": {"x": {"const": "y"}}, "$ref": "#/$defs/x"}), json!("y")),
        ] {
            assert_eq!(example(&schema, "demo"), expected, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(example(&schema, "demo").get("next").is_some());
    }
}
