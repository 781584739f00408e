//! Finds every value of a JSON text in one pass. It only says whether a text is JSON, not what is wrong with it, and
//! looks at each byte once: many at a time within strings, of which long bodies consist.

/// How many bytes of a string are looked at together.
const BLOCK: usize = 32;

/// Lowest bit of each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// Highest bit of each byte of a word.
const HIGHS: u64 = ONES << 7;

/// About how many values a text has, by its length: room for them is made at once.
const BYTES_PER_VALUE: usize = 16;

/// The most values for which room is made before they are found.
const ROOM_MAX: usize = 128;

/// Whether a letter behind a backslash means a character by itself.
const IS_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let letters = b"\"\\/bfnrt";
    let mut position = 0;
    while position < letters.len() {
        table[letters[position] as usize] = true;
        position += 1;
    }
    table
};

/// A value, and where in the text it stands. Those within it follow it; of an object, the name of each field stands
/// before its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its first byte.
    start: u32,
    /// The byte behind its last one.
    end: u32,
    /// The number of the next value that is not within it. Of one that is still open, that of the one around it.
    next: u32,
    pub(super) kind: Kind,
}

/// What a value is. Strings are in the order of what it takes to have their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    /// A string that stands in the text as it is meant.
    Plain,
    /// A string with escapes, each of which means a character.
    Escaped,
    /// A string with escapes of characters by their number, which may be half of a pair and mean none.
    Numbered,
    Array,
    Object,
}

impl Place {
    pub(super) const fn start(self) -> usize {
        self.start as usize
    }

    pub(super) const fn end(self) -> usize {
        self.end as usize
    }

    /// The number of the next value that is not within it.
    pub(super) const fn next(self) -> usize {
        self.next as usize
    }
}

/// The places of a text's values, the outermost first, of which at most so many may stand within each other; nothing,
/// if the text is no JSON, is nested deeper or holds too many.
pub(super) fn places(text: &str, depth_max: u32) -> Option<Vec<Place>> {
    // So that each place fits its numbers.
    u32::try_from(text.len()).ok()?;
    let room = (text.len() / BYTES_PER_VALUE + 1).min(ROOM_MAX);
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: 0,
        places: Vec::with_capacity(room),
        open: None,
        depth_left: depth_max,
    };
    scanner.pass_white();
    loop {
        if !scanner.begins()? && scanner.goes_on()? {
            break;
        }
    }
    scanner.pass_white();
    (scanner.at == text.len()).then_some(scanner.places)
}

/// The most values that a text may hold. The longest answers with embeddings hold 3 million numbers; more would be a
/// body made to fill the memory, of which each value takes eight times as much as it does of the text.
pub(super) const VALUES_MAX: usize = 1 << 22;

/// A text that is being read.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    places: Vec<Place>,
    /// The number of the innermost array or object that has not ended.
    open: Option<usize>,
    /// How many more may stand within it.
    depth_left: u32,
}

