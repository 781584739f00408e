//! What a caller is opened with, and where its requests go.

use super::*;

#[test]
fn a_setting_that_cannot_be_used_is_named() {
    let client = HttpClient::open().unwrap();
    let problem = |change: &dyn Fn(&mut Settings)| {
        let mut changed = settings("http://127.0.0.1:1/v1");
        change(&mut changed);
        Caller::open(&client, &changed).unwrap_err()
    };
    for url in [
        "",
        "api.openai.com",
        "ftp://host/v1",
        "http://h/v1?key=1",
        "http://u:p@h/",
    ] {
        let found = problem(&|settings| settings.base_url = url.to_owned());
        assert_eq!(found.field, "base_url", "{url}");
        assert!(!found.message.contains("u:p"), "{found}");
    }
    let blank = problem(&|settings| settings.api_key = Some(Secret::new(" ")));
    assert_eq!(blank.field, "api_key");
    let broken = problem(&|settings| settings.api_key = Some(Secret::new("a\nb")));
    assert_eq!(broken.field, "api_key");
    let header = ("bad name".to_owned(), Secret::new("x"));
    let named = problem(&|settings| settings.headers = vec![header.clone()]);
    assert_eq!(named.field, "headers");
}

#[test]
fn the_path_follows_the_address_with_or_without_a_slash() {
    for url in ["https://h/v1", "https://h/v1/", " https://h/v1 "] {
        let writing = Writing {
            model: "m",
            delivery: Delivery::Whole,
            manners: Manners::default(),
        };
        let caller = open(url);
        let endpoint = caller.uri(caller.path(&writing)).unwrap();
        assert_eq!(endpoint.to_string(), "https://h/v1/chat/completions");
    }
}

#[test]
fn an_address_without_a_path_gets_no_second_slash_and_a_query_stays_one() {
    let opened = |dialect, endpoint| {
        let settings = Settings {
            dialect,
            endpoint,
            ..settings("https://h")
        };
        let caller = Caller::open(&HttpClient::open().unwrap(), &settings).unwrap();
        let writing = Writing {
            model: "a b/c?d",
            delivery: Delivery::Streamed,
            manners: Manners::default(),
        };
        caller.url(&caller.path(&writing)).to_string()
    };
    let azure = Endpoint::AzureDeployment {
        api_version: "2024-10-21".to_owned(),
    };
    assert_eq!(
        opened(Outbound::OpenAi, Endpoint::OfDialect),
        "https://h/chat/completions"
    );
    assert_eq!(
        opened(Outbound::OpenAi, azure),
        "https://h/openai/deployments/a%20b%2Fc%3Fd/chat/completions?api-version=2024-10-21"
    );
    assert_eq!(
        opened(Outbound::Gemini, Endpoint::OfDialect),
        "https://h/models/a%20b%2Fc%3Fd:streamGenerateContent?alt=sse"
    );
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let caller = open("http://127.0.0.1:1/v1");
    let printed = format!("{caller:?} {:?}", settings("http://127.0.0.1:1/v1"));
    assert!(
        !printed.contains("key-1") && !printed.contains("blue"),
        "{printed}"
    );
}
