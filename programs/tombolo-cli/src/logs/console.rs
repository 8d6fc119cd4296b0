//! How a message looks on a console: one line, whatever a client or a peer put into it.

use std::borrow::Cow;
use std::fmt::{self, Write};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{rfc_3339, unix_ms};

/// For whom a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A file or a pipe.
    Plain,
    /// A person at a terminal.
    Coloured,
    /// The journal of the system: the level as the number it knows, and no time.
    Journal,
}

impl<S, F> FormatEvent<S, F> for Style
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, F>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let level = *metadata.level();
        match self {
            Self::Journal => write!(writer, "<{}>", priority(level))?,
            Self::Plain => write!(writer, "{} {level:>5} ", rfc_3339(unix_ms()))?,
            Self::Coloured => write!(
                writer,
                "\x1b[2m{}\x1b[0m \x1b[{}m{level:>5}\x1b[0m ",
                rfc_3339(unix_ms()),
                colour(level)
            )?,
        }
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        writeln!(writer, "{}: {}", metadata.target(), plain(&fields))
    }
}

/// The numbers of syslog.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

const fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 34,
    }
}

/// `text` without letters that end a line or steer a terminal: each is shown as its escape.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_hidden(letter) {
            // A string takes everything.
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// Controls of both kinds, separators of lines, and letters that turn the direction of the text.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_ends_its_line_or_steers_a_terminal() {
        assert_eq!(plain("device é 机"), "device é 机");
        let hostile = "a\r\nERROR b\x1b[2J\u{9b}1m\u{202e}c\u{2028}";
        let expected = r"a\u{d}\u{a}ERROR b\u{1b}[2J\u{9b}1m\u{202e}c\u{2028}";
        assert_eq!(plain(hostile), expected);
    }
}
