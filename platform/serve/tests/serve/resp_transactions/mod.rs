//! Transactions over RESP: what Redis promises, and what is different.

mod limits;
mod long;
mod mixed;
mod replies;
mod watched;

use super::running::{Client, array};

const QUEUED: &str = "+QUEUED\r\n";

/// Sends a transaction at once and expects the replies of its commands.
#[track_caller]
fn exec(client: &mut Client, commands: &[&[&str]], replies: &[&str]) {
    assert_eq!(commands.len(), replies.len());
    begin(client, commands);
    client.ask(&["EXEC"], format!("*{}\r\n{}", replies.len(), replies.concat()));
}

/// Sends everything but the end.
#[track_caller]
fn begin(client: &mut Client, commands: &[&[&str]]) {
    let words = commands.iter().flat_map(|command| array(command));
    client.send(array(&["MULTI"]).into_iter().chain(words).collect::<Vec<u8>>());
    client.expect("+OK\r\n".to_owned() + &QUEUED.repeat(commands.len()));
}
