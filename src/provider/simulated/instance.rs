//! Small instances of a JSON Schema, and instances that just miss it.
//!
//! The generator knows the keywords that response formats are made of: types, objects with required
//! properties, arrays, enumerations, constants, bounds, alternatives and references into the schema
//! itself. It does not know `pattern`, `not` or conditions; an instance may then miss the schema,
//! which the check that follows will say.

use std::borrow::Cow;
use std::cell::Cell;

use serde_json::{Map, Number, Value, json};

use crate::provider::simulated::chance::Chance;

/// How deep an instance goes. Schemas that refer to themselves have no end; those that people write
/// for answers end sooner.
const DEPTH_MAX: usize = 16;

/// How many values an instance has. Depth alone does not bound what branches at every step.
const VALUES_MAX: usize = 2_000;

/// The longest string that is made.
const CHARS_MAX: usize = 4_096;

/// How many references are followed from one place; a longer chain goes round in a circle.
const REFERENCES_MAX: usize = 32;

/// What strings are made of.
const WORD: &str = "simulated";

/// The smallest instance of a schema.
pub(super) fn of(schema: &Value) -> Value {
    Maker::of(schema).make(schema, DEPTH_MAX)
}

/// An instance with one required field missing or of a wrong type; nothing, if the schema is not one
/// of an object with required fields.
pub(super) fn broken(schema: &Value, whole: Value, chance: Chance) -> Option<Value> {
    let maker = Maker::of(schema);
    let schema = maker.resolve(schema);
    let Value::Object(mut fields) = whole else {
        return None;
    };
    let required: Vec<&str> = required(&schema).collect();
    let name = *required.get(chance.choose("broken field", required.len()))?;
    let property = schema
        .get("properties")
        .and_then(|properties| properties.get(name));
    let wrong = property.and_then(|property| wrong_value(&maker.resolve(property)));
    match wrong {
        Some(wrong) if chance.draw("kind of break") < 0.5 => {
            fields.insert(name.to_owned(), wrong);
        }
        _ => {
            fields.shift_remove(name);
        }
    }
    Some(Value::Object(fields))
}

/// A value that no instance of this schema is; nothing, if that cannot be told from its type.
fn wrong_value(schema: &Value) -> Option<Value> {
    match schema.get("type")?.as_str()? {
        "string" => Some(json!(0)),
        "object" | "array" | "null" | "boolean" | "number" | "integer" => Some(json!(WORD)),
        _ => None,
    }
}

/// Makes instances of the parts of one schema.
struct Maker<'a> {
    root: &'a Value,
    values_left: Cell<usize>,
}

impl<'a> Maker<'a> {
    fn of(root: &'a Value) -> Self {
        Self {
            root,
            values_left: Cell::new(VALUES_MAX),
        }
    }

    fn make(&self, schema: &Value, depth_left: usize) -> Value {
        let Some(values_left) = self.values_left.get().checked_sub(1) else {
            return Value::Null;
        };
        self.values_left.set(values_left);
        let resolved = self.resolve(schema);
        let schema = self.with_alternative(resolved);
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
            return first.clone();
        }
        match (kind(&schema), depth_left.checked_sub(1)) {
            ("object", Some(depth_left)) => self.object(&schema, depth_left),
            ("array", Some(depth_left)) => self.array(&schema, depth_left),
            ("string", _) => string(&schema),
            ("integer", _) => integer(&schema),
            ("number", _) => number(&schema),
            ("boolean", _) => json!(false),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, depth_left: usize) -> Value {
        let properties = schema.get("properties");
        let field = |name: &str| {
            let property = properties.and_then(|properties| properties.get(name));
            let value = self.make(property.unwrap_or(&Value::Null), depth_left);
            (name.to_owned(), value)
        };
        Value::Object(required(schema).map(field).collect())
    }

    fn array(&self, schema: &Value, depth_left: usize) -> Value {
        let first = schema.get("prefixItems").and_then(Value::as_array);
        let first = first.map_or(&[][..], Vec::as_slice);
        let n_items = count(schema, "minItems").unwrap_or(0).min(VALUES_MAX);
        let further = schema.get("items").unwrap_or(&Value::Null);
        let items = (0..n_items).map(|position| first.get(position).unwrap_or(further));
        Value::Array(items.map(|item| self.make(item, depth_left)).collect())
    }

    /// What a schema says where its references point, with the parts of its `allOf` merged into it.
    fn resolve<'s>(&'s self, schema: &'s Value) -> Cow<'s, Value> {
        let target = self.follow(schema);
        let Some(parts) = target.get("allOf").and_then(Value::as_array) else {
            return Cow::Borrowed(target);
        };
        let mut merged = target.as_object().cloned().unwrap_or_default();
        merged.remove("allOf");
        for part in parts {
            merge(&mut merged, self.follow(part));
        }
        Cow::Owned(Value::Object(merged))
    }

