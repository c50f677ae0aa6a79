//! Records against the generated code and the hub's own, and the tape of a hub played in pieces.

#[path = "../../src/host/hub.rs"]
mod hub;
#[path = "../../src/host/image.rs"]
mod image;
#[expect(dead_code, reason = "the firmware's part is not used here")]
#[path = "../../src/plan.rs"]
mod plan;
mod records;
mod tape;
