//! JSON Schema for Google: the subset where it can say the same, the schema as it is where it cannot.

use serde_json::{Value, json};
use sluice_dialects::exchange::{ChatRequest, Dropped, Message, Part, PartKind, Raw, Role, Text, Tool};
use sluice_dialects::gemini::write_request;
use sluice_dialects::wire::{Quirks, Target};

/// The declaration of a function with this schema.
fn declared(schema: &Value) -> Value {
    let tool = Tool {
        name: Text::literal("f"),
        description: None,
        schema: Some(Raw::owned(schema.to_string().into_bytes())),
        strict: None,
        custom: false,
        cache: None,
    };
    let message =
        Message { role: Role::User, parts: vec![Part::from(PartKind::Text(Text::literal("x")))], name: None };
    let request = ChatRequest { messages: vec![message], tools: vec![tool], ..ChatRequest::default() };
    let target = Target { model: "m", quirks: Quirks::NONE, default_max_tokens: 1 };
    let mut out = Vec::new();
    write_request(&request, &target, &mut Dropped::default(), &mut out).expect("a request");
    let value: Value = serde_json::from_slice(&out)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)));
    value["tools"][0]["functionDeclarations"][0].clone()
}

/// The rewritten schema of one property.
fn property(schema: &Value) -> Value {
    let root = json!({"type":"object","properties":{"p":schema}});
    declared(&root)["parameters"]["properties"]["p"].clone()
}

/// Asserts that the schema goes as it is.
fn stays(schema: &Value) {
    let root = json!({"type":"object","properties":{"p":schema}});
    assert_eq!(declared(&root), json!({"name":"f","parametersJsonSchema":root}));
}

#[test]
fn trap_38_unsupported_keywords_are_dropped() {
    let schema = json!({"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"x","title":"T",
        "description":"D","type":"object","additionalProperties":false,"patternProperties":{},
        "properties":{"s":{"type":"string","format":"uri","minLength":1,"maxLength":5,"pattern":"^a","not":{}},
            "d":{"type":"string","format":"date-time","default":"x"},
            "n":{"type":"number","exclusiveMinimum":0,"minimum":1,"maximum":5,"multipleOf":2}},
        "required":["s","gone"],"if":{},"then":{}});
    let expected = json!({"title":"T","description":"D","type":"OBJECT",
        "properties":{"s":{"type":"STRING","minLength":1,"maxLength":5,"pattern":"^a"},
            "d":{"type":"STRING","format":"date-time","default":"x"},
            "n":{"type":"NUMBER","minimum":1,"maximum":5}},
        "required":["s"]});
    assert_eq!(declared(&schema), json!({"name":"f","parameters":expected}));
}

#[test]
fn trap_39_references_are_inlined() {
    let schema = json!({"type":"object","$defs":{"A":{"type":"object","properties":{"x":{"$ref":"#/$defs/a~1b"}}},
        "a/b":{"type":"integer","format":"int32","description":"inner"}},
        "properties":{"one":{"$ref":"#/$defs/A","description":"outer"},"two":{"allOf":[{"$ref":"#/$defs/A"}]}}});
    let a =
        json!({"type":"OBJECT","properties":{"x":{"type":"INTEGER","format":"int32","description":"inner"}}});
    let mut described = a.clone();
    described["description"] = json!("outer");
    let expected = json!({"type":"OBJECT","properties":{"one":described,"two":a}});
    assert_eq!(declared(&schema)["parameters"], expected);
}

