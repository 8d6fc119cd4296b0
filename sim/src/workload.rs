//! What programs do with their databases, drawn by chance: statements that write
//! and statements that subscribe.

use tombolo::{DocumentId, Value};

use crate::holdings::Place;
use crate::random::Random;

/// Collections that are written and subscribed to.
pub(crate) const COLLECTIONS: [&str; 2] = ["cars", "tasks"];
const COLORS: [&str; 3] = ["red", "green", "blue"];

/// One document: an object of random fields.
fn document(id: u64, random: &mut Random) -> String {
    let color = random.pick(&COLORS);
    let n = random.within(0..6);
    match random.below(3) {
        0 => format!("{{'_id': 'd{id}', 'color': '{color}', 'n': {n}}}"),
        1 => format!("{{'_id': 'd{id}', 'color': '{color}', 'm': {{'x': {n}, 'y': true}}}}"),
        _ => format!("{{'_id': 'd{id}', 'n': {n}, 'tags': ['{color}', {n}]}}"),
    }
}

/// What begins and ends the name that a document bears in a world with rules.
const MARK: &str = "mark:";
const MARK_END: char = ';';

/// A statement with the documents that it makes marked by name.
pub(crate) fn mark(statement: String) -> String {
    let collection = COLLECTIONS.iter().find(|name| statement.contains(**name));
    let (Some(collection), Some(start)) = (collection, statement.find("{'_id': '")) else {
        return statement;
    };
    let start = start + "{'_id': '".len();
    let Some(end) = statement[start..].find('\'').map(|length| start + length) else {
        return statement;
    };
    let (before, rest) = statement.split_at(end + 1);
    let id = &statement[start..end];
    format!("{before}, 'mark': '{MARK}{collection}/{id}{MARK_END}'{rest}")
}

/// The names of the documents of which bytes hold the mark.
pub(crate) fn marks(bytes: &[u8]) -> impl Iterator<Item = Place> {
    let windows = bytes.windows(MARK.len()).enumerate();
    let starts = windows.filter(|(_, window)| *window == MARK.as_bytes());
    starts.filter_map(|(at, _)| {
        let rest = &bytes[at + MARK.len()..];
        let end = rest.iter().position(|byte| *byte == MARK_END as u8)?;
        let (collection, id) = std::str::from_utf8(&rest[..end]).ok()?.split_once('/')?;
        let id = DocumentId::from_value(&Value::from(id)).ok()?;
        Some((collection.to_owned(), id))
    })
}

/// A statement that writes to one of so many documents of a collection.
pub(crate) fn write(documents: u64, random: &mut Random) -> String {
    let collection = *random.pick(&COLLECTIONS);
    let id = random.within(0..documents);
    let color = random.pick(&COLORS);
    let n = random.within(0..6);
    match random.below(20) {
        0..5 => {
            let document = document(id, random);
            let policy = *random.pick(&["DO UPDATE", "DO NOTHING", "DO UPDATE_LOCAL_DIFF", "FAIL"]);
            format!("INSERT INTO {collection} DOCUMENTS ({document}) ON ID CONFLICT {policy}")
        }
        5 => format!(
            "INSERT INTO {collection} INITIAL DOCUMENTS ({{'_id': 'd{id}', 'color': '{color}'}})"
        ),
        6..9 => format!("UPDATE {collection} SET color = '{color}' WHERE _id = 'd{id}'"),
        9 => format!("UPDATE {collection} SET n = {n} WHERE color = '{color}'"),
        10 => format!("UPDATE {collection} SET m.x = {n} WHERE _id = 'd{id}'"),
        11 => format!("UPDATE {collection} SET m = {{'z': {n}}} WHERE _id = 'd{id}'"),
        12 => format!("UPDATE {collection} UNSET m WHERE _id = 'd{id}'"),
        13 => format!("UPDATE {collection} UNSET color WHERE _id = 'd{id}'"),
        14 => format!("UPDATE {collection} APPLY hits INCREMENT BY {n} WHERE _id = 'd{id}'"),
        15 => format!("UPDATE {collection} APPLY views PN_INCREMENT BY {n} WHERE _id = 'd{id}'"),
        16 => format!("UPDATE {collection} APPLY hits RESTART WHERE _id = 'd{id}'"),
        17 => format!("DELETE FROM {collection} WHERE color = '{color}' AND n = {n}"),
        _ => format!("DELETE FROM {collection} WHERE _id = 'd{id}'"),
    }
}

/// A statement that forgets documents locally.
pub(crate) fn evict(documents: u64, random: &mut Random) -> String {
    let collection = *random.pick(&COLLECTIONS);
    if random.chance(500) {
        let color = random.pick(&COLORS);
        format!("EVICT FROM {collection} WHERE color = '{color}'")
    } else {
        let id = random.within(0..documents);
        format!("EVICT FROM {collection} WHERE _id = 'd{id}'")
    }
}

/// What a node wants, by chance.
pub(crate) fn subscriptions(documents: u64, random: &mut Random) -> Vec<String> {
    let mut statements = Vec::new();
    for collection in COLLECTIONS {
        match random.below(10) {
            0 => {}
            1..5 => statements.push(format!("SELECT * FROM {collection}")),
            _ => {
                for _ in 0..random.within(1..3) {
                    let condition = condition(documents, random);
                    statements.push(format!("SELECT * FROM {collection} WHERE {condition}"));
                }
            }
        }
    }
    statements
}

fn condition(documents: u64, random: &mut Random) -> String {
    let color = random.pick(&COLORS);
    let n = random.within(0..6);
    let (one, other) = (random.within(0..documents), random.within(0..documents));
    match random.below(6) {
        0 | 1 => format!("color = '{color}'"),
        2 => format!("n >= {n}"),
        3 => format!("_id = 'd{one}'"),
        4 => format!("_id IN ['d{one}', 'd{other}']"),
        _ => format!("color = '{color}' AND n < {n}"),
    }
}

/// A node that wants all there is.
pub(crate) fn everything() -> Vec<String> {
    let whole = |collection: &&str| format!("SELECT * FROM {collection}");
    COLLECTIONS.iter().map(whole).collect()
}

/// The collection of accounts.
pub(crate) const ACCOUNTS: &str = "accounts";
/// How many accounts there are.
pub(crate) const ACCOUNTS_COUNT: u64 = 5;
/// What lies on each at first.
pub(crate) const BALANCE: u64 = 100;

/// The statement that makes the accounts.
pub(crate) fn found_accounts() -> String {
    let account = |id| format!("({{'_id': 'a{id}', 'balance': {BALANCE}}})");
    let accounts: Vec<String> = (0..ACCOUNTS_COUNT).map(account).collect();
    let accounts = accounts.join(", ");
    format!("INSERT INTO COLLECTION {ACCOUNTS} (balance COUNTER) DOCUMENTS {accounts}")
}

/// The subscription to all accounts.
pub(crate) fn accounts() -> String {
    format!("SELECT * FROM {ACCOUNTS}")
}

/// The statements of one transfer.
pub(crate) fn transfer(random: &mut Random) -> Vec<String> {
    let source = random.within(0..ACCOUNTS_COUNT);
    let target = (source + random.within(1..ACCOUNTS_COUNT)) % ACCOUNTS_COUNT;
    let amount = random.within(1..50) as i64;
    let change = |id: u64, by: i64| {
        format!("UPDATE {ACCOUNTS} APPLY balance INCREMENT BY {by} WHERE _id = 'a{id}'")
    };
    vec![change(source, -amount), change(target, amount)]
}
