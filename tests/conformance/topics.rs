//! Topics of a real Kafka, made before anybody publishes to them.
//!
//! Kafka makes a topic when it is first named, in its own time; a publish meanwhile fails, one in bulk in part, and
//! cannot be repeated without changing what a recording counts. So each is named here, with the request that every
//! client begins with, until the broker has it, and asked for its end, until its partitions answer. By hand, since a
//! build without the feature `kafka` has no client.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait::until_within;

/// How long a hundred topics may take.
const MADE_MAX: Duration = Duration::from_secs(60);

/// Requests, and the versions of them that are written here: old ones that brokers still take, without tags.
const METADATA: (i16, i16) = (3, 4);
const LIST_OFFSETS: (i16, i16) = (2, 1);

/// The end of a partition, as a timestamp.
const LATEST: i64 = -1;

/// A topic and its partitions.
type Topic = (String, Vec<i32>);

/// Names the topics until the broker has all of them.
pub(crate) async fn make(broker: &str, topics: &[String]) {
    let made = until_within(MADE_MAX, async || all_there(broker, topics).await.ok().filter(|there| *there));
    assert!(made.await.is_some(), "{broker} does not make topics: is auto.create.topics.enable off?");
}

async fn all_there(broker: &str, topics: &[String]) -> io::Result<bool> {
    let mut stream = TcpStream::connect(broker).await?;
    let mut body = array(topics.iter().map(|topic| text(topic)));
    // Makes those that are not there.
    body.push(1);
    let described = ask(&mut stream, METADATA, &body).await?;
    let Some(topics) = Reply(&described).topics() else { return Ok(false) };
    let place = |partition: &i32| [&partition.to_be_bytes()[..], &LATEST.to_be_bytes()].concat();
    let places = |(topic, partitions): &Topic| [text(topic), array(partitions.iter().map(place))].concat();
    // Of an ordinary consumer.
    let body = [(-1_i32).to_be_bytes().to_vec(), array(topics.iter().map(places))].concat();
    let ends = ask(&mut stream, LIST_OFFSETS, &body).await?;
    Ok(Reply(&ends).all_have_ends().is_some())
}

/// The answer to a request, without its head.
async fn ask(stream: &mut TcpStream, (key, version): (i16, i16), body: &[u8]) -> io::Result<Vec<u8>> {
    // No correlation, no client id.
    let head = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0; 4], &(-1_i16).to_be_bytes()].concat();
    let length = u32::try_from(head.len() + body.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &head, body].concat()).await?;
    let length = stream.read_i32().await?;
    let mut reply = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut reply).await?;
    Ok(reply.split_off(4))
}

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

fn array(items: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    let length = u32::try_from(items.len()).unwrap().to_be_bytes().to_vec();
    items.fold(length, |all, item| [all, item].concat())
}

/// What has not been read of an answer.
struct Reply<'a>(&'a [u8]);

impl Reply<'_> {
    /// What `Metadata` tells of topics; nothing while one of them or a partition has an error.
    fn topics(mut self) -> Option<Vec<Topic>> {
        // Throttling.
        self.skip(4)?;
        for _ in 0..self.count()? {
            // Number, host, port and rack of a broker.
            self.skip(4)?;
            self.text()?;
            self.skip(4)?;
            self.text()?;
        }
        // The cluster's id, the controller.
        self.text()?;
        self.skip(4)?;
        let mut topics = Vec::new();
        for _ in 0..self.count()? {
            self.no_error()?;
            let name = self.text()?;
            // Whether it is internal.
            self.skip(1)?;
            let mut partitions = Vec::new();
            for _ in 0..self.count()? {
                self.no_error()?;
                partitions.push(self.number()?);
                // The leader; replicas, and those in sync.
                self.skip(4)?;
                for _ in 0..2 {
                    let nodes = self.count()?;
                    self.skip(4 * nodes)?;
                }
            }
            topics.push((name, partitions));
        }
        Some(topics)
    }

    /// Whether `ListOffsets` tells an end of every partition.
    fn all_have_ends(mut self) -> Option<()> {
        for _ in 0..self.count()? {
            self.text()?;
            for _ in 0..self.count()? {
                self.number()?;
                self.no_error()?;
                // Timestamp, offset.
                self.skip(8 + 8)?;
            }
        }
        Some(())
    }

    fn no_error(&mut self) -> Option<()> {
        (self.short()? == 0).then_some(())
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

    fn number(&mut self) -> Option<i32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*bytes))
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// One of length -1 is none.
    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.short()?).unwrap_or_default();
        let text = self.0.get(..length)?;
        self.0 = &self.0[length..];
        Some(String::from_utf8_lossy(text).into_owned())
    }
}
