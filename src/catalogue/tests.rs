use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::chat::Usage;

fn catalogue(models: &serde_json::Value) -> Catalogue {
    read(&json!({ "models": models }).to_string(), Shelf::BuiltIn).unwrap()
}

fn name_of(found: &Found) -> Option<&str> {
    match found {
        Found::Entry { name, .. } => Some(name),
        Found::Ambiguous { .. } | Found::Nothing => None,
    }
}

fn sold() -> Catalogue {
    catalogue(&json!({
        "openai/gpt-9": { "input": 1, "output": 2, "context": 100, "tools": true },
        "openai/gpt-9-2030-01-31": { "input": 3, "output": 4 },
        "together/maker/open-70b": { "input": 1, "output": 2 },
        "groq/maker/open-70b": { "input": 1, "output": 3 },
        "together/maker/same-8b": { "input": 1, "output": 2, "context": 8, "tools": true },
        "groq/maker/same-8b": { "input": 1, "output": 2, "context": 9, "tools": true },
    }))
}

#[test]
fn a_vendors_model_is_found_by_its_own_name() {
    let sold = sold();
    assert_eq!(name_of(&sold.find("openai", "gpt-9")), Some("openai/gpt-9"));
    assert_eq!(
        name_of(&sold.find("groq", "maker/open-70b")),
        Some("groq/maker/open-70b")
    );
    assert_eq!(sold.find("openai", "gpt-9-mini"), Found::Nothing);
    assert_eq!(sold.find("openai", ""), Found::Nothing);
}

#[test]
fn a_dated_name_is_found_as_itself_or_without_its_date() {
    let sold = sold();
    for (asked, expected) in [
        ("gpt-9-2030-01-31", "openai/gpt-9-2030-01-31"),
        ("gpt-9-2030-02-28", "openai/gpt-9"),
        ("gpt-9-20300228", "openai/gpt-9"),
    ] {
        assert_eq!(
            name_of(&sold.find("openai", asked)),
            Some(expected),
            "{asked}"
        );
    }
    for asked in [
        "gpt-9-2030-02",
        "gpt-9-2030022",
        "gpt-9-x0300228",
        "-20300228",
    ] {
        assert_eq!(sold.find("openai", asked), Found::Nothing, "{asked}");
    }
}

#[test]
fn a_vendor_with_a_list_of_its_own_never_gets_anothers_price() {
    assert_eq!(sold().find("groq", "gpt-9"), Found::Nothing);
}

#[test]
fn one_who_passes_models_on_gets_the_price_that_only_one_vendor_has() {
    let sold = sold();
    for asked in ["gpt-9", "openai/gpt-9", "gpt-9-2030-03-01"] {
        let found = sold.find("azure", asked);
        assert_eq!(name_of(&found), Some("openai/gpt-9"), "{asked}");
    }
}

#[test]
fn what_vendors_sell_at_different_prices_has_none() {
    let found = sold().find("openrouter", "maker/open-70b");
    let names = ["groq/maker/open-70b", "together/maker/open-70b"].map(str::to_owned);
    assert_eq!(
        found,
        Found::Ambiguous {
            names: names.to_vec()
        }
    );
}

#[test]
fn of_vendors_that_sell_at_the_same_price_what_they_agree_on_is_known() {
    let Found::Entry { entry, .. } = sold().find("openrouter", "same-8b") else {
        panic!("the prices agree");
    };
    assert!(entry.price.is_some());
    assert_eq!(entry.limits.context_tokens, None);
    assert_eq!(entry.abilities.tools, Ability::Yes);
}

#[test]
fn an_operators_entry_takes_the_place_of_the_one_that_ships() {
    let own = json!({ "models": { "openai/gpt-9": { "input": 7, "output": 8 } } });
    let own = read(&own.to_string(), Shelf::File).unwrap();
    let all = sold().overlaid(own);
    let entry = all.get("openai/gpt-9").unwrap();
    assert_eq!(entry.shelf, Shelf::File);
    assert_eq!(
        entry.limits.context_tokens, None,
        "the whole entry is theirs"
    );
    assert_eq!(all.len(), sold().len());
}

#[test]
fn what_is_written_reads_back_the_same() {
    let sold = sold();
    let text = write(&sold).unwrap();
    assert_eq!(read(&text, Shelf::BuiltIn).unwrap(), sold);
    assert_eq!(text.lines().count(), sold.len() + 5, "{text}");
    assert!(
        text.contains(
            "\"openai/gpt-9\": {\"input\":1,\"output\":2,\"context\":100,\"tools\":true},"
        ),
        "{text}"
    );
}

