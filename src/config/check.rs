//! Finds every problem of shape in a configuration at once: unknown keys, missing keys, wrong types.
//!
//! Reading into types stops at the first problem. So the document is first held against the JSON
//! Schema that the types generate, which finds them all, and the types have the last word.

use jsonschema::error::{ValidationError, ValidationErrorKind};
use serde_json::Value;

use crate::config::problem::{Problem, suggestion};
use crate::config::schema::schema;
use crate::config::value::{SECRET_ELSEWHERE, SECRET_PATTERN};

/// Every problem of shape.
pub fn problems_of_shape(document: &Value) -> Vec<Problem> {
    let schema = schema();
    let validator = match jsonschema::validator_for(&schema) {
        Ok(validator) => validator,
        Err(error) => {
            return vec![Problem::new(
                "",
                format!("the schema itself is wrong: {error}"),
            )];
        }
    };
    let mut problems = Vec::new();
    for error in validator.iter_errors(document) {
        explain(&error, document, &mut problems);
    }
    problems.sort();
    problems.dedup();
    problems
}

/// Says an error in the words of someone who writes the config.
fn explain(error: &ValidationError<'_>, document: &Value, problems: &mut Vec<Problem>) {
    let pointer = error.instance_path().to_string();
    let path = readable_path(&pointer, document);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known_keys(error);
            for key in unexpected {
                let hint = suggestion(key, known.iter().map(String::as_str));
                problems.push(Problem::new(
                    joined(&path, key),
                    format!("there is no such key{hint}"),
                ));
            }
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            problems.push(Problem::new(joined(&path, key), "is missing"));
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            explain_best_branch(context, &path, error, document, problems);
        }
        // The text may be a key that was pasted here, so it is not repeated.
        ValidationErrorKind::Pattern { pattern } if pattern == SECRET_PATTERN => {
            problems.push(Problem::new(path, SECRET_ELSEWHERE));
        }
        _ => problems.push(Problem::new(path, error.to_string())),
    }
}

/// Of several allowed shapes, the one that was probably meant: the one whose errors lie deepest in the
/// document, since it agreed the longest.
fn explain_best_branch(
    branches: &[Vec<ValidationError<'_>>],
    path: &str,
    error: &ValidationError<'_>,
    document: &Value,
    problems: &mut Vec<Problem>,
) {
    let depth = |branch: &[ValidationError<'_>]| {
        let depths = branch
            .iter()
            .map(|error| error.instance_path().to_string().len());
        let mismatch = branch.iter().any(is_choice);
        (!mismatch, depths.max().unwrap_or_default())
    };
    let best = branches
        .iter()
        .filter(|branch| !branch.iter().all(|error| expects_null(error)))
        .max_by_key(|branch| depth(branch));
    match best {
        Some(branch) if depth(branch).0 => {
            for error in branch {
                explain(error, document, problems);
            }
        }
        _ => problems.push(Problem::new(path, choices(branches, error))),
    }
}

/// Whether a branch failed at the value that tells branches apart.
fn is_choice(error: &ValidationError<'_>) -> bool {
    matches!(
        error.kind(),
        ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. }
    )
}

fn expects_null(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Type { .. })
        && error.to_string().ends_with("\"null\"")
}

/// The values that would have been allowed, where branches differ by one.
fn choices(branches: &[Vec<ValidationError<'_>>], error: &ValidationError<'_>) -> String {
    let mut allowed: Vec<String> = Vec::new();
    for choice in branches.iter().flatten() {
        match choice.kind() {
            ValidationErrorKind::Constant { expected_value } => {
                allowed.push(expected_value.to_string());
            }
            ValidationErrorKind::Enum { options } => allowed.push(options.to_string()),
            _ => {}
        }
    }
    if allowed.is_empty() {
        error.to_string()
    } else {
        format!("{} is not one of {}", error.instance(), allowed.join(", "))
    }
}

/// The keys that the schema allows where an unknown one stands.
fn known_keys(error: &ValidationError<'_>) -> Vec<String> {
    let schema = schema();
    let place = error.schema_path().to_string();
    let place = place
        .strip_suffix("/additionalProperties")
        .unwrap_or(&place);
    let mut node = &schema;
    for step in place.split('/').skip(1) {
        node = follow(node, &schema);
        node = match (node.get(step), step.parse::<usize>()) {
            (Some(next), _) => next,
            (None, Ok(index)) => node.get(index).unwrap_or(node),
            // A step through a reference is already taken.
            (None, Err(_)) => node,
        };
    }
    let properties = follow(node, &schema)
        .get("properties")
        .and_then(Value::as_object);
    properties
        .map(|keys| keys.keys().cloned().collect())
        .unwrap_or_default()
}

/// What a `$ref` points to, or the node itself.
fn follow<'a>(node: &'a Value, schema: &'a Value) -> &'a Value {
    node.get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| schema.pointer(reference.strip_prefix('#')?))
        .unwrap_or(node)
}

/// `/assistants/a/routes/1/to` as `assistants.a.routes[1].to`.
fn readable_path(pointer: &str, document: &Value) -> String {
    let mut path = String::new();
    let mut node = Some(document);
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let is_list = node.is_some_and(Value::is_array);
        node = match (is_list, step.parse::<usize>()) {
            (true, Ok(index)) => node.and_then(|node| node.get(index)),
            _ => node.and_then(|node| node.get(&step)),
        };
        if is_list {
            path = format!("{path}[{step}]");
        } else {
            path = joined(&path, &step);
        }
    }
    path
}

fn joined(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}
