//! The load: connections that stay open, each with one request in flight, until a deadline.
//! Requests are cut from a template, and answers are read by their length alone, so that the load costs little beside the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::error::BenchError;
use crate::machine::Stopwatch;

/// Connections that stay open for a whole phase.
pub(super) const CONNECTIONS: u64 = 64;

/// An answer longer than this is a fault of the contender.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One of this many answers is searched for the document that was asked for.
const CHECK_EVERY: u64 = 64;

/// Stands for the number of the document in a template; as long as the number is printed.
pub(super) const MARK: &str = "@NUMBER@";

/// How the next request finds its document.
#[derive(Clone, Copy)]
pub(super) enum Numbering {
    /// Each request takes the next number, from this one on.
    From(u64),
    /// Each request takes an arbitrary number below this one.
    Below(u64),
}

/// What one phase sends and expects.
pub(super) struct Load {
    /// Who is measured, for errors.
    pub(super) contender: &'static str,
    /// Where it listens.
    pub(super) address: String,
    /// Method and path.
    pub(super) target: &'static str,
    /// Body with marks for the number.
    pub(super) body: String,
    /// Which documents are asked for.
    pub(super) numbering: Numbering,
    /// Text with marks that every answer must hold; empty for none.
    pub(super) expected: String,
}

/// What one phase yielded.
#[derive(Default)]
pub(super) struct Yield {
    /// Answers with status 200.
    pub(super) answers: u64,
    /// Time from the first request to the last answer.
    pub(super) seconds: f64,
    /// Time of each request in microseconds, sorted.
    pub(super) latencies_us: Vec<u32>,
}

impl Load {
    /// Runs all connections for `duration`.
    pub(super) async fn run(self, duration: Duration) -> Result<Yield, BenchError> {
        let load = Arc::new(self);
        let next = Arc::new(AtomicU64::new(load.first_number()));
        let watch = Stopwatch::start();
        let mut tasks = JoinSet::new();
        for seed in 0..CONNECTIONS {
            tasks.spawn(Arc::clone(&load).run_connection(seed, Arc::clone(&next), watch, duration));
        }
        let mut total = Yield::default();
        while let Some(joined) = tasks.join_next().await {
            let part = joined.map_err(|error| load.wrong(error.to_string()))??;
            total.latencies_us.extend(part);
        }
        total.seconds = watch.elapsed().as_secs_f64();
        total.answers = total.latencies_us.len() as u64;
        total.latencies_us.sort_unstable();
        Ok(total)
    }

    fn first_number(&self) -> u64 {
        match self.numbering {
            Numbering::From(first) => first,
            Numbering::Below(_) => 0,
        }
    }

    async fn run_connection(
        self: Arc<Self>,
        seed: u64,
        next: Arc<AtomicU64>,
        watch: Stopwatch,
        duration: Duration,
    ) -> Result<Vec<u32>, BenchError> {
        let failed = |source| BenchError::Connection {
            contender: self.contender,
            source,
        };
        let mut stream = TcpStream::connect(&self.address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let template = Template::new(&request(self.target, &self.body));
        let (mut latencies, mut request, mut answer) = (Vec::new(), Vec::new(), Vec::new());
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        while watch.elapsed() < duration {
            let number = self.next_number(&next, &mut state);
            template.fill(number, &mut request);
            let single = Stopwatch::start();
            stream.write_all(&request).await.map_err(failed)?;
            let body_at = read_answer(&mut stream, &mut answer)
                .await
                .map_err(failed)?;
            latencies.push(u32::try_from(single.elapsed().as_micros()).unwrap_or(u32::MAX));
            self.check(number, latencies.len() as u64, &answer, body_at)?;
        }
        Ok(latencies)
    }

    fn next_number(&self, next: &AtomicU64, state: &mut u64) -> u64 {
        match self.numbering {
            Numbering::From(_) => next.fetch_add(1, Ordering::Relaxed),
            Numbering::Below(limit) => {
                // Xorshift: cheap, and every document is asked for equally often.
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                *state % limit.max(1)
            }
        }
    }

    fn check(
        &self,
        number: u64,
        count: u64,
        answer: &[u8],
        body_at: usize,
    ) -> Result<(), BenchError> {
        if answer.get(9..12) != Some(b"200") {
            return Err(self.wrong(String::from_utf8_lossy(answer).into_owned()));
        }
        if self.expected.is_empty() || count % CHECK_EVERY != 1 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&answer[body_at..]);
        let expected = self.expected.replace(MARK, &format!("{number:08}"));
        if text.contains(&expected) {
            Ok(())
        } else {
            Err(self.wrong(format!("no {expected} in {text}")))
        }
    }

    fn wrong(&self, detail: String) -> BenchError {
        BenchError::Wrong {
            contender: self.contender,
            detail,
        }
    }
}

/// Asks once on a connection of its own and returns the body of the answer.
pub(super) async fn ask(
    contender: &'static str,
    address: &str,
    target: &str,
    body: &str,
) -> Result<Vec<u8>, BenchError> {
    let failed = |source| BenchError::Connection { contender, source };
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream
        .write_all(request(target, body).as_bytes())
        .await
        .map_err(failed)?;
    let mut answer = Vec::new();
    let body_at = read_answer(&mut stream, &mut answer)
        .await
        .map_err(failed)?;
    Ok(answer.split_off(body_at))
}

fn request(target: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Reads one answer into `answer` and returns where its body starts.
pub(crate) async fn read_answer(
    stream: &mut (impl AsyncRead + Unpin),
    answer: &mut Vec<u8>,
) -> std::io::Result<usize> {
    answer.clear();
    loop {
        if let Some((head_end, length)) = head(answer)
            && answer.len() >= head_end + length
        {
            return Ok(head_end);
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(std::io::Error::other(
                "the answer is longer than the bench accepts",
            ));
        }
        if stream.read_buf(answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Whether an answer is there with all of its body.
pub(crate) fn is_whole(answer: &[u8]) -> bool {
    head(answer).is_some_and(|(head_end, length)| answer.len() >= head_end + length)
}

/// End of the head and length of the body, once the head is complete.
fn head(answer: &[u8]) -> Option<(usize, usize)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..end]).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Some((end, length.unwrap_or(0)))
}

/// A text cut at its marks.
struct Template {
    pieces: Vec<Vec<u8>>,
}

impl Template {
    fn new(text: &str) -> Self {
        Self {
            pieces: text
                .split(MARK)
                .map(|piece| piece.as_bytes().to_vec())
                .collect(),
        }
    }

    fn fill(&self, number: u64, into: &mut Vec<u8>) {
        let printed = format!("{number:08}");
        into.clear();
        for (index, piece) in self.pieces.iter().enumerate() {
            if index > 0 {
                into.extend_from_slice(printed.as_bytes());
            }
            into.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MARK, Template, head};

    #[test]
    fn a_template_keeps_its_length_when_it_is_filled() {
        let text = format!("a {MARK} b {MARK}");
        let mut filled = Vec::new();
        Template::new(&text).fill(42, &mut filled);
        assert_eq!(filled, b"a 00000042 b 00000042");
        assert_eq!(filled.len(), text.len());
    }

    #[test]
    fn a_head_is_complete_only_with_its_empty_line() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"), None);
        assert_eq!(
            head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"),
            Some((38, 5))
        );
    }
}
