use super::*;

fn outgoing(bytes: usize) -> Outgoing {
    Outgoing { key: "k".into(), event: vec![b'a'; bytes].into() }
}

/// How many events each request has; together they are the batch, in order.
fn sizes(batch: &[Outgoing]) -> Vec<usize> {
    let ranges = split(batch);
    assert!(ranges.iter().cloned().flatten().eq(0..batch.len()));
    ranges.iter().map(ExactSizeIterator::len).collect()
}

#[test]
fn requests_end_on_the_bounds() {
    let half = REQUEST_MAX_BYTES / 2;
    for (events, requests) in [
        (vec![], vec![]),
        (vec![1, 1], vec![2]),
        (vec![half, half], vec![2]),
        (vec![half, half + 1], vec![1, 1]),
        (vec![REQUEST_MAX_BYTES + 1, 1, 1], vec![1, 2]),
        (vec![1; REQUEST_MAX_ENTRIES], vec![REQUEST_MAX_ENTRIES]),
        (vec![1; REQUEST_MAX_ENTRIES + 1], vec![REQUEST_MAX_ENTRIES, 1]),
    ] {
        let batch: Vec<_> = events.iter().map(|bytes| outgoing(*bytes)).collect();
        assert_eq!(sizes(&batch), requests, "{} events", events.len());
    }
}

