//! Streams and answers that went wrong on the way: the exchanges under `tests/fixtures/wire/` with bytes
//! flipped, lost, doubled and mixed, read by every reader and written by every writer. Nothing may
//! panic, and nothing may grow out of proportion. The same seed makes the same mistakes.

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use semroute::domain::chat::{Format, UsageReport};
use semroute::wire::sse::Decoder;
use semroute::wire::{Depth, Inbound, Outbound, Stamp, StreamEvent};

use crate::dialects::PROVIDERS;

/// Mistakes made with each text.
const N_MISTAKES: u64 = 150;

/// How much longer than what came in what goes out may be, for each byte and besides. Every event is
/// told with its frame, which is longer than the shortest event.
const GROWTH_MAX: usize = 200;
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// What is often put where it does not belong.
const SCRAPS: [&str; 14] = [
    "\n",
    "\r\n\r\n",
    "data: ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "null",
    "-1e999",
    "\\ud800",
    "\u{FEFF}",
    "[DONE]",
    "\"index\":18446744073709551615",
];

fn texts() -> Vec<Vec<u8>> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if name == "stream.sse" || name == "response.json" {
                files.push(path);
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|file| fs::read(file).unwrap())
        .collect()
}

/// A range of a text, a tenth of it at most.
fn range(text: &[u8], chance: &mut StdRng) -> std::ops::Range<usize> {
    let start = chance.random_range(0..=text.len());
    let length = chance.random_range(0..=text.len() / 10);
    start..text.len().min(start + length)
}

/// The text with one to four mistakes.
fn mistaken(text: &[u8], other: &[u8], chance: &mut StdRng) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..chance.random_range(1..=4) {
        let place = range(&text, chance);
        let scrap = match chance.random_range(0..5) {
            0 => Vec::new(),
            1 => text[place.clone()].repeat(2),
            2 => other[range(other, chance)].to_vec(),
            3 => SCRAPS[chance.random_range(0..SCRAPS.len())].into(),
            _ => vec![chance.random()],
        };
        text.splice(place, scrap);
    }
    text
}

fn stamp() -> Stamp {
    Stamp {
        request_id: "mistake".to_owned(),
        created_unix_s: 1_700_000_000,
        model: "a-model".to_owned(),
    }
}

/// Reads a stream as a gateway does, and gives the length of what its caller would get.
fn told_bytes(text: &[u8], provider: Outbound, caller: Inbound) -> usize {
    let depth = provider.depth_for(caller.format());
    let mut decoder = Decoder::default();
    let mut reader = provider.stream_reader(depth);
    let mut writer = caller.stream_writer(stamp(), UsageReport::Wanted);
    let mut n_bytes = 0;
    for piece in text.chunks(97) {
        let pushed = decoder.push(piece);
        while let Some(data) = decoder.next_event() {
            match reader.read(data) {
                Ok(StreamEvent::Chunk(chunk)) => n_bytes += writer.write(chunk).len(),
                Ok(StreamEvent::Idle) => {}
                Ok(StreamEvent::Done | StreamEvent::Failed(_)) | Err(_) => return n_bytes,
            }
        }
        if pushed.is_err() {
            return n_bytes;
        }
    }
    n_bytes + writer.end("end").len()
}

#[test]
fn whatever_went_wrong_on_the_way_is_read_or_refused_and_never_grows_out_of_proportion() {
    let texts = texts();
    let formats = [Format::OpenAi, Format::Anthropic, Format::Gemini];
    let callers: Vec<Inbound> = formats.into_iter().filter_map(Inbound::of).collect();
    let mut n_told = 0;
    for (position, text) in texts.iter().enumerate() {
        for seed in 0..N_MISTAKES {
            let mut chance = StdRng::seed_from_u64(position as u64 * N_MISTAKES + seed);
            let other = &texts[chance.random_range(0..texts.len())];
            let wrong = mistaken(text, other, &mut chance);
            let bound = GROWTH_MAX * wrong.len() + FRAME_BYTES_MAX;
            let body = String::from_utf8_lossy(&wrong).into_owned();
            for (_, provider) in PROVIDERS {
                for caller in &callers {
                    let n_bytes = told_bytes(&wrong, provider, *caller);
                    assert!(n_bytes < bound, "{n_bytes} of {}: {body}", wrong.len());
                    n_told += usize::from(0 < n_bytes);
                    let answer = provider.read_answer(body.clone(), Depth::Everything);
                    if let Ok(answer) = answer {
                        let written = caller.write_answer(answer, &stamp());
                        assert!(written.len() < bound, "{body}");
                    }
                }
                let failure = provider.read_failure(500, &body, None);
                assert!(failure.message.len() < FRAME_BYTES_MAX, "{body}");
            }
        }
    }
    // If nothing came through, nothing was looked at.
    assert!(texts.len() < n_told, "{n_told}");
}
