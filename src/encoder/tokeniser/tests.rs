//! The short way against the crate.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;

static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::read(root.join("models/all-MiniLM-L6-v2/tokenizer.json")).unwrap()
});

/// The same tokeniser with capital letters told apart, and words of ten letters at most.
static CASED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    changed(|file| {
        file["normalizer"]["lowercase"] = json!(false);
        file["model"]["max_input_chars_per_word"] = json!(10);
    })
});

static PAIRS: LazyLock<[Pair; 2]> = LazyLock::new(|| [Pair::of(&FILE), Pair::of(&CASED)]);

/// Our tokeniser and the crate's, of one file.
struct Pair {
    ours: Tokeniser,
    crates: Tokenizer,
}

impl Pair {
    fn of(file: &[u8]) -> Self {
        let ours = parse(file).unwrap();
        assert!(matches!(ours.kind, Kind::Short(..)), "the long way only");
        Self {
            ours,
            crates: thorough(file).unwrap(),
        }
    }

    /// The tokens of a text, which both ways agree on.
    fn agree(&self, text: &str) -> Result<Vec<u32>, TestCaseError> {
        let expected = encode(&self.crates, text).unwrap();
        prop_assert_eq!(
            self.ours.tokenise(text).unwrap(),
            expected.clone(),
            "{:?}",
            text
        );
        Ok(expected)
    }

    fn is_short(&self, text: &str) -> bool {
        match &self.ours.kind {
            Kind::Short(words, _) => words.tokenise(text).is_some(),
            Kind::Thorough(_) => false,
        }
    }
}

fn parse(file: &[u8]) -> Result<Tokeniser, Error> {
    Tokeniser::parse(Path::new("tokenizer.json"), Cow::Owned(file.to_vec()))
}

fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut file: Value = serde_json::from_slice(&FILE).unwrap();
    change(&mut file);
    serde_json::to_vec(&file).unwrap()
}

fn pieces() -> Vec<String> {
    let description: Description<'_> = serde_json::from_slice(&FILE).unwrap();
    let vocabulary = description.model.vocab.0.into_iter();
    vocabulary
        .map(|(token, _)| token.trim_start_matches("##").to_owned())
        .collect()
}

