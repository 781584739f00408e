//! Teams and their keys, and who may ask for which assistant.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::assistants::Assistant;
use crate::config::problem::suggestion;
use crate::config::value::{OneOrMany, SecretRef};
use crate::config::{Environment, Loaded, Problem};
use crate::domain::caller::{ANONYMOUS, KeyLabel};
use crate::domain::name::TeamName;
use crate::engine::access::{Access, Holder, KEY_CHARS_MAX, KeyRing, Teams};

/// Callers that share keys.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// The keys that tell its callers: each `env:NAME`, or `file:PATH` relative to the config. Several
    /// hold at once, so that one can be replaced while the old one still works. A key has 16 to 512
    /// visible ASCII characters, and no two teams share one.
    pub keys: Vec<SecretRef>,
}

/// Stands for every team.
const ALL: &str = "all";

/// Shorter keys could be found by trying.
const KEY_CHARS_MIN: usize = 16;

/// Every team, by name; `None` where no key is asked for.
pub(super) type ByName = Option<BTreeMap<TeamName, Team>>;

/// What `assistants.NAME.teams` is where it is left out.
pub(super) fn all() -> OneOrMany<TeamName> {
    OneOrMany::Many(ALL.parse().into_iter().collect())
}

/// Who may ask at all.
pub(super) fn access(
    loaded: &Loaded,
    environment: Environment,
    problems: &mut Vec<Problem>,
) -> Access {
    let Some(teams) = &loaded.config.teams else {
        return Access::Anyone;
    };
    if teams.is_empty() {
        let message = "there is no team, so nobody could ask; write one, or leave `teams` out and \
             nobody needs a key";
        problems.push(Problem::new("teams", message));
    }
    let mut ring = KeyRing::default();
    for (name, team) in teams {
        let path = format!("teams.{name}");
        if [ALL, ANONYMOUS].contains(&name.as_str()) {
            let message = "has a meaning of its own; call the team something else";
            problems.push(Problem::new(
                &path,
                format!("the name \"{name}\" {message}"),
            ));
        }
        if team.keys.is_empty() {
            let message = "there is no key, so nobody is of this team; write env:NAME or file:PATH";
            problems.push(Problem::new(format!("{path}.keys"), message));
        }
        for (position, reference) in team.keys.iter().enumerate() {
            let added = environment
                .secret(reference, &loaded.folder)
                .and_then(|secret| {
                    let holder = Holder {
                        team: name.clone(),
                        key: KeyLabel::new(&reference.to_string()),
                    };
                    add(&mut ring, secret.trim(), holder)
                });
            if let Err(message) = added {
                problems.push(Problem::new(format!("{path}.keys[{position}]"), message));
            }
        }
    }
    Access::KeyHolders(ring)
}

/// Puts a key on the ring, or says why it cannot be one without repeating it.
fn add(ring: &mut KeyRing, key: &str, holder: Holder) -> Result<(), String> {
    let length = key.chars().count();
    if length == 0 {
        return Err("the key is blank; leave it out, or give it a value".to_owned());
    }
    if !key.chars().all(|c| c.is_ascii_graphic()) {
        return Err(
            "the key has characters that a header cannot carry; use letters, digits and punctuation of ASCII, without spaces"
                .to_owned(),
        );
    }
    if !(KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&length) {
        return Err(format!(
            "the key has {length} characters; it must have {KEY_CHARS_MIN} to {KEY_CHARS_MAX}, such as `openssl rand -hex 32` prints"
        ));
    }
    let team = holder.team.clone();
    ring.add(key, holder).map_err(|holder| {
        if holder == team {
            "the team has the same key already; leave one out".to_owned()
        } else {
            format!("the team \"{holder}\" has the same key; a key tells who asks, so give each team its own")
        }
    })
}

/// Who may ask for an assistant.
pub(super) fn teams_of(
    assistant: &Assistant,
    known: &ByName,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Teams {
    let named = assistant.teams.as_slice();
    let is_all = |name: &TeamName| name.as_str() == ALL;
    match (named, named.iter().any(is_all)) {
        ([], _) => {
            let message = "names no team, so nobody could ask for it; name one, or leave it out";
            problems.push(Problem::new(path, message));
        }
        ([_], true) => return Teams::All,
        (_, true) => {
            let message = "`all` stands for every team; leave it out, or the others";
            problems.push(Problem::new(path, message));
        }
        (_, false) => {}
    }
    let known: Vec<&TeamName> = known.iter().flat_map(BTreeMap::keys).collect();
    let is_list = matches!(assistant.teams, OneOrMany::Many(_));
    for (position, name) in named.iter().enumerate() {
        if !is_all(name) && !known.contains(&name) {
            let hint = suggestion(name.as_str(), known.iter().map(|name| name.as_str()));
            let place = if is_list {
                format!("{path}[{position}]")
            } else {
                path.to_owned()
            };
            let message = format!("no team is called \"{name}\"{hint}");
            problems.push(Problem::new(place, message));
        }
    }
    Teams::These(named.iter().cloned().collect())
}
