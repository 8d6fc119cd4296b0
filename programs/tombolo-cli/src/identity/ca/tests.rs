//! The authority's directory as operators and accidents leave it.

use std::os::unix::fs::PermissionsExt;

use super::*;

const NOW_MS: u64 = 1_795_000_000_000;
const DATABASE: &str = "db";

fn user(name: &str, issued_before_ms: u64) -> Revocation {
    Revocation {
        whom: Whom::User(name.to_owned()),
        issued_before_ms,
    }
}

#[test]
fn a_first_start_makes_a_key_that_its_owner_alone_can_read() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("deep/ca");
    assert!(matches!(
        Ca::open(&path, DATABASE),
        Err(CaError::Missing { .. })
    ));
    let made = Ca::open_or_make(&path, DATABASE).unwrap();
    let again = Ca::open_or_make(&path, DATABASE).unwrap();
    assert_eq!(made.keys(), again.keys());
    assert_eq!(made.keys(), [made.signing().public().clone()]);
    assert!(!made.is_open_to_others());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let entries = std::fs::read_dir(&path).unwrap();
    let modes: Vec<u32> = entries.map(|entry| mode(&entry.unwrap().path())).collect();
    assert_eq!(modes, [0o600; 3]);
}

#[test]
fn keys_rotate_with_overlap_and_the_list_follows() {
    let home = tempfile::tempdir().unwrap();
    let open = || Ca::open(home.path(), DATABASE).unwrap();
    let first = Ca::open_or_make(home.path(), DATABASE).unwrap();
    let first_name = key_id(first.signing().public());
    let list = first.change_revocations(|entries| revoke(entries, user("ada", 7)), NOW_MS);
    let list = list.unwrap();
    let second_name = open().add(None).unwrap();
    assert_eq!(key_id(open().signing().public()), first_name);
    assert_eq!(open().keys().len(), 2);
    assert!(matches!(
        open().retire(&first_name, NOW_MS),
        Err(CaError::Signing { .. })
    ));
    open().promote(&second_name, NOW_MS).unwrap();
    assert_eq!(key_id(open().signing().public()), second_name);
    open().retire(&first_name, NOW_MS).unwrap();
    let last = open();
    assert_eq!(last.keys().len(), 1);
    let kept = last.revocations().unwrap().unwrap();
    assert_eq!(kept.entries(), list.entries());
    assert!(kept.version() > list.version());
    assert!(matches!(
        last.retire("nobody", NOW_MS),
        Err(CaError::UnknownKey { .. })
    ));
}

#[test]
fn at_most_four_keys_are_kept_and_none_twice() {
    let home = tempfile::tempdir().unwrap();
    Ca::open_or_make(home.path(), DATABASE).unwrap();
    let add = |file: Option<&Path>| Ca::open(home.path(), DATABASE).unwrap().add(file);
    let file = home.path().join("other.der");
    std::fs::write(&file, Authority::generate().unwrap().to_pkcs8().as_slice()).unwrap();
    assert!(add(Some(&file)).is_ok());
    assert!(matches!(add(Some(&file)), Err(CaError::SameKey { .. })));
    assert!(add(None).is_ok());
    assert!(add(None).is_ok());
    assert!(matches!(add(None), Err(CaError::TooManyKeys)));
}

#[test]
fn a_key_is_imported_from_pem_and_from_der_and_nothing_else_is() {
    let home = tempfile::tempdir().unwrap();
    let made = Ca::open_or_make(&home.path().join("a"), DATABASE).unwrap();
    let name = key_id(made.signing().public());
    let pem = home.path().join("a").join(format!("authority-{name}.pem"));
    let imported = Ca::import(&home.path().join("b"), DATABASE, &pem).unwrap();
    assert_eq!(imported, name);
    let wrong = home.path().join("wrong");
    std::fs::write(
        &wrong,
        "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
    )
    .unwrap();
    let refused = Ca::import(&home.path().join("c"), DATABASE, &wrong).unwrap_err();
    assert!(matches!(refused, CaError::Key { .. }), "{refused}");
}

#[test]
fn revocations_grow_newer_and_can_be_undone() {
    let home = tempfile::tempdir().unwrap();
    let ca = Ca::open_or_make(home.path(), DATABASE).unwrap();
    assert!(ca.revocations().unwrap().is_none());
    let change = |entry| {
        ca.change_revocations(|entries| revoke(entries, entry), NOW_MS)
            .unwrap()
    };
    let first = change(user("ada", 5));
    let second = change(user("ada", 9));
    assert_eq!(second.entries(), [user("ada", 9)]);
    assert!(second.version() > first.version());
    assert!(ca.is_stale());
    let undone = ca.change_revocations(
        |entries| {
            assert_eq!(unrevoke(entries, &Whom::User("ada".to_owned())), 1);
        },
        NOW_MS,
    );
    assert!(undone.unwrap().entries().is_empty());
}

#[test]
fn damage_is_told_and_never_mended_by_a_new_key() {
    let home = tempfile::tempdir().unwrap();
    let ca = Ca::open_or_make(home.path(), DATABASE).unwrap();
    let order = home.path().join("authorities");
    for text in ["", "../x\n", "nobody\n"] {
        std::fs::write(&order, text).unwrap();
        let refused = Ca::open_or_make(home.path(), DATABASE).unwrap_err();
        assert!(
            matches!(refused, CaError::Damaged { .. }),
            "{text:?}: {refused}"
        );
    }
    std::fs::remove_file(&order).unwrap();
    assert!(matches!(
        Ca::open_or_make(home.path(), DATABASE),
        Err(CaError::Damaged { .. })
    ));
    let name = key_id(ca.signing().public());
    std::fs::write(&order, &name).unwrap();
    assert_eq!(Ca::open(home.path(), DATABASE).unwrap().keys(), ca.keys());
    std::fs::write(home.path().join("revocations"), "x").unwrap();
    assert!(matches!(ca.revocations(), Err(CaError::Revocations { .. })));
}

#[test]
fn of_two_commands_at_one_moment_the_second_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    Ca::open_or_make(home.path(), DATABASE).unwrap();
    let open = || Ca::open(home.path(), DATABASE).unwrap();
    let (first, second, third) = (open(), open(), open());
    first.add(None).unwrap();
    assert!(matches!(second.add(None), Err(CaError::Changed)));
    let refused = third.change_revocations(|entries| revoke(entries, user("ada", 1)), NOW_MS);
    assert!(matches!(refused, Err(CaError::Changed)));
    assert_eq!(open().keys().len(), 2);
    assert!(open().revocations().unwrap().is_none());
}
