//! A client process, seen from outside. It ends when its standard input does.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::Serialize;

use crate::orders::{Order, Outcome, Stream, Target, Told};

/// What makes this program a client process.
pub(crate) const ARGUMENT: &str = "caller";

pub(crate) struct Caller {
    process: Child,
    orders: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Caller {
    /// Starts one, and waits until it is connected.
    pub(crate) fn start(target: &Target) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let mut process = command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, told) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut caller = Self { process, orders, told };
        caller.order(target);
        assert!(matches!(caller.told(), Told::Done));
        caller
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Has something done that is not measured.
    pub(crate) fn prepare(&mut self, order: &Order) {
        self.order(order);
        assert!(matches!(self.told(), Told::Done));
    }

    /// What a check is answered, in base64.
    pub(crate) fn answer_to_check(&mut self) -> String {
        self.order(&Order::AnswerToCheck);
        let Told::Answer(answer) = self.told() else { panic!("the client process tells something else") };
        answer
    }

    /// Has calls made. To be followed by `begun`, `ended` and `outcomes`, each of which waits.
    pub(crate) fn call(&mut self, seconds: f64, streams: Vec<Stream>) {
        self.order(&Order::Call { seconds, streams });
    }

    pub(crate) fn begun(&mut self) {
        assert!(matches!(self.told(), Told::Begin));
    }

    pub(crate) fn ended(&mut self) {
        assert!(matches!(self.told(), Told::End));
    }

    pub(crate) fn outcomes(&mut self) -> Vec<Outcome> {
        let Told::Outcomes(outcomes) = self.told() else { panic!("the client process lost count") };
        outcomes
    }

    fn order(&mut self, order: &impl Serialize) {
        let mut line = serde_json::to_string(order).unwrap();
        line.push('\n');
        self.orders.write_all(line.as_bytes()).unwrap();
    }

    fn told(&mut self) -> Told {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the client process has ended; it said why");
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
