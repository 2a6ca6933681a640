//! A broker that answers as the test's script says and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::Clock;
use crate::dapr::{Outgoing, Publish, PublishOutcome, Publishing};
use crate::domain::Timestamp;

/// After this long a publish that hangs is ambiguous.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Timestamp,
    pub(crate) topic: String,
    pub(crate) batch: Vec<Outgoing>,
    /// Those under way when it came, itself included.
    pub(crate) under_way: usize,
}

impl Request {
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.batch.iter().map(|outgoing| outgoing.key.as_str()).collect()
    }

    /// An answer that gives every entry the same outcome.
    pub(crate) fn all(&self, outcome: &PublishOutcome) -> Answer {
        self.each(|_| outcome.clone())
    }

    /// An answer by the entries' keys.
    pub(crate) fn each(&self, outcome: impl Fn(&str) -> PublishOutcome) -> Answer {
        Answer { after: Duration::ZERO, outcomes: self.keys().into_iter().map(outcome).collect() }
    }
}

/// What becomes of a request.
pub(crate) struct Answer {
    after: Duration,
    outcomes: Vec<PublishOutcome>,
}

impl Answer {
    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// The answer names no more than the first `count` entries.
    pub(crate) fn cut_to(mut self, count: usize) -> Self {
        self.outcomes.truncate(count);
        self
    }
}

type Script = Box<dyn Fn(&Request) -> Answer + Send>;

/// See the module.
pub(crate) struct Broker {
    clock: Arc<dyn Clock>,
    script: Mutex<Script>,
    seen: Mutex<Vec<Request>>,
    under_way: Mutex<usize>,
}

impl Broker {
    /// A broker that takes everything at once.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let script: Script = Box::new(|request| request.all(&PublishOutcome::Published));
        let (script, seen, under_way) = (Mutex::new(script), Mutex::default(), Mutex::default());
        Arc::new(Self { clock, script, seen, under_way })
    }

    /// From now on requests are answered by `script`.
    pub(crate) fn answers(&self, script: impl Fn(&Request) -> Answer + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn answers_all(&self, outcome: PublishOutcome) {
        self.answers(move |request| request.all(&outcome));
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Every entry ever sent, with its instant, in the order in which they came.
    pub(crate) fn entries(&self) -> Vec<(Timestamp, Outgoing)> {
        let entries = |r: Request| r.batch.into_iter().map(move |outgoing| (r.at, outgoing));
        self.requests().into_iter().flat_map(entries).collect()
    }

    /// The instants at which `key` was sent.
    pub(crate) fn instants_of(&self, key: &str) -> Vec<Timestamp> {
        self.entries().into_iter().filter(|(_, outgoing)| outgoing.key == key).map(|(at, _)| at).collect()
    }
}

impl Publish for Broker {
    fn publish<'a>(&'a self, topic: &'a str, batch: &'a [Outgoing]) -> Publishing<'a> {
        Box::pin(async move {
            let under_way = {
                let mut under_way = self.under_way.lock().unwrap();
                *under_way += 1;
                *under_way
            };
            let request =
                Request { at: self.clock.now(), topic: topic.to_owned(), batch: batch.to_vec(), under_way };
            self.seen.lock().unwrap().push(request.clone());
            let answer = (self.script.lock().unwrap())(&request);
            if !answer.after.is_zero() {
                self.clock.sleep(answer.after).await;
            }
            *self.under_way.lock().unwrap() -= 1;
            answer.outcomes
        })
    }
}

pub(crate) fn refused() -> PublishOutcome {
    PublishOutcome::Refused { reason: "the sidecar answered 400: as told".into(), for_good: true }
}

/// What an outage looks like.
pub(crate) fn unreachable() -> PublishOutcome {
    PublishOutcome::Refused { reason: "no connection to the sidecar".into(), for_good: false }
}

pub(crate) fn ambiguous() -> PublishOutcome {
    PublishOutcome::Ambiguous { reason: "no answer from the sidecar within 10000 ms".into() }
}

/// The time-out of a request that nobody answers.
pub(crate) fn hung(request: &Request) -> Answer {
    request.all(&ambiguous()).after(TIMEOUT)
}
