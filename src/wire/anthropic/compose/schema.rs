//! Schemas, as the format takes them.

use serde_json::Value;

/// A schema whose objects have no fields but those that it names. The format demands that this be
/// said. Whatever satisfies the closed schema satisfies the caller's own too; objects that name no
/// fields are maps and stay open, or they could only be empty.
pub(super) fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut closed: serde_json::Map<String, Value> = fields
                .iter()
                .map(|(keyword, value)| (keyword.clone(), closed_within(keyword, value)))
                .collect();
            if fields.get("properties").is_some_and(Value::is_object)
                && !fields.contains_key("additionalProperties")
            {
                closed.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            Value::Object(closed)
        }
        other => other.clone(),
    }
}

/// The value of a keyword: schemas within it are closed too, and data is left alone.
fn closed_within(keyword: &str, value: &Value) -> Value {
    match (keyword, value) {
        ("properties" | "$defs" | "definitions", Value::Object(named)) => named
            .iter()
            .map(|(name, schema)| (name.clone(), closed(schema)))
            .collect(),
        ("anyOf" | "oneOf" | "items" | "prefixItems", Value::Array(schemas)) => {
            schemas.iter().map(closed).collect()
        }
        ("items" | "additionalProperties", Value::Object(_)) => closed(value),
        // The schemas of `allOf` describe one object together: closed, each would forbid the
        // fields of the others.
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_that_name_their_fields_have_no_others() {
        let open = json!({ "type": "object", "properties": {
            "list": { "type": "array", "items": { "$ref": "#/$defs/item" } },
            "map": { "type": "object" },
            "properties": { "type": "string", "enum": ["properties"] },
        }, "$defs": { "item": { "anyOf": [
            { "type": "object", "properties": { "a": {} }, "additionalProperties": true },
            { "type": "object", "properties": {} },
        ] } } });
        assert_eq!(
            closed(&open),
            json!({ "type": "object", "properties": {
                "list": { "type": "array", "items": { "$ref": "#/$defs/item" } },
                "map": { "type": "object" },
                "properties": { "type": "string", "enum": ["properties"] },
            }, "$defs": { "item": { "anyOf": [
                { "type": "object", "properties": { "a": {} }, "additionalProperties": true },
                { "type": "object", "properties": {}, "additionalProperties": false },
            ] } }, "additionalProperties": false })
        );
    }

    #[test]
    fn parts_of_one_object_stay_open_to_each_other() {
        let all =
            json!({ "allOf": [{ "properties": { "a": {} } }, { "properties": { "b": {} } }] });
        assert_eq!(closed(&all), all);
    }
}
