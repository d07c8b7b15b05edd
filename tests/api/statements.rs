//! How often the database is asked: as often for nobody as for somebody, or the time an answer takes tells who has an account.

use rstest::rstest;
use signet::proto::DisableUserRequest;

use crate::{
    password_reset::{allow_pages, by_code, by_link, refusal, start},
    support::{ADA, Engine, GRACE, RoundTrips, TestApp},
};

#[rstest]
#[tokio::test]
async fn a_password_reset_asks_the_database_as_often_for_nobody_as_for_somebody(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let (trips, _guard) = RoundTrips::counted();
    allow_pages(&app).await;
    let disabled = DisableUserRequest { user_id: app.fixture.grace.to_string() };
    app.back_end().users.disable_user(disabled).await.unwrap();
    // What is kept from call to call is there.
    start(&app.public(), by_code(ADA)).await.unwrap();

    for request in [by_code as fn(&str) -> _, by_link] {
        let started = async |address: &str| trips.of(start(&app.public(), request(address))).await;
        let (adas, nobodys, graces) = (started(ADA).await, started("nobody@example.com").await, started(GRACE).await);
        assert!(adas > 5, "{adas}");
        assert_eq!((nobodys, graces), (adas, adas), "of a start for nobody, and for a disabled user");
    }
    let token = async |address: &str| start(&app.public(), by_code(address)).await.unwrap().password_reset_token;
    let (adas, nobodys) = (token(ADA).await, token("nobody@example.com").await);
    // One in a hundred million runs guesses right, and fails.
    let guessed = async |token: &str| trips.of(refusal(&app.public(), token, "00000000")).await;
    let (adas, nobodys) = (guessed(&adas).await, guessed(&nobodys).await);
    assert!(adas > 5, "{adas}");
    assert_eq!(nobodys, adas, "of a wrong code for nobody");
}
