//! Teams in a configuration: who may ask for what, and keys that cannot tell a team.

use std::path::PathBuf;

use semroute::config::assemble::{Assembled, over_encoder};
use semroute::config::load::parse;
use semroute::config::{Environment, Problems};
use semroute::domain::caller::Tenant;
use semroute::engine::access::Access;

use crate::config::{MODELS, ROUTES, told};
use crate::support::shipped_encoder;

/// A configuration with teams, whose keys stand in the environment under their own names.
fn with_teams(teams: &str) -> Result<Assembled, Problems> {
    let environment = Environment::from_lookup(|name| {
        let key = match name {
            "BLANK" => " \t",
            "SHORT" => "fifteen-letters",
            "SPACED" => "sixteen letters!",
            "PADDED" => " padded-0123456789\n",
            "A" | "COPY" => "key-a-0123456789",
            "B" => "key-b-0123456789",
            _ => return None,
        };
        Some(key.to_owned())
    });
    let loaded = parse(&format!("{MODELS}{ROUTES}{teams}"), PathBuf::new())?;
    over_encoder(loaded, shipped_encoder(), environment)
}

#[test]
fn the_keys_of_teams_change_who_may_ask() {
    let held = |teams: &str, key: &str| {
        let plan = with_teams(teams).unwrap_or_else(|it| panic!("{it}")).plan;
        match plan.access {
            Access::Anyone => None,
            Access::KeyHolders(ring) => ring
                .holder(key.as_bytes())
                .map(|holder| holder.team.to_string()),
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "key-f-0123456789\n").unwrap();
    let teams = format!(
        "teams: {{ lab: {{ keys: [env:A, \"file:{}\"] }}, clinic: {{ keys: [env:B, env:PADDED] }} }}\n",
        file.display()
    );
    for (key, team) in [
        ("key-a-0123456789", Some("lab")),
        ("key-f-0123456789", Some("lab")),
        ("key-b-0123456789", Some("clinic")),
        ("padded-0123456789", Some("clinic")),
        ("key-c-0123456789", None),
    ] {
        assert_eq!(held(&teams, key).as_deref(), team, "{key}");
    }
    assert_eq!(held("", "key-a-0123456789"), None);
}

#[test]
fn keys_that_cannot_tell_a_team_are_told_and_never_repeated() {
    let found = with_teams(
        "teams: { lab: { keys: [env:A, env:COPY, env:BLANK, env:SHORT, env:SPACED, env:NONE] }, \
         clinic: { keys: [env:A] }, empty: { keys: [] }, all: { keys: [env:B] } }\n",
    );
    let found = found.err().unwrap().to_string();
    for words in [
        "teams.lab.keys[0]: the team \"clinic\" has the same key",
        "teams.lab.keys[1]: the team \"clinic\" has the same key",
        "teams.lab.keys[2]: the key is blank",
        "teams.lab.keys[3]: the key has 15 characters; it must have 16 to 512",
        "teams.lab.keys[4]: the key has characters that a header cannot carry",
        "teams.lab.keys[5]: the environment variable NONE is not set",
        "teams.empty.keys: there is no key",
        "teams.all: the name \"all\" has a meaning of its own",
    ] {
        assert!(found.contains(words), "{words} is not in\n{found}");
    }
    for key in ["key-a", "key-b", "fifteen", "sixteen"] {
        assert!(!found.contains(key), "{key} is told:\n{found}");
    }
    let twice = with_teams("teams: { lab: { keys: [env:A, env:COPY] } }\n");
    let twice = twice.err().unwrap().to_string();
    assert_eq!(
        twice,
        "teams.lab.keys[1]: the team has the same key already; leave one out"
    );
    let pasted = with_teams("teams: { lab: { keys: [key-a-0123456789] } }\n");
    assert_eq!(
        pasted.err().unwrap().to_string(),
        "teams.lab.keys[0]: a secret is not written here: say env:NAME or file:PATH"
    );
}

#[test]
fn a_section_of_teams_that_names_none_does_not_open_the_server() {
    for teams in ["teams: {}\n", "teams:\n"] {
        let problem = with_teams(teams).err().unwrap().to_string();
        assert!(problem.starts_with("teams: "), "{problem}");
    }
}

#[test]
fn the_teams_of_an_assistant_change_who_may_ask_for_it() {
    const TEAMS: &str = "teams: { lab: { keys: [env:A] }, clinic: { keys: [env:B] } }\n";
    let of = |teams: &str| {
        let routes = ROUTES.replace("    routes:", &format!("    teams: {teams}\n    routes:"));
        let environment = Environment::from_lookup(|name| match name {
            "A" => Some("key-a-0123456789".to_owned()),
            _ => Some("key-b-0123456789".to_owned()),
        });
        let loaded = parse(&format!("{MODELS}{routes}{TEAMS}"), PathBuf::new())?;
        over_encoder(loaded, shipped_encoder(), environment)
    };
    let admitted = |teams: &str| {
        let plan = of(teams).unwrap_or_else(|it| panic!("{it}")).plan;
        let tenants = ["lab", "clinic"].map(|name| Tenant::Team(name.parse().unwrap()));
        tenants.map(|tenant| plan.assistants_of(&tenant).count())
    };
    assert_eq!(admitted("all"), [1, 1]);
    assert_eq!(admitted("[all]"), [1, 1]);
    assert_eq!(admitted("lab"), [1, 0]);
    assert_eq!(admitted("[clinic]"), [0, 1]);
    assert_eq!(admitted("[clinic, lab]"), [1, 1]);
    for (teams, problem) in [
        (
            "[lab, clnic]",
            "assistants.assistant.teams[1]: no team is called \"clnic\"; did you mean \"clinic\"?",
        ),
        (
            "labb",
            "assistants.assistant.teams: no team is called \"labb\"; did you mean \"lab\"?",
        ),
        ("[]", "assistants.assistant.teams: names no team"),
        (
            "[all, lab]",
            "assistants.assistant.teams: `all` stands for every team",
        ),
    ] {
        let found = of(teams).err().unwrap().to_string();
        assert!(found.contains(problem), "{found}");
    }
    told(
        &format!(
            "{MODELS}{}",
            ROUTES.replace("    routes:", "    teams: lab\n    routes:")
        ),
        &["assistants.assistant.teams: no team is called \"lab\"; there is none"],
    );
}
