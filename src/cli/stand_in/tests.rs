use std::net::TcpListener;

use clap::Parser as _;

use super::*;
use crate::clock::{SystemClock, TokioClock};
use crate::config::Inputs;
use crate::domain::Timestamp;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn options(flags: &[&str]) -> Options {
    Cli::try_parse_from([&["stand-in"], flags].concat()).unwrap().options
}

fn settings(options: &Options) -> Result<sidecar::Settings, Failure> {
    let inputs = Inputs { file: None, env: vec![], flags: vec![] };
    options.settings(&Config::load(&inputs).unwrap().config, "reminder-worker")
}

/// Resources with a component of this type, and a retry every 100 ms.
fn directory(component_type: &str, metadata: &str) -> tempfile::TempDir {
    let text = format!(
        "{{apiVersion: dapr.io/v1alpha1, kind: Component, metadata: {{name: kafka-pubsub}},
          spec: {{type: {component_type}, version: v1, metadata: [{metadata}]}}, scopes: [reminder-worker]}}
---
{{apiVersion: dapr.io/v1alpha1, kind: Resiliency, metadata: {{name: r}}, spec: {{
  policies: {{retries: {{again: {{policy: constant, duration: 100ms, maxRetries: -1}}}}}},
  targets: {{components: {{kafka-pubsub: {{inbound: {{retry: again}}}}}}}}}}}}
"
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("dapr.yaml"), text).unwrap();
    dir
}

fn held() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn start(options: &Options, settings: sidecar::Settings) -> Result<StandIn, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    options.start(settings, &clock).await
}

#[test]
fn brokers_are_a_list_of_hosts_and_ports() {
    for (text, good) in
        [("a:1", true), ("a:1,b:2", true), ("a", false), ("a:1,", false), ("a:1,b:x", false), ("", false)]
    {
        assert_eq!(hosts_and_ports(text).is_ok(), good, "{text}");
    }
}

#[test]
fn brokers_come_from_the_flag_and_the_retry_from_the_resources() {
    let dir = directory("pubsub.kafka", "{name: brokers, value: 'k:9092'}, {name: authType, value: none}");
    let path = dir.path().to_str().unwrap();
    let in_memory = settings(&options(&["--resources-path", path])).unwrap();
    assert_eq!((in_memory.profile, &in_memory.kafka), (sidecar::Profile::Kafka, &None));
    let told = settings(&options(&["--resources-path", path, "--kafka", "other:1"]));
    if sidecar::KAFKA_BUILT_IN {
        let settings = told.unwrap();
        assert_eq!(settings.kafka.as_deref(), Some("other:1"));
        assert_eq!(settings.resiliency, in_memory.resiliency);
    } else {
        assert_eq!(told.unwrap_err(), Failure::usage(format!("--kafka: {}", StartError::NoKafka)));
    }
    assert_eq!(in_memory.resiliency.unwrap().interval, Duration::from_millis(100));
}

#[test]
fn a_real_kafka_with_the_resources_of_another_broker_is_refused_whatever_the_build() {
    let dir = directory("pubsub.redis", "{name: redisHost, value: 'r:6379'}");
    let refused = settings(&options(&["--kafka", "k:1", "--resources-path", dir.path().to_str().unwrap()]));
    let told = "--kafka: component `kafka-pubsub` of --resources-path is pubsub.redis; leave --kafka out, or name \
                resources in which it is pubsub.kafka";
    assert_eq!(refused.unwrap_err(), Failure::usage(told));
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_the_one_flag_that_chooses_another() {
    let (_held, taken) = held();
    let settings = |options: &Options| settings(options).unwrap();
    let told = |flag| format!("; stop what holds it, or choose another port with {flag}");
    let http = options(&["--port", &taken.to_string()]);
    let message = start(&http, settings(&http)).await.map(|_| ()).unwrap_err().message;
    assert!(message.ends_with(&told("--port")), "{message}");
    assert_eq!(message.matches("choose").count(), 1, "{message}");
    let grpc = options(&["--grpc-port", &taken.to_string()]);
    let free = sidecar::Settings { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..settings(&grpc) };
    let message = start(&grpc, free).await.map(|_| ()).unwrap_err().message;
    assert!(message.ends_with(&told("--grpc-port")), "{message}");
}

#[tokio::test]
async fn where_nobody_named_a_grpc_port_and_the_usual_one_is_taken_http_alone_is_served() {
    let (_held, taken) = held();
    let options = options(&[]);
    let settings = settings(&options).unwrap();
    assert_eq!(settings.grpc.unwrap().port(), GRPC_PORT);
    let (listen, grpc) = ((Ipv4Addr::LOCALHOST, 0).into(), Some((Ipv4Addr::LOCALHOST, taken).into()));
    let stand_in = start(&options, sidecar::Settings { listen, grpc, ..settings }).await.unwrap();
    assert_eq!(stand_in.sidecar.grpc_address(), None);
    stand_in.stop(&SystemClock::new()).await;
}

#[test]
fn only_what_is_about_a_port_is_told_with_a_flag_for_ports() {
    for error in [StartError::NoKafka, StartError::Kafka("no".into())] {
        assert_eq!(advised(&error, (Ipv4Addr::LOCALHOST, 3500).into()), error.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_holds_up_the_stop_for_no_longer_than_its_bound() {
    let options = options(&[]);
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let settings = sidecar::Settings { listen, grpc: None, ..settings(&options).unwrap() };
    let stand_in = start(&options, settings).await.unwrap();
    stand_in.tasks.spawn(std::future::pending::<()>());
    let clock = TokioClock::starting_at(Timestamp::from_millis(0));
    stand_in.stop(&clock).await;
    assert_eq!(clock.monotonic(), PARTING_MAX);
}
