//! Writes a conversation as a request for chat completions.

use serde_json::{Map, Value, json};

use crate::domain::chat::Delivery;
use crate::domain::conversation::{
    Conversation, ParallelCalls, Part, Sampling, Source, Speaker, Structure, Thinking, Tool,
    ToolCall, ToolChoice, ToolResult, ToolStatus,
};
use crate::wire::openai::words::{audio_format_of, write_effort};
use crate::wire::{LengthField, Malformed, StreamUsage, Writing, Written, signed_id};

/// What a schema is called whose caller's format has no name for it.
const SCHEMA_NAME: &str = "answer";

pub(crate) fn write_conversation(
    conversation: &Conversation,
    writing: &Writing<'_>,
) -> Result<Written, Malformed> {
    let mut writer = Writer::default();
    writer.set("model", writing.model);
    let messages = writer.messages(conversation)?;
    writer.set("messages", messages);
    writer.tools(conversation);
    writer.sampling(&conversation.sampling, writing.manners.length_field);
    writer.structure(conversation.structure.as_ref());
    writer.thinking(conversation.thinking);
    if let Some(choices) = conversation.choices {
        writer.set("n", choices);
    }
    if let Some(alternatives) = conversation.logprobs {
        writer.set("logprobs", true);
        writer.set("top_logprobs", alternatives);
    }
    if let Some(user) = &conversation.user {
        writer.set("user", user.as_str());
    }
    if writing.delivery == Delivery::Streamed {
        writer.set("stream", true);
        if writing.manners.stream_usage == StreamUsage::OnDemand {
            writer.set("stream_options", json!({ "include_usage": true }));
        }
    }
    Ok(Written {
        body: Value::Object(writer.body).to_string(),
        dropped: writer.dropped,
    })
}

/// A body that is being written, and what it could not say.
#[derive(Default)]
struct Writer {
    body: Map<String, Value>,
    dropped: Vec<String>,
}

impl Writer {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.body.insert(name.to_owned(), value.into());
    }

    fn drop(&mut self, name: &str) {
        self.dropped.push(name.to_owned());
    }

    fn messages(&mut self, conversation: &Conversation) -> Result<Value, Malformed> {
        let instructions = conversation.instructions.iter();
        let mut messages: Vec<Value> = instructions
            .map(|text| json!({ "role": "system", "content": text }))
            .collect();
        for turn in &conversation.turns {
            match turn.speaker {
                Speaker::System => messages.push(json!({
                    "role": "system", "content": write_content(&turn.parts)?,
                })),
                Speaker::User => self.user_turn(&turn.parts, &mut messages)?,
                Speaker::Assistant => messages.push(self.said(&turn.parts)?),
            }
        }
        Ok(Value::Array(messages))
    }

    /// What tools returned comes first, each in a message of its own, right behind the calls that it
    /// answers.
    fn user_turn(&mut self, parts: &[Part], messages: &mut Vec<Value>) -> Result<(), Malformed> {
        let mut shown = Vec::new();
        for part in parts {
            match part {
                Part::ToolResult(result) => messages.push(self.result(result, &mut shown)?),
                other => shown.push(other.clone()),
            }
        }
        if !shown.is_empty() {
            let content = write_content(&shown)?;
            messages.push(json!({ "role": "user", "content": content }));
        }
        Ok(())
    }

    /// A tool's message holds text only: pictures that it returned are shown by the user after it.
    fn result(&mut self, result: &ToolResult, shown: &mut Vec<Part>) -> Result<Value, Malformed> {
        if result.status == ToolStatus::Failed {
            self.drop("tool_result.is_error");
        }
        let (texts, others): (Vec<&Part>, Vec<&Part>) = result
            .content
            .iter()
            .partition(|part| matches!(part, Part::Text(_)));
        shown.extend(others.into_iter().cloned());
        let texts: Vec<Part> = texts.into_iter().cloned().collect();
        Ok(json!({
            "role": "tool",
            "tool_call_id": signed_id::plain(&result.call_id),
            "content": write_content(&texts)?,
        }))
    }

    fn said(&mut self, parts: &[Part]) -> Result<Value, Malformed> {
        let mut message = Map::from_iter([("role".to_owned(), Value::from("assistant"))]);
        let (mut content, mut calls) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::ToolCall(call) => {
                    let mut written = write_call(call);
                    written["id"] = signed_id::plain(&call.id).into();
                    calls.push(written);
                }
                Part::Refusal(text) => {
                    message.insert("refusal".to_owned(), text.as_str().into());
                }
                // Servers of this format take no thoughts back.
                Part::Thought { .. } => self.drop("thinking"),
                other => content.push(other.clone()),
            }
        }
        let content = if content.is_empty() {
            Value::Null
        } else {
            write_content(&content)?
        };
        message.insert("content".to_owned(), content);
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), calls.into());
        }
        Ok(Value::Object(message))
    }

    fn tools(&mut self, conversation: &Conversation) {
        if !conversation.tools.is_empty() {
            let tools: Vec<Value> = conversation.tools.iter().map(write_tool).collect();
            self.set("tools", tools);
        }
        let choice = conversation
            .tool_choice
            .as_ref()
            .map(|choice| match choice {
                ToolChoice::Auto => "auto".into(),
                ToolChoice::Nothing => "none".into(),
                ToolChoice::Required => "required".into(),
                ToolChoice::Named(name) => {
                    json!({ "type": "function", "function": { "name": name } })
                }
            });
        if let Some(choice) = choice {
            self.set("tool_choice", choice);
        }
        match conversation.parallel_tool_calls {
            // OpenAI refuses the field where there are no tools.
            Some(parallel) if !conversation.tools.is_empty() => {
                self.set("parallel_tool_calls", parallel == ParallelCalls::Allowed);
            }
            _ => {}
        }
    }

    fn sampling(&mut self, sampling: &Sampling, length_field: LengthField) {
        if let Some(tokens_max) = sampling.tokens_max {
            let field = match length_field {
                LengthField::MaxCompletionTokens => "max_completion_tokens",
                LengthField::MaxTokens => "max_tokens",
            };
            self.set(field, tokens_max);
        }
        let numbers = [
            ("temperature", sampling.temperature),
            ("top_p", sampling.top_p),
            ("presence_penalty", sampling.presence_penalty),
            ("frequency_penalty", sampling.frequency_penalty),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                self.set(name, number);
            }
        }
        if !sampling.stop.is_empty() {
            self.set("stop", sampling.stop.clone());
        }
        if let Some(seed) = sampling.seed {
            self.set("seed", seed);
        }
        if sampling.top_k.is_some() {
            self.drop("top_k");
        }
    }

    fn structure(&mut self, structure: Option<&Structure>) {
        let format = match structure {
            None => return,
            Some(Structure::JsonObject) => json!({ "type": "json_object" }),
            Some(Structure::Schema {
                name,
                schema,
                strict,
            }) => {
                let name = name.as_deref().unwrap_or(SCHEMA_NAME);
                let mut named = json!({ "name": name, "schema": schema });
                // Strictness forbids optional properties, so it is asked for only if the caller did.
                if let Some(strict) = strict {
                    named["strict"] = (*strict).into();
                }
                json!({ "type": "json_schema", "json_schema": named })
            }
        };
        self.set("response_format", format);
    }

    /// An effort is said; a budget is not, since a model that does not think refuses the field, and
    /// callers of other formats send budgets to models whatever they are.
    fn thinking(&mut self, thinking: Option<Thinking>) {
        match thinking {
            None | Some(Thinking::Adaptive) => {}
            // Models that do not think, and older ones that always do, refuse to be told.
            Some(Thinking::Off) => self.drop("thinking"),
            Some(Thinking::Effort(effort)) => self.set("reasoning_effort", write_effort(effort)),
            Some(Thinking::Budget(_)) => self.drop("thinking.budget_tokens"),
        }
    }
}

