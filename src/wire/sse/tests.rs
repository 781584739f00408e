use proptest::prelude::*;

use super::*;

/// The events of a text that comes in one piece.
fn decode(bytes: &[u8]) -> Vec<String> {
    decode_pieces([bytes])
}

fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = Decoder::default();
    for piece in pieces {
        decoder.push(piece).unwrap();
    }
    std::iter::from_fn(|| decoder.next_event()).collect()
}

#[test]
fn all_three_line_ends_end_a_line() {
    assert_eq!(decode(b"data: a\n\ndata: b\n\n"), ["a", "b"]);
    assert_eq!(decode(b"data: a\r\n\r\ndata: b\r\n\r\n"), ["a", "b"]);
    assert_eq!(decode(b"data: a\r\rdata: b\r\r"), ["a", "b"]);
}

#[test]
fn a_line_feed_that_comes_after_its_carriage_return_in_another_piece_ends_no_second_line() {
    let pieces: [&[u8]; 4] = [b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"];
    assert_eq!(decode_pieces(pieces), ["a\nb"]);
}

#[test]
fn lines_of_data_are_joined_and_other_fields_and_comments_passed_over() {
    let text = b": keep-alive\nevent: message\nid: 7\ndata: one\nretry: 3\ndata:two\n\n: bye\n\n";
    assert_eq!(decode(text), ["one\ntwo"]);
}

#[test]
fn one_space_after_the_colon_belongs_to_the_format_and_further_ones_to_the_data() {
    assert_eq!(decode(b"data:  x \n\n"), [" x "]);
    assert_eq!(decode(b"data\n\n"), [""]);
    assert_eq!(decode(b"database: x\n\n"), [""; 0]);
}

#[test]
fn a_byte_order_mark_is_passed_over_at_the_beginning_only() {
    assert_eq!(decode(b"\xEF\xBB\xBFdata: a\n\n"), ["a"]);
    let none: [&str; 0] = [];
    assert_eq!(decode(b"\n\xEF\xBB\xBFdata: a\n\n"), none);
}

#[test]
fn an_event_that_the_end_cuts_off_is_none() {
    assert_eq!(decode(b"data: a\n\ndata: b\n"), ["a"]);
}

#[test]
fn characters_cut_in_the_middle_come_out_whole() {
    let text = "data: é漢🦀\n\n".as_bytes();
    assert_eq!(decode_pieces(text.chunks(1)), ["é漢🦀"]);
}

#[test]
fn data_that_is_no_utf8_is_an_error_and_ends_the_stream() {
    let mut decoder = Decoder::default();
    assert_eq!(
        decoder.push(b"data: a\n\ndata: \xFF\n\n"),
        Err(DecodeError::NotUtf8)
    );
    assert_eq!(decoder.next_event().as_deref(), Some("a"));
    decoder.push(b"data: b\n\n").unwrap();
    assert_eq!(decoder.next_event(), None);
}

#[test]
fn the_longest_event_is_read_and_one_more_byte_is_not() {
    let line_bytes_max = EVENT_BYTES_MAX - "data:".len();
    let longest = format!("data:{}\n\n", "x".repeat(line_bytes_max));
    assert_eq!(decode(longest.as_bytes())[0].len(), line_bytes_max);

    let mut decoder = Decoder::default();
    let longer = format!("data:{}", "x".repeat(line_bytes_max + 1));
    assert_eq!(decoder.push(longer.as_bytes()), Err(DecodeError::TooLong));
}

#[test]
fn an_event_of_many_lines_is_bounded_as_one_of_a_single_line_is() {
    let mut decoder = Decoder::default();
    let line = format!("data:{}\n", "x".repeat(1 << 20));
    let pushed: Result<Vec<()>, DecodeError> =
        (0..5).map(|_| decoder.push(line.as_bytes())).collect();
    assert_eq!(pushed, Err(DecodeError::TooLong));
}

#[test]
fn the_bound_lies_at_the_same_byte_however_the_bytes_are_cut() {
    for n_over in [0, 1] {
        let comment = format!(":{}", "x".repeat(EVENT_BYTES_MAX - 1 + n_over));
        let text = format!("data: a\n\n{comment}\ndata: b\n\n");
        let whole = told([text.as_bytes()]);
        match n_over {
            0 => assert_eq!((whole.0.len(), whole.1), (2, None)),
            _ => assert_eq!((whole.0.len(), whole.1), (1, Some(DecodeError::TooLong))),
        }
        for n_bytes in [1, 4_093, 65_536, EVENT_BYTES_MAX] {
            assert!(told(text.as_bytes().chunks(n_bytes)) == whole, "{n_bytes}");
        }
    }
}

#[test]
fn comments_without_end_fill_no_memory() {
    let mut decoder = Decoder::default();
    for _ in 0..10_000 {
        decoder.push(b": still thinking\n\n").unwrap();
    }
    assert!(decoder.data.is_none() && decoder.line.is_empty() && decoder.ready.is_empty());
}

#[test]
fn what_is_written_has_one_event_whatever_the_line_ends_in_it() {
    assert_eq!(event("[DONE]"), "data: [DONE]\n\n");
    assert_eq!(decode(event("a\nb\r\nc\rd\n").as_bytes()), ["a\nb\nc\nd\n"]);
    assert_eq!(comment("one\rdata: two"), ": one\n: data: two\n\n");
    assert_eq!(decode(comment("one\r\ndata: two\n\n").as_bytes()), [""; 0]);
}

/// Text in which everything that the format gives a meaning is frequent.
fn stream_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("data"),
        Just(":"),
        Just(" "),
        Just("\n"),
        Just("\r"),
        Just("\r\n"),
        Just("data: x"),
        Just("\n\n"),
        Just("\u{FEFF}"),
        Just("é"),
        Just("event: e"),
        Just(": comment"),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Bytes in which everything that the format gives a meaning is frequent, and some are no text.
fn stream_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => stream_text().prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => Just(BYTE_ORDER_MARK.to_vec()),
        1 => Just(b"data: \xC3".to_vec()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// The events of bytes that come in these pieces, and the error that ended them.
fn told<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<DecodeError>) {
    let mut decoder = Decoder::default();
    let mut error = None;
    for piece in pieces {
        error = error.or(decoder.push(piece).err());
    }
    (std::iter::from_fn(|| decoder.next_event()).collect(), error)
}

/// The same bytes cut at these places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = places
        .iter()
        .map(|place| place.index(bytes.len() + 1))
        .collect();
    ends.sort_unstable();
    ends.push(bytes.len());
    let mut start = 0;
    let pieces = ends.into_iter().map(|end| {
        let piece = &bytes[start..end];
        start = end;
        piece
    });
    pieces.collect()
}

