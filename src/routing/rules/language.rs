//! In which language or script a text is written.
//!
//! The language is a guess from trigrams and alphabets (whatlang); one that the detector itself does
//! not call reliable is no language, since a rule on a wrong guess would send prompts astray. The
//! script is counted, not guessed, and so holds for three words as well.

use whatlang::{Lang, Script};

/// How much of a text is looked at. A page tells as much as a book.
const CHARS_MAX: usize = 2_000;

/// A language that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language(Lang);

/// A script that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Writing(Script);

/// The two-letter codes of ISO 639-1, beside those of ISO 639-3 that the detector has.
const SHORT_CODES: [(&str, &str); 66] = [
    ("af", "afr"),
    ("am", "amh"),
    ("ar", "ara"),
    ("az", "aze"),
    ("be", "bel"),
    ("bg", "bul"),
    ("bn", "ben"),
    ("ca", "cat"),
    ("cs", "ces"),
    ("cy", "cym"),
    ("da", "dan"),
    ("de", "deu"),
    ("el", "ell"),
    ("en", "eng"),
    ("eo", "epo"),
    ("es", "spa"),
    ("et", "est"),
    ("fa", "pes"),
    ("fi", "fin"),
    ("fr", "fra"),
    ("gu", "guj"),
    ("he", "heb"),
    ("hi", "hin"),
    ("hr", "hrv"),
    ("hu", "hun"),
    ("hy", "hye"),
    ("id", "ind"),
    ("it", "ita"),
    ("ja", "jpn"),
    ("jv", "jav"),
    ("ka", "kat"),
    ("km", "khm"),
    ("kn", "kan"),
    ("ko", "kor"),
    ("la", "lat"),
    ("lt", "lit"),
    ("lv", "lav"),
    ("mk", "mkd"),
    ("ml", "mal"),
    ("mr", "mar"),
    ("my", "mya"),
    ("nb", "nob"),
    ("ne", "nep"),
    ("nl", "nld"),
    ("or", "ori"),
    ("pa", "pan"),
    ("pl", "pol"),
    ("pt", "por"),
    ("ro", "ron"),
    ("ru", "rus"),
    ("si", "sin"),
    ("sk", "slk"),
    ("sl", "slv"),
    ("sn", "sna"),
    ("sr", "srp"),
    ("sv", "swe"),
    ("ta", "tam"),
    ("te", "tel"),
    ("th", "tha"),
    ("tk", "tuk"),
    ("tl", "tgl"),
    ("tr", "tur"),
    ("uk", "ukr"),
    ("uz", "uzb"),
    ("vi", "vie"),
    ("zh", "cmn"),
];

impl Language {
    /// The language of a code, ISO 639-1 or 639-3.
    pub fn of_code(code: &str) -> Option<Self> {
        let long = SHORT_CODES
            .iter()
            .find(|(short, _)| *short == code)
            .map_or(code, |(_, long)| long);
        Lang::from_code(long).map(Self)
    }

    /// The codes of all that can be told, the short ones where there are such.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        Lang::all().iter().map(|lang| {
            let code = lang.code();
            SHORT_CODES
                .iter()
                .find(|(_, long)| *long == code)
                .map_or(code, |(short, _)| short)
        })
    }

    /// The language of a text, if it can be told.
    pub fn of(text: &str) -> Option<Self> {
        whatlang::detect(beginning(text))
            .filter(whatlang::Info::is_reliable)
            .map(|info| Self(info.lang()))
    }
}

impl Writing {
    /// The script of a name, such as `cyrillic`.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::named()
            .find(|(known, _)| known == name)
            .map(|(_, script)| script)
    }

    /// The names of all that can be told.
    pub fn names() -> impl Iterator<Item = String> {
        Self::named().map(|(name, _)| name)
    }

    fn named() -> impl Iterator<Item = (String, Self)> {
        Script::all().iter().map(|script| {
            let name = match script {
                Script::Mandarin => "han".to_owned(),
                script => script.name().to_ascii_lowercase(),
            };
            (name, Self(*script))
        })
    }

    /// Whether a language is written in it.
    pub fn writes(self, language: Language) -> bool {
        // The detector takes texts of kanji with a few kana for Japanese.
        let is_kanji = (self.0, language.0) == (Script::Mandarin, Lang::Jpn);
        is_kanji || self.0.langs().contains(&language.0)
    }

    /// The script that most of a text is written in, if it has letters at all.
    pub fn of(text: &str) -> Option<Self> {
        whatlang::detect_script(beginning(text)).map(Self)
    }
}

fn beginning(text: &str) -> &str {
    text.char_indices()
        .nth(CHARS_MAX)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_code_stands_for_a_language_that_can_be_told() {
        for (short, long) in SHORT_CODES {
            assert_eq!(Language::of_code(short), Language::of_code(long), "{short}");
            assert!(Language::of_code(short).is_some(), "{short}");
        }
        assert_eq!(Language::of_code("xx"), None);
        assert_eq!(Language::codes().count(), Lang::all().len());
    }

    #[test]
    fn a_sentence_tells_its_language_and_a_word_does_not() {
        let german = "Könnten Sie mir bitte erklären, warum meine Rechnung dieses Mal höher ist?";
        assert_eq!(Language::of(german), Language::of_code("de"));
        let polish = "Dlaczego moja faktura jest w tym miesiącu wyższa niż zwykle?";
        assert_eq!(Language::of(polish), Language::of_code("pl"));
        assert_eq!(Language::of("ok"), None);
        assert_eq!(Language::of(""), None);
    }

    #[test]
    fn a_word_tells_its_script() {
        assert_eq!(Writing::of("привет"), Writing::of_name("cyrillic"));
        assert_eq!(Writing::of("请总结这封邮件"), Writing::of_name("han"));
        assert_eq!(Writing::of("hello"), Writing::of_name("latin"));
        assert_eq!(Writing::of("123 !?"), None);
        assert_eq!(Writing::of_name("klingon"), None);
    }

    #[test]
    fn a_long_text_is_judged_by_its_beginning_and_cut_between_characters() {
        let text = format!("{}{}", "ж".repeat(CHARS_MAX), "a".repeat(CHARS_MAX * 2));
        assert_eq!(beginning(&text).chars().count(), CHARS_MAX);
        assert_eq!(Writing::of(&text), Writing::of_name("cyrillic"));
    }
}
