//! Transactions arrive whole. Money is moved between accounts in transactions, and
//! every node wants all accounts, so that on every node, after every commit, there
//! are all accounts or none, and their sum is what it was at first.
//!
//! This holds in a catch-up too, since these few documents come in one batch from
//! one snapshot, and through relays, since a commit there holds whole transactions
//! again. It is not promised where documents are refused or a node goes back in time,
//! so worlds with accounts have good clocks and no backups.

use tombolo::{Object, Value};

use crate::holdings::Change;
use crate::node::Node;
use crate::violation::{Promise, Violation};
use crate::workload::{ACCOUNTS, ACCOUNTS_COUNT, BALANCE};

/// Checks the accounts of a node after a commit.
pub(super) fn check(at: usize, changes: &[Change], node: &Node) -> Result<(), Violation> {
    let Some(running) = &node.running else {
        return Ok(());
    };
    if !changes.iter().any(|change| change.place.0 == ACCOUNTS) {
        return Ok(());
    }
    let select = format!("SELECT balance FROM {ACCOUNTS}");
    let found = running.database.execute(&select, Object::new());
    let found = found.map_err(|error| Violation::store(&error))?;
    let balance = |item: &Value| match item.as_object().and_then(|item| item.get("balance")) {
        Some(Value::Int(balance)) => *balance,
        _ => 0,
    };
    let sum: i64 = found.items.iter().map(balance).sum();
    let (count, whole) = (found.items.len() as u64, (ACCOUNTS_COUNT * BALANCE) as i64);
    if count != ACCOUNTS_COUNT || sum != whole {
        let story = format!("node {at} has {count} accounts with {sum} of {whole}");
        return Err(Violation::new(Promise::Transactions, story));
    }
    Ok(())
}
