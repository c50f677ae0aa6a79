//! Reliability rows 11, 14, 15 and 16: whole fleets.

mod absence;
mod clocks;
mod found;
mod planted;
mod seeds;
mod traces;