#[test]
fn a_catalogue_that_is_wrong_is_refused_with_the_place() {
    for (text, words) in [
        ("", "not an object"),
        ("[]", "not an object"),
        (r#"{"models":{"#, "EOF"),
        ("{}", "missing field `models`"),
        (r#"{"models":{}} x"#, "trailing"),
        (r#"{"format":2,"models":{}}"#, "newer semroute"),
        (r#"{"unit":"EUR","models":{}}"#, "unit"),
        (r#"{"models":{"gpt":{}}}"#, "VENDOR/MODEL"),
        (r#"{"models":{"a/b":{"inptu":1}}}"#, "models.a/b"),
        (r#"{"models":{"a/b":{"input":"1"}}}"#, "models.a/b.input"),
        (r#"{"models":{"a/b":{"input":1}}}"#, "output: is missing"),
        (
            r#"{"models":{"a/b":{"cached_read":1}}}"#,
            "input: is missing",
        ),
        (
            r#"{"models":{"a/b":{"input":-1,"output":1}}}"#,
            "models.a/b: input: -1 is not a price",
        ),
        (
            r#"{"models":{"a/b":{"context":1.5}}}"#,
            "models.a/b.context",
        ),
        (r#"{"models":{"a/b":{},"a/b":{}}}"#, "twice"),
    ] {
        let problem = read(text, Shelf::File).unwrap_err();
        assert!(problem.contains(words), "{text}: {problem}");
    }
}

/// A price file in LiteLLM's format, of our own making.
fn litellm() -> serde_json::Value {
    json!({
        "sample_spec": {
            "mode": "one of: chat, embedding", "litellm_provider": "one of the providers",
            "input_cost_per_token": 0.0, "output_cost_per_token": 0.0, "max_tokens": "words",
        },
        "gpt-9": {
            "mode": "chat", "litellm_provider": "openai",
            "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07,
            "cache_read_input_token_cost": 7.5e-08, "cache_creation_input_token_cost": 1.875e-07,
            "input_cost_per_token_above_200k_tokens": 3e-07,
            "max_input_tokens": 128_000, "max_output_tokens": 16_384, "max_tokens": 16_384,
            "supports_function_calling": true, "supports_vision": true,
            "supports_response_schema": true, "supports_reasoning": false,
            "source": "https://example.com/prices",
        },
        "together_ai/maker/open-70b": {
            "mode": "chat", "litellm_provider": "together_ai", "max_tokens": 8_192,
            "input_cost_per_token": 9e-07, "output_cost_per_token": 9e-07,
        },
        "vertex_ai/claude-9": {
            "mode": "chat", "litellm_provider": "vertex_ai-anthropic_models",
            "input_cost_per_token": 3e-06, "output_cost_per_token": 15e-06,
        },
        "embedder": { "mode": "embedding", "litellm_provider": "openai", "input_cost_per_token": 1e-08 },
        "painter": { "mode": "image_generation", "litellm_provider": "openai" },
        "free": {
            "mode": "chat", "litellm_provider": "ollama",
            "input_cost_per_token": 0.0, "output_cost_per_token": 0.0,
        },
        "unpriced": { "mode": "chat", "litellm_provider": "openai" },
        "half": { "mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 1e-06 },
        "worded": {
            "mode": "chat", "litellm_provider": "openai",
            "input_cost_per_token": "1e-06", "output_cost_per_token": 1e-06,
        },
        "negative": {
            "mode": "chat", "litellm_provider": "openai",
            "input_cost_per_token": -1.0, "output_cost_per_token": 1e-06,
        },
        "nobodys": { "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06 },
        "modeless": { "litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06 },
        "openai/gpt-9": {
            "mode": "chat", "litellm_provider": "openai",
            "input_cost_per_token": 2e-07, "output_cost_per_token": 6e-07,
        },
        "number": 3,
    })
}

#[test]
fn litellms_price_file_is_read_to_the_exact_price() {
    let imported = import(&litellm().to_string()).unwrap();
    let names: Vec<&str> = imported.catalogue.entries().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["openai/gpt-9", "together/maker/open-70b", "vertex/claude-9"]
    );
    let text = write(&imported.catalogue).unwrap();
    assert!(
        text.contains(
            r#""openai/gpt-9": {"input":0.15,"output":0.6,"cached_read":0.075,"cache_write":0.1875,"context":128000,"output_max":16384,"tools":true,"images":true,"json_schema":true,"reasoning":false,"source":"https://example.com/prices"}"#
        ),
        "{text}"
    );
    let open = imported.catalogue.get("together/maker/open-70b").unwrap();
    assert_eq!(open.limits.context_tokens, Some(8_192));
    assert_eq!(open.limits.output_tokens_max, None);
    assert_eq!(open.abilities, Abilities::default());
    assert_eq!(imported.tiered, ["openai/gpt-9"]);
}

#[test]
fn each_entry_that_is_left_out_has_its_reason() {
    let imported = import(&litellm().to_string()).unwrap();
    for (name, words) in [
        ("sample_spec", "shows what entries look like"),
        ("embedder", "mode is embedding"),
        ("painter", "mode is image_generation"),
        ("free", "price is 0"),
        ("unpriced", "no price"),
        ("half", "no price"),
        ("worded", "not a number"),
        ("negative", "less than 0"),
        ("nobodys", "whose it is"),
        ("modeless", "no mode"),
        ("openai/gpt-9", "a different price came before"),
        ("number", "not an object"),
    ] {
        let skipped = imported.skipped.iter().find(|skipped| skipped.name == name);
        let reason = skipped.map_or("", |skipped| skipped.reason.as_str());
        assert!(reason.contains(words), "{name}: {reason:?}");
    }
    assert_eq!(imported.skipped.len() + imported.catalogue.len(), 15);
    let reasons = imported.reasons();
    assert_eq!(reasons[0], ("it has no price", vec!["unpriced", "half"]));
}

#[test]
fn a_published_list_is_read_by_its_longer_names() {
    let list = json!({
        "as_of": "2030-01", "unit": "USD per million tokens", "note": "facts",
        "models": {
            "openai/gpt-9": {
                "provider": "openai", "model": "gpt-9", "input_usd_per_mtok": 0.25,
                "output_usd_per_mtok": 2.0, "cache_read_usd_per_mtok": 0.025,
                "cache_write_usd_per_mtok": 0.3, "context_tokens": 400_000,
                "max_output_tokens": 128_000, "tools": true, "vision": true,
            },
            "openai/unpriced": { "context_tokens": 10 },
            "openai/odd": { "input_usd_per_mtok": 1, "output_usd_per_mtok": 1, "colour": "red" },
        },
    });
    let imported = import(&list.to_string()).unwrap();
    assert_eq!(imported.catalogue.as_of.as_deref(), Some("2030-01"));
    let entry = imported.catalogue.get("openai/gpt-9").unwrap();
    let cost = entry.price.unwrap().of(Usage::of(1_000_000, 0));
    assert_eq!(cost.to_string(), "0.25");
    assert_eq!(entry.abilities.images, Ability::Yes);
    assert_eq!(entry.abilities.reasoning, Ability::Unknown);
    assert_eq!(imported.skipped.len(), 2);
    // What it made is its own format, and imports as the same.
    let again = import(&write(&imported.catalogue).unwrap()).unwrap();
    assert_eq!(again.catalogue, imported.catalogue);
}

#[test]
fn a_file_that_is_no_price_file_is_refused() {
    for (text, words) in [
        ("{", "not JSON"),
        ("[1]", "not an object"),
        ("{}", "it is empty"),
        (r#"{"models":3}"#, "models: should be an object"),
        (
            r#"{"name":"semroute","version":{}}"#,
            "name: it is not an object, for one",
        ),
    ] {
        let problem = import(text).unwrap_err();
        assert!(problem.contains(words), "{text}: {problem}");
    }
}

proptest! {
    #[test]
    fn a_price_a_token_becomes_the_list_price_that_it_was_made_of(micro in 1_u64..100_000_000) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let per_million = micro as f64 / 1e6;
        let file = json!({ "m": {
            "mode": "chat", "litellm_provider": "openai",
            "input_cost_per_token": per_million / 1e6, "output_cost_per_token": per_million * 1e-6,
        }});
        let imported = import(&file.to_string()).unwrap();
        let price = imported.catalogue.get("openai/m").unwrap().price.unwrap();
        prop_assert_eq!(price.input.as_usd_per_million().to_bits(), per_million.to_bits());
        prop_assert_eq!(price.output.as_usd_per_million().to_bits(), per_million.to_bits());
    }
}
