//! Reads all of a request for chat completions, for a provider that speaks another format.

use serde_json::Value;

use crate::domain::conversation::{
    Conversation, ParallelCalls, Sampling, Structure, Thinking, Tool, ToolChoice,
};
use crate::wire::object::{Object, missing, wrong};
use crate::wire::openai::messages::read_turns;
use crate::wire::openai::words::read_effort;
use crate::wire::{Malformed, Understood};

/// Seen to by whoever writes the request, not by what it says.
const SEEN_TO: [&str; 3] = ["model", "stream", "stream_options"];

/// Fields without which the answer would be another one than was asked for, and which only OpenAI's
/// own format can say; each with what to do instead.
const INDISPENSABLE: [(&str, &str); 4] = [
    ("functions", "give `tools`"),
    ("function_call", "give `tool_choice`"),
    (
        "audio",
        "ask a model of a provider that speaks OpenAI's format",
    ),
    (
        "web_search_options",
        "ask a model of a provider that speaks OpenAI's format",
    ),
];

pub(crate) fn read_conversation(text: &str) -> Result<Understood, Malformed> {
    let mut body = Object::of_body(text)?;
    let mut dropped = Vec::new();
    for name in SEEN_TO {
        body.skip(name);
    }
    for (name, remedy) in INDISPENSABLE {
        if body.take(name).is_some() {
            let message = format!("`{name}` cannot be said to this model's provider; {remedy}");
            return Err(Malformed::new(name, message));
        }
    }
    refuse_other_modalities(&mut body)?;
    let conversation = Conversation {
        turns: read_turns(&mut body, &mut dropped)?,
        tools: read_tools(&mut body, &mut dropped)?,
        tool_choice: read_tool_choice(&mut body, &mut dropped)?,
        structure: read_structure(&mut body, &mut dropped)?,
        ..read_settings(&mut body)?
    };
    body.drop_rest(&mut dropped);
    Ok(Understood {
        conversation,
        dropped,
    })
}

/// What a request says of how to answer, apart from what the caller's own program works with.
pub(super) fn read_settings(body: &mut Object) -> Result<Conversation, Malformed> {
    Ok(Conversation {
        parallel_tool_calls: body.boolean("parallel_tool_calls")?.map(parallel_calls),
        sampling: read_sampling(body)?,
        thinking: read_thinking(body)?,
        choices: body.count("n")?,
        logprobs: read_logprobs(body)?,
        user: body.string("user")?,
        ..Conversation::default()
    })
}

const fn parallel_calls(allowed: bool) -> ParallelCalls {
    if allowed {
        ParallelCalls::Allowed
    } else {
        ParallelCalls::Forbidden
    }
}

fn refuse_other_modalities(body: &mut Object) -> Result<(), Malformed> {
    for modality in body.array("modalities")?.unwrap_or_default() {
        if modality != "text" {
            let wanted = "[\"text\"], since this model's provider answers in text only";
            return Err(wrong("modalities", &modality, wanted));
        }
    }
    Ok(())
}

fn read_tools(body: &mut Object, dropped: &mut Vec<String>) -> Result<Vec<Tool>, Malformed> {
    let tools = body.array("tools")?.unwrap_or_default();
    tools
        .into_iter()
        .enumerate()
        .map(|(position, tool)| read_tool(tool, &format!("tools[{position}]"), dropped))
        .collect()
}

fn read_tool(value: Value, path: &str, dropped: &mut Vec<String>) -> Result<Tool, Malformed> {
    let mut tool = Object::of(value, path)?;
    let kind = tool.needed_string("type")?;
    if kind != "function" {
        let wanted = "\"function\", the only kind that this model's provider can be told";
        return Err(wrong(&tool.path_of("type"), &kind.into(), wanted));
    }
    let mut function = tool.needed_object("function")?;
    let read = Tool {
        name: function.needed_string("name")?,
        description: function.string("description")?,
        parameters: function.take("parameters"),
        strict: function.boolean("strict")?,
    };
    function.drop_rest(dropped);
    tool.drop_rest(dropped);
    Ok(read)
}

