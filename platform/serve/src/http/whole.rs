//! Whole numbers in JSON, which writes the same one as `12`, `12.0` and `1.2e1`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Below this a reader's error in the last digit gives no other whole number, but none.
const EXACT_MAX: f64 = 562_949_953_421_312.0;

/// A whole number that is not negative, however a client's language writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole(pub(super) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WholeVisitor).map(Self)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number that is not negative")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
        if number.fract() != 0.0 || !(0.0..EXACT_MAX).contains(&number) {
            return Err(E::invalid_value(Unexpected::Float(number), &self));
        }
        // Its digits: a cast could not say that nothing is lost.
        format!("{:.0}", number.abs()).parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Whole;

    #[test]
    fn the_same_number_in_every_way_of_writing() {
        let of = |json: &str| serde_json::from_str::<Whole>(json).ok().map(|whole| whole.0);
        for (json, number) in [
            ("0", 0),
            ("-0.0", 0),
            ("12", 12),
            ("12.0", 12),
            ("1.2e1", 12),
            ("562949953421311.0", 562_949_953_421_311),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(of(json), Some(number), "{json}");
        }
        for json in ["-1", "-1.0", "1.5", "1e300", "562949953421312.0", "\"1\"", "null", "true"] {
            assert_eq!(of(json), None, "{json}");
        }
    }
}
