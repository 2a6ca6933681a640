//! Topics of a real Kafka, made before anybody publishes to them.
//!
//! Kafka makes a topic when it is first named, in its own time; a publish meanwhile fails, one in bulk in part, and
//! cannot be repeated without changing what a recording counts. So each is named here, with the request that every
//! client begins with, until the broker has it. By hand, since a build without the feature `kafka` has no client.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait::until_within;

/// How long a hundred topics may take.
const MADE_MAX: Duration = Duration::from_secs(60);

/// The request `Metadata` and the version of it that is written here.
const METADATA: i16 = 3;
const VERSION: i16 = 4;

/// Names the topics until the broker has all of them.
pub(crate) async fn make(broker: &str, topics: &[String]) {
    let made = until_within(MADE_MAX, async || all_there(broker, topics).await.ok().filter(|there| *there));
    assert!(made.await.is_some(), "{broker} does not make topics: is auto.create.topics.enable off?");
}

async fn all_there(broker: &str, topics: &[String]) -> io::Result<bool> {
    let mut stream = TcpStream::connect(broker).await?;
    stream.write_all(&request(topics)).await?;
    let length = stream.read_i32().await?;
    let mut reply = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut reply).await?;
    Reply(&reply).all_well().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn request(topics: &[String]) -> Vec<u8> {
    let mut body = [METADATA.to_be_bytes(), VERSION.to_be_bytes(), [0, 0], [0, 0]].concat();
    // No client id.
    body.extend((-1_i16).to_be_bytes());
    body.extend(u32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        body.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
        body.extend(topic.as_bytes());
    }
    // Makes those that are not there.
    body.push(1);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], &body].concat()
}

/// What has not been read of an answer.
struct Reply<'a>(&'a [u8]);

impl Reply<'_> {
    /// Whether no topic and no partition has an error: it is there, and has a leader.
    fn all_well(mut self) -> Option<bool> {
        // Correlation, throttling.
        self.skip(4 + 4)?;
        for _ in 0..self.number()? {
            self.skip(4)?;
            self.skip_text()?;
            self.skip(4)?;
            self.skip_text()?;
        }
        // The cluster's id, the controller.
        self.skip_text()?;
        self.skip(4)?;
        let mut well = true;
        for _ in 0..self.number()? {
            well &= self.short()? == 0;
            self.skip_text()?;
            self.skip(1)?;
            for _ in 0..self.number()? {
                well &= self.short()? == 0;
                // Its number, its leader; replicas, and those in sync.
                self.skip(4 + 4)?;
                for _ in 0..2 {
                    let nodes = self.number()?;
                    self.skip(4 * nodes)?;
                }
            }
        }
        Some(well)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn short(&mut self) -> Option<i16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i16::from_be_bytes(*bytes))
    }

    fn number(&mut self) -> Option<usize> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        usize::try_from(i32::from_be_bytes(*bytes)).ok()
    }

    /// One of length -1 is none.
    fn skip_text(&mut self) -> Option<()> {
        let length = self.short()?;
        self.skip(usize::try_from(length).unwrap_or_default())
    }
}