fn read_tool_choice(
    body: &mut Object,
    dropped: &mut Vec<String>,
) -> Result<Option<ToolChoice>, Malformed> {
    const WANTED: &str =
        "auto, none, required or {\"type\": \"function\", \"function\": {\"name\": …}}";
    let Some(value) = body.take("tool_choice") else {
        return Ok(None);
    };
    let choice = match value.as_str() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::Nothing,
        Some("required") => ToolChoice::Required,
        Some(_) => return Err(wrong("tool_choice", &value, WANTED)),
        None => {
            let name = value.pointer("/function/name").and_then(Value::as_str);
            let name = name.ok_or_else(|| wrong("tool_choice", &value, WANTED))?;
            let named = ToolChoice::Named(name.to_owned());
            drop_beside_name(value, dropped)?;
            named
        }
    };
    Ok(Some(choice))
}

/// Lists what the choice of one tool says beyond its name.
fn drop_beside_name(choice: Value, dropped: &mut Vec<String>) -> Result<(), Malformed> {
    let mut choice = Object::of(choice, "tool_choice")?;
    choice.skip("type");
    let mut function = choice.needed_object("function")?;
    function.skip("name");
    function.drop_rest(dropped);
    choice.drop_rest(dropped);
    Ok(())
}

fn read_sampling(body: &mut Object) -> Result<Sampling, Malformed> {
    // Who gives both means the newer one.
    let older = body.count("max_tokens")?;
    let newer = body.count("max_completion_tokens")?;
    Ok(Sampling {
        tokens_max: newer.or(older),
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.count("top_k")?,
        stop: read_stop(body)?,
        seed: body.integer("seed")?,
        presence_penalty: body.number("presence_penalty")?,
        frequency_penalty: body.number("frequency_penalty")?,
    })
}

fn read_stop(body: &mut Object) -> Result<Vec<String>, Malformed> {
    let texts = match body.take("stop") {
        None => return Ok(Vec::new()),
        Some(Value::Array(texts)) => texts,
        Some(one) => vec![one],
    };
    texts
        .into_iter()
        .map(|text| match text {
            Value::String(text) => Ok(text),
            other => Err(wrong("stop", &other, "a string or an array of strings")),
        })
        .collect()
}

fn read_structure(
    body: &mut Object,
    dropped: &mut Vec<String>,
) -> Result<Option<Structure>, Malformed> {
    let Some(mut format) = body.object("response_format")? else {
        return Ok(None);
    };
    let kind = format.needed_string("type")?;
    let structure = match kind.as_str() {
        "text" => None,
        "json_object" => Some(Structure::JsonObject),
        "json_schema" => Some(read_schema(&mut format, dropped)?),
        _ => {
            let path = format.path_of("type");
            let wanted = "text, json_object or json_schema";
            return Err(wrong(&path, &kind.into(), wanted));
        }
    };
    format.drop_rest(dropped);
    Ok(structure)
}

fn read_schema(format: &mut Object, dropped: &mut Vec<String>) -> Result<Structure, Malformed> {
    let mut named = format.needed_object("json_schema")?;
    let path = named.path_of("schema");
    let structure = Structure::Schema {
        name: named.string("name")?,
        strict: named.boolean("strict")?,
        schema: named
            .take("schema")
            .ok_or_else(|| missing(&path, "a JSON Schema"))?,
    };
    named.drop_rest(dropped);
    Ok(structure)
}

fn read_thinking(body: &mut Object) -> Result<Option<Thinking>, Malformed> {
    let Some(word) = body.string("reasoning_effort")? else {
        return Ok(None);
    };
    if word == "none" {
        return Ok(Some(Thinking::Off));
    }
    let effort = read_effort(&word).ok_or_else(|| {
        let wanted = "none, minimal, low, medium, high or xhigh";
        wrong("reasoning_effort", &word.into(), wanted)
    })?;
    Ok(Some(Thinking::Effort(effort)))
}

fn read_logprobs(body: &mut Object) -> Result<Option<u64>, Malformed> {
    let wanted = body.boolean("logprobs")?.unwrap_or(false);
    let alternatives = body.count("top_logprobs")?;
    Ok(wanted.then_some(alternatives.unwrap_or(0)))
}
