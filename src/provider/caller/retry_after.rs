//! How long a provider asks callers to wait: a number of seconds, or a date. A date is counted from
//! the reply's own `Date`, so that the two clocks need not agree.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderValue};

/// The wait that a `Retry-After` asks for; nothing, if it cannot be told.
pub(super) fn read(value: &HeaderValue, reply: &HeaderMap) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = seconds_of(text)?;
    let sent = seconds_of(reply.get(DATE)?.to_str().ok()?)?;
    // A date that is past asks for no wait.
    let wait = u64::try_from(until.saturating_sub(sent)).unwrap_or(0);
    Some(Duration::from_secs(wait))
}

/// An HTTP date in seconds since 1970.
fn seconds_of(date: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry_after: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut reply = HeaderMap::new();
        if let Some(date) = date {
            reply.insert(DATE, HeaderValue::from_static(date));
        }
        let wait = read(&HeaderValue::from_static(retry_after), &reply)?;
        Some(wait.as_secs())
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        assert_eq!(wait(" 17 ", None), Some(17));
        assert_eq!(wait("0", None), Some(0));
    }

    #[test]
    fn a_date_is_counted_from_the_date_of_the_reply() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT", date), Some(30));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", date), Some(0));
    }

    #[test]
    fn what_cannot_be_told_asks_for_no_certain_wait() {
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
        assert_eq!(wait("soon", Some("Sun, 06 Nov 1994 08:49:37 GMT")), None);
        assert_eq!(wait("-3", None), None);
        assert_eq!(wait("99999999999999999999999", None), None);
    }
}
