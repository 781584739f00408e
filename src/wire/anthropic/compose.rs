//! A conversation, written as a request for messages.
//!
//! What the format cannot say and what changes nothing essential is listed, by the names that chat
//! completions have for it, the one other format that callers speak. What was decided: instructions
//! later in the conversation move to its beginning; a temperature above 1, the most that there is
//! here, becomes 1; a limit that the caller left open is set high. "Any JSON object" has no
//! counterpart, so it is asked for in words, and listed since nothing enforces it. Several choices,
//! log probabilities and recordings are refused: without them the answer would be another.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::chat::Delivery;
use crate::domain::conversation::{Conversation, ParallelCalls, Structure, Tool, ToolChoice};
use crate::wire::anthropic::block::{Block, Content};
use crate::wire::anthropic::generation::Generation;
use crate::wire::{Malformed, Writing, Written};

mod sampling;
mod schema;
mod thinking;
mod turns;

/// The words that ask for an answer in JSON where no schema does.
const ASK_FOR_JSON: &str =
    "Answer with one JSON object and nothing else: no words around it and no code fence.";

/// A request.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Content::is_empty")]
    system: Content<'a>,
    messages: Vec<turns::Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(flatten)]
    sampling: sampling::Fields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Value>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
}

#[derive(Serialize)]
struct ToolText<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Default, Serialize)]
struct OutputConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Value>,
}

impl OutputConfig {
    const fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none()
    }
}

pub(crate) fn write_conversation(
    conversation: &Conversation,
    writing: &Writing<'_>,
) -> Result<Written, Malformed> {
    refuse_the_unsayable(conversation)?;
    let generation = Generation::of(writing.model);
    let mut dropped = Vec::new();
    let mut said = turns::write(&conversation.turns, &mut dropped)?;
    let instructions = conversation.instructions.as_deref().and_then(Block::text);
    said.system.splice(0..0, instructions);
    let format = write_structure(
        conversation.structure.as_ref(),
        &mut said.system,
        &mut dropped,
    );
    let wanted_max = conversation.sampling.tokens_max;
    let max_tokens = wanted_max.unwrap_or_else(|| generation.tokens_max_default());
    let plan = thinking::plan(conversation, generation, max_tokens, &mut dropped);
    let chooser = sampling::Chooser {
        generation,
        mind: plan.mind,
    };
    let body = Body {
        model: writing.model,
        max_tokens,
        system: Content::of(said.system),
        messages: said.messages,
        tools: conversation.tools.iter().map(write_tool).collect(),
        tool_choice: write_tool_choice(conversation),
        sampling: chooser.write(&conversation.sampling, &mut dropped),
        thinking: plan.thinking,
        output_config: OutputConfig {
            effort: plan.effort,
            format,
        },
        metadata: conversation
            .user
            .as_ref()
            .map(|user| json!({ "user_id": user })),
        stream: match writing.delivery {
            Delivery::Whole => None,
            Delivery::Streamed => Some(true),
        },
    };
    let body = serde_json::to_string(&body).map_err(|error| Malformed {
        param: None,
        message: format!("the request cannot be written: {error}"),
    })?;
    Ok(Written { body, dropped })
}

fn refuse_the_unsayable(conversation: &Conversation) -> Result<(), Malformed> {
    if let Some(choices) = conversation.choices
        && choices != 1
    {
        let message = format!(
            "`n` is {choices}, but the model chosen gives one answer at a time; ask for 1, or \
             several times"
        );
        return Err(Malformed::new("n", message));
    }
    if conversation.logprobs.is_some() {
        let message = "`logprobs` cannot be had from the model chosen; leave it out or ask for an \
                       assistant whose models tell it";
        return Err(Malformed::new("logprobs", message));
    }
    Ok(())
}

fn write_structure(
    structure: Option<&Structure>,
    system: &mut Vec<Block<'_>>,
    dropped: &mut Vec<String>,
) -> Option<Value> {
    match structure? {
        Structure::JsonObject => {
            dropped.push("response_format".to_owned());
            system.extend(Block::text(ASK_FOR_JSON));
            None
        }
        Structure::Schema { name, schema, .. } => {
            if name.is_some() {
                dropped.push("response_format.json_schema.name".to_owned());
            }
            Some(json!({ "type": "json_schema", "schema": schema::closed(schema) }))
        }
    }
}

fn write_tool(tool: &Tool) -> ToolText<'_> {
    let parameters = tool.parameters.as_ref();
    let input_schema = match (parameters, tool.strict) {
        (None, _) => json!({ "type": "object", "properties": {} }),
        (Some(schema), Some(true)) => schema::closed(schema),
        (Some(schema), _) => schema.clone(),
    };
    ToolText {
        name: &tool.name,
        description: tool.description.as_deref(),
        input_schema,
        strict: tool.strict,
    }
}

/// Which tools to call, and whether several at a time. The format has a place for the second only
/// within the first, and for neither without tools.
fn write_tool_choice(conversation: &Conversation) -> Option<Value> {
    let is_single = conversation
        .parallel_tool_calls
        .map(|parallel| parallel == ParallelCalls::Forbidden);
    let mut choice = match (&conversation.tool_choice, is_single) {
        (None | Some(ToolChoice::Auto | ToolChoice::Nothing), _)
            if conversation.tools.is_empty() =>
        {
            return None;
        }
        (None, None | Some(false)) => return None,
        (None | Some(ToolChoice::Auto), _) => json!({ "type": "auto" }),
        (Some(ToolChoice::Required), _) => json!({ "type": "any" }),
        (Some(ToolChoice::Named(name)), _) => json!({ "type": "tool", "name": name }),
        (Some(ToolChoice::Nothing), _) => return Some(json!({ "type": "none" })),
    };
    if let Some(is_single) = is_single {
        choice["disable_parallel_tool_use"] = is_single.into();
    }
    Some(choice)
}
