//! Ratios to peers and to the floor of the machine.
