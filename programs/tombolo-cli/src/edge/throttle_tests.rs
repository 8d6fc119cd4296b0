//! Windows, waits and full tables, at moments that the test names.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn throttle(by: &[(Throttled, u32, u64)]) -> Throttle {
    let strategy = |&(by, requests_max, window)| Strategy {
        by,
        requests_max,
        window: Duration::from_secs(window),
    };
    Throttle::new(by.iter().map(strategy).collect())
}

fn from(address: &str) -> Origin {
    Origin {
        address: address.parse().unwrap(),
        endpoint: Some(Endpoint::Execute),
    }
}

#[test]
fn as_many_as_allowed_pass_and_one_more_waits() {
    let throttle = throttle(&[(Throttled::Address, 3, 10)]);
    for _ in 0..3 {
        throttle.admit(from("1.1.1.1"), SECOND).unwrap();
    }
    let refused = throttle.admit(from("1.1.1.1"), SECOND).unwrap_err();
    throttle.admit(from("1.1.1.2"), SECOND).unwrap();
    let almost = SECOND + refused.retry_after - Duration::from_nanos(1);
    assert!(throttle.admit(from("1.1.1.1"), almost).is_err());
    throttle
        .admit(from("1.1.1.1"), SECOND + refused.retry_after)
        .unwrap();
}

#[test]
fn no_window_holds_more_than_allowed_by_much_and_a_steady_client_passes() {
    let throttle = throttle(&[(Throttled::Address, 100, 10)]);
    let mut passed = Vec::new();
    for tick in 0..10_000_u32 {
        let now = Duration::from_millis(10) * tick;
        if throttle.admit(from("1.1.1.1"), now).is_ok() {
            passed.push(now);
        }
    }
    for (at, start) in passed.iter().enumerate() {
        let end = *start + Duration::from_secs(10);
        let within = passed[at..].iter().filter(|moment| **moment < end).count();
        assert!(within <= 101, "{within} from {start:?}");
    }
    assert!(passed.len() > 900, "{}", passed.len());
}

#[test]
fn the_wait_that_is_told_is_enough_and_not_too_long() {
    for elapsed in [0, 1, 5, 9] {
        let throttle = throttle(&[(Throttled::Address, 4, 10)]);
        let mut now = Duration::from_secs(elapsed);
        for _ in 0..20 {
            match throttle.admit(from("1.1.1.1"), now) {
                Ok(()) => {}
                Err(TooMany { retry_after }) => {
                    assert!(retry_after <= Duration::from_secs(20));
                    now += retry_after;
                    throttle.admit(from("1.1.1.1"), now).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_refused_request_is_counted_nowhere() {
    let both = [
        (Throttled::Address, 10, 10),
        (Throttled::Route(Endpoint::Execute), 1, 10),
    ];
    let throttle = throttle(&both);
    throttle.admit(from("1.1.1.1"), SECOND).unwrap();
    for _ in 0..50 {
        assert!(throttle.admit(from("1.1.1.1"), SECOND).is_err());
    }
    let elsewhere = Origin {
        endpoint: Some(Endpoint::Presence),
        ..from("1.1.1.1")
    };
    for _ in 0..9 {
        throttle.admit(elsewhere, SECOND).unwrap();
    }
    assert!(throttle.admit(elsewhere, SECOND).is_err());
}

#[test]
fn identities_are_counted_apart_from_addresses() {
    let throttle = throttle(&[(Throttled::Key, 1, 10)]);
    throttle.admit(from("1.1.1.1"), SECOND).unwrap();
    throttle.admit_identity("a", SECOND).unwrap();
    throttle.admit_identity("b", SECOND).unwrap();
    assert!(throttle.admit_identity("a", SECOND).is_err());
}

#[test]
fn one_line_of_ipv6_is_one_client() {
    let throttle = throttle(&[(Throttled::Address, 1, 10)]);
    throttle.admit(from("2001:db8:0:1::1"), SECOND).unwrap();
    assert!(
        throttle
            .admit(from("2001:db8:0:1:ffff::2"), SECOND)
            .is_err()
    );
    throttle.admit(from("2001:db8:0:2::1"), SECOND).unwrap();
    throttle.admit(from("1.1.1.1"), SECOND).unwrap();
    assert!(throttle.admit(from("::ffff:1.1.1.1"), SECOND).is_err());
}

#[test]
fn a_flood_of_addresses_takes_bounded_memory_and_nothing_from_those_who_were_there() {
    let throttle = throttle(&[(Throttled::Address, 2, 10)]);
    throttle.admit(from("9.9.9.9"), SECOND).unwrap();
    let flood = |number: usize| Origin {
        address: IpAddr::V6((0x2001_0db8_u128 << 96 | (number as u128) << 64).into()),
        endpoint: None,
    };
    let mut passed = 0;
    for number in 0..3 * CLIENTS_MAX {
        passed += usize::from(throttle.admit(flood(number), SECOND).is_ok());
    }
    // The flood of one network shares one count when the places are taken.
    assert!(passed <= CLIENTS_MAX + 2, "{passed}");
    throttle.admit(from("9.9.9.9"), SECOND).unwrap();
    // Who comes new from elsewhere still passes.
    throttle.admit(from("8.8.8.8"), SECOND).unwrap();
    let next = Duration::from_secs(10);
    for number in 0..3 * CLIENTS_MAX {
        let _ = throttle.admit(flood(number), next);
    }
    let counts = throttle.strategies[0].1.lock().unwrap();
    assert!(counts.now.clients.len() <= 2 * CLIENTS_MAX);
    assert!(counts.before.shared.len() <= SHARED_COUNTS);
}
