//! Reliability rows 11, 15 and 16: whole fleets.

mod planted;
mod seeds;
mod traces;
