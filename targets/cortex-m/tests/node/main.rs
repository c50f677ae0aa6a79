//! Records against the generated code and the hub's own, and the tape of a hub played in pieces.

#[path = "../../src/host/hub.rs"]
mod hub;
#[path = "../../src/host/image.rs"]
mod image;
mod journal;
#[path = "../../src/plan.rs"]
mod plan;
mod records;
mod tape;
