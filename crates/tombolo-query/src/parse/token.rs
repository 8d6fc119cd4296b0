//! From text to tokens with positions. Words are not told apart from keywords
//! here, because the same word may be either.

use logos::{Lexer, Logos};

use super::error::{Failure, ParseError};
use crate::span::Span;

/// Longest text of a statement, in bytes: 256 KiB.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most tokens in a statement.
pub const TOKENS_MAX: usize = 64 * 1024;

/// What a token is.
#[derive(Logos, Debug, Clone, Copy, PartialEq, Eq)]
#[logos(skip r"[ \t\r\n\f\u{feff}]+")]
#[logos(error = Malformed)]
pub(crate) enum TokenKind {
    /// A keyword or a bare identifier.
    #[regex(r"[A-Za-z_][A-Za-z0-9_]*")]
    Word,
    /// An identifier in backticks.
    #[token("`", |lexer| quoted(lexer, '`', Malformed::Identifier))]
    Identifier,
    /// Text in single or double quotes.
    #[token("'", |lexer| quoted(lexer, '\'', Malformed::Text))]
    #[token("\"", |lexer| quoted(lexer, '"', Malformed::Text))]
    Text,
    /// A decimal integer.
    #[regex(r"[0-9]+")]
    Integer,
    /// A hexadecimal integer.
    #[regex(r"0[xX][0-9A-Fa-f]+")]
    Hexadecimal,
    /// A number with a point or an exponent.
    #[regex(r"[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?")]
    #[regex(r"[0-9]+[eE][+-]?[0-9]+")]
    #[regex(r"\.[0-9]+([eE][+-]?[0-9]+)?")]
    Float,
    /// A number that runs into a word, such as `12abc`.
    #[regex(r"[0-9][0-9A-Za-z_]*[A-Za-z_][0-9A-Za-z_]*", run_on, priority = 1)]
    RunOn,
    /// `-- ...` or `/* ... */`; those with a plus sign are directives.
    #[token("--", line_comment)]
    #[token("/*", block_comment)]
    Comment,
    /// `(`
    #[token("(")]
    Open,
    /// `)`
    #[token(")")]
    Close,
    /// `[`
    #[token("[")]
    OpenBracket,
    /// `]`
    #[token("]")]
    CloseBracket,
    /// `{`
    #[token("{")]
    OpenBrace,
    /// `}`
    #[token("}")]
    CloseBrace,
    /// `,`
    #[token(",")]
    Comma,
    /// `.`
    #[token(".")]
    Dot,
    /// `:`
    #[token(":")]
    Colon,
    /// `;`
    #[token(";")]
    Semicolon,
    /// `*`
    #[token("*")]
    Star,
    /// `/`
    #[token("/")]
    Slash,
    /// `%`
    #[token("%")]
    Percent,
    /// `+`
    #[token("+")]
    Plus,
    /// `-`
    #[token("-")]
    Minus,
    /// `<<`
    #[token("<<")]
    ShiftLeft,
    /// `>>`
    #[token(">>")]
    ShiftRight,
    /// `||`
    #[token("||")]
    Concatenate,
    /// `=` or `==`
    #[token("=")]
    #[token("==")]
    Equal,
    /// `!=` or `<>`
    #[token("!=")]
    #[token("<>")]
    NotEqual,
    /// `<`
    #[token("<")]
    Less,
    /// `<=`
    #[token("<=")]
    LessOrEqual,
    /// `>`
    #[token(">")]
    Greater,
    /// `>=`
    #[token(">=")]
    GreaterOrEqual,
    /// Behind the last token.
    End,
}

/// Why some text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Malformed {
    /// A character that stands for nothing.
    #[default]
    Character,
    /// A quoted identifier without end.
    Identifier,
    /// A string without end.
    Text,
    /// A block comment without end.
    Comment,
    /// A number that runs into a word.
    Number,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands.
    pub span: Span,
}

/// The tokens of a text and the comments that are directives.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// Ends with one [`TokenKind::End`].
    pub list: Vec<Token>,
    /// The text of directives, without comment marks, and where it stands.
    pub directives: Vec<Span>,
}

/// Cuts a text into tokens.
pub(crate) fn tokenize(text: &str) -> Result<Tokens, Failure> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!(
            "the statement has {} bytes and {TEXT_BYTES_MAX} are allowed",
            text.len()
        );
        return Err(
            failure(text, Span::default(), message).with_hint("pass large values as arguments")
        );
    }
    let mut tokens = Tokens {
        list: Vec::with_capacity(text.len() / 4 + 2),
        directives: Vec::new(),
    };
    for (kind, range) in TokenKind::lexer(text).spanned() {
        let span = Span::new(range.start, range.end);
        let kind = kind.map_err(|malformed| explain(text, span, malformed))?;
        if kind == TokenKind::Comment {
            tokens.directives.extend(directive(text, span));
            continue;
        }
        if tokens.list.len() >= TOKENS_MAX {
            let message = format!("the statement has more than {TOKENS_MAX} tokens");
            return Err(
                failure(text, span, message).with_hint("pass long lists as one array argument")
            );
        }
        tokens.list.push(Token { kind, span });
    }
    let end = Span::new(text.len(), text.len());
    tokens.list.push(Token {
        kind: TokenKind::End,
        span: end,
    });
    Ok(tokens)
}

fn failure(text: &str, span: Span, message: impl Into<String>) -> Failure {
    Box::new(ParseError::new(text, span, message))
}

