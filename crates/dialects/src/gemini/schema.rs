//! JSON Schema as Google's `Schema`, which knows a subset of it.
//!
//! Both the Gemini API and Vertex AI also take JSON Schema as it is (`parametersJsonSchema`, `responseJsonSchema`), but
//! only for models since 2.5, not in `v1` everywhere, and with less support than the name says: it keeps no `pattern` and
//! no lengths. The subset works with every model and version, so it is what is written wherever it can say the same.
//! Where it cannot (recursion, maps, tuples, values of any type) the schema goes as it is, which an old model refuses in
//! words, rather than as another schema. See
//! `docs/decisions/0010-schemas-for-gemini.md`.

use super::names::write_list;
use crate::exchange::{Raw, Text};
use crate::json::{Doc, JsonErrorKind, Kind, Out, Value};

/// How a schema is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rewritten {
    /// As Google's `Schema`.
    Subset(Vec<u8>),
    /// As JSON Schema, untouched.
    Verbatim,
    /// Not at all: an object without members, which Google's `Schema` cannot be.
    Empty,
}

/// Most schemas within one after all references are followed. Real tools stay under 200; references to references could
/// blow a few lines up to any size.
const MAX_SCHEMAS: u32 = 2_000;

/// Deepest nesting after all references are followed.
const MAX_NESTING: usize = 48;

/// The schema says what the subset cannot.
#[derive(Debug)]
struct Beyond;

type Written = Result<(), Beyond>;

/// Rewrites a schema.
pub(super) fn rewrite(schema: &Raw<'_>) -> Rewritten {
    let doc = match Doc::parse(schema.as_bytes()) {
        Ok(doc) => doc,
        Err(error) if error.kind == JsonErrorKind::NotAnObject => return Rewritten::Empty,
        Err(_) => return Rewritten::Verbatim,
    };
    if is_empty_object(doc.root()) {
        return Rewritten::Empty;
    }
    let mut bytes = Vec::with_capacity(schema.as_bytes().len());
    let mut rewriter = Rewriter { root: doc.root(), following: Vec::new(), schemas: 0, nesting: 0 };
    match rewriter.schema(doc.root(), Outer::default(), &mut Out::new(&mut bytes)) {
        Ok(()) => Rewritten::Subset(bytes),
        Err(Beyond) => Rewritten::Verbatim,
    }
}

/// An object that names no members and does not take any others either, as far as it says.
fn is_empty_object(schema: Value<'_>) -> bool {
    let typed = schema.get("type").is_none_or(|kind| kind.is("object"));
    let named = schema.get("properties").is_some_and(|map| map.members().next().is_some());
    let open = schema.get("additionalProperties").is_some_and(|more| more.bool() != Some(false));
    let other = ["$ref", "anyOf", "oneOf", "allOf", "enum", "const", "items", "patternProperties"];
    typed && !named && !open && other.iter().all(|member| schema.get(member).is_none())
}

/// What a reference, or a union of one schema with `null`, adds to the schema it stands for.
#[derive(Clone, Default)]
struct Outer<'s> {
    description: Option<Text<'s>>,
    nullable: bool,
}

impl<'s> Outer<'s> {
    fn with(&self, schema: Value<'s>, nullable: bool) -> Self {
        let description = self.description.clone().or_else(|| schema.text_of("description"));
        Self { description, nullable: self.nullable || nullable }
    }
}

struct Rewriter<'s> {
    root: Value<'s>,
    /// References that are being followed: one that comes up again is recursive.
    following: Vec<Text<'s>>,
    schemas: u32,
    nesting: usize,
}

impl<'s> Rewriter<'s> {
    /// The recursion is bounded by [`MAX_NESTING`].
    fn schema(&mut self, schema: Value<'s>, outer: Outer<'s>, out: &mut Out<'_>) -> Written {
        self.schemas += 1;
        if !schema.is_object() || self.schemas > MAX_SCHEMAS || self.nesting >= MAX_NESTING {
            return Err(Beyond);
        }
        self.nesting += 1;
        self.by_form(schema, outer, out)?;
        self.nesting -= 1;
        Ok(())
    }

