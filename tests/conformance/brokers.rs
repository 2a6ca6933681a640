//! The brokers that a real daprd needs, where they can be had: started for this run, or named by `KAFKA`.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::found::in_path;
use crate::ports::free_port;
use crate::wait::until_within;

/// A broker on loopback; what was started is stopped when dropped.
pub(crate) struct Started {
    /// `HOST:PORT`
    pub(crate) address: String,
    _held: Held,
}

enum Held {
    Redis { child: Child, _dir: TempDir },
    Kafka(PathBuf, TempDir),
    Nothing,
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
    let started = Started { address: address.clone(), _held: Held::Redis { child, _dir: dir } };
    let listens = until_within(REDIS_START_MAX, async || TcpStream::connect(&address).ok()).await;
    listens.map(|_| started).ok_or_else(|| "redis-server did not listen within 10 s".to_owned())
}

/// The broker that `KAFKA` names (`HOST:PORT`), or one that `tests/kafka/broker` starts, or why there is none.
pub(crate) fn kafka() -> Result<Started, String> {
    if let Some(address) = std::env::var("KAFKA").ok().filter(|address| !address.is_empty()) {
        return Ok(Started { address, _held: Held::Nothing });
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/broker");
    if !script.is_file() {
        return Err("KAFKA names no broker and tests/kafka/broker is not there".to_owned());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut start = Command::new(&script);
    start.args(["start", "--port", &free_port().to_string(), "--dir"]).arg(dir.path()).stdin(Stdio::null());
    let output = start.output().map_err(|error| format!("tests/kafka/broker does not run: {error}"))?;
    let address = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let started = Started { address, _held: Held::Kafka(script, dir) };
    match output.status.success() && started.address.contains(':') {
        true => Ok(started),
        false => Err(format!("tests/kafka/broker start: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match self {
            Self::Redis { child, .. } => {
                // It may have ended.
                let _ = child.kill();
                let _ = child.wait();
            }
            Self::Kafka(script, dir) => {
                let stop = Command::new(script).args(["stop", "--erase", "--dir"]).arg(dir.path()).output();
                if let Err(error) = stop {
                    println!("conformance: the broker in {} was not stopped: {error}", dir.path().display());
                }
            }
            Self::Nothing => {}
        }
    }
}
