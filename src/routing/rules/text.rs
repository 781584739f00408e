//! Keywords and expressions that a text is searched for. Searching takes time linear in the text,
//! whatever the expression: no caller can write a prompt that makes one run away.

use regex::{RegexSet, RegexSetBuilder};

use super::Patterns;

/// The most that the expressions of one condition may take when compiled. A thousand keywords fit.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What may stand before and behind a keyword: nothing, no letter, or a letter of a script that is written
/// without spaces, or that hangs particles on its words.
const OTHER: &str =
    r"[\W_\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]";

/// Texts that hold one of these words or phrases, in whatever case, however their words are spaced. A word
/// is found as a word: `sql` is not found in `mysqldump`. Where a script has no spaces, it is found
/// anywhere.
pub fn keywords(words: &[String]) -> Result<Patterns, String> {
    compile(words.iter().map(|word| {
        let parts: Vec<String> = word.split_whitespace().map(regex::escape).collect();
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !is_open(c));
        let edge = |at: &str, c| {
            if is_word(c) {
                format!("(?:{at}|{OTHER})")
            } else {
                String::new()
            }
        };
        let before = edge("^", word.trim().chars().next());
        let behind = edge("$", word.trim().chars().next_back());
        format!("(?i){before}{}{behind}", parts.join(r"\s+"))
    }))
}

/// Texts that match one of these expressions.
pub fn expressions(expressions: &[String]) -> Result<Patterns, String> {
    compile(expressions.iter().cloned())
}

fn compile(expressions: impl Iterator<Item = String>) -> Result<Patterns, String> {
    RegexSetBuilder::new(expressions)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map(|set: RegexSet| Patterns::of(set))
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!(
                    "it takes more than {COMPILED_BYTES_MAX} bytes when compiled; search for less"
                )
            }
            error => one_line(&error.to_string()),
        })
}

/// The parser draws its complaint over several lines; the last says what is wrong.
fn one_line(drawn: &str) -> String {
    let last = drawn.lines().map(str::trim).rfind(|line| !line.is_empty());
    let last = last.unwrap_or(drawn);
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// Whether a word may begin or end in the middle of letters of its script.
fn is_open(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
        | '\u{1100}'..='\u{11FF}' // Hangul
        | '\u{AC00}'..='\u{D7AF}'
        | '\u{1000}'..='\u{109F}' // Myanmar
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{3040}'..='\u{30FF}' // Hiragana, Katakana
        | '\u{3400}'..='\u{9FFF}' // Han
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(word: &str, text: &str) -> bool {
        keywords(&[word.to_owned()]).unwrap().0.is_match(text)
    }

    #[test]
    fn a_keyword_is_found_as_a_word_in_whatever_case() {
        assert!(finds("refund", "I want a REFUND."));
        assert!(finds("Zürich", "flights to zürich, please"));
        assert!(finds("c++", "a C++ question"));
        assert!(finds("credit card", "my credit card was stolen"));
        assert!(!finds("sql", "mysqldump fails"));
        assert!(!finds("art", "the start of it"));
    }

    #[test]
    fn a_keyword_of_a_script_without_spaces_is_found_anywhere() {
        assert!(finds("退款", "我要申请退款谢谢"));
        assert!(finds("คืนเงิน", "ฉันต้องการคืนเงินค่ะ"));
        assert!(finds("환불", "환불을 원해요"));
        assert!(finds("python", "写python代码"));
        assert!(!finds("python", "写ipython代码"));
    }

    #[test]
    fn the_words_of_a_phrase_may_stand_on_two_lines() {
        assert!(finds("credit card", "my credit\n  card"));
        assert!(!finds("credit card", "my creditcard"));
    }

    #[test]
    fn signs_of_expressions_mean_themselves_in_a_keyword() {
        assert!(finds("a.b*", "what is a.b* here"));
        assert!(!finds("a.b", "aXb"));
    }

    #[test]
    fn an_expression_that_cannot_be_read_is_told_on_one_line() {
        let problem = expressions(&["(unclosed".to_owned()]).unwrap_err();
        assert_eq!(problem, "unclosed group");
        let problem = expressions(&["(a{1000}){1000}".to_owned()]).unwrap_err();
        assert!(problem.contains("search for less"), "{problem}");
    }
}