    fn by_form(&mut self, schema: Value<'s>, outer: Outer<'s>, out: &mut Out<'_>) -> Written {
        if let Some(reference) = schema.text_of("$ref") {
            return self.reference(reference, &outer.with(schema, false), out);
        }
        let structured = ["properties", "items"].iter().any(|member| schema.get(member).is_some());
        if structured {
            return self.typed(schema, &outer, out);
        }
        if let Some(all) = schema.get("allOf") {
            let mut all = all.elements();
            return match (all.next(), all.next()) {
                (Some(one), None) => self.schema(one, outer.with(schema, false), out),
                _ => Err(Beyond),
            };
        }
        match schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            Some(list) => self.union(schema, list, outer, out),
            None => self.typed(schema, &outer, out),
        }
    }

    fn reference(&mut self, reference: Text<'s>, outer: &Outer<'s>, out: &mut Out<'_>) -> Written {
        if self.following.contains(&reference) {
            return Err(Beyond);
        }
        let target = resolve(self.root, &reference).ok_or(Beyond)?;
        self.following.push(reference);
        self.schema(target, outer.clone(), out)?;
        self.following.pop();
        Ok(())
    }

    fn union(&mut self, schema: Value<'s>, list: Value<'s>, outer: Outer<'s>, out: &mut Out<'_>) -> Written {
        let is_null = |one: &Value<'_>| one.get("type").is_some_and(|kind| kind.is("null"));
        let some: Vec<_> = list.elements().filter(|one| !is_null(one)).collect();
        let nullable = some.len() < list.elements().count();
        match some[..] {
            [] => Err(Beyond),
            [one] => self.schema(one, outer.with(schema, nullable), out),
            _ => {
                out.begin_object();
                annotate(schema, &outer.with(schema, nullable), out);
                out.key("anyOf").begin_array();
                some.into_iter().try_for_each(|one| self.schema(one, Outer::default(), out))?;
                out.end_array().end_object();
                Ok(())
            }
        }
    }

    /// A schema with a type, or with several.
    fn typed(&mut self, schema: Value<'s>, outer: &Outer<'s>, out: &mut Out<'_>) -> Written {
        let types = types_of(schema)?;
        let null_listed = listed(schema).any(|value| value.kind() == Kind::Null);
        let some: Vec<_> = types.iter().copied().filter(|one| *one != Type::Null).collect();
        let nullable = null_listed || some.len() < types.len() && !some.is_empty();
        out.begin_object();
        annotate(schema, &outer.with(schema, nullable), out);
        match some[..] {
            [] => {
                out.field("type", "NULL");
            }
            [one] => self.members(schema, one, out)?,
            _ => {
                out.key("anyOf").begin_array();
                for one in some {
                    out.begin_object();
                    self.members(schema, one, out)?;
                    out.end_object();
                }
                out.end_array();
            }
        }
        out.end_object();
        Ok(())
    }

    fn members(&mut self, schema: Value<'s>, kind: Type, out: &mut Out<'_>) -> Written {
        out.field("type", kind.name());
        match kind {
            Type::Object => self.object(schema, out)?,
            Type::Array => self.array(schema, out)?,
            Type::String => string(schema, out),
            Type::Number => numeric(schema, &["float", "double"], out),
            Type::Integer => numeric(schema, &["int32", "int64"], out),
            Type::Boolean | Type::Null => {}
        }
        Ok(())
    }

    fn object(&mut self, schema: Value<'s>, out: &mut Out<'_>) -> Written {
        let properties =
            schema.get("properties").filter(|map| map.members().next().is_some()).ok_or(Beyond)?;
        out.key("properties").begin_object();
        for (name, property) in properties.members() {
            out.key_text(&name);
            self.schema(property, Outer::default(), out)?;
        }
        out.end_object();
        // A name that is required and not there is an error to Google, and nothing to JSON Schema.
        let known = |name: &Text<'_>| properties.members().any(|(property, _)| property == *name);
        let required: Vec<_> = texts(schema.get("required")).filter(known).collect();
        write_list("required", &required, out);
        copy(schema, &["propertyOrdering", "minProperties", "maxProperties"], out);
        Ok(())
    }

    fn array(&mut self, schema: Value<'s>, out: &mut Out<'_>) -> Written {
        if schema.get("prefixItems").is_some() {
            return Err(Beyond);
        }
        out.key("items");
        match schema.get("items") {
            Some(items) => self.schema(items, Outer::default(), out)?,
            None => _ = out.begin_object().field("type", "STRING").end_object(),
        }
        copy(schema, &["minItems", "maxItems"], out);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Object,
    Array,
    String,
    Number,
    Integer,
    Boolean,
    Null,
}

