//! What is wrong with a configuration, and where.

use std::fmt;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The place, as one would say it: `assistants.assistant.routes[1].to`. Empty for all of it.
    pub path: String,
    /// What is wrong, with the value and the remedy.
    pub message: String,
}

impl Problem {
    /// A problem at a place.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Everything that is wrong. As an error, one line a problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// How alike two names must be, from 0 to 1, for one to be taken for the other's misspelling. Below it,
/// suggestions are mostly nonsense.
const LIKENESS_MIN: f64 = 0.7;

/// `; did you mean "x"?` for the nearest of the known names, or the list of them if none is near.
pub fn suggestion<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(unknown, name), *name))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((likeness, name)) if LIKENESS_MIN < likeness => format!("; did you mean {name:?}?"),
        Some(_) => format!("; there is {}", known.join(", ")),
        None => "; there is none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(
            suggestion("lisen", ["listen", "request_timeout"]),
            "; did you mean \"listen\"?"
        );
    }

    #[test]
    fn far_from_everything_the_names_are_listed() {
        assert_eq!(
            suggestion("zzz", ["small", "large"]),
            "; there is small, large"
        );
        assert_eq!(suggestion("zzz", []), "; there is none");
    }
}