    /// A schema with the smallest of its alternatives merged into it: the first that is neither an
    /// object nor an array, so that what refers to itself comes to an end.
    fn with_alternative<'s>(&'s self, schema: Cow<'s, Value>) -> Cow<'s, Value> {
        let Some(keyword) = ["anyOf", "oneOf"]
            .into_iter()
            .find(|keyword| schema.get(keyword).is_some())
        else {
            return schema;
        };
        let mut merged = schema.as_object().cloned().unwrap_or_default();
        let alternatives = merged.remove(keyword);
        let alternatives = alternatives.as_ref().and_then(Value::as_array);
        let alternatives = alternatives.map_or(&[][..], Vec::as_slice);
        let is_small = |schema: &&Value| !matches!(kind(self.follow(schema)), "object" | "array");
        let smallest = alternatives.iter().find(is_small);
        if let Some(alternative) = smallest.or_else(|| alternatives.first()) {
            merge(&mut merged, self.follow(alternative));
        }
        Cow::Owned(Value::Object(merged))
    }

    /// Where the references of a schema point, if they point into this one.
    fn follow<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let mut target = schema;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = target.get("$ref").and_then(Value::as_str) else {
                return target;
            };
            let pointed = reference
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer));
            match pointed {
                Some(pointed) => target = pointed,
                None => return &Value::Null,
            }
        }
        &Value::Null
    }
}

/// Adds what another schema asks for to this one.
fn merge(schema: &mut Map<String, Value>, other: &Value) {
    let Some(other) = other.as_object() else {
        return;
    };
    for (keyword, value) in other {
        match (schema.get_mut(keyword), value) {
            (Some(Value::Object(here)), Value::Object(there)) if keyword == "properties" => {
                here.extend(there.clone());
            }
            (Some(Value::Array(here)), Value::Array(there)) if keyword == "required" => {
                here.extend(there.iter().cloned());
            }
            _ => {
                schema.insert(keyword.clone(), value.clone());
            }
        }
    }
}