/// One text is a string, as every server knows it; anything else is a list of parts.
fn write_content(parts: &[Part]) -> Result<Value, Malformed> {
    match parts {
        [] => Ok(Value::from("")),
        [Part::Text(text)] => Ok(text.as_str().into()),
        parts => parts
            .iter()
            .map(write_part)
            .collect::<Result<_, _>>()
            .map(Value::Array),
    }
}

fn write_part(part: &Part) -> Result<Value, Malformed> {
    match part {
        Part::Text(text) => Ok(json!({ "type": "text", "text": text })),
        Part::Image(source) => Ok(json!({
            "type": "image_url", "image_url": { "url": address(source) },
        })),
        Part::Document { source, name } => write_document(source, name.as_deref()),
        Part::Audio(source) => write_audio(source),
        Part::Refusal(text) => Ok(json!({ "type": "refusal", "refusal": text })),
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Thought { .. } => {
            let message = "a tool's call, result or a thought stands where only words and pictures can; move it into a turn of its own";
            Err(Malformed::new("messages", message))
        }
    }
}

/// A call to a tool, as messages hold it.
pub(super) fn write_call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    })
}

fn write_tool(tool: &Tool) -> Value {
    let mut function = Map::from_iter([("name".to_owned(), Value::from(tool.name.as_str()))]);
    if let Some(description) = &tool.description {
        function.insert("description".to_owned(), description.as_str().into());
    }
    if let Some(parameters) = &tool.parameters {
        function.insert("parameters".to_owned(), parameters.clone());
    }
    if let Some(strict) = tool.strict {
        function.insert("strict".to_owned(), strict.into());
    }
    json!({ "type": "function", "function": function })
}

fn write_document(source: &Source, name: Option<&str>) -> Result<Value, Malformed> {
    let Source::Inline { .. } = source else {
        let message = "a document by its address cannot be said to this model's provider; send its bytes in base64";
        return Err(Malformed::new("messages", message));
    };
    let name = name.unwrap_or("document.pdf");
    Ok(json!({
        "type": "file", "file": { "filename": name, "file_data": address(source) },
    }))
}

fn write_audio(source: &Source) -> Result<Value, Malformed> {
    let spoken = match source {
        Source::Inline { media_type, base64 } => {
            audio_format_of(media_type).map(|format| (base64, format))
        }
        Source::Url(_) => None,
    };
    let (data, format) = spoken.ok_or_else(|| {
        let message = "sound can be said to this model's provider as WAV or MP3 in base64 only";
        Malformed::new("messages", message)
    })?;
    Ok(json!({ "type": "input_audio", "input_audio": { "data": data, "format": format } }))
}

/// An address, or a data URL (RFC 2397) that holds the bytes.
fn address(source: &Source) -> String {
    match source {
        Source::Url(url) => url.clone(),
        Source::Inline { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
    }
}
