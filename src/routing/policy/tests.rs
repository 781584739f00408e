//! A story of each thing that removes a model.

use super::*;
use crate::domain::chat::Needs;
use crate::domain::model::{Abilities, Limits, Terms, Tier};
use crate::routing::fixtures::{Asking, World, ladder, model, single};
use crate::routing::rules::{Condition, Named};
use crate::routing::strategy::Strategy;
use crate::routing::{Decision, NoCandidate, choose};

fn terms(regions: &[&str], data: &[&str]) -> Terms {
    Terms {
        regions: regions.iter().map(|it| it.parse().unwrap()).collect(),
        data: data.iter().map(|it| it.parse().unwrap()).collect(),
        ..Terms::default()
    }
}

/// Three models: in the EU, in the EU and the US, and nobody knows where.
fn world() -> World {
    let place = |name, usd, terms| Model {
        terms,
        ..model(name, (usd, usd * 5.0))
    };
    World {
        models: vec![
            place("local", 0.5, terms(&["eu"], &["phi"])),
            place("both", 3.0, terms(&["us", "eu"], &[])),
            place("nowhere", 1.0, Terms::default()),
        ],
        ..World::default()
    }
}

fn rule(allow: &Allow, deny: &Deny, when: Rule) -> Policy {
    let models = world().models;
    Policy::of(vec![Restriction::new(
        "house-rule",
        when,
        (allow, deny),
        &models,
    )])
}

fn allowing(allow: &Allow) -> Policy {
    rule(allow, &Deny::default(), Rule::default())
}

fn decided(policy: &Policy, asking: &Asking) -> Result<Decision, NoCandidate> {
    let world = world();
    let way = single(world.ids(), Strategy::Pinned);
    asking.ask(|facts| choose(&ladder(&way, policy), facts, &world))
}

/// Who is left, by name.
fn left(policy: &Policy) -> Vec<String> {
    match decided(policy, &Asking::default()) {
        Ok(decision) => {
            let ids = decision.tiers.iter().flat_map(Tier::targets);
            ids.map(|id| world().models[id.0].name.to_string())
                .collect()
        }
        Err(_) => Vec::new(),
    }
}

#[test]
fn data_of_europe_stays_where_a_model_processes_it_nowhere_else() {
    let policy = allowing(&Allow {
        regions: vec!["eu".parse().unwrap()],
        ..Allow::default()
    });
    assert_eq!(left(&policy), ["local"]);
    let removed = decided(&policy, &Asking::default()).unwrap().removed;
    let why: Vec<&str> = removed.iter().map(|it| &*it.why).collect();
    assert_eq!(
        why,
        [
            "its region us is not one of eu",
            "its regions are not known; eu is asked for"
        ]
    );
    assert!(removed.iter().all(|it| &*it.by == "house-rule"));
}

#[test]
fn a_region_is_denied_to_models_that_may_be_there() {
    let deny = Deny {
        regions: vec!["us".parse().unwrap()],
        ..Deny::default()
    };
    let policy = rule(&Allow::default(), &deny, Rule::default());
    assert_eq!(left(&policy), ["local"], "nobody knows where `nowhere` is");
}

#[test]
fn patients_data_reach_only_models_that_are_cleared_for_them() {
    let policy = allowing(&Allow {
        data: vec!["phi".parse().unwrap()],
        ..Allow::default()
    });
    assert_eq!(left(&policy), ["local"]);
}

#[test]
fn models_and_providers_are_allowed_and_denied_by_name() {
    let policy = allowing(&Allow {
        models: vec!["both".parse().unwrap(), "nowhere".parse().unwrap()],
        ..Allow::default()
    });
    assert_eq!(left(&policy), ["both", "nowhere"]);
    let policy = allowing(&Allow {
        providers: vec!["another".parse().unwrap()],
        ..Allow::default()
    });
    assert!(left(&policy).is_empty());
    let deny = Deny {
        models: vec!["both".parse().unwrap()],
        ..Deny::default()
    };
    let policy = rule(&Allow::default(), &deny, Rule::default());
    assert_eq!(left(&policy), ["local", "nowhere"]);
    let deny = Deny {
        providers: vec!["lab".parse().unwrap()],
        ..Deny::default()
    };
    assert!(left(&rule(&Allow::default(), &deny, Rule::default())).is_empty());
}

