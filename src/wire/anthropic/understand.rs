//! A whole request for messages, read to be said in another format.
//!
//! What only Anthropic can do, its own tools and files that it keeps, is refused: without it the
//! answer would be another. What only helps it along, such as hints for its cache, is listed.

use serde_json::Value;

use crate::domain::conversation::{
    Conversation, ParallelCalls, Sampling, Speaker, Structure, Thinking, Tool, ToolChoice, Turn,
};
use crate::wire::anthropic::vocabulary::read_effort;
use crate::wire::object::{Object, missing, wrong};
use crate::wire::{Malformed, Understood};

mod blocks;

pub(crate) fn read_conversation(text: &str) -> Result<Understood, Malformed> {
    let mut body = Object::of_body(text)?;
    let mut dropped = Vec::new();
    for said_elsewhere in ["model", "stream"] {
        body.skip(said_elsewhere);
    }
    let turns = read_turns(&mut body, &mut dropped)?;
    let tools = read_tools(&mut body, &mut dropped)?;
    let (tool_choice, parallel_tool_calls) = read_tool_choice(&mut body, &mut dropped)?;
    let mut config = body.object("output_config")?;
    let structure = read_structure(&mut body, config.as_mut(), &mut dropped)?;
    let thinking = read_thinking(&mut body, config.as_mut(), &mut dropped)?;
    let conversation = Conversation {
        turns,
        tools,
        tool_choice,
        parallel_tool_calls,
        sampling: read_sampling(&mut body)?,
        structure,
        thinking,
        user: read_user(&mut body, &mut dropped)?,
        ..Conversation::default()
    };
    refuse_servers(&mut body)?;
    if let Some(config) = config {
        config.drop_rest(&mut dropped);
    }
    body.drop_rest(&mut dropped);
    Ok(Understood {
        conversation,
        dropped,
    })
}

fn read_turns(body: &mut Object, dropped: &mut Vec<String>) -> Result<Vec<Turn>, Malformed> {
    let mut turns = Vec::new();
    if let Some(system) = body.take("system") {
        turns.push(Turn {
            speaker: Speaker::System,
            parts: blocks::read_content(system, "system", Speaker::System, dropped)?,
        });
    }
    for (position, message) in body.array("messages")?.into_iter().flatten().enumerate() {
        let message = Object::of(message, format!("messages[{position}]"))?;
        turns.push(read_turn(message, dropped)?);
    }
    Ok(turns)
}

fn read_turn(mut message: Object, dropped: &mut Vec<String>) -> Result<Turn, Malformed> {
    let speaker = match message.needed_string("role")?.as_str() {
        "user" => Speaker::User,
        "assistant" => Speaker::Assistant,
        "system" => Speaker::System,
        other => {
            let place = message.path_of("role");
            let remedy = "give user, assistant or system";
            let text = format!("`{place}` is {other:?}; {remedy}");
            return Err(Malformed::new(place, text));
        }
    };
    let path = message.path_of("content");
    let content = message
        .take("content")
        .ok_or_else(|| missing(&path, blocks::CONTENT))?;
    let parts = blocks::read_content(content, &path, speaker, dropped)?;
    message.drop_rest(dropped);
    Ok(Turn { speaker, parts })
}

fn read_tools(body: &mut Object, dropped: &mut Vec<String>) -> Result<Vec<Tool>, Malformed> {
    let mut tools = Vec::new();
    for (position, tool) in body.array("tools")?.into_iter().flatten().enumerate() {
        let mut tool = Object::of(tool, format!("tools[{position}]"))?;
        if let Some(kind) = tool.string("type")?
            && kind != "custom"
        {
            let place = tool.path_of("type");
            let text = format!(
                "`{place}` is {kind:?}, a tool that Anthropic defines; the model chosen is another \
                 provider's, so leave the tool out or ask for an assistant whose models speak this \
                 format"
            );
            return Err(Malformed::new(place, text));
        }
        tools.push(Tool {
            name: tool.needed_string("name")?,
            description: tool.string("description")?,
            parameters: tool.take("input_schema"),
            strict: tool.boolean("strict")?,
        });
        tool.drop_rest(dropped);
    }
    Ok(tools)
}

