//! Writes a configuration to begin with, for the provider keys that the environment holds.

use std::fmt::Write;

use crate::config::Environment;

/// A vendor with a cheap and a strong model of its own.
struct Vendor {
    /// Its kind of provider, which is also what it is called.
    name: &'static str,
    key: &'static str,
    cheap: Offer,
    strong: Offer,
}

/// A model at its list price of November 2026, in US dollars per million tokens.
struct Offer {
    model: &'static str,
    input: &'static str,
    output: &'static str,
}

const fn offer(model: &'static str, input: &'static str, output: &'static str) -> Offer {
    Offer {
        model,
        input,
        output,
    }
}

const VENDORS: [Vendor; 5] = [
    Vendor {
        name: "openai",
        key: "OPENAI_API_KEY",
        cheap: offer("gpt-5-mini", "0.25", "2.00"),
        strong: offer("gpt-5.1", "1.25", "10.00"),
    },
    Vendor {
        name: "gemini",
        key: "GEMINI_API_KEY",
        cheap: offer("gemini-3.5-flash-lite", "0.30", "2.50"),
        strong: offer("gemini-3.8-flash", "0.75", "3.75"),
    },
    Vendor {
        name: "mistral",
        key: "MISTRAL_API_KEY",
        cheap: offer("mistral-small-latest", "0.15", "0.60"),
        strong: offer("mistral-large-latest", "0.50", "1.50"),
    },
    Vendor {
        name: "deepseek",
        key: "DEEPSEEK_API_KEY",
        cheap: offer("deepseek-v4-flash", "0.30", "1.20"),
        strong: offer("deepseek-v4-pro", "1.32", "3.96"),
    },
    Vendor {
        name: "groq",
        key: "GROQ_API_KEY",
        cheap: offer("openai/gpt-oss-20b", "0.075", "0.30"),
        strong: offer("openai/gpt-oss-120b", "0.15", "0.60"),
    },
];

/// A configuration, and the variables whose keys it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The text of the configuration.
    pub text: String,
    /// The variables that hold the keys.
    pub keys: Vec<&'static str>,
}

/// Drafts a configuration. Without a key its models are simulated.
pub fn draft(environment: Environment) -> Draft {
    let found: Vec<&Vendor> = VENDORS
        .iter()
        .filter(|vendor| environment.get(vendor.key).is_some())
        .collect();
    let mut text = String::from(
        "# A configuration of semroute. `semroute check FILE` explains every problem in it;\n\
         # `semroute serve --config FILE` runs it. docs/configuration.md lists every key.\n\n",
    );
    let (cheap, strong) = if let Some(first) = found.first() {
        text.push_str(&servers(&found));
        (
            format!("{}-cheap", first.name),
            format!("{}-strong", first.name),
        )
    } else {
        text.push_str(SIMULATED);
        ("cheap".to_owned(), "strong".to_owned())
    };
    // Another vendor stands in where there is one; else the other model does.
    let second = found.get(1).map(|second| format!("{}-strong", second.name));
    let names = Names {
        instead_of_cheap: second.clone().unwrap_or_else(|| strong.clone()),
        instead_of_strong: second.unwrap_or_else(|| cheap.clone()),
        cheap,
        strong,
    };
    text.push_str(&names.routes());
    Draft {
        text,
        keys: found.iter().map(|vendor| vendor.key).collect(),
    }
}

const SIMULATED: &str = "\
# No provider key was found in the environment, so these models are simulated. Replace them with,
# for example:
#   providers:
#     openai: { kind: openai, api_key: env:OPENAI_API_KEY }
#     local:  { kind: ollama }
providers:
  demo: { kind: simulated }

models:
  cheap:  { provider: demo, price: { input: 0.15, output: 0.60 } }
  strong: { provider: demo, price: { input: 5.00, output: 25.00 }, script: { style: follows_schema } }

";

fn servers(found: &[&Vendor]) -> String {
    let mut text =
        String::from("providers:                        # secrets are named, never written here\n");
    for vendor in found {
        push(
            &mut text,
            format_args!(
                "  {}: {{ kind: {}, api_key: env:{} }}\n",
                vendor.name, vendor.name, vendor.key
            ),
        );
    }
    text.push_str("\nmodels:                           # prices: US dollars per million tokens; check your own\n");
    for vendor in found {
        for (suffix, offer) in [("cheap", &vendor.cheap), ("strong", &vendor.strong)] {
            push(
                &mut text,
                format_args!(
                    "  {}-{suffix}: {{ provider: {}, name: \"{}\", price: {{ input: {}, output: {} }} }}\n",
                    vendor.name, vendor.name, offer.model, offer.input, offer.output
                ),
            );
        }
    }
    text.push('\n');
    text
}

/// The models that the routes name.
struct Names {
    cheap: String,
    strong: String,
    instead_of_cheap: String,
    instead_of_strong: String,
}

impl Names {
    fn routes(&self) -> String {
        let Self {
            cheap,
            strong,
            instead_of_cheap,
            instead_of_strong,
        } = self;
        format!(
            "\
assistants:                       # what callers put in `model`
  assistant:
    routes:                       # the first whose `when` matches is taken
      - name: structured          # the cheap model drafts, the request's JSON Schema checks,
        when: {{ intent: [extraction, classification] }}
        cascade:                  # and only a draft that fails goes to the strong model
          tiers: [{cheap}, {strong}]
          verify:
            - json_schema: request
      - name: everyday
        when: {{ intent: [summarisation, translation, rewriting, smalltalk, factual, creative] }}
        to: {cheap}
        failover: [{instead_of_cheap}]
      - name: default             # code, maths, advice, and whatever is out of scope
        to: {strong}
        failover: [{instead_of_strong}]

log:
  to: [stdout]                    # or \"jsonl:./log\"
  prompts: none                   # retraining from the log needs `full`
"
        )
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(line);
}