#[test]
fn a_price_ceiling_removes_what_is_dearer_and_what_has_no_price() {
    let ceiling = |usd| Some(PicoUsd::per_token(usd).unwrap());
    let price = |input, output| {
        allowing(&Allow {
            price: Some(Ceiling { input, output }),
            ..Allow::default()
        })
    };
    assert_eq!(left(&price(ceiling(1.0), None)), ["local", "nowhere"]);
    assert_eq!(left(&price(None, ceiling(2.5))), ["local"]);
    let free = Model {
        price: None,
        ..model("unpriced", (0.0, 0.0))
    };
    let ceiling = Ceiling {
        input: ceiling(1.0),
        output: None,
    };
    assert!(ceiling.refuses(&free).is_some());
}

#[test]
fn a_rule_for_one_team_leaves_the_others_alone() {
    let when = Rule::of(vec![Condition::Header(Named {
        name: "x-residency".into(),
        values: vec!["eu".into()],
    })]);
    let allow = Allow {
        regions: vec!["eu".parse().unwrap()],
        ..Allow::default()
    };
    let policy = rule(&allow, &Deny::default(), when);
    assert_eq!(left(&policy).len(), 3);
    let asking = Asking::with_header("x-residency", "eu");
    assert_eq!(decided(&policy, &asking).unwrap().tiers[0].stand_ins, []);
}

#[test]
fn if_none_is_left_the_last_removal_says_which_rule_it_was() {
    let policy = allowing(&Allow {
        data: vec!["pci".parse().unwrap()],
        ..Allow::default()
    });
    let nobody = decided(&policy, &Asking::default()).unwrap_err();
    assert_eq!(nobody.removed.len(), 3);
    let last = nobody.removed.last().unwrap();
    assert_eq!((last.model.as_str(), &*last.by), ("nowhere", "house-rule"));
    assert_eq!(&*last.why, "it is not cleared for pci");
}

fn needing(needs: Needs) -> Asking {
    Asking {
        needs,
        ..Asking::default()
    }
}

fn only(model: Model, asking: &Asking) -> Result<Decision, NoCandidate> {
    let world = World {
        models: vec![model],
        ..World::default()
    };
    world.decides(Strategy::Pinned, asking)
}

#[test]
fn a_model_that_cannot_do_what_is_needed_is_removed_and_one_of_which_nobody_knows_is_not() {
    let able = |ability| Abilities {
        tools: ability,
        images: ability,
        json_schema: ability,
        reasoning: ability,
    };
    let of = |ability| Model {
        abilities: able(ability),
        ..model("m", (1.0, 1.0))
    };
    for needs in [
        Needs {
            tools: Need::Yes,
            ..Needs::default()
        },
        Needs {
            images: Need::Yes,
            ..Needs::default()
        },
        Needs {
            schema: Need::Yes,
            ..Needs::default()
        },
    ] {
        let asking = needing(needs);
        let nobody = only(of(Ability::No), &asking).unwrap_err();
        assert_eq!(&*nobody.removed[0].by, Removed::ABILITY);
        assert!(only(of(Ability::Unknown), &asking).is_ok());
        assert!(only(of(Ability::Yes), &asking).is_ok());
    }
    assert!(only(of(Ability::No), &Asking::default()).is_ok());
}

#[test]
fn a_prompt_that_does_not_fit_the_context_is_not_sent_to_be_refused() {
    let of = |tokens, tokenizer_factor| Model {
        limits: Limits {
            context_tokens: Some(tokens),
            output_tokens_max: None,
        },
        terms: Terms {
            tokenizer_factor,
            ..Terms::default()
        },
        ..model("m", (1.0, 1.0))
    };
    // 1,000 tokens, and three around the message.
    let asking = Asking::about(&"word".repeat(1_000));
    assert!(only(of(1_003, 1.0), &asking).is_ok());
    let nobody = only(of(1_002, 1.0), &asking).unwrap_err();
    assert_eq!(&*nobody.removed[0].by, Removed::CONTEXT);
    assert!(
        only(of(1_003, 1.1), &asking).is_err(),
        "its tokenizer is less thrifty"
    );
    assert!(only(of(2, 1.0), &Asking::about("hi")).is_err());
    let answering = Asking {
        needs: Needs {
            output_tokens_max: Some(500),
            ..Needs::default()
        },
        ..Asking::about(&"word".repeat(1_000))
    };
    assert!(only(of(1_503, 1.0), &answering).is_ok());
    assert!(
        only(of(1_502, 1.0), &answering).is_err(),
        "the answer has no room"
    );
    let with_instructions = Model {
        terms: Terms {
            added_tokens: 2_000,
            ..Terms::default()
        },
        ..of(1_003, 1.0)
    };
    assert!(only(with_instructions, &asking).is_err());
}
