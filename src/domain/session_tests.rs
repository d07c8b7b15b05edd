//! The life of a session as a state machine: whatever happens to it, in whatever order.

use proptest::{collection::vec, prelude::*};
use rstest::rstest;
use uuid::Uuid;

use super::*;

fn start() -> Timestamp {
    Timestamp::from_timestamp_secs(1_800_000_000).unwrap()
}

fn opened(settings: &ProjectSettings) -> Session {
    Session {
        id: Uuid::nil().into(),
        project_id: Uuid::nil().into(),
        user_id: Uuid::nil().into(),
        client_id: Uuid::nil().into(),
        methods: Vec::new(),
        authenticated_at: start(),
        client_context: ClientContext::default(),
        custom_claims: CustomClaims::default(),
        resource: None,
        refresh: RefreshState::FIRST,
        refresh_token_format: RefreshTokenFormat::Opaque,
        token_profile: TokenProfile::Standard,
        last_used_at: start(),
        created_at: start(),
        state: Session::opened(start(), settings),
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(i64),
    Use,
    Extend(i64),
    Revoke,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4000_i64).prop_map(Step::Wait),
        1 => (0..40_000_000_i64).prop_map(Step::Wait),
        4 => Just(Step::Use),
        2 => (300..=10_000_i64).prop_map(Step::Extend),
        1 => (300..=366 * 86_400_i64).prop_map(Step::Extend),
        1 => Just(Step::Revoke),
    ]
}

proptest! {
    #[test]
    fn a_session_keeps_its_promises_whatever_happens_to_it(
        idle in 300..10_000_u32,
        absolute in 300..20_000_u32,
        steps in vec(step(), 0..40),
    ) {
        let settings = ProjectSettings {
            session_idle_lifetime_seconds: idle,
            session_absolute_lifetime_seconds: absolute,
            ..ProjectSettings::default()
        };
        let (mut session, mut now) = (opened(&settings), start());
        // The end that was promised last, and whether the session was ever seen to be over.
        let (mut promised, mut is_over) = (start() + Duration::seconds(absolute.into()), false);
        for step in steps {
            let (before, was_live) = (session.state, session.is_live_at(now));
            match step {
                Step::Wait(seconds) => now += Duration::seconds(seconds),
                Step::Use => match session.used(now, Duration::seconds(idle.into())) {
                    Ok(state) => session.state = state,
                    Err(NotLive) => prop_assert!(!was_live),
                },
                Step::Extend(seconds) => match session.extended(now, SessionDuration::parse(seconds, 0).unwrap()) {
                    Ok(state) => {
                        session.state = state;
                        promised = now + Duration::seconds(seconds);
                        prop_assert_eq!(session.ends_at(), Some(promised), "shorter counts, too");
                    }
                    Err(NotLive) => prop_assert!(!was_live),
                },
                Step::Revoke if !matches!(before, SessionState::Revoked { .. }) => {
                    session.state = SessionState::Revoked { revoked_at: now };
                }
                Step::Revoke => {}
            }
            if !was_live {
                prop_assert!(session.state == before || matches!(step, Step::Revoke), "what is over is not changed");
            }
            if matches!(before, SessionState::Revoked { .. }) {
                prop_assert_eq!(session.state, before, "revoked stays revoked");
            }
            if let SessionState::Active { idle_expires_at, expires_at } = session.state {
                prop_assert!(idle_expires_at <= expires_at);
                prop_assert_eq!(expires_at, promised, "only an extension moves the absolute end");
            }
            let is_live = session.is_live_at(now);
            prop_assert!(!is_live || now < promised, "live after its absolute end");
            prop_assert!(!(is_over && is_live), "back from the dead");
            is_over |= !is_live;
        }
    }
}

/// Of 1000 seconds idle and 3000 in all.
fn state_after_use(at: i64) -> Result<(i64, i64), NotLive> {
    let settings = ProjectSettings {
        session_idle_lifetime_seconds: 1000,
        session_absolute_lifetime_seconds: 3000,
        ..ProjectSettings::default()
    };
    let mut session = opened(&settings);
    for at in (900..at).step_by(900).chain([at]) {
        session.state = session.used(start() + Duration::seconds(at), Duration::seconds(1000))?;
    }
    match session.state {
        SessionState::Active { idle_expires_at, expires_at } => {
            Ok(((idle_expires_at - start()).num_seconds(), (expires_at - start()).num_seconds()))
        }
        SessionState::Revoked { .. } => unreachable!("nobody revokes it"),
    }
}

