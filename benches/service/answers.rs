//! The inside of a client process: it reads orders and makes the calls, on one thread, so that it takes little from the
//! service.

use std::{
    io::{self, BufRead as _, Write as _},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde::Serialize;

use crate::{
    calls::BackEnd,
    orders::{Order, Told},
    streams::call,
};

/// How long a call may take that prepares something.
const PREPARING_DEADLINE: Duration = Duration::from_secs(30);
/// Calls at a time while something is prepared.
const PREPARING: usize = 16;

/// Does what standard input says, until it ends.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut orders = io::stdin().lock().lines().map(|line| line.unwrap());
    let target = serde_json::from_str(&orders.next().unwrap()).unwrap();
    let back_end = Arc::new(runtime.block_on(BackEnd::connect(target)));
    tell(&Told::Done);
    for order in orders {
        match serde_json::from_str(&order).unwrap() {
            Order::CreateUsers => runtime.block_on(for_every_user(&back_end, async |back_end, number| {
                back_end.create_user(number).await;
            })),
            Order::OpenSessions => runtime.block_on(for_every_user(&back_end, async |back_end, _| {
                back_end.open_session().await;
            })),
            Order::ResumeSessions(ids) => runtime.block_on(async {
                for id in ids {
                    back_end.resume_session(id).await;
                }
            }),
            Order::AnswerToCheck => {
                let answer = runtime.block_on(back_end.answer_to_check(0, PREPARING_DEADLINE)).unwrap();
                tell(&Told::Answer(STANDARD.encode(answer.encode_to_vec())));
                continue;
            }
            Order::Call { seconds, streams } => {
                let outcomes = runtime.block_on(call(&back_end, seconds, streams));
                tell(&Told::Outcomes(outcomes));
                continue;
            }
        }
        tell(&Told::Done);
    }
}

/// Tells whoever gave the order.
pub(crate) fn tell(told: &impl Serialize) {
    let mut line = serde_json::to_string(told).unwrap();
    line.push('\n');
    io::stdout().write_all(line.as_bytes()).unwrap();
}

async fn for_every_user(back_end: &BackEnd, work: impl AsyncFn(&BackEnd, usize)) {
    let numbers = Rc::new(std::cell::Cell::new(0));
    let one_after_the_other = || async {
        while numbers.get() < back_end.users() {
            work(back_end, numbers.replace(numbers.get() + 1)).await;
        }
    };
    futures_util::future::join_all((0..PREPARING).map(|_| one_after_the_other())).await;
}
