//! Fakes of the ports, with faults from a seed.
