//! The brokers that sidecars are played on, where they can be had: started for this run, or named by `KAFKA`.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::found::in_path;
use crate::kafka;
use crate::ports::free_port;
use crate::wait::until_within;

/// A broker on loopback; what was started is stopped when dropped.
pub(crate) struct Started {
    /// `HOST:PORT`
    pub(crate) address: String,
    _held: Option<Held>,
}

/// Kept for its end.
enum Held {
    Redis { _server: Redis },
    Kafka { _broker: kafka::Broker },
}

struct Redis {
    child: Child,
    _dir: TempDir,
}

/// How long Redis may take to listen.
const REDIS_START_MAX: Duration = Duration::from_secs(10);

/// Debian's `redis-server`, or why it is not there.
pub(crate) async fn redis() -> Result<Started, String> {
    let program = in_path("redis-server").ok_or("no redis-server in PATH")?;
    let dir = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let mut command = Command::new(program);
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| format!("redis-server does not start: {error}"))?;
    let address = format!("127.0.0.1:{port}");
    let held = Held::Redis { _server: Redis { child, _dir: dir } };
    let started = Started { address: address.clone(), _held: Some(held) };
    let listens = until_within(REDIS_START_MAX, async || TcpStream::connect(&address).ok()).await;
    listens.map(|_| started).ok_or_else(|| "redis-server did not listen within 10 s".to_owned())
}

/// The broker that `KAFKA` names, as `HOST:PORT`.
fn named() -> Option<String> {
    std::env::var("KAFKA").ok().filter(|address| !address.is_empty())
}

/// Why there is no Kafka to play on: none is named, and what starts one is not there.
pub(crate) fn no_kafka() -> Option<String> {
    if named().is_some() { None } else { kafka::missing() }
}

/// The broker that `KAFKA` names, or one of our own.
pub(crate) fn kafka() -> Result<Started, String> {
    if let Some(address) = named() {
        return Ok(Started { address, _held: None });
    }
    let broker = kafka::Broker::start()?;
    Ok(Started { address: broker.address.clone(), _held: Some(Held::Kafka { _broker: broker }) })
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
