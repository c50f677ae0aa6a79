//! A RESP reply, read independently of the code under test.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Reply>),
}

impl Reply {
    /// The first reply in `bytes` and its length; `None` when it is not complete.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[1..end]).unwrap();
        let body = end + 2;
        Some(match bytes[0] {
            b'+' => (Self::Simple(line.to_owned()), body),
            b'-' => (Self::Error(line.to_owned()), body),
            b':' => (Self::Integer(line.parse().unwrap()), body),
            b'$' if line == "-1" => (Self::Null, body),
            b'$' => {
                let length: usize = line.parse().unwrap();
                let value = bytes.get(body..body + length)?;
                assert_eq!(bytes.get(body + length..body + length + 2)?, b"\r\n");
                (Self::Bulk(value.to_vec()), body + length + 2)
            }
            b'*' => {
                let (mut items, mut at) = (Vec::new(), body);
                for _ in 0..line.parse::<usize>().unwrap() {
                    let (item, length) = Self::parse(&bytes[at..])?;
                    items.push(item);
                    at += length;
                }
                (Self::Array(items), at)
            }
            other => panic!("no reply begins with {:?}", char::from(other)),
        })
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Simple(text) | Self::Error(text) => text,
            Self::Bulk(bytes) => std::str::from_utf8(bytes).unwrap(),
            other => panic!("{other:?} is no text"),
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            other => panic!("{other:?} is no array"),
        }
    }
}
