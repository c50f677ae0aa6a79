//! The same commands one by one at one server, and in transactions at another: every answer is the same.

use crate::running::{Client, Running, Setting, array};
use unison_base::prng::Prng;
use unison_linux::store::Durability;

const CASES: u64 = 24;

struct Maker(Prng);

impl Maker {
    fn of<'w>(&mut self, words: &[&'w str]) -> &'w str {
        let count = u64::try_from(words.len()).unwrap();
        words[usize::try_from(self.0.below(count)).unwrap()]
    }

    fn key(&mut self) -> &'static str {
        self.of(&["a", "b", "c", "d"])
    }

    fn field(&mut self) -> &'static str {
        self.of(&["x", "y", "z"])
    }

    fn value(&mut self) -> &'static str {
        self.of(&["1", "-7", "text", "", "a longer value that is no number"])
    }

    fn time(&mut self) -> &'static str {
        self.of(&["1", "9999999999", "9999999998"])
    }

    fn command(&mut self) -> Vec<&'static str> {
        let (key, other, field, value) = (self.key(), self.key(), self.field(), self.value());
        let time = self.time();
        match self.0.below(38) {
            0 => vec!["SET", key, value],
            1 => vec!["SET", key, value, self.of(&["NX", "XX", "GET", "KEEPTTL"])],
            2 => vec!["SET", key, value, "EXAT", time],
            3 => vec!["SET", key, value, "NX", "GET"],
            4 => vec!["SET", key, value, "KEEPTTL", "XX", "GET"],
            5 => vec!["GET", key],
            6 => vec!["MGET", key, other, "none"],
            7 => vec!["MSET", key, value, other, "m"],
            8 => vec!["SETNX", key, value],
            9 => vec!["GETSET", key, value],
            10 => vec!["GETDEL", key],
            11 => vec!["GETEX", key, "PXAT", time],
            12 => vec!["GETEX", key, "PERSIST"],
            13 => vec!["INCR", key],
            14 => vec!["DECRBY", key, value],
            15 => vec!["APPEND", key, value],
            16 => vec!["STRLEN", key],
            17 => vec!["GETRANGE", key, "1", "-2"],
            18 => vec!["DEL", key],
            19 => vec!["DEL", key, other, "none"],
            20 => vec!["EXISTS", key, other, key],
            21 => vec!["TYPE", key],
            22 => vec!["EXPIREAT", key, time],
            23 => vec!["EXPIREAT", key, time, self.of(&["NX", "XX", "GT", "LT"])],
            24 => vec!["PEXPIRE", key, "-1"],
            25 => vec!["PERSIST", key],
            26 => vec!["EXPIRETIME", key],
            27 => vec!["HSET", key, field, value],
            28 => vec!["HSET", key, "x", "1", "y", value, "x", "2"],
            29 => vec!["HDEL", key, field, "none"],
            30 => vec!["HDEL", key, "x", "y", "z"],
            31 => vec!["HGETALL", key],
            32 => vec!["HMGET", key, "x", "none", "z"],
            33 => vec![self.of(&["HLEN", "HKEYS", "HVALS"]), key],
            34 => vec!["HSCAN", key, "0", "COUNT", "100"],
            35 => vec!["SCAN", "0", "COUNT", "100"],
            36 => vec![self.of(&["DBSIZE", "PING"])],
            _ => vec![self.of(&["KEYS", "KEYS"]), "*"],
        }
    }
}

/// One reply as it came.
fn reply(client: &mut Client) -> String {
    let line = client.line();
    let length = || line[1..].parse::<i64>().unwrap();
    match line.as_bytes()[0] {
        b'$' if length() >= 0 => {
            let text = client.line();
            format!("{line} {text}")
        }
        b'*' => {
            let parts: Vec<String> = (0..length().max(0)).map(|_| reply(client)).collect();
            format!("{line}[{}]", parts.join(", "))
        }
        _ => line,
    }
}

fn run(seed: u64) {
    let mut maker = Maker(Prng::new(seed));
    let durability = if seed.is_multiple_of(8) { Durability::Always } else { Durability::Never };
    let start = || Running::start(Setting { durability, ..Setting::default() });
    let (one, other) = (start(), start());
    let (plain, inside) = (&mut one.resp_client(), &mut other.resp_client());
    for _ in 0..12 {
        let many = maker.0.below(12) + 1;
        let commands: Vec<Vec<&str>> = (0..many).map(|_| maker.command()).collect();
        inside.send(array(&["MULTI"]));
        commands.iter().for_each(|command| inside.send(array(command)));
        inside.send(array(&["EXEC"]));
        inside.expect(format!("+OK\r\n{}", "+QUEUED\r\n".repeat(commands.len())));
        assert_eq!(inside.line(), format!("*{many}"));
        for command in &commands {
            plain.send(array(command));
            assert_eq!(reply(inside), reply(plain), "seed {seed}: {command:?} in {commands:?}");
        }
    }
}

#[test]
fn commands_answer_inside_a_transaction_what_they_answer_outside() {
    // More of them when asked.
    let asked = std::env::var("UNISON_TRANSACTION_CASES").ok();
    (0..asked.and_then(|number| number.parse().ok()).unwrap_or(CASES)).for_each(run);
}
