//! Rules and filters against a model that is too simple to be wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::subsequence;
use tombolo_document::{DocumentId, Value};
use tombolo_identity::{
    COLLECTION_RULES_MAX, Filter, Permissions, RULE_BYTES_MAX, RULES_MAX, Reach, RuleError, Rules,
};

const COLLECTIONS: [&str; 3] = ["cars", "boats", "planes"];
const IDS: [&str; 4] = ["a", "ab", "b", "c"];
/// Conditions and the ids of [`IDS`] that meet them.
const CONDITIONS: [(&str, &[&str]); 5] = [
    ("true", &IDS),
    ("_id = 'a'", &["a"]),
    ("_id LIKE 'a%'", &["a", "ab"]),
    ("_id IN ('b', 'c')", &["b", "c"]),
    // It fails on each id, because its text is too long for a rule.
    ("repeat(_id, 1000000) != 'b'", &[]),
];

fn id(text: &str) -> DocumentId {
    DocumentId::from_value(&Value::from(text)).expect("a text is an id")
}

fn parse(collection: &str, texts: &[&str]) -> Result<Rules, RuleError> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    Rules::parse(&BTreeMap::from([(collection.to_owned(), texts)]))
}

/// `None` is everything.
type Model = Option<BTreeMap<&'static str, Vec<usize>>>;

fn model_allows(model: &Model, collection: &str, id: &str) -> bool {
    let Some(rules) = model else { return true };
    let conditions = rules.get(collection).map_or(&[][..], Vec::as_slice);
    conditions
        .iter()
        .any(|condition| CONDITIONS[*condition].1.contains(&id))
}

fn built(model: &Model) -> Rules {
    let Some(rules) = model else {
        return Rules::everything();
    };
    let texts = |conditions: &Vec<usize>| {
        conditions
            .iter()
            .map(|index| CONDITIONS[*index].0.to_owned())
            .collect()
    };
    let queries = rules
        .iter()
        .map(|(name, conditions)| ((*name).to_owned(), texts(conditions)));
    Rules::parse(&queries.collect()).expect("the conditions are good")
}

fn model() -> impl Strategy<Value = Model> {
    let conditions = subsequence((0..CONDITIONS.len()).collect::<Vec<_>>(), 0..=3);
    let rules = prop::collection::btree_map(prop::sample::select(&COLLECTIONS), conditions, 0..3);
    prop_oneof![1 => Just(None), 4 => rules.prop_map(Some)]
}

proptest! {
    #[test]
    fn a_filter_never_widens(
        (local_read, local_write, remote_read, remote_write) in (model(), model(), model(), model()),
    ) {
        let side = |read, write| Permissions { read: built(read), write: built(write) };
        let local = side(&local_read, &local_write);
        let remote = side(&remote_read, &remote_write);
        let filter = Filter::between(&local, &remote);
        for collection in COLLECTIONS {
            let mut readable = 0;
            for text in IDS {
                let id = id(text);
                let allows = |model: &Model| model_allows(model, collection, text);
                let sends = allows(&remote_read) && allows(&local_write);
                let accepts = allows(&remote_write) && allows(&local_read);
                prop_assert_eq!(filter.may_send(collection, &id), sends);
                prop_assert_eq!(filter.accepts(collection, &id), accepts);
                readable += usize::from(allows(&remote_read));
            }
            match filter.reads_collection(collection) {
                Reach::Nothing => prop_assert_eq!(readable, 0),
                Reach::Everything => prop_assert_eq!(readable, IDS.len()),
                Reach::Some => {}
            }
        }
    }

    #[test]
    fn equal_rules_alone_have_equal_fingerprints(one in model(), other in model()) {
        let fingerprint = |read: &Model| {
            let remote = Permissions { read: built(read), write: Rules::nothing() };
            Filter::between(&Permissions::everything(), &remote).fingerprint()
        };
        let (same, alike) = (built(&one) == built(&other), fingerprint(&one) == fingerprint(&other));
        prop_assert_eq!(same, alike);
    }
}

