//! Lines on their way to a terminal or a pipe that may not be read.
//!
//! Whoever has something to say never waits: a thread of its own writes, [`LINES_MAX`] lines lie in front of it at most,
//! and those beyond are counted and told of when there is room again. At the end what is left is waited for, a moment.
//! A reader who went away is no error.

use std::io::Write;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;

/// Lines that wait to be written: some seconds of a burst, in a hundred KiB.
const LINES_MAX: usize = 1_024;
/// How long the last lines may take: a reader that reads needs milliseconds, and nobody may keep a daemon from its end.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Where lines go.
pub(super) struct Lines {
    waiting: mpsc::Sender<String>,
    written: JoinHandle<()>,
    /// Lines there was no room for since the last that went.
    left_out: u64,
}

impl Lines {
    /// Writes to `out`, which may block.
    pub(super) fn to(mut out: impl Write + Send + 'static) -> Self {
        let (waiting, mut lines) = mpsc::channel::<String>(LINES_MAX);
        let written = tokio::task::spawn_blocking(move || {
            while let Some(line) = lines.blocking_recv() {
                let _ = writeln!(out, "{line}");
            }
        });
        Self { waiting, written, left_out: 0 }
    }

    /// Has `text` written, or counted where there is no room.
    pub(super) fn line(&mut self, text: &str) {
        let line = match self.left_out {
            0 => text.to_owned(),
            count => format!("{}\n{text}", left_out(count)),
        };
        self.left_out = if self.waiting.try_send(line).is_ok() { 0 } else { self.left_out + 1 };
    }

    /// Waits until all is written, or [`LAST_WORDS_MAX`].
    pub(super) async fn finish(self, clock: &dyn Clock) {
        let Self { waiting, written, left_out: count } = self;
        let all = async move {
            if count > 0 {
                // The thread is there as long as its channel.
                let _ = waiting.send(left_out(count)).await;
            }
            drop(waiting);
            let _ = written.await;
        };
        tokio::select! {
            () = all => {}
            () = clock.wait(LAST_WORDS_MAX) => {}
        }
    }
}

fn left_out(count: u64) -> String {
    format!("\u{2026} {count} lines not shown")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, mpsc as blocking};

    use super::*;
    use crate::clock::{SystemClock, TokioClock};
    use crate::domain::Timestamp;

    /// Takes nothing before it is let.
    struct Pipe {
        read: blocking::Receiver<()>,
        text: Arc<Mutex<String>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A sender that is gone lets everything pass.
            let _ = self.read.recv();
            self.text.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pipe() -> (Lines, blocking::Sender<()>, Arc<Mutex<String>>) {
        let (reader, read) = blocking::channel();
        let text = Arc::<Mutex<String>>::default();
        (Lines::to(Pipe { read, text: Arc::clone(&text) }), reader, text)
    }

    #[tokio::test]
    async fn what_nobody_reads_is_counted_beyond_the_bound_and_holds_nobody_up() {
        let (mut lines, reader, text) = pipe();
        // Whether or not the thread has taken the first already, so many find room; of the next one at most does.
        for n in 0..LINES_MAX + 8 {
            lines.line(&n.to_string());
        }
        assert!((7..=8).contains(&lines.left_out), "{}", lines.left_out);
        let left_out = lines.left_out;
        drop(reader);
        lines.finish(&SystemClock::new()).await;
        let text = text.lock().unwrap();
        let shown: Vec<&str> = text.lines().collect();
        assert_eq!(shown.len(), LINES_MAX + 9 - usize::try_from(left_out).unwrap());
        assert_eq!(shown.last().copied(), Some(&*format!("\u{2026} {left_out} lines not shown")));
    }

    #[tokio::test]
    async fn a_line_that_finds_room_again_tells_how_many_were_left_out_before_it() {
        let (mut lines, reader, text) = pipe();
        for n in 0..LINES_MAX + 8 {
            lines.line(&n.to_string());
        }
        drop(reader);
        while lines.waiting.capacity() == 0 {
            tokio::task::yield_now().await;
        }
        let left_out = lines.left_out;
        lines.line("again");
        lines.finish(&SystemClock::new()).await;
        let text = text.lock().unwrap();
        let end = format!("\u{2026} {left_out} lines not shown\nagain\n");
        assert!(text.ends_with(&end), "{}", &text[text.len() - 60..]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_never_reads_keeps_nobody_from_the_end_longer_than_the_bound() {
        let clock = TokioClock::starting_at(Timestamp::from_millis(0));
        let (mut lines, reader, text) = pipe();
        lines.line("x");
        tokio::join!(lines.finish(&clock), tokio::time::advance(LAST_WORDS_MAX));
        assert_eq!(clock.monotonic(), LAST_WORDS_MAX);
        assert_eq!(*text.lock().unwrap(), "");
        drop(reader);
    }
}
