//! The two machines against each other, over connections that delay, cut and damage.

mod cuts;
mod damage;
mod golden;
mod line;
mod liveness;
mod log;
mod node;
mod nonsense;
mod planted;
mod small;
mod steady;
mod strangers;
mod tape;
mod trouble;
mod world;
