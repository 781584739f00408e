//! Keywords and expressions that a text is searched for. Searching takes time linear in the text,
//! whatever the expression: no caller can write a prompt that makes one run away.

use regex::{RegexSet, RegexSetBuilder};

use super::Patterns;

/// The most that the expressions of one condition may take when compiled. A thousand keywords fit.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Texts that hold one of these words or phrases, in whatever case. A word is found as a word: `sql`
/// is not found in `mysqldump`. Where a script has no spaces, it is found anywhere.
pub fn keywords(words: &[String]) -> Result<Patterns, String> {
    compile(words.iter().map(|word| {
        let word = word.trim();
        let edge = |c: Option<char>| match c {
            Some(c) if c.is_alphanumeric() && !is_written_without_spaces(c) => r"\b",
            _ => "",
        };
        format!(
            "(?i){}{}{}",
            edge(word.chars().next()),
            regex::escape(word),
            edge(word.chars().next_back())
        )
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

fn is_written_without_spaces(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
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
