//! The reference of every key, generated from the types' schema, so that it cannot be out of date.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::config::schema::schema;

const HEAD: &str = "\
# Configuration reference

Generated from the types in `src/config/` by `semroute check --reference`; do not edit it by hand.
The same as a JSON Schema: [config.schema.json](config.schema.json). An unknown key is an error that
names the nearest known one, and `semroute check FILE` tells all problems at once.

| key | value | default | what it does |
|---|---|---|---|
";

/// The reference, in Markdown.
pub fn reference() -> String {
    let schema = schema();
    let mut text = String::from(HEAD);
    section(&schema, &schema, "", &mut text);
    text
}

fn section(node: &Value, root: &Value, path: &str, text: &mut String) {
    let Some(properties) = node.get("properties").and_then(Value::as_object) else {
        return;
    };
    for (key, property) in properties {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        entry(property, root, &path, node_default(node, key), text);
    }
}

fn entry(property: &Value, root: &Value, path: &str, default: Option<&Value>, text: &mut String) {
    let target = meant(property, root);
    let default = property.get("default").or(default);
    let shown = default.filter(|default| !default.is_object() && !default.is_null());
    row(
        path,
        &kind(target, root),
        shown,
        description(property, target),
        text,
    );
    descend(target, root, path, text);
}

/// The keys below a key: of the object, of each entry of a map or list, of each variant.
fn descend(target: &Value, root: &Value, path: &str, text: &mut String) {
    section(target, root, path, text);
    if let Some(entries) = target
        .get("additionalProperties")
        .filter(|entries| entries.is_object())
    {
        let path = format!("{path}.NAME");
        descend(meant(entries, root), root, &path, text);
    }
    if let Some(items) = target.get("items") {
        descend(meant(items, root), root, &format!("{path}[]"), text);
    }
    let mut variants = variants(target).peekable();
    while let Some(variant) = variants.next() {
        let Some(properties) = variant.get("properties").and_then(Value::as_object) else {
            continue;
        };
        let following = variants.peek().and_then(|it| it.get("properties"));
        let keys = match following.and_then(Value::as_object) {
            Some(following) if has_same_keys(properties, following) => Keys::WithTheNext,
            _ => Keys::Here,
        };
        variant_keys(variant, keys, root, path, text);
    }
}

/// Where the keys of a variant are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// Below it.
    Here,
    /// Below the next variant, which has the same.
    WithTheNext,
}

/// Whether two variants differ in their tags only.
fn has_same_keys(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.len() == other.len()
        && one.iter().all(|(key, property)| {
            let is_tag = property.get("const").is_some();
            let twin = other.get(key);
            twin == Some(property) || is_tag && twin.is_some_and(|it| it.get("const").is_some())
        })
}

/// Variants with a tag are told apart by it; its value stands in brackets before their keys.
fn variant_keys(variant: &Value, keys: Keys, root: &Value, path: &str, text: &mut String) {
    let Some(properties) = variant.get("properties").and_then(Value::as_object) else {
        return;
    };
    let tag = properties.iter().find_map(|(key, property)| {
        let value = property.get("const")?.as_str()?;
        Some((key, value))
    });
    let Some((tag_key, tag)) = tag else {
        section(variant, root, path, text);
        return;
    };
    let about = variant.get("description").and_then(Value::as_str);
    row(
        &format!("{path}.{tag_key}"),
        &format!("`{tag}`"),
        None,
        about.unwrap_or_default(),
        text,
    );
    if keys == Keys::WithTheNext {
        return;
    }
    for (key, property) in properties.iter().filter(|(key, _)| *key != tag_key) {
        entry(property, root, &format!("{path}.{key}"), None, text);
    }
}

fn row(path: &str, kind: &str, default: Option<&Value>, about: &str, text: &mut String) {
    let default = match default {
        Some(Value::String(word)) => format!("`{word}`"),
        Some(value) => format!("`{value}`"),
        None => String::new(),
    };
    let about = about.replace('\n', " ");
    let kind = kind.replace('|', "\\|");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| `{path}` | {kind} | {default} | {about} |");
}

fn description<'a>(property: &'a Value, target: &'a Value) -> &'a str {
    let of = |node: &'a Value| node.get("description").and_then(Value::as_str);
    of(property).or_else(|| of(target)).unwrap_or_default()
}

/// What a property is, past its reference and the `null` of an optional one.
fn meant<'a>(property: &'a Value, root: &'a Value) -> &'a Value {
    if let Some(reference) = property.get("$ref").and_then(Value::as_str) {
        let pointer = reference.trim_start_matches('#');
        return root.pointer(pointer).unwrap_or(property);
    }
    let is_null = |node: &Value| node.get("type").and_then(Value::as_str) == Some("null");
    match property.get("anyOf").and_then(Value::as_array) {
        Some(options) if options.iter().any(is_null) => options
            .iter()
            .find(|option| !is_null(option))
            .map_or(property, |option| meant(option, root)),
        _ => property,
    }
}

fn variants(target: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"]
        .into_iter()
        .filter_map(|key| target.get(key).and_then(Value::as_array))
        .flatten()
}

fn kind(target: &Value, root: &Value) -> String {
    if let Some(value) = target.get("const").and_then(Value::as_str) {
        return format!("`{value}`");
    }
    if let Some(words) = target.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words.iter().map(word).collect();
        return words.join(" or ");
    }
    let options: Vec<String> = variants(target)
        .filter(|variant| variant.get("properties").is_none())
        .map(|variant| kind(meant(variant, root), root))
        .collect();
    if !options.is_empty() {
        return options.join(" or ");
    }
    if let Some(items) = target.get("items") {
        return format!("list of {}", kind(meant(items, root), root));
    }
    let of = match target.get("type") {
        Some(Value::Array(types)) => types.first().and_then(Value::as_str),
        Some(Value::String(name)) => Some(name.as_str()),
        _ => None,
    };
    match of {
        Some("object")
            if target
                .get("additionalProperties")
                .is_some_and(Value::is_object) =>
        {
            "map by name".to_owned()
        }
        Some("object") | None => "section".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        value => format!("`{value}`"),
    }
}

/// The default of a key that only its section's default tells.
fn node_default<'a>(node: &'a Value, key: &str) -> Option<&'a Value> {
    node.get("default").and_then(|default| default.get(key))
}