#[test]
fn trap_39_recursion_goes_as_it_is() {
    let schema = json!({"type":"object","properties":{"tree":{"$ref":"#/definitions/Node"}},
        "definitions":{"Node":{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#/definitions/Node"}}}}}});
    assert_eq!(declared(&schema), json!({"name":"f","parametersJsonSchema":schema}));
    let whole = json!({"type":"object","properties":{"self":{"$ref":"#"}}});
    assert_eq!(declared(&whole)["parametersJsonSchema"], whole);
    stays(&json!({"$ref":"#/$defs/nowhere"}));
    stays(&json!({"$ref":"https://elsewhere.test/schema"}));
}

#[test]
fn trap_39_references_do_not_blow_up() {
    let mut defs = serde_json::Map::new();
    for level in 0..20 {
        let next = json!({"$ref":format!("#/$defs/l{}", level + 1)});
        defs.insert(format!("l{level}"), json!({"type":"object","properties":{"a":next,"b":next,"c":next}}));
    }
    defs.insert("l20".to_owned(), json!({"type":"string"}));
    let schema = json!({"type":"object","properties":{"p":{"$ref":"#/$defs/l0"}},"$defs":defs});
    assert_eq!(declared(&schema)["parametersJsonSchema"], schema);
}

#[test]
fn trap_40_unions_with_null_are_nullable() {
    assert_eq!(property(&json!({"type":["string","null"]})), json!({"nullable":true,"type":"STRING"}));
    let union = json!({"anyOf":[{"type":"integer"},{"type":"null"}],"description":"D","default":null});
    assert_eq!(property(&union), json!({"description":"D","nullable":true,"type":"INTEGER"}));
    let many = json!({"oneOf":[{"type":"integer"},{"type":"string"},{"type":"null"}]});
    assert_eq!(property(&many), json!({"nullable":true,"anyOf":[{"type":"INTEGER"},{"type":"STRING"}]}));
    let types = json!({"type":["string","integer"],"maxLength":3,"maximum":9});
    let expected = json!({"anyOf":[{"type":"STRING","maxLength":3},{"type":"INTEGER","maximum":9}]});
    assert_eq!(property(&types), expected);
    assert_eq!(property(&json!({"type":"null"})), json!({"type":"NULL"}));
}

#[test]
fn trap_41_enumerations_are_of_strings() {
    assert_eq!(property(&json!({"type":"integer","enum":[1,2]})), json!({"type":"INTEGER"}));
    assert_eq!(property(&json!({"enum":["a","","b"]})), json!({"type":"STRING","enum":["a","b"]}));
    assert_eq!(property(&json!({"const":"a"})), json!({"type":"STRING","enum":["a"]}));
    assert_eq!(property(&json!({"const":5})), json!({"type":"INTEGER"}));
    assert_eq!(property(&json!({"enum":[0.5]})), json!({"type":"NUMBER"}));
    let nullable = json!({"nullable":true,"type":"STRING","enum":["a"]});
    assert_eq!(property(&json!({"type":["string","null"],"enum":["a",null]})), nullable);
}

#[test]
fn trap_42_arrays_have_items() {
    assert_eq!(property(&json!({"type":"array"})), json!({"type":"ARRAY","items":{"type":"STRING"}}));
    let schema =
        json!({"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2,"uniqueItems":true});
    assert_eq!(
        property(&schema),
        json!({"type":"ARRAY","items":{"type":"BOOLEAN"},"minItems":1,"maxItems":2})
    );
}

#[test]
fn what_the_subset_cannot_say_goes_as_it_is() {
    stays(&json!({"type":"object","additionalProperties":{"type":"string"}}));
    stays(&json!({"type":"object"}));
    stays(&json!({"type":"array","prefixItems":[{"type":"string"}]}));
    stays(&json!({"description":"anything"}));
    stays(&json!(true));
    stays(&json!({"allOf":[{"type":"string"},{"minLength":1}]}));
    let map = json!({"type":"object","additionalProperties":true});
    assert_eq!(declared(&map), json!({"name":"f","parametersJsonSchema":map}));
}

#[test]
fn a_function_without_parameters_has_none() {
    for schema in [
        json!({}),
        json!({"type":"object"}),
        json!({"type":"object","properties":{},"additionalProperties":false}),
    ] {
        assert_eq!(declared(&schema), json!({"name":"f"}));
    }
}
