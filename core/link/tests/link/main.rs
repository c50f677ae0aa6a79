//! The two machines against each other, over connections that delay, cut and damage.

mod cuts;
mod golden;
mod hostile;
mod liveness;
mod log;
mod planted;
mod small;
mod steady;
mod trouble;
mod world;
