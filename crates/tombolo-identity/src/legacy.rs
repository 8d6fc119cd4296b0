//! The older syntax of permission rules, turned into DQL once, when an answer
//! is read. `==`, `!=`, `<`, `<=`, `>`, `>=`, `&&`, `||`, `!`, `in`,
//! `startsWith`, `endsWith`, `contains`, paths from `_id`, and literals.

/// Deepest nesting of brackets and `!`.
const DEPTH_MAX: usize = 32;

/// Why a text is no rule in the older syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {position}; with qlVersion 1 rules are read as DQL")]
pub struct LegacyError {
    /// Where, counted from 0.
    pub position: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// The same rule in DQL, with every operation in brackets.
pub(crate) fn to_dql(text: &str) -> Result<String, LegacyError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    let rule = parser.any()?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.error("the rule should end here"));
    }
    Ok(rule)
}

const COMPARISONS: &[(&str, &str)] = &[
    ("==", "="),
    ("!=", "!="),
    ("<=", "<="),
    (">=", ">="),
    ("<", "<"),
    (">", ">"),
];

const FUNCTIONS: &[(&str, &str)] = &[
    ("startsWith", "starts_with"),
    ("endsWith", "ends_with"),
    ("contains", "contains"),
];

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn any(&mut self) -> Result<String, LegacyError> {
        self.chain("||", " OR ", Self::all)
    }

    fn all(&mut self) -> Result<String, LegacyError> {
        self.chain("&&", " AND ", Self::unary)
    }

    fn chain(
        &mut self,
        operator: &str,
        dql: &str,
        item: fn(&mut Self) -> Result<String, LegacyError>,
    ) -> Result<String, LegacyError> {
        let mut items = vec![item(self)?];
        while self.eat(operator) {
            items.push(item(self)?);
        }
        if let [single] = items.as_mut_slice() {
            return Ok(std::mem::take(single));
        }
        Ok(format!("({})", items.join(dql)))
    }

    fn unary(&mut self) -> Result<String, LegacyError> {
        self.skip_space();
        if self.rest().starts_with('!') && !self.rest().starts_with("!=") {
            self.at += 1;
            let inside = self.deeper(Self::negated)?;
            return Ok(format!("(NOT {inside})"));
        }
        self.comparison()
    }

    /// `!a == b` reads in two ways, so a comparison here needs brackets.
    fn negated(&mut self) -> Result<String, LegacyError> {
        self.skip_space();
        if self.rest().starts_with('!') {
            return self.unary();
        }
        self.operand()
    }

    fn comparison(&mut self) -> Result<String, LegacyError> {
        let left = self.operand()?;
        let comparison = COMPARISONS.iter().find(|(legacy, _)| self.eat(legacy));
        if let Some((_, dql)) = comparison {
            return Ok(format!("({left} {dql} {})", self.operand()?));
        }
        let before = self.at;
        if self.word() == Some("in") {
            return Ok(format!("({left} IN {})", self.operand()?));
        }
        self.at = before;
        Ok(left)
    }

    fn operand(&mut self) -> Result<String, LegacyError> {
        self.skip_space();
        match self.rest().chars().next() {
            Some('(') => self.bracketed(),
            Some('[') => self.array(),
            Some('\'' | '"') => self.literal_text(),
            Some('-' | '0'..='9') => self.number(),
            Some('_' | 'a'..='z' | 'A'..='Z') => self.named(),
            _ => Err(self.error("a field, a literal or a function is missing")),
        }
    }

    fn bracketed(&mut self) -> Result<String, LegacyError> {
        self.at += 1;
        let inside = self.deeper(Self::any)?;
        self.expect(")", "a closing bracket is missing")?;
        Ok(format!("({inside})"))
    }

    fn array(&mut self) -> Result<String, LegacyError> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.eat("]") {
            if !items.is_empty() {
                self.expect(",", "a comma or a closing bracket is missing")?;
            }
            items.push(self.deeper(Self::operand)?);
        }
        Ok(format!("[{}]", items.join(", ")))
    }

    /// Both syntaxes escape alike, so the literal is taken as it stands.
    fn literal_text(&mut self) -> Result<String, LegacyError> {
        let rest = self.rest();
        let mut characters = rest.char_indices();
        let quote = characters.next().map(|(_, quote)| quote);
        while let Some((at, character)) = characters.next() {
            if Some(character) == quote {
                let literal = &rest[..=at];
                self.at += literal.len();
                return Ok(literal.to_owned());
            }
            if character == '\\' {
                characters.next();
            }
        }
        Err(self.error("the text is not closed"))
    }

    fn number(&mut self) -> Result<String, LegacyError> {
        let rest = self.rest();
        let length = rest.bytes().skip(1).take_while(|byte| {
            byte.is_ascii_digit() || *byte == b'.' || *byte == b'e' || *byte == b'E'
        });
        let number = &rest[..=length.count()];
        let digit_last = number.ends_with(|last: char| last.is_ascii_digit());
        if !digit_last || number.parse::<f64>().is_err() {
            return Err(self.error("this is no number"));
        }
        self.at += number.len();
        Ok(if number.starts_with('-') {
            format!("({number})")
        } else {
            number.to_owned()
        })
    }

    /// A path from `_id`, a function, `true` or `false`.
    fn named(&mut self) -> Result<String, LegacyError> {
        let start = self.at;
        let name = self.word().unwrap_or_default();
        if let Some((_, dql)) = FUNCTIONS.iter().find(|(legacy, _)| *legacy == name) {
            self.expect("(", "the function's brackets are missing")?;
            let whole = self.deeper(Self::operand)?;
            self.expect(",", "the function takes two arguments")?;
            let part = self.deeper(Self::operand)?;
            self.expect(")", "a closing bracket is missing")?;
            return Ok(format!("{dql}({whole}, {part})"));
        }
        match name {
            "true" | "false" => Ok(name.to_owned()),
            "_id" => self.parts(),
            _ => {
                self.at = start;
                Err(self
                    .error("a rule looks at _id and its parts only, and this is something else"))
            }
        }
    }

    fn parts(&mut self) -> Result<String, LegacyError> {
        let mut path = "_id".to_owned();
        while self.rest().starts_with('.') {
            self.at += 1;
            let name = self.rest();
            let length = name.bytes().take_while(|byte| is_name(*byte)).count();
            if length == 0 || name.as_bytes()[0].is_ascii_digit() {
                return Err(self.error("the name of a part is missing"));
            }
            path.push_str(".`");
            path.push_str(&name[..length]);
            path.push('`');
            self.at += length;
        }
        Ok(path)
    }

    fn deeper(
        &mut self,
        inside: fn(&mut Self) -> Result<String, LegacyError>,
    ) -> Result<String, LegacyError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error("the rule nests too deeply"));
        }
        self.depth += 1;
        let found = inside(self);
        self.depth -= 1;
        found
    }

    fn word(&mut self) -> Option<&'t str> {
        self.skip_space();
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| is_name(*byte)).count();
        self.at += length;
        (length > 0).then(|| &rest[..length])
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str, what: &'static str) -> Result<(), LegacyError> {
        self.eat(token).then_some(()).ok_or(self.error(what))
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    const fn error(&self, what: &'static str) -> LegacyError {
        LegacyError {
            position: self.at,
            what,
        }
    }
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