#[test]
fn an_event_whose_numbers_bulk_would_change_goes_alone() {
    for (event, survives) in [
        (r#"{"n":9007199254740992}"#, true),
        (r#"{"n":9007199254740993}"#, false),
        (r#"{"n":[-9007199254740992,true]}"#, true),
        (r#"{"n":[-9007199254740993]}"#, false),
        (r#"{"n":99999999999999999999999}"#, false),
        (r#"{"n":0.12345678901234567,"m":1e30}"#, true),
        (r#"{"task_id":"1234567890123456789"}"#, true),
        (r#"{"title":"\"1234567890123456789"}"#, true),
        (r#"{"title":"\\","n":1234567890123456789}"#, false),
        (r#"{"at":"2026-11-24T09:00:00.000Z","id":"8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419"}"#, true),
        ("", true),
    ] {
        assert_eq!(survives_bulk(event.as_bytes()), survives, "{event}");
    }
    let of = |event: &'static str| Outgoing { key: "k".into(), event: event.into() };
    let batch = [of("{}"), of("{}"), of(r#"{"n":9007199254740993}"#), of("{}"), of("{}")];
    assert_eq!(sizes(&batch), [2, 1, 2]);
}

#[test]
fn a_bulk_body_is_what_dapr_reads_with_the_events_as_they_were() {
    let batch = [
        Outgoing { key: "a\"b".into(), event: r#"{"n": 1.0}"#.into() },
        Outgoing { key: "ü".into(), event: "{}".into() },
    ];
    assert_eq!(
        String::from_utf8(bulk_body(&batch)).unwrap(),
        concat!(
            r#"[{"entryId":"0","event":{"n": 1.0},"contentType":"application/cloudevents+json","#,
            r#""metadata":{"partitionKey":"a\"b"}},"#,
            r#"{"entryId":"1","event":{},"contentType":"application/cloudevents+json","#,
            r#""metadata":{"partitionKey":"ü"}}]"#
        )
    );
}

#[test]
fn every_status_means_what_it_says_of_the_broker() {
    let message = br#"{"errorCode":"ERR_X","message":"why"}"#;
    let reason = |status: u16| describe(status, "why");
    let refused = |status| Answer::All(PublishOutcome::Refused { reason: reason(status), for_good: false });
    let ambiguous = |status| Answer::All(PublishOutcome::Ambiguous { reason: reason(status) });
    for (status, meaning) in [
        (200, Answer::All(PublishOutcome::Published)),
        (204, Answer::All(PublishOutcome::Published)),
        (301, refused(301)),
        (400, Answer::AtFault(reason(400))),
        (401, refused(401)),
        (403, refused(403)),
        (404, Answer::NotFound(reason(404))),
        (405, Answer::NotFound(reason(405))),
        (406, refused(406)),
        (408, refused(408)),
        (413, Answer::AtFault(reason(413))),
        (414, Answer::AtFault(reason(414))),
        (415, Answer::AtFault(reason(415))),
        (422, Answer::AtFault(reason(422))),
        (429, refused(429)),
        (431, Answer::AtFault(reason(431))),
        (451, refused(451)),
        (500, ambiguous(500)),
        (503, ambiguous(503)),
    ] {
        assert_eq!(answer(status, Some(message)), meaning, "{status}");
    }
}

#[test]
fn a_component_that_is_not_there_is_no_fault_of_the_event_by_whatever_status() {
    for (status, code, at_fault) in [
        (404, "ERR_PUBSUB_NOT_FOUND", false),
        (400, "ERR_PUBSUB_NOT_FOUND", false),
        (400, "ERR_PUBSUB_NOT_CONFIGURED", false),
        (400, "ERR_PUBSUB_EVENTS_SER", true),
    ] {
        let body = format!(r#"{{"errorCode":"{code}","message":"why"}}"#);
        let answer = answer(status, Some(body.as_bytes()));
        assert_eq!(matches!(answer, Answer::AtFault(_)), at_fault, "{status} {code}: {answer:?}");
        assert_eq!(matches!(answer, Answer::NotFound(_)), !at_fault, "{status} {code}: {answer:?}");
    }
}

#[test]
fn a_body_that_is_no_json_or_was_not_read_leaves_the_status_to_speak() {
    for body in [None, Some(&b"<html>"[..]), Some(b""), Some(br#"{"message":7}"#)] {
        let reason = "the sidecar answered 500 and gave no reason".to_owned();
        assert_eq!(answer(500, body), Answer::All(PublishOutcome::Ambiguous { reason }));
    }
}

#[test]
fn a_list_of_failures_names_them_and_an_envelope_that_is_no_json_is_at_fault() {
    let listed = br#"{"failedEntries":[{"entryId":"1","error":"kafka: timed out"},{"entryId":"4"}],"errorCode":"ERR_PUBSUB_PUBLISH_MESSAGE"}"#;
    assert_eq!(
        answer(500, Some(listed)),
        Answer::Listed(BTreeMap::from([
            ("1".into(), "the sidecar answered 500: kafka: timed out".into()),
            ("4".into(), "the sidecar answered 500 and gave no reason".into()),
        ]))
    );
    let malformed = br#"{"errorCode":"ERR_PUBSUB_CLOUD_EVENTS_SER","message":"bad"}"#;
    assert_eq!(answer(500, Some(malformed)), Answer::AtFault("the sidecar answered 500: bad".into()));
}

#[test]
fn a_reason_says_where_to_look() {
    for (status, word) in [
        (401, "DAPR_API_TOKEN"),
        (403, "publishingScopes"),
        (404, "dapr.pubsub"),
        (413, "--max-body-size"),
        (429, "for now"),
    ] {
        let (bare, told) = (describe(status, ""), describe(status, "why"));
        assert!(
            bare.starts_with(&format!("the sidecar answered {status}: ")) && bare.contains(word),
            "{bare}"
        );
        assert!(told.starts_with(&format!("the sidecar answered {status} (why): ")), "{told}");
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(describe(500, "why"), "the sidecar answered 500: why");
}

#[test]
fn a_400_that_is_not_the_sidecars_blames_no_event() {
    let gateway = b"<h1>The plain HTTP request was sent to HTTPS port</h1>";
    assert!(matches!(
        answer(400, Some(gateway)),
        Answer::All(PublishOutcome::Refused { for_good: false, .. })
    ));
    for body in [Some(&b""[..]), Some(b"{}"), None] {
        assert!(matches!(answer(400, body), Answer::AtFault(_)), "{body:?}");
    }
}

#[test]
fn a_reason_stays_short_enough_to_be_kept() {
    let body = format!(r#"{{"message":"{}"}}"#, "x".repeat(10_000));
    let Answer::AtFault(reason) = answer(400, Some(body.as_bytes())) else { panic!("not at fault") };
    assert_eq!(reason.len(), REASON_MAX_BYTES);
}

#[test]
fn a_broker_s_own_words_are_followed_by_what_to_change() {
    for (told, advice) in [
        (
            "kafka server: Request was for a topic or partition that does not exist on this broker",
            "create the topic",
        ),
        ("kafka server: The client is not authorized to access this topic", "allow the component's user"),
        ("kafka server: SASL Authentication failed: Invalid username or password", "user and password"),
        ("kafka: client has run out of available brokers to talk to: EOF", "does not reach the broker"),
        ("dial tcp 127.0.0.1:6379: connect: connection refused", "does not reach the broker"),
    ] {
        let body = format!(r#"{{"errorCode":"ERR_PUBSUB_PUBLISH_MESSAGE","message":"{told}"}}"#);
        let Answer::All(PublishOutcome::Ambiguous { reason }) = answer(500, Some(body.as_bytes())) else {
            panic!("{told} is ambiguous");
        };
        assert!(reason.contains(told) && reason.contains(advice), "{reason}");
    }
}
