//! Every dialect against every folder of fixtures.
//!
//! `tests/fixtures/wire/FORMAT/CASE/` is one exchange with a provider that speaks FORMAT. The name of
//! a case begins with the caller's format. In it lie:
//!
//! | file | what it is |
//! |---|---|
//! | `call.json` | what the caller sends |
//! | `request.json` | what the provider must get |
//! | `dropped.json` | the fields that it cannot be told, if there are any |
//! | `refused.json` | `{"param": …, "says": …}` instead of all others, where the request must be refused |
//! | `response.json` or `stream.sse` | what the provider answers, whole or streamed |
//! | `answer.json` or `answer.sse` | what the caller must get |
//!
//! Where both speak one format, what travels must be the same to the byte, but for the model.

use std::fs;
use std::path::{Path, PathBuf};

use semroute::domain::chat::{Delivery, Request, UsageReport};
use semroute::wire::sse::Decoder;
use semroute::wire::{
    Inbound, Manners, Outbound, Stamp, StreamEvent, StreamWriter, Writing, Written,
};
use serde_json::Value;

/// What the provider calls the model in every fixture.
const UPSTREAM_MODEL: &str = "upstream-model";

/// The folders, one a format that providers speak.
pub(crate) const PROVIDERS: [(&str, Outbound); 3] = [
    ("anthropic", Outbound::Anthropic),
    ("openai", Outbound::OpenAi),
    ("gemini", Outbound::Gemini),
];

struct Case {
    folder: PathBuf,
    name: String,
    caller: Inbound,
    provider: Outbound,
}

impl Case {
    fn text(&self, file: &str) -> Option<String> {
        let path = self.folder.join(file);
        path.exists().then(|| fs::read_to_string(path).unwrap())
    }

    fn json(&self, file: &str) -> Option<Value> {
        self.text(file).map(|text| {
            serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}/{file}: {error}", self.name))
        })
    }

    fn is_translated(&self) -> bool {
        self.caller.format() != self.provider.format()
    }

    fn request(&self) -> Request {
        let call = self.text("call.json").expect("every case has a call");
        self.caller.read_request(call.as_bytes()).unwrap()
    }
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire");
    let mut cases = Vec::new();
    for (format, provider) in PROVIDERS {
        for entry in fs::read_dir(root.join(format)).unwrap() {
            let folder = entry.unwrap().path();
            let name = folder.file_name().unwrap().to_str().unwrap();
            let caller = match name.split('-').next() {
                Some("anthropic") => Inbound::Anthropic,
                Some("openai") => Inbound::OpenAi,
                other => panic!("{other:?} is no caller's format"),
            };
            cases.push(Case {
                name: format!("{format}/{name}"),
                caller,
                provider,
                folder,
            });
        }
    }
    cases.sort_by(|left, right| left.name.cmp(&right.name));
    cases
}

fn stamp() -> Stamp {
    Stamp {
        request_id: "fixture".to_owned(),
        created_unix_s: 1_700_000_000,
        model: "a-model".to_owned(),
    }
}

fn writing(request: &Request) -> Writing<'static> {
    Writing {
        model: UPSTREAM_MODEL,
        delivery: request.delivery,
        manners: Manners::default(),
    }
}

/// The events of a stream: the name, where there is one, and the data.
fn events(text: &str) -> Vec<(String, Value)> {
    let parse = |data: &str| serde_json::from_str(data).unwrap_or_else(|_| data.into());
    text.split("\n\n")
        .filter_map(|event| {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            let data = field("data: ")?;
            Some((field("event: ").unwrap_or_default().to_owned(), parse(data)))
        })
        .collect()
}