fn explain(text: &str, span: Span, malformed: Malformed) -> Failure {
    let start = Span::new(span.start, span.start + 1);
    let at_start = |message: &str| failure(text, start, message);
    match malformed {
        Malformed::Character => {
            let found = text[span.start..].chars().next().unwrap_or(' ');
            failure(
                text,
                span,
                format!("the character `{found}` has no meaning here"),
            )
        }
        Malformed::Identifier => at_start("this backtick is never closed"),
        Malformed::Text => at_start("this string is never closed")
            .with_hint("a quote inside a string is written with a backslash: \\'"),
        Malformed::Comment => at_start("this comment is never closed").with_hint("end it with */"),
        Malformed::Number => {
            let found = &text[span.start..span.end];
            failure(
                text,
                span,
                format!("`{found}` is neither a number nor a name"),
            )
            .with_hint("a name that starts with a digit stands in backticks")
        }
    }
}

fn quoted(
    lexer: &mut Lexer<'_, TokenKind>,
    quote: char,
    malformed: Malformed,
) -> Result<(), Malformed> {
    let mut characters = lexer.remainder().char_indices();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            lexer.bump(at + 1);
            return Ok(());
        }
        if character == '\\' && quote != '`' {
            characters.next();
        }
    }
    lexer.bump(lexer.remainder().len());
    Err(malformed)
}

fn run_on(_: &mut Lexer<'_, TokenKind>) -> Result<(), Malformed> {
    Err(Malformed::Number)
}

fn line_comment(lexer: &mut Lexer<'_, TokenKind>) {
    let rest = lexer.remainder();
    lexer.bump(rest.find('\n').unwrap_or(rest.len()));
}

fn block_comment(lexer: &mut Lexer<'_, TokenKind>) -> Result<(), Malformed> {
    let rest = lexer.remainder();
    match rest.find("*/") {
        Some(at) => {
            lexer.bump(at + 2);
            Ok(())
        }
        None => {
            lexer.bump(rest.len());
            Err(Malformed::Comment)
        }
    }
}

/// The inside of a comment that is a directive.
fn directive(text: &str, comment: Span) -> Option<Span> {
    let body = &text[comment.start..comment.end];
    if !body[2..].starts_with('+') {
        return None;
    }
    let tail = if body.starts_with("/*") { 2 } else { 0 };
    Some(Span::new(comment.start + 3, comment.end - tail))
}

/// The value of a string token, quotes included in `token`.
pub(crate) fn unescape(token: &str) -> String {
    let inside = &token[1..token.len() - 1];
    if !inside.contains('\\') {
        return inside.to_owned();
    }
    let mut value = String::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            value.push(character);
            continue;
        }
        match rest.next() {
            Some('n') => value.push('\n'),
            Some('t') => value.push('\t'),
            Some('r') => value.push('\r'),
            Some('b') => value.push('\u{8}'),
            Some('f') => value.push('\u{c}'),
            Some('u') => value.push(code_point(&mut rest)),
            Some(other) => value.push(other),
            None => {}
        }
    }
    value
}

/// The character of `\uXXXX`, or of two such halves; anything else is `\u{fffd}`.
fn code_point(rest: &mut std::str::Chars<'_>) -> char {
    const LOST: char = char::REPLACEMENT_CHARACTER;
    let Some(first) = four_digits(rest) else {
        return LOST;
    };
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first).unwrap_or(LOST);
    }
    let mut ahead = rest.clone();
    let second = match (ahead.next(), ahead.next()) {
        (Some('\\'), Some('u')) => four_digits(&mut ahead),
        _ => None,
    };
    match second {
        Some(second) if (0xDC00..0xE000).contains(&second) => {
            *rest = ahead;
            char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).unwrap_or(LOST)
        }
        _ => LOST,
    }
}

fn four_digits(rest: &mut std::str::Chars<'_>) -> Option<u32> {
    let digits = rest.as_str().get(..4)?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    for _ in 0..4 {
        rest.next();
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        let tokens = tokenize(text).unwrap();
        tokens.list.iter().map(|token| token.kind).collect()
    }

    #[test]
    fn numbers_of_every_form_are_told_apart() {
        use TokenKind::{End, Float, Hexadecimal, Integer};
        assert_eq!(
            kinds("12 1.5 1e3 .5 0xFF"),
            [Integer, Float, Float, Float, Hexadecimal, End]
        );
        assert!(tokenize("12abc").is_err());
    }

    #[test]
    fn a_comment_with_a_plus_sign_is_a_directive() {
        let text = "SELECT /*+ {\"#a\": 1} */ 1 --+ {}\n";
        let tokens = tokenize(text).unwrap();
        let inside: Vec<_> = tokens
            .directives
            .iter()
            .map(|span| text[span.start..span.end].trim())
            .collect();
        assert_eq!(inside, ["{\"#a\": 1}", "{}"]);
    }

    #[test]
    fn surrogate_halves_join_and_lone_ones_are_replaced() {
        assert_eq!(unescape(r"'\ud83d\ude00'"), "😀");
        assert_eq!(unescape(r"'\ud83dx'"), "\u{fffd}x");
        assert_eq!(unescape(r"'\q\'\u00e9'"), "q'é");
    }

    #[test]
    fn the_longest_text_is_read_and_a_longer_one_is_refused() {
        assert!(tokenize(&" ".repeat(TEXT_BYTES_MAX)).is_ok());
        assert!(tokenize(&" ".repeat(TEXT_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn the_most_tokens_are_read_and_more_are_refused() {
        assert!(tokenize(&"1 ".repeat(TOKENS_MAX)).is_ok());
        assert!(tokenize(&"1 ".repeat(TOKENS_MAX + 1)).is_err());
    }

    #[test]
    fn open_quotes_and_comments_are_named() {
        for (text, message) in [
            ("SELECT 'a", "this string is never closed"),
            ("SELECT `a", "this backtick is never closed"),
            ("SELECT /* a", "this comment is never closed"),
        ] {
            assert_eq!(tokenize(text).unwrap_err().message, message);
        }
    }
}
