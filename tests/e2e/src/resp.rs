//! A few lines of RESP, written apart from the server's own: what a test says to a node.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A simple string.
    Simple(String),
    /// An error, with its prefix.
    Error(String),
    /// A number.
    Number(i64),
    /// Bytes, or nothing.
    Bulk(Option<Vec<u8>>),
    /// Several answers.
    Array(Vec<Answer>),
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    /// Sends one command and reads its answer.
    ///
    /// # Errors
    /// The connection broke, or the answer is no RESP.
    pub fn call(&mut self, words: &[&[u8]]) -> std::io::Result<Answer> {
        self.send(words)?;
        self.answer()
    }

    /// Sends one command.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send(&mut self, words: &[&[u8]]) -> std::io::Result<()> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).into_bytes());
            bytes.extend(*word);
            bytes.extend(b"\r\n");
        }
        self.stream.write_all(&bytes)
    }

    /// Sends bytes that need not be a command.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// The connection broke, or the answer is no RESP.
    pub fn answer(&mut self) -> std::io::Result<Answer> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<i64>().map_err(std::io::Error::other);
        Ok(match kind {
            "+" => Answer::Simple(rest.to_owned()),
            "-" => Answer::Error(rest.to_owned()),
            ":" => Answer::Number(number()?),
            "$" => Answer::Bulk(self.bulk(number()?)?),
            "*" => Answer::Array((0..number()?).map(|_| self.answer()).collect::<Result<_, _>>()?),
            _ => return Err(std::io::Error::other(format!("no RESP: {line:?}"))),
        })
    }

    fn bulk(&mut self, length: i64) -> std::io::Result<Option<Vec<u8>>> {
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let mut bytes = vec![0; length + 2];
        self.reader.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(Some(bytes))
    }
}
