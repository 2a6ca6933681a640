//! Delivering messages in batches: what a subscription with `bulkSubscribe` gets.
//!
//! Kafka gathers per partition, one handler of an app runs at a time across its topics, and a failing one holds
//! that turn through its redeliveries. Elsewhere daprd batches artificially: no more messages than the component
//! handles at once (ten on Redis, one on in-memory), each batch waiting its full time. A batch that failed in
//! part is delivered again whole by Kafka, and only in its failed entries by the retry policy.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::Profile;
use super::broker::{Cursor, Record};
use super::deliver::{Consumer, REDELIVERY};
use super::json::{self, Numbers};
use super::reply::{self, Verdict};
use super::route::path_for;
use super::runtime::REDIS_WORKERS;
use super::subscriptions::BulkSubscription;
use super::wrap::Headers;

/// The `traceparent` of a batch: no single trace is its own.
const BATCH_TRACE: &str = "00-00000000000000000000000000000000-0000000000000000-00";

/// One record of a batch, ready to be sent.
struct Entry<'r> {
    id: String,
    record: &'r Record,
    /// The event as it stands in the request.
    event: Vec<u8>,
    content_type: &'static str,
    path: String,
    verdict: Verdict,
}

/// Gathers and delivers what the cursor reads, for ever.
pub(crate) async fn run(consumer: Arc<Consumer>, mut cursor: Cursor, gathering: BulkSubscription) {
    loop {
        cursor.wait(1).await;
        consumer.app_is_well(&mut cursor).await;
        let batch = gather(&consumer, &mut cursor, gathering).await;
        let turn = match consumer.runtime.settings.profile {
            Profile::Kafka => Some(consumer.app.bulk_turn.lock().await),
            Profile::Redis | Profile::InMemory => None,
        };
        consumer.take_batch(&batch).await;
        drop(turn);
        cursor.advance(batch.len());
    }
}

/// Waits until the batch is full or its time is over.
async fn gather(consumer: &Consumer, cursor: &mut Cursor, gathering: BulkSubscription) -> Vec<Arc<Record>> {
    let at_once = match consumer.runtime.settings.profile {
        Profile::Kafka => usize::MAX,
        Profile::Redis => REDIS_WORKERS,
        Profile::InMemory => 1,
    };
    cursor.wait(1).await;
    let wait = consumer.runtime.clock.sleep(gathering.wait);
    if gathering.messages <= at_once {
        tokio::select! {
            () = cursor.wait(gathering.messages) => {}
            () = wait => {}
        }
    } else {
        wait.await;
    }
    cursor.peek(gathering.messages.min(at_once))
}

impl Consumer {
    /// Delivers a batch until the broker would move past it.
    async fn take_batch(&self, batch: &[Arc<Record>]) {
        let profile = self.runtime.settings.profile;
        let mut entries: Vec<Entry<'_>> =
            batch.iter().enumerate().map(|(index, record)| self.entry(index, record)).collect();
        loop {
            self.deliver_batch(&mut entries).await;
            let mut again = false;
            for entry in &entries {
                if !self.settled(entry.record, entry.verdict).await {
                    again = true;
                    if profile != Profile::Kafka {
                        self.tell_lost(entry.record);
                    }
                }
            }
            if !again || profile != Profile::Kafka {
                return;
            }
            self.runtime.clock.sleep(REDELIVERY).await;
            self.app.well().await;
            entries = batch.iter().enumerate().map(|(index, record)| self.entry(index, record)).collect();
        }
    }

