use proptest::prelude::*;

use super::*;

fn embedding() -> Embedding {
    Embedding {
        encoder: EncoderIdentity {
            name: "tiny".to_owned(),
            digest: "abc".to_owned(),
            dimensions: 2,
        },
        kernel: "portable".to_owned(),
        text: "last_user".to_owned(),
        windows: 4,
    }
}

/// So many rows; every fifth is out of scope.
fn rows(n: u8) -> Rows {
    let label = |row: u8| Label {
        intent: (!row.is_multiple_of(5))
            .then(|| ["red", "blue"][usize::from(row % 2)].parse().unwrap()),
        prompt: [row; 32],
        place: Place {
            file: ["a.jsonl", "b.jsonl"][usize::from(row.is_multiple_of(3))].into(),
            line: usize::from(row) + 1,
        },
    };
    let values = (0..n).flat_map(|row| [f32::from(row), 0.5]).collect();
    Rows {
        embedding: embedding(),
        vectors: Vectors::from_flat(2, values).unwrap(),
        labels: (0..n).map(label).collect(),
    }
}

fn parts(rows: &Rows, of: usize) -> Vec<Part> {
    (1..=of)
        .map(|index| {
            let shard = Shard { index, of };
            Part {
                shard,
                whole: rows.digest(),
                n_whole: rows.len(),
                rows: rows.filter(|row, _| shard.holds(row)),
            }
        })
        .collect()
}

#[test]
fn rows_come_back_from_their_file() {
    let rows = rows(11);
    assert_eq!(Rows::from_bytes(&rows.to_bytes().unwrap()), Ok(rows));
}

#[test]
fn a_missing_part_is_named() {
    let mut parts = parts(&rows(9), 4);
    parts.remove(2);
    parts.remove(0);
    let message = join(parts).unwrap_err().to_string();
    assert!(
        message.starts_with("parts 1, 3 of 4 are missing"),
        "{message}"
    );
}

#[test]
fn parts_of_different_arithmetic_are_not_mixed() {
    let mut parts = parts(&rows(9), 3);
    parts[1].rows.embedding.kernel = "other".to_owned();
    let message = join(parts).unwrap_err().to_string();
    assert!(
        message.starts_with("part 2/3 was embedded with"),
        "{message}"
    );
    assert!(
        message.contains("on other") && message.contains("on portable"),
        "{message}"
    );
}

#[test]
fn parts_of_different_files_are_not_mixed() {
    let mut mixed = parts(&rows(9), 3);
    mixed[2] = parts(&rows(8), 3).remove(2);
    assert_eq!(
        join(mixed),
        Err(Error::OtherWhole {
            shard: Shard { index: 3, of: 3 }
        })
    );
}

#[test]
fn a_newer_label_replaces_the_older_of_the_same_prompt() {
    let base = rows(4);
    let mut newer = rows(2);
    newer.labels[1].intent = Some("green".parse().unwrap());
    let joined = base.corrected_by(&newer);
    assert_eq!(joined.len(), 4);
    let labels: Vec<(u8, Option<&str>)> = joined
        .labels
        .iter()
        .map(|it| (it.prompt[0], it.intent.as_ref().map(IntentName::as_str)))
        .collect();
    let expected = [
        (2, Some("red")),
        (3, Some("blue")),
        (0, None),
        (1, Some("green")),
    ];
    assert_eq!(labels, expected);
}

#[test]
fn a_share_is_read_as_people_write_it() {
    assert_eq!("3/16".parse(), Ok(Shard { index: 3, of: 16 }));
    for wrong in ["0/4", "5/4", "3", "a/b", "1/0", "-1/2"] {
        let message = wrong.parse::<Shard>().unwrap_err();
        assert!(
            message.contains(wrong) && message.contains("3/16"),
            "{message}"
        );
    }
}

proptest! {
    #[test]
    fn parts_make_the_whole_again_whatever_their_order(n in 1_u8..40, of in 1_usize..9, seed: u64) {
        let whole = rows(n);
        let mut parts: Vec<Part> = parts(&whole, of)
            .iter()
            .map(|part| Part::from_bytes(&part.to_bytes().unwrap()).unwrap())
            .collect();
        let n_parts = parts.len();
        parts.rotate_left(usize::try_from(seed % n_parts as u64).unwrap());
        prop_assert_eq!(join(parts), Ok(whole));
    }

    #[test]
    fn no_bytes_whatever_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Rows::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_file_cut_short_is_an_error(cut: prop::sample::Index) {
        let mut bytes = rows(5).to_bytes().unwrap();
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(Rows::from_bytes(&bytes).is_err());
    }
}