#[test]
fn a_request_reaches_the_provider_in_its_words() {
    for case in cases() {
        let request = case.request();
        let written = case.provider.write_request(&request, &writing(&request));
        if let Some(refused) = case.json("refused.json") {
            let problem = written.unwrap_err();
            assert_eq!(
                problem.param.as_deref(),
                refused["param"].as_str(),
                "{}: {problem}",
                case.name
            );
            let says = refused["says"].as_str().unwrap();
            assert!(problem.message.contains(says), "{}: {problem}", case.name);
            continue;
        }
        let Written { body, dropped } = written.unwrap_or_else(|problem| {
            panic!("{}: {problem}", case.name);
        });
        let expected = case.json("request.json").unwrap();
        let found: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(found, expected, "{}: {body}", case.name);
        let expected = case
            .json("dropped.json")
            .unwrap_or_else(|| Value::Array(Vec::new()));
        assert_eq!(Value::from(dropped), expected, "{}", case.name);
    }
}

#[test]
fn an_answer_reaches_the_caller_in_its_words() {
    for case in cases() {
        let Some(response) = case.text("response.json") else {
            continue;
        };
        let depth = case.provider.depth_for(case.caller.format());
        let answer = case.provider.read_answer(response.clone(), depth);
        let answer = answer.unwrap_or_else(|problem| panic!("{}: {problem}", case.name));
        let written = case.caller.write_answer(answer, &stamp());
        let expected = case.json("answer.json");
        let found: Value = serde_json::from_str(&written).unwrap();
        match expected {
            Some(expected) => assert_eq!(found, expected, "{}: {written}", case.name),
            None => assert_eq!(written, response, "{}", case.name),
        }
        if !case.is_translated() {
            assert_eq!(written, response, "{}", case.name);
        }
    }
}

/// What a caller gets of a provider's stream that comes in pieces of so many bytes.
fn told(case: &Case, stream: &str, n_bytes: usize) -> String {
    let request = case.request();
    let depth = case.provider.depth_for(case.caller.format());
    let mut reader = case.provider.stream_reader(depth);
    let mut writer = case.caller.stream_writer(stamp(), request.usage_report);
    let mut decoder = Decoder::default();
    let mut told = String::new();
    for bytes in stream.as_bytes().chunks(n_bytes) {
        decoder.push(bytes).unwrap();
        while let Some(data) = decoder.next_event() {
            match reader
                .read(data)
                .unwrap_or_else(|it| panic!("{}: {it}", case.name))
            {
                StreamEvent::Chunk(chunk) => told.push_str(&writer.write(chunk)),
                StreamEvent::Idle => {}
                StreamEvent::Done => return told + &writer.end("end"),
                StreamEvent::Failed(said) => return told + &failed(writer, &said),
            }
        }
    }
    told + &writer.end("end")
}

fn failed(writer: StreamWriter, said: &str) -> String {
    writer.fail(&semroute::wire::ErrorText {
        status: 502,
        message: said,
        param: None,
        code: Some("upstream_unavailable"),
        request_id: "fixture",
    })
}

#[test]
fn a_stream_reaches_the_caller_in_its_words_however_its_bytes_are_cut() {
    for case in cases() {
        let Some(stream) = case.text("stream.sse") else {
            continue;
        };
        let whole = told(&case, &stream, stream.len());
        let expected = case.text("answer.sse").unwrap_or_else(|| stream.clone());
        assert_eq!(events(&whole), events(&expected), "{}:\n{whole}", case.name);
        for n_bytes in [1, 2, 3, 7, 64] {
            assert_eq!(told(&case, &stream, n_bytes), whole, "{}", case.name);
        }
    }
}

#[test]
fn every_folder_of_fixtures_holds_an_exchange() {
    let cases = cases();
    assert!(!cases.is_empty());
    for case in &cases {
        let has = |file: &str| case.folder.join(file).exists();
        assert!(has("call.json"), "{}", case.name);
        let asked = has("request.json");
        assert!(asked != has("refused.json"), "{}", case.name);
        let request = case.request();
        let answered = match request.delivery {
            Delivery::Whole => has("response.json"),
            Delivery::Streamed => has("stream.sse"),
        };
        assert!(answered || !asked, "{}", case.name);
        let untold = request.usage_report == UsageReport::Hidden;
        assert!(untold || request.delivery == Delivery::Streamed || case.is_translated() || asked);
    }
}
