//! Who is paid, by the address that is asked.
//!
//! Anyone can run a server that speaks OpenAI's API under OpenAI's names for models. What its answers
//! cost is between its owner and whoever pays the machine, so only a vendor's own address is taken to
//! bill by that vendor's list.

/// The vendor behind a host, as entries of the catalogue call it. A host that is not exactly a
/// vendor's own has none: regional addresses, for one, bill at other prices than the list's.
pub fn of_host(host: &str) -> Option<&'static str> {
    let vendor = match host {
        "api.openai.com" => "openai",
        "api.anthropic.com" => "anthropic",
        "generativelanguage.googleapis.com" => "gemini",
        "api.mistral.ai" => "mistral",
        "api.groq.com" => "groq",
        "api.together.xyz" | "api.together.ai" => "together",
        "api.fireworks.ai" => "fireworks",
        "api.deepseek.com" => "deepseek",
        "api.x.ai" => "xai",
        "openrouter.ai" => "openrouter",
        "api.cerebras.ai" => "cerebras",
        "api.cohere.com" | "api.cohere.ai" => "cohere",
        host if host.ends_with(".openai.azure.com") => "azure",
        _ => return None,
    };
    Some(vendor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_vendors_own_host_is_the_vendor() {
        assert_eq!(of_host("api.openai.com"), Some("openai"));
        assert_eq!(of_host("team.openai.azure.com"), Some("azure"));
        for host in [
            "localhost",
            "eu.api.openai.com",
            "api.openai.com.example.com",
            "openai.azure.com",
            "",
        ] {
            assert_eq!(of_host(host), None, "{host}");
        }
    }
}
