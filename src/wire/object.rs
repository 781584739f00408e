//! Reading a JSON object field by field, so that what nobody took is known at the end.
//!
//! It serves the readers that must understand a whole request. Each error names the field by its
//! path in the body, says what was found there and what to give instead.

use serde_json::{Map, Value};

use crate::wire::Malformed;

/// How much of a wrong value an error repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// An object that is being taken apart.
#[derive(Debug)]
pub(super) struct Object {
    fields: Map<String, Value>,
    path: String,
}

impl Object {
    /// The object at a path; the body itself has an empty one.
    pub(super) fn of(value: Value, path: impl Into<String>) -> Result<Self, Malformed> {
        let path = path.into();
        match value {
            Value::Object(fields) => Ok(Self { fields, path }),
            other => Err(wrong(&path, &other, "an object")),
        }
    }

    /// The object that a body is.
    pub(super) fn of_body(text: &str) -> Result<Self, Malformed> {
        let value: Value = serde_json::from_str(text).map_err(|error| Malformed {
            param: None,
            message: format!("the body is not JSON: {error}"),
        })?;
        Self::of(value, "")
    }

    /// The path of a field of it.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// A field's value; nothing, if it is absent or null.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    /// Passes over a field that was seen to elsewhere.
    pub(super) fn skip(&mut self, name: &str) {
        self.fields.shift_remove(name);
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, Malformed> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(&self.path_of(name), &other, "a string")),
        }
    }

    pub(super) fn needed_string(&mut self, name: &str) -> Result<String, Malformed> {
        self.string(name)?
            .ok_or_else(|| missing(&self.path_of(name), "a string"))
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Malformed> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(&self.path_of(name), &other, "true or false")),
        }
    }

    /// A count.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>, Malformed> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let whole = value.as_u64();
        whole
            .map(Some)
            .ok_or_else(|| wrong(&self.path_of(name), &value, "a whole number, 0 or more"))
    }

    pub(super) fn integer(&mut self, name: &str) -> Result<Option<i64>, Malformed> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let whole = value.as_i64();
        whole
            .map(Some)
            .ok_or_else(|| wrong(&self.path_of(name), &value, "a whole number"))
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, Malformed> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = value.as_f64();
        number
            .map(Some)
            .ok_or_else(|| wrong(&self.path_of(name), &value, "a number"))
    }

    pub(super) fn array(&mut self, name: &str) -> Result<Option<Vec<Value>>, Malformed> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(wrong(&self.path_of(name), &other, "an array")),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, Malformed> {
        let path = self.path_of(name);
        self.take(name)
            .map(|value| Self::of(value, path))
            .transpose()
    }

    pub(super) fn needed_object(&mut self, name: &str) -> Result<Self, Malformed> {
        self.object(name)?
            .ok_or_else(|| missing(&self.path_of(name), "an object"))
    }

    /// Lists what nobody took.
    pub(super) fn drop_rest(self, dropped: &mut Vec<String>) {
        for (name, value) in &self.fields {
            if !value.is_null() {
                dropped.push(self.path_of(name));
            }
        }
    }
}

/// The value at this path should be something else.
pub(super) fn wrong(path: &str, found: &Value, wanted: &str) -> Malformed {
    let text = found.to_string();
    let shown = super::json::shortened(&text, SHOWN_CHARS_MAX);
    if path.is_empty() {
        return Malformed {
            param: None,
            message: format!("the body is {shown}; give {wanted}"),
        };
    }
    Malformed::new(path, format!("`{path}` is {shown}; give {wanted}"))
}

/// There should be a value at this path.
pub(super) fn missing(path: &str, wanted: &str) -> Malformed {
    Malformed::new(path, format!("`{path}` is missing; give {wanted}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_took_is_listed_by_its_path_and_null_is_nothing() {
        let mut object = Object::of(json!({"a": 1, "b": null, "c": {}, "d": 2}), "x").unwrap();
        assert_eq!(object.count("a"), Ok(Some(1)));
        let mut dropped = Vec::new();
        object.drop_rest(&mut dropped);
        assert_eq!(dropped, ["x.c", "x.d"]);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place_and_what_to_give() {
        let mut object = Object::of(json!({"n": -1.5, "stop": 3}), "").unwrap();
        let problem = object.count("n").unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("n"));
        assert_eq!(
            problem.message,
            "`n` is -1.5; give a whole number, 0 or more"
        );
        assert!(object.array("stop").unwrap_err().message.contains("`stop`"));
        let problem = object.needed_string("model").unwrap_err();
        assert_eq!(problem.message, "`model` is missing; give a string");
    }
}