fn read_tool_choice(
    body: &mut Object,
    dropped: &mut Vec<String>,
) -> Result<(Option<ToolChoice>, Option<ParallelCalls>), Malformed> {
    let Some(mut choice) = body.object("tool_choice")? else {
        return Ok((None, None));
    };
    let parallel = choice
        .boolean("disable_parallel_tool_use")?
        .map(|is_forbidden| {
            if is_forbidden {
                ParallelCalls::Forbidden
            } else {
                ParallelCalls::Allowed
            }
        });
    let chosen = match choice.needed_string("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::Nothing,
        "tool" => ToolChoice::Named(choice.needed_string("name")?),
        other => {
            let text = format!("`tool_choice.type` is {other:?}; give auto, any, tool or none");
            return Err(Malformed::new("tool_choice.type", text));
        }
    };
    choice.drop_rest(dropped);
    Ok((Some(chosen), parallel))
}

fn read_sampling(body: &mut Object) -> Result<Sampling, Malformed> {
    let mut stop = Vec::new();
    let texts = body.array("stop_sequences")?.into_iter().flatten();
    for (position, text) in texts.enumerate() {
        match text {
            Value::String(text) => stop.push(text),
            other => {
                let path = format!("stop_sequences[{position}]");
                return Err(wrong(&path, &other, "a string"));
            }
        }
    }
    let tokens_max = body.count("max_tokens")?;
    if tokens_max == Some(0) {
        let text = "`max_tokens` is 0, which asks Anthropic to fill its cache; the model chosen is \
                    another provider's, so give 1 or more";
        return Err(Malformed::new("max_tokens", text));
    }
    Ok(Sampling {
        tokens_max,
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.count("top_k")?,
        stop,
        ..Sampling::default()
    })
}

fn read_structure(
    body: &mut Object,
    config: Option<&mut Object>,
    dropped: &mut Vec<String>,
) -> Result<Option<Structure>, Malformed> {
    let current = config.map(|config| config.object("format")).transpose()?;
    let former = body.object("output_format")?;
    let Some(mut format) = current.flatten().or(former) else {
        return Ok(None);
    };
    let kind = format.needed_string("type")?;
    if kind != "json_schema" {
        let place = format.path_of("type");
        let text = format!("`{place}` is {kind:?}; give json_schema");
        return Err(Malformed::new(place, text));
    }
    let schema = format
        .take("schema")
        .ok_or_else(|| missing(&format.path_of("schema"), "a JSON Schema, an object"))?;
    format.drop_rest(dropped);
    Ok(Some(Structure::Schema {
        name: None,
        schema,
        strict: None,
    }))
}

/// How hard to think. A budget or a refusal to think at all says more than an effort beside it, so
/// the effort is then listed.
fn read_thinking(
    body: &mut Object,
    config: Option<&mut Object>,
    dropped: &mut Vec<String>,
) -> Result<Option<Thinking>, Malformed> {
    const EFFORT: &str = "output_config.effort";
    let word = config.map(|config| config.string("effort")).transpose()?;
    let effort = match word.flatten() {
        None => None,
        Some(word) => Some(read_effort(&word).ok_or_else(|| {
            let text = format!("`{EFFORT}` is {word:?}; give low, medium, high, xhigh or max");
            Malformed::new(EFFORT, text)
        })?),
    };
    let Some(mut thinking) = body.object("thinking")? else {
        return Ok(effort.map(Thinking::Effort));
    };
    let read = match thinking.needed_string("type")?.as_str() {
        "disabled" | "between_tools" => Thinking::Off,
        "adaptive" => effort.map_or(Thinking::Adaptive, Thinking::Effort),
        "enabled" => Thinking::Budget(thinking.count("budget_tokens")?.ok_or_else(|| {
            let wanted = "how many tokens the model may think with";
            missing("thinking.budget_tokens", wanted)
        })?),
        other => {
            let text = format!("`thinking.type` is {other:?}; give adaptive, enabled or disabled");
            return Err(Malformed::new("thinking.type", text));
        }
    };
    if effort.is_some() && !matches!(read, Thinking::Effort(_)) {
        dropped.push(EFFORT.to_owned());
    }
    thinking.drop_rest(dropped);
    Ok(Some(read))
}

fn read_user(body: &mut Object, dropped: &mut Vec<String>) -> Result<Option<String>, Malformed> {
    let Some(mut metadata) = body.object("metadata")? else {
        return Ok(None);
    };
    let user = metadata.string("user_id")?;
    metadata.drop_rest(dropped);
    Ok(user)
}

/// Refuses tools of servers that Anthropic would ask itself.
fn refuse_servers(body: &mut Object) -> Result<(), Malformed> {
    if body.array("mcp_servers")?.is_none_or(|it| it.is_empty()) {
        return Ok(());
    }
    let text = "`mcp_servers` names servers that Anthropic asks for tools itself; the model chosen \
                is another provider's, so leave the field out or ask for an assistant whose models \
                speak this format";
    Err(Malformed::new("mcp_servers", text))
}
