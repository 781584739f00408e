//! Texts within an address.

use std::fmt::Write;

/// A text as one segment of a path, so that no character of it ends the segment (RFC 3986).
pub(super) fn segment(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            written.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(written, "%{byte:02X}");
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_could_end_a_segment_is_encoded() {
        assert_eq!(segment("gemini-2.5_flash~1"), "gemini-2.5_flash~1");
        assert_eq!(segment("a/b?c#d:e é%"), "a%2Fb%3Fc%23d%3Ae%20%C3%A9%25");
        assert_eq!(segment("../x"), "..%2Fx");
    }
}