#[rstest]
#[case::at_once(0, Ok((1000, 3000)))]
#[case::later(500, Ok((1500, 3000)))]
#[case::near_the_end(2500, Ok((3000, 3000)))]
#[case::in_the_last_second(2999, Ok((3000, 3000)))]
#[case::at_the_end(3000, Err(NotLive))]
fn use_moves_the_idle_end_up_to_the_absolute_one(#[case] at: i64, #[case] expected: Result<(i64, i64), NotLive>) {
    assert_eq!(state_after_use(at), expected);
}

#[test]
fn use_takes_nothing_from_an_extension() {
    let mut session = opened(&ProjectSettings::default());
    session.state = session.extended(start(), SessionDuration::parse(300, 0).unwrap()).unwrap();
    assert_eq!(session.used(start(), Duration::seconds(60)), Ok(session.state), "an idle time that is shorter");
    assert_eq!(session.used(start(), Duration::days(9)), Ok(session.state), "a longer one");
}

#[rstest]
#[case(300, 0, true)]
#[case(366 * 86_400, 0, true)]
#[case(299, 0, false)]
#[case(299, 999_999_999, false)]
#[case(300, 1, false)]
#[case(301, -1, false)]
#[case(366 * 86_400 + 1, 0, false)]
#[case(0, 0, false)]
#[case(-300, 0, false)]
#[case(i64::MAX, 0, false)]
#[case(i64::MIN, i32::MIN, false)]
fn a_duration_is_five_minutes_to_366_days_of_whole_seconds(
    #[case] seconds: i64,
    #[case] nanos: i32,
    #[case] is_allowed: bool,
) {
    assert_eq!(SessionDuration::parse(seconds, nanos).is_ok(), is_allowed);
}

#[test]
fn a_session_that_was_given_a_time_lasts_that_long_used_or_not() {
    let mut session = opened(&ProjectSettings::default());
    session.state = Session::opened_for(start(), SessionDuration::parse(900, 0).unwrap());
    let end = start() + Duration::seconds(900);
    assert_eq!(session.state, SessionState::Active { idle_expires_at: end, expires_at: end });
    assert_eq!(session.used(start() + Duration::seconds(899), Duration::days(9)), Ok(session.state));
}

#[test]
fn a_further_proof_adds_its_methods_once() {
    use AuthenticationMethod::{EmailCode, Password};
    let mut session = opened(&ProjectSettings::default());
    let later = start() + Duration::seconds(1);
    session.proved_again(&[Password], start());
    session.proved_again(&[Password, EmailCode], later);
    assert_eq!((session.methods.as_slice(), session.authenticated_at), (&[Password, EmailCode][..], later));
}

#[test]
fn a_choice_comes_back_from_json_and_none_in_old_rows_is_a_new_session() {
    let duration = Some(SessionDuration::parse(300, 0).unwrap());
    let new = SessionChoice::New { duration };
    let joins = new.joining(Uuid::from_u128(7).into());
    for choice in [SessionChoice::default(), new, joins, SessionChoice::None] {
        let json = serde_json::to_string(&choice).unwrap();
        assert_eq!(serde_json::from_str::<SessionChoice>(&json).unwrap(), choice, "{json}");
    }
    assert_eq!(joins, SessionChoice::Join { session_id: Uuid::from_u128(7).into(), duration });
    assert_eq!(SessionChoice::None.joining(Uuid::nil().into()), SessionChoice::None);
    assert!(serde_json::from_str::<SessionChoice>(r#"{"new":{"duration":1}}"#).is_err(), "out of bounds");
    let wishes = crate::domain::challenge::SignInWishes::default();
    let mut old = serde_json::to_value(&wishes).unwrap();
    old.as_object_mut().unwrap().remove("session").unwrap();
    assert_eq!(serde_json::from_value::<crate::domain::challenge::SignInWishes>(old).unwrap(), wishes);
}

#[test]
fn a_sign_in_is_recent_for_ten_minutes_except_where_that_is_not_asked() {
    let session = opened(&ProjectSettings::default());
    let later = |seconds| session.authenticated_at + Duration::minutes(10) + Duration::seconds(seconds);
    assert!(session.is_authenticated_recently(later(-1)) && !session.is_authenticated_recently(later(0)));
    let theirs = Session { token_profile: TokenProfile::Descope, ..session.clone() };
    assert!(theirs.is_authenticated_recently(later(0)));
}
