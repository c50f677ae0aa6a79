//! Boots the firmware under QEMU against a real hub and looks at what it does.
//!
//! Apart from `cargo test`, because it needs QEMU and a built image; `ci/firmware` builds both and
//! runs it.

#![forbid(unsafe_code)]

mod checks;
mod content;
mod decode;
mod hub;
mod image;
mod machine;
mod nbd;
mod setup;
mod table;
mod uart;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use setup::{Firmware, Setup};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Tests the firmware under QEMU, and reads its log.
#[derive(Parser)]
struct Arguments {
    /// The firmware, with its symbols
    #[arg(long)]
    image: Option<PathBuf>,
    /// The same, built with the feature `provoke-panic`
    #[arg(long)]
    panic_image: Option<PathBuf>,
    /// The hub-node program
    #[arg(long)]
    hub: Option<PathBuf>,
    /// How often the machine is killed
    #[arg(long, default_value_t = 10)]
    kills: u64,
    /// Where randomness begins; printed when not given
    #[arg(long)]
    seed: Option<u64>,
    /// Keep disks and logs here
    #[arg(long)]
    keep: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs checks, all of them when none is named
    Check { names: Vec<String> },
    /// Names the checks
    List,
    /// Decodes what a firmware wrote to its UART, from standard input
    Decode { elf: PathBuf },
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Command::List => {
            for check in checks::ALL {
                println!("{:10} {}", check.name, check.what);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Decode { elf } => decode_input(elf).map(|()| ExitCode::SUCCESS),
        Command::Check { names } => {
            let setup = prepare(&arguments)?;
            checks::run(&setup, names)
        }
    }
}

fn prepare(arguments: &Arguments) -> anyhow::Result<Setup> {
    let (Some(image), Some(hub)) = (&arguments.image, &arguments.hub) else {
        bail!("--image and --hub are needed");
    };
    let panic_firmware = arguments.panic_image.as_ref().map(|path| Firmware::load(path));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Setup {
        firmware: Firmware::load(image)?,
        panic_firmware: panic_firmware.transpose()?,
        hub: hub.clone(),
        kills: arguments.kills,
        seed: arguments.seed.unwrap_or(now.subsec_nanos().into()),
        keep: arguments.keep.clone(),
    })
}

/// Lines as they come: this follows a running machine too.
fn decode_input(elf: &PathBuf) -> anyhow::Result<()> {
    let bytes = std::fs::read(elf).with_context(|| elf.display().to_string())?;
    let table = table::Table::parse(&bytes)?;
    let mut stream = decode::Stream::new(&table);
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut buffer = [0; 4096];
    loop {
        let count = input.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.received(&buffer[..count]);
        for entry in stream.by_ref() {
            writeln!(output, "{entry}")?;
        }
        output.flush()?;
    }
}
