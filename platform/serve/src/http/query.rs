//! The query of a request: known names only, values as bytes.

use super::error::ApiError;
use super::path::percent_decoded;

/// Names and values in the order given.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, Vec<u8>)>);

impl Query {
    /// Reads `a=1&b=x%20y+z`; a name outside `known` is refused, since leaving it out would answer
    /// another question than the one asked.
    pub(super) fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let mut query = Self(Vec::new());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value)?;
            let name = String::from_utf8(decoded(name)?)
                .map_err(|_| ApiError::Malformed("a query's name is no text".to_owned()))?;
            if !known.contains(&name.as_str()) {
                let why = if known.is_empty() {
                    format!("this request has no query: `{name}` means nothing in it")
                } else {
                    format!("the query knows no `{name}`, only {}", known.join(", "))
                };
                return Err(ApiError::Malformed(why));
            }
            query.0.push((name, value));
        }
        Ok(query)
    }

    /// The last value of a name.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// All values of a name, in the order given.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.bytes(name) else { return Ok(None) };
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        let why = || ApiError::Malformed(format!("`{name}` is no whole number"));
        number.map(Some).ok_or_else(why)
    }

    /// `true` or `false`; the bare name means `true`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.bytes(name) {
            None | Some(b"false" | b"0") => Ok(false),
            Some(b"" | b"true" | b"1") => Ok(true),
            Some(_) => Err(ApiError::Malformed(format!("`{name}` is true or false"))),
        }
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, ApiError> {
    let text = text.replace('+', " ");
    let bad = || ApiError::Malformed("a `%` in the query has no two digits behind it".to_owned());
    percent_decoded(text.as_bytes()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn values_are_bytes_and_unknown_names_are_refused() {
        let query = Query::parse(Some("a=x%00+y&n=7&r&a=z"), &["a", "n", "r"]).unwrap();
        assert_eq!(query.bytes("a"), Some(b"z".as_slice()));
        assert_eq!(query.number("n").unwrap(), Some(7));
        assert!(query.flag("r").unwrap() && query.number("a").is_err() && query.flag("a").is_err());
        let error = Query::parse(Some("limits=1"), &["limit", "start"]).unwrap_err().to_string();
        assert_eq!(error, "the query knows no `limits`, only limit, start");
        let error = Query::parse(Some("ttl=1"), &[]).unwrap_err().to_string();
        assert_eq!(error, "this request has no query: `ttl` means nothing in it");
        assert!(Query::parse(Some("a=%4"), &["a"]).is_err());
        assert!(Query::parse(None, &[]).unwrap().bytes("a").is_none());
    }
}
