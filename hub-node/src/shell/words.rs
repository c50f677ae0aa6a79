//! Splitting what was typed into commands and their words.
//!
//! `;` and the end of a line end a command, `#` at the beginning of a word begins a comment. A word in double quotes may hold
//! anything, with `\n \r \t \" \\ \xNN`; in single quotes nothing has a meaning but the quote.

use std::iter::Peekable;

/// Why a text cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WordError {
    /// The text ends within quotes.
    #[error("a quote is not closed; quote a quote itself as '\"' or \"'\"")]
    OpenQuote,
    /// `\x` needs two digits.
    #[error("behind \\x in double quotes come two hexadecimal digits")]
    Digits,
    /// Another character behind a backslash.
    #[error("double quotes know \\n \\r \\t \\\\ \\\" and \\xNN; single quotes take all as it is")]
    Escape,
}

/// The words of one command.
pub(crate) type Words = Vec<Vec<u8>>;

/// The commands of a text, without empty ones.
pub(crate) fn split(text: &[u8]) -> Result<Vec<Words>, WordError> {
    let mut reader = Reader { rest: text.iter().copied().peekable() };
    let (mut commands, mut words) = (Vec::new(), Words::new());
    while let Some(next) = reader.rest.peek().copied() {
        match next {
            b';' | b'\n' => {
                reader.rest.next();
                finish(&mut commands, &mut words);
            }
            b'#' => reader.comment(),
            byte if byte.is_ascii_whitespace() => _ = reader.rest.next(),
            _ => words.push(reader.word()?),
        }
    }
    finish(&mut commands, &mut words);
    Ok(commands)
}

fn finish(commands: &mut Vec<Words>, words: &mut Words) {
    if !words.is_empty() {
        commands.push(std::mem::take(words));
    }
}

struct Reader<I: Iterator<Item = u8>> {
    rest: Peekable<I>,
}

impl<I: Iterator<Item = u8>> Reader<I> {
    fn comment(&mut self) {
        while self.rest.next_if(|byte| *byte != b'\n').is_some() {}
    }

    fn word(&mut self) -> Result<Vec<u8>, WordError> {
        let mut word = Vec::new();
        let ends = |byte: &u8| *byte == b';' || byte.is_ascii_whitespace();
        while let Some(byte) = self.rest.next_if(|byte| !ends(byte)) {
            match byte {
                b'"' => self.double_quoted(&mut word)?,
                b'\'' => self.single_quoted(&mut word)?,
                byte => word.push(byte),
            }
        }
        Ok(word)
    }

    fn single_quoted(&mut self, word: &mut Vec<u8>) -> Result<(), WordError> {
        loop {
            match self.rest.next().ok_or(WordError::OpenQuote)? {
                b'\'' => return Ok(()),
                byte => word.push(byte),
            }
        }
    }

    fn double_quoted(&mut self, word: &mut Vec<u8>) -> Result<(), WordError> {
        loop {
            match self.rest.next().ok_or(WordError::OpenQuote)? {
                b'"' => return Ok(()),
                b'\\' => word.push(self.escaped()?),
                byte => word.push(byte),
            }
        }
    }

    fn escaped(&mut self) -> Result<u8, WordError> {
        match self.rest.next().ok_or(WordError::OpenQuote)? {
            b'n' => Ok(b'\n'),
            b'r' => Ok(b'\r'),
            b't' => Ok(b'\t'),
            b'x' => Ok(self.digit()? << 4 | self.digit()?),
            quoted @ (b'"' | b'\\') => Ok(quoted),
            _ => Err(WordError::Escape),
        }
    }

    fn digit(&mut self) -> Result<u8, WordError> {
        let digit = self.rest.next().and_then(|byte| char::from(byte).to_digit(16));
        digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(WordError::Digits)
    }
}

#[cfg(test)]
mod tests;
