use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

fn is_json(text: &str) -> bool {
    places(text, 127).is_some()
}

fn is_read(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The value at a place, put together from the places alone.
fn built(text: &str, places: &[Place], number: usize) -> Value {
    let place = places[number];
    let own = &text[place.start()..place.end()];
    let within = || {
        let mut next = number + 1;
        std::iter::from_fn(move || {
            let found = next;
            (found < place.next()).then(|| next = places[found].next())?;
            Some(found)
        })
    };
    match place.kind {
        Kind::Array => within().map(|it| built(text, places, it)).collect(),
        Kind::Object => {
            let numbers: Vec<usize> = within().collect();
            let pairs = numbers.chunks(2).map(|pair| {
                let name = built(text, places, pair[0]);
                let value = built(text, places, pair[1]);
                (name.as_str().unwrap().to_owned(), value)
            });
            Value::Object(pairs.collect())
        }
        Kind::Plain => Value::from(&own[1..own.len() - 1]),
        Kind::Null => Value::Null,
        Kind::Boolean | Kind::Number | Kind::Escaped | Kind::Numbered => {
            serde_json::from_str(own).unwrap()
        }
    }
}

#[test]
fn every_part_of_the_grammar_is_known() {
    for text in [
        "{}",
        "[ ]",
        "\"\"",
        "0",
        "-0",
        "-0.0e-7",
        "1E+9",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "true",
        "tru",
        "nul",
        "null",
        "falsee",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "{\"a\" : [ { } , null ] }",
        "[1}",
        "{]",
        "\"\\u12aB\"",
        "\"\\u12g4\"",
        "\"\\x\"",
        "\"a\nb\"",
        "\"\u{7f}é\"",
        "\"\\\"",
        "\"12345678\\",
        "",
        " ",
        "1 2",
        "\"\\ud800\"",
        "[[[[",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "{}}",
        "[]]",
        " [ ] ",
    ] {
        assert_eq!(is_json(text), is_read(text), "{text:?}");
    }
}

#[test]
fn a_value_is_as_deep_as_it_may_be_and_no_deeper() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_json(&nested(127)));
    assert!(!is_json(&nested(128)));
    // Those that have ended count no more.
    assert!(is_json(&format!("[{}[]]", "[[]],".repeat(200))));
}

#[test]
fn a_string_tells_how_its_text_is_had() {
    let kind = |text: &str| places(text, 1).unwrap()[0].kind;
    assert_eq!(kind(r#""as it is, é""#), Kind::Plain);
    assert_eq!(kind(r#""a\nb""#), Kind::Escaped);
    assert_eq!(kind(r#""a\u00e9\n""#), Kind::Numbered);
}

/// What a string is must not depend on where in a word or block its bytes stand.
#[test]
fn every_byte_of_a_string_counts_wherever_it_stands() {
    for n_before in 0..3 * BLOCK {
        let before = "x".repeat(n_before);
        for n_behind in [0, 1, 9, BLOCK] {
            let behind = "y".repeat(n_behind);
            for part in [
                "\"",
                "\\",
                "\\n",
                "\\\\",
                "\\\"",
                "\\\\\\n",
                "\\u00e9",
                "\\u00g9",
                "\\u12",
                "\\x",
                "\u{0}",
                "\u{1f}",
                " ",
                "!#[]",
                "\u{7f}",
                "é",
                "🦀",
                "\n",
                "!\u{1}",
                "\\n\\t\\\"\\/",
            ] {
                let text = format!("[\"{before}{part}{behind}\"]");
                assert_eq!(is_json(&text), is_read(&text), "{text:?}");
            }
        }
    }
}

/// A tree of JSON as people and machines write it.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z \"\\\\\n\u{1}é🦀]{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"é\n]{0,8}", inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_json_is_what_the_common_reader_takes_for_it(
        text in "[\\[\\]{}:, \"\\\\un0-9.eE+-]{0,12}|\\{\"[a-z\"\\\\\u{1f}é]{0,20}\":[0-9\\[\\]]{1,4}\\}",
    ) {
        prop_assert_eq!(is_json(&text), is_read(&text));
    }

    #[test]
    fn the_places_are_those_of_the_values(value in json(), is_pretty: bool) {
        let text = if is_pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        let places = places(&text, 127).unwrap();
        prop_assert_eq!(built(&text, &places, 0), value);
        prop_assert_eq!(places[0].next(), places.len());
    }
}