impl Scanner<'_> {
    /// Reads a value up to its end or, if it is an object or array that holds something, up to the first value in
    /// it. Whether it is the latter.
    #[inline]
    fn begins(&mut self) -> Option<bool> {
        let start = self.at;
        let kind = match *self.bytes.get(start)? {
            b'"' => self.string()?,
            b'{' => return self.opens(Kind::Object, b'}'),
            b'[' => return self.opens(Kind::Array, b']'),
            b't' => self.word(b"true", Kind::Boolean)?,
            b'f' => self.word(b"false", Kind::Boolean)?,
            b'n' => self.word(b"null", Kind::Null)?,
            _ => self.number()?,
        };
        self.found(start, kind)?;
        Some(false)
    }

    fn opens(&mut self, kind: Kind, end: u8) -> Option<bool> {
        self.depth_left = self.depth_left.checked_sub(1)?;
        let start = self.at;
        self.at += 1;
        self.pass_white();
        if self.is_at(end) {
            self.at += 1;
            self.depth_left += 1;
            self.found(start, kind)?;
            return Some(false);
        }
        let number = self.places.len();
        self.places.push(Place {
            start: short(start),
            end: 0,
            next: self.open.map_or(u32::MAX, short),
            kind,
        });
        self.open = Some(number);
        if kind == Kind::Object {
            self.name()?;
        }
        Some(true)
    }

    /// Reads what stands behind a value, up to the next one or to the end. Whether it is the end.
    #[inline]
    fn goes_on(&mut self) -> Option<bool> {
        while let Some(number) = self.open {
            self.pass_white();
            let found = *self.bytes.get(self.at)?;
            self.at += 1;
            let next = short(self.places.len());
            let around = self.places.get_mut(number)?;
            let is_object = around.kind == Kind::Object;
            match found {
                b',' => {
                    self.pass_white();
                    if is_object {
                        self.name()?;
                    }
                    return Some(false);
                }
                b'}' if is_object => {}
                b']' if !is_object => {}
                _ => return None,
            }
            let outer = std::mem::replace(&mut around.next, next);
            around.end = short(self.at);
            self.open = (outer != u32::MAX).then_some(outer as usize);
            self.depth_left += 1;
        }
        Some(true)
    }

    /// A name, and the colon behind it.
    #[inline]
    fn name(&mut self) -> Option<()> {
        let start = self.at;
        let kind = self.string()?;
        self.found(start, kind)?;
        self.pass_white();
        if self.next()? != b':' {
            return None;
        }
        self.pass_white();
        Some(())
    }

    /// Keeps a value that has just ended and has none within it.
    #[inline]
    fn found(&mut self, start: usize, kind: Kind) -> Option<()> {
        if VALUES_MAX <= self.places.len() {
            return None;
        }
        self.places.push(Place {
            start: short(start),
            end: short(self.at),
            next: short(self.places.len() + 1),
            kind,
        });
        Some(())
    }

    /// Whether this byte stands here.
    fn is_at(&self, byte: u8) -> bool {
        self.bytes.get(self.at) == Some(&byte)
    }

    #[inline]
    fn pass_white(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Option<Kind> {
        let is_there = self.bytes[self.at..].starts_with(word);
        self.at += word.len();
        is_there.then_some(kind)
    }

    #[inline]
    fn string(&mut self) -> Option<Kind> {
        if self.next()? != b'"' {
            return None;
        }
        let mut kind = Kind::Plain;
        let mut n_plain = 0_u32;
        'words: while let Some(word) = self.bytes[self.at..].first_chunk() {
            let word = u64::from_le_bytes(*word);
            let mut marks = marks(word);
            n_plain = if marks == 0 { n_plain + 1 } else { 0 };
            // More than one mark of a word is looked at, since code has an escape every few bytes.
            while marks != 0 {
                let behind = self.at + marks.trailing_zeros() as usize / 8;
                match *self.bytes.get(behind)? {
                    b'"' => {
                        self.at = behind + 1;
                        return Some(kind);
                    }
                    b'\\' => {
                        let (escape, length) = self.escape(behind)?;
                        kind = kind.max(escape);
                        let n_passed = behind + length - self.at;
                        if 8 <= n_passed {
                            self.at += n_passed;
                            continue 'words;
                        }
                        marks &= u64::MAX << (8 * n_passed);
                    }
                    0..=0x1f => return None,
                    // No mark of its own, only one that its neighbour left.
                    _ => marks &= marks - 1,
                }
            }
            self.at += 8;
            // Most stretches are short; a block pays only where two words were plain.
            while 2 <= n_plain && is_plain_block(&self.bytes[self.at..]) {
                self.at += BLOCK;
            }
        }
        self.rest_of_string(kind)
    }

    /// The rest of a string, with which the text ends but for a few bytes.
    fn rest_of_string(&mut self, mut kind: Kind) -> Option<Kind> {
        loop {
            match self.next()? {
                b'"' => return Some(kind),
                b'\\' => {
                    let (escape, length) = self.escape(self.at - 1)?;
                    kind = kind.max(escape);
                    self.at += length - 1;
                }
                0..=0x1f => return None,
                _ => {}
            }
        }
    }

    /// What kind of string an escape makes of the one that it stands in, and how long it is.
    #[inline]
    fn escape(&self, start: usize) -> Option<(Kind, usize)> {
        let letter = *self.bytes.get(start + 1)?;
        if IS_ESCAPE[usize::from(letter)] {
            return Some((Kind::Escaped, 2));
        }
        self.is_numbered(start).then_some((Kind::Numbered, 6))
    }

    /// Whether an escape of a character by its number begins here.
    #[inline(never)]
    fn is_numbered(&self, start: usize) -> bool {
        let escape = self.bytes.get(start..start + 6);
        escape.is_some_and(|it| it[1] == b'u' && it[2..].iter().all(u8::is_ascii_hexdigit))
    }

    fn number(&mut self) -> Option<Kind> {
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
        Some(Kind::Number)
    }

    /// How many digits stand here; there must be one.
    fn digits(&mut self) -> Option<usize> {
        let rest = &self.bytes[self.at..];
        let n_digits = rest.iter().take_while(|it| it.is_ascii_digit()).count();
        self.at += n_digits;
        (0 < n_digits).then_some(n_digits)
    }
}

/// A number of a byte or value. There are no more of either than the text has bytes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a text whose length is more than this holds is not read"
)]
const fn short(number: usize) -> u32 {
    number as u32
}

/// Marks in a word of a string: the high bit of each byte that is its end, begins an escape or may not stand there,
/// and of some bytes after such a one.
#[inline]
const fn marks(word: u64) -> u64 {
    is_in(word, b'"') | is_in(word, b'\\') | has_control(word)
}

/// Whether a whole block comes before the next byte that ends a plain stretch. Without a branch for each byte, so that
/// the compiler looks at all of them at once.
#[inline]
fn is_plain_block(bytes: &[u8]) -> bool {
    bytes.first_chunk::<BLOCK>().is_some_and(|block| {
        !block
            .iter()
            .fold(false, |found, byte| found | ends_plain(*byte))
    })
}

/// Whether a byte ends a stretch of a string that is meant as it stands.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "with `||` there is a branch for each byte, ten times slower for blocks"
)]
const fn ends_plain(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
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
mod tests;
