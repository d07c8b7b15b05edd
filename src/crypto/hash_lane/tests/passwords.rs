//! Passwords through the lane: the same work for everybody who is refused.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const LESS: Argon2Cost = Argon2Cost { memory_kib: 4096, iterations: 1, parallelism: 1 };
const TODAY: Argon2Cost = Argon2Cost { memory_kib: 8192, iterations: 2, parallelism: 1 };

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

fn hashed(cost: Argon2Cost) -> PasswordHash {
    PasswordHash::compute(&mut Argon2Kernel::default(), cost, &password("right"), &[7; SALT_BYTES]).unwrap()
}

#[tokio::test]
async fn a_password_matches_its_own_hash_only() {
    let lane = lane(1, 8).await;
    let stored = lane.hash(ticket(A), password("right")).await.unwrap();
    let again = lane.hash(ticket(A), password("right")).await.unwrap();
    assert_ne!(stored.to_phc(), again.to_phc(), "each has a salt of its own");
    for (text, stored, matches) in
        [("right", Some(&stored), true), ("wrong", Some(&stored), false), ("right", None, false)]
    {
        let verdict = lane.verify(ticket(A), password(text), stored.cloned(), true).await.unwrap();
        assert_eq!(verdict.matches, matches, "{text} {stored:?}");
        assert!(verdict.upgraded.is_none(), "nothing is outdated");
    }
}

#[tokio::test]
async fn a_right_password_below_todays_cost_is_hashed_anew_if_that_may_show() {
    let lane = HashLane::start(&settings(NonZeroUsize::MIN, 8, TODAY), Random::seeded(1), Metrics::new()).unwrap();
    let verify = async |text, may_upgrade| {
        let verdict = lane.verify(ticket(A), password(text), Some(hashed(LESS)), may_upgrade).await.unwrap();
        (verdict.matches, verdict.upgraded)
    };
    let (matches, upgraded) = verify("right", true).await;
    let upgraded = upgraded.expect("a dearer hash");
    assert!(matches && !upgraded.is_outdated(&TODAY));
    assert!(upgraded.verify(&mut Argon2Kernel::default(), &password("right")).unwrap());

    assert!(matches!(verify("right", false).await, (true, None)));
    assert!(matches!(verify("wrong", true).await, (false, None)));
}

#[tokio::test]
async fn without_memory_no_password_is_looked_at_and_nothing_is_learned() {
    let lane = lane(1, 8).await;
    let stored = lane.hash(ticket(A), password("right")).await.unwrap();
    lane.run(ticket(A), WORK, |kernel| kernel.memory_kib_max = 0).await.unwrap();
    idle(&lane).await;
    assume(&lane, 0.5);
    let estimate = lane.shared.lock().own_time();
    let looked_at = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&looked_at);
    let looked = move || note.store(true, Ordering::Release);
    let verdict = lane.verify_noting(ticket(A), password("wrong"), Some(stored), true, looked).await;
    assert_eq!(retry_after(&verdict), Duration::from_secs(1));
    assert!(!looked_at.load(Ordering::Acquire));
    assert_eq!(retry_after(&lane.hash(ticket(A), password("right")).await), Duration::from_secs(1));
    idle(&lane).await;
    assert_eq!(lane.shared.lock().own_time(), estimate, "a failure takes no time");
    let page = lane.shared.metrics.encode();
    assert!(page.contains("signet_lane_refused_total{cause=\"memory\"} 2"), "{page}");
}

#[test]
fn a_verdict_stands_if_there_is_no_memory_for_the_hash_to_store_instead() {
    let mut kernel = Argon2Kernel::default();
    kernel.memory_kib_max = LESS.memory_kib;
    let salts = Salts { dummy: [8; SALT_BYTES], upgrade: Some([9; SALT_BYTES]) };
    for (text, matches) in [("right", true), ("wrong", false)] {
        let verdict = compare(&mut kernel, TODAY, &password(text), Some(&hashed(LESS)), &salts).unwrap();
        assert_eq!(verdict.matches, matches, "{text}");
        assert!(verdict.upgraded.is_none());
    }
}

/// The costs of all hashes that are computed for a password, and memory times passes of them all.
fn work_of(text: &str, stored: Option<Argon2Cost>, may_upgrade: bool) -> (Vec<Argon2Cost>, u32) {
    let stored = stored.map(hashed);
    let salts = Salts { dummy: [8; SALT_BYTES], upgrade: may_upgrade.then_some([9; SALT_BYTES]) };
    let mut kernel = Argon2Kernel::default();
    compare(&mut kernel, TODAY, &password(text), stored.as_ref(), &salts).unwrap();
    let work = kernel.computed.iter().map(|cost| cost.memory_kib * cost.iterations).sum();
    (kernel.computed.clone(), work)
}

#[test]
fn whoever_is_refused_costs_one_hash_of_today() {
    let (unknown, work) = work_of("right", None, true);
    assert_eq!(unknown, [TODAY]);
    assert_eq!(work_of("wrong", Some(TODAY), true).0, [TODAY]);
    assert_eq!(work_of("right", Some(TODAY), true).0, [TODAY]);

    // Neither does time tell who has not signed in since the cost was raised, nor, where it may not be upgraded (during
    // a block, of somebody disabled), that a password is right.
    for (text, may_upgrade) in [("wrong", true), ("wrong", false), ("right", false)] {
        let (computed, outdated) = work_of(text, Some(LESS), may_upgrade);
        assert_eq!(computed[0], LESS);
        assert_eq!(outdated, work, "{text} {computed:?}");
    }
    assert_eq!(work_of("right", Some(LESS), true).0, [LESS, TODAY]);
}

#[rstest]
#[case::dearer(Argon2Cost { memory_kib: 16384, iterations: 2, parallelism: 1 })]
#[case::fewer_passes_over_more(Argon2Cost { memory_kib: 16384, iterations: 1, parallelism: 1 })]
#[case::all_but_a_little(Argon2Cost { memory_kib: 8190, iterations: 2, parallelism: 1 })]
fn a_stored_hash_that_takes_as_long_or_longer_is_not_made_up_for(#[case] cost: Argon2Cost) {
    assert_eq!(work_of("wrong", Some(cost), true).0, [cost]);
}

/// The bounds of the settings are those of the kernel: no configuration starts and then fails at every sign-in.
#[test]
fn the_dearest_cost_that_can_be_configured_can_be_computed() {
    use clap::{Args as _, Command, FromArgMatches as _};

    use crate::config::passwords::PasswordConfig;

    let parse = |flags: &[String]| {
        let command = PasswordConfig::augment_args(Command::new("signet"));
        let matches = command.try_get_matches_from(["signet".to_owned()].iter().chain(flags));
        PasswordConfig::from_arg_matches(&matches?)
    };
    let flags = |memory_kib, iterations, parallelism| {
        [("memory-kib", memory_kib), ("iterations", iterations), ("parallelism", parallelism)]
            .map(|(name, value)| format!("--argon2-{name}={value}"))
    };
    let dearest = [MEMORY_KIB_MAX, ITERATIONS_MAX, PARALLELISM_MAX];
    let config = parse(&flags(dearest[0], dearest[1], dearest[2])).unwrap();
    let PasswordConfig { memory_kib, iterations, parallelism, .. } = config;
    Argon2Cost { memory_kib, iterations, parallelism }.check().unwrap();
    for above in 0..3 {
        let [memory_kib, iterations, parallelism] =
            std::array::from_fn(|index| dearest[index] + u32::from(index == above));
        assert!(parse(&flags(memory_kib, iterations, parallelism)).is_err());
    }
}
