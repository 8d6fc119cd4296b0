//! The place in the token list, and the errors that are made there.

use tombolo_document::{Value, json};

use super::NESTING_MAX;
use super::error::{Failure, ParseError, nearest};
use super::token::{Token, TokenKind, Tokens, tokenize, unescape};
use super::words;
use crate::span::Span;
use crate::syntax::{Mode, Name};

/// Longest piece of the text that an error message repeats, in characters.
const FOUND_CHARACTERS_MAX: usize = 40;

/// Reads tokens one by one.
pub(super) struct Cursor<'t> {
    pub(super) text: &'t str,
    tokens: Tokens,
    at: usize,
    depth: usize,
    clauses: &'static [&'static str],
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Result<Self, Failure> {
        Ok(Self {
            text,
            tokens: tokenize(text)?,
            at: 0,
            depth: 0,
            clauses: &[],
        })
    }

    /// The directives in comments, as JSON objects.
    pub(super) fn directives(&self) -> Result<Vec<Value>, Failure> {
        let read = |span: &Span| {
            let inside = &self.text[span.start..span.end];
            directive_object(inside).map_err(|message| self.error(*span, message))
        };
        self.tokens.directives.iter().map(read).collect()
    }

    /// Says which clauses may follow from here, for hints.
    pub(super) fn clauses(&mut self, clauses: &'static [&'static str]) {
        self.clauses = clauses;
    }

    pub(super) fn token(&self) -> Token {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, distance: usize) -> Token {
        let last = self.tokens.list.len() - 1;
        self.tokens.list[(self.at + distance).min(last)]
    }

    pub(super) fn span(&self) -> Span {
        self.token().span
    }

    /// From `start` to the end of the last token that was taken.
    pub(super) fn since(&self, start: Span) -> Span {
        let end = self.tokens.list[self.at.saturating_sub(1)].span.end;
        Span::new(start.start, end.max(start.start))
    }

    pub(super) fn text_of(&self, token: Token) -> &'t str {
        &self.text[token.span.start..token.span.end]
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.at = (self.at + count).min(self.tokens.list.len() - 1);
    }

    pub(super) fn is_kind(&self, kind: TokenKind) -> bool {
        self.token().kind == kind
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.is_ahead(0, word)
    }

    pub(super) fn is_next(&self, word: &str) -> bool {
        self.is_ahead(1, word)
    }

    pub(super) fn is_ahead(&self, distance: usize, word: &str) -> bool {
        let token = self.ahead(distance);
        token.kind == TokenKind::Word && self.text_of(token).eq_ignore_ascii_case(word)
    }

    pub(super) fn take(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.skip(usize::from(found));
        found
    }

    pub(super) fn take_kind(&mut self, kind: TokenKind) -> bool {
        let found = self.is_kind(kind);
        self.skip(usize::from(found));
        found
    }

    pub(super) fn expect(&mut self, word: &'static str) -> Result<(), Failure> {
        if self.take(word) {
            return Ok(());
        }
        Err(self.unexpected(word, &[word]))
    }

    pub(super) fn expect_kind(&mut self, kind: TokenKind, name: &str) -> Result<(), Failure> {
        if self.take_kind(kind) {
            return Ok(());
        }
        Err(self.unexpected(name, &[]))
    }

    pub(super) fn expect_end(&self) -> Result<(), Failure> {
        match self.token().kind {
            TokenKind::End => Ok(()),
            TokenKind::Semicolon => Err(self
                .unexpected("the end of the statement", &[])
                .with_hint("a statement stands alone and takes no semicolon")),
            _ => Err(self.unexpected("the end of the statement", self.clauses)),
        }
    }

    /// A bare name that is not reserved, or a name in backticks.
    pub(super) fn name(&mut self, what: &str) -> Result<Name, Failure> {
        let token = self.token();
        let text = match token.kind {
            TokenKind::Word if !words::is_reserved(self.text_of(token)) => self.text_of(token),
            TokenKind::Identifier => {
                let quoted = self.text_of(token);
                &quoted[1..quoted.len() - 1]
            }
            _ => return Err(self.no_name(what)),
        };
        self.skip(1);
        Ok(Name {
            text: text.to_owned(),
            span: token.span,
        })
    }

    /// Whether a name stands `distance` tokens ahead.
    pub(super) fn is_name(&self, distance: usize) -> bool {
        let token = self.ahead(distance);
        match token.kind {
            TokenKind::Identifier => true,
            TokenKind::Word => !words::is_reserved(self.text_of(token)),
            _ => false,
        }
    }

    /// A name behind a dot: reserved words are harmless there.
    pub(super) fn step(&mut self) -> Result<Name, Failure> {
        let token = self.token();
        if token.kind != TokenKind::Word {
            return self.name("a field name");
        }
        self.skip(1);
        Ok(Name {
            text: self.text_of(token).to_owned(),
            span: token.span,
        })
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String, Failure> {
        let token = self.token();
        self.expect_kind(TokenKind::Text, what)?;
        Ok(unescape(self.text_of(token)))
    }

    /// Counts one level of nesting; [`Cursor::leave`] ends it.
    pub(super) fn enter(&mut self) -> Result<(), Failure> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(self.too_deep(self.span()));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn too_deep(&self, span: Span) -> Failure {
        self.error(
            span,
            format!("the expression nests more than {NESTING_MAX} levels"),
        )
    }

    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> Failure {
        Box::new(ParseError::new(self.text, span, message))
    }

    /// An error that says what was expected here and what was found; `words`
    /// are the keywords that a misspelt word is compared with.
    pub(super) fn unexpected(&self, expected: &str, words: &[&'static str]) -> Failure {
        let found = self.found();
        let error = self.error(self.span(), format!("expected {expected}, found {found}"));
        match self.hint(words) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    fn found(&self) -> String {
        let token = self.token();
        if token.kind == TokenKind::End {
            return "the end of the statement".to_owned();
        }
        let text = self.text_of(token);
        if text.chars().count() <= FOUND_CHARACTERS_MAX {
            return format!("`{text}`");
        }
        let start: String = text.chars().take(FOUND_CHARACTERS_MAX).collect();
        format!("`{start}...`")
    }

    /// Either this word or the one before, read as a name, was meant otherwise.
    fn hint(&self, words: &[&'static str]) -> Option<String> {
        let before = self.at.checked_sub(1).map(|at| self.tokens.list[at]);
        for token in [Some(self.token()), before].into_iter().flatten() {
            let text = self.text_of(token);
            let suspicious = token.kind == TokenKind::Word && !words::is_reserved(text);
            if let Some(word) = suspicious
                .then(|| nearest(text, words.iter().copied()))
                .flatten()
            {
                return Some(format!("did you mean {word} instead of `{text}`?"));
            }
        }
        None
    }

    pub(super) fn no_name(&self, what: &str) -> Failure {
        let error = self.unexpected(what, &[]);
        let token = self.token();
        match token.kind {
            TokenKind::Word => {
                let word = self.text_of(token);
                error.with_hint(format!(
                    "{word} is a reserved word; as a name it stands in backticks: `{word}`"
                ))
            }
            TokenKind::Text => error.with_hint("names stand in backticks, strings in quotes"),
            _ => error,
        }
    }

    pub(super) fn no_statement(&self, mode: Mode) -> Failure {
        if mode == Mode::Execute {
            return self.unexpected("a statement such as SELECT or INSERT", words::STATEMENTS);
        }
        self.unexpected(
            "SELECT, INSERT, UPDATE, DELETE, EVICT, CREATE or DROP",
            &words::STATEMENTS[..7],
        )
    }
}

/// The JSON object of a directive.
pub(super) fn directive_object(text: &str) -> Result<Value, String> {
    match json::parse(text.trim().as_bytes()) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("a directive is a JSON object".to_owned()),
        Err(error) => Err(format!("the directive is not JSON: {}", error.message)),
    }
}
