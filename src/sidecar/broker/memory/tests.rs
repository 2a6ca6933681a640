use super::super::{KAFKA_RECORD_MAX_BYTES, KAFKA_RECORD_OVERHEAD, RECORD_OVERHEAD_BYTES};
use super::*;
use crate::clock::SystemClock;
use crate::sidecar::chance::Luck;
use crate::sidecar::wrap::{Head, Metadata};

fn broker(profile: Profile) -> Broker {
    Broker::new(profile, Arc::new(SystemClock::new()), Arc::new(Luck::default()))
}

fn message(bytes: usize) -> Message {
    Message { value: Bytes::from(vec![b'x'; bytes]), headers: None, head: Head::default() }
}

fn keyed(key: &str) -> Message {
    asking("partitionKey", key)
}

fn asking(name: &str, value: &str) -> Message {
    message(1).with(Some(Metadata::from([(name.to_owned(), value.to_owned())])))
}

#[test]
fn keys_go_to_the_partition_that_kafka_gave_them() {
    for (key, partition) in [("k", 1), ("k1", 1)] {
        assert_eq!(hash_partition(key.as_bytes(), 3), partition, "{key}");
    }
}

#[test]
fn a_key_keeps_its_partition_and_its_order() {
    let broker = broker(Profile::Kafka);
    let places: Vec<_> = (0..3).map(|_| broker.publish("t", keyed("task")).unwrap()).collect();
    assert!(places.iter().all(|r| r.partition == places[0].partition));
    assert_eq!(places.iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_partition_number_is_taken_as_daprd_takes_it() {
    let number = |asked| broker(Profile::Kafka).publish("t", asking("partitionNumber", asked));
    for (asked, partition) in [("0", 0), ("2", 2), ("+1", 1), ("02", 2)] {
        assert_eq!(number(asked).unwrap().partition, partition, "{asked}");
    }
    for (asked, told) in [
        ("3", "partition number 3 is out of range, topic has 3 partitions"),
        ("-1", "partitionNumber must be non-negative, got -1"),
        ("", "invalid partitionNumber metadata value \"\": strconv.ParseInt: parsing \"\": invalid syntax"),
        (
            " 2",
            "invalid partitionNumber metadata value \" 2\": strconv.ParseInt: parsing \" 2\": invalid syntax",
        ),
        (
            "4294967296",
            "invalid partitionNumber metadata value \"4294967296\": strconv.ParseInt: parsing \"4294967296\": \
             value out of range",
        ),
    ] {
        assert_eq!(number(asked).unwrap_err().to_string(), told, "{asked}");
    }
    assert!(
        broker(Profile::Redis).publish("t", asking("partitionNumber", "x")).is_ok(),
        "only Kafka has any"
    );
}

#[test]
fn a_record_costs_its_value_its_key_its_headers_and_its_place() {
    let record = broker(Profile::Kafka).publish("t", keyed("task")).unwrap();
    let (value, key, header) = (1, "task".len(), "partitionKeytask".len());
    assert_eq!(record.kept_bytes(), value + key + header + RECORD_OVERHEAD_BYTES);
}

#[test]
fn a_group_that_does_not_get_all_of_its_topics_holds_none() {
    let broker = broker(Profile::Redis);
    for n in 1..TOPICS_MAX {
        broker.publish(&n.to_string(), message(1)).unwrap();
    }
    assert_eq!(broker.subscribe(&["t", "one more"]).err(), Some(BrokerError::TooManyTopics));
    let mut reader = broker.subscribe(&["t"]).unwrap().remove(0);
    let before = broker.bytes();
    broker.publish("t", message(1)).unwrap();
    reader.advance(1);
    assert_eq!(broker.bytes(), before);
}

#[test]
fn what_every_group_has_passed_is_forgotten() {
    let broker = broker(Profile::Redis);
    let (mut a, mut b) =
        (broker.subscribe(&["t"]).unwrap().remove(0), broker.subscribe(&["t"]).unwrap().remove(0));
    for _ in 0..2 {
        broker.publish("t", message(10)).unwrap();
    }
    let full = broker.bytes();
    assert_eq!(a.peek(9).len(), 2);
    a.advance(2);
    assert_eq!((broker.bytes(), a.peek(9).len(), b.peek(9).len()), (full, 0, 2));
    b.advance(1);
    assert_eq!(broker.bytes(), full / 2);
    b.advance(1);
    assert_eq!(broker.bytes(), 0);
}

#[test]
fn a_topic_without_subscribers_keeps_its_newest_records_up_to_the_bound() {
    let broker = broker(Profile::Redis);
    let each = UNREAD_MAX_BYTES / 4;
    for _ in 0..5 {
        broker.publish("t", message(each - RECORD_OVERHEAD_BYTES)).unwrap();
    }
    assert_eq!(broker.bytes(), UNREAD_MAX_BYTES);
    let kept = broker.subscribe(&["t"]).unwrap().remove(0).peek(9);
    assert_eq!(kept.iter().map(|r| r.offset).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn in_memory_forgets_what_nobody_subscribed_to() {
    let broker = broker(Profile::InMemory);
    broker.publish("t", message(1)).unwrap();
    assert_eq!((broker.bytes(), broker.subscribe(&["t"]).unwrap().remove(0).peek(9).len()), (0, 0));
}

#[test]
fn a_full_log_refuses_and_takes_again_once_read() {
    let broker = broker(Profile::Redis);
    let mut reader = broker.subscribe(&["t"]).unwrap().remove(0);
    let half = LOG_MAX_BYTES / 2 - RECORD_OVERHEAD_BYTES;
    broker.publish("t", message(half)).unwrap();
    broker.publish("t", message(half)).unwrap();
    assert_eq!(broker.publish("t", message(0)).err(), Some(BrokerError::Full));
    reader.advance(1);
    assert!(broker.publish("t", message(half)).is_ok());
}

#[test]
fn kafka_refuses_a_record_one_byte_over_its_limit() {
    let broker = broker(Profile::Kafka);
    let most = KAFKA_RECORD_MAX_BYTES - KAFKA_RECORD_OVERHEAD;
    assert!(broker.publish("t", message(most)).is_ok());
    assert_eq!(
        broker.publish("t", message(most + 1)).err(),
        Some(BrokerError::TooLarge(KAFKA_RECORD_MAX_BYTES + 1))
    );
}

#[test]
fn topics_are_made_up_to_the_bound() {
    let broker = broker(Profile::InMemory);
    for n in 0..TOPICS_MAX {
        broker.publish(&n.to_string(), message(1)).unwrap();
    }
    assert!(broker.publish("0", message(1)).is_ok());
    assert_eq!(broker.publish("one more", message(1)).err(), Some(BrokerError::TooManyTopics));
}

#[tokio::test]
async fn a_waiting_cursor_wakes_when_enough_is_there() {
    let broker = broker(Profile::Redis);
    let mut cursor = broker.subscribe(&["t"]).unwrap().remove(0);
    let waiting = async {
        cursor.wait(2).await;
        cursor.peek(9).len()
    };
    let publishing = async {
        broker.publish("t", message(1)).unwrap();
        tokio::task::yield_now().await;
        broker.publish("t", message(1)).unwrap();
    };
    assert_eq!(tokio::join!(waiting, publishing).0, 2);
}
