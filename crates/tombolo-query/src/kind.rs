//! What kind of statement a statement is, for those who permit, count and record them.

use std::fmt;

use crate::check::statement::{Action, Mode};

/// What a statement does. One behind EXPLAIN, PROFILE or ADVISE has the kind that
/// it has without the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementKind {
    /// SELECT
    Select,
    /// INSERT
    Insert,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
    /// EVICT
    Evict,
    /// CREATE INDEX, and ADVISE AND PROVISION
    CreateIndex,
    /// DROP INDEX
    DropIndex,
    /// ALTER SYSTEM
    AlterSystem,
    /// SHOW
    Show,
}

impl StatementKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Evict,
        Self::CreateIndex,
        Self::DropIndex,
        Self::AlterSystem,
        Self::Show,
    ];

    /// Its name, in lower case with underscores. It never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Evict => "evict",
            Self::CreateIndex => "create_index",
            Self::DropIndex => "drop_index",
            Self::AlterSystem => "alter_system",
            Self::Show => "show",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) const fn of(mode: Mode, action: &Action) -> Self {
        if let Mode::Advise { provision: true } = mode {
            return Self::CreateIndex;
        }
        match action {
            Action::Select(_) => Self::Select,
            Action::Insert(_) => Self::Insert,
            Action::Update(_) => Self::Update,
            Action::Remove(remove) if remove.evict => Self::Evict,
            Action::Remove(_) => Self::Delete,
            Action::CreateIndex(_) => Self::CreateIndex,
            Action::DropIndex(_) => Self::DropIndex,
            Action::AlterSet { .. } | Action::AlterReset { .. } => Self::AlterSystem,
            Action::Show { .. } => Self::Show,
        }
    }
}

impl fmt::Display for StatementKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Statement;

    #[test]
    fn each_statement_has_its_kind_whatever_word_stands_before_it() {
        for (text, name) in [
            ("SELECT * FROM c", "select"),
            ("EXPLAIN SELECT * FROM c", "select"),
            ("INSERT INTO c DOCUMENTS ({'_id': 1})", "insert"),
            ("PROFILE UPDATE c SET a = 1", "update"),
            ("DELETE FROM c", "delete"),
            ("EVICT FROM c", "evict"),
            ("CREATE INDEX i ON c (a)", "create_index"),
            ("ADVISE SELECT * FROM c", "select"),
            ("ADVISE AND PROVISION SELECT * FROM c", "create_index"),
            ("DROP INDEX i ON c", "drop_index"),
            ("ALTER SYSTEM SET dql_strict_mode = true", "alter_system"),
            ("SHOW ALL", "show"),
        ] {
            let kind = Statement::parse(text).unwrap().kind();
            assert_eq!(
                (kind.name(), StatementKind::named(name)),
                (name, Some(kind)),
                "{text}"
            );
        }
        assert_eq!(StatementKind::named("SELECT"), None);
    }
}