/// Every string in the lines of a file of JSON, whatever it is called there.
fn texts(lines: &str) -> Vec<String> {
    fn collect(value: Value, texts: &mut Vec<String>) {
        match value {
            Value::String(text) => texts.push(text),
            Value::Array(values) => values.into_iter().for_each(|it| collect(it, texts)),
            Value::Object(fields) => fields.into_iter().for_each(|(_, it)| collect(it, texts)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for line in lines.lines().filter_map(|it| serde_json::from_str(it).ok()) {
        collect(line, &mut found);
    }
    found
}

/// The files of JSON lines in a folder and the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|it| it == "jsonl") {
            found.push(path);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_has_the_tokens_that_the_crate_gives(text in any::<String>()) {
        for pair in PAIRS.iter() {
            pair.agree(&text)?;
        }
    }

    #[test]
    fn any_ascii_has_the_tokens_that_the_crate_gives(bytes in prop::collection::vec(0_u8..128, 0..80)) {
        let text = String::from_utf8(bytes).unwrap();
        for pair in PAIRS.iter() {
            pair.agree(&text)?;
        }
    }

    #[test]
    fn any_printable_ascii_goes_the_short_way(text in "[ -Z\\\\-~\t\r\n]{0,80}") {
        for pair in PAIRS.iter() {
            pair.agree(&text)?;
            prop_assert!(pair.is_short(&text), "{:?}", text);
        }
    }

    #[test]
    fn what_is_made_of_tokens_has_the_tokens_that_the_crate_gives(
        chosen in prop::collection::vec((any::<Index>(), "[ ,A-z]?"), 0..12),
    ) {
        static PIECES: LazyLock<Vec<String>> = LazyLock::new(pieces);
        let text: String = chosen
            .iter()
            .flat_map(|(at, between)| [at.get(&PIECES).as_str(), between])
            .collect();
        for pair in PAIRS.iter() {
            pair.agree(&text)?;
        }
    }
}

#[test]
fn words_too_long_and_added_tokens_are_as_the_crate_has_them() {
    let long = |n| "a".repeat(n);
    let told = [
        String::new(),
        " \t\r\n".to_owned(),
        format!("{} {} {}", long(100), long(101), long(300)),
        "[SEP]".to_owned(),
        "a[MASK]b [mask] [ SEP ] x[0] = [PAD]".to_owned(),
        "a\u{0}b\u{7f}c\u{b}d\u{c}e".to_owned(),
        "## ##ing a##ing #".to_owned(),
    ];
    for pair in PAIRS.iter() {
        for text in &told {
            pair.agree(text).unwrap();
        }
        assert!(pair.is_short("let first = row[0];") && !pair.is_short("a [SEP] b"));
    }
}

#[test]
fn the_shipped_texts_have_the_tokens_that_the_crate_gives_nearly_all_the_short_way() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("evals/assistant");
    let texts: Vec<String> = files(&folder)
        .iter()
        .flat_map(|path| texts(&fs::read_to_string(path).unwrap()))
        .collect();
    assert!(3_000 < texts.len(), "{} texts", texts.len());
    let short = texts.iter().filter(|text| {
        PAIRS[0].agree(text).unwrap();
        PAIRS[0].is_short(text)
    });
    let short = short.count();
    assert!(texts.len() * 8 < short * 10, "{short} of {}", texts.len());
}

/// Developers may have more texts beside the repository.
#[test]
fn the_developers_texts_have_the_tokens_that_the_crate_gives() {
    /// Strings a file: the longest files would take minutes.
    const TEXTS_MAX: usize = 4_000;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/datasets");
    for path in files(&folder) {
        for text in texts(&fs::read_to_string(&path).unwrap())
            .iter()
            .take(TEXTS_MAX)
        {
            PAIRS[0].agree(text).unwrap();
        }
    }
}

#[test]
fn what_frames_a_text_is_what_the_crate_puts_there() {
    for pair in PAIRS.iter() {
        let framed = pair.crates.encode("", true).unwrap();
        assert_eq!(pair.ours.frame().as_slice(), framed.get_ids());
    }
}

#[test]
fn a_file_that_says_anything_else_is_left_to_the_crate() {
    let changes: [fn(&mut Value); 9] = [
        |file| file["normalizer"]["clean_text"] = json!(false),
        |file| file["normalizer"] = json!({"type": "Lowercase"}),
        |file| file["normalizer"]["new"] = json!(1),
        |file| file["pre_tokenizer"] = json!({"type": "Whitespace"}),
        |file| file["model"]["continuing_subword_prefix"] = json!("@@"),
        |file| file["model"]["max_input_chars_per_word"] = json!(0),
        |file| file["model"]["unk_token"] = json!("[NONE]"),
        |file| file["added_tokens"][0]["normalized"] = json!(true),
        |file| file["decoder"] = json!({"type": "Fuse"}),
    ];
    let mut n_short = 0;
    for change in changes {
        let file = changed(change);
        let ours = parse(&file).unwrap();
        n_short += usize::from(matches!(ours.kind, Kind::Short(..)));
        let crates = thorough(&file).unwrap();
        for text in ["Don't stop, 42 electroencephalographs!", "[PAD] ok"] {
            assert_eq!(ours.tokenise(text).unwrap(), encode(&crates, text).unwrap());
        }
    }
    assert_eq!(n_short, 1, "how tokens become text again changes nothing");
}

#[test]
fn a_damaged_file_is_told_when_it_is_read() {
    let cut = &FILE[..FILE.len() / 2];
    let without = |part: &'static str| changed(move |file| file[part] = json!("nothing"));
    let broken = [
        "model",
        "decoder",
        "normalizer",
        "padding",
        "post_processor",
    ]
    .map(without);
    let odd = changed(|file| file["new"] = json!({}));
    for file in broken
        .iter()
        .map(Vec::as_slice)
        .chain([cut, &odd, b"", b"{}"])
    {
        assert!(matches!(parse(file), Err(Error::Damaged { .. })));
    }
}
