//! Parameters that an operator sets, in the words of chat completions.

use serde_json::{Map, Value};

use crate::domain::conversation::Conversation;
use crate::wire::{Malformed, openai};

/// What semroute sets itself, each with what to do instead.
const SET_BY_US: [(&str, &str); 5] = [
    (
        "model",
        "give the provider's name for it as the model's `name`",
    ),
    ("messages", "give a system prompt as the model's `system`"),
    ("system", "give a system prompt as the model's `system`"),
    ("stream", "leave it out"),
    ("stream_options", "leave it out"),
];

/// What the caller's own program works with. It may be taken out, for a server that refuses it.
const ASKED_BY_THE_CALLER: [&str; 7] = [
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    "modalities",
    "audio",
];

/// Parameters that are set in every request to a target, or taken out of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters {
    /// In the operator's order; null takes a field out.
    fields: Map<String, Value>,
    /// The same, understood together; nothing else is set in it.
    said: Conversation,
}

impl Parameters {
    /// Reads parameters. What is wrong is told of each by its name.
    pub fn read(fields: Map<String, Value>) -> Result<Self, Vec<Malformed>> {
        let mut problems = Vec::new();
        for (name, value) in &fields {
            // Each is read alone, so that every one that is wrong is told.
            let alone = Map::from_iter([(name.clone(), value.clone())]);
            let read = check_name(name, value).and_then(|()| openai::read_parameters(alone));
            problems.extend(read.err().map(|problem| problem.at(name)));
        }
        if ["max_tokens", "max_completion_tokens"]
            .iter()
            .all(|name| fields.contains_key(*name))
        {
            let message =
                "`max_tokens` and `max_completion_tokens` mean the same; keep one of them";
            problems.push(Malformed::new("max_tokens", message));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let said = openai::read_parameters(fields.clone()).map_err(|problem| vec![problem])?;
        Ok(Self { fields, said })
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Each with its value, or none where it is to be taken out.
    pub(in crate::wire) fn fields(&self) -> impl Iterator<Item = (&str, Option<&Value>)> {
        let told = |(name, value)| {
            (
                String::as_str(name),
                Some(value).filter(|it: &&Value| !it.is_null()),
            )
        };
        self.fields.iter().map(told)
    }

    /// Those that other formats than OpenAI's may have a word for.
    pub(in crate::wire) fn words(&self) -> impl Iterator<Item = Word> {
        self.names().filter_map(Word::of)
    }

    /// The names of the others.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &str> {
        self.names().filter(|name| Word::of(name).is_none())
    }

    /// Puts them into a conversation.
    pub(in crate::wire) fn apply(&self, conversation: &mut Conversation) {
        let logprobs = self.logprobs(conversation.logprobs);
        for word in self.words() {
            word.copy(&self.said, conversation);
        }
        conversation.logprobs = logprobs;
    }

    /// How many alternatives to each token are told, by what the caller asks for. Two fields say it, of which
    /// the operator may set one.
    fn logprobs(&self, callers: Option<u64>) -> Option<u64> {
        let [is_wanted, alternatives] =
            ["logprobs", "top_logprobs"].map(|name| self.fields.get(name));
        let is_wanted = is_wanted.map_or(callers.is_some(), |it| it.as_bool() == Some(true));
        let alternatives = alternatives.map_or(callers, Value::as_u64);
        is_wanted.then_some(alternatives.unwrap_or_default())
    }

    /// Whether they say how many alternatives are told, and leave it to the caller to ask for any.
    pub(super) fn count_alternatives(&self) -> bool {
        let told = |name| self.fields.get(name).is_some_and(|it| !it.is_null());
        told("top_logprobs") && !self.fields.contains_key("logprobs")
    }
}

fn check_name(name: &str, value: &Value) -> Result<(), Malformed> {
    if let Some((_, remedy)) = SET_BY_US.iter().find(|(known, _)| *known == name) {
        let message = format!("semroute itself sets `{name}`; {remedy}");
        return Err(Malformed::new(name, message));
    }
    if ASKED_BY_THE_CALLER.contains(&name) && !value.is_null() {
        let message = format!(
            "`{name}` is the caller's to give, since its own program works with what comes of it; only null, which takes it out, can stand here"
        );
        return Err(Malformed::new(name, message));
    }
    Ok(())
}

/// A parameter that more formats than OpenAI's have a word for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Word {
    TokensMax,
    Temperature,
    TopP,
    TopK,
    Stop,
    Seed,
    PresencePenalty,
    FrequencyPenalty,
    Effort,
    User,
    Choices,
    Logprobs,
    ParallelCalls,
    Tools,
    ToolChoice,
    Structure,
}

impl Word {
    fn of(name: &str) -> Option<Self> {
        let word = match name {
            "max_tokens" | "max_completion_tokens" => Self::TokensMax,
            "temperature" => Self::Temperature,
            "top_p" => Self::TopP,
            "top_k" => Self::TopK,
            "stop" => Self::Stop,
            "seed" => Self::Seed,
            "presence_penalty" => Self::PresencePenalty,
            "frequency_penalty" => Self::FrequencyPenalty,
            "reasoning_effort" => Self::Effort,
            "user" => Self::User,
            "n" => Self::Choices,
            "logprobs" | "top_logprobs" => Self::Logprobs,
            "parallel_tool_calls" => Self::ParallelCalls,
            "tools" => Self::Tools,
            "tool_choice" => Self::ToolChoice,
            "response_format" => Self::Structure,
            _ => return None,
        };
        Some(word)
    }

    /// Makes one conversation say of this what the other says.
    fn copy(self, from: &Conversation, to: &mut Conversation) {
        let (said, sampling) = (&from.sampling, &mut to.sampling);
        match self {
            Self::TokensMax => sampling.tokens_max = said.tokens_max,
            Self::Temperature => sampling.temperature = said.temperature,
            Self::TopP => sampling.top_p = said.top_p,
            Self::TopK => sampling.top_k = said.top_k,
            Self::Stop => sampling.stop.clone_from(&said.stop),
            Self::Seed => sampling.seed = said.seed,
            Self::PresencePenalty => sampling.presence_penalty = said.presence_penalty,
            Self::FrequencyPenalty => sampling.frequency_penalty = said.frequency_penalty,
            Self::Effort => to.thinking = from.thinking,
            Self::User => to.user.clone_from(&from.user),
            Self::Choices => to.choices = from.choices,
            // Two fields say it between them, which whoever knows both sees to.
            Self::Logprobs => {}
            Self::ParallelCalls => to.parallel_tool_calls = from.parallel_tool_calls,
            Self::Tools => {
                to.tools.clone_from(&from.tools);
                // Without a tool there is nothing to choose, and providers refuse to be told.
                to.tool_choice = None;
                to.parallel_tool_calls = None;
            }
            Self::ToolChoice => to.tool_choice.clone_from(&from.tool_choice),
            Self::Structure => to.structure.clone_from(&from.structure),
        }
    }
}
