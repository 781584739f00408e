use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn written(value: &impl Serialize) -> String {
    let mut text = b"before ".to_vec();
    append(&mut text, value).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.strip_prefix("before ").unwrap().to_owned()
}

fn same(value: &impl Serialize) {
    assert_eq!(written(value), serde_json::to_string(value).unwrap());
}

/// Every shape that a type can have.
#[derive(Serialize)]
enum Shape {
    Unit,
    Newtype(Option<u8>),
    Tuple(i64, f32, char),
    Struct { a: (), b: Option<Box<Shape>> },
}

#[derive(Serialize)]
struct Nothing;

#[derive(Serialize)]
struct Wrapped(&'static str);

#[derive(Serialize)]
struct Pair(i128, u128);

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(tag = "kind", content = "reason")]
enum Tagged {
    Plain,
    Because(&'static str),
}

#[test]
fn every_shape_of_a_type_is_written_as_serde_json_writes_it() {
    same(&[Shape::Unit, Shape::Newtype(Some(7)), Shape::Newtype(None)]);
    same(&Shape::Tuple(-3, 0.1, '"'));
    let inner = Some(Box::new(Shape::Tuple(i64::MIN, f32::NAN, 'ü')));
    same(&Shape::Struct { a: (), b: inner });
    same(&(Nothing, Wrapped("x"), Pair(i128::MIN, u128::MAX), Empty {}));
    same(&[Tagged::Plain, Tagged::Because("of this")]);
    same(&(
        i8::MIN,
        i16::MIN,
        i32::MIN,
        u8::MAX,
        u16::MAX,
        u32::MAX,
        u64::MAX,
    ));
    same(&BTreeMap::from([("k", vec![1, 2]), ("\n", vec![])]));
}

#[test]
fn numbers_that_are_no_numbers_and_the_smallest_and_largest_are_written_alike() {
    for number in [
        0.0,
        -0.0,
        0.001,
        0.000_5,
        0.999_5,
        1.0,
        12.34,
        1e12 - 0.001,
        1e12,
        1e15,
        1e16,
        f64::MAX,
        f64::MIN_POSITIVE,
        -1.5,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        same(&number);
    }
}

#[test]
fn a_key_that_is_no_text_is_an_error_and_no_broken_line() {
    assert!(append(&mut Vec::new(), &BTreeMap::from([(1, 2)])).is_err());
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        r"[ -~]{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((".*", inner), 0..6)
                .prop_map(|pairs| Value::from(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_written_as_serde_json_writes_it(value in values()) {
        prop_assert_eq!(written(&value), serde_json::to_string(&value).unwrap());
    }

    #[test]
    fn a_text_is_escaped_wherever_it_must_be(
        plain in "[a-zäöü ]{0,40}", odd in proptest::char::range('\0', '\u{a0}'), more in "[a-z]{0,40}",
    ) {
        let text = format!("{plain}{odd}{more}");
        prop_assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a float of any kind will do")]
    fn a_duration_in_milliseconds_is_written_as_serde_json_writes_it(micros in any::<u64>(), shift in 0_u32..64) {
        let millis = (micros >> shift) as f64 / 1e3;
        for near in [millis, millis.next_up(), millis.next_down()] {
            prop_assert_eq!(written(&near), serde_json::to_string(&near).unwrap());
        }
    }
}
