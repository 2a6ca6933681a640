//! Whose a body is.

use serde_json::json;

use crate::reading::{mentions, names_user, task_of};

#[test]
fn a_user_is_named_by_a_key_made_for_it_wherever_it_stands() {
    let text = json!({"payload": {"userId": "ann"}}).to_string();
    for (body, user, named) in [
        (json!({"payload": {"user_id": "ann"}}), "ann", true),
        (json!({"payload": {"user_id": 42}}), "42", true),
        (json!({"specversion": "1.0", "data": text}), "ann", true),
        (json!({"before": [{"owner_id": "ann"}]}), "ann", true),
        (json!({"user_id": ["bob", "ann"]}), "ann", true),
        (json!({"payload": {"user_id": "anna", "title": "ann"}}), "ann", false),
        (json!({"task_id": 42}), "42", false),
    ] {
        assert_eq!(names_user(body.to_string().as_bytes(), user), named, "{body}");
    }
    assert!(!names_user(b"{\"user_id\": \"ann\"", "ann"), "in doubt it is not theirs");
}

#[test]
fn a_user_is_mentioned_by_any_value_and_in_what_is_no_json_by_a_word() {
    let broken = "{\"user_id\": \"ann\", \"tit";
    for (body, user, mentioned) in [
        (json!({"created_by": "ann"}).to_string(), "ann", true),
        (json!({"members": {"ann": {}}}).to_string(), "ann", true),
        (json!({"owner": {"id": 42}}).to_string(), "42", true),
        (json!({"data_base64": "eyJ1c2VyIjoiYW5uIn0="}).to_string(), "ann", true),
        (json!({"data": broken}).to_string(), "ann", true),
        (json!(broken).to_string(), "ann", true),
        (json!({"title": "call ann"}).to_string(), "ann", false),
        (json!({"owner": "anna"}).to_string(), "ann", false),
        (broken.to_owned(), "ann", true),
        ("user=ann".to_owned(), "ann", true),
        ("user=ann-lee ann_ joann anné 'nn".to_owned(), "ann", false),
        ("ann".to_owned(), "ann", true),
        (String::new(), "ann", false),
    ] {
        assert_eq!(mentions(body.as_bytes(), user), mentioned, "{body}");
    }
    assert!(mentions(b"\xff ann \xfe", "ann"));
    assert!(!mentions(b"\xffann", "ann"));
}

#[test]
fn a_user_within_as_many_wrappings_as_are_understood_is_found_and_in_one_more_not() {
    let wrapped = |times| {
        (0..times).fold(json!({"user_id": "ann"}), |inner, _| json!({"data": inner.to_string()})).to_string()
    };
    for ask in [mentions, names_user] {
        assert!(ask(wrapped(8).as_bytes(), "ann"));
        assert!(!ask(wrapped(9).as_bytes(), "ann"));
    }
}

#[test]
fn the_task_is_told_of_a_body_that_is_no_event() {
    let unreadable = json!({"event_type": "task_created", "payload": {"task_id": "t-1", "due_date": "soon"}});
    assert_eq!(task_of(unreadable.to_string().as_bytes()).unwrap().as_str(), "t-1");
    for body in [&b"{}"[..], b"[]", b"{", b"null", b""] {
        assert_eq!(task_of(body), None);
    }
}
