//! Writes a value as JSON, byte for byte as `serde_json` does, in less time. Maps must have texts for keys.
//!
//! A record is some fifty names of fields and as many short values. `serde_json` looks through every byte of the
//! names too, whether one must be escaped, and takes any float for one with seventeen digits, which is more than half of
//! what a line costs. Here names are written as they are, texts are looked through many bytes at a
//! time, and durations are written as the whole numbers that they were. Whatever is rare in a record is left to
//! `serde_json`. Not for values that hold its `RawValue`, which only it knows how to write.

use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::{Error, Result};

use crate::domain::decimal::Decimal;

/// Appends the JSON of a value to a text. On failure a part of it may stand there.
pub(super) fn append(text: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    value.serialize(&mut Line(text))
}

/// A text that is being written.
struct Line<'t>(&'t mut Vec<u8>);

impl Line<'_> {
    fn put(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A text in which nothing needs an escape, such as a name out of a type's definition.
    fn put_quoted(&mut self, text: &str) {
        // Room for what stands around it too, so that it is looked for once.
        self.0.reserve(text.len() + 3);
        self.0.push(b'"');
        self.put(text);
        self.0.push(b'"');
    }

    fn leave_to_serde_json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        serde_json::to_writer(&mut *self.0, value)
    }
}

/// Whether a text can stand between quotes as it is.
fn needs_no_escape(text: &str) -> bool {
    let is_odd =
        |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    // Without an early end and without a branch, the compiler looks at sixteen bytes in one go.
    text.bytes().fold(0, |odd, byte| odd | is_odd(byte)) == 0
}

/// Below this, two numbers of at most three decimals are never the same float, so the decimal that a
/// float was read from is also the shortest one that is read as that float.
const THOUSANDTHS_MAX: f64 = 1e15;

/// How many thousandths a number is, if it is a whole number of them.
fn thousandths(value: f64) -> Option<u64> {
    // A zero with a sign is written with it.
    if !(value.is_sign_positive() && value < THOUSANDTHS_MAX / 1e3) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie between 0 and 1e15 just above"
    )]
    let whole = (value * 1e3 + 0.5) as u64;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let back = whole as f64 / 1e3;
    (back.to_bits() == value.to_bits()).then_some(whole)
}

macro_rules! left_to_serde_json {
    ($($function:ident: $Type:ty),+ $(,)?) => {
        $(fn $function(self, value: $Type) -> Result<()> {
            self.leave_to_serde_json(&value)
        })+
    };
}

impl<'l, 't> Serializer for &'l mut Line<'t> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'l, 't>;
    type SerializeTuple = Parts<'l, 't>;
    type SerializeTupleStruct = Parts<'l, 't>;
    type SerializeTupleVariant = Parts<'l, 't>;
    type SerializeMap = Parts<'l, 't>;
    type SerializeStruct = Parts<'l, 't>;
    type SerializeStructVariant = Parts<'l, 't>;

    left_to_serde_json! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u128: u128,
        serialize_f32: f32, serialize_char: char, serialize_bytes: &[u8],
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.put(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<()> {
        self.0
            .extend_from_slice(Decimal::full::<0>(value).as_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        match thousandths(value) {
            // Most stages of most requests take no time.
            Some(0) => self.put("0.0"),
            Some(thousandths) => {
                let decimal = Decimal::short::<3>(thousandths);
                self.0.extend_from_slice(decimal.as_bytes());
                if thousandths.is_multiple_of(1000) {
                    self.put(".0");
                }
            }
            None => return self.leave_to_serde_json(&value),
        }
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        if !needs_no_escape(value) {
            return self.leave_to_serde_json(value);
        }
        self.put_quoted(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.put("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<()> {
        self.put_quoted(name);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.open_variant(name);
        value.serialize(&mut *self)?;
        self.put("}");
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'l, 't>> {
        Ok(Parts::open(self, b'[', "]"))
    }

    fn serialize_tuple(self, n_parts: usize) -> Result<Parts<'l, 't>> {
        self.serialize_seq(Some(n_parts))
    }

    fn serialize_tuple_struct(self, _: &'static str, n_parts: usize) -> Result<Parts<'l, 't>> {
        self.serialize_seq(Some(n_parts))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Parts<'l, 't>> {
        self.open_variant(name);
        Ok(Parts::open(self, b'[', "]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'l, 't>> {
        Ok(Parts::open(self, b'{', "}"))
    }

    fn serialize_struct(self, _: &'static str, n_fields: usize) -> Result<Parts<'l, 't>> {
        self.serialize_map(Some(n_fields))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Parts<'l, 't>> {
        self.open_variant(name);
        Ok(Parts::open(self, b'{', "}}"))
    }
}

impl Line<'_> {
    fn open_variant(&mut self, name: &'static str) {
        self.put("{");
        self.put_quoted(name);
        self.put(":");
    }
}

/// A list or an object that is being written. Each part leaves a comma behind it, and the end takes the place
/// of the last.
struct Parts<'l, 't> {
    line: &'l mut Line<'t>,
    end: &'static str,
}

impl<'l, 't> Parts<'l, 't> {
    fn open(line: &'l mut Line<'t>, start: u8, end: &'static str) -> Self {
        line.0.push(start);
        Self { line, end }
    }

    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut *self.line)?;
        self.line.0.push(b',');
        Ok(())
    }

    fn named_part<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.line.put_quoted(name);
        self.line.0.push(b':');
        self.part(value)
    }

    fn close(self) {
        // Only a part ends with one here: what opens a list or an object does not.
        self.line.0.pop_if(|last| *last == b',');
        self.line.put(self.end);
    }
}

impl SerializeMap for Parts<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let start = self.line.0.len();
        key.serialize(&mut *self.line)?;
        if self.line.0.get(start) != Some(&b'"') {
            return Err(Error::custom("a key of a map in the log is no text"));
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.line.0.push(b':');
        self.part(value)
    }

    fn end(self) -> Result<()> {
        self.close();
        Ok(())
    }
}

macro_rules! list {
    ($($Trait:ident :: $function:ident),+ $(,)?) => {
        $(impl $Trait for Parts<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn $function<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.part(value)
            }

            fn end(self) -> Result<()> {
                self.close();
                Ok(())
            }
        })+
    };
}

list! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! object {
    ($($Trait:ident),+) => {
        $(impl $Trait for Parts<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
                self.named_part(name, value)
            }

            fn end(self) -> Result<()> {
                self.close();
                Ok(())
            }
        })+
    };
}

object!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests;