/// What the standard says of these bytes, read in the plainest way: all lines first, then their
/// meaning (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
fn by_the_standard(bytes: &[u8]) -> (Vec<String>, Option<DecodeError>) {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut lines = vec![Vec::new()];
    let mut rest = bytes.iter().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' | b'\n' => {
                if *byte == b'\r' {
                    rest.next_if_eq(&&b'\n');
                }
                lines.push(Vec::new());
            }
            other => lines.last_mut().unwrap().push(*other),
        }
    }
    lines.pop();
    let mut events = Vec::new();
    let mut data: Vec<&[u8]> = Vec::new();
    for line in &lines {
        let name_end = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(name_end.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        match name {
            b"data" => data.push(value.strip_prefix(b" ").unwrap_or(value)),
            b"" if name_end.is_none() && !data.is_empty() => {
                match String::from_utf8(std::mem::take(&mut data).join(&b'\n')) {
                    Ok(event) => events.push(event),
                    Err(_) => return (events, Some(DecodeError::NotUtf8)),
                }
            }
            _ => {}
        }
    }
    (events, None)
}

proptest! {
    #[test]
    fn any_bytes_give_the_same_events_and_the_same_error_however_they_are_cut(
        bytes in stream_bytes(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = told([bytes.as_slice()]);
        prop_assert_eq!(&told(cut(&bytes, &places)), &whole);
        prop_assert_eq!(&told(bytes.chunks(1)), &whole);
        prop_assert_eq!(by_the_standard(&bytes), whole);
    }

    #[test]
    fn the_cuts_do_not_matter(text in stream_text(), cuts in prop::collection::vec(0..200_usize, 0..12)) {
        let bytes = text.as_bytes();
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        ends.sort_unstable();
        ends.push(bytes.len());
        let mut start = 0;
        let mut pieces = Vec::new();
        for end in ends {
            pieces.push(&bytes[start..end]);
            start = end;
        }
        prop_assert_eq!(decode_pieces(pieces), decode(bytes));
        prop_assert_eq!(decode_pieces(bytes.chunks(1)), decode(bytes));
    }

    #[test]
    fn what_is_written_is_read_back(data in "[^\r]{0,80}") {
        prop_assert_eq!(decode(event(&data).as_bytes()), [data]);
    }

    #[test]
    fn any_bytes_end_in_events_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::default();
        let _ = decoder.push(&bytes);
        while decoder.next_event().is_some() {}
    }
}
