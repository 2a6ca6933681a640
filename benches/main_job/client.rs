//! The least HTTP client that keeps a connection: the load must cost less than what it loads.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One kept connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(4096) }
    }

    /// Sends one POST and returns the body of its answer, which must be 2xx.
    pub(crate) async fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\npubsubname: kafka-pubsub\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await.unwrap();
        self.answer().await
    }

    /// Sends one GET and returns the body of its answer, which must be 2xx.
    pub(crate) async fn get(&mut self, path: &str) -> Vec<u8> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.answer().await
    }

    async fn answer(&mut self) -> Vec<u8> {
        self.buffer.clear();
        let mut chunk = vec![0; 16 * 1024];
        loop {
            if let Some(head) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let text = std::str::from_utf8(&self.buffer[..head]).unwrap().to_ascii_lowercase();
                assert!(text.starts_with("http/1.1 2"), "{text}");
                let length: usize = text
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |n| n.trim().parse().unwrap());
                if self.buffer.len() >= head + 4 + length {
                    return self.buffer[head + 4..head + 4 + length].to_vec();
                }
            }
            let read = self.stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the worker closed the connection");
            self.buffer.extend_from_slice(&chunk[..read]);
        }
    }
}
