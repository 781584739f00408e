//! Finds where the values of a JSON text end. It only says whether a text is JSON, not what is wrong with it, and
//! looks at each byte once: eight at a time within strings, of which long bodies consist.

/// Lowest bit of each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// Highest bit of each byte of a word.
const HIGHS: u64 = ONES << 7;

/// A place in a text that is being read.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

/// What stands open around a place: one bit for each level, set where it is an object.
struct Open {
    objects: u128,
    depth: u32,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// Moves past a byte, with white space before and behind it, if it is this one.
    pub(super) fn takes(&mut self, byte: u8) -> bool {
        self.pass_white();
        let found = self.is_at(byte);
        if found {
            self.at += 1;
            self.pass_white();
        }
        found
    }

    /// Whether this byte stands here.
    pub(super) fn is_at(&self, byte: u8) -> bool {
        self.bytes.get(self.at) == Some(&byte)
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_done(&mut self) -> bool {
        self.pass_white();
        self.at == self.bytes.len()
    }

    /// A name with its quotes, and the colon behind it.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.string()?;
        let name = &self.text[start..self.at];
        self.takes(b':').then_some(name)
    }

    /// The value that begins here, with at most so many levels in it; nothing, if it is no JSON or deeper.
    pub(super) fn value(&mut self, depth_max: u32) -> Option<&'a str> {
        let start = self.at;
        let mut open = Open {
            objects: 0,
            depth: 0,
        };
        loop {
            if self.begins(&mut open, depth_max)? {
                continue;
            }
            if self.goes_on(&mut open)? {
                return Some(&self.text[start..self.at]);
            }
        }
    }

    /// Reads a value up to its end or, if it is an object or array that holds something, up to the first value in
    /// it. Whether it is the latter.
    fn begins(&mut self, open: &mut Open, depth_max: u32) -> Option<bool> {
        match *self.bytes.get(self.at)? {
            b'"' => self.string()?,
            first @ (b'{' | b'[') => {
                // Within the bits that keep the levels.
                if depth_max.min(u128::BITS) <= open.depth {
                    return None;
                }
                self.at += 1;
                self.pass_white();
                // The end of each stands two places after its beginning, in ASCII.
                if self.is_at(first + 2) {
                    // What stands behind it is no part of it.
                    self.at += 1;
                } else {
                    open.depth += 1;
                    open.objects = (open.objects << 1) | u128::from(first == b'{');
                    if first == b'{' {
                        self.name()?;
                    }
                    return Some(true);
                }
            }
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            _ => self.number()?,
        }
        Some(false)
    }

    /// Reads what stands behind a value, up to the next one or to the end. Whether it is the end.
    fn goes_on(&mut self, open: &mut Open) -> Option<bool> {
        while 0 < open.depth {
            let in_object = open.objects & 1 == 1;
            if self.takes(b',') {
                if in_object {
                    self.name()?;
                }
                return Some(false);
            }
            self.pass_white();
            let end = if in_object { b'}' } else { b']' };
            if !self.is_at(end) {
                return None;
            }
            self.at += 1;
            open.objects >>= 1;
            open.depth -= 1;
        }
        Some(true)
    }

    fn pass_white(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_there = self.bytes[self.at..].starts_with(word);
        self.at += word.len();
        is_there.then_some(())
    }

    fn string(&mut self) -> Option<()> {
        if self.next()? != b'"' {
            return None;
        }
        loop {
            self.at += plain(&self.bytes[self.at..]);
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                // A control character.
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.is_at(b'-'));
        let first = *self.bytes.get(self.at)?;
        let n_digits = self.digits()?;
        if first == b'0' && 1 < n_digits {
            return None;
        }
        if self.is_at(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// How many digits stand here; there must be one.
    fn digits(&mut self) -> Option<usize> {
        let rest = &self.bytes[self.at..];
        let n_digits = rest.iter().take_while(|it| it.is_ascii_digit()).count();
        self.at += n_digits;
        (0 < n_digits).then_some(n_digits)
    }
}

/// How many bytes of a string come before the next that is its end, begins an escape or may not stand there.
fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (position, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = is_in(word, b'"') | is_in(word, b'\\') | has_control(word);
        if found != 0 {
            return position * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..=0x1f);
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

/// The high bit of the first byte of this value, and perhaps of some after it.
const fn is_in(word: u64, byte: u8) -> u64 {
    let zero_where_equal = word ^ (ONES * byte as u64);
    zero_where_equal.wrapping_sub(ONES) & !zero_where_equal & HIGHS
}

/// The high bit of the first control character, and perhaps of some bytes after it.
const fn has_control(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.pass_white();
        scanner.value(127).is_some() && scanner.is_done()
    }

    fn is_read(text: &str) -> bool {
        serde_json::from_str::<&RawValue>(text).is_ok()
    }

    #[test]
    fn every_part_of_the_grammar_is_known() {
        for text in [
            "{}",
            "[ ]",
            "\"\"",
            "0",
            "-0",
            "-0.0e-7",
            "1E+9",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "true",
            "tru",
            "nul",
            "null",
            "falsee",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\" : [ { } , null ] }",
            "[1}",
            "{]",
            "\"\\u12aB\"",
            "\"\\u12g4\"",
            "\"\\x\"",
            "\"a\nb\"",
            "\"\u{7f}é\"",
            "\"\\\"",
            "\"12345678\\",
            "",
            " ",
            "1 2",
            "\"\\ud800\"",
            "[[[[",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
        ] {
            assert_eq!(is_json(text), is_read(text), "{text:?}");
        }
    }

    #[test]
    fn a_value_is_as_deep_as_it_may_be_and_no_deeper() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_json(&nested(127)));
        assert!(!is_json(&nested(128)));
    }

    #[test]
    fn a_value_ends_at_its_last_byte() {
        for value in [
            "{}",
            "{ }",
            "[ ]",
            "[[] ]",
            "{\"a\":{} }",
            "\"a\"",
            "-1.5e3",
            "null",
        ] {
            let text = format!("{value} ,");
            assert_eq!(Scanner::new(&text).value(127), Some(value));
        }
    }

    proptest! {
        #[test]
        fn what_is_json_is_what_the_common_reader_takes_for_it(
            text in "[\\[\\]{}:, \"\\\\un0-9.eE+-]{0,12}|\\{\"[a-z\"\\\\\u{1f}é]{0,20}\":[0-9\\[\\]]{1,4}\\}",
        ) {
            prop_assert_eq!(is_json(&text), is_read(&text));
        }
    }
}
