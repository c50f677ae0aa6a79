//! What a check kills, and when.

use super::QuickstartError;
use super::fleet::Fleet;
use std::fmt;

/// Kills the first edge at a quarter, a half and three quarters of the import, and the hub at five
/// eighths; each comes back at once on the data it had.
#[derive(Debug)]
pub(crate) struct Killer {
    files: u64,
    plan: Vec<(u64, Victim)>,
    edge_kills: u32,
    hub_kills: u32,
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Edge,
    Hub,
}

impl Killer {
    /// A plan for an import of `files` files.
    pub(crate) fn new(files: usize) -> Self {
        let plan = vec![(6, Victim::Edge), (5, Victim::Hub), (4, Victim::Edge), (2, Victim::Edge)];
        Self { files: files as u64, plan, edge_kills: 0, hub_kills: 0 }
    }

    /// Kills whatever is due after `sent` files.
    pub(crate) fn step(&mut self, sent: u64, fleet: &mut Fleet) -> Result<(), QuickstartError> {
        while let Some(&(eighths, victim)) = self.plan.last()
            && sent >= self.files * eighths / 8
        {
            self.plan.pop();
            let node = match victim {
                Victim::Hub => {
                    self.hub_kills += 1;
                    Some(&mut fleet.hub)
                }
                Victim::Edge => {
                    self.edge_kills += 1;
                    fleet.edges.first_mut()
                }
            };
            if let Some(node) = node {
                node.kill()?;
                node.restart()?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "killed with SIGKILL and restarted: edge-1 {} times, the hub {} time(s)",
            self.edge_kills, self.hub_kills
        )
    }
}
