//! Writes a conversation as a request for generated content.
//!
//! Schemas leave as they are, in `parametersJsonSchema` and `responseJsonSchema`: the older fields
//! take a subset of OpenAPI, which most callers' schemas would have to be bent into.

use serde_json::{Map, Value, json};

use crate::domain::chat::Delivery;
use crate::domain::conversation::{
    Conversation, ParallelCalls, Sampling, Structure, Thinking, Tool, ToolChoice,
};
use crate::wire::gemini::thinking::{self, Obedience};
use crate::wire::gemini::{Generation, contents};
use crate::wire::path::segment;
use crate::wire::{Malformed, Writing, Written};

/// Where models are listed; a name may say so itself, as Google's lists do.
const COLLECTIONS: [&str; 2] = ["models", "tunedModels"];

pub(crate) fn path(writing: &Writing<'_>) -> String {
    let (collection, name) = writing
        .model
        .split_once('/')
        .filter(|(collection, _)| COLLECTIONS.contains(collection))
        .unwrap_or((COLLECTIONS[0], writing.model));
    let name = segment(name);
    match writing.delivery {
        Delivery::Whole => format!("/{collection}/{name}:generateContent"),
        Delivery::Streamed => format!("/{collection}/{name}:streamGenerateContent?alt=sse"),
    }
}

pub(crate) fn write_conversation(
    conversation: &Conversation,
    writing: &Writing<'_>,
) -> Result<Written, Malformed> {
    refuse_what_cannot_be_said(conversation)?;
    let mut dropped = Vec::new();
    let generation = Generation::of(writing.model);
    let mut body = contents::write(conversation, generation, &mut dropped)?;
    write_tools(conversation, &mut body, &mut dropped);
    let mut config = Map::new();
    write_sampling(&conversation.sampling, &mut config);
    write_structure(conversation.structure.as_ref(), &mut config);
    write_thinking(
        conversation.thinking,
        writing.model,
        &mut config,
        &mut dropped,
    );
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), config.into());
    }
    if conversation.user.is_some() {
        dropped.push("user".to_owned());
    }
    Ok(Written {
        body: Value::Object(body).to_string(),
        dropped,
    })
}

/// Refuses what the answer would miss if it were left out.
fn refuse_what_cannot_be_said(conversation: &Conversation) -> Result<(), Malformed> {
    if let Some(choices) = conversation.choices.filter(|choices| *choices != 1) {
        let message = format!(
            "`n` is {choices}; this model's provider is asked for one answer a request: give 1 and ask several times"
        );
        return Err(Malformed::new("n", message));
    }
    if conversation.logprobs.is_some() {
        let message = "`logprobs` cannot be said to this model's provider; leave it out, or ask a model of a provider that speaks OpenAI's format";
        return Err(Malformed::new("logprobs", message));
    }
    Ok(())
}

fn write_tools(
    conversation: &Conversation,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) {
    if conversation.parallel_tool_calls == Some(ParallelCalls::Forbidden) {
        dropped.push("parallel_tool_calls".to_owned());
    }
    if conversation.tools.is_empty() {
        return;
    }
    if conversation
        .tools
        .iter()
        .any(|tool| tool.strict == Some(true))
    {
        dropped.push("strict".to_owned());
    }
    let tools: Vec<Value> = conversation.tools.iter().map(write_tool).collect();
    body.insert(
        "tools".to_owned(),
        json!([{ "functionDeclarations": tools }]),
    );
    if let Some(choice) = &conversation.tool_choice {
        let calling = match choice {
            ToolChoice::Auto => json!({ "mode": "AUTO" }),
            ToolChoice::Nothing => json!({ "mode": "NONE" }),
            ToolChoice::Required => json!({ "mode": "ANY" }),
            ToolChoice::Named(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
        };
        body.insert(
            "toolConfig".to_owned(),
            json!({ "functionCallingConfig": calling }),
        );
    }
}

fn write_tool(tool: &Tool) -> Value {
    let mut function = Map::from_iter([("name".to_owned(), Value::from(tool.name.as_str()))]);
    if let Some(description) = &tool.description {
        function.insert("description".to_owned(), description.as_str().into());
    }
    if let Some(parameters) = &tool.parameters {
        function.insert("parametersJsonSchema".to_owned(), parameters.clone());
    }
    Value::Object(function)
}

fn write_sampling(sampling: &Sampling, config: &mut Map<String, Value>) {
    let stop = (!sampling.stop.is_empty()).then(|| Value::from(sampling.stop.clone()));
    let fields = [
        ("maxOutputTokens", sampling.tokens_max.map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("topP", sampling.top_p.map(Value::from)),
        ("topK", sampling.top_k.map(Value::from)),
        ("stopSequences", stop),
        ("seed", sampling.seed.map(|seed| narrowed(seed).into())),
        (
            "presencePenalty",
            sampling.presence_penalty.map(Value::from),
        ),
        (
            "frequencyPenalty",
            sampling.frequency_penalty.map(Value::from),
        ),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    }
}

/// A seed of 32 bits, which is all that the format has room for. The same large seed always becomes
/// the same small one, which is what a seed is for.
fn narrowed(seed: i64) -> i32 {
    i32::try_from(seed).unwrap_or_else(|_| {
        let folded = seed.unsigned_abs() % (1 << 31);
        i32::try_from(folded).unwrap_or_default()
    })
}

fn write_structure(structure: Option<&Structure>, config: &mut Map<String, Value>) {
    let Some(structure) = structure else {
        return;
    };
    config.insert("responseMimeType".to_owned(), "application/json".into());
    // The schema binds here whether it was called strict or not, and needs no name.
    if let Structure::Schema { schema, .. } = structure {
        config.insert("responseJsonSchema".to_owned(), schema.clone());
    }
}

fn write_thinking(
    thinking: Option<Thinking>,
    model: &str,
    config: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) {
    let Some(thinking) = thinking else {
        return;
    };
    let (written, obedience) = thinking::write(thinking, model);
    config.insert("thinkingConfig".to_owned(), written);
    if obedience == Obedience::NearestOnly {
        dropped.push("reasoning_effort".to_owned());
    }
}

#[cfg(test)]
mod tests;
