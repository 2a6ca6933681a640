//! The broker as a process, its topics, and an ordinary client of it: librdkafka as it comes, but for what is named.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Message as _};

use super::event;
use super::kafka_process as process;
use super::marks::Marks;

const PARTITIONS: i32 = 3;
const POLL: Duration = Duration::from_millis(100);

/// A Kafka broker of its own.
pub(crate) struct Broker {
    process: process::Broker,
}

/// The topics of one subject.
pub(crate) struct Topics {
    pub(crate) events: String,
    /// Updates, of which there are none.
    pub(crate) updates: String,
    /// Where nobody reads.
    pub(crate) unread: String,
    pub(crate) reminders: String,
}

/// Which librdkafka this is.
pub(crate) fn client_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

impl Broker {
    pub(crate) fn start() -> Self {
        if let Some(why) = process::missing() {
            panic!("{why}");
        }
        Self { process: process::Broker::start().unwrap() }
    }

    /// `HOST:PORT`
    pub(crate) fn address(&self) -> &str {
        &self.process.address
    }

    /// Topics that nobody has used.
    pub(crate) async fn topics(&self, subject: &str) -> Topics {
        let name = |what: &str| format!("{subject}-{what}");
        let topics = Topics {
            events: name("task-events"),
            updates: name("task-updates"),
            unread: name("unread"),
            reminders: name("reminders"),
        };
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let new = [&topics.events, &topics.updates, &topics.unread, &topics.reminders]
            .map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)));
        for created in admin.create_topics(&new, &AdminOptions::new()).await.unwrap() {
            created.unwrap();
        }
        topics
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        config
    }

    fn consumer(&self, group: &str, topic: &str) -> BaseConsumer {
        let mut config = self.client();
        config.set("group.id", group).set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[topic]).unwrap();
        consumer
    }

    /// `linger` is what the client waits for more to send, in milliseconds; it comes with 5.
    pub(crate) fn producer(&self, linger: u32) -> Producer {
        let mut config = self.client();
        config.set("acks", "all").set("linger.ms", linger.to_string());
        Producer(config.create_with_context(Acknowledged).unwrap())
    }
}

/// Publishes and tells the marks what the broker has acknowledged.
pub(crate) struct Producer(ThreadedProducer<Acknowledged>);

/// What is told when the broker has a message: which one of which measurement, if anyone wants to know.
type Pending = Box<Option<(Arc<Marks>, usize)>>;

pub(crate) struct Acknowledged;

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Pending;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Pending) {
        if let Err((error, _)) = result {
            panic!("the broker did not take a message: {error}");
        }
        if let Some((marks, n)) = *pending {
            marks.done(n);
        }
    }
}

impl Producer {
    /// Hands a message to the client, waiting while its queue is full.
    pub(crate) fn send(&self, topic: &str, key: &[u8], message: &[u8], tell: Option<(Arc<Marks>, usize)>) {
        let mut record = BaseRecord::with_opaque_to(topic, Box::new(tell)).key(key).payload(message);
        while let Err((_, back)) = self.0.send(record) {
            record = back;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A thread that consumes until it is dropped.
pub(crate) struct Consumption {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Consumption {
    fn start(consumer: BaseConsumer, take: impl Fn(&[u8], &[u8]) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(POLL) {
                    take(message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Consumption {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Takes each event of a subject's topic and publishes it on as its reminder; keeps nothing.
pub(crate) fn relay(broker: &Broker, topics: &Topics) -> Consumption {
    let producer = broker.producer(0);
    let reminders = topics.reminders.clone();
    Consumption::start(broker.consumer("relay", &topics.events), move |key, message| {
        producer.send(&reminders, key, message, None);
    })
}

/// An ordinary consumer of a subject's reminders, for its whole life.
pub(crate) struct Audience {
    marks: Arc<Mutex<Option<Arc<Marks>>>>,
    _consumption: Consumption,
}

impl Audience {
    pub(crate) fn start(broker: &Broker, topics: &Topics) -> Self {
        let marks = Arc::new(Mutex::new(None::<Arc<Marks>>));
        let watched = Arc::clone(&marks);
        let consumer = broker.consumer("audience", &topics.reminders);
        let consumption = Consumption::start(consumer, move |_, message| {
            let marks = watched.lock().unwrap().clone();
            if let Some((marks, n)) = marks.and_then(|m| event::number(message, m.run).map(|n| (m, n))) {
                marks.see(n);
            }
        });
        Self { marks, _consumption: consumption }
    }

    /// From now on the reminders of this measurement count.
    pub(crate) fn watch(&self, marks: &Arc<Marks>) {
        *self.marks.lock().unwrap() = Some(Arc::clone(marks));
    }
}