    fn entry<'r>(&self, index: usize, record: &'r Record) -> Entry<'r> {
        let id = match self.runtime.settings.profile {
            Profile::Kafka => index.to_string(),
            Profile::Redis | Profile::InMemory => self.runtime.chance.id(),
        };
        let value = &record.message.value;
        let mut entry = Entry {
            id,
            record,
            event: Vec::with_capacity(value.len() + 2),
            content_type: "application/cloudevents+json",
            path: String::new(),
            verdict: Verdict::Retry,
        };
        if self.subscription.raw {
            json::string(&BASE64.encode(value), &mut entry.event);
            entry.content_type = "application/octet-stream";
        } else if let Err(unfit) = self.check(record) {
            self.tell_unfit(record, &unfit);
            entry.verdict = unfit.verdict();
            return entry;
        } else if record.head().settled {
            entry.event.extend_from_slice(value);
        } else if let Err(error) = json::rewrite(value, Numbers::Float64, &mut entry.event) {
            tracing::warn!(app = %self.app.id, topic = %record.topic, %error, "not delivered");
            return entry;
        }
        // An entry that no rule wants is still posted, to the app's root, as daprd does it in bulk.
        entry.path = path_for(&self.subscription.rules, value).unwrap_or("/").to_owned();
        entry
    }

    /// One delivery of a batch, a request for each path, with the tries of the retry policy.
    async fn deliver_batch(&self, entries: &mut [Entry<'_>]) {
        let mut paths: Vec<String> = Vec::new();
        for entry in entries.iter().filter(|e| !e.path.is_empty()) {
            if !paths.contains(&entry.path) {
                paths.push(entry.path.clone());
            }
        }
        for path in paths {
            let mut open: Vec<&mut Entry<'_>> = entries.iter_mut().filter(|e| e.path == path).collect();
            let mut tries = self.runtime.settings.resiliency.map_or(0, |policy| policy.max_retries);
            loop {
                self.post_batch(&path, &mut open).await;
                open.retain(|entry| entry.verdict == Verdict::Retry);
                match self.runtime.settings.resiliency {
                    Some(policy) if tries > 0 && !open.is_empty() => {
                        tries -= 1;
                        self.runtime.clock.sleep(policy.interval).await;
                    }
                    _ => break,
                }
            }
        }
    }

    async fn post_batch(&self, path: &str, entries: &mut [&mut Entry<'_>]) {
        let traced = !self.subscription.raw && entries.iter().any(|e| e.record.head().trace.is_some());
        let body = self.batch_body(entries);
        let trace = traced.then_some(BATCH_TRACE);
        let verdicts = match self.post(path, "application/json", None, trace, body).await {
            Ok((status, reply)) => {
                let ids: Vec<&str> = entries.iter().map(|e| e.id.as_str()).collect();
                let verdicts = reply::bulk(status, &reply, &ids);
                verdicts.iter().for_each(|verdict| self.tell_delivered(*verdict));
                verdicts
            }
            Err(error) => {
                tracing::warn!(app = %self.app.id, topic = self.subscription.topic, %error, "not delivered");
                vec![Verdict::Retry; entries.len()]
            }
        };
        for (entry, verdict) in entries.iter_mut().zip(verdicts) {
            entry.verdict = verdict;
        }
    }

    fn batch_body(&self, entries: &[&mut Entry<'_>]) -> Bytes {
        let profile = self.runtime.settings.profile;
        let size: usize = entries.iter().map(|e| e.event.len() + 256).sum();
        let mut out = Vec::with_capacity(size + 256);
        let member = |out: &mut Vec<u8>, name: &str, value: &str| {
            out.extend_from_slice(name.as_bytes());
            json::string(value, out);
        };
        out.extend_from_slice(b"{\"entries\":[");
        for (n, entry) in entries.iter().enumerate() {
            member(&mut out, if n == 0 { "{\"entryId\":" } else { ",{\"entryId\":" }, &entry.id);
            out.extend_from_slice(b",\"event\":");
            out.extend_from_slice(&entry.event);
            out.extend_from_slice(b",\"metadata\":");
            metadata(entry.record.told(profile).as_ref(), &mut out);
            member(&mut out, ",\"contentType\":", entry.content_type);
            out.push(b'}');
        }
        member(&mut out, "],\"id\":", &self.runtime.chance.id());
        member(&mut out, ",\"metadata\":{\"pubsubName\":", &self.runtime.settings.component);
        member(&mut out, "},\"pubsubname\":", &self.runtime.settings.component);
        member(&mut out, ",\"topic\":", &self.subscription.topic);
        member(&mut out, ",\"type\":", "com.dapr.event.sent.bulk");
        out.push(b'}');
        out.into()
    }
}

fn metadata(pairs: Option<&Headers>, out: &mut Vec<u8>) {
    let Some(pairs) = pairs else {
        out.extend_from_slice(b"null");
        return;
    };
    out.push(b'{');
    for (n, (name, value)) in pairs.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        json::string(name, out);
        out.push(b':');
        json::string(&String::from_utf8_lossy(value), out);
    }
    out.push(b'}');
}
