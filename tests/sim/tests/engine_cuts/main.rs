//! Log and tree under power cuts together: every state that is recovered is the one after some
//! record, no acknowledged write is missing, the next opening gives the same, and the engine goes on.

mod amplification;
mod cuts;
mod model;
mod run;
mod verify;