impl Type {
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Object, "object", "OBJECT"),
        (Self::Array, "array", "ARRAY"),
        (Self::String, "string", "STRING"),
        (Self::Number, "number", "NUMBER"),
        (Self::Integer, "integer", "INTEGER"),
        (Self::Boolean, "boolean", "BOOLEAN"),
        (Self::Null, "null", "NULL"),
    ];

    fn named(value: Value<'_>) -> Option<Self> {
        Self::ALL.iter().find(|(_, json, google)| value.is(json) || value.is(google)).map(|(kind, ..)| *kind)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("STRING", |(.., name)| name)
    }

    fn of_value(value: Value<'_>) -> Self {
        match value.kind() {
            Kind::Object => Self::Object,
            Kind::Array => Self::Array,
            Kind::String => Self::String,
            Kind::Number if value.raw().iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') => {
                Self::Integer
            }
            Kind::Number => Self::Number,
            Kind::Bool => Self::Boolean,
            Kind::Null => Self::Null,
        }
    }
}

/// The types a schema gives, or those its other members imply. One that may be of any type is beyond the subset.
fn types_of(schema: Value<'_>) -> Result<Vec<Type>, Beyond> {
    let mut types = Vec::new();
    let mut add = |kind: Type| {
        if !types.contains(&kind) {
            types.push(kind);
        }
    };
    let there = |names: &[&str]| names.iter().any(|name| schema.get(name).is_some());
    match schema.get("type") {
        Some(list) if list.is_array() => {
            list.elements().try_for_each(|name| Type::named(name).map(&mut add).ok_or(Beyond))?;
        }
        Some(name) => add(Type::named(name).ok_or(Beyond)?),
        None if there(&["properties"]) => add(Type::Object),
        None if there(&["items"]) => add(Type::Array),
        None if there(&["enum", "const"]) => listed(schema).map(Type::of_value).for_each(add),
        None if there(&["pattern", "minLength", "maxLength"]) => add(Type::String),
        None if there(&["minimum", "maximum"]) => add(Type::Number),
        None => return Err(Beyond),
    }
    if types.is_empty() { Err(Beyond) } else { Ok(types) }
}

/// The values a schema allows, by `enum` or `const`.
fn listed<'s>(schema: Value<'s>) -> impl Iterator<Item = Value<'s>> {
    let list = schema.members().filter(|(name, _)| name.is("enum")).flat_map(|(_, list)| list.elements());
    list.chain(schema.members().filter(|(name, _)| name.is("const")).map(|(_, value)| value))
}

fn texts<'s>(list: Option<Value<'s>>) -> impl Iterator<Item = Text<'s>> {
    list.into_iter().flat_map(Value::elements).filter_map(Value::text)
}

fn annotate(schema: Value<'_>, outer: &Outer<'_>, out: &mut Out<'_>) {
    out.field_text("title", schema.text_of("title").as_ref());
    out.field_text("description", outer.description.as_ref());
    if outer.nullable || schema.get("nullable").and_then(Value::bool) == Some(true) {
        out.key("nullable").bool(true);
    }
    copy(schema, &["default", "example"], out);
}

/// Google takes an enumeration of strings only, and refuses the empty one.
fn string(schema: Value<'_>, out: &mut Out<'_>) {
    let values: Vec<_> = listed(schema).filter_map(Value::text).filter(|text| !text.is_empty()).collect();
    write_list("enum", &values, out);
    format(schema, &["date-time", "enum"], out);
    copy(schema, &["minLength", "maxLength", "pattern"], out);
}

fn numeric(schema: Value<'_>, formats: &[&str], out: &mut Out<'_>) {
    format(schema, formats, out);
    copy(schema, &["minimum", "maximum"], out);
}

/// A format that is not known is refused, so only those that are go on.
fn format(schema: Value<'_>, known: &[&str], out: &mut Out<'_>) {
    let format = schema.text_of("format").filter(|format| known.iter().any(|known| format.is(known)));
    out.field_text("format", format.as_ref());
}

fn copy(schema: Value<'_>, names: &[&str], out: &mut Out<'_>) {
    for name in names {
        out.field_raw(name, schema.get(name).map(Value::raw));
    }
}

/// What a reference within the document points to.
fn resolve<'s>(root: Value<'s>, reference: &Text<'_>) -> Option<Value<'s>> {
    let reference = reference.decode();
    let mut at = root;
    for step in reference.strip_prefix('#')?.split('/').skip(1) {
        at = at.get(&step.replace("~1", "/").replace("~0", "~"))?;
    }
    Some(at)
}