/// The type of a schema's smallest instance: said by the schema, or else told from its keywords.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => return name,
        Some(Value::Array(names)) => {
            let mut names = names.iter().filter_map(Value::as_str);
            let first = names.clone().next();
            let small = names.find(|name| !matches!(*name, "object" | "array"));
            return small.or(first).unwrap_or("null");
        }
        _ => {}
    }
    let has = |keywords: &[&str]| keywords.iter().any(|keyword| schema.get(keyword).is_some());
    if has(&["properties", "required", "additionalProperties"]) {
        "object"
    } else if has(&["items", "prefixItems", "minItems"]) {
        "array"
    } else if has(&[
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ]) {
        "number"
    } else {
        "string"
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// A keyword that counts something.
fn count(schema: &Value, keyword: &str) -> Option<usize> {
    usize::try_from(schema.get(keyword)?.as_u64()?).ok()
}

fn string(schema: &Value) -> Value {
    let longest = count(schema, "maxLength")
        .unwrap_or(CHARS_MAX)
        .min(CHARS_MAX);
    let shortest = count(schema, "minLength").unwrap_or(0);
    let n_chars = WORD.len().max(shortest).min(longest);
    Value::String(WORD.chars().cycle().take(n_chars).collect())
}

fn integer(schema: &Value) -> Value {
    let low = bound(schema, "minimum").map(f64::ceil);
    let low = low.or_else(|| bound(schema, "exclusiveMinimum").map(|low| low.floor() + 1.0));
    let high = bound(schema, "maximum").map(f64::floor);
    let high = high.or_else(|| bound(schema, "exclusiveMaximum").map(|high| high.ceil() - 1.0));
    let step = bound(schema, "multipleOf").unwrap_or(1.0);
    let value = to_multiple(nearest_to_zero(low, high), step);
    // Through text: a whole number beyond 64 bits stays a number of the other kind.
    match format!("{value:.0}").parse::<i64>() {
        Ok(whole) => json!(whole),
        Err(_) => finite(value),
    }
}

fn number(schema: &Value) -> Value {
    let above = bound(schema, "exclusiveMinimum");
    let below = bound(schema, "exclusiveMaximum");
    let low = bound(schema, "minimum").or(above);
    let high = bound(schema, "maximum").or(below);
    let nearest = nearest_to_zero(low, high);
    let is_excluded = above == Some(nearest) || below == Some(nearest);
    let inner = match (low, high) {
        (Some(low), Some(high)) if is_excluded => f64::midpoint(low, high),
        _ if above == Some(nearest) => nearest + 1.0,
        _ if below == Some(nearest) => nearest - 1.0,
        _ => nearest,
    };
    finite(match bound(schema, "multipleOf") {
        Some(step) => to_multiple(inner, step),
        None => inner,
    })
}

fn bound(schema: &Value, keyword: &str) -> Option<f64> {
    schema.get(keyword).and_then(Value::as_f64)
}

fn nearest_to_zero(low: Option<f64>, high: Option<f64>) -> f64 {
    match (low, high) {
        (Some(low), _) if 0.0 < low => low,
        (_, Some(high)) if high < 0.0 => high,
        _ => 0.0,
    }
}

/// The multiple of `step` that is next to a value, away from zero.
fn to_multiple(value: f64, step: f64) -> f64 {
    if step <= 0.0 {
        return value;
    }
    let steps = value / step;
    let whole = if steps < 0.0 {
        steps.floor()
    } else {
        steps.ceil()
    };
    whole * step
}

fn finite(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Schemas in which each keyword that the generator knows stands somewhere.
    fn schemas() -> Vec<Value> {
        vec![
            json!({}),
            json!(true),
            json!({ "type": "object" }),
            json!({ "type": "object", "required": ["city"],
                "properties": { "city": { "type": "string" } } }),
            json!({ "type": "object", "required": ["name", "age"], "additionalProperties": false,
                "properties": { "name": { "type": "string", "minLength": 12 }, "note": {},
                    "age": { "type": "integer", "minimum": 18, "maximum": 99 } } }),
            json!({ "type": "array", "minItems": 3, "items": { "enum": ["a", 2] } }),
            json!({ "type": "array", "minItems": 2, "prefixItems": [{ "const": 5 }],
                "items": { "type": ["object", "boolean"] } }),
            json!({ "type": "string", "maxLength": 3 }),
            json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }),
            json!({ "type": "number", "exclusiveMinimum": 2.5 }),
            json!({ "type": "number", "exclusiveMaximum": -2.5 }),
            json!({ "type": "integer", "exclusiveMinimum": 3, "multipleOf": 4 }),
            json!({ "type": "integer", "maximum": -7 }),
            json!({ "minimum": 0.5, "maximum": 0.75 }),
            json!({ "required": ["x"] }),
            json!({ "anyOf": [{ "type": "object", "required": ["a"] }, { "type": "null" }] }),
            json!({ "type": "object", "properties": { "a": { "type": "integer" } },
                "oneOf": [{ "required": ["a"] }, { "required": ["b"], "not": { "required": ["a"] } }] }),
            json!({ "allOf": [{ "$ref": "#/$defs/named" }, { "required": ["b"] }],
                "$defs": { "named": { "type": "object", "required": ["a"],
                    "properties": { "a": { "type": "number" } } } } }),
            json!({ "$ref": "#/$defs/node", "$defs": { "node": { "type": "object",
                "required": ["value", "left", "right"], "properties": {
                    "value": { "type": "boolean" },
                    "left": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] },
                    "right": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] } } } } }),
        ]
    }

    #[test]
    fn every_instance_satisfies_its_schema() {
        for schema in schemas() {
            let instance = of(&schema);
            let validator = jsonschema::validator_for(&schema).unwrap();
            assert!(validator.is_valid(&instance), "{instance} for {schema}");
        }
    }

    #[test]
    fn no_broken_instance_satisfies_its_schema_and_both_ways_to_break_one_happen() {
        let (mut n_missing, mut n_wrong) = (0, 0);
        for schema in schemas() {
            let validator = jsonschema::validator_for(&schema).unwrap();
            for seed in 0..20 {
                let whole = of(&schema);
                let n_fields = whole.as_object().map_or(0, Map::len);
                let chance = Chance::of(seed, "m", "request");
                let Some(broken) = broken(&schema, whole, chance) else {
                    continue;
                };
                assert!(!validator.is_valid(&broken), "{broken} for {schema}");
                if broken.as_object().map_or(0, Map::len) < n_fields {
                    n_missing += 1;
                } else {
                    n_wrong += 1;
                }
            }
        }
        assert!(0 < n_missing && 0 < n_wrong, "{n_missing} {n_wrong}");
    }

    #[test]
    fn a_schema_without_required_fields_cannot_be_broken_by_a_field() {
        let schema = json!({ "type": "object" });
        let chance = Chance::of(1, "m", "request");
        assert_eq!(broken(&schema, of(&schema), chance), None);
        assert_eq!(broken(&json!({ "type": "array" }), json!([]), chance), None);
    }

    #[test]
    fn a_schema_that_asks_for_endless_values_gets_an_end() {
        let endless = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "array",
            "minItems": 1_000_000_000_000_u64, "items": { "$ref": "#/$defs/a" } } } });
        assert!(of(&endless).to_string().len() < VALUES_MAX * DEPTH_MAX * 8);
        let circle = json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/a" } } });
        assert!(of(&circle).is_string());
        let long = json!({ "type": "string", "minLength": 1_000_000_000_000_u64 });
        assert_eq!(of(&long).as_str().map(str::len), Some(CHARS_MAX));
        assert!(of(&json!({ "$ref": "#/nowhere" })).is_string());
    }
}