#[test]
fn each_part_of_both_sides_is_in_the_fingerprint() {
    let (all, none) = (Rules::everything(), Rules::nothing());
    let side = |read: &Rules, write: &Rules| Permissions {
        read: read.clone(),
        write: write.clone(),
    };
    let mut seen = Vec::new();
    for bits in 0..16 {
        let rule = |bit: u32| if bits >> bit & 1 == 1 { &all } else { &none };
        let (local, remote) = (side(rule(0), rule(1)), side(rule(2), rule(3)));
        seen.push(Filter::between(&local, &remote).fingerprint());
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 16);
}

#[test]
fn the_order_of_conditions_is_not_in_the_fingerprint() {
    let fingerprint = |texts: &[&str]| {
        let remote = Permissions {
            read: parse("cars", texts).unwrap(),
            write: Rules::nothing(),
        };
        Filter::between(&Permissions::nothing(), &remote).fingerprint()
    };
    let (one, other) = ("_id = 'a'", "_id = 'b'");
    assert_eq!(fingerprint(&[one, other]), fingerprint(&[other, one, one]));
    assert_ne!(fingerprint(&[one]), fingerprint(&[one, other]));
}

#[test]
fn a_whole_collection_is_that_collection_alone() {
    let rules = Rules::collection_whole("cars");
    assert!(rules.allows("cars", &id("a")));
    assert!(!rules.allows("boats", &id("a")));
    assert_eq!(parse("cars", &["true"]).unwrap(), rules);
}

#[test]
fn a_rule_that_fails_means_no() {
    let long = "repeat(_id, 1000000) = 'b'";
    for failing in [
        long,
        &format!("NOT ({long})"),
        &format!("{long} OR _id = 'a'"),
    ] {
        let rules = parse("cars", &[failing]).unwrap();
        assert!(!rules.allows("cars", &id("a")), "{failing}");
    }
}

#[test]
fn a_rule_that_takes_too_long_means_no() {
    let last = "x = last AND y = last AND z = last".replace("last", "'last'");
    let rule = format!(
        "ANY x IN _id SATISFIES ANY y IN _id SATISFIES ANY z IN _id SATISFIES {last} END END END"
    );
    let rules = parse("cars", &[&rule]).unwrap();
    let array = |others: usize| {
        let mut items = vec![Value::from("other"); others];
        items.push(Value::from("last"));
        DocumentId::from_value(&Value::Array(items)).unwrap()
    };
    assert!(rules.allows("cars", &array(3)));
    assert!(!rules.allows("cars", &array(100)));
}

#[test]
fn one_bad_rule_refuses_all_and_is_named() {
    for bad in [
        "name = 'a'",
        "_id =",
        "",
        "COUNT(*) > 1",
        "_id = :id",
        "clock() < '2000'",
    ] {
        let refused = parse("cars", &["_id = 'a'", bad]).unwrap_err();
        let text = refused.to_string();
        assert!(
            text.starts_with("rule 1 of the collection \"cars\" is refused"),
            "{text}"
        );
    }
}

#[test]
fn rules_are_bounded() {
    let texts = |count| vec!["_id = 'a'"; count];
    assert!(parse("cars", &texts(RULES_MAX)).is_ok());
    let count = RULES_MAX + 1;
    assert!(
        matches!(parse("cars", &texts(count)), Err(RuleError::Conditions { count: found, .. }) if found == count)
    );
    let padded = |bytes: usize| format!("{:<bytes$}", "_id = 'a'");
    assert!(parse("cars", &[&padded(RULE_BYTES_MAX)]).is_ok());
    let above = parse("cars", &[&padded(RULE_BYTES_MAX + 1)]);
    assert!(matches!(above, Err(RuleError::TooLong { .. })));
    let collections = |count: usize| {
        (0..count)
            .map(|number| (number.to_string(), Vec::new()))
            .collect()
    };
    assert!(Rules::parse(&collections(COLLECTION_RULES_MAX)).is_ok());
    let above = Rules::parse(&collections(COLLECTION_RULES_MAX + 1));
    assert!(matches!(above, Err(RuleError::Collections { .. })));
}
